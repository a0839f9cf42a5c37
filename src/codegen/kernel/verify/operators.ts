/** Types that operators and builtin functions of WGSL give, for the verifier's rule `type`. */
import { U32 } from '../expr.js';
import type { BinaryOp, Builtin, Scalar, Type } from '../types.js';

const HALVES: Type = { scalar: 'f32', lanes: 2 };

export const sameType = (a: Type, b: Type): boolean => a.scalar === b.scalar && a.lanes === b.lanes;
const isFloat = (t: Type): boolean => t.scalar === 'f32' || t.scalar === 'f16';
const isInt = (t: Type): boolean => t.scalar === 'u32' || t.scalar === 'i32';
export const isNumber = (t: Type): boolean => t.scalar !== 'bool';

const COMPARES: ReadonlySet<BinaryOp> = new Set(['<', '<=', '>', '>=', '==', '!=']);

/** The type of `a op b`; undefined where there is no such operator. */
export function binaryType(op: BinaryOp, a: Type, b: Type): Type | undefined {
  const shifts = op === '<<' || op === '>>';
  const match = shifts ? b.scalar === 'u32' && a.lanes === b.lanes : sameType(a, b);
  if (!match || !takes(op, a)) return undefined;
  return COMPARES.has(op) ? { scalar: 'bool', lanes: a.lanes } : a;
}

function takes(op: BinaryOp, t: Type): boolean {
  switch (op) {
    case '&&':
    case '||':
      return t.scalar === 'bool' && t.lanes === 1;
    case '==':
    case '!=':
      return true;
    case '&':
    case '|':
      return isInt(t) || t.scalar === 'bool';
    case '^':
    case '<<':
    case '>>':
      return isInt(t);
    default:
      return isNumber(t);
  }
}

/** Arguments of the functions that do not take one. */
const COUNTS: { readonly [B in Builtin]?: number } = { pow: 2, min: 2, max: 2, dot: 2, fma: 3, clamp: 3, select: 3 };

/** The type of a builtin function's result; undefined where it does not take such arguments. */
export function builtinType(fn: Builtin, args: readonly Type[]): Type | undefined {
  const [a, b, c] = args;
  if (!a || args.length !== (COUNTS[fn] ?? 1)) return undefined;
  const alike = args.every((x) => sameType(x, a));
  switch (fn) {
    case 'select':
      return sameType(a, b!) && c!.scalar === 'bool' && (c!.lanes === 1 || c!.lanes === a.lanes) ? a : undefined;
    case 'dot':
      return alike && a.lanes > 1 && isNumber(a) ? { scalar: a.scalar, lanes: 1 } : undefined;
    case 'unpack2x16float':
      return sameType(a, U32) ? HALVES : undefined;
    case 'pack2x16float':
      return sameType(a, HALVES) ? U32 : undefined;
    case 'abs':
    case 'min':
    case 'max':
    case 'clamp':
      return alike && isNumber(a) ? a : undefined;
    case 'sign':
      return isFloat(a) || a.scalar === 'i32' ? a : undefined;
    default:
      return alike && isFloat(a) ? a : undefined;
  }
}

/** Whether a literal of the type can have this value. Infinities are written as the largest finite numbers. */
export function literalFits(scalar: Scalar, value: number): boolean {
  switch (scalar) {
    case 'bool':
      return value === 0 || value === 1;
    case 'u32':
      return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
    case 'i32':
      return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;
    default:
      return !Number.isNaN(value);
  }
}
