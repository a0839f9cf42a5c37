/** From a row-major tensor to the bytes that kernels read, by the buffer's layout, and back. Packed once, when weights are loaded. */
import { HALF_MAX, toHalf } from '../../ir/run/half.js';
import { capacity, eachRun, type Layout } from './layout.js';

/** What an element is stored as. */
export type Storage = 'f32' | 'f16';

export const storageBytes = (dtype: Storage): number => (dtype === 'f32' ? 4 : 2);

/** Bytes of a packed tensor. */
export function packedBytes(at: Layout, dtype: Storage): number {
  return capacity(at) * storageBytes(dtype);
}

/** A finite weight lies outside the range of f16 storage. */
export class HalfOverflow extends RangeError {
  constructor(
    readonly coords: readonly number[],
    readonly value: number,
  ) {
    super(`weight[${coords.join(', ')}] = ${value} does not fit f16, whose largest value is ${HALF_MAX}`);
    this.name = 'HalfOverflow';
  }
}

/** @throws RangeError if the tensor has another number of elements than the layout's shape. */
function checkCount(count: number, { shape }: Layout): void {
  const wanted = shape.reduce((n, d) => n * d, 1);
  if (count !== wanted) throw new RangeError(`a tensor of [${shape.join(', ')}] has ${wanted} elements, not ${count}`);
}

/**
 * Packs a row-major tensor; what pads it is 0.
 * @param shape That an error names an element by, where the layout sees the tensor in another one
 * @throws HalfOverflow if `dtype` is f16 and a finite number rounds to infinity.
 * @throws RangeError if the tensor has another number of elements than the layout's shape.
 */
export function pack(
  tensor: ArrayLike<number>,
  at: Layout,
  dtype: Storage,
  shape: readonly number[] = at.shape,
): Uint8Array {
  checkCount(tensor.length, at);
  const bytes = new Uint8Array(packedBytes(at, dtype));
  if (dtype === 'f32') {
    const out = new Float32Array(bytes.buffer);
    eachRun(at, (from, step, place, count) => {
      for (let i = 0, x = from; i < count; i++, x += step) out[place + i] = tensor[x]!;
    });
    return bytes;
  }
  const out = new Uint16Array(bytes.buffer);
  eachRun(at, (from, step, place, count) => {
    for (let i = 0, x = from; i < count; i++, x += step) {
      const value = tensor[x]!;
      const half = toHalf(value);
      if ((half & 0x7fff) === 0x7c00 && Number.isFinite(value)) throw new HalfOverflow(coordsIn(shape, x), value);
      out[place + i] = half;
    }
  });
  return bytes;
}

function coordsIn(shape: readonly number[], flat: number): number[] {
  return shape.map((d, axis) => Math.floor(flat / shape.slice(axis + 1).reduce((n, x) => n * x, 1)) % d);
}
