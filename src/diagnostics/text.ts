/** Text as a terminal shows it: lines and columns of offsets, widths of characters. */

/** Finds lines in a text; a line ends with `\n`, `\r\n` or `\r`. */
export class Lines {
  private readonly starts: number[] = [0];

  constructor(readonly text: string) {
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 10 || (c === 13 && text.charCodeAt(i + 1) !== 10)) this.starts.push(i + 1);
    }
  }

  /** The line, from 0, that holds an offset; offsets outside the text are moved into it. */
  lineOf(offset: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  start(line: number): number {
    return this.starts[line]!;
  }

  /** A line without its end. */
  line(line: number): string {
    return this.text.slice(this.starts[line], this.starts[line + 1]).replace(/\r?\n$|\r$/, '');
  }

  /** Line and column from 1; a column is a code point. */
  position(offset: number): { readonly line: number; readonly column: number } {
    const at = Math.max(0, Math.min(offset, this.text.length));
    const line = this.lineOf(at);
    return { line: line + 1, column: [...this.text.slice(this.starts[line], at)].length + 1 };
  }
}

/** Blanks that a tab stands for. */
const TAB = '    ';

/** Columns that a character takes on a terminal: 0 for combining marks, 2 for wide ones. */
function widthOf(character: string): number {
  if (/^[\p{Mn}\p{Me}\p{Cf}]/u.test(character)) return 0;
  const c = character.codePointAt(0)!;
  const wide =
    c >= 0x1100 &&
    (c <= 0x115f ||
      (c >= 0x2e80 && c <= 0xa4cf) ||
      (c >= 0xac00 && c <= 0xd7a3) ||
      (c >= 0xf900 && c <= 0xfaff) ||
      (c >= 0xfe30 && c <= 0xfe6f) ||
      (c >= 0xff00 && c <= 0xff60) ||
      (c >= 0xffe0 && c <= 0xffe6) ||
      (c >= 0x1f300 && c <= 0x1faff) ||
      (c >= 0x20000 && c <= 0x3fffd));
  return wide ? 2 : 1;
}

/** Without control characters, which could change what a terminal shows. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

/** A line as it is shown, and for each of its UTF-16 units (and its end) the column where it starts. */
export interface Shown {
  readonly text: string;
  readonly columns: readonly number[];
}

export function show(line: string): Shown {
  let text = '';
  let column = 0;
  const columns: number[] = [];
  for (const character of line) {
    for (let i = 0; i < character.length; i++) columns.push(column);
    const shown = character === '\t' ? TAB : printable(character);
    text += shown;
    column += character === '\t' ? TAB.length : widthOf(shown);
  }
  columns.push(column);
  return { text, columns };
}

/** The part of a shown line between two columns; a wide character that is cut in half becomes a blank. */
export function sliceColumns(shown: string, from: number, to: number): string {
  let out = '';
  let column = 0;
  for (const character of shown) {
    const width = widthOf(character);
    if (column >= from && column + width <= to) out += character;
    else if (column < to && column + width > from)
      out += ' '.repeat(Math.min(column + width, to) - Math.max(column, from));
    column += width;
    if (column >= to) break;
  }
  return out;
}
