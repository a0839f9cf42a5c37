/** Colors of whole pictures, to the byte as Pillow's ImageOps and ImageEnhance change them. A gray picture is one whose channels are equal. */
import type { Raster } from '../types.js';
import { luma } from './resize.js';

/** What each byte of a channel becomes. */
type Curve = (byte: number) => number;

const clip = (v: number): number => Math.min(255, Math.max(0, v));

function curved(raster: Raster, curves: readonly Curve[]): Raster {
  const { data, channels } = raster;
  const tables = curves.map((curve) => Uint8Array.from({ length: 256 }, (_, byte) => curve(byte)));
  const out = new Uint8Array(data.length);
  for (let c = 0; c < channels; c++) {
    const table = tables[c] ?? tables[0]!;
    for (let i = c; i < data.length; i += channels) out[i] = table[data[i]!]!;
  }
  return { ...raster, data: out };
}

export const inverted = (raster: Raster): Raster => curved(raster, [(b) => 255 - b]);

/** Bytes from `threshold` on are inverted. */
export const solarized = (raster: Raster, threshold: number): Raster =>
  curved(raster, [(b) => (b < threshold ? b : 255 - b)]);

/** `add` more for bytes below 128. */
export const brightenedShadows = (raster: Raster, add: number): Raster =>
  curved(raster, [(b) => (b < 128 ? clip(b + add) : b)]);

/** Keeps the upper `bits` of each byte. */
export function posterized(raster: Raster, bits: number): Raster {
  if (bits >= 8) return raster;
  const mask = 255 & ~((1 << (8 - bits)) - 1);
  return curved(raster, [(b) => b & mask]);
}

/** How often each byte stands in each channel. */
function histograms({ data, channels }: Raster): Uint32Array[] {
  const counts = Array.from({ length: channels }, () => new Uint32Array(256));
  for (let i = 0; i < data.length; i += channels) for (let c = 0; c < channels; c++) counts[c]![data[i + c]!]!++;
  return counts;
}

/** Each channel stretched to all of 0 to 255. */
export function autocontrasted(raster: Raster): Raster {
  return curved(
    raster,
    histograms(raster).map((counts) => {
      const low = counts.findIndex((n) => n > 0);
      const high = counts.findLastIndex((n) => n > 0);
      if (high <= low) return (b) => b;
      const scale = 255 / (high - low);
      return (b) => clip(Math.trunc(b * scale - low * scale));
    }),
  );
}

/** Each channel's bytes made equally frequent, as far as they can be. */
export function equalized(raster: Raster): Raster {
  return curved(
    raster,
    histograms(raster).map((counts) => {
      const last = counts.findLast((n) => n > 0)!;
      const step = Math.floor((counts.reduce((a, b) => a + b, 0) - last) / 255);
      if (step === 0) return (b) => b;
      let sum = Math.floor(step / 2);
      const table = Array.from(counts, (count) => {
        const value = Math.floor(sum / step);
        sum += count;
        return clip(value);
      });
      return (b) => table[b]!;
    }),
  );
}

/** `factor` of the picture and 1 - `factor` of another; beyond [0, 1] it goes on in that direction. f32, as Pillow's `blend`. */
function blended(other: Uint8Array, raster: Raster, factor: number): Raster {
  if (factor === 1) return raster;
  const { data } = raster;
  const f = Math.fround(factor);
  // By the difference of two bytes, from -255 on.
  const parts = Float32Array.from({ length: 511 }, (_, i) => f * (i - 255));
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const from = other[i]!;
    const value = Math.fround(from + parts[data[i]! - from + 255]!);
    out[i] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
  }
  return { ...raster, data: out };
}

/** The luma of each pixel, in all of its channels. */
function lumas({ data, channels }: Raster): Uint8Array {
  if (channels === 1) return data;
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += channels) out.fill(luma(data[i]!, data[i + 1]!, data[i + 2]!), i, i + channels);
  return out;
}

/** 0 is black, 1 the picture. */
export const withBrightness = (raster: Raster, factor: number): Raster =>
  blended(new Uint8Array(raster.data.length), raster, factor);

/** 0 is gray, 1 the picture. */
export const withSaturation = (raster: Raster, factor: number): Raster => blended(lumas(raster), raster, factor);

/** 0 is the mean luma everywhere, 1 the picture. */
export function withContrast(raster: Raster, factor: number): Raster {
  const gray = lumas(raster);
  const mean = Math.trunc(gray.reduce((sum, byte) => sum + byte, 0) / gray.length + 0.5);
  return blended(new Uint8Array(gray.length).fill(mean), raster, factor);
}

/** 0 is smoothed, 1 the picture, 2 sharpened. */
export const withSharpness = (raster: Raster, factor: number): Raster => blended(smoothed(raster).data, raster, factor);

/** Pillow's SMOOTH: of the pixel five parts, of its eight neighbours one each; the border stays. */
function smoothed(raster: Raster): Raster {
  const { data, width, height, channels } = raster;
  const out = Uint8Array.from(data);
  const row = width * channels;
  for (let y = 1; y < height - 1; y++)
    for (let i = y * row + channels; i < (y + 1) * row - channels; i++) {
      let sum = 4 * data[i]!;
      for (let line = i - row; line <= i + row; line += row)
        sum += data[line - channels]! + data[line]! + data[line + channels]!;
      out[i] = Math.floor(sum / 13 + 0.5);
    }
  return { ...raster, data: out };
}
