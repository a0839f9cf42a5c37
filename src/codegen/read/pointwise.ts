/** Every pointwise operator as an expression. */
import type { Value } from '../../ir/types.js';
import {
  builtin,
  select as choose,
  convert,
  div,
  literal,
  mul,
  unary as negation,
  binary as operation,
} from '../kernel/expr.js';
import type { LibraryName } from '../kernel/library.js';
import type { BinaryOp, Expr } from '../kernel/types.js';
import type { Index } from './indexing.js';
import { type InlineRule, type Reader, scalarOf } from './reader.js';

/** A rule that serves several operators. */
type Rule = (r: Reader, v: Value, coords: readonly Index[]) => Expr;

function unary(make: (x: Expr) => Expr): Rule {
  return (r, v, coords) => r.b.let(make(r.operand(v.inputs[0]!, coords)));
}

/** A function of the library. */
function library(fn: LibraryName): Rule {
  return (r, v, coords) => r.b.let(r.library.call(fn, r.operand(v.inputs[0]!, coords)));
}

function combined(make: (a: Expr, b: Expr) => Expr): Rule {
  return (r, v, coords) => {
    const [a, b] = both(r, v, coords);
    return r.b.let(make(a, b));
  };
}

const binary = (op: BinaryOp): Rule => combined((a, b) => operation(op, a, b));

function both(r: Reader, v: Value, coords: readonly Index[]): [Expr, Expr] {
  return [r.operand(v.inputs[0]!, coords), r.operand(v.inputs[1]!, coords)];
}

const fn = (text: 'abs' | 'sign' | 'floor' | 'exp' | 'log' | 'sqrt'): Rule => unary((x) => builtin(text, x));
const identity: Rule = (r, v, coords) => r.operand(v.inputs[0]!, coords);
const one = literal(1, 'f32');

/** Small whole exponents multiply; everything else goes through `pow_`. */
const power: Rule = (r, v, coords) => {
  const [a, b] = both(r, v, coords);
  const exponent = v.inputs[1]!;
  if (exponent.op === 'constant') {
    const n = exponent.attrs.value;
    if (n === 0.5) return r.b.let(builtin('sqrt', a));
    if (Number.isInteger(n) && n >= 1 && n <= 4) return r.b.let(new Array<Expr>(n).fill(a).reduce(mul));
  }
  return r.b.let(r.library.call('pow_', a, b));
};

const cast: InlineRule<'cast'> = (r, v, coords) => {
  const x = r.operand(v.inputs[0]!, coords);
  const to = scalarOf(v.type.dtype);
  if (v.type.dtype === 'f16' && v.inputs[0]!.type.dtype !== 'f16')
    return r.b.let(r.library.call('half', convert(x, 'f32')));
  if (to === x.scalar) return x;
  if (to === 'bool') return r.b.let(operation('!=', x, literal(0, x.scalar)));
  return r.b.let(convert(x, to));
};

const select: InlineRule<'select'> = (r, v, coords) => {
  const [c, p, q] = v.inputs.map((x) => r.operand(x, coords)) as [Expr, Expr, Expr];
  return r.b.let(choose(q, p, c));
};

const gelu: InlineRule<'gelu'> = (r, v, coords) => {
  const base = ({ none: 'gelu', tanh: 'gelu_tanh', quick: 'gelu_quick' } as const)[v.attrs.form];
  return library(base)(r, v, coords);
};

const silu: Rule = (r, v, coords) => {
  const x = r.operand(v.inputs[0]!, coords);
  return r.b.let(mul(x, r.library.call('sigmoid', x)));
};

/** How far WGSL shifts at run time; a constant it would refuse. */
const modulo32 = (x: Expr): Expr => operation('&', convert(x, 'u32'), literal(31, 'u32'));

/** An integer divided by 0 is itself, and nothing is left: as it is divided by 1. */
const dividing = (op: '/' | '%'): Rule =>
  combined((a, b) => {
    const float = b.scalar === 'f32';
    const never = b.kind === 'literal' && b.value !== 0;
    return operation(
      op,
      a,
      float || never ? b : choose(b, literal(1, b.scalar), operation('==', b, literal(0, b.scalar))),
    );
  });

/** Identities, of some when inferring. */
export const IDENTITIES = { stop_gradient: identity, again: identity, dropout: identity, drop_path: identity };

export const ARITHMETIC = {
  neg: unary((x) => negation('-', x)),
  abs: fn('abs'),
  sign: fn('sign'),
  floor: fn('floor'),
  sqrt: fn('sqrt'),
  rsqrt: unary((x) => div(one, builtin('sqrt', x))),
  reciprocal: unary((x) => div(one, x)),
  relu: unary((x) => builtin('max', x, literal(0, x.scalar))),
  // `^` is for integers alone, and there is no operator that negates bits.
  not: unary((x) =>
    x.scalar === 'bool' ? negation('!', x) : operation('^', x, literal(x.scalar === 'i32' ? -1 : 0xffffffff, x.scalar)),
  ),
  cast,
  add: binary('+'),
  sub: binary('-'),
  mul: binary('*'),
  div: dividing('/'),
  maximum: combined((a, b) => builtin('max', a, b)),
  minimum: combined((a, b) => builtin('min', a, b)),
  mod: dividing('%'),
  lt: binary('<'),
  le: binary('<='),
  eq: binary('=='),
  and: binary('&'),
  or: binary('|'),
  xor: combined((a, b) => operation(a.scalar === 'bool' ? '!=' : '^', a, b)),
  shift_left: combined((a, b) => operation('<<', a, modulo32(b))),
  shift_right: combined((a, b) => operation('>>', a, modulo32(b))),
  select,
};

/** What takes several operations, or a special unit. */
export const FUNCTIONS = {
  exp: fn('exp'),
  log: fn('log'),
  sin: library('sin_'),
  cos: library('cos_'),
  tanh: library('tanh_'),
  erf: library('erf'),
  sigmoid: library('sigmoid'),
  silu,
  gelu,
  pow: power,
};
