/**
 * Splits long sums that few threads would compute: row reductions along long rows, above all leading axes (the gradient of a bias), and products
 * with a small result and a long sum (the gradient of a factor of LoRA). Partial sums of parts come first, then the sum of these, both by the
 * kernels that there are: an axis of L terms becomes one of parts and one of their terms, in place, by index arithmetic. The order of additions
 * is fixed, so results repeat to the bit, and nothing needs an atomic.
 *
 * The gradient of a convolution's weight is split by sample alone.
 *
 * A sum over the batch is split by sample first: parts of samples lie in memory as samples do, and no part depends on how many there are.
 *
 * Not split: products whose weight is packed (its tiles are one matrix for all), convolutions (their sums are as long as a window), and
 * softmax, layer norm and group norm, which need their row again after its sum.
 */
import { isBatch, perSample } from '../../ir/batch.js';
import { build } from '../../ir/build.js';
import { constant, make, rewriteFunc, withInputs } from '../../ir/graph.js';
import { ruleIn } from '../../ir/ops/index.js';
import { sizeOf, tryBroadcast } from '../../ir/ops/shapes.js';
import type { About, DType, Func, OpName, Value, ValueOf } from '../../ir/types.js';
import { type PackingLimits, readsPacked } from '../buffers/weight-matrix.js';
import type { Anchored } from '../read/rules.js';
import { type Splitting, type SumSplit, splitOf } from './split-schedules.js';

type Fold = 'reduce_sum' | 'reduce_max';

interface Choice {
  readonly most: number;
  readonly split: Splitting;
}

export interface SplitOptions extends PackingLimits {
  /** The most samples of a pass (default 1): what a sum over the batch is split for. */
  readonly samples?: number;
  /** Default: by the cost model of split-schedules.ts. */
  readonly splitting?: Splitting;
}

/** The function with its long sums as partial sums and the sums of these. */
export function splitSums(func: Func, options: SplitOptions): Func {
  const choice: Choice = { most: options.samples ?? 1, split: options.splitting ?? splitOf };
  return rewriteFunc(func, (old, inputs) => {
    const v = withInputs(old, inputs);
    const rule = ruleIn<Rule<never>>(RULES, v.op);
    return (!readsPacked(v, options) && rule?.(v as never, choice)) || v;
  });
}

type Rule<O extends OpName> = (v: ValueOf<O>, choice: Choice) => Value | undefined;

/** Null: its sum is never split (see above). */
const RULES: { readonly [O in Anchored]: Rule<O> | null } = {
  reduce_sum: reduction,
  reduce_max: reduction,
  reduce_mean: reduction,
  argmax,
  linear: product,
  matmul: product,
  conv2d: null,
  conv2d_weight: bySample,
  softmax: null,
  layer_norm: null,
  attention: null,
  top_k: null,
  merge_order: null,
  searchsorted: null,
  segment_sum: null,
};

/** What a fold may be filled up with. */
function neutral(fold: Fold, dtype: DType): number {
  if (fold === 'reduce_sum' || dtype === 'u32') return 0;
  return dtype === 'i32' ? -(2 ** 31) : -Infinity;
}

/** Axis `at` of one sample as parts and their terms. */
function inParts(x: Value, at: number, { parts, part }: SumSplit, fill: number, about: About | undefined): Value {
  const { shape } = x.type;
  const high = shape.map((_, i) => (i === at ? parts * part - shape[at]! : 0));
  const whole = build.pad(
    x,
    shape.map(() => 0),
    high,
    fill,
    about,
  );
  return build.reshape(whole, [...shape.slice(0, at), parts, part, ...shape.slice(at + 1)], about);
}

interface Axis {
  readonly size: number;
  readonly reduced: boolean;
}

/** The axes of a shape, the batch apart from what it is multiplied with, and neighbours that are reduced as one. */
function axesOf(shape: readonly number[], reduced: (axis: number) => boolean): Axis[] {
  const axes: Axis[] = [];
  const add = (size: number, own: boolean): void => {
    const before = axes.at(-1);
    if (size === 1) return;
    if (own && before?.reduced && !isBatch(size) && !isBatch(before.size)) {
      axes.splice(-1, 1, { size: before.size * size, reduced: true });
    } else axes.push({ size, reduced: own });
  };
  shape.forEach((d, i) => {
    const times = perSample(d);
    if (times !== d) add(d / times, reduced(i));
    add(times, reduced(i));
  });
  return axes;
}

/** Threads of a subgroup share a row whose elements are neighbours, four at a time. */
const LANES = 32;

function reduction(v: ValueOf<Fold | 'reduce_mean'>, { most, split: choose }: Choice): Value | undefined {
  const { about } = v;
  const x = v.inputs[0]!;
  const fold: Fold = v.op === 'reduce_max' ? 'reduce_max' : 'reduce_sum';
  const axes = axesOf(x.type.shape, (i) => v.attrs.axes.includes(i));
  const overBatch = axes.findIndex((a) => a.reduced && isBatch(a.size));
  const length = Math.max(0, ...axes.filter((a) => a.reduced && !isBatch(a.size)).map((a) => a.size));
  if (length === 0) return undefined;
  const at = axes.findIndex((a) => a.reduced && a.size === length);
  const problem = rowProblem(axes, axes[at]!, v.attrs.axes.includes(x.type.shape.length - 1));
  const split = choose({ ...problem, samples: overBatch < 0 ? 1 : most, launches: 1 });
  if (!split) return undefined;

  const sizes = axes.map((a) => a.size);
  const parted = inParts(build.reshape(x, sizes, about), at, split, neutral(fold, x.type.dtype), about);
  // The axis of the parts now stands where the one that was cut stood, and everything after it one further.
  const moved = (i: number): number => (i >= at ? i + 1 : i);
  const inner = axes.flatMap((a, i) => (a.reduced && i !== overBatch ? [moved(i)] : []));
  const partial = make(fold, [parted], { axes: inner, keep: false }, about);
  const left = [...parted.type.shape.keys()].filter((i) => !inner.includes(i));
  const outer = left.flatMap((i, place) => (i === at || (overBatch >= 0 && i === moved(overBatch)) ? [place] : []));
  const whole = make(fold, [partial], { axes: outer, keep: false }, about);
  const result = build.reshape(whole, v.type.shape, about);
  return v.op === 'reduce_mean' ? build.div(result, countOf(axes), about) : result;
}

function countOf(axes: readonly Axis[]): Value | number {
  const count = sizeOf(axes.filter((a) => a.reduced).map((a) => a.size));
  return isBatch(count) ? build.mul(build.batchSize(), perSample(count)) : count;
}

/** As the kernels of row reductions would compute it. @param innermost They are reduced along the last axis, and threads share a row */
function rowProblem(axes: readonly Axis[], cut: Axis, innermost: boolean) {
  const share = (reduced: boolean): number =>
    sizeOf(axes.filter((a) => a.reduced === reduced).map((a) => perSample(a.size)));
  const [results, terms, sharing] = [share(false), share(true), innermost ? LANES : 1];
  return {
    results,
    threads: results * sharing,
    turns: terms / (sharing * (innermost && terms % 4 === 0 ? 4 : 1)),
    length: cut.size,
    unit: cut === axes.at(-1) && cut.size % 4 === 0 ? 4 : 1,
  };
}

/**
 * The largest of each part and its place, then the first part whose largest is the largest. Two parts are compared by what is stored of them, so
 * their elements need not come out to the bit alike in two kernels. A row that is a multiple of the batch is not split.
 */
function argmax(v: ValueOf<'argmax'>, { split: choose }: Choice): Value | undefined {
  const { about } = v;
  const { axis } = v.attrs;
  const x = v.inputs[0]!;
  const { shape, dtype } = x.type;
  const length = shape[axis]!;
  if (isBatch(length)) return undefined;
  const axes = shape.map((size, i) => ({ size, reduced: i === axis }));
  const problem = rowProblem(axes, axes[axis]!, axis === shape.length - 1);
  // Two walks over a row are three.
  const split = choose({ ...problem, turns: 2 * problem.turns, samples: 1, launches: 3 });
  if (!split) return undefined;
  const parted = inParts(x, axis, split, neutral('reduce_max', dtype), about);
  const largest = build.max(parted, [axis + 1], false, about);
  const place = make('argmax', [parted], { axis: axis + 1 }, about);
  const start = build.mul(build.iota(place.type.shape, axis, 'i32', about), split.part, about);
  const best = build.max(largest, [axis], true, about);
  const none = constant(1 - length, [], 'i32', about);
  const first = build.select(build.eq(largest, best, about), build.neg(build.add(place, start, about), about), none);
  return build.neg(build.max(first, [axis], false, about), about);
}

/** Rows of a product that a thread computes at once. */
const ROWS = 8;

/** a [..., m, k] · b [..., k, n] as a sum of products, over an axis in front of all others. */
function product(v: ValueOf<'linear' | 'matmul'>, { most, split: choose }: Choice): Value | undefined {
  const operands = operandsOf(v);
  if (!operands) return undefined;
  const { a, b } = operands;
  const [m, k] = a.type.shape.slice(-2) as [number, number];
  const n = b.type.shape.at(-1)!;
  const lead = tryBroadcast(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2))!;
  const length = perSample(k);
  const results = perSample(sizeOf(lead)) * perSample(m) * perSample(n);
  const split = choose({
    results,
    threads: perSample(sizeOf(lead)) * Math.ceil(perSample(m) / ROWS) * Math.ceil(perSample(n) / 4),
    turns: length,
    length,
    unit: length % 4 === 0 ? 4 : 1,
    samples: isBatch(k) ? most : 1,
    launches: 1,
  });
  if (!split) return undefined;
  const [left, right] = [outward(a, 1, lead.length, split, v.about), outward(b, 0, lead.length, split, v.about)];
  const partial = make('matmul', [left, right], {}, v.about);
  const axes = [...partial.type.shape.keys()].slice(0, partial.type.shape.length - lead.length - 2);
  const whole = build.reshape(build.sum(partial, axes, false, v.about), v.type.shape, v.about);
  return v.op === 'linear' && v.inputs[2] ? build.add(whole, v.inputs[2], v.about) : whole;
}

/** The gradient of a convolution's weight: that of each sample, which is a group of its own, and the sum of these. */
function bySample(v: ValueOf<'conv2d_weight'>, { most, split: choose }: Choice): Value | undefined {
  const [x, dy] = v.inputs as readonly [Value, Value];
  const batch = x.type.shape[0]!;
  const samples = isBatch(batch) ? most * perSample(batch) : batch;
  const { groups } = v.attrs;
  const results = sizeOf(v.type.shape);
  const rows = Math.ceil(v.type.shape[0]! / groups / ROWS) * groups;
  const threads = rows * Math.ceil(sizeOf(v.type.shape.slice(1)) / 4);
  const turns = sizeOf(dy.type.shape.slice(2));
  if (!choose({ results, threads, turns, length: 1, unit: 1, samples, launches: 1 })) return undefined;
  const joined = (t: Value): Value => {
    const [, channels, ...places] = t.type.shape as [number, number, ...number[]];
    return build.reshape(t, [1, batch * channels, ...places], v.about);
  };
  const each = build.conv2dWeight(joined(x), joined(dy), { ...v.attrs, groups: batch * groups }, v.about);
  return build.sum(build.reshape(each, [batch, ...v.type.shape], v.about), [0], false, v.about);
}

/** The operands as matrices; undefined where the batch does not come to lie outermost in one. */
function operandsOf(v: ValueOf<'linear' | 'matmul'>): { readonly a: Value; readonly b: Value } | undefined {
  const [x, y] = [v.inputs[0]!, v.inputs[1]!];
  const b = v.op === 'linear' ? build.transpose(y, undefined, v.about) : y;
  if (isBatch(b.type.shape.at(-1)!)) return undefined;
  if (sizeOf(b.type.shape.slice(0, -2)) > 1) return { a: x, b };
  // One matrix for all: the leading axes are rows like any other.
  const rows = x.type.shape.slice(0, -1).filter((d) => d !== 1);
  if (rows.slice(1).some(isBatch)) return undefined;
  const [k, n] = b.type.shape.slice(-2) as [number, number];
  return {
    a: build.reshape(x, [sizeOf(rows), x.type.shape.at(-1)!], v.about),
    b: build.reshape(b, [k, n], v.about),
  };
}

/** A matrix operand with its summed axis (`fromEnd` counts from the last) in parts, which stand in front, samples of a sum over the batch before them. */
function outward(x: Value, fromEnd: 0 | 1, lead: number, split: SumSplit, about: About | undefined): Value {
  const { shape } = x.type;
  // Leading axes as many as the result has.
  const ranked = [...new Array<number>(lead + 2 - shape.length).fill(1), ...shape];
  const at = ranked.length - (fromEnd === 1 ? 1 : 2);
  const k = ranked[at]!;
  const times = perSample(k);
  const samples = times === k ? [] : [k / times];
  const apart = build.reshape(x, [...ranked.slice(0, at), ...samples, times, ...ranked.slice(at + 1)], about);
  const parted = inParts(apart, at + samples.length, split, 0, about);
  const order = [...parted.type.shape.keys()];
  const front = order.splice(at, samples.length + 1);
  return build.transpose(parted, [...front, ...order], about);
}
