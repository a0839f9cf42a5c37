/** Concrete tensors: making, converting, comparing. Floats in Float64Array or Float32Array, i32, u32, bool as bytes of 0 and 1. */
import { sizeOf } from '../ops/shapes.js';
import type { DType, Elements, Tensor } from '../types.js';

/** An array of zeros that fits the dtype; floats get Float64Array, in which the reference computes. */
export function allocate(dtype: DType, size: number): Elements {
  switch (dtype) {
    case 'i32':
      return new Int32Array(size);
    case 'u32':
      return new Uint32Array(size);
    case 'bool':
      return new Uint8Array(size);
    default:
      return new Float64Array(size);
  }
}

/**
 * A tensor over `data`, which is kept as it is when it is a typed array.
 * @throws RangeError when the number of elements is not the shape's.
 */
export function tensor(shape: readonly number[], data: Elements | readonly number[], dtype: DType = 'f32'): Tensor {
  const size = sizeOf(shape);
  if (data.length !== size) throw new RangeError(`[${shape.join(', ')}] holds ${size} elements, not ${data.length}`);
  let elements: Elements;
  if (ArrayBuffer.isView(data)) elements = data as Elements;
  else {
    elements = allocate(dtype, size);
    elements.set(data as readonly number[]);
  }
  return { type: { dtype, shape }, data: elements };
}

export function zeros(shape: readonly number[], dtype: DType = 'f32'): Tensor {
  return { type: { dtype, shape }, data: allocate(dtype, sizeOf(shape)) };
}

export function full(shape: readonly number[], value: number, dtype: DType = 'f32'): Tensor {
  const t = zeros(shape, dtype);
  t.data.fill(value);
  return t;
}

/** The same elements as Float32Array (shared when they already are). */
export function toFloat32(t: Tensor): Float32Array {
  return t.data instanceof Float32Array ? t.data : new Float32Array(t.data);
}

/** The same elements as Float64Array (shared when they already are). */
export function toFloat64(t: Tensor): Float64Array {
  return t.data instanceof Float64Array ? t.data : new Float64Array(t.data);
}

/** Nested lists, for messages and tests. */
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
