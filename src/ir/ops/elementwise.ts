/** Loops over broadcast operands that the pointwise references share. */
import { allocate } from '../tensor.js';
import type { Elements, Tensor, TensorType } from '../types.js';
import { sameShape, sizeOf, stridesOf } from './shapes.js';

/**
 * For each element of `shape` in order, its offset in an operand that broadcasts to it. Undefined when the offset is the index
 * itself.
 */
export function broadcastOffsets(from: readonly number[], shape: readonly number[]): Int32Array | undefined {
  if (sameShape(from, shape)) return undefined;
  const own = stridesOf(from);
  const lead = shape.length - from.length;
  const size = sizeOf(shape);
  const offsets = new Int32Array(size);
  // Filled from the innermost axis outwards: each axis repeats what is there, shifted by its stride.
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const d = shape[axis]!;
    const stride = axis < lead || from[axis - lead] === 1 ? 0 : own[axis - lead]!;
    for (let i = 1; i < d; i++) {
      const shift = i * stride;
      const at = i * filled;
      for (let j = 0; j < filled; j++) offsets[at + j] = offsets[j]! + shift;
    }
    filled *= d;
  }
  return offsets;
}

/** y[i] = f(x[i]). */
export function map(x: Tensor, type: TensorType, f: (a: number) => number): Tensor {
  const out = allocate(type.dtype, x.data.length);
  const from = x.data;
  for (let i = 0; i < out.length; i++) out[i] = f(from[i]!);
  return { type, data: out };
}

/** y[i] = f(a[i], b[i]) with NumPy broadcasting. */
export function zip(a: Tensor, b: Tensor, type: TensorType, f: (a: number, b: number) => number): Tensor {
  const size = sizeOf(type.shape);
  const out = allocate(type.dtype, size);
  const p = a.data;
  const q = b.data;
  if (p.length === size && q.length === size) {
    for (let i = 0; i < size; i++) out[i] = f(p[i]!, q[i]!);
    return { type, data: out };
  }
  if (p.length === size && q.length === 1) {
    const y = q[0]!;
    for (let i = 0; i < size; i++) out[i] = f(p[i]!, y);
    return { type, data: out };
  }
  const ia = broadcastOffsets(a.type.shape, type.shape);
  const ib = broadcastOffsets(b.type.shape, type.shape);
  for (let i = 0; i < size; i++) out[i] = f(p[ia ? ia[i]! : i]!, q[ib ? ib[i]! : i]!);
  return { type, data: out };
}

/** The operand's elements laid out over `shape`; shared when nothing changes. */
export function expand(x: Tensor, shape: readonly number[]): Elements {
  const offsets = broadcastOffsets(x.type.shape, shape);
  if (!offsets) return x.data;
  const out = allocate(x.type.dtype, offsets.length);
  const from = x.data;
  for (let i = 0; i < offsets.length; i++) out[i] = from[offsets[i]!]!;
  return out;
}

/** erf to double precision: a Maclaurin series near 0, a continued fraction (Lentz) for its complement beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(a)) return a;
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 80; n++) {
      term *= (-a * a) / n;
      const add = term / (2 * n + 1);
      sum += add;
      if (Math.abs(add) < 1e-17 * Math.abs(sum)) break;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  // erfc(a) = exp(-a²)/√π · 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + ...)))), evaluated from the tail.
  let f = a;
  for (let n = 60; n >= 1; n--) f = a + n / 2 / f;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * f));
}
