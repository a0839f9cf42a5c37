/** Typed arrays in and out, and how a number of items is split over batch sizes. */
import { copied, kindOf } from './bytes.js';
import { InputError } from './errors.js';
import type { StorageType, TensorSpec } from './program.js';

export type TensorData = Float32Array | Int32Array | Uint32Array;

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, f16: Float32Array } as const satisfies Record<
  StorageType,
  unknown
>;

/** An output's bytes as numbers; f16 is widened. */
export function typedOutput({ dtype, shape }: TensorSpec, bytes: ArrayBuffer): TensorData {
  const count = shape.reduce((a, b) => a * b, 1);
  if (dtype === 'f16') return Float32Array.from(new Uint16Array(bytes, 0, count), fromHalf);
  return new ARRAYS[dtype](bytes, 0, count);
}

/** A copy of an input's bytes. Throws InputError (ESP0708) for anything but an array of its element type. */
export function tensorBytes({ name, dtype }: TensorSpec, data: TensorData): Uint8Array {
  const kind = ARRAYS[dtype].name;
  if (dtype === 'f16' || kindOf(data) !== kind) {
    throw new InputError(`\`${name}\` takes ${dtype}, given ${kindOf(data)}`, `give a ${kind}`);
  }
  return copied(data);
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * Which batches to run for a number of items: the largest that are full, then the smallest that holds the rest, padded. Where singles
 * exist, a rest is only padded when it fills half of its batch; otherwise smaller batches take it.
 */
export function chunkSizes(items: number, sizes: readonly number[]): { batch: number; count: number }[] {
  const descending = [...sizes].sort((a, b) => b - a);
  const chunks: { batch: number; count: number }[] = [];
  for (let left = items; left > 0; ) {
    const padded = descending.findLast((b) => b >= left && 2 * left > b);
    const full = descending.find((b) => b <= left);
    const batch = padded ?? full ?? descending.at(-1)!;
    const count = Math.min(batch, left);
    chunks.push({ batch, count });
    left -= count;
  }
  return chunks;
}
