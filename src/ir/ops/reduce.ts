/** Reductions along axes, and selection of the largest. */
import { allocate } from '../run/tensor.js';
import type { Tensor, TensorType, Value } from '../types.js';
import { type AttrsOfEach, axis, flag, number, numbers } from './attrs.js';
import type { OpDef } from './define.js';
import { lastAxis, traffic } from './define.js';
import * as derive from './derivatives/reduce.js';
import { refuse } from './errors.js';
import { strided } from './reference/strided.js';
import { floats, isNumber, needAxes, needAxis, needKnown, oneDType, showShape, sizeOf, stridesOf } from './shapes.js';

const REDUCED = { axes: numbers, keep: flag };

const ATTRS = {
  reduce_sum: REDUCED,
  reduce_mean: REDUCED,
  reduce_max: REDUCED,
  argmax: { axis },
  top_k: { k: number },
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

/** The reduced axes last, as [rows, columns] of a dense array. */
function rowsOf(x: Tensor, axes: readonly number[]): { data: Tensor['data']; rows: number; cols: number } {
  const shape = x.type.shape;
  const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...[...axes].sort((a, b) => a - b)];
  const cols = sizeOf(axes.map((a) => shape[a]!));
  const rows = sizeOf(shape) / cols;
  if (order.every((a, i) => a === i)) return { data: x.data, rows, cols };
  const strides = stridesOf(shape);
  const type: TensorType = { dtype: x.type.dtype, shape: order.map((a) => shape[a]!) };
  return {
    data: strided(
      x,
      type,
      0,
      order.map((a) => strides[a]!),
    ).data,
    rows,
    cols,
  };
}

function reducedShape(shape: readonly number[], axes: readonly number[], keep: boolean): number[] {
  const out: number[] = [];
  shape.forEach((d, i) => {
    if (!axes.includes(i)) out.push(d);
    else if (keep) out.push(1);
  });
  return out;
}

type Reduction = 'reduce_sum' | 'reduce_mean' | 'reduce_max';

const REDUCTION = {
  pointwise: false,
  known: null,
  moves: null,
  linear: null,
  channels: null,
  holds: null,
  erased: false,
} as const;

function reduction<O extends Reduction>(
  doc: string,
  dtypeOf: (inputs: readonly Value[]) => TensorType['dtype'],
  row: (data: Tensor['data'], from: number, to: number) => number,
  derivative: OpDef<O>['derivative'],
) {
  const def = {
    family: 'reduction',
    doc,
    operands: [{ name: 'x' }],
    attrs: REDUCED,
    traits: REDUCTION,
    mixes: ({ attrs }) => (attrs.keep ? attrs.axes : null),
    type: (inputs, { axes, keep }) => {
      const shape = inputs[0]!.type.shape;
      if (axes.length === 0) refuse('no axes to reduce');
      needAxes(axes, shape);
      return { dtype: dtypeOf(inputs), shape: reducedShape(shape, axes, keep) };
    },
    reference: ([x], { axes }, type) => {
      const { data, rows, cols } = rowsOf(x!, axes);
      const out = allocate(type.dtype, rows);
      for (let r = 0; r < rows; r++) out[r] = row(data, r * cols, (r + 1) * cols);
      return { type, data: out };
    },
    cost: (inputs, _attrs, result) => ({ flops: sizeOf(inputs[0]!.shape), bytes: traffic(inputs, result) }),
    decompose: null,
  } satisfies Omit<OpDef<Reduction>, 'derivative'>;
  return { ...def, derivative };
}

const sumRow = (data: Tensor['data'], from: number, to: number): number => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += data[i]!;
  return sum;
};
const anyNumber = (inputs: readonly Value[]): TensorType['dtype'] => oneDType(inputs, isNumber, 'a number');

export const reduce_sum = {
  ...reduction<'reduce_sum'>('The sum over `axes`, which stay as 1 if `keep`.', anyNumber, sumRow, derive.reduce_sum),
  traits: { ...REDUCTION, linear: 'jointly' },
} satisfies OpDef<'reduce_sum'>;

export const reduce_mean = {
  ...reduction<'reduce_mean'>(
    'The mean over `axes`.',
    floats,
    (d, from, to) => sumRow(d, from, to) / (to - from),
    derive.reduce_mean,
  ),
  traits: { ...REDUCTION, linear: 'jointly' },
  decompose: (b, [x], { axes, keep }) => {
    return derive.meanOf(b, b.sum(x!, axes, keep), sizeOf(axes.map((a) => x!.type.shape[a]!)));
  },
} satisfies OpDef<'reduce_mean'>;

export const reduce_max = reduction<'reduce_max'>(
  'The largest over `axes`; NaN if one is.',
  anyNumber,
  (d, from, to) => {
    let best = d[from]!;
    for (let i = from + 1; i < to; i++) if (d[i]! > best || Number.isNaN(d[i]!)) best = d[i]!;
    return best;
  },
  derive.reduce_max,
);

export const argmax = {
  family: 'reduction',
  doc: 'The index (i32) of the largest along `axis`, the first of equal ones; the axis goes away.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.argmax,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: (inputs, { axis }) => {
    const shape = inputs[0]!.type.shape;
    oneDType(inputs, isNumber, 'a number');
    needAxis(axis, shape);
    return { dtype: 'i32', shape: reducedShape(shape, [axis], false) };
  },
  reference: ([x], { axis }, type) => {
    const { data, rows, cols } = rowsOf(x!, [axis]);
    const out = allocate('i32', rows);
    for (let r = 0; r < rows; r++) {
      let best = 0;
      for (let c = 1; c < cols; c++) if (data[r * cols + c]! > data[r * cols + best]!) best = c;
      out[r] = best;
    }
    return { type, data: out };
  },
  cost: (inputs, _attrs, result) => ({ flops: sizeOf(inputs[0]!.shape), bytes: traffic(inputs, result) }),
  decompose: null,
  derivative: 'none', // whole numbers
  inSpecs: { defaults: { axis: -1 } },
} satisfies OpDef<'argmax'>;

const topType = (inputs: readonly Value[], k: number): number[] => {
  const shape = inputs[0]!.type.shape;
  oneDType(inputs, isNumber, 'a number');
  const n = shape.at(-1);
  if (n === undefined) refuse('a scalar has no last axis', 0);
  needKnown(shape.length - 1, shape);
  if (!Number.isInteger(k) || k < 1 || k > n)
    refuse(`${k} of the ${n} elements on the last axis of ${showShape(shape)}`, 0);
  return [...shape.slice(0, -1), k];
};

/** For each row, the positions of its k largest, descending, ties by index. */
function topIndices(x: Tensor, k: number): Int32Array {
  const n = x.type.shape.at(-1)!;
  const rows = x.data.length / n;
  const out = new Int32Array(rows * k);
  for (let r = 0; r < rows; r++) {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    order.sort((a, b) => x.data[r * n + b]! - x.data[r * n + a]! || a - b);
    out.set(order.subarray(0, k), r * k);
  }
  return out;
}

export const top_k = {
  family: 'reduction',
  doc: 'The k largest along the last axis, descending, ties by index.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.top_k,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: lastAxis,
  type: (inputs, { k }) => ({ dtype: inputs[0]!.type.dtype, shape: topType(inputs, k) }),
  reference: ([x], { k }, type) => {
    const n = x!.type.shape.at(-1)!;
    const at = topIndices(x!, k);
    const out = allocate(type.dtype, at.length);
    for (let i = 0; i < at.length; i++) out[i] = x!.data[Math.floor(i / k) * n + at[i]!]!;
    return { type, data: out };
  },
  aux: {
    indices: {
      doc: 'Positions of the largest on the last axis (i32).',
      type: (inputs, { k }) => ({ dtype: 'i32', shape: topType(inputs, k) }),
      reference: ([x], { k }, type) => ({ type, data: topIndices(x!, k) }),
      decompose: null,
    },
  },
  cost: (inputs, { k }, result) => ({
    flops: sizeOf(inputs[0]!.shape) * Math.ceil(Math.log2(k + 1)),
    bytes: traffic(inputs, result),
  }),
  decompose: null,
  derivative: derive.top_k,
} satisfies OpDef<'top_k'>;
