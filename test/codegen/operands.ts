/** Operands on which operators are hard: extreme and equal numbers, masks, wide rows, places that are named never or often. */
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import { type Model, random } from './harness.js';

export const positive = (shape: readonly number[]): Tensor => {
  const next = random(9);
  const n = shape.reduce((a, b) => a * b, 1);
  return tensor(
    shape,
    Float32Array.from({ length: n }, () => Math.abs(next()) * 3 + 0.1),
  );
};
export const filled = (shape: readonly number[], value: number): Tensor =>
  tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value));
/** Rows of huge numbers, of equal ones, and partly of -inf. */
export const extreme = ([rows, n]: readonly [number, number]): Tensor =>
  tensor(
    [rows, n],
    Float32Array.from(
      { length: rows * n },
      (_, i) => [1e4 * Math.sin(i), 7, -1e30, i % 3 ? -Infinity : i][Math.floor(i / n)]!,
    ),
  );
/** A mask of -inf over all keys but the last ones. */
export const keys = (masked: number): Tensor =>
  tensor(
    [90],
    Float32Array.from({ length: 90 }, (_, i) => (i < masked ? -Infinity : 0)),
  );
export const wide = (shape: readonly number[]): Tensor => {
  const next = random(7);
  const n = shape.reduce((a, b) => a * b, 1);
  return tensor(
    shape,
    Float32Array.from({ length: n }, () => next() * 12),
  );
};

/** Whole numbers at the ends of what there is. */
export const EXTREMES = Int32Array.of(2147483647, -2147483648, -1, 0, 1, 7, -7, 65536);

export const whole = (...numbers: readonly number[]): Tensor =>
  tensor([numbers.length], Int32Array.from(numbers), 'i32');
export const sorted = whole(-8, -3, -3, 0, 4, 9);
/** Places below 5, some of them never, some often. */
export const places = (...shape: readonly number[]): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return tensor(
    shape,
    Int32Array.from({ length: n }, (_, i) => (i * i + 3) % 5),
    'i32',
  );
};

/** What rounds to halves in every way, both signs. */
export const halves = tensor(
  [16],
  Float32Array.of(
    ...[1 + 2 ** -11, 1 + 3 * 2 ** -11, -0.1, 65519, -65520, 1e9, 2 ** -14 - 2 ** -26, 2 ** -24],
    ...[2 ** -25, -3 * 2 ** -25, 1e-6, -1e-9, 0, 2049, 2051, 1e-30],
  ),
);
export const thousands = whole(0, 2049, 2051, -4098, 70000, -70000, 65519, 65504);

/** Any u32, unlike the numbers of `randomTensor`. */
export const randomKey = (m: Model): Value =>
  m.input([2], 'u32', tensor([2], Uint32Array.of(0x9e3779b9, 0xfedcba98), 'u32'));
