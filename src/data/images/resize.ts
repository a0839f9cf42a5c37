/**
 * Preprocessing on the CPU: the steps that the runtime plans (runtime/images/resample.ts) and runs on the GPU, to the same bytes, since they are
 * whole numbers; normalized as PyTorch does it in f32.
 */
import { InputError } from '../../../runtime/errors.js';
import { type Box, type Plan, type ResizeStage, type Taps, taps } from '../../../runtime/images/resample.js';
import type { Raster } from '../types.js';

/** ITU-R 601 in whole numbers, as Pillow's `L`. */
export const luma = (r: number, g: number, b: number): number => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

/** The same picture in one channel, or in three without alpha; in one if it has one already. */
export function withoutAlpha(raster: Raster, gray: boolean): Raster & { readonly channels: 1 | 3 } {
  const { data, width, height, channels } = raster;
  if (channels === 1) return { ...raster, channels };
  if (channels === 3 && !gray) return { ...raster, channels };
  const kept = gray ? 1 : 3;
  const out = new Uint8Array(width * height * kept);
  for (let i = 0, o = 0; o < out.length; i += channels, o += kept) {
    if (gray) out[o] = luma(data[i]!, data[i + 1]!, data[i + 2]!);
    else {
      out[o] = data[i]!;
      out[o + 1] = data[i + 1]!;
      out[o + 2] = data[i + 2]!;
    }
  }
  return { data: out, width, height, channels: kept };
}

/** A part of a picture; black where it lies outside. */
export function cropped(raster: Raster, { x, y, width, height }: Box): Raster {
  if (x === 0 && y === 0 && width === raster.width && height === raster.height) return raster;
  const { channels } = raster;
  const data = new Uint8Array(width * height * channels);
  const left = Math.max(0, x);
  const right = Math.min(raster.width, x + width);
  for (let row = 0; row < height; row++) {
    const from = y + row;
    if (from < 0 || from >= raster.height || left >= right) continue;
    const start = from * raster.width;
    data.set(
      raster.data.subarray((start + left) * channels, (start + right) * channels),
      (row * width + left - x) * channels,
    );
  }
  return { ...raster, data, width, height };
}

const HALF = 1 << 21;

/** One resize: the horizontal pass over the rows that the vertical one reads, then that one. */
export function resized(raster: Raster, { from, width, height, filter, keep }: ResizeStage): Raster {
  const across = taps(from.width, width, filter, keep.x, keep.width);
  const down = taps(from.height, height, filter, keep.y, keep.height);
  const between = horizontal(raster, from, across, down, keep.width);
  const row = keep.width * raster.channels;
  const data = new Uint8Array(row * keep.height);
  const sums = new Int32Array(row);
  for (let y = 0; y < keep.height; y++) {
    const at = y * (down.most + 1);
    const first = down.table[at]! - down.from;
    sums.fill(HALF);
    for (let t = 0; t < down.most; t++) {
      const weight = down.table[at + 1 + t]!;
      if (weight === 0) continue;
      const source = (first + t) * row;
      for (let i = 0; i < row; i++) sums[i]! += weight * between[source + i]!;
    }
    for (let i = 0; i < row; i++) data[y * row + i] = clipped(sums[i]!);
  }
  return { ...raster, data, width: keep.width, height: keep.height };
}

const clipped = (sum: number): number => (sum < 0 ? 0 : Math.min(255, sum >> 22));

function horizontal(raster: Raster, from: Box, across: Taps, down: Taps, width: number): Uint8Array {
  const { data, channels } = raster;
  const { table, most } = across;
  const result = new Uint8Array(width * channels * (down.to - down.from));
  let o = 0;
  for (let line = down.from; line < down.to; line++) {
    const y = from.y + line;
    if (y < 0 || y >= raster.height) {
      o += width * channels;
      continue;
    }
    for (let x = 0; x < width; x++) {
      const at = x * (most + 1);
      const first = table[at]! + from.x;
      // Pixels outside of the picture count as zeros.
      const low = Math.max(0, -first);
      const high = Math.min(most, raster.width - first);
      const start = (y * raster.width + first) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = HALF;
        for (let t = low; t < high; t++) sum += table[at + 1 + t]! * data[start + t * channels + c]!;
        result[o++] = clipped(sum);
      }
    }
  }
  return result;
}

/** The resizes and crops of a plan, without what it pads after normalizing: 8-bit pixels in one channel or three. */
export function planned(raster: Raster, plan: Plan): Raster {
  let image: Raster = withoutAlpha(raster, false);
  for (const stage of plan.stages) image = resized(withoutAlpha(image, stage.gray), stage);
  return cropped(withoutAlpha(image, plan.gray), plan.window);
}

/** What each byte becomes, for each channel: (byte / 255 - mean) / std in f32. */
export function normalizer(mean: readonly number[], std: readonly number[], channels: number): Float32Array[] {
  return Array.from({ length: channels }, (_, c) => {
    const [m, s] = [Math.fround(mean[c] ?? mean[0] ?? 0), Math.fround(std[c] ?? std[0] ?? 1)];
    return Float32Array.from({ length: 256 }, (_, byte) => Math.fround(Math.fround(byte / 255) - m) / s);
  });
}

/**
 * Writes a picture as normalized planes of `size`, at their top left, and 0 elsewhere; a gray one into every channel.
 * @param into zeros
 * @throws InputError for a picture of three channels where the model takes one
 */
export function normalize(
  raster: Raster,
  tables: readonly Float32Array[],
  into: Float32Array,
  size: { readonly width: number; readonly height: number },
): void {
  const { data, width, height, channels } = raster;
  const count = size.width * size.height;
  requireChannels(raster, tables.length);
  for (const [c, table] of tables.entries()) {
    const plane = into.subarray(c * count, (c + 1) * count);
    let at = channels === 1 ? 0 : c;
    for (let y = 0; y < height; y++)
      for (let i = y * size.width, end = i + width; i < end; i++, at += channels) plane[i] = table[data[at]!]!;
  }
}

/** @throws InputError as the runtime's preprocessing does */
export function requireChannels(raster: Raster, channels: number): void {
  if (channels === 1 && raster.channels > 1)
    throw new InputError('the image has colors, the model takes one channel', 'put `grayscale` into its `preprocess`');
}
