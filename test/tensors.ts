/** Tensors as tests write and compare them. */
import { tensor } from '../src/ir/run/tensor.js';
import type { DType, Tensor } from '../src/ir/types.js';

/** Nested lists. */
export function toNested(t: Tensor): unknown {
  const build = (axis: number, offset: number, step: number): unknown => {
    if (axis === t.type.shape.length) return t.data[offset];
    const inner = step / t.type.shape[axis]!;
    return Array.from({ length: t.type.shape[axis]! }, (_, i) => build(axis + 1, offset + i * inner, inner));
  };
  return build(0, 0, t.data.length);
}

/** A tensor from nested lists of numbers; the shape is read off the first elements. */
export function fromNested(value: unknown, dtype: DType = 'f32'): Tensor {
  const shape: number[] = [];
  for (let v = value; Array.isArray(v); v = v[0]) shape.push(v.length);
  return tensor(shape, (Array.isArray(value) ? value.flat(Number.POSITIVE_INFINITY) : [value]) as number[], dtype);
}

/** Largest |a - b|; NaN when the two differ in where they are NaN. */
export function maxDifference(a: Tensor, b: Tensor): number {
  if (a.data.length !== b.data.length) throw new RangeError('tensors of different sizes');
  let worst = 0;
  for (let i = 0; i < a.data.length; i++) {
    const p = a.data[i]!;
    const q = b.data[i]!;
    if (Object.is(p, q) || p === q) continue;
    const d = Math.abs(p - q);
    if (!(d <= worst)) worst = d;
    if (Number.isNaN(worst)) return worst;
  }
  return worst;
}
