/**
 * Operators that are computed by a loop at the place where they are read: convolutions with few terms a result (depthwise and narrow
 * groups, where a matrix product would mostly multiply padding), and top_k.
 */
import type { OpAttrs, OpName, Value } from '../ir/types.js';
import { type Expr, literal, scalarOf, typeName, widen } from './emit.js';
import { div, type Index, scale, shift, sum, variable, ZERO } from './indexing.js';
import { type Case, type Condition, type InlineRule, type Reader, uniformCondition } from './reader.js';

/** `for` over 0 <= i < extent; the body gets the variable. One turn needs no loop. */
export function loop(r: Reader, extent: number, body: (i: Index) => void): void {
  if (extent === 1) {
    r.e.block('', () => body(ZERO));
    return;
  }
  const name = r.e.fresh('n');
  r.e.block(`for (var ${name} = 0u; ${name} < ${extent}u; ${name}++)`, () => body(variable(name, extent)));
}

/** A convolution's input under its window, 0 in the padding. `c` counts over all channels. */
export function readWindow(
  r: Reader,
  v: Extract<Value, { op: 'conv2d' }>,
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
    return r.choose(r.isWide(one), scalarOf(x.type.dtype), [inside], () => r.constant(0, x.type.dtype), r.isLoad(x));
  };
  return guarded(all);
}

const conv2d: InlineRule<'conv2d'> = (r, v, coords) => {
  const [b, o, oh, ow] = coords as [Index, Index, Index, Index];
  const weight = v.inputs[1]!;
  const [outs, perGroup, kernelH, kernelW] = weight.type.shape as [number, number, number, number];
  const group = div(o, outs / v.attrs.groups);
  const wide = r.isWide(coords);
  const acc = r.e.fresh('v');
  const bias = v.inputs[2] ? r.read(v.inputs[2], [outs === 1 ? ZERO : o]) : r.constant(0, 'f32');
  r.e.line(`var ${acc}: ${typeName('f32', wide)} = ${wide ? widen(bias) : bias.code};`);
  loop(r, perGroup, (c) =>
    loop(r, kernelH, (kh) =>
      loop(r, kernelW, (kw) => {
        const x = readWindow(r, v, { b, c: sum(scale(group, perGroup), c), oh, ow, kh, kw });
        const w = r.read(weight, [o, c, kh, kw]);
        r.e.line(`${acc} = fma(${wide ? widen(x) : x.code}, ${wide ? widen(w) : w.code}, ${acc});`);
      }),
    ),
  );
  return { code: acc, type: 'f32', wide };
};

/**
 * The j-th largest of a row and its index: j + 1 walks, each of which finds the largest element that comes after the last one found,
 * in the order by value descending, then index. Meant for the small k of a list of classes.
 */
function selected(r: Reader, x: Value, coords: readonly Index[]): { value: Expr; index: Expr } {
  const row = coords.slice(0, -1);
  const rank = coords[coords.length - 1]!;
  const n = x.type.shape.at(-1)!;
  const type = scalarOf(x.type.dtype);
  return r.e.memo(`select ${x.id} ${coords.map((c) => c.key).join(',')}`, () => {
    const value = r.e.fresh('v');
    const index = r.e.fresh('v');
    const turn = r.e.fresh('n');
    r.e.line(`var ${value} = ${literal(0, type)};`);
    r.e.line(`var ${index} = ${n}u;`);
    const last = r.e.index(rank);
    r.e.block(`for (var ${turn} = 0u; ${turn} <= ${last}; ${turn}++)`, () => {
      const best = r.e.fresh('v');
      const place = r.e.fresh('v');
      r.e.line(`var ${best} = ${literal(0, type)};`);
      r.e.line(`var ${place} = ${n}u;`);
      loop(r, n, (i) => {
        const e = r.read(x, [...row, i]);
        const here = r.e.index(i);
        const after = `${turn} == 0u || ${e.code} < ${value} || (${e.code} == ${value} && ${here} > ${index})`;
        r.e.block(`if ((${after}) && (${place} == ${n}u || ${e.code} > ${best}))`, () => {
          r.e.line(`${best} = ${e.code};`);
          r.e.line(`${place} = ${here};`);
        });
      });
      r.e.line(`${value} = ${best};`);
      r.e.line(`${index} = ${place};`);
    });
    return {
      value: { code: value, type, wide: false } as Expr,
      index: r.e.expr('i32', false, `i32(${index})`),
    };
  });
}

const top_k: InlineRule<'top_k'> = (r, v, coords) => r.perLane(coords, (one) => selected(r, v.inputs[0]!, one).value);

/** Only top_k's indices; attention's log-sum-exp is written by the attention kernel. */
const aux: InlineRule<'aux'> = (r, v, coords) => {
  const owner = v.inputs[0]!;
  if (owner.op !== 'top_k') throw new Error(`${owner.op}'s ${v.attrs.output} cannot be computed in place`);
  return r.perLane(coords, (one) => selected(r, owner.inputs[0]!, one).index);
};

export const LOOPS = { conv2d, top_k, aux };

/** A convolution whose reduction or output is too narrow for the matrix kernels. */
export function isNarrowConv(weight: readonly number[], attrs: OpAttrs['conv2d']): boolean {
  const [outs, perGroup] = weight as [number, number, number, number];
  return attrs.groups > 1 && (perGroup < 4 || outs / attrs.groups < 4);
}

export const LOOP_OPS: ReadonlySet<OpName> = new Set(['conv2d', 'top_k', 'aux']);
