/**
 * Row reductions: what a reduce kernel computes, apart from how threads share the work. A row is walked once for each pass; a pass
 * folds all elements into one number (a statistic), which later passes and the result may use.
 */

import { isBatch } from '../../ir/batch.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { OpName, Value, ValueOf } from '../../ir/types.js';
import {
  add,
  binary,
  builtin,
  component,
  convert,
  div,
  eq,
  exp,
  f32,
  i32,
  literal,
  select,
  size,
} from '../kernel/expr.js';
import type { BinaryOp, Expr, Scalar } from '../kernel/types.js';
import type { Index } from '../read/indexing.js';
import { type Reader, scalarOf } from '../read/reader.js';

export interface Pass {
  readonly type: Scalar;
  readonly fold: 'sum' | 'max' | 'min';
  /** What one element (or four) adds; `position` is its place in the row, i32. */
  readonly element: (r: Reader, x: Expr, stats: readonly Expr[], position: Expr) => Expr;
  /** The statistic from the folded number. */
  readonly finish: (r: Reader, folded: Expr) => Expr;
}

export interface RowPlan {
  readonly input: Value;
  /** Reduced axes of the input, ascending. */
  readonly axes: readonly number[];
  readonly passes: readonly Pass[];
  /** Other results of the operator by their names, from the statistics: one number for each row. */
  readonly others?: Readonly<Record<string, (r: Reader, stats: readonly Expr[]) => Expr>>;
  /** The result for one element, of the input's shape; absent when a row gives one number, which is the last statistic. */
  readonly element?: (r: Reader, x: Expr, stats: readonly Expr[], coords: readonly Index[]) => Expr;
}

/** How many elements a row has, as what they are divided by. */
const counted = (count: number): Expr => (isBatch(count) ? convert(size(count), 'f32') : f32(count));

const whole = (_r: Reader, folded: Expr): Expr => folded;
const itself = (_r: Reader, x: Expr): Expr => x;

const arith = (r: Reader, a: Expr, op: BinaryOp, b: Expr): Expr => r.b.let(binary(op, a, b));

const mean =
  (count: number) =>
  (r: Reader, folded: Expr): Expr =>
    r.b.let(div(folded, counted(count)));

function normalising(v: Value, eps: number, count: number): Pick<RowPlan, 'passes' | 'others' | 'element'> {
  return {
    others: { mean: (_r, stats) => stats[0]!, rstd: (_r, stats) => stats[1]! },
    passes: [
      { type: 'f32', fold: 'sum', element: itself, finish: mean(count) },
      {
        type: 'f32',
        fold: 'sum',
        element: (r, x, stats) => {
          const d = arith(r, x, '-', stats[0]!);
          return arith(r, d, '*', d);
        },
        finish: (r, folded) => r.b.let(div(f32(1), builtin('sqrt', add(div(folded, counted(count)), f32(eps))))),
      },
    ],
    element: (r, x, stats, coords) => {
      let y = arith(r, arith(r, x, '-', stats[0]!), '*', stats[1]!);
      if (v.inputs[1]) y = arith(r, y, '*', r.operand(v.inputs[1], coords));
      if (v.inputs[2]) y = arith(r, y, '+', r.operand(v.inputs[2], coords));
      return y;
    },
  };
}

type Plan<O extends OpName> = (v: ValueOf<O>) => RowPlan;

const sorted = (axes: readonly number[]): number[] => [...axes].sort((a, b) => a - b);

function fold(v: Value, kind: Pass['fold'], finish: Pass['finish'] = whole): readonly Pass[] {
  return [{ type: scalarOf(v.inputs[0]!.type.dtype), fold: kind, element: itself, finish }];
}

/** A fold along axes into one number. */
const folding =
  (kind: Pass['fold']): Plan<'reduce_sum' | 'reduce_max'> =>
  (v) => ({ input: v.inputs[0]!, axes: sorted(v.attrs.axes), passes: fold(v as Value, kind) });

/** Plans of the operators that reduce rows. */
export const ROWS = {
  reduce_sum: folding('sum'),
  reduce_max: folding('max'),
  reduce_mean: (v) => {
    const input = v.inputs[0]!;
    const count = sizeOf(v.attrs.axes.map((a) => input.type.shape[a]!));
    return { input, axes: sorted(v.attrs.axes), passes: fold(v, 'sum', mean(count)) };
  },
  argmax: (v) => {
    // Where none is equal to the largest, as of infinities or of no numbers, the first stands for all.
    const none = i32(2147483647);
    const first: Pass = {
      type: 'i32',
      fold: 'min',
      element: (r, x, stats, position) => r.b.let(select(none, position, eq(x, stats[0]!))),
      finish: (r, folded) => r.b.let(select(folded, i32(0), eq(folded, none))),
    };
    return { input: v.inputs[0]!, axes: [v.attrs.axis], passes: [...fold(v, 'max'), first] };
  },
  softmax: (v) => {
    const weight = (r: Reader, x: Expr, stats: readonly Expr[]): Expr => r.b.let(exp(binary('-', x, stats[0]!)));
    return {
      input: v.inputs[0]!,
      axes: [v.attrs.axis],
      passes: [...fold(v, 'max'), { type: 'f32', fold: 'sum', element: weight, finish: whole }],
      others: { lse: (r, stats) => r.b.let(add(stats[0]!, builtin('log', stats[1]!))) },
      element: (r, x, stats) => arith(r, weight(r, x, stats), '/', stats[1]!),
    };
  },
  layer_norm: (v) => {
    const input = v.inputs[0]!;
    const { shape } = input.type;
    return { input, axes: [shape.length - 1], ...normalising(v, v.attrs.eps, shape.at(-1)!) };
  },
} satisfies { readonly [O in OpName]?: Plan<O> };

/** The plan of a row-reducing operator; undefined for any other. */
export function rowPlan(v: Value): RowPlan | undefined {
  return (ROWS as { readonly [O in OpName]?: Plan<never> })[v.op]?.(v as never);
}

/** The number to start a fold from. For max and min of floats it is the largest finite one: WGSL has no infinity. */
export function startOf({ fold, type }: Pass): Expr {
  if (fold === 'sum') return literal(0, type);
  const low = fold === 'max';
  if (type === 'f32') return f32(low ? -Infinity : Infinity);
  if (type === 'u32') return literal(low ? 0 : 4294967295, 'u32');
  return i32(low ? -2147483648 : 2147483647);
}

export function folded({ fold }: Pass, a: Expr, b: Expr): Expr {
  return fold === 'sum' ? add(a, b) : builtin(fold, a, b);
}

/** The four elements of a wide accumulator as one number. */
export function foldLanes(r: Reader, pass: Pass, acc: Expr): Expr {
  if (acc.lanes === 1) return acc;
  const [x, y, z, w] = [0, 1, 2, 3].map((i) => component(acc, i)) as [Expr, Expr, Expr, Expr];
  return r.b.let(folded(pass, folded(pass, x, y), folded(pass, z, w)));
}
