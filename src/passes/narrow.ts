/**
 * Computes of each value only what is read: a head that looks at the class token alone needs one row of the last block's MLP, and one
 * query of its attention. What every value must give is found from the results backwards, as one box of indices for each value (the
 * hull of what its readers need); then the graph is built again over those boxes.
 */
import { adaptersOf, ownedBy } from '../ir/about.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { mapRoots, rootsOf, topological, withInputs } from '../ir/graph.js';
import { Interner } from '../ir/intern.js';
import { mixedAxes, type Rearranging, ruleIn, traitsOf } from '../ir/ops/index.js';
import type { Func, OpName, Value, ValueOf } from '../ir/types.js';
import { overFunc, type Pass } from './pass.js';

/** Indices from (with) and to (without) along one axis. */
type Range = readonly [from: number, to: number];
export type Box = readonly Range[];

/** What an operator computes when asked for a box, which may be more than that, and what it then reads of each operand. */
export interface Reads {
  readonly made: Box;
  /** Undefined for an operand of which nothing is read. */
  readonly needs: readonly (Box | undefined)[];
}

export const whole = (v: Value): Box => v.type.shape.map((d) => [0, d]);
export const sizesOf = (box: Box): number[] => box.map(([from, to]) => to - from);
const same = (a: Box, b: Box): boolean => a.every((r, i) => r[0] === b[i]![0] && r[1] === b[i]![1]);
const hull = (a: Box, b: Box): Box =>
  a.map(([from, to], i) => [Math.min(from, b[i]![0]), Math.max(to, b[i]![1])] as const);

/** The box with some axes taken whole, as an operator that mixes them needs. */
const across = (v: Value, box: Box, mixed: readonly number[]): Box =>
  box.map((r, i) => (mixed.includes(i) ? [0, v.type.shape[i]!] : r));

/** What is read of an operand that broadcasts over the axes of `box`. */
function under(x: Value, box: Box): Box {
  const lead = box.length - x.type.shape.length;
  return x.type.shape.map((d, i) => (d === 1 ? [0, 1] : box[i + lead]!));
}

type Rule<O extends OpName> = (v: ValueOf<O>, box: Box) => Reads | undefined;

const pointwise = (v: Value, box: Box): Reads => ({ made: box, needs: v.inputs.map((x) => under(x, box)) });

/** Every place along the axes that the operator leaves apart; of its first operand, what it mixes to make them, and all of the others. */
function apart(v: Value, box: Box, mixed: readonly number[]): Reads {
  const made = across(v, box, mixed);
  const need = v.inputs[0]!.type.shape.map((d, i): Range => (mixed.includes(i) ? [0, d] : made[i]!));
  return { made, needs: v.inputs.map((x, i) => (i === 0 ? need : whole(x))) };
}

function reduction(v: Extract<Value, { op: 'reduce_sum' | 'reduce_mean' | 'reduce_max' }>, box: Box): Reads {
  const x = v.inputs[0]!;
  const kept = x.type.shape.map((_, i) => i).filter((i) => v.attrs.keep || !v.attrs.axes.includes(i));
  const need = x.type.shape.map((d, i): Range => (v.attrs.axes.includes(i) ? [0, d] : box[kept.indexOf(i)]!));
  return { made: box, needs: [need] };
}

/**
 * What operators read that have other axes than their first operand, or null: of these, what leaves no axis apart is computed whole. Others have
 * a rule where they read less than the axes which they leave apart say.
 */
const RULES: { readonly [O in Rearranging]: Rule<O> | null } & {
  readonly [O in Exclude<OpName, Rearranging>]?: Rule<O>;
} = {
  matmul: (v, box) => {
    const [a, b] = v.inputs as [Value, Value];
    const made = across(v, box, [box.length - 1]);
    const lead = made.slice(0, -2);
    const matrices = (x: Value, m: Range, n: Range): Box => {
      const own = x.type.shape.slice(0, -2);
      const skip = lead.length - own.length;
      return [...own.map((d, i): Range => (d === 1 ? [0, 1] : lead[i + skip]!)), m, n];
    };
    const [k, n] = b.type.shape.slice(-2) as [number, number];
    return { made, needs: [matrices(a, made.at(-2)!, [0, k]), matrices(b, [0, k], [0, n])] };
  },
  attention: (v, box) => {
    const [q, k, ...rest] = v.inputs as [Value, Value, Value];
    const [batch, heads, queries] = box as [Range, Range, Range];
    const keys: Range = [0, k.type.shape[2]!];
    const all = (x: Value): Range => [0, x.type.shape[3]!];
    const needs = [q, k, ...rest].map((x, i): Box => {
      if (i === 0) return [batch, heads, queries, all(x)];
      return i < 3 ? [batch, heads, keys, all(x)] : under(x, [batch, heads, queries, keys]);
    });
    return { made: [batch, heads, queries, all(v)], needs };
  },
  reduce_sum: reduction,
  reduce_mean: reduction,
  reduce_max: reduction,
  transpose: (v, box) => {
    const need: Range[] = [];
    v.attrs.perm.forEach((from, to) => {
      need[from] = box[to]!;
    });
    return { made: box, needs: [need] };
  },
  broadcast: pointwise,
  slice: (v, box) => ({
    made: box,
    needs: [box.map(([from, to], i) => [from + v.attrs.start[i]!, to + v.attrs.start[i]!])],
  }),
  concat: (v, box) => {
    const { axis } = v.attrs;
    const [from, to] = box[axis]!;
    let top = 0;
    const needs = v.inputs.map((x): Box | undefined => {
      const size = x.type.shape[axis]!;
      const own: Range = [Math.max(0, from - top), Math.min(size, to - top)];
      top += size;
      return own[0] < own[1] ? box.map((r, i) => (i === axis ? own : r)) : undefined;
    });
    return { made: box, needs };
  },
  reshape: (v, box) => {
    const need = reshaped(v.type.shape, v.inputs[0]!.type.shape, box);
    return need && { made: box, needs: [need] };
  },
  gather: null,
  scatter_add: null,
  searchsorted: null,
  argmax: null,
  kron: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  solve: null,
  random_bits: null,
  aux: null,
};

/**
 * The same elements under another shape, if they are a box there too. Axes are matched in groups of equal products; in each, only the
 * outermost axis that is longer than 1 may be cut, and the cut must fall between its steps on both sides.
 */
function reshaped(shape: readonly number[], to: readonly number[], box: Box): Box | undefined {
  const result: Range[] = [];
  let i = 0;
  let j = 0;
  while (i < shape.length || j < to.length) {
    const [i0, j0] = [i, j];
    let [p, q] = [shape[i++] ?? 1, to[j++] ?? 1];
    while (p !== q) {
      if (p < q) p *= shape[i++]!;
      else q *= to[j++]!;
    }
    const sizes = shape.slice(i0, i);
    const cut = sizes.findIndex((d) => d > 1);
    if (box.slice(i0, i).some(([from, end], a) => a > cut && end - from < sizes[a]!)) return undefined;
    // Elements from and to within the group, in steps of what the other side's outermost axis holds.
    const step = cut < 0 ? 1 : p / sizes[cut]!;
    const [from, end] = cut < 0 ? [0, 1] : box[i0 + cut]!;
    const others = to.slice(j0, j);
    const outer = others.findIndex((d) => d > 1);
    const each = outer < 0 ? 1 : q / others[outer]!;
    if ((from * step) % each !== 0 || (end * step) % each !== 0) return undefined;
    others.forEach((d, a) => {
      result.push(a === outer ? [(from * step) / each, (end * step) / each] : [0, d]);
    });
  }
  return result;
}

function readsOf(v: Value, box: Box): Reads {
  if (traitsOf(v).pointwise) return pointwise(v, box);
  const rule = ruleIn<Rule<never>>(RULES, v.op);
  const mixed = rule ? null : mixedAxes(v);
  const found = rule ? rule(v as never, box) : mixed && apart(v, box, mixed);
  return found ?? { made: whole(v), needs: v.inputs.map(whole) };
}

/**
 * What each value is asked for and reads then, from what is wanted of some of them.
 * @param order operands first
 * @param wanted is filled with what each is asked for
 */
export function readsFrom(order: readonly Value[], wanted: Map<Value, Box>): ReadonlyMap<Value, Reads> {
  const reads = new Map<Value, Reads>();
  for (const v of [...order].reverse()) {
    const box = wanted.get(v);
    if (!box) continue;
    const found = readsOf(v, box);
    reads.set(v, found);
    v.inputs.forEach((x, i) => {
      const need = found.needs[i];
      if (need) wanted.set(x, wanted.has(x) ? hull(wanted.get(x)!, need) : need);
    });
  }
  return reads;
}

function narrowed(func: Func): Func {
  const results = rootsOf(func);
  const order = topological(results).filter(dependsOnInput);
  const wanted = new Map<Value, Box>(results.map((v) => [v, whole(v)]));
  const reads = readsFrom(order, wanted);
  if ([...reads].every(([v, { made }]) => same(made, whole(v)))) return func;

  const interner = new Interner();
  const images = new Map<Value, Value>();
  /** A box of x, which is there as the box that was made of it. */
  const cut = (x: Value, need: Box): Value => {
    const made = reads.get(x)?.made ?? whole(x);
    const image = images.get(x) ?? x;
    const start = need.map(([from], i) => from - made[i]![0]);
    const end = need.map(([, to], i) => to - made[i]![0]);
    if (start.every((n) => n === 0) && end.every((n, i) => n === image.type.shape[i])) return image;
    // A part of a mask is a value as any other.
    return interner.make('slice', [image], { start, end }, ownedBy(x.about, adaptersOf(x.about)));
  };
  for (const v of order) {
    const found = reads.get(v);
    if (!found) continue;
    const inputs = v.inputs.flatMap((x, i) => (found.needs[i] ? [cut(x, found.needs[i])] : []));
    images.set(v, v.op === 'input' ? v : rebuilt(interner, v, found.made, inputs));
  }
  return mapRoots(func, (v) => images.get(v) ?? v);
}

/** The operator over what is read of its operands. */
function rebuilt(interner: Interner, v: Value, made: Box, inputs: readonly Value[]): Value {
  if (v.op === 'slice') return inputs[0]!;
  if (v.op === 'concat' && inputs.length === 1) return inputs[0]!;
  if (same(made, whole(v)) && inputs.length === v.inputs.length) return interner.seed(withInputs(v, inputs));
  const shape = sizesOf(made);
  const attrs = 'shape' in v.attrs ? { ...v.attrs, shape } : v.attrs;
  return interner.make(v.op, inputs, attrs as never, v.about);
}

export const narrow: Pass = {
  name: 'narrow',
  doc: 'Of each value only what is read is computed.',
  run: overFunc(narrowed),
};
