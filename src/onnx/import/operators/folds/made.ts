/** What is known of itself: constants, ranges, places of what is not 0, and sums over what is known. */
import { isBatch } from '../../../../ir/batch.js';
import { stridesOf } from '../../../../ir/ops/shapes.js';
import type { Fold, Folds } from '../../rule.js';
import { constantOf } from '../made.js';
import { axesOf, axisOf, product, range } from '../text.js';
import { element, isLong, known, needed, refuseBatch } from './known.js';

const constantOfShape: Fold = (n, inputs) => {
  const shape = Array.from(needed(n, inputs[0]).data, Number);
  const value = n.tensor('value') ?? known('float', [1], [0]);
  if (isLong(shape)) return [];
  return [known(value.dtype, shape, new Array<number>(product(shape)).fill(Number(value.data[0])))];
};

const counted: Fold = (n, inputs) => {
  const [start, end, step] = inputs.map((x) => Number(needed(n, x).data[0])) as [number, number, number];
  if ([start, end, step].some(isBatch)) return refuseBatch(n);
  if (step === 0) return n.fail('counts by steps of 0');
  const count = Math.max(0, Math.ceil((end - start) / step));
  if (isLong([count])) return n.fail(`counts ${count} numbers, which are too many`);
  const { dtype } = needed(n, inputs[0]);
  return [
    known(
      dtype,
      [count],
      range(count).map((i) => element(n, dtype, start + i * step)),
    ),
  ];
};

const nonZero: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const strides = stridesOf(x.shape);
  const places = range(product(x.shape)).filter((i) => x.data[i] !== 0);
  const rank = Math.max(1, x.shape.length);
  const data = range(rank).flatMap((axis) =>
    places.map((p) => (x.shape.length === 0 ? 0 : Math.floor(p / strides[axis]!) % x.shape[axis]!)),
  );
  return [known('int64', [rank, places.length], data)];
};

/** Products and sums of sizes, over all axes or some. */
const reduced =
  (since: number, start: number, step: (a: number, b: number) => number): Fold =>
  (n, inputs) => {
    const x = needed(n, inputs[0]);
    const rank = x.shape.length;
    const said = n.opset >= since ? (inputs[1] ? Array.from(inputs[1].data, Number) : []) : n.ints('axes', []);
    if (said.length === 0 && n.int('noop_with_empty_axes', 0) === 1) return [x];
    const axes = said.length > 0 ? axesOf(n, said, rank) : range(rank);
    const batches = Array.from(x.data).filter(isBatch).length;
    const multiplies = step(3, 2) === 6;
    if (batches > (multiplies ? 1 : 0)) return refuseBatch(n);
    const keep = n.int('keepdims', 1) === 1;
    const shape = x.shape.flatMap((d, i) => (axes.includes(i) ? (keep ? [1] : []) : [d]));
    const strides = stridesOf(x.shape);
    const kept = range(rank).filter((i) => !axes.includes(i));
    const own = stridesOf(kept.map((i) => x.shape[i]!));
    const data = new Array<number>(product(shape)).fill(start);
    range(product(x.shape)).forEach((flat) => {
      const to = kept.reduce((sum, axis, i) => sum + (Math.floor(flat / strides[axis]!) % x.shape[axis]!) * own[i]!, 0);
      data[to] = step(data[to]!, x.data[flat]!);
    });
    return [
      known(
        x.dtype,
        shape,
        data.map((v) => element(n, x.dtype, v)),
      ),
    ];
  };

/** 1 at a place of a new axis and 0 elsewhere, or two other values: exporters tile by it, so the batch may be one of them. */
const oneHot: Fold = (n, inputs) => {
  const [places, values] = [needed(n, inputs[0]), needed(n, inputs[2])];
  const depth = Number(needed(n, inputs[1]).data[0]);
  const rank = places.shape.length;
  const axis = axisOf(n, n.int('axis', -1), rank + 1);
  const inner = product(places.shape.slice(axis));
  const shape = [...places.shape.slice(0, axis), depth, ...places.shape.slice(axis)];
  const data = range(product(shape)).map((flat) => {
    const outer = Math.floor(flat / (depth * inner));
    const at = Number(places.data[outer * inner + (flat % inner)]);
    return Number(values.data[(at < 0 ? at + depth : at) === Math.floor(flat / inner) % depth ? 1 : 0]);
  });
  return [known(values.dtype, shape, data)];
};

export const MADE_FOLDS: Folds = {
  Constant: (n) => [constantOf(n)],
  ConstantOfShape: constantOfShape,
  Range: counted,
  OneHot: oneHot,
  NonZero: nonZero,
  Size: (n, inputs) => [known('int64', [], [product(needed(n, inputs[0]).shape)])],
  ReduceProd: reduced(18, 1, (a, b) => a * b),
  ReduceSum: reduced(13, 0, (a, b) => a + b),
  ReduceMax: reduced(18, Number.NEGATIVE_INFINITY, Math.max),
  ReduceMin: reduced(18, Number.POSITIVE_INFINITY, Math.min),
};
