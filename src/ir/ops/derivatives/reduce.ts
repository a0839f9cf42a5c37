/** Reverse mode for reductions and selection. */
import { isBatch, perSample } from '../../batch.js';
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';
import { sizeOf } from '../shapes.js';
import { ofValue } from './rule.js';

/** A reduced value with its axes kept as 1, so that it broadcasts against what it was reduced from. */
function kept(b: Builder, v: Value, x: Value, axes: readonly number[]): Value {
  return b.reshape(
    v,
    x.type.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
  );
}

export const reduce_sum = ofValue<'reduce_sum'>((b, { inputs: [x], attrs: { axes } }, dy) => [
  () => b.broadcast(kept(b, dy, x!, axes), x!.type.shape),
]);

/** How many elements a mean is over: a number, or one of the run. */
export function meanOf(b: Builder, x: Value, count: number): Value {
  return isBatch(count) ? b.div(x, b.mul(b.batchSize(), perSample(count))) : b.mul(x, 1 / count);
}

export const reduce_mean = ofValue<'reduce_mean'>((b, { inputs: [x], attrs: { axes } }, dy) => [
  () => {
    const share = meanOf(b, dy, sizeOf(axes.map((a) => x!.type.shape[a]!)));
    return b.broadcast(kept(b, share, x!, axes), x!.type.shape);
  },
]);

/** The largest get the cotangent in equal parts, as with PyTorch's `amax`. */
export const reduce_max = ofValue<'reduce_max'>((b, y, dy) => [
  () => {
    const x = y.inputs[0]!;
    const { axes } = y.attrs;
    const largest = b.cast(b.eq(x, kept(b, y, x, axes)), x.type.dtype);
    return b.mul(largest, b.div(kept(b, dy, x, axes), b.sum(largest, axes, true)));
  },
]);

/** Each of the k gives its cotangent to the place that it was found at. */
export const top_k = ofValue<'top_k'>((b, y, dy) => [
  () => {
    const { shape } = y.inputs[0]!.type;
    const column = (v: Value): Value => b.reshape(v, [...v.type.shape, 1]);
    const places = b.iota([shape.at(-1)!], 0);
    const parts = b.select(b.eq(column(b.aux(y, 'indices')), places), column(dy), 0);
    return b.sum(parts, [shape.length - 1]);
  },
]);
