/** Typed arrays in and out, and how a number of items is split over passes. */
import { copied, kindOf } from './bytes.js';
import { InputError } from './errors.js';
import { countOf } from './program/check.js';
import type { StorageType, TensorSpec } from './program/program.js';

export type TensorData = Float32Array | Int32Array | Uint32Array;

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, f16: Float32Array } as const satisfies Record<
  StorageType,
  unknown
>;

/** An output's bytes for so many items as numbers; f16 is widened. */
export function typedOutput(spec: TensorSpec, bytes: ArrayBuffer, items: number): TensorData {
  return typed(spec.dtype, bytes, countOf(spec, items));
}

/** The first `count` numbers in some bytes; f16 is widened. */
export function typed(dtype: StorageType, bytes: ArrayBuffer, count: number): TensorData {
  if (dtype === 'f16') return Float32Array.from(new Uint16Array(bytes, 0, count), fromHalf);
  return new ARRAYS[dtype](bytes, 0, count);
}

/** A copy of an input's bytes. Throws InputError (ESP0708) for anything but an array of its element type. */
export function tensorBytes({ name, dtype }: Pick<TensorSpec, 'name' | 'dtype'>, data: TensorData): Uint8Array {
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

/** Passes of at most `most` items, as few as there can be and as equal as they can be: memory is for the largest. */
export function passesOf(items: number, most: number): { start: number; count: number }[] {
  const passes = Math.ceil(items / most);
  return Array.from({ length: passes }, (_, i) => {
    const start = Math.floor((i * items) / passes);
    return { start, count: Math.floor(((i + 1) * items) / passes) - start };
  });
}
