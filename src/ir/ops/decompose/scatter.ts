/** scatter_add as what it means: updates in the order of their indices, and the sums of neighbours with one index. */
import { hasBatch } from '../../batch.js';
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';
import type { Decomposition } from '../define.js';
import { sizeOf } from '../shapes.js';

/** A merge sort from the bottom: every element is a run, then runs of two, of four, ... */
export const decomposeArgsort: Decomposition<'argsort'> = (b, [x]) => {
  const { shape } = x!.type;
  let order = b.iota(shape, shape.length - 1);
  for (let run = 1; run < shape.at(-1)!; run *= 2) order = b.mergeOrder(x!, order, run);
  return order;
};

/** A product with the 0s and 1s that say which update has which index: for a number of places, or of indices, that is not known before the run. */
export function scatterByProduct(b: Builder, updates: Value, indices: Value, axis: number, size: number): Value {
  const { shape } = updates.type;
  const before = shape.slice(0, axis);
  const after = shape.slice(axis + indices.type.shape.length);
  const count = sizeOf(indices.type.shape);
  const places = b.reshape(indices, [1, count]);
  const has = b.cast(b.eq(b.iota([size, 1], 0, places.type.dtype), places), updates.type.dtype);
  const rows = b.reshape(updates, [...before, count, sizeOf(after)]);
  return b.reshape(b.matmul(has, rows), [...before, size, ...after]);
}

export const decomposeScatter: Decomposition<'scatter_add'> = (b, [updates, indices], { axis, size }) => {
  if (hasBatch(indices!.type.shape)) return scatterByProduct(b, updates!, indices!, axis, size);
  const { shape } = updates!.type;
  const count = sizeOf(indices!.type.shape);
  const places = b.reshape(indices!, [count]);
  const order = b.argsort(places);
  const starts = b.searchsorted(b.gather(places, order), b.iota([size + 1], 0, places.type.dtype));
  const flat = b.reshape(updates!, [...shape.slice(0, axis), count, ...shape.slice(axis + indices!.type.shape.length)]);
  return b.segmentSum(b.gather(flat, order, axis), starts, axis);
};
