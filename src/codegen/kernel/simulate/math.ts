/**
 * Arithmetic of the simulator: loops over the values of all threads of a workgroup. The arrays round and wrap by themselves when a number is
 * stored (Float32Array to the nearest f32, Int32Array and Uint32Array modulo 2^32). Floats and integers have loops of their own, written out, since a
 * loop that sees only one kind of array is several times as fast.
 */
import { fromHalf, toHalf } from '../../../ir/run/half.js';
import type { BinaryOp, Builtin, Scalar } from '../types.js';

/**
 * Values of all threads: component k of thread t is element k * threads + t, so that one component of a vector is a part of the array. f16 is
 * kept as the f32 of that value, bool as 0 or 1.
 */
export type Values = Float32Array | Int32Array | Uint32Array | Uint8Array;

export function makeValues(scalar: Scalar, count: number): Values {
  if (scalar === 'f32' || scalar === 'f16') return new Float32Array(count);
  if (scalar === 'i32') return new Int32Array(count);
  return scalar === 'u32' ? new Uint32Array(count) : new Uint8Array(count);
}

export const isFloat = (scalar: Scalar): boolean => scalar === 'f32' || scalar === 'f16';

export const nearestHalf = (value: number): number => fromHalf(toHalf(value));

/** Rounds every value to f16, in place. */
export function roundToHalf(values: Values): void {
  for (let i = 0; i < values.length; i++) values[i] = nearestHalf(values[i]!);
}

/** To the nearest integer, ties to even. */
function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  const rounded = rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
  // x - floor(x) is NaN for infinities; a rounded zero keeps its sign.
  return Number.isFinite(x) ? rounded || x * 0 : x;
}

/** A loop that fills `o` from arrays that are as long. */
export type Loop = (o: Values, a: Values, b: Values, c: Values) => void;
type Loops<K extends string> = Partial<Record<K, Loop>>;

const FLOAT_OPS: Loops<BinaryOp> = {
  '+': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! + b[i]!;
  },
  '-': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! - b[i]!;
  },
  '*': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! * b[i]!;
  },
  '/': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! / b[i]!;
  },
  '%': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! % b[i]!;
  },
  '<': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! < b[i]! ? 1 : 0;
  },
  '<=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! <= b[i]! ? 1 : 0;
  },
  '>': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! > b[i]! ? 1 : 0;
  },
  '>=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! >= b[i]! ? 1 : 0;
  },
  '==': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! === b[i]! ? 1 : 0;
  },
  '!=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! !== b[i]! ? 1 : 0;
  },
};

const INTEGER_OPS: Loops<BinaryOp> = {
  '+': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! + b[i]!;
  },
  '-': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! - b[i]!;
  },
  '*': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.imul(a[i]!, b[i]!);
  },
  // By zero WGSL gives the dividend, and no remainder; the fault is reported elsewhere.
  '/': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = b[i] === 0 ? a[i]! : a[i]! / b[i]!;
  },
  '%': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = b[i] === 0 ? 0 : a[i]! % b[i]!;
  },
  '&': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! & b[i]!;
  },
  '|': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! | b[i]!;
  },
  '^': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! ^ b[i]!;
  },
  '<<': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! << b[i]!;
  },
  '<': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! < b[i]! ? 1 : 0;
  },
  '<=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! <= b[i]! ? 1 : 0;
  },
  '>': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! > b[i]! ? 1 : 0;
  },
  '>=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! >= b[i]! ? 1 : 0;
  },
  '==': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! === b[i]! ? 1 : 0;
  },
  '!=': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! !== b[i]! ? 1 : 0;
  },
};

const SIGNED_OPS: Loops<BinaryOp> = {
  ...INTEGER_OPS,
  '>>': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! >> b[i]!;
  },
};

const UNSIGNED_OPS: Loops<BinaryOp> = {
  ...INTEGER_OPS,
  '>>': (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! >>> b[i]!;
  },
};

const and: Loop = (o, a, b) => {
  for (let i = 0; i < o.length; i++) o[i] = a[i]! & b[i]!;
};
const or: Loop = (o, a, b) => {
  for (let i = 0; i < o.length; i++) o[i] = a[i]! | b[i]!;
};

/** Bools are 0 and 1, so that bitwise is logical. */
const BOOL_OPS: Loops<BinaryOp> = {
  '&': and,
  '&&': and,
  '|': or,
  '||': or,
  '==': INTEGER_OPS['==']!,
  '!=': INTEGER_OPS['!=']!,
};

/** The loop of an operator on operands of a type; undefined where WGSL has none. */
export function binaryLoop(op: BinaryOp, operand: Scalar): Loop | undefined {
  if (isFloat(operand)) return FLOAT_OPS[op];
  if (operand === 'bool') return BOOL_OPS[op];
  return (operand === 'i32' ? SIGNED_OPS : UNSIGNED_OPS)[op];
}

export const negateFloat: Loop = (o, a) => {
  for (let i = 0; i < o.length; i++) o[i] = -a[i]!;
};
export const negateInteger: Loop = (o, a) => {
  for (let i = 0; i < o.length; i++) o[i] = -a[i]!;
};
export const not: Loop = (o, a) => {
  for (let i = 0; i < o.length; i++) o[i] = a[i]! ^ 1;
};

const FLOAT_BUILTINS: Loops<Builtin> = {
  abs: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.abs(a[i]!);
  },
  sign: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.sign(a[i]!);
  },
  floor: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.floor(a[i]!);
  },
  round: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = roundEven(a[i]!);
  },
  exp: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.exp(a[i]!);
  },
  log: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.log(a[i]!);
  },
  sqrt: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.sqrt(a[i]!);
  },
  sin: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.sin(a[i]!);
  },
  cos: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.cos(a[i]!);
  },
  // A GPU computes exp2(y * log2(x)), which a negative base has no value for.
  pow: (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! < 0 ? Number.NaN : a[i]! ** b[i]!;
  },
  min: (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.min(a[i]!, b[i]!);
  },
  max: (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.max(a[i]!, b[i]!);
  },
  // The product of two f32 is exact in f64; their sum with a third is rounded twice, which shows only at a tie.
  fma: (o, a, b, c) => {
    for (let i = 0; i < o.length; i++) o[i] = a[i]! * b[i]! + c[i]!;
  },
  clamp: (o, a, b, c) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.min(Math.max(a[i]!, b[i]!), c[i]!);
  },
};

const INTEGER_BUILTINS: Loops<Builtin> = {
  abs: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.abs(a[i]!);
  },
  sign: (o, a) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.sign(a[i]!);
  },
  min: (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.min(a[i]!, b[i]!);
  },
  max: (o, a, b) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.max(a[i]!, b[i]!);
  },
  clamp: (o, a, b, c) => {
    for (let i = 0; i < o.length; i++) o[i] = Math.min(Math.max(a[i]!, b[i]!), c[i]!);
  },
};

/** The loop of a function that works on every element by itself, whose arguments and result are of one type. */
export function builtinLoop(fn: Builtin, scalar: Scalar): Loop | undefined {
  if (isFloat(scalar)) return FLOAT_BUILTINS[fn];
  if (scalar === 'bool' || (scalar === 'u32' && fn === 'sign')) return undefined;
  return INTEGER_BUILTINS[fn];
}

/** How many arguments a function takes. */
export const ARGUMENTS: Readonly<Record<Builtin, number>> = {
  abs: 1,
  sign: 1,
  floor: 1,
  round: 1,
  exp: 1,
  log: 1,
  sqrt: 1,
  sin: 1,
  cos: 1,
  pow: 2,
  min: 2,
  max: 2,
  fma: 3,
  clamp: 3,
  select: 3,
  dot: 2,
  unpack2x16float: 1,
  pack2x16float: 1,
};

/** Products of vectors of `a.length / o.length` components, every operation rounded. */
export const dotFloat: Loop = (o, a, b) => {
  const threads = o.length;
  for (let t = 0; t < threads; t++) {
    let total = Math.fround(a[t]! * b[t]!);
    for (let i = t + threads; i < a.length; i += threads) total = Math.fround(total + Math.fround(a[i]! * b[i]!));
    o[t] = total;
  }
};
export const dotInteger: Loop = (o, a, b) => {
  const threads = o.length;
  for (let t = 0; t < threads; t++) {
    let total = 0;
    for (let i = t; i < a.length; i += threads) total = (total + Math.imul(a[i]!, b[i]!)) | 0;
    o[t] = total;
  }
};

/** select(no, yes, when); a scalar `when` decides for all components. */
export const choose: Loop = (o, no, yes, when) => {
  for (let first = 0; first < o.length; first += when.length) {
    for (let t = 0; t < when.length; t++) o[first + t] = when[t] ? yes[first + t]! : no[first + t]!;
  }
};

/** Words to halves: component k of n becomes components 2k (its low half) and 2k + 1. */
export function unpackHalves(o: Values, words: Values, threads: number): void {
  for (let i = 0; i < words.length; i++) {
    const to = 2 * (i - (i % threads)) + (i % threads);
    o[to] = fromHalf(words[i]! & 0xffff);
    o[to + threads] = fromHalf(words[i]! >>> 16);
  }
}

/** The reverse of unpackHalves. */
export function packHalves(o: Values, halves: Values, threads: number): void {
  for (let i = 0; i < o.length; i++) {
    const from = 2 * (i - (i % threads)) + (i % threads);
    o[i] = toHalf(halves[from]!) | (toHalf(halves[from + threads]!) << 16);
  }
}

/**
 * By value. A float to an integer loses its fraction and is kept within the range of the integer (NaN gives 0); an integer to another keeps its bits.
 */
export function convertLoop(from: Scalar, to: Scalar): Loop {
  if (to === 'bool') {
    return (o, a) => {
      for (let i = 0; i < o.length; i++) o[i] = a[i] === 0 ? 0 : 1;
    };
  }
  if (isFloat(from) && !isFloat(to)) {
    const lowest = to === 'i32' ? -0x80000000 : 0;
    const highest = to === 'i32' ? 0x7fffffff : 0xffffffff;
    return (o, a) => {
      for (let i = 0; i < o.length; i++) o[i] = Math.trunc(Math.min(Math.max(a[i]!, lowest), highest));
    };
  }
  return (o, a) => {
    o.set(a);
    if (to === 'f16') roundToHalf(o);
  };
}
