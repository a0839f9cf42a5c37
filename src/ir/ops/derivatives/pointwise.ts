/** Reverse mode for the pointwise operators. Where an operator has a corner, the rule does what PyTorch does. */
import type { Value, ValueOf } from '../../types.js';
import type { Builder } from '../builder.js';
import type { AnyDerivative } from '../define.js';
import { isFloat } from '../shapes.js';
import { ofAny, ofValue, sumTo } from './rule.js';

/** y' from x and y. */
type Slope = (b: Builder, x: Value, y: Value) => Value;

/** An operator of one operand: the cotangent times the slope. */
const times = (slope: Slope): AnyDerivative => ofAny((b, y, dy) => [() => b.mul(dy, slope(b, y.inputs[0]!, y))]);

const sigmoidSlope = (b: Builder, s: Value): Value => b.mul(s, b.sub(1, s));

export const neg = ofAny((b, _y, dy) => [() => b.neg(dy)]);
export const abs = times((b, x) => b.sign(x));
export const exp = times((_b, _x, y) => y);
export const log = ofAny((b, y, dy) => [() => b.div(dy, y.inputs[0]!)]);
export const sqrt = ofAny((b, y, dy) => [() => b.div(b.mul(dy, 0.5), y)]);
export const rsqrt = times((b, _x, y) => b.mul(b.mul(b.mul(y, y), y), -0.5));
export const reciprocal = times((b, _x, y) => b.neg(b.mul(y, y)));
export const sin = times((b, x) => b.cos(x));
export const cos = times((b, x) => b.neg(b.sin(x)));
export const tanh = times((b, _x, y) => b.sub(1, b.mul(y, y)));
export const erf = times((b, x) => b.mul(b.exp(b.neg(b.mul(x, x))), 2 / Math.sqrt(Math.PI)));
export const sigmoid = times((b, _x, y) => sigmoidSlope(b, y));
/** 0 at 0. */
export const again = ofAny((_b, _y, dy) => [() => dy]);
export const relu = ofAny((b, y, dy) => [() => b.select(b.lt(0, y.inputs[0]!), dy, 0)]);
/** σ + xσ(1 - σ), where y is xσ. */
export const silu = times((b, x, y) => {
  const s = b.sigmoid(x);
  return b.add(s, b.mul(y, b.sub(1, s)));
});

const TANH_SCALE = Math.sqrt(2 / Math.PI);

function geluSlope(b: Builder, x: Value, form: ValueOf<'gelu'>['attrs']['form']): Value {
  const square = b.mul(x, x);
  if (form === 'none') {
    const below = b.mul(b.add(b.erf(b.mul(x, Math.SQRT1_2)), 1), 0.5);
    return b.add(below, b.mul(b.mul(x, b.exp(b.mul(square, -0.5))), 1 / Math.sqrt(2 * Math.PI)));
  }
  if (form === 'quick') {
    const s = b.sigmoid(b.mul(x, 1.702));
    return b.add(s, b.mul(b.mul(x, 1.702), sigmoidSlope(b, s)));
  }
  const t = b.tanh(b.mul(b.mul(x, b.add(b.mul(square, 0.044715), 1)), TANH_SCALE));
  const inner = b.mul(b.add(b.mul(square, 3 * 0.044715), 1), TANH_SCALE);
  return b.mul(b.add(b.add(t, 1), b.mul(b.mul(x, b.sub(1, b.mul(t, t))), inner)), 0.5);
}

export const gelu = ofValue<'gelu'>((b, y, dy) => [() => b.mul(dy, geluSlope(b, y.inputs[0]!, y.attrs.form))]);

/** Between floats. Through an integer nothing is differentiated. */
export const cast = ofValue<'cast'>((b, { inputs: [x], type }, dy) => [
  isFloat(type.dtype) && isFloat(x!.type.dtype) ? () => b.cast(dy, x!.type.dtype) : undefined,
]);

/** The same elements are dropped of the cotangent, by the same bits, and the others scaled alike. */
export const dropout = ofValue<'dropout'>((b, { attrs }, dy) => [() => b.dropout(dy, attrs)]);
export const drop_path = ofValue<'drop_path'>((b, { attrs }, dy) => [() => b.dropPath(dy, attrs)]);

/** An operator of two operands that broadcast. */
const pair = (terms: (b: Builder, dy: Value, x: Value, y: Value, result: Value) => [Slot, Slot]): AnyDerivative =>
  ofAny((b, v, dy) => {
    const [x, y] = v.inputs as readonly [Value, Value];
    return terms(b, dy, x, y, v).map((term, i) => () => sumTo(b, term(), v.inputs[i]!.type.shape));
  });
type Slot = () => Value;

export const add = pair((_b, dy) => [() => dy, () => dy]);
export const sub = pair((b, dy) => [() => dy, () => b.neg(dy)]);
export const mul = pair((b, dy, x, y) => [() => b.mul(dy, y), () => b.mul(dy, x)]);
export const div = pair((b, dy, _x, y, q) => [() => b.div(dy, y), () => b.neg(b.div(b.mul(dy, q), y))]);

/** x^y: where y is 0 the slope in x is 0 whatever x is, and where x is 0 that in y is. */
export const pow = pair((b, dy, x, y, p) => [
  () => {
    const slope = b.mul(dy, b.mul(y, b.pow(x, b.sub(y, 1))));
    if (y.op === 'constant') return y.attrs.value === 0 ? b.mul(dy, 0) : slope;
    return b.select(b.eq(y, 0), 0, slope);
  },
  () => b.mul(dy, b.select(b.eq(x, 0), 0, b.mul(p, b.log(x)))),
]);

/** Of two equal operands each gets half. */
const larger = (b: Builder, dy: Value, x: Value, y: Value): Value =>
  b.select(b.lt(y, x), dy, b.select(b.eq(x, y), b.mul(dy, 0.5), 0));
export const maximum = pair((b, dy, x, y) => [() => larger(b, dy, x, y), () => larger(b, dy, y, x)]);
export const minimum = pair((b, dy, x, y) => [() => larger(b, dy, y, x), () => larger(b, dy, x, y)]);

/** x mod y = x - y·trunc(x/y), and the number of whole times is constant almost everywhere. */
export const mod = pair((b, dy, x, y, rest) => [() => dy, () => b.neg(b.mul(dy, b.div(b.sub(x, rest), y)))]);

export const select = ofValue<'select'>((b, { inputs: [condition, then, otherwise] }, dy) => [
  undefined,
  () => sumTo(b, b.select(condition!, dy, 0), then!.type.shape),
  () => sumTo(b, b.select(condition!, 0, dy), otherwise!.type.shape),
]);
