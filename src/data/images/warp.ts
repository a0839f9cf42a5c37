/**
 * Geometry of whole pictures, as Pillow has it: mirror images, and affine maps read bilinearly or bicubically (libImaging/Geometry.c), to the byte.
 * Nothing is averaged where a map shrinks, and the fractional part of a bilinear result is cut off: so does Pillow.
 */
import type { Raster } from '../types.js';

/** Mirrored left to right. */
export function flipped(raster: Raster): Raster {
  const { data, width, height, channels } = raster;
  const out = new Uint8Array(data.length);
  for (let y = 0, o = 0; y < height; y++)
    for (let x = width - 1; x >= 0; x--)
      for (let c = 0; c < channels; c++) out[o++] = data[(y * width + x) * channels + c]!;
  return { ...raster, data: out };
}

/** Mirrored upside down. */
export function flippedVertically(raster: Raster): Raster {
  const { data, width, height, channels } = raster;
  const row = width * channels;
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) out.set(data.subarray(y * row, (y + 1) * row), (height - 1 - y) * row);
  return { ...raster, data: out };
}

/** The point of the source for a point (x, y) of the result is (a x + b y + c, d x + e y + f). */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** How a pixel between pixels is read. */
export type Interpolation = 'bilinear' | 'bicubic';

/** The matrix of Pillow's `rotate`: counterclockwise about the middle, its sines rounded to 15 decimals. */
export function rotation(degrees: number, width: number, height: number): Affine {
  const angle = (-(((degrees % 360) + 360) % 360) * Math.PI) / 180;
  const rounded = (x: number) => Number(x.toFixed(15));
  const [a, b, d] = [rounded(Math.cos(angle)), rounded(Math.sin(angle)), rounded(-Math.sin(angle))];
  const [x, y] = [width / 2, height / 2];
  return [a, b, a * -x + b * -y + x, d, a, d * -x + a * -y + y];
}

/** A picture of the same size through an affine map; `fill` where it reads outside of the source. */
export function warped(raster: Raster, map: Affine, interpolation: Interpolation, fill: readonly number[]): Raster {
  const { data, width, height, channels } = raster;
  const [a, b, c0, d, e, f0] = map;
  const out = new Uint8Array(data.length);
  const read = interpolation === 'bilinear' ? bilinear : bicubic;
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += channels) {
      const sx = a * (x + 0.5) + b * (y + 0.5) + c0;
      const sy = d * (x + 0.5) + e * (y + 0.5) + f0;
      if (sx < 0 || sx >= width || sy < 0 || sy >= height)
        for (let c = 0; c < channels; c++) out[o + c] = fill[c] ?? fill[0]!;
      else for (let c = 0; c < channels; c++) out[o + c] = read(raster, sx - 0.5, sy - 0.5, c);
    }
  }
  return { ...raster, data: out };
}

function bilinear({ data, width, height, channels }: Raster, x: number, y: number, c: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [dx, dy] = [x - left, y - top];
  const x0 = Math.max(0, left) * channels + c;
  const x1 = Math.min(width - 1, left + 1) * channels + c;
  const across = (line: number): number => {
    const row = Math.min(Math.max(line, 0), height - 1) * width * channels;
    const v = data[row + x0]!;
    return v + (data[row + x1]! - v) * dx;
  };
  const upper = across(top);
  const lower = top + 1 < height ? across(top + 1) : upper;
  return Math.trunc(upper + (lower - upper) * dy);
}

/** Through four values, with a slope at the inner two of half the difference of their neighbours doubled: Pillow's a = -1. */
function cubic(v1: number, v2: number, v3: number, v4: number, d: number): number {
  const p2 = -v1 + v3;
  const p3 = 2 * (v1 - v2) + v3 - v4;
  const p4 = -v1 + v2 - v3 + v4;
  return v2 + d * (p2 + d * (p3 + d * p4));
}

function bicubic({ data, width, height, channels }: Raster, x: number, y: number, c: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [dx, dy] = [x - left, y - top];
  const column = (at: number) => Math.min(Math.max(at, 0), width - 1) * channels + c;
  const [x0, x1, x2, x3] = [column(left - 1), column(left), column(left + 1), column(left + 2)];
  const across = (line: number): number => {
    const row = Math.min(Math.max(line, 0), height - 1) * width * channels;
    return cubic(data[row + x0]!, data[row + x1]!, data[row + x2]!, data[row + x3]!, dx);
  };
  // Rows below the picture are the last one that was read.
  const v1 = across(top - 1);
  const v2 = top >= 0 && top < height ? across(top) : v1;
  const v3 = top + 1 < height ? across(top + 1) : v2;
  const v4 = top + 2 < height ? across(top + 2) : v3;
  const value = cubic(v1, v2, v3, v4, dy);
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
}
