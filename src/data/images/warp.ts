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
      else read(raster, sx - 0.5, sy - 0.5, out, o);
    }
  }
  return { ...raster, data: out };
}

/** Element offset of row or column `at`, which lies in the picture or is the nearest one that does. */
const near = (at: number, size: number, step: number): number => (at < 0 ? 0 : at < size ? at : size - 1) * step;

/** Writes the pixel at (x, y), between those about it, to `out`. */
function bilinear({ data, width, height, channels }: Raster, x: number, y: number, out: Uint8Array, o: number): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const dx = x - left;
  const dy = y - top;
  const x0 = near(left, width, channels);
  const x1 = near(left + 1, width, channels);
  const r0 = near(top, height, width * channels);
  const r1 = near(top + 1, height, width * channels);
  for (let c = 0; c < channels; c++) {
    const a = data[r0 + x0 + c]!;
    const b = data[r1 + x0 + c]!;
    const upper = a + (data[r0 + x1 + c]! - a) * dx;
    const lower = b + (data[r1 + x1 + c]! - b) * dx;
    out[o + c] = Math.trunc(upper + (lower - upper) * dy);
  }
}

/** Through four values, with a slope at the inner two of half the difference of their neighbours doubled: Pillow's a = -1. */
function cubic(v1: number, v2: number, v3: number, v4: number, d: number): number {
  const p2 = -v1 + v3;
  const p3 = 2 * (v1 - v2) + v3 - v4;
  const p4 = -v1 + v2 - v3 + v4;
  return v2 + d * (p2 + d * (p3 + d * p4));
}

function bicubic({ data, width, height, channels }: Raster, x: number, y: number, out: Uint8Array, o: number): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const dx = x - left;
  const dy = y - top;
  const x0 = near(left - 1, width, channels);
  const x1 = near(left, width, channels);
  const x2 = near(left + 1, width, channels);
  const x3 = near(left + 2, width, channels);
  const row = width * channels;
  const r0 = near(top - 1, height, row);
  const r1 = near(top, height, row);
  const r2 = near(top + 1, height, row);
  const r3 = near(top + 2, height, row);
  for (let c = 0; c < channels; c++) {
    // Written out: a function for a row would be made anew for each pixel.
    const v0 = cubic(data[r0 + x0 + c]!, data[r0 + x1 + c]!, data[r0 + x2 + c]!, data[r0 + x3 + c]!, dx);
    const v1 = cubic(data[r1 + x0 + c]!, data[r1 + x1 + c]!, data[r1 + x2 + c]!, data[r1 + x3 + c]!, dx);
    const v2 = cubic(data[r2 + x0 + c]!, data[r2 + x1 + c]!, data[r2 + x2 + c]!, data[r2 + x3 + c]!, dx);
    const v3 = cubic(data[r3 + x0 + c]!, data[r3 + x1 + c]!, data[r3 + x2 + c]!, data[r3 + x3 + c]!, dx);
    const value = cubic(v0, v1, v2, v3, dy);
    out[o + c] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
  }
}
