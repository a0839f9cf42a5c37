/** Tensors that are known: their elements by place, broadcasting, and what their types hold. */

import { fromBfloat, toBfloat } from '../../../../formats/tensors/float16.js';
import { isBatch } from '../../../../ir/batch.js';
import { fromHalf, toHalf } from '../../../../ir/run/half.js';
import type { Known, OnnxNode, OnnxType } from '../../rule.js';
import { isFloat, narrow, product } from '../text.js';

/** 2^63 - 1 as a double, which is what INT64_MAX is read as: an end of a slice. */
const BEYOND = 2 ** 63;

const RANGES: Partial<Record<OnnxType, readonly [least: number, most: number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-BEYOND, BEYOND],
  uint64: [0, 2 ** 64],
  bool: [0, 1],
};

/** The nearest float of that many bits, ties to even. */
function rounded(dtype: OnnxType, value: number): number {
  if (dtype === 'double') return value;
  if (dtype === 'float16') return fromHalf(toHalf(value));
  return dtype === 'bfloat16' ? fromBfloat(toBfloat([value]))[0]! : Math.fround(value);
}

/** An element that was worked out: whole where its type is, in its range, and exact. */
export function element(n: OnnxNode, dtype: OnnxType, value: number): number {
  // The number that stands for the batch is no f32; as a float too it stands for the batch.
  if (isFloat(dtype)) return isBatch(value) ? value : rounded(dtype, value);
  const held = narrow(dtype);
  const [least, most] = held ? [held.least, held.most] : RANGES[dtype]!;
  if (!(value >= least && value <= most)) return n.fail(`comes to ${value}, which is no ${dtype}`);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return n.fail(`comes to ${value}, beyond what is exact here`);
  return value;
}

export const known = (dtype: OnnxType, shape: readonly number[], data: ArrayLike<number>): Known => ({
  dtype,
  shape,
  data,
});

/** An operand that no node of this operator can do without. */
export const needed = (n: OnnxNode, x: Known | undefined): Known => x ?? n.fail('leaves out an operand that it needs');

/** So many elements are worked out at once; what is larger, or as long as the batch, is a part of the program. */
const MOST = 1 << 20;
export const isLong = (shape: readonly number[]): boolean => shape.some(isBatch) || product(shape) > MOST;

/** Where the element of a result's place stands in an operand that broadcasts to it. */
export function reader(x: Known, shape: readonly number[]): (flat: number) => number {
  const data = x.data;
  if (data.length === 1) return () => data[0]!;
  const lead = shape.length - x.shape.length;
  return (flat) => {
    let [rest, place, step] = [flat, 0, 1];
    for (let i = shape.length - 1; i >= 0; i--) {
      const at = rest % shape[i]!;
      rest = Math.floor(rest / shape[i]!);
      const own = i < lead ? 1 : x.shape[i - lead]!;
      if (own !== 1) place += at * step;
      step *= own;
    }
    return data[place]!;
  };
}

export function broadcast(n: OnnxNode, inputs: readonly Known[]): number[] {
  const rank = Math.max(...inputs.map((x) => x.shape.length));
  return Array.from({ length: rank }, (_, i) => {
    const own = inputs.map((x) => x.shape[i - rank + x.shape.length] ?? 1);
    const wide = own.find((d) => d !== 1) ?? 1;
    return own.every((d) => d === 1 || d === wide) ? wide : n.fail(`has operands of shapes that do not go together`);
  });
}

/** Element by element. */
export function map(n: OnnxNode, inputs: readonly Known[], dtype: OnnxType, f: (...x: number[]) => number): Known {
  const shape = broadcast(n, inputs);
  const readers = inputs.map((x) => reader(x, shape));
  const data = Array.from({ length: product(shape) }, (_, i) => element(n, dtype, f(...readers.map((r) => r(i)))));
  return known(dtype, shape, data);
}

/** Of multiples of the batch only some calculations are known for every batch; the others are refused. */
export function refuseBatch(n: OnnxNode): never {
  return n.fail('works with the number of samples, which is not known before it runs');
}
