/** Reads what parameters alone compute as a structured matrix, a diagonal or a shift. */

import type { Builder } from '../ops/builder.js';
import { type Linear, ruleIn } from '../ops/index.js';
import { sameShape } from '../ops/shapes.js';
import type { OpName, Value, ValueOf } from '../types.js';
import {
  cols,
  dense,
  diagonal,
  isIntricate,
  kron,
  type Matrix,
  MOST_LEVELS,
  product,
  rows,
  sum,
  transposed,
  withSource,
} from './matrix.js';

/** Whether the value needs an argument of its function, or their number, so that it is not computed from parameters alone. */
export const dependsOnInput = (value: Value): boolean => value.needsInput;

/** How a constant of parameters lies over a value of shape `shape`, seen along `axis`. */
export type Factor =
  | { readonly kind: 'scalar'; readonly value: Value }
  /** [shape[axis]] */
  | { readonly kind: 'channel'; readonly value: Value }
  /** It varies along another axis; of the rank of `shape`, broadcastable to it. */
  | { readonly kind: 'full'; readonly value: Value };

export function factorOf(b: Builder, value: Value, shape: readonly number[], axis: number): Factor {
  const core = value.op === 'broadcast' ? value.inputs[0]! : value;
  const own = core.type.shape;
  const offset = shape.length - own.length;
  const varies = own.map((d, i) => (d > 1 ? i + offset : -1)).filter((i) => i >= 0);
  if (varies.length === 0) return { kind: 'scalar', value: b.reshape(core, []) };
  if (varies.length === 1 && varies[0] === axis) return { kind: 'channel', value: b.reshape(core, [shape[axis] ?? 1]) };
  const rank = [...new Array<number>(offset).fill(1), ...own];
  return { kind: 'full', value: b.reshape(core, rank) };
}

/**
 * What was read with a builder, by value and levels: a value that is used twice on every level is not read 2^levels times. It ends with the
 * builder.
 */
const known = new WeakMap<Builder, Map<string, Matrix>>();

/**
 * A value [out, in] made of parameters, as a structured matrix. Whatever has no structure that is known is dense, and so is what lies
 * more than `levels` below. The matrix keeps `value` as its source, so that materialising it again is free.
 */
export function matrixOf(b: Builder, value: Value, levels = MOST_LEVELS): Matrix {
  if (levels === 0) return dense(value);
  const memo = known.get(b) ?? new Map<string, Matrix>();
  known.set(b, memo);
  const key = `${value.id} ${levels}`;
  const m = memo.get(key) ?? read(b, value, levels - 1);
  const made = isIntricate(m) ? dense(value) : withSource(m, value);
  memo.set(key, made);
  return made;
}

const isMatrix = (v: Value, shape: readonly number[]): boolean => sameShape(v.type.shape, shape);

/** The terms of a sum, those of its sums included, however many: adapters stack up in this form. */
function termsOf(b: Builder, value: Value, levels: number): Matrix[] {
  const terms: Matrix[] = [];
  const stack = [{ v: value, minus: false }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { v, minus } = next;
    const isSum = (v.op === 'add' || v.op === 'sub') && v.inputs.every((x) => isMatrix(x, value.type.shape));
    if (isSum) {
      stack.push({ v: v.inputs[1]!, minus: minus !== (v.op === 'sub') }, { v: v.inputs[0]!, minus });
      continue;
    }
    const m = matrixOf(b, v, levels);
    terms.push(minus ? product(b, diagonal(m.out, b.constant(-1)), m) : m);
  }
  return terms;
}

type Of = (v: Value) => Matrix;
/** The structure of a matrix, from those of the operands. */
type Reading<O extends OpName> = (b: Builder, value: ValueOf<O>, of: Of, levels: number) => Matrix;

/** A term that is broadcast has no structure of its own. */
const sumOf: Reading<'add' | 'sub'> = (b, value, _of, levels) =>
  value.inputs.every((x) => isMatrix(x, value.type.shape)) ? sum(b, termsOf(b, value, levels)) : dense(value);

/** Null: what it gives has no structure that forms know. */
const READINGS: { readonly [O in Linear]: Reading<O> | null } = {
  add: sumOf,
  sub: sumOf,
  neg: (b, value, of) => product(b, diagonal(value.type.shape[0]!, b.constant(-1)), of(value.inputs[0]!)),
  mul: (b, value, of) => {
    const [x, y] = value.inputs as [Value, Value];
    return scaled(b, x, y, value, of) ?? scaled(b, y, x, value, of) ?? dense(value);
  },
  div: (b, value, of) => {
    const [x, y] = value.inputs as [Value, Value];
    return scaled(b, x, y.op === 'constant' ? b.div(1, y) : b.reciprocal(y), value, of) ?? dense(value);
  },
  matmul: (b, value, of) => product(b, of(value.inputs[0]!), of(value.inputs[1]!)),
  linear: (b, value, of) => {
    if (value.inputs.length > 2) return dense(value);
    const [x, weight] = value.inputs as [Value, Value];
    return product(b, of(x), transposed(b, of(weight)));
  },
  kron: (_b, value, of) => kron(of(value.inputs[0]!), of(value.inputs[1]!)),
  concat: (b, value, of) => {
    const parts = value.inputs.map(of);
    return value.attrs.axis === 0 ? rows(b, parts) : cols(parts);
  },
  transpose: (b, value, of) => transposed(b, of(value.inputs[0]!)),
  stop_gradient: (_b, value, of) => of(value.inputs[0]!),
  again: (_b, value, of) => of(value.inputs[0]!),
  dropout: null,
  drop_path: null,
  select: null,
  reshape: null,
  broadcast: null,
  slice: null,
  pad: null,
  roll: null,
  reverse: null,
  gather: null,
  reduce_sum: null,
  reduce_mean: null,
  segment_sum: null,
  scatter_add: null,
  conv2d: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  batch_norm: null,
  attention: null,
  resize: null,
  solve: null,
};

function read(b: Builder, value: Value, levels: number): Matrix {
  const reading = ruleIn<Reading<never>>(READINGS, value.op);
  return reading ? reading(b, value as never, (v) => matrixOf(b, v, levels), levels) : dense(value);
}

/** matrix * factor, where the factor is a scalar, a column or a row. */
function scaled(b: Builder, matrix: Value, factor: Value, value: Value, of: Of): Matrix | undefined {
  const shape = value.type.shape as [number, number];
  if (!isMatrix(matrix, shape)) return undefined;
  const along = factorOf(b, factor, shape, 0);
  if (along.kind !== 'full') return product(b, diagonal(shape[0], along.value), of(matrix));
  const across = factorOf(b, factor, shape, 1);
  if (across.kind !== 'full') return product(b, of(matrix), diagonal(shape[1], across.value));
  return undefined;
}
