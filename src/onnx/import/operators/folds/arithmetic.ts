/**
 * Arithmetic on what is known, sizes above all. The batch may be among the elements: what holds of it for every number of samples is worked out, and
 * nothing else.
 */
import { isBatch } from '../../../../ir/batch.js';
import type { Fold, Folds, Known, OnnxNode, OnnxType } from '../../rule.js';
import { isFloat, typeOfCode } from '../text.js';
import { map, refuseBatch } from './known.js';

const wholes = (type: OnnxType): boolean => !isFloat(type);

type Open = (...x: number[]) => number | undefined;

/** A function of numbers; `open` says what it is where the batch is among them, undefined where that is not known. */
interface Rule {
  readonly plain: (n: OnnxNode, type: OnnxType, ...x: number[]) => number;
  readonly open?: Open | undefined;
}

const applied =
  ({ plain, open }: Rule, n: OnnxNode, type: OnnxType) =>
  (...x: number[]): number => {
    if (!x.some(isBatch)) return plain(n, type, ...x);
    return open?.(...x) ?? refuseBatch(n);
  };

const everyInput = (n: OnnxNode, inputs: readonly (Known | undefined)[]): Known[] =>
  inputs.map((x) => x ?? n.fail('leaves out an operand that it needs'));

const of =
  (rule: Rule, result: (inputs: readonly Known[]) => OnnxType = ([x]) => x!.dtype): Fold =>
  (n, inputs) => {
    const given = everyInput(n, inputs);
    if (given.length === 0) n.fail('has no inputs');
    const type = result(given);
    return [map(n, given, type, applied(rule, n, given[0]!.dtype))];
  };

const truth = (rule: Rule): Fold => of(rule, () => 'bool');
const two =
  (f: (a: number, b: number) => number): Rule['plain'] =>
  (_n, _type, a, b) =>
    f(a!, b!);
const one =
  (f: (x: number) => number): Rule['plain'] =>
  (_n, _type, x) =>
    f(x!);

/** A sum of multiples is one, or nothing. */
const multiples =
  (f: (a: number, b: number) => number): Rule['open'] =>
  (a, b) => {
    if (a === 0 || b === 0) return f(a!, b!);
    const sum = f(a!, b!);
    return isBatch(a!) && isBatch(b!) && sum >= 0 ? sum : undefined;
  };

const times = (a: number, b: number): number | undefined => {
  const made = a * b;
  if (made === 0) return 0;
  return isBatch(a) !== isBatch(b) && isBatch(made) && Number.isSafeInteger(made) ? made : undefined;
};

/** Exact quotients of multiples by each other and by numbers. */
const quotient = (a: number, b: number): number | undefined => {
  const q = a / b;
  if (!isBatch(a) || !Number.isInteger(q)) return undefined;
  return isBatch(b) || isBatch(q) ? q : undefined;
};

const divide: Rule['plain'] = (n, type, a, b) => {
  if (!wholes(type)) return a! / b!;
  return b === 0 ? n.fail('divides a whole number by 0') : Math.trunc(a! / b!);
};

/** There is one sample at least: what is not above 0 is not their number, and less than it. */
const comparison = (f: (a: number, b: number) => boolean): Rule => ({
  plain: two((a, b) => (f(a, b) ? 1 : 0)),
  open: (a, b) => {
    if (isBatch(a!) && isBatch(b!)) return f(a!, b!) ? 1 : 0;
    return a! <= 0 || b! <= 0 ? (f(a!, b!) ? 1 : 0) : undefined;
  },
});

const extreme = (f: (...x: number[]) => number): Rule => ({
  plain: (_n, _type, ...x) => f(...x),
  open: (...x) => (x.every((v) => isBatch(v) || v <= 1) ? f(...x) : undefined),
});

const round = (x: number): number => {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
};
/** Where the batch is a whole number already, rounding leaves it. */
const rounding = (f: (x: number) => number): Rule => ({ plain: one(f), open: (x) => x });

const mod: Fold = (n, inputs) => {
  const sign = n.int('fmod', 0) === 1;
  return of({
    plain: (at, _type, a, b) => {
      if (b === 0) return at.fail('divides by 0');
      return sign ? a! % b! : a! - b! * Math.floor(a! / b!);
    },
    open: (a, b) => (quotient(a!, b!) === undefined ? undefined : 0),
  })(n, inputs);
};

/** To whole numbers they are cut off; the batch is one. */
export function cast(n: OnnxNode, x: Known, to: OnnxType): Known {
  const plain = (v: number): number => {
    if (to === 'bool') return v === 0 ? 0 : 1;
    return isFloat(to) ? v : Math.trunc(v);
  };
  return map(n, [x], to, (v) => (isBatch(v) && to !== 'bool' ? v : plain(v)));
}

const where: Fold = (n, inputs) => {
  const [, x, y] = everyInput(n, inputs);
  return [map(n, everyInput(n, inputs), x!.dtype === 'bool' ? y!.dtype : x!.dtype, (c, a, b) => (c ? a! : b!))];
};

const clip: Fold = (n, [x, low, high]) => {
  if (!x) return n.fail('has nothing to clip');
  const bound = (given: Known | undefined, attribute: string, otherwise: number) =>
    given ? Number(given.data[0]) : n.float(attribute, otherwise);
  const [least, most] = [bound(low, 'min', Number.NEGATIVE_INFINITY), bound(high, 'max', Number.POSITIVE_INFINITY)];
  const rule: Rule = {
    plain: one((v) => Math.min(most, Math.max(least, v))),
    open: (v) => (least <= 1 && most === Number.POSITIVE_INFINITY ? v : undefined),
  };
  return of(rule)(n, [x]);
};

export const ARITHMETIC: Folds = {
  Add: of({ plain: two((a, b) => a + b), open: multiples((a, b) => a + b) }),
  Sub: of({ plain: two((a, b) => a - b), open: multiples((a, b) => a - b) }),
  Mul: of({ plain: two((a, b) => a * b), open: times as Open }),
  Div: of({ plain: divide, open: quotient as Open }),
  Mod: mod,
  Pow: of({ plain: two((a, b) => a ** b) }),
  Min: of(extreme(Math.min)),
  Max: of(extreme(Math.max)),
  Neg: of({ plain: one((x) => -x) }),
  Abs: of({ plain: one(Math.abs), open: (x) => x }),
  Sign: of({ plain: one(Math.sign), open: () => 1 }),
  Sqrt: of({ plain: one(Math.sqrt) }),
  Reciprocal: of({ plain: one((x) => 1 / x) }),
  Floor: of(rounding(Math.floor)),
  Ceil: of(rounding(Math.ceil)),
  Round: of(rounding(round)),
  Exp: of({ plain: one(Math.exp) }),
  Log: of({ plain: one(Math.log) }),
  Equal: truth(comparison((a, b) => a === b)),
  Less: truth(comparison((a, b) => a < b)),
  LessOrEqual: truth(comparison((a, b) => a <= b)),
  Greater: truth(comparison((a, b) => a > b)),
  GreaterOrEqual: truth(comparison((a, b) => a >= b)),
  Not: truth({ plain: one((x) => (x === 0 ? 1 : 0)) }),
  And: truth({ plain: two((a, b) => (a && b ? 1 : 0)) }),
  Or: truth({ plain: two((a, b) => (a || b ? 1 : 0)) }),
  Xor: truth({ plain: two((a, b) => (a !== b ? 1 : 0)) }),
  Where: where,
  Clip: clip,
  Cast: (n, [x]) => [cast(n, x ?? n.fail('has nothing to cast'), typeOfCode(n, n.int('to')))],
  CastLike: (n, [x, like]) => [cast(n, x ?? n.fail('has nothing to cast'), like?.dtype ?? n.in(1).onnx)],
};
