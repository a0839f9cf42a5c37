/** WGSL of every pointwise operator. */
import type { Value } from '../ir/types.js';
import { at, type Expr, literal, type Scalar, scalarOf, typeName } from './emit.js';
import type { Index } from './indexing.js';
import type { HelperBase } from './math.js';
import type { InlineRule, Reader } from './reader.js';

/** A rule that serves several operators. */
type Rule = (r: Reader, v: Value, coords: readonly Index[]) => Expr;
type Code = (x: string, wide: boolean, type: Scalar) => string;

const emit = (r: Reader, v: Value, wide: boolean, code: string): Expr => r.e.expr(scalarOf(v.type.dtype), wide, code);

function unary(code: Code): Rule {
  return (r, v, coords) => {
    const x = r.operand(v.inputs[0]!, coords);
    return emit(r, v, x.wide, code(x.code, x.wide, x.type));
  };
}

/** A call of a function of math.ts. */
function helper(base: HelperBase): Rule {
  return (r, v, coords) => {
    const x = r.operand(v.inputs[0]!, coords);
    return emit(r, v, x.wide, call(r, base, [x], x.wide));
  };
}

function call(r: Reader, base: HelperBase, args: readonly Expr[], wide: boolean): string {
  const name = wide ? (`${base}4` as const) : base;
  r.e.helpers.add(name);
  return `${name}(${args.map((a) => at(a, wide)).join(', ')})`;
}

function binary(code: (a: string, b: string) => string): Rule {
  return (r, v, coords) => {
    const [a, b] = both(r, v, coords);
    const wide = a.wide || b.wide;
    return emit(r, v, wide, code(at(a, wide), at(b, wide)));
  };
}

function both(r: Reader, v: Value, coords: readonly Index[]): [Expr, Expr] {
  return [r.operand(v.inputs[0]!, coords), r.operand(v.inputs[1]!, coords)];
}

const fn =
  (name: string): Code =>
  (x) =>
    `${name}(${x})`;
const identity: Rule = (r, v, coords) => r.operand(v.inputs[0]!, coords);
const number = (value: number, type: Scalar, wide: boolean): string =>
  wide ? `${typeName(type, true)}(${literal(value, type)})` : literal(value, type);

/** Small whole exponents multiply; everything else goes through `pow_`. */
const power: Rule = (r, v, coords) => {
  const [a, b] = both(r, v, coords);
  const exponent = v.inputs[1]!;
  if (exponent.op === 'constant') {
    const n = exponent.attrs.value;
    if (n === 0.5) return emit(r, v, a.wide, `sqrt(${a.code})`);
    if (Number.isInteger(n) && n >= 1 && n <= 4) return emit(r, v, a.wide, new Array(n).fill(a.code).join(' * '));
  }
  const wide = a.wide || b.wide;
  return emit(r, v, wide, call(r, 'pow_', [a, b], wide));
};

const cast: InlineRule<'cast'> = (r, v, coords) => {
  const x = r.operand(v.inputs[0]!, coords);
  const to = scalarOf(v.type.dtype);
  if (v.type.dtype === 'f16' && v.inputs[0]!.type.dtype !== 'f16') {
    const f = x.type === 'f32' ? x.code : `${typeName('f32', x.wide)}(${x.code})`;
    return r.e.expr('f32', x.wide, `quantizeToF16(${f})`);
  }
  if (to === x.type) return x;
  if (to === 'bool') return r.e.expr('bool', x.wide, `${x.code} != ${number(0, x.type, x.wide)}`);
  return r.e.expr(to, x.wide, `${typeName(to, x.wide)}(${x.code})`);
};

const select: InlineRule<'select'> = (r, v, coords) => {
  const [c, p, q] = v.inputs.map((x) => r.operand(x, coords)) as [Expr, Expr, Expr];
  const wide = c.wide || p.wide || q.wide;
  return emit(r, v, wide, `select(${at(q, wide)}, ${at(p, wide)}, ${at(c, wide)})`);
};

const gelu: InlineRule<'gelu'> = (r, v, coords) => {
  const base = ({ none: 'gelu', tanh: 'gelu_tanh', quick: 'gelu_quick' } as const)[v.attrs.form];
  return helper(base)(r, v, coords);
};

const silu: Rule = (r, v, coords) => {
  const x = r.operand(v.inputs[0]!, coords);
  return emit(r, v, x.wide, `${x.code} * ${call(r, 'sigmoid', [x], x.wide)}`);
};

export const POINTWISE = {
  neg: unary((x) => `-${x}`),
  abs: unary(fn('abs')),
  sign: unary(fn('sign')),
  floor: unary(fn('floor')),
  exp: unary(fn('exp')),
  log: unary(fn('log')),
  sqrt: unary(fn('sqrt')),
  rsqrt: unary((x, wide) => `${number(1, 'f32', wide)} / sqrt(${x})`),
  reciprocal: unary((x, wide) => `${number(1, 'f32', wide)} / ${x}`),
  sin: helper('sin_'),
  cos: helper('cos_'),
  tanh: helper('tanh_'),
  erf: helper('erf'),
  sigmoid: helper('sigmoid'),
  relu: unary((x, wide, type) => `max(${x}, ${number(0, type, wide)})`),
  silu,
  gelu,
  not: unary((x) => `!${x}`),
  cast,
  stop_gradient: identity,
  dropout: identity,
  drop_path: identity,
  add: binary((a, b) => `${a} + ${b}`),
  sub: binary((a, b) => `${a} - ${b}`),
  mul: binary((a, b) => `${a} * ${b}`),
  div: binary((a, b) => `${a} / ${b}`),
  pow: power,
  maximum: binary((a, b) => `max(${a}, ${b})`),
  minimum: binary((a, b) => `min(${a}, ${b})`),
  mod: binary((a, b) => `${a} % ${b}`),
  lt: binary((a, b) => `${a} < ${b}`),
  le: binary((a, b) => `${a} <= ${b}`),
  eq: binary((a, b) => `${a} == ${b}`),
  and: binary((a, b) => `${a} & ${b}`),
  or: binary((a, b) => `${a} | ${b}`),
  select,
};
