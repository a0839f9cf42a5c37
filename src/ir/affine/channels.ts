/**
 * Which axes of a value are channels. A layer or a norm says it; layouts split, join and move them. Everything else is a token: something that
 * an affine form treats alike, one by one.
 */
import { topological } from '../graph.js';
import { type Rearranging, ruleIn, traitsOf } from '../ops/index.js';
import type { OpName, Value, ValueOf } from '../types.js';
import { dependsOnInput } from './parse.js';

/** A part of a reshape that has nothing to do with the rest: these axes become those. Axes of size 1 belong to none. */
export interface Segment {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export function segments(before: readonly number[], after: readonly number[]): Segment[] {
  const wide = (shape: readonly number[]): number[] => shape.map((d, i) => (d > 1 ? i : -1)).filter((i) => i >= 0);
  const [left, right] = [wide(before), wide(after)];
  const made: Segment[] = [];
  while (left.length > 0) {
    const from = [left.shift()!];
    const to = [right.shift()!];
    let [p, q] = [before[from[0]!]!, after[to[0]!]!];
    while (p !== q) {
      const [list, rest] = p < q ? [from, left] : [to, right];
      const next = rest.shift()!;
      list.push(next);
      if (p < q) p *= before[next]!;
      else q *= after[next]!;
    }
    made.push({ from, to });
  }
  return made;
}

/** What is said of a value follows from the value alone, which never changes: it is found once, whoever asks. */
const known = new WeakMap<Value, ReadonlySet<number>>();

/** The channels' axes of a value that depends on the input, ascending. */
export function channelsOf(value: Value): number[] {
  if (!known.has(value)) {
    for (const v of topological([value])) if (dependsOnInput(v) && !known.has(v)) known.set(v, channels(v));
  }
  return [...(known.get(value) ?? [])].sort((a, b) => a - b);
}

type Axes = ReadonlySet<number>;
/** @param of the channels' axes of an operand, counted from the right as broadcasting does */
type Rule<O extends OpName> = (v: ValueOf<O>, of: (x: Value) => number[]) => Axes;

const reduced: Rule<'reduce_sum' | 'reduce_mean' | 'reduce_max'> = (v) => {
  const { axes, keep } = v.attrs;
  const kept = [...own(v.inputs[0]!)].filter((i) => !axes.includes(i));
  return new Set(keep ? kept : kept.map((i) => i - axes.filter((a) => a < i).length));
};

/** Where the axes of operators with other axes than their operands come from. Null: as if they broadcast. */
const RULES: { readonly [O in Rearranging]: Rule<O> | null } & {
  readonly [O in Exclude<OpName, Rearranging>]?: Rule<O>;
} = {
  input: (v) => new Set([lastOf(v)]),
  attention: (v) => new Set([1, lastOf(v)]),
  linear: (v, of) => new Set([...of(v.inputs[0]!), lastOf(v)]),
  matmul: (v, of) => {
    const [x, right] = v.inputs as [Value, Value];
    const last = lastOf(v);
    if (!dependsOnInput(right)) return new Set([...of(x), last]);
    return dependsOnInput(x) ? new Set([last]) : new Set([...of(right), last - 1]);
  },
  reshape: (v) => {
    const x = v.inputs[0]!;
    const found = segments(x.type.shape, v.type.shape).filter((s) => s.from.some((i) => own(x).has(i)));
    return new Set(found.flatMap((s) => s.to));
  },
  transpose: (v) => new Set(v.attrs.perm.flatMap((from, to) => (own(v.inputs[0]!).has(from) ? [to] : []))),
  gather: (v) => {
    const extra = v.inputs[1]!.type.shape.length - 1;
    return new Set([...own(v.inputs[0]!)].map((i) => (i > v.attrs.axis ? i + extra : i)));
  },
  reduce_sum: reduced,
  reduce_mean: reduced,
  reduce_max: reduced,
  scatter_add: null,
  searchsorted: null,
  argmax: null,
  kron: null,
  // What lies on the second axis says its trait.
  conv2d_transpose: null,
  conv2d_weight: null,
  solve: null,
  random_bits: null,
  aux: null,
};

const own = (x: Value): Axes => known.get(x) ?? new Set();
const lastOf = (v: Value): number => v.type.shape.length - 1;

function channels(v: Value): Axes {
  const rank = v.type.shape.length;
  const of = (x: Value): number[] => [...own(x)].map((i) => i + rank - x.type.shape.length);
  const rule = ruleIn<Rule<never>>(RULES, v.op);
  if (rule) return rule(v as never, of);
  const said = traitsOf(v).channels;
  if (said !== null) return new Set([said === 'second' ? 1 : rank - 1]);
  const found = new Set(v.inputs.filter(dependsOnInput).flatMap(of));
  // Along an axis on which the operands have one element a constant makes new channels.
  for (const c of v.inputs.filter((y) => !dependsOnInput(y))) {
    c.type.shape.forEach((d, i) => {
      const axis = i + rank - c.type.shape.length;
      const one = (y: Value): boolean => (y.type.shape[axis - rank + y.type.shape.length] ?? 1) === 1;
      if (d > 1 && v.inputs.filter(dependsOnInput).every(one)) found.add(axis);
    });
  }
  return found;
}
