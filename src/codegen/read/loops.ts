/**
 * Operators that are computed by a loop at the place where they are read: convolutions with few terms a result (depthwise and narrow
 * groups, where a matrix product would mostly multiply padding), the gradients of their weights, and top_k.
 */
import type { OpAttrs, Value } from '../../ir/types.js';
import {
  address,
  all,
  binary,
  builtin,
  convert,
  eq,
  literal,
  lt,
  name,
  size,
  splat,
  U32,
  u32,
} from '../kernel/expr.js';
import type { Condition, Expr } from '../kernel/types.js';
import { uniformCondition } from '../kernel/uses.js';
import { div, type Index, scale, shift, sum, variable, ZERO } from './indexing.js';
import { type Case, type InlineRule, type Reader, scalarOf, typeAt } from './reader.js';

/** A convolution's input, its first operand, under its window, 0 in the padding. `c` counts over all channels. */
export function readWindow(
  r: Reader,
  v: Extract<Value, { op: 'conv2d' | 'conv2d_weight' }>,
  at: { b: Index; c: Index; oh: Index; ow: Index; kh: Index; kw: Index },
): Expr {
  const x = v.inputs[0]!;
  const [, , h, w] = x.type.shape as [number, number, number, number];
  const { stride, dilation, padding } = v.attrs;
  const ih = shift(sum(scale(at.oh, stride[0]), scale(at.kh, dilation[0])), -padding[0]);
  const iw = shift(sum(scale(at.ow, stride[1]), scale(at.kw, dilation[1])), -padding[1]);
  const when: Condition[] = [
    { index: ih, below: h },
    { index: iw, below: w },
  ];
  const coords = [at.b, at.c, h === 1 ? ZERO : ih, w === 1 ? ZERO : iw];
  // With nothing padded the window lies inside, whatever the ranges of the indices say.
  if (padding.every((p) => p === 0)) return r.read(x, coords);
  const all = [...coords, ih, iw];
  const guarded = (one: readonly Index[]): Expr => {
    const conditions = when.map((c, i): Condition => ({ index: one[4 + i]!, below: c.below }));
    if (!conditions.every(uniformCondition)) return r.perLane(one, guarded);
    const inside: Case = { when: conditions, read: () => r.read(x, one.slice(0, 4)) };
    const type = typeAt(scalarOf(x.type.dtype), r.isWide(one));
    return r.choose(type, [inside], () => r.constant(0, x.type.dtype), r.isLoad(x));
  };
  return guarded(all);
}

const conv2d: InlineRule<'conv2d'> = (r, v, coords) => {
  const [b, o, oh, ow] = coords as [Index, Index, Index, Index];
  const weight = v.inputs[1]!;
  const [outs, perGroup, kernelH, kernelW] = weight.type.shape as [number, number, number, number];
  const group = div(o, outs / v.attrs.groups);
  const type = typeAt('f32', r.isWide(coords));
  const text = r.b.fresh('v');
  const bias = v.inputs[2] ? r.read(v.inputs[2], [outs === 1 ? ZERO : o]) : r.constant(0, 'f32');
  const acc = r.b.var(text, type, splat(bias, type.lanes));
  r.b.loop(perGroup, (c) =>
    r.b.loop(kernelH, (kh) =>
      r.b.loop(kernelW, (kw) => {
        const x = readWindow(r, v, { b, c: sum(scale(group, perGroup), c), oh, ow, kh, kw });
        const w = r.read(weight, [o, c, kh, kw]);
        r.b.assign(acc, builtin('fma', x, w, acc));
      }),
    ),
  );
  return acc;
};

/** The sum over samples and places, for weights of such convolutions. */
const conv2d_weight: InlineRule<'conv2d_weight'> = (r, v, coords) => {
  const [o, c, kh, kw] = coords as [Index, Index, Index, Index];
  const dy = v.inputs[1]!;
  const [outs, perGroup] = v.type.shape as [number, number];
  const [batch, , height, width] = dy.type.shape as [number, number, number, number];
  const group = div(o, outs / v.attrs.groups);
  const type = typeAt('f32', r.isWide(coords));
  const acc = r.b.var(r.b.fresh('v'), type, splat(r.constant(0, 'f32'), type.lanes));
  const sample = r.b.fresh('n');
  r.b.for(sample, u32(0), size(batch), 1, () =>
    r.b.loop(height, (oh) =>
      r.b.loop(width, (ow) => {
        const b = variable(sample, batch);
        const x = readWindow(r, v, { b, c: sum(scale(group, perGroup), c), oh, ow, kh, kw });
        r.b.assign(acc, builtin('fma', x, r.read(dy, [b, o, oh, ow]), acc));
      }),
    ),
  );
  return acc;
};

/**
 * The j-th largest of a row and its index: j + 1 walks, each of which finds the largest element that comes after the last one found,
 * in the order by value descending, then index. Meant for the small k of a list of classes.
 */
function selected(r: Reader, x: Value, coords: readonly Index[]): { value: Expr; index: Expr } {
  const row = coords.slice(0, -1);
  const rank = coords[coords.length - 1]!;
  const n = x.type.shape.at(-1)!;
  return r.b.memo(`select ${x.id} ${coords.map((c) => c.key).join(',')}`, () => {
    const type = typeAt(scalarOf(x.type.dtype), false);
    const value = r.b.var(r.b.fresh('v'), type, literal(0, type.scalar));
    const index = r.b.var(r.b.fresh('v'), U32, u32(n));
    const turn = r.b.fresh('n');
    r.b.for(turn, u32(0), address(shift(rank, 1)), 1, () => {
      const best = r.b.var(r.b.fresh('v'), type, literal(0, type.scalar));
      const place = r.b.var(r.b.fresh('v'), U32, u32(n));
      r.b.loop(n, (i) => {
        const e = r.read(x, [...row, i]);
        const here = address(i);
        const equal = all([eq(e, value), binary('>', here, index)])!;
        const after = [eq(name(turn, U32), u32(0)), lt(e, value), equal].reduce((a, c) => binary('||', a, c));
        const better = binary('||', eq(place, u32(n)), binary('>', e, best));
        r.b.if(all([after, better])!, () => {
          r.b.assign(best, e);
          r.b.assign(place, here);
        });
      });
      r.b.assign(value, best);
      r.b.assign(index, place);
    });
    return { value, index: r.b.let(convert(index, 'i32')) };
  });
}

const top_k: InlineRule<'top_k'> = (r, v, coords) => r.perLane(coords, (one) => selected(r, v.inputs[0]!, one).value);

/** Only top_k's indices; attention's log-sum-exp is written by the attention kernel. */
const aux: InlineRule<'aux'> = (r, v, coords) => {
  const owner = v.inputs[0]!;
  if (owner.op !== 'top_k') throw new Error(`${owner.op}'s ${v.attrs.output} cannot be computed in place`);
  return r.perLane(coords, (one) => selected(r, owner.inputs[0]!, one).index);
};

export const LOOPS = { conv2d, conv2d_weight, top_k, aux };

/** A convolution whose reduction or output is too narrow for the matrix kernels. */
export function isNarrowConv(weight: readonly number[], attrs: Pick<OpAttrs['conv2d'], 'groups'>): boolean {
  const [outs, perGroup] = weight as [number, number, number, number];
  return attrs.groups > 1 && (perGroup < 4 || outs / attrs.groups < 4);
}

/** Whether an element is computed by a loop, where it is computed in place. */
export const isLoop = (v: Value): boolean => Object.hasOwn(LOOPS, v.op);
