/** Half precision and bfloat16 as bits, for reading and writing; Node 20 has no Float16Array. */

import { fromHalf, toHalf } from '../../ir/run/half.js';

/** How many there are. */
const HALVES = 1 << 16;

/** binary16 bits -> f32, exactly. */
export function fromHalves(bits: Uint16Array): Float32Array {
  if (bits.length <= HALVES) return Float32Array.from(bits, fromHalf);
  // Of many, every bit pattern's value is looked up rather than worked out for each element.
  const values = Float32Array.from({ length: HALVES }, (_, i) => fromHalf(i));
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = values[bits[i]!]!;
  return out;
}

/** bfloat16 bits -> f32, exactly. */
export function fromBfloat(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

/** f32 or f64 -> binary16 bits (f64 by way of f32), nearest, ties to even. */
export function toHalves(values: ArrayLike<number>): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = toHalf(values[i]!);
  return out;
}

/** f32 or f64 -> bfloat16 bits (f64 by way of f32), nearest, ties to even. */
export function toBfloat(values: ArrayLike<number>): Uint16Array {
  const float = new Float32Array(1);
  const word = new Uint32Array(float.buffer);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i]!;
    const w = word[0]!;
    out[i] = (w & 0x7fffffff) > 0x7f800000 ? (w >>> 16) | 0x40 : (w + 0x7fff + ((w >>> 16) & 1)) >>> 16;
  }
  return out;
}
