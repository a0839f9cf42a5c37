/**
 * Row reductions: what a reduce kernel computes, apart from how threads share the work. A row is walked once for each pass; a pass
 * folds all elements into one number (a statistic), which later passes and the result may use.
 */

import { sizeOf } from '../ir/ops/shapes.js';
import type { OpName, Value } from '../ir/types.js';
import { at, type Expr, literal, type Scalar, scalarOf } from './emit.js';
import type { Index } from './indexing.js';
import type { Reader } from './reader.js';

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
  /** The result for one element, of the input's shape; absent when a row gives one number, which is the last statistic. */
  readonly element?: (r: Reader, x: Expr, stats: readonly Expr[], coords: readonly Index[]) => Expr;
}

const whole = (_r: Reader, folded: Expr): Expr => folded;
const itself = (_r: Reader, x: Expr): Expr => x;

/** `a op b` for expressions of which either may be narrow. */
function arith(r: Reader, a: Expr, op: string, b: Expr): Expr {
  const wide = a.wide || b.wide;
  return r.e.expr(a.type, wide, `${at(a, wide)} ${op} ${at(b, wide)}`);
}

const mean =
  (count: number) =>
  (r: Reader, folded: Expr): Expr =>
    r.e.expr('f32', false, `${folded.code} / ${literal(count, 'f32')}`);

function normalising(v: Value, eps: number, count: number): Pick<RowPlan, 'passes' | 'element'> {
  return {
    passes: [
      { type: 'f32', fold: 'sum', element: itself, finish: mean(count) },
      {
        type: 'f32',
        fold: 'sum',
        element: (r, x, stats) => {
          const d = arith(r, x, '-', stats[0]!);
          return arith(r, d, '*', d);
        },
        finish: (r, folded) =>
          r.e.expr('f32', false, `1.0f / sqrt(${folded.code} / ${literal(count, 'f32')} + ${literal(eps, 'f32')})`),
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

/** The plan of a row-reducing operator; undefined for any other. */
export function rowPlan(v: Value): RowPlan | undefined {
  const input = v.inputs[0];
  if (!input) return undefined;
  const shape = input.type.shape;
  const type = scalarOf(input.type.dtype);
  const sorted = (axes: readonly number[]): number[] => [...axes].sort((a, b) => a - b);
  const fold = (kind: Pass['fold'], finish: Pass['finish']): readonly Pass[] => [
    { type, fold: kind, element: itself, finish },
  ];
  switch (v.op) {
    case 'reduce_sum':
      return { input, axes: sorted(v.attrs.axes), passes: fold('sum', whole) };
    case 'reduce_max':
      return { input, axes: sorted(v.attrs.axes), passes: fold('max', whole) };
    case 'reduce_mean':
      return {
        input,
        axes: sorted(v.attrs.axes),
        passes: fold('sum', mean(sizeOf(v.attrs.axes.map((a) => shape[a]!)))),
      };
    case 'argmax': {
      const count = shape[v.attrs.axis]!;
      const first: Pass = {
        type: 'i32',
        fold: 'min',
        element: (r, x, stats, position) => {
          const wide = x.wide;
          const none = wide ? `vec4i(${count - 1}i)` : `${count - 1}i`;
          return r.e.expr('i32', wide, `select(${none}, ${at(position, wide)}, ${x.code} == ${at(stats[0]!, wide)})`);
        },
        finish: whole,
      };
      return { input, axes: [v.attrs.axis], passes: [...fold('max', whole), first] };
    }
    case 'softmax': {
      const weight = (r: Reader, x: Expr, stats: readonly Expr[]): Expr =>
        r.e.expr('f32', x.wide, `exp(${x.code} - ${at(stats[0]!, x.wide)})`);
      return {
        input,
        axes: [v.attrs.axis],
        passes: [...fold('max', whole), { type: 'f32', fold: 'sum', element: weight, finish: whole }],
        element: (r, x, stats) => arith(r, weight(r, x, stats), '/', stats[1]!),
      };
    }
    case 'layer_norm':
      return { input, axes: [shape.length - 1], ...normalising(v, v.attrs.eps, shape.at(-1)!) };
    default:
      return undefined;
  }
}

export const ROW_OPS: ReadonlySet<OpName> = new Set([
  'reduce_sum',
  'reduce_max',
  'reduce_mean',
  'argmax',
  'softmax',
  'layer_norm',
]);

/** The number to start a fold from. For max and min of floats it is the largest finite one: WGSL has no infinity. */
export function startOf({ fold, type }: Pass): string {
  if (fold === 'sum') return literal(0, type);
  const low = fold === 'max';
  if (type === 'f32') return literal(low ? -Infinity : Infinity, 'f32');
  if (type === 'u32') return literal(low ? 0 : 4294967295, 'u32');
  return literal(low ? -2147483648 : 2147483647, 'i32');
}

export function folded({ fold }: Pass, a: string, b: string): string {
  return fold === 'sum' ? `${a} + ${b}` : `${fold}(${a}, ${b})`;
}

/** The four lanes of a wide accumulator as one number. */
export function foldLanes(r: Reader, pass: Pass, acc: Expr): Expr {
  if (!acc.wide) return acc;
  const [x, y, z, w] = ['x', 'y', 'z', 'w'].map((c) => `${acc.code}.${c}`) as [string, string, string, string];
  return r.e.expr(pass.type, false, folded(pass, folded(pass, x, y), `(${folded(pass, z, w)})`));
}
