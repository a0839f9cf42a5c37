/** Things drawn over their picture: an outline in a colour of its own and a number each, as SVG without fonts, so that it looks the same anywhere. */
import { contains, type Mask } from './mask.js';
import { outlineOf } from './outline.js';

/** Digits as strokes in a box of 1 x 2. */
const DIGITS = [
  'M0 0H1V2H0Z',
  'M.1 .4L.6 0V2',
  'M0 0H1V1H0V2H1',
  'M0 0H1V2H0M0 1H1',
  'M0 0V1H1M1 0V2',
  'M1 0H0V1H1V2H0',
  'M1 0H0V2H1V1H0',
  'M0 0H1L.4 2',
  'M0 0H1V2H0ZM0 1H1',
  'M1 1H0V0H1V2H0',
];
/** From one digit to the next, in widths of one. */
const ADVANCE = 1.6;

/** A number's height: of the smaller side of its thing, and at the most of the picture's longer side. */
const OF_THING = 0.3;
const OF_PICTURE = 0.045;

/** An SVG of the picture's size with nothing behind the things: lay it over the picture. Thing 1 is the first. */
export function overlaySvg(masks: readonly Mask[], width: number, height: number): string {
  const line = Math.max(width, height) / 300;
  const things = masks.map((mask, i) => {
    const color = hue(i);
    const outline = outlineOf(mask)
      .map((places) => `M${places.map(([x, y]) => `${x} ${y}`).join('L')}Z`)
      .join('');
    return [
      `<path d="${outline}" fill="${color}" fill-opacity=".3" fill-rule="evenodd" stroke="${color}" stroke-width="${line.toFixed(2)}" stroke-linejoin="round"/>`,
      number(i + 1, mask, Math.max(width, height)),
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n${things.join('\n')}\n</svg>\n`;
}

/** Neighbours in the list get colours that are far apart: the golden angle on the wheel of full colours. */
function hue(index: number): string {
  const angle = (index * 137.508) % 360;
  const channel = (offset: number) => {
    const at = (offset + angle / 30) % 12;
    return Math.round(255 * (0.55 - 0.45 * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  };
  return `#${[0, 8, 4].map((offset) => channel(offset).toString(16).padStart(2, '0')).join('')}`;
}

/** White on black, so that it can be read on anything. */
function number(value: number, mask: Mask, longer: number): string {
  const { box } = mask;
  const digits = String(value);
  const size = Math.min(OF_THING * Math.min(box.width, box.height), OF_PICTURE * longer) / 2;
  const { x, y } = middleOf(mask);
  const left = x - (size * (1 + ADVANCE * (digits.length - 1))) / 2;
  const strokes = [...digits]
    .map((d, i) => `<path d="${DIGITS[Number(d)]}" transform="translate(${ADVANCE * i})"/>`)
    .join('');
  const drawn = (color: string, stroke: number) =>
    `<g stroke="${color}" stroke-width="${stroke}" fill="none" stroke-linecap="round" stroke-linejoin="round">${strokes}</g>`;
  return `<g transform="translate(${left.toFixed(2)} ${(y - size).toFixed(2)}) scale(${size.toFixed(3)})">${drawn('#000', 0.8)}${drawn('#fff', 0.35)}</g>`;
}

/** The middle of a mask's pixels, or, where that is none of its, the pixel of its that is nearest. */
function middleOf(mask: Mask): { readonly x: number; readonly y: number } {
  const pixels: { x: number; y: number }[] = [];
  const { box } = mask;
  for (let y = box.y; y < box.y + box.height; y++)
    for (let x = box.x; x < box.x + box.width; x++) if (contains(mask, x, y)) pixels.push({ x: x + 0.5, y: y + 0.5 });
  const mean = (of: (pixel: { x: number; y: number }) => number) =>
    pixels.reduce((sum, pixel) => sum + of(pixel), 0) / pixels.length;
  const middle = { x: mean((p) => p.x), y: mean((p) => p.y) };
  if (contains(mask, Math.floor(middle.x), Math.floor(middle.y))) return middle;
  const distance = (p: { x: number; y: number }) => (p.x - middle.x) ** 2 + (p.y - middle.y) ** 2;
  return pixels.reduce((nearest, pixel) => (distance(pixel) < distance(nearest) ? pixel : nearest));
}
