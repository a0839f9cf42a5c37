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
