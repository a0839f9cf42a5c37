/**
 * Sorting of indices and sums in sorted order: how what was gathered is put back (`scatter_add`) with a fixed order of additions, so that results
 * repeat to the bit. WGSL has no float atomics, and would not repeat with them.
 */
import { isBatch, showSize } from '../batch.js';
import { allocate } from '../run/tensor.js';
import type { TensorType, Value } from '../types.js';
import { type AttrsOfEach, axis, flag, number } from './attrs.js';
import { decomposeArgsort, decomposeScatter } from './decompose/scatter.js';
import { type OpDef, type Traits, traffic } from './define.js';
import * as derive from './derivatives/sort.js';
import { DataError, refuse, refuseType } from './errors.js';
import { mergedOrder, sortedOrder } from './reference/sort.js';
import { floats, isInteger, needAxis, needKnown, needRank, oneDType, sameShape, showShape, sizeOf } from './shapes.js';

const ATTRS = {
  argsort: {},
  merge_order: { run: number },
  searchsorted: { right: flag },
  segment_sum: { axis },
  scatter_add: { axis, size: number },
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

const ORDERS = {
  pointwise: false,
  known: null,
  moves: null,
  linear: null,
  channels: null,
  holds: null,
  erased: false,
} satisfies Traits;

const SUMS = { ...ORDERS, linear: [0] } satisfies Traits;

const integers = (inputs: readonly Value[], first = 0): void => {
  oneDType(inputs, isInteger, 'i32 or u32', first);
};

/** An order of the last axis. */
const orderOf = (x: Value): TensorType => {
  const { shape } = x.type;
  if (shape.length === 0) refuse('a scalar has no last axis', 0);
  needKnown(shape.length - 1, shape);
  return { dtype: 'i32', shape };
};

export const argsort = {
  family: 'reduction',
  doc: 'The places (i32) of the last axis in the order of their elements, ascending; of equal ones the first comes first.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.argsort,
  traits: ORDERS,
  mixes: ({ type }) => [type.shape.length - 1],
  type: (inputs) => {
    integers(inputs);
    return orderOf(inputs[0]!);
  },
  reference: ([x], _attrs, type) => ({ type, data: sortedOrder(x!.data, type.shape.at(-1)!) }),
  cost: (inputs, _attrs, result) => {
    const turns = Math.ceil(Math.log2(result.shape.at(-1)!));
    return { flops: sizeOf(result.shape) * turns * turns, bytes: turns * traffic(inputs, result) };
  },
  decompose: decomposeArgsort,
  derivative: 'none', // whole numbers
} satisfies OpDef<'argsort'>;

export const merge_order = {
  family: 'reduction',
  doc: 'One turn of a merge sort: `order` holds places of the last axis of x, in runs of `run` that are sorted; the runs are merged two by two. Of equal elements those of the first run come first.',
  operands: [{ name: 'x' }, { name: 'order' }],
  attrs: ATTRS.merge_order,
  traits: ORDERS,
  mixes: ({ type }) => [type.shape.length - 1],
  type: (inputs, { run }) => {
    const [x, order] = inputs as readonly [Value, Value];
    integers([x]);
    if (order.type.dtype !== 'i32') refuseType(`the order is ${order.type.dtype}, where i32 is wanted`, 1);
    const type = orderOf(x);
    if (!sameShape(order.type.shape, type.shape)) {
      refuse(`x ${showShape(type.shape)} and the order ${showShape(order.type.shape)} differ`, 0, 1);
    }
    if (!Number.isInteger(run) || run < 1 || run >= type.shape.at(-1)!) {
      refuse(`runs of ${run} in ${type.shape.at(-1)} elements`);
    }
    return type;
  },
  reference: ([x, order], { run }, type) => ({
    type,
    data: mergedOrder(x!.data, order!.data, type.shape.at(-1)!, run),
  }),
  cost: (inputs, { run }, result) => ({
    flops: sizeOf(result.shape) * Math.ceil(Math.log2(run + 1)),
    bytes: traffic(inputs, result),
  }),
  decompose: null,
  derivative: 'none', // whole numbers
} satisfies OpDef<'merge_order'>;

export const searchsorted = {
  family: 'reduction',
  doc: 'How many elements (i32) of `sorted`, which ascends, are below each value; with `right` those that equal it count too.',
  operands: [{ name: 'sorted' }, { name: 'values' }],
  attrs: ATTRS.searchsorted,
  traits: ORDERS,
  mixes: () => null,
  type: (inputs) => {
    needRank(inputs, 0, 1, 'what is searched');
    needKnown(0, inputs[0]!.type.shape);
    integers(inputs);
    return { dtype: 'i32', shape: inputs[1]!.type.shape };
  },
  reference: ([sorted, values], { right }, type) => {
    const out = new Int32Array(values!.data.length);
    for (let i = 0; i < out.length; i++) {
      let low = 0;
      for (let high = sorted!.data.length; low < high; ) {
        const middle = (low + high) >> 1;
        const before = right ? sorted!.data[middle]! <= values!.data[i]! : sorted!.data[middle]! < values!.data[i]!;
        if (before) low = middle + 1;
        else high = middle;
      }
      out[i] = low;
    }
    return { type, data: out };
  },
  cost: (inputs, _attrs, result) => ({
    flops: sizeOf(result.shape) * Math.ceil(Math.log2(inputs[0]!.shape[0]! + 1)),
    bytes: traffic(inputs, result),
  }),
  decompose: null,
  derivative: 'none', // whole numbers
} satisfies OpDef<'searchsorted'>;

export const segment_sum = {
  family: 'reduction',
  doc: 'Along `axis` the sums of neighbours: place i is the sum from starts[i] to before starts[i + 1], in that order. The starts ascend from 0 to the axis’ size.',
  operands: [{ name: 'x' }, { name: 'starts' }],
  attrs: ATTRS.segment_sum,
  traits: SUMS,
  mixes: ({ attrs }) => [attrs.axis],
  type: ([x, starts], { axis }) => {
    const dtype = floats([x!]);
    const { shape } = x!.type;
    needAxis(axis, shape);
    needKnown(axis, shape);
    const [count] = needRank([x!, starts!], 1, 1, 'the starts') as [number];
    if (starts!.type.dtype !== 'i32') refuseType(`the starts are ${starts!.type.dtype}, where i32 is wanted`, 1);
    if (count < 2 || isBatch(count)) refuse(`${showShape([count])} starts are no segments`, 1);
    return { dtype, shape: shape.map((d, i) => (i === axis ? count - 1 : d)) };
  },
  reference: ([x, starts], { axis }, type) => {
    const { shape } = x!.type;
    const size = shape[axis]!;
    const inner = sizeOf(shape.slice(axis + 1));
    const outer = sizeOf(shape.slice(0, axis));
    const segments = type.shape[axis]!;
    const at = starts!.data;
    if (at[0] !== 0 || at[segments] !== size || at.some((n, i) => i > 0 && n < at[i - 1]!)) {
      throw new DataError('segment_sum', `the starts do not ascend from 0 to ${size}`);
    }
    const out = allocate(type.dtype, sizeOf(type.shape));
    for (let o = 0; o < outer; o++) {
      for (let s = 0; s < segments; s++) {
        const to = (o * segments + s) * inner;
        for (let i = at[s]!; i < at[s + 1]!; i++) {
          const from = (o * size + i) * inner;
          for (let j = 0; j < inner; j++) out[to + j]! += x!.data[from + j]!;
        }
      }
    }
    return { type, data: out };
  },
  cost: (inputs, _attrs, result) => ({ flops: sizeOf(inputs[0]!.shape), bytes: traffic(inputs, result) }),
  decompose: null,
  derivative: derive.segment_sum,
} satisfies OpDef<'segment_sum'>;

export const scatter_add = {
  family: 'reduction',
  doc: 'The transpose of `gather`: zeros, `size` of them on `axis`, to which each update is added at its index, those of one index in their order. An index out of range is an error.',
  operands: [{ name: 'updates' }, { name: 'indices' }],
  attrs: ATTRS.scatter_add,
  traits: SUMS,
  mixes: ({ inputs, attrs }) => (inputs[1]!.type.shape.length === 1 ? [attrs.axis] : null),
  type: ([updates, indices], { axis, size }) => {
    const dtype = floats([updates!]);
    integers([updates!, indices!], 1);
    const { shape } = updates!.type;
    const own = indices!.type.shape;
    if (!Number.isInteger(axis) || axis < 0 || axis + own.length > shape.length) {
      refuse(`indices ${showShape(own)} do not stand at axis ${axis} of ${showShape(shape)}`, 0, 1);
    }
    if (!sameShape(shape.slice(axis, axis + own.length), own)) {
      refuse(
        `from axis ${axis} on, the updates ${showShape(shape)} have other axes than the indices ${showShape(own)}`,
        0,
        1,
      );
    }
    if (!Number.isInteger(size) || size < 1 || isBatch(size)) refuse(`an axis of ${showSize(size)}`);
    return { dtype, shape: [...shape.slice(0, axis), size, ...shape.slice(axis + own.length)] };
  },
  reference: ([updates, indices], { axis, size }, type) => {
    const count = indices!.data.length;
    const inner = sizeOf(type.shape.slice(axis + 1));
    const outer = sizeOf(type.shape.slice(0, axis));
    const out = allocate(type.dtype, sizeOf(type.shape));
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < count; i++) {
        const index = indices!.data[i]!;
        if (index < 0 || index >= size) {
          throw new DataError('scatter_add', `index ${index} is outside an axis of ${size}`);
        }
        const from = (o * count + i) * inner;
        const to = (o * size + index) * inner;
        for (let j = 0; j < inner; j++) out[to + j]! += updates!.data[from + j]!;
      }
    }
    return { type, data: out };
  },
  cost: (inputs, _attrs, result) => ({ flops: sizeOf(inputs[0]!.shape), bytes: traffic(inputs, result) }),
  decompose: decomposeScatter,
  derivative: derive.scatter_add,
  inSpecs: { defaults: { axis: 0 } },
} satisfies OpDef<'scatter_add'>;
