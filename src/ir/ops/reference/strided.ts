/** Copies between a dense tensor and a strided region of another: what transpose, slice and pad are. */
import { allocate } from '../../run/tensor.js';
import type { Elements, Tensor, TensorType } from '../../types.js';
import { sizeOf } from '../shapes.js';

/** Visits the rows (all axes but the last) of `shape`, giving each row's start under `strides`. */
function eachRow(
  shape: readonly number[],
  offset: number,
  strides: readonly number[],
  visit: (start: number) => void,
): void {
  const axes = Math.max(shape.length - 1, 0);
  const index = new Array<number>(axes).fill(0);
  const rows = sizeOf(shape.slice(0, axes));
  let at = offset;
  for (let r = 0; r < rows; r++) {
    visit(at);
    for (let a = axes - 1; a >= 0; a--) {
      index[a]!++;
      at += strides[a]!;
      if (index[a]! < shape[a]!) break;
      at -= index[a]! * strides[a]!;
      index[a] = 0;
    }
  }
}

/** A dense copy of the elements of `x` at `offset + sum of index·strides`, with the given type. */
export function strided(x: Tensor, type: TensorType, offset: number, strides: readonly number[]): Tensor {
  const out = allocate(type.dtype, sizeOf(type.shape));
  const from = x.data;
  const width = type.shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 1;
  let to = 0;
  eachRow(type.shape, offset, strides, (start) => {
    if (step === 1) {
      out.set(from.subarray(start, start + width), to);
      to += width;
    } else {
      for (let i = 0, at = start; i < width; i++, at += step) out[to++] = from[at]!;
    }
  });
  return { type, data: out };
}

/** Writes the dense `x` into `out` at `offset + sum of index·strides`. The last stride is 1. */
export function copyBlock(x: Tensor, out: Elements, offset: number, strides: readonly number[]): void {
  const width = x.type.shape.at(-1) ?? 1;
  let from = 0;
  eachRow(x.type.shape, offset, strides, (start) => {
    out.set(x.data.subarray(from, from + width), start);
    from += width;
  });
}
