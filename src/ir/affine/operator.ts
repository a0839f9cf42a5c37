/**
 * Linear operators that are no matrix of parameters: sums and means over channels, products of blocks, factors over split heads,
 * permutations, cuts and zeros of channels. A linear operator is its own matrix: it is run on the columns of the one below it. So this knows
 * of each only which axes it mixes.
 *
 * Here a value has its channels on several axes, in an order, and forms are held with the channels last: x is [tokens..., in], a shift
 * is [n] or [tokens..., n].
 */
import { perSample } from '../batch.js';
import type { Builder } from '../ops/builder.js';
import { costOf } from '../ops/cost.js';
import { type Linear, ruleIn } from '../ops/index.js';
import { sizeOf } from '../ops/shapes.js';
import type { OpName, Value, ValueOf } from '../types.js';
import { apply } from './apply.js';
import {
  addForms,
  type Form,
  isObstacle,
  mapMatrices,
  type Obstacle,
  obstacle,
  type Shift,
  type Solver,
} from './form.js';
import { scaleForm } from './linear.js';
import { identity, type Matrix, operator, product } from './matrix.js';
import { dependsOnInput } from './parse.js';
import { others, pick, range, SPLITS, type Step, type Stepping, sorted, stepOf } from './steps.js';

/** The form of `v` along one axis, by what the operator does to it. */
export function operatorForm(s: Solver, v: Value, axis: number): Form | Obstacle {
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
function lastForm(s: Solver, v: Value, axes: readonly number[]): Form | Obstacle {
  const wide = axes.filter((a) => v.type.shape[a]! > 1);
  if (axes.length > 1) {
    const whole = s.group(v, axes);
    if (wide.length > 1 || !isObstacle(whole)) return whole;
  }
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

/** What the rules of one operator work with: its form is wanted along these axes, channels last. */
interface Wanted {
  readonly s: Solver;
  readonly axes: readonly number[];
  /** An operand, broadcast. */
  readonly operand: (x: Value) => Form | Obstacle;
  readonly scaled: (x: Value, by: Value) => Form | Obstacle;
  readonly negative: (f: Form) => Form;
  readonly sum: (...forms: readonly Form[]) => Form;
}

type GroupRule<O extends OpName> = (w: Wanted, v: ValueOf<O>) => Form | Obstacle;

const sumForm: GroupRule<'add' | 'sub'> = ({ operand, negative, sum }, v) => {
  const first = operand(v.inputs[0]!);
  if (isObstacle(first)) return first;
  const second = operand(v.inputs[1]!);
  if (isObstacle(second)) return second;
  return sum(first, v.op === 'add' ? second : negative(second));
};

/** Of sums and factors, and of what joins; all others are steps (steps.ts). Null: no rule takes it apart, though it is linear. */
const FORMS: { readonly [O in Exclude<Linear, Stepping>]: GroupRule<O> | null } = {
  add: sumForm,
  sub: sumForm,
  neg: ({ s, scaled }, v) => scaled(v.inputs[0]!, s.b.constant(-1)),
  mul: ({ scaled }, v) => {
    const [x, y] = v.inputs as [Value, Value];
    if (dependsOnInput(x) && dependsOnInput(y)) return obstacle(v, 'both of its factors depend on the input');
    return dependsOnInput(x) ? scaled(x, y) : scaled(y, x);
  },
  div: ({ s, scaled }, v) => {
    const [x, y] = v.inputs as [Value, Value];
    if (dependsOnInput(y)) return obstacle(v, 'it divides by what depends on the input');
    return scaled(x, y.op === 'constant' ? s.b.div(1, y) : s.b.reciprocal(y));
  },
  stop_gradient: ({ s, axes }, v) => lastForm(s, v.inputs[0]!, axes),
  again: ({ s, axes }, v) => lastForm(s, v.inputs[0]!, axes),
  concat: ({ s, axes }, v) => concatSteps(s, v, axes, flatShape(v, axes)),
  dropout: null,
  drop_path: null,
  select: null,
};

/** The form of `v` along axes, in their order, channels last. */
export function groupForm(s: Solver, v: Value, axes: readonly number[]): Form | Obstacle {
  const { b } = s;
  const { shape } = v.type;
  if (!dependsOnInput(v)) return { terms: [], c: shiftOf(b, v, shape, axes) };
  const rule = ruleIn<GroupRule<never>>(FORMS, v.op);
  if (rule === null) return obstacle(v, 'it is not affine');
  if (!rule) {
    const step = stepOf(s, v, axes);
    return isObstacle(step) ? step : through(s, v, axes, step);
  }
  const flat = flatShape(v, axes);
  const last = flat.length - 1;
  const operand = (x: Value): Form | Obstacle =>
    dependsOnInput(x) ? lastForm(s, b.broadcast(x, shape), axes) : { terms: [], c: shiftOf(b, x, shape, axes) };
  const scaled = (x: Value, by: Value): Form | Obstacle => {
    const factor = sizeOf(by.type.shape) === 1 ? b.reshape(by, []) : channelsAlone(b, by, shape, axes);
    if (!factor) return obstacle(v, 'its factor varies along other axes than the channels');
    const f = operand(x);
    if (isObstacle(f)) return f;
    return scaleForm(s, f, { kind: factor.type.shape.length === 0 ? 'scalar' : 'channel', value: factor }, flat, last);
  };
  const negative = (f: Form): Form => scaleForm(s, f, { kind: 'scalar', value: b.constant(-1) }, flat, last);
  const sum = (...forms: readonly Form[]): Form => addForms(b, forms, flat, last);
  return rule({ s, axes, operand, scaled, negative, sum }, v as never);
}

/** Operands joined along the channels: the sum of each with zeros in the place of the others. */
function concatSteps(
  s: Solver,
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

const APART = 'its channels lie on several axes';

/** Where a form along several axes has nothing to end at. Above, the reshape that joins them is what stands in the way. */
export const apart = (v: Value): Obstacle => obstacle(v, APART);

/** The step's matrix times the form of its operand. */
function through(s: Solver, v: Value, axes: readonly number[], step: Step): Form | Obstacle {
  const { b } = s;
  const { u } = step;
  const f: Form | Obstacle = dependsOnInput(u)
    ? lastForm(s, u, step.axes)
    : { terms: [], c: shiftOf(b, u, u.type.shape, step.axes) };
  if (isObstacle(f) && f.reason === APART) return v.op === 'reshape' ? obstacle(v, SPLITS) : apart(v);
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

function matrixOf(v: Value, axes: readonly number[], step: Step): Matrix {
  const before = step.u.type.shape;
  const after = v.type.shape;
  const out = sizeOf(pick(after, axes));
  if (step.keeps) return identity(out);
  const cost = costOf(v).flops / (perSample(sizeOf(after)) / perSample(out));
  return operator(out, sizeOf(pick(before, step.axes)), cost, (b, x) =>
    gathered(b, step.onChannels(b, spread(b, x, before, step.axes)), after, axes),
  );
}

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
