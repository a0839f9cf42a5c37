/** Reverse mode for contractions: each is linear in every operand. */
import type { OpAttrs, Value } from '../../types.js';
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

type Window = Pick<OpAttrs['conv2d'], 'stride' | 'padding' | 'dilation' | 'groups'>;

const windowOf = ({ stride, padding, dilation, groups }: Window): Window => ({ stride, padding, dilation, groups });

/** What a convolution reads of an image, given what it made of it. The last rows and columns, which no step of the stride comes to, get nothing. */
function toImage(b: Builder, made: Value, weight: Value, image: readonly number[], attrs: Window): Value {
  const window = windowOf(attrs);
  const left = [0, 1].map((i) => {
    const { stride, padding, dilation } = attrs;
    return (
      (image[2 + i]! + padding[i]! + padding[i + 2]! - dilation[i]! * (weight.type.shape[2 + i]! - 1) - 1) % stride[i]!
    );
  }) as [number, number];
  return b.conv2dTranspose(made, weight, undefined, { ...window, output_padding: left });
}

const overPlaces = (b: Builder, dy: Value): Value => b.sum(dy, [0, 2, 3]);

const toWeight = (b: Builder, image: Value, made: Value, { type }: Value, attrs: Window): Value =>
  b.conv2dWeight(image, made, { ...windowOf(attrs), kernel: [type.shape[2]!, type.shape[3]!] });

export const conv2d = ofValue<'conv2d'>((b, { inputs: [x, weight], attrs }, dy) => [
  () => toImage(b, dy, weight!, x!.type.shape, attrs),
  () => toWeight(b, x!, dy, weight!, attrs),
  () => overPlaces(b, dy),
]);

export const conv2d_transpose = ofValue<'conv2d_transpose'>((b, { inputs: [x, weight], attrs }, dy) => [
  () => b.conv2d(dy, weight!, undefined, windowOf(attrs)),
  () => toWeight(b, dy, x!, weight!, attrs),
  () => overPlaces(b, dy),
]);

export const conv2d_weight = ofValue<'conv2d_weight'>((b, { inputs: [x, made], attrs }, dw) => [
  () => toImage(b, made!, dw, x!.type.shape, attrs),
  () => b.conv2d(x!, dw, undefined, windowOf(attrs)),
]);
