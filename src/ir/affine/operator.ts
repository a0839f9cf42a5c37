/**
 * Linear operators that are no matrix of parameters: sums and means over channels, products of blocks, factors over split heads,
 * permutations, cuts and zeros of channels. A linear operator is its own matrix: it is run on the columns of the one below it. So this knows
 * of each only which axes it mixes.
 *
 * Here a value has its channels on several axes, in an order, and forms are held with the channels last: x is [tokens..., in], a shift
 * is [n] or [tokens..., n].
 */
import type { Builder } from '../ops/builder.js';
import type { Cost, OpDef } from '../ops/define.js';
import { OPS } from '../ops/index.js';
import { sizeOf } from '../ops/shapes.js';
import type { OpName, Value, ValueOf } from '../types.js';
import { apply } from './apply.js';
import { channelsOf, segments } from './channels.js';
import {
  addForms,
  type Form,
  isObstacle,
  mapMatrices,
  type Obstacle,
  obstacle,
  type Scope,
  type Shift,
} from './form.js';
import { scaleForm } from './linear.js';
import { identity, type Matrix, operator, product } from './matrix.js';
import { dependsOnInput } from './parse.js';

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const pick = (shape: readonly number[], axes: readonly number[]): number[] => axes.map((a) => shape[a]!);
const others = (v: Value, axes: readonly number[]): number[] =>
  range(v.type.shape.length).filter((i) => !axes.includes(i));

/** What an operator does, said apart for channels and for tokens. */
interface Step {
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

/** The form of `v` along one axis, by what the operator does to it. */
export function operatorForm(s: Scope, v: Value, axis: number): Form | Obstacle {
  const f = groupForm(s, v, [axis]);
  if (isObstacle(f)) return f;
  const back = (x: Value): Value => {
    const perm = range(v.type.shape.length - 1);
    perm.splice(axis, 0, v.type.shape.length - 1);
    return s.b.transpose(x, perm);
  };
  return mapValues(f, back);
}

/** A value with the channels last, as `groupForm` has it, in the arrangement of `like` with its channels on `axes`. */
export function arranged(b: Builder, x: Value, like: Value, axes: readonly number[]): Value {
  const { shape } = like.type;
  const order = [...others(like, axes), ...axes];
  return b.transpose(
    b.reshape(x, pick(shape, order)),
    range(shape.length).map((i) => order.indexOf(i)),
  );
}

/** The shape of `like` with its channels on one last axis. */
export function flatShape(like: Value, axes: readonly number[]): number[] {
  return [...pick(like.type.shape, others(like, axes)), sizeOf(pick(like.type.shape, axes))];
}

const mapValues = (f: Form, change: (x: Value) => Value): Form => ({
  terms: f.terms.map((t) => ({ ...t, x: change(t.x) })),
  ...(f.c ? { c: f.c.kind === 'full' ? { kind: 'full', value: change(f.c.value) } : f.c } : {}),
});

/** The form of `v` along axes, channels last, by that along one axis where one alone is wide. */
function lastForm(s: Scope, v: Value, axes: readonly number[]): Form | Obstacle {
  const wide = axes.filter((a) => v.type.shape[a]! > 1);
  if (wide.length > 1) return s.group(v, axes);
  const axis = wide[0] ?? axes[0]!;
  const f = s.form(v, axis);
  if (isObstacle(f)) return f;
  if (f.terms.some((t) => t.patches)) return obstacle(v, 'it rearranges the result of a convolution');
  const tokens = others(v, axes);
  const perm = [...tokens, ...axes.filter((a) => a !== axis), axis];
  return mapValues(f, (x) => {
    const { shape } = x.type;
    return s.b.reshape(s.b.transpose(x, perm), [...pick(shape, tokens), shape[axis]!]);
  });
}

/** The form of `v` along axes, in their order, channels last. */
export function groupForm(s: Scope, v: Value, axes: readonly number[]): Form | Obstacle {
  const { b } = s;
  const { shape } = v.type;
  const tokens = others(v, axes);
  const flat = flatShape(v, axes);
  const last = tokens.length;
  if (!dependsOnInput(v)) return { terms: [], c: shiftOf(b, v, shape, axes) };
  const operand = (x: Value): Form | Obstacle =>
    dependsOnInput(x) ? lastForm(s, b.broadcast(x, shape), axes) : { terms: [], c: shiftOf(b, x, shape, axes) };
  const scaled = (x: Value, by: Value): Form | Obstacle => {
    const factor = sizeOf(by.type.shape) === 1 ? b.reshape(by, []) : channelsAlone(b, by, shape, axes);
    if (!factor) return obstacle(v, 'its factor varies along other axes than the channels');
    const f = operand(x);
    if (isObstacle(f)) return f;
    return scaleForm(s, f, { kind: factor.type.shape.length === 0 ? 'scalar' : 'channel', value: factor }, flat, last);
  };
  const [x, y] = v.inputs as [Value, Value];
  switch (v.op) {
    case 'add':
    case 'sub': {
      const first = operand(x);
      if (isObstacle(first)) return first;
      const second = operand(y);
      if (isObstacle(second)) return second;
      const minus = { kind: 'scalar', value: b.constant(-1) } as const;
      return addForms(b, [first, v.op === 'add' ? second : scaleForm(s, second, minus, flat, last)], flat, last);
    }
    case 'neg':
      return scaled(x, b.constant(-1));
    case 'mul':
      if (dependsOnInput(x) && dependsOnInput(y)) return obstacle(v, 'both of its factors depend on the input');
      return dependsOnInput(x) ? scaled(x, y) : scaled(y, x);
    case 'div':
      if (dependsOnInput(y)) return obstacle(v, 'it divides by what depends on the input');
      return scaled(x, y.op === 'constant' ? b.div(1, y) : b.reciprocal(y));
    case 'stop_gradient':
      return lastForm(s, x, axes);
    case 'concat':
      return concatSteps(s, v, axes, flat);
    default: {
      const step = stepOf(s, v, axes);
      return isObstacle(step) ? step : through(s, v, axes, step);
    }
  }
}

/** Operands joined along the channels: the sum of each with zeros in the place of the others. */
function concatSteps(
  s: Scope,
  v: ValueOf<'concat'>,
  axes: readonly number[],
  flat: readonly number[],
): Form | Obstacle {
  const { axis } = v.attrs;
  if (!axes.includes(axis)) return obstacle(v, 'it joins tokens that come from different values');
  const forms: Form[] = [];
  let top = 0;
  for (const u of v.inputs) {
    const low = v.type.shape.map((_, i) => (i === axis ? top : 0));
    top += u.type.shape[axis]!;
    const high = v.type.shape.map((d, i) => (i === axis ? d - top : 0));
    const step: Step = {
      u,
      axes,
      onChannels: (b, x) => b.pad(x, [0, ...low], [0, ...high]),
      onTokens: (_, x) => x,
    };
    const f = through(s, v, axes, step);
    if (isObstacle(f)) return f;
    forms.push(f);
  }
  return addForms(s.b, forms, flat, flat.length - 1);
}

/** The step's matrix times the form of its operand. */
function through(s: Scope, v: Value, axes: readonly number[], step: Step): Form | Obstacle {
  const { b } = s;
  const { u } = step;
  const f: Form | Obstacle = dependsOnInput(u)
    ? lastForm(s, u, step.axes)
    : { terms: [], c: shiftOf(b, u, u.type.shape, step.axes) };
  if (isObstacle(f)) return f;
  if (f.c && step.padsTokens) return obstacle(v, 'it pads with zeros, and a shift must not reach the padding');
  const m = matrixOf(v, axes, step);
  if (f.terms.some((t) => t.m.in * m.out > LARGEST)) return obstacle(v, 'multiplied out it would be too large');
  const terms = mapMatrices(b, f, (n) => product(b, m, n)).map((t) => ({ ...t, x: step.onTokens(b, t.x) }));
  const parts = [f.c && shifted(b, m, f.c, step), step.bias && shiftOf(b, step.bias, v.type.shape, axes)];
  const flat = flatShape(v, axes);
  const forms = [{ terms }, ...parts.filter((c) => c !== undefined).map((c): Form => ({ terms: [], c }))];
  return addForms(b, forms, flat, flat.length - 1);
}

/** Elements of a matrix that is multiplied out: those of a layer from 4096 to 16384 channels. */
const LARGEST = 2 ** 26;

function costOf(v: Value): Cost {
  const def = OPS[v.op] as OpDef<OpName>;
  return def.cost(
    v.inputs.map((x) => x.type),
    v.attrs,
    v.type,
  );
}

function matrixOf(v: Value, axes: readonly number[], step: Step): Matrix {
  const before = step.u.type.shape;
  const after = v.type.shape;
  const out = sizeOf(pick(after, axes));
  if (step.keeps) return identity(out);
  const cost = costOf(v).flops / (sizeOf(after) / out);
  return operator(out, sizeOf(pick(before, step.axes)), cost, (b, x) =>
    gathered(b, step.onChannels(b, spread(b, x, before, step.axes)), after, axes),
  );
}

const sorted = (axes: readonly number[]): number[] => [...axes].sort((p, q) => p - q);

/** [t, n] -> [t, shape with one element on each axis of tokens] */
function spread(b: Builder, x: Value, shape: readonly number[], axes: readonly number[]): Value {
  const t = x.type.shape[0]!;
  const split = b.reshape(x, [t, ...pick(shape, axes)]);
  const turned = b.transpose(split, [0, ...sorted(axes).map((a) => axes.indexOf(a) + 1)]);
  return b.reshape(turned, [t, ...shape.map((d, i) => (axes.includes(i) ? d : 1))]);
}

/** The inverse of `spread`. */
function gathered(b: Builder, x: Value, shape: readonly number[], axes: readonly number[]): Value {
  const t = x.type.shape[0]!;
  const ascending = sorted(axes);
  const split = b.reshape(x, [t, ...pick(shape, ascending)]);
  const turned = b.transpose(split, [0, ...axes.map((a) => ascending.indexOf(a) + 1)]);
  return b.reshape(turned, [t, sizeOf(pick(shape, axes))]);
}

function shifted(b: Builder, m: Matrix, c: Shift, step: Step): Shift {
  if (c.kind === 'channel')
    return { kind: 'channel', value: b.reshape(apply(b, m, b.reshape(c.value, [1, m.in])), [m.out]) };
  const whole = b.broadcast(c.value, [...pick(step.u.type.shape, others(step.u, step.axes)), m.in]);
  return { kind: 'full', value: apply(b, m, step.onTokens(b, whole)) };
}

/** A constant that lies over `shape`, as [tokens or 1..., channels]. */
function lying(b: Builder, constant: Value, shape: readonly number[], axes: readonly number[]): Value {
  const thin = constant.op === 'broadcast' ? constant.inputs[0]! : constant;
  const own = [...new Array<number>(shape.length - thin.type.shape.length).fill(1), ...thin.type.shape];
  const tokens = range(shape.length).filter((i) => !axes.includes(i));
  const whole = b.broadcast(
    b.reshape(thin, own),
    own.map((d, i) => (axes.includes(i) ? shape[i]! : d)),
  );
  return b.reshape(b.transpose(whole, [...tokens, ...axes]), [...pick(own, tokens), sizeOf(pick(shape, axes))]);
}

function shiftOf(b: Builder, constant: Value, shape: readonly number[], axes: readonly number[]): Shift {
  const value = lying(b, constant, shape, axes);
  const n = value.type.shape.at(-1)!;
  return sizeOf(value.type.shape) === n ? { kind: 'channel', value: b.reshape(value, [n]) } : { kind: 'full', value };
}

/** A constant as [channels] if it varies along nothing else. */
function channelsAlone(
  b: Builder,
  constant: Value,
  shape: readonly number[],
  axes: readonly number[],
): Value | undefined {
  const c = shiftOf(b, constant, shape, axes);
  return c.kind === 'channel' ? c.value : undefined;
}

const same = (_: Builder, x: Value): Value => x;

function stepOf(s: Scope, v: Value, axes: readonly number[]): Step | Obstacle {
  const u = v.inputs[0]!;
  const { shape } = v.type;
  const tokens = others(v, axes);
  const has = (a: number): boolean => axes.includes(a);
  switch (v.op) {
    case 'linear': {
      const [, weight, bias] = v.inputs as [Value, Value, Value | undefined];
      if (v.inputs.slice(1).some(dependsOnInput)) return obstacle(v, 'its weight depends on the input');
      if (!has(shape.length - 1)) return obstacle(v, 'it mixes another axis');
      if (s.isBase(weight)) return obstacle(v, 'it is a layer of the model, over a part of the channels');
      return { u, axes, onChannels: (b, x) => b.linear(x, weight), onTokens: same, ...(bias ? { bias } : {}) };
    }
    case 'matmul':
      return productStep(v, axes);
    case 'reduce_sum':
    case 'reduce_mean': {
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
        onTokens: (b, x) => b.reshape(x, [...pick(shape, tokens), x.type.shape.at(-1)!]),
      };
    }
    case 'reshape':
      return reshapeStep(v, axes);
    case 'transpose': {
      const { perm } = v.attrs;
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
    }
    case 'broadcast': {
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
    }
    case 'slice': {
      const { start, end } = v.attrs;
      return {
        u,
        axes,
        keeps: axes.every((a) => u.type.shape[a] === shape[a]),
        onChannels: (b, x) =>
          b.slice(
            x,
            [0, ...start.map((n, i) => (has(i) ? n : 0))],
            [x.type.shape[0]!, ...end.map((n, i) => (has(i) ? n : 1))],
          ),
        onTokens: (b, x) => b.slice(x, [...pick(start, tokens), 0], [...pick(end, tokens), x.type.shape.at(-1)!]),
      };
    }
    case 'pad': {
      const { low, high, value } = v.attrs;
      if (value !== 0) return obstacle(v, `it pads with ${value}, which a linear map would change`);
      const only = (list: readonly number[]): number[] => [0, ...list.map((n, i) => (has(i) ? n : 0))];
      return {
        u,
        axes,
        keeps: axes.every((a) => u.type.shape[a] === shape[a]),
        onChannels: (b, x) => b.pad(x, only(low), only(high)),
        onTokens: (b, x) => b.pad(x, [...pick(low, tokens), 0], [...pick(high, tokens), 0]),
        padsTokens: tokens.some((i) => low[i] !== 0 || high[i] !== 0),
      };
    }
    case 'roll': {
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
      return {
        u,
        axes,
        keeps: !v.attrs.axes.some(has),
        onChannels: (b, x) => roll(b, x, (a) => (has(a) ? a + 1 : undefined)),
        onTokens: (b, x) => roll(b, x, (a) => (has(a) ? undefined : tokens.indexOf(a))),
      };
    }
    case 'gather': {
      const [, indices] = v.inputs as [Value, Value];
      const { axis } = v.attrs;
      const extra = indices.type.shape.length - 1;
      if (dependsOnInput(indices)) return obstacle(v, 'its indices depend on the input');
      if (axes.some((a) => a >= axis && a <= axis + extra) && extra !== 0) return obstacle(v, 'it picks channels');
      const from = axes.map((a) => (a <= axis ? a : a - extra));
      return {
        u,
        axes: from,
        keeps: !has(axis),
        onChannels: (b, x) => b.gather(x, indices, axis + 1),
        onTokens: (b, x) => (has(axis) ? x : b.gather(x, indices, others(u, from).indexOf(axis))),
      };
    }
    default:
      return obstacle(v, 'it is not affine');
  }
}

/** x · R or L · x with a constant, whose batches may be blocks of channels but no tokens. */
function productStep(v: ValueOf<'matmul'>, axes: readonly number[]): Step | Obstacle {
  const [left, right] = v.inputs as [Value, Value];
  const rank = v.type.shape.length;
  const [u, constant, mixed] = dependsOnInput(left) ? [left, right, rank - 1] : [right, left, rank - 2];
  if (dependsOnInput(constant)) return obstacle(v, 'both of its factors depend on the input');
  if (!axes.includes(mixed)) return obstacle(v, 'it mixes another axis');
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
  // An axis for a single channel where all of v's have one element.
  const single = u.type.shape.indexOf(1);
  if (from.length === 0 && single < 0) return obstacle(v, 'it splits or joins the channels');
  return {
    u,
    axes: from.length > 0 ? from : [single],
    keeps: sorted(axes).every((a, i) => a === axes[i]),
    onChannels: (b, x) => b.reshape(x, [x.type.shape[0]!, ...shape.map((d, i) => (axes.includes(i) ? d : 1))]),
    onTokens: (b, x) => b.reshape(x, [...pick(shape, tokens), x.type.shape.at(-1)!]),
  };
}
