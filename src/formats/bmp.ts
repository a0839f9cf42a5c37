/** Windows bitmaps, as Pillow reads them: sharp has no decoder of them. Of 1, 4, 8, 16, 24 and 32 bits, plain, in bit fields or run-length coded. */
import type { RgbaImage } from './types.js';

/** Of what a header says, all that its pixels need. */
interface Header {
  readonly width: number;
  readonly height: number;
  /** Rows are stored from the bottom, unless the height is negative. */
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** Where the pixels begin. */
  readonly pixels: number;
  /** Red, green, blue of each number, where pixels are numbers of colors. */
  readonly palette: Uint8Array | undefined;
  readonly masks: readonly [red: number, green: number, blue: number];
}

const PLAIN = 0;
const RLE8 = 1;
const RLE4 = 2;
const FIELDS = 3;
/** Sizes of headers: OS/2's, Windows', with masks, OS/2's second, with color spaces. */
const HEADERS = [12, 40, 52, 56, 64, 108, 124];

export const isBmp = (file: Uint8Array): boolean => file[0] === 0x42 && file[1] === 0x4d;

/** Width and height, by the header alone. @throws Error, in words, where it is damaged or of a kind that is not read */
export function bmpSize(file: Uint8Array): { readonly width: number; readonly height: number } {
  const { width, height } = headerOf(file);
  return { width, height };
}

/** Opaque RGBA, whatever a fourth channel says. @throws Error, in words, where it is damaged, cut off or of a kind that is not read */
export function decodeBmp(file: Uint8Array): RgbaImage {
  const header = headerOf(file);
  const { width, height, compression } = header;
  const data = new Uint8Array(width * height * 4).fill(255);
  const place = (x: number, row: number): number => 4 * ((header.topDown ? row : height - 1 - row) * width + x);
  if (compression === RLE8 || compression === RLE4) runs(file, header, data, place);
  else rows(file, header, data, place);
  return { data, width, height };
}

function headerOf(file: Uint8Array): Header {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 18) throw new Error('its header is cut off');
  const size = view.getUint32(14, true);
  if (!HEADERS.includes(size) || file.length < 14 + size) throw new Error('its header is damaged');
  const old = size === 12;
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const tall = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(old ? 24 : 28, true);
  const compression = old ? PLAIN : view.getUint32(30, true);
  const fits =
    compression === PLAIN
      ? [1, 4, 8, 16, 24, 32].includes(bits)
      : (compression === RLE8 && bits === 8) ||
        (compression === RLE4 && bits === 4) ||
        (compression === FIELDS && (bits === 16 || bits === 32));
  if (width <= 0 || tall === 0) throw new Error('it has no pixels');
  if (!fits) throw new Error(`it is a BMP of ${bits} bits in compression ${compression}, which is not read`);
  // In a header of 40 bytes masks follow it, later ones hold them.
  const masks =
    compression === FIELDS && file.length >= 66
      ? ([54, 58, 62].map((at) => view.getUint32(at, true)) as [number, number, number])
      : bits === 16
        ? ([0x7c00, 0x3e0, 0x1f] as const)
        : ([0xff0000, 0xff00, 0xff] as const);
  const entry = old ? 3 : 4;
  const named = old ? 0 : view.getUint32(46, true);
  const colors = bits > 8 ? 0 : named > 0 && named <= 2 ** bits ? named : 2 ** bits;
  const first = 14 + size + (compression === FIELDS && size === 40 ? 12 : 0);
  if (first + colors * entry > file.length) throw new Error('its palette is cut off');
  const palette = new Uint8Array(3 * 2 ** Math.min(bits, 8));
  for (let i = 0; i < colors; i++) for (let c = 0; c < 3; c++) palette[3 * i + c] = file[first + entry * i + 2 - c]!;
  return {
    width,
    height: Math.abs(tall),
    topDown: tall < 0,
    bits,
    compression,
    pixels: view.getUint32(10, true),
    palette: bits > 8 ? undefined : palette,
    masks,
  };
}

type Place = (x: number, row: number) => number;

function rows(
  file: Uint8Array,
  { width, height, bits, pixels, palette, masks }: Header,
  data: Uint8Array,
  place: Place,
): void {
  const stride = 4 * Math.ceil((width * bits) / 32);
  if (pixels + stride * height > file.length) throw new Error('it is cut off');
  const fields = masks.map((mask) => {
    const low = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { low, most: mask >>> low || 1, mask };
  });
  const bytes = bits / 8;
  for (let row = 0; row < height; row++) {
    const line = pixels + row * stride;
    for (let x = 0; x < width; x++) {
      const o = place(x, row);
      if (palette) {
        const shift = 8 - bits - ((x * bits) % 8);
        const number = (file[line + ((x * bits) >> 3)]! >> shift) & (2 ** bits - 1);
        data.set(palette.subarray(3 * number, 3 * number + 3), o);
      } else if (bits === 24) {
        for (let c = 0; c < 3; c++) data[o + c] = file[line + 3 * x + 2 - c]!;
      } else {
        let pixel = 0;
        for (let b = bytes - 1; b >= 0; b--) pixel = pixel * 256 + file[line + bytes * x + b]!;
        for (const [c, { low, most, mask }] of fields.entries())
          data[o + c] = Math.trunc((((pixel & mask) >>> low) * 255) / most);
      }
    }
  }
}

/** Runs of one color or two, and stretches of plain numbers; what no run reaches is color 0. */
function runs(
  file: Uint8Array,
  { width, height, bits, pixels, palette }: Header,
  data: Uint8Array,
  place: Place,
): void {
  for (let row = 0; row < height; row++)
    for (let x = 0; x < width; x++) data.set(palette!.subarray(0, 3), place(x, row));
  const put = (x: number, row: number, number: number): void => {
    if (x < width && row < height) data.set(palette!.subarray(3 * number, 3 * number + 3), place(x, row));
  };
  const half = (byte: number, i: number): number => (bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15);
  let [x, row, at] = [0, 0, pixels];
  const next = (): number => {
    if (at >= file.length) throw new Error('it is cut off');
    return file[at++]!;
  };
  while (row < height) {
    const [count, value] = [next(), next()];
    if (count > 0) for (let i = 0; i < count; i++) put(x++, row, half(value, i));
    else if (value === 0) [x, row] = [0, row + 1];
    else if (value === 1) return;
    else if (value === 2) [x, row] = [x + next(), row + next()];
    else {
      let byte = 0;
      for (let i = 0; i < value; i++) {
        if (bits === 8 || i % 2 === 0) byte = next();
        put(x++, row, half(byte, i));
      }
      // Whole words.
      if ((bits === 8 ? value : Math.ceil(value / 2)) % 2 === 1) at++;
    }
  }
}
