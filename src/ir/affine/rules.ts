/** The affine form of one operator's result, from the forms of its operands: the table of rules. */
import { adaptersOf } from '../about.js';
import { type Linear, ruleIn } from '../ops/index.js';
import type { OpName, Value, ValueOf } from '../types.js';
import { convForm } from './conv.js';
import { addForms, type Form, isObstacle, type Obstacle, obstacle, type Shift, type Solver } from './form.js';
import { concatForm, LAYOUT } from './layout.js';
import { linearOver, scaleForm } from './linear.js';
import { transposed } from './matrix.js';
import { operatorForm } from './operator.js';
import { dependsOnInput, factorOf, matrixOf } from './parse.js';

/** The form of `v` along `axis`, or what stands in the way: always `v` itself or something below it. */
export function ruleOf(s: Solver, v: Value, axis: number): Form | Obstacle {
  const form = structured(s, v, axis);
  if (form && (!isObstacle(form) || form.value !== v)) return form;
  const other = s.mixes(v) ? operatorForm(s, v, axis) : obstacle(v, 'it mixes channels or tokens');
  // Of two reasons at one operator the first is that of the stricter rule.
  return form && isObstacle(other) && other.value === v ? form : other;
}

/** By the rules that keep the structure of matrices and the arrangement of values; undefined where none is for the operator. */
function structured(s: Solver, v: Value, axis: number): Form | Obstacle | undefined {
  if (!dependsOnInput(v)) return { terms: [], c: shiftOf(s, v, axis) };
  const rule = ruleFor(v.op);
  return rule ? rule(s, v as never, axis) : obstacle(v, 'it is not affine');
}

type Rule<O extends OpName> = (s: Solver, v: ValueOf<O>, axis: number) => Form | Obstacle | undefined;

/** What operators that mix channels have, and nothing else does it for them (operator.ts). */
const mixing: Rule<OpName> = () => undefined;

/** Null: no rule takes it apart, though it is linear. Forms are of what infers, where nothing that is for training alone is left. */
const RULES: { readonly [O in Linear]: Rule<O> | null } = {
  ...LAYOUT,
  concat: concatForm,
  add: sumForm,
  sub: sumForm,
  neg: (s, v, axis) => timesConstant(s, v, v.inputs[0]!, s.b.constant(-1), axis),
  mul: (s, v, axis) => {
    const [x, y] = v.inputs as [Value, Value];
    if (dependsOnInput(x) && dependsOnInput(y)) return productOfTwo(v);
    return dependsOnInput(x) ? timesConstant(s, v, x, y, axis) : timesConstant(s, v, y, x, axis);
  },
  div: (s, v, axis) => {
    const [x, y] = v.inputs as [Value, Value];
    if (dependsOnInput(y)) return productOfTwo(v);
    return timesConstant(s, v, x, y.op === 'constant' ? s.b.div(1, y) : s.b.reciprocal(y), axis);
  },
  linear: (s, v, axis) => {
    if (axis !== v.type.shape.length - 1) return obstacle(v, 'it mixes tokens');
    const [x, weight, bias] = v.inputs as [Value, Value, Value | undefined];
    if (v.inputs.slice(1).some(dependsOnInput)) return obstacle(v, 'its weight depends on the input');
    return linearOver(s, x, matrixOf(s.b, weight), bias, s.isBase(weight), axis);
  },
  matmul: (s, v, axis) => {
    const [x, right] = v.inputs as [Value, Value];
    if (dependsOnInput(right)) return dependsOnInput(x) ? productOfTwo(v) : obstacle(v, 'it mixes tokens');
    if (right.type.shape.length !== 2) return obstacle(v, 'it is a different map for each of several tokens');
    if (axis !== v.type.shape.length - 1) return obstacle(v, 'it mixes tokens');
    return linearOver(s, x, transposed(s.b, matrixOf(s.b, right)), undefined, s.isBase(right), axis);
  },
  conv2d: (s, v, axis) =>
    v.inputs.slice(1).some(dependsOnInput) ? obstacle(v, 'its weight depends on the input') : convForm(s, v, axis),
  batch_norm: (s, v, axis) => (s.norms ? batchNormForm(s, v, axis) : obstacle(v, 'it is not affine')),
  stop_gradient: (s, v, axis) => s.form(v.inputs[0]!, axis),
  again: (s, v, axis) => s.form(v.inputs[0]!, axis),
  reduce_sum: mixing,
  reduce_mean: mixing,
  dropout: null,
  drop_path: null,
  select: null,
  kron: null,
  attention: null,
  resize: null,
  segment_sum: null,
  scatter_add: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  solve: null,
};

const ruleFor = (op: OpName): Rule<never> | null | undefined => ruleIn<Rule<never>>(RULES, op);

/** Whether an operator has a rule, here or as one that mixes channels. */
export const isRuled = (v: Value): boolean => Boolean(ruleFor(v.op));

/**
 * Two values of the input, multiplied or divided. What is in the way is what makes one of them more than a map of the input: the sigmoid of a
 * gate. If both are maps it is the product.
 */
function productOfTwo(v: Value): Obstacle {
  const seen = new Set(v.inputs);
  for (const x of seen) {
    if (!dependsOnInput(x) || adaptersOf(x.about).join() !== adaptersOf(v.about).join() || x.op === 'input') continue;
    if (!isRuled(x)) return obstacle(x, `it is not affine, and what it gives is a factor of the result`);
    for (const y of x.inputs) seen.add(y);
  }
  return obstacle(
    v,
    v.op === 'div' ? 'it divides by what depends on the input' : 'both of its factors depend on the input',
  );
}

function shiftOf(s: Solver, v: Value, axis: number): Shift {
  const factor = factorOf(s.b, v, v.type.shape, axis);
  if (factor.kind !== 'scalar') return factor;
  return { kind: 'channel', value: s.b.broadcast(factor.value, [v.type.shape[axis]!]) };
}

/** An operand as broadcast to its operator's shape. Constants keep their own axes. */
function operand(s: Solver, x: Value, shape: readonly number[], axis: number): Form | Obstacle {
  if (!dependsOnInput(x)) {
    const factor = factorOf(s.b, x, shape, axis);
    const c: Shift =
      factor.kind === 'scalar' ? { kind: 'channel', value: s.b.broadcast(factor.value, [shape[axis]!]) } : factor;
    return { terms: [], c };
  }
  return s.form(s.b.broadcast(x, shape), axis);
}

function sumForm(s: Solver, v: Value, axis: number): Form | Obstacle {
  const [x, y] = v.inputs as [Value, Value];
  const { shape } = v.type;
  const first = operand(s, x, shape, axis);
  if (isObstacle(first)) return first;
  let second = operand(s, y, shape, axis);
  if (isObstacle(second)) return second;
  if (v.op === 'sub') second = scaleForm(s, second, { kind: 'scalar', value: s.b.constant(-1) }, shape, axis);
  return addForms(s.b, [first, second], shape, axis);
}

function timesConstant(s: Solver, v: Value, x: Value, by: Value, axis: number): Form | Obstacle {
  const { shape } = v.type;
  const factor = factorOf(s.b, by, shape, axis);
  if (factor.kind === 'full') return obstacle(v, 'its factor varies along other axes than the channels');
  const f = operand(s, x, shape, axis);
  return isObstacle(f) ? f : scaleForm(s, f, factor, shape, axis);
}

/** g (x - mean) / sqrt(variance + eps) + h, a scale and a shift once mean and variance are constants. */
function batchNormForm(s: Solver, v: ValueOf<'batch_norm'>, axis: number): Form | Obstacle {
  if (axis !== 1) return obstacle(v, 'it normalises another axis');
  const [x, gain, shift, mean, variance] = v.inputs as [Value, Value, Value, Value, Value];
  const f = s.form(x, axis);
  if (isObstacle(f)) return f;
  const scale = s.b.mul(gain, s.b.rsqrt(s.b.add(variance, v.attrs.eps)));
  const c: Form = { terms: [], c: { kind: 'channel', value: s.b.sub(shift, s.b.mul(mean, scale)) } };
  return addForms(s.b, [scaleForm(s, f, { kind: 'channel', value: scale }, v.type.shape, axis), c], v.type.shape, axis);
}
