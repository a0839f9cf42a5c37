/** Digits and the few words of a caption as pixels, so that they look the same anywhere: 5 x 7, one bit a pixel. */

const GLYPHS: Readonly<Record<string, string>> = {
  '0': '01110 10001 10011 10101 11001 10001 01110',
  '1': '00100 01100 00100 00100 00100 00100 01110',
  '2': '01110 10001 00001 00110 01000 10000 11111',
  '3': '11111 00010 00100 00010 00001 10001 01110',
  '4': '00010 00110 01010 10010 11111 00010 00010',
  '5': '11111 10000 11110 00001 00001 10001 01110',
  '6': '00110 01000 10000 11110 10001 10001 01110',
  '7': '11111 00001 00010 00100 01000 01000 01000',
  '8': '01110 10001 10001 01110 10001 10001 01110',
  '9': '01110 10001 10001 01111 00001 00010 01100',
  '.': '00000 00000 00000 00000 00000 01100 01100',
  '-': '00000 00000 00000 11111 00000 00000 00000',
  ' ': '00000 00000 00000 00000 00000 00000 00000',
  c: '00000 00000 01110 10000 10000 10001 01110',
  e: '00000 00000 01110 10001 11111 10000 01110',
  n: '00000 00000 10110 11001 10001 10001 10001',
  o: '00000 00000 01110 10001 10001 10001 01110',
  r: '00000 00000 10110 11001 10000 10000 10000',
  t: '01000 01000 11100 01000 01000 01001 00110',
  u: '00000 00000 10001 10001 10001 10011 01101',
};

const WIDTH = 5;
export const GLYPH_HEIGHT = 7;
/** From one to the next. */
const ADVANCE = WIDTH + 1;

/** Pixels of a text of these glyphs in a row. */
export const textWidth = (text: string): number => Math.max(0, text.length * ADVANCE - 1);

/** Calls `dot` for each pixel of a text, from its top left corner. @throws RangeError for a character that has no glyph */
export function drawText(text: string, dot: (x: number, y: number) => void): void {
  for (const [i, character] of [...text].entries()) {
    const rows = GLYPHS[character]?.split(' ');
    if (!rows) throw new RangeError(`"${character}" has no glyph`);
    for (const [y, row] of rows.entries()) for (let x = 0; x < WIDTH; x++) if (row[x] === '1') dot(i * ADVANCE + x, y);
  }
}
