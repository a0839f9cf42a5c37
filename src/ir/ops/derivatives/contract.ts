/** Reverse mode for contractions: each is linear in every operand. */
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';
import { sizeOf } from '../shapes.js';
import { ofValue, sumTo } from './rule.js';

/** All axes but the last as rows. */
const rows = (b: Builder, x: Value): Value => {
  const width = x.type.shape.at(-1)!;
  return b.reshape(x, [sizeOf(x.type.shape) / width, width]);
};

export const matmul = ofValue<'matmul'>((b, { inputs: [x, y] }, dy) => [
  () => sumTo(b, b.matmul(dy, b.matrixTranspose(y!)), x!.type.shape),
  () => {
    // One matrix for all: the sum over the leading axes is part of the product's.
    if (sizeOf(y!.type.shape.slice(0, -2)) > 1) {
      return sumTo(b, b.matmul(b.matrixTranspose(x!), dy), y!.type.shape);
    }
    const lead = dy.type.shape.slice(0, -2);
    const all = b.broadcast(x!, [...lead, ...x!.type.shape.slice(-2)]);
    return b.reshape(b.matmul(b.transpose(rows(b, all)), rows(b, dy)), y!.type.shape);
  },
]);

export const linear = ofValue<'linear'>((b, { inputs: [x, weight] }, dy) => [
  () => {
    const dx = b.matmul(rows(b, dy), weight!);
    return b.reshape(dx, x!.type.shape);
  },
  () => b.matmul(b.transpose(rows(b, dy)), rows(b, x!)),
  () => b.sum(rows(b, dy), [0]),
]);

export const kron = ofValue<'kron'>((b, { inputs: [x, y] }, dy) => {
  const [m, n] = x!.type.shape as [number, number];
  const [p, q] = y!.type.shape as [number, number];
  const blocks = b.reshape(dy, [m, p, n, q]);
  return [
    () => b.sum(b.mul(blocks, b.reshape(y!, [p, 1, q])), [1, 3]),
    () => b.sum(b.mul(blocks, b.reshape(x!, [m, 1, n, 1])), [0, 2]),
  ];
});
