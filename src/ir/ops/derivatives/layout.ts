/** Reverse mode for the layout operators: each is linear, and its rule is its transpose. */
import { isBatch } from '../../batch.js';
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';
import { scatterByProduct } from '../decompose/scatter.js';
import { ofValue, sumTo } from './rule.js';

export const reshape = ofValue<'reshape'>((b, { inputs: [x] }, dy) => [() => b.reshape(dy, x!.type.shape)]);

export const transpose = ofValue<'transpose'>((b, { attrs: { perm } }, dy) => [
  () =>
    b.transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
]);

export const broadcast = ofValue<'broadcast'>((b, { inputs: [x] }, dy) => [() => sumTo(b, dy, x!.type.shape)]);

/** Zeros before and after `x` on one axis. Along the batch, to which nothing is padded, they are tensors of their own. */
function zerosAround(b: Builder, x: Value, axis: number, before: number, after: number): Value {
  const only = (n: number): number[] => x.type.shape.map((_, i) => (i === axis ? n : 0));
  if (!isBatch(x.type.shape[axis]!)) return b.pad(x, only(before), only(after));
  const zeros = (n: number): Value[] =>
    n === 0
      ? []
      : [
          b.constant(
            0,
            x.type.dtype,
            x.type.shape.map((d, i) => (i === axis ? n : d)),
          ),
        ];
  return b.concat([...zeros(before), x, ...zeros(after)], axis);
}

export const slice = ofValue<'slice'>((b, { inputs: [x], attrs: { start, end } }, dy) => [
  () => start.reduce((y, from, axis) => zerosAround(b, y, axis, from, x!.type.shape[axis]! - end[axis]!), dy),
]);

export const concat = ofValue<'concat'>((b, { inputs, attrs: { axis } }, dy) => {
  let end = 0;
  return inputs.map((x) => {
    const from = end;
    end += x.type.shape[axis]!;
    const to = end;
    return () => b.sliceAxis(dy, axis, from, to);
  });
});

export const pad = ofValue<'pad'>((b, { inputs: [x], attrs: { low } }, dy) => [
  () =>
    b.slice(
      dy,
      low,
      low.map((n, i) => n + x!.type.shape[i]!),
    ),
]);

export const roll = ofValue<'roll'>((b, { attrs: { shifts, axes } }, dy) => [
  () =>
    b.roll(
      dy,
      shifts.map((n) => -n),
      axes,
    ),
]);

export const reverse = ofValue<'reverse'>((b, { attrs: { axes } }, dy) => [() => b.reverse(dy, axes)]);

/** Each element of x gets the sum over the places that its index was given for. */
export const gather = ofValue<'gather'>((b, { inputs: [x, indices], attrs: { axis } }, dy) => [
  () => {
    const size = x!.type.shape[axis]!;
    return isBatch(size) ? scatterByProduct(b, dy, indices!, axis, size) : b.scatterAdd(dy, indices!, axis, size);
  },
]);
