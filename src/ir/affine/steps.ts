/** What each operator that mixes channels does: to the channels, to the tokens, and on which axes it takes them. */
import type { Builder } from '../ops/builder.js';
import { type Arithmetic, type Linear, type OpsWith, ruleIn } from '../ops/index.js';
import type { OpName, Value, ValueOf } from '../types.js';
import { channelsOf, segments } from './channels.js';
import { type Obstacle, obstacle, type Solver } from './form.js';
import { dependsOnInput } from './parse.js';

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
export const pick = (shape: readonly number[], axes: readonly number[]): number[] => axes.map((a) => shape[a]!);
export const others = (v: Value, axes: readonly number[]): number[] =>
  range(v.type.shape.length).filter((i) => !axes.includes(i));
export const sorted = (axes: readonly number[]): number[] => [...axes].sort((p, q) => p - q);

export const SPLITS = 'it splits or joins the channels';

/** What an operator does, said apart for channels and for tokens. */
export interface Step {
  /** Its operand and the axes that carry channels there, in the order in which `onChannels` takes them. */
  readonly u: Value;
  readonly axes: readonly number[];
  /** The operator on [t, shape of u] with one element on each axis of tokens. */
  readonly onChannels: (b: Builder, x: Value) => Value;
  /** The operator on [tokens of u..., n]. */
  readonly onTokens: (b: Builder, x: Value) => Value;
  /** It leaves the channels as they are, in their order. */
  readonly keeps?: boolean;
  /** It puts zeros beside the tokens: a shift must not reach them. */
  readonly padsTokens?: boolean;
  readonly bias?: Value;
}

const OWN = 'it is a layer of the model, over a part of the channels';

const same = (_: Builder, x: Value): Value => x;

/** Linear operators that do more than sum, scale and join. */
export type Stepping = Exclude<Linear, Arithmetic | OpsWith<'moves', 'joins'>>;

/** @param axes those of the result that carry channels */
type StepRule<O extends OpName> = (s: Solver, v: ValueOf<O>, axes: readonly number[]) => Step | Obstacle;

const reduced: StepRule<'reduce_sum' | 'reduce_mean'> = (_s, v, axes) => {
  const u = v.inputs[0]!;
  const { axes: gone, keep } = v.attrs;
  const channels = channelsOf(u);
  if (gone.some((a) => u.type.shape[a]! > 1 && !channels.includes(a))) return obstacle(v, 'it mixes tokens');
  const left = range(u.type.shape.length).filter((i) => keep || !gone.includes(i));
  const from = axes.map((a) => left[a]!).filter((a) => !gone.includes(a));
  const over = gone.map((a) => a + 1);
  return {
    u,
    axes: [...from, ...gone],
    onChannels: (b, x) => (v.op === 'reduce_sum' ? b.sum(x, over, keep) : b.mean(x, over, keep)),
    onTokens: (b, x) => b.reshape(x, [...pick(v.type.shape, others(v, axes)), x.type.shape.at(-1)!]),
  };
};

/** Null: nothing says what it does to channels and to tokens apart. */
const STEPS: { readonly [O in Stepping]: StepRule<O> | null } = {
  linear: (s, v, axes) => {
    const [u, weight, bias] = v.inputs as [Value, Value, Value | undefined];
    if (v.inputs.slice(1).some(dependsOnInput)) return obstacle(v, 'its weight depends on the input');
    if (!axes.includes(v.type.shape.length - 1)) return obstacle(v, 'it mixes tokens');
    if (!s.compose && s.isBase(weight)) return obstacle(v, OWN);
    return { u, axes, onChannels: (b, x) => b.linear(x, weight), onTokens: same, ...(bias ? { bias } : {}) };
  },
  matmul: productStep,
  reduce_sum: reduced,
  reduce_mean: reduced,
  reshape: (_s, v, axes) => reshapeStep(v, axes),
  transpose: (_s, v, axes) => {
    const u = v.inputs[0]!;
    const { perm } = v.attrs;
    const tokens = others(v, axes);
    const from = axes.map((a) => perm[a]!);
    const before = others(u, from);
    const order = [...tokens.map((a) => before.indexOf(perm[a]!)), tokens.length];
    return {
      u,
      axes: from,
      onChannels: (b, x) => b.transpose(x, [0, ...perm.map((a) => a + 1)]),
      onTokens: (b, x) => b.transpose(x, order),
      keeps: true,
    };
  },
  broadcast: (_s, v, axes) => {
    const u = v.inputs[0]!;
    const { shape } = v.type;
    const tokens = others(v, axes);
    const has = (a: number): boolean => axes.includes(a);
    const offset = shape.length - u.type.shape.length;
    const padded = [...new Array<number>(offset).fill(1), ...u.type.shape];
    const from = axes.filter((a) => a >= offset).map((a) => a - offset);
    const ones = (keep: (i: number) => boolean): number[] => padded.map((d, i) => (keep(i) ? d : 1));
    return {
      u,
      axes: from,
      keeps: axes.every((a) => padded[a] === shape[a]),
      onChannels: (b, x) => {
        const t = x.type.shape[0]!;
        return b.broadcast(b.reshape(x, [t, ...ones(has)]), [t, ...shape.map((d, i) => (has(i) ? d : 1))]);
      },
      onTokens: (b, x) => {
        const n = x.type.shape.at(-1)!;
        return b.broadcast(b.reshape(x, [...pick(padded, tokens), n]), [...pick(shape, tokens), n]);
      },
    };
  },
  slice: (_s, v, axes) => {
    const u = v.inputs[0]!;
    const { start, end } = v.attrs;
    const tokens = others(v, axes);
    const has = (a: number): boolean => axes.includes(a);
    return {
      u,
      axes,
      keeps: axes.every((a) => u.type.shape[a] === v.type.shape[a]),
      onChannels: (b, x) =>
        b.slice(
          x,
          [0, ...start.map((n, i) => (has(i) ? n : 0))],
          [x.type.shape[0]!, ...end.map((n, i) => (has(i) ? n : 1))],
        ),
      onTokens: (b, x) => b.slice(x, [...pick(start, tokens), 0], [...pick(end, tokens), x.type.shape.at(-1)!]),
    };
  },
  pad: (_s, v, axes) => {
    const u = v.inputs[0]!;
    const { low, high, value } = v.attrs;
    if (value !== 0) return obstacle(v, `it pads with ${value}, which a linear map would change`);
    const tokens = others(v, axes);
    const only = (list: readonly number[]): number[] => [0, ...list.map((n, i) => (axes.includes(i) ? n : 0))];
    return {
      u,
      axes,
      keeps: axes.every((a) => u.type.shape[a] === v.type.shape[a]),
      onChannels: (b, x) => b.pad(x, only(low), only(high)),
      onTokens: (b, x) => b.pad(x, [...pick(low, tokens), 0], [...pick(high, tokens), 0]),
      padsTokens: tokens.some((i) => low[i] !== 0 || high[i] !== 0),
    };
  },
  roll: (_s, v, axes) => {
    const roll = (b: Builder, x: Value, at: (axis: number) => number | undefined): Value => {
      const moves = v.attrs.axes.flatMap((a, i) =>
        at(a) === undefined ? [] : [[at(a)!, v.attrs.shifts[i]!] as const],
      );
      return moves.length === 0
        ? x
        : b.roll(
            x,
            moves.map((m) => m[1]),
            moves.map((m) => m[0]),
          );
    };
    return along(v, axes, v.attrs.axes, roll);
  },
  reverse: (_s, v, axes) =>
    along(v, axes, v.attrs.axes, (b, x, at) => {
      const turned = v.attrs.axes.flatMap((a) => at(a) ?? []);
      return turned.length === 0 ? x : b.reverse(x, turned);
    }),
  gather: (_s, v, axes) => {
    const [u, indices] = v.inputs as [Value, Value];
    const { axis } = v.attrs;
    const extra = indices.type.shape.length - 1;
    if (dependsOnInput(indices)) return obstacle(v, 'its indices depend on the input');
    if (axes.some((a) => a >= axis && a <= axis + extra) && extra !== 0) return obstacle(v, 'it picks channels');
    const from = axes.map((a) => (a <= axis ? a : a - extra));
    const has = axes.includes(axis);
    return {
      u,
      axes: from,
      keeps: !has,
      onChannels: (b, x) => b.gather(x, indices, axis + 1),
      onTokens: (b, x) => (has ? x : b.gather(x, indices, others(u, from).indexOf(axis))),
    };
  },
  segment_sum: null,
  scatter_add: null,
  conv2d: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  kron: null,
  batch_norm: null,
  attention: null,
  resize: null,
  solve: null,
};

/** An operator that does something to each of some axes and leaves the others alone: to channels there, to tokens here. */
function along(
  v: Value,
  axes: readonly number[],
  moved: readonly number[],
  run: (b: Builder, x: Value, at: (axis: number) => number | undefined) => Value,
): Step {
  const tokens = others(v, axes);
  const has = (a: number): boolean => axes.includes(a);
  return {
    u: v.inputs[0]!,
    axes,
    keeps: !moved.some(has),
    onChannels: (b, x) => run(b, x, (a) => (has(a) ? a + 1 : undefined)),
    onTokens: (b, x) => run(b, x, (a) => (has(a) ? undefined : tokens.indexOf(a))),
  };
}

/** The step of an operator over the axes of its result that carry channels, or why it is none. */
export function stepOf(s: Solver, v: Value, axes: readonly number[]): Step | Obstacle {
  const rule = ruleIn<StepRule<never>>(STEPS, v.op);
  return rule ? rule(s, v as never, axes) : obstacle(v, 'it is not affine');
}

/** x · R or L · x with a constant, whose batches may be blocks of channels but no tokens. */
function productStep(s: Solver, v: ValueOf<'matmul'>, axes: readonly number[]): Step | Obstacle {
  const [left, right] = v.inputs as [Value, Value];
  const rank = v.type.shape.length;
  const [u, constant, mixed] = dependsOnInput(left) ? [left, right, rank - 1] : [right, left, rank - 2];
  if (dependsOnInput(constant)) return obstacle(v, 'both of its factors depend on the input');
  if (!s.compose && s.isBase(constant)) return obstacle(v, OWN);
  if (!axes.includes(mixed)) return obstacle(v, 'it mixes tokens');
  const offset = rank - u.type.shape.length;
  const batches = constant.type.shape.slice(0, -2);
  if (batches.some((d, i) => d > 1 && !axes.includes(i + rank - constant.type.shape.length)))
    return obstacle(v, 'it is a different map for each of several tokens');
  const from = axes.filter((a) => a >= offset).map((a) => a - offset);
  const tokens = others(v, axes);
  const padded = [...new Array<number>(offset).fill(1), ...u.type.shape];
  return {
    u,
    axes: from,
    onChannels: (b, x) => {
      const [t, ...own] = x.type.shape as [number, ...number[]];
      const wide = b.reshape(x, [t, ...new Array<number>(offset).fill(1), ...own]);
      return u === left ? b.matmul(wide, constant) : b.matmul(constant, wide);
    },
    onTokens: (b, x) => b.reshape(x, [...pick(padded, tokens), x.type.shape.at(-1)!]),
  };
}

/** A reshape that changes channels and tokens apart from each other. */
function reshapeStep(v: ValueOf<'reshape'>, axes: readonly number[]): Step | Obstacle {
  const u = v.inputs[0]!;
  const { shape } = v.type;
  const from: number[] = [];
  for (const segment of segments(u.type.shape, shape)) {
    const inside = segment.to.filter((a) => axes.includes(a));
    if (inside.length === 0) continue;
    if (inside.length < segment.to.length) return obstacle(v, 'it joins channels with tokens');
    from.push(...segment.from);
  }
  const tokens = others(v, axes);
  // Channels that have one element here may have had more below.
  const thin = channelsOf(u).filter((a) => u.type.shape[a] === 1);
  if (from.length + thin.length === 0) {
    const single = u.type.shape.indexOf(1);
    if (single < 0) return obstacle(v, SPLITS);
    thin.push(single);
  }
  return {
    u,
    axes: [...from, ...thin],
    keeps: sorted(axes).every((a, i) => a === axes[i]),
    onChannels: (b, x) => b.reshape(x, [x.type.shape[0]!, ...shape.map((d, i) => (axes.includes(i) ? d : 1))]),
    onTokens: (b, x) => b.reshape(x, [...pick(shape, tokens), x.type.shape.at(-1)!]),
  };
}
