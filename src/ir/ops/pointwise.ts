/**
 * Pointwise operators: each element of the result comes from the elements at the same place, with NumPy broadcasting. Which element types an operator
 * takes, docs/operators.md lists. Integer arithmetic wraps.
 */
import { fromHalf, toHalf } from '../run/half.js';
import type { DType, NoAttrs } from '../types.js';
import { type AttrsOfEach, number, resultDType, word } from './attrs.js';
import type { InSpecs, OpDef, Operand } from './define.js';
import { costEach, nothing } from './define.js';
import * as derive from './derivatives/pointwise.js';
import { refuse, refuseType } from './errors.js';
import { calling, erf as errorFunction, expand, map, RUNS, type Run, zip } from './reference/elementwise.js';
import { broadcastAll, isInteger, isNumber, needSizes, needStream, oneDType, showType } from './shapes.js';

/** Those that carry no attributes. */
type Plain =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'floor'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'rsqrt'
  | 'reciprocal'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'erf'
  | 'sigmoid'
  | 'relu'
  | 'silu'
  | 'not'
  | 'stop_gradient'
  | 'again'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'pow'
  | 'maximum'
  | 'minimum'
  | 'mod'
  | 'floor_div'
  | 'lt'
  | 'le'
  | 'eq'
  | 'and'
  | 'or'
  | 'xor'
  | 'shift_left'
  | 'shift_right'
  | 'select';

const DROP = { rate: number, stream: number };

const ATTRS = {
  gelu: { form: word('none', 'tanh', 'quick') },
  cast: { dtype: resultDType },
  dropout: DROP,
  drop_path: DROP,
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS>, Readonly<Record<Plain, NoAttrs>> {}
}

const X: readonly Operand[] = [{ name: 'x' }];
const AB: readonly Operand[] = [{ name: 'a' }, { name: 'b' }];

const accepts = {
  float: { test: (t: DType) => t === 'f32' || t === 'f16', words: 'a floating-point tensor' },
  signed: { test: (t: DType) => t === 'f32' || t === 'f16' || t === 'i32', words: 'a signed number' },
  number: { test: isNumber, words: 'a number' },
  whole: { test: isInteger, words: 'a whole number' },
  any: { test: () => true, words: 'a tensor' },
  bits: { test: (t: DType) => t === 'bool' || isInteger(t), words: 'a bool or bits (i32, u32)' },
};
type Accepts = keyof typeof accepts;

/** Traits of most of them; an entry that is linear, or only for training, says so. */
const ARITHMETIC = {
  pointwise: true,
  known: null,
  moves: null,
  linear: null,
  channels: null,
  holds: null,
  erased: false,
} as const;

/** An entry of one of those that carry no attributes. */
type PlainDef<O extends Plain> = Omit<OpDef<O>, 'attrs'> & { readonly attrs: NoAttrs };

function unary<O extends Plain>(
  doc: string,
  of: Accepts,
  flops: number,
  f: (x: number) => number,
  derivative: OpDef<O>['derivative'],
  inSpecs?: InSpecs<O>,
) {
  return {
    family: 'pointwise',
    doc,
    operands: X,
    attrs: {},
    traits: ARITHMETIC,
    mixes: nothing,
    type: (inputs) => {
      oneDType(inputs, accepts[of].test, accepts[of].words);
      return inputs[0]!.type;
    },
    reference: ([x], _attrs, type, array) => map(x!, type, f, array),
    cost: costEach(flops),
    decompose: null,
    derivative,
    inSpecs,
  } satisfies PlainDef<O>;
}

/** Integer arithmetic wraps as WGSL's does: typed arrays reduce what is stored modulo 2^32. */
type Both = { readonly float: Run; readonly int: Run };

function binary<O extends Plain>(
  doc: string,
  of: Accepts,
  f: Both,
  derivative: OpDef<O>['derivative'],
  inSpecs?: InSpecs<O>,
) {
  return {
    family: 'pointwise',
    doc,
    operands: AB,
    attrs: {},
    traits: ARITHMETIC,
    mixes: nothing,
    type: (inputs) => ({
      dtype: oneDType(inputs, accepts[of].test, accepts[of].words),
      shape: broadcastAll(inputs),
    }),
    reference: ([a, b], _attrs, type, array) =>
      zip(a!, b!, type, type.dtype === 'i32' || type.dtype === 'u32' ? f.int : f.float, array),
    cost: costEach(1),
    decompose: null,
    derivative,
    inSpecs,
  } satisfies PlainDef<O>;
}

function compare<O extends Plain>(doc: string, of: Accepts, f: (a: number, b: number) => boolean) {
  return {
    family: 'pointwise',
    doc,
    operands: AB,
    attrs: {},
    traits: ARITHMETIC,
    mixes: nothing,
    type: (inputs) => {
      oneDType(inputs, accepts[of].test, accepts[of].words);
      return { dtype: 'bool', shape: broadcastAll(inputs) };
    },
    reference: ([a, b], _attrs, type) =>
      zip(
        a!,
        b!,
        type,
        calling((x, y) => (f(x, y) ? 1 : 0)),
      ),
    cost: costEach(1),
    decompose: null,
    derivative: 'none', // truth does not change by little
  } satisfies PlainDef<O>;
}

const same = (f: (a: number, b: number) => number): Both => ({ float: calling(f), int: calling(f) });
const sigmoidOf = (x: number): number => 1 / (1 + Math.exp(-x));

export const neg = {
  ...unary<'neg'>('-x', 'signed', 1, (x) => -x, derive.neg),
  traits: { ...ARITHMETIC, linear: 'jointly' },
} satisfies OpDef<'neg'>;
export const abs = unary<'abs'>('|x|', 'signed', 1, Math.abs, derive.abs, { numbers: 'kept' });
export const sign = unary<'sign'>('-1, 0 or 1', 'signed', 1, Math.sign, 'none', { numbers: 'whole' }); // steps
export const floor = unary<'floor'>('The largest integer that is not above x.', 'float', 1, Math.floor, 'none', {
  numbers: 'whole',
}); // steps
export const exp = unary<'exp'>('e^x', 'float', 1, Math.exp, derive.exp, { numbers: 'real' });
export const log = unary<'log'>('The natural logarithm.', 'float', 1, Math.log, derive.log, { numbers: 'real' });
export const sqrt = unary<'sqrt'>('√x', 'float', 1, Math.sqrt, derive.sqrt, { numbers: 'real' });
export const rsqrt = unary<'rsqrt'>('1/√x', 'float', 1, (x) => 1 / Math.sqrt(x), derive.rsqrt, {});
export const reciprocal = unary<'reciprocal'>('1/x', 'float', 1, (x) => 1 / x, derive.reciprocal, {});
export const sin = unary<'sin'>('The sine of x radians.', 'float', 1, Math.sin, derive.sin, { numbers: 'real' });
export const cos = unary<'cos'>('The cosine of x radians.', 'float', 1, Math.cos, derive.cos, { numbers: 'real' });
export const tanh = unary<'tanh'>('The hyperbolic tangent.', 'float', 1, Math.tanh, derive.tanh, { numbers: 'real' });
export const erf = unary<'erf'>('The error function.', 'float', 1, errorFunction, derive.erf, {});
export const sigmoid = {
  ...unary<'sigmoid'>('1/(1 + e^-x)', 'float', 3, sigmoidOf, derive.sigmoid, {}),
  decompose: (b, [x]) => b.reciprocal(b.add(b.exp(b.neg(x!)), 1)),
} satisfies OpDef<'sigmoid'>;
export const relu = {
  ...unary<'relu'>('max(x, 0)', 'signed', 1, (x) => Math.max(x, 0), derive.relu, {}),
  decompose: (b, [x]) => b.maximum(x!, 0),
} satisfies OpDef<'relu'>;
export const silu = {
  ...unary<'silu'>('x·sigmoid(x)', 'float', 4, (x) => x * sigmoidOf(x), derive.silu, {}),
  decompose: (b, [x]) => b.mul(x!, b.sigmoid(x!)),
} satisfies OpDef<'silu'>;
export const not = {
  ...unary<'not'>('Negation: of truth, or of every bit.', 'bits', 1, (x) => ~x, 'none'), // truth, bits
  reference: ([x], _attrs, type) => map(x!, type, type.dtype === 'bool' ? (v) => 1 - v : (v) => ~v),
} satisfies OpDef<'not'>;
export const stop_gradient = {
  ...unary<'stop_gradient'>('Identity whose derivative is 0.', 'number', 0, (x) => x, 'none', {}), // what it is for
  traits: { ...ARITHMETIC, linear: 'jointly', erased: true },
} satisfies OpDef<'stop_gradient'>;

export const again = {
  ...unary<'again'>(
    'Identity, which is never left out: what is computed from it is computed a second time, not kept from the first.',
    'any',
    0,
    (x) => x,
    derive.again,
  ),
  traits: { ...ARITHMETIC, linear: 'jointly' },
} satisfies OpDef<'again'>;

const SQRT_HALF = Math.SQRT1_2;
const TANH_SCALE = Math.sqrt(2 / Math.PI);

export const gelu = {
  family: 'pointwise',
  doc: 'x·Φ(x) (form none), its tanh approximation (tanh), or x·sigmoid(1.702x) (quick).',
  operands: X,
  attrs: ATTRS.gelu,
  traits: ARITHMETIC,
  mixes: nothing,
  type: (inputs) => {
    oneDType(inputs, accepts.float.test, accepts.float.words);
    return inputs[0]!.type;
  },
  reference: ([x], { form }, type) => {
    if (form === 'none') return map(x!, type, (v) => 0.5 * v * (1 + errorFunction(v * SQRT_HALF)));
    if (form === 'quick') return map(x!, type, (v) => v * sigmoidOf(1.702 * v));
    return map(x!, type, (v) => 0.5 * v * (1 + Math.tanh(TANH_SCALE * (v + 0.044715 * v * v * v))));
  },
  cost: costEach(5),
  decompose: (b, [x], { form }) => {
    if (form === 'none') return b.mul(b.mul(x!, 0.5), b.add(b.erf(b.mul(x!, SQRT_HALF)), 1));
    if (form === 'quick') return b.mul(x!, b.sigmoid(b.mul(x!, 1.702)));
    const cubic = b.mul(b.mul(b.mul(x!, x!), x!), 0.044715);
    return b.mul(b.mul(x!, 0.5), b.add(b.tanh(b.mul(b.add(x!, cubic), TANH_SCALE)), 1));
  },
  derivative: derive.gelu,
  inSpecs: { defaults: { form: 'none' } },
} satisfies OpDef<'gelu'>;

export const cast = {
  family: 'pointwise',
  doc: 'Another element type. Floats to integers truncate and saturate; to f16 they round to the nearest, ties to even; anything to bool is x ≠ 0.',
  operands: X,
  attrs: ATTRS.cast,
  traits: ARITHMETIC,
  mixes: nothing,
  type: (inputs, { dtype }) => ({ dtype, shape: inputs[0]!.type.shape }),
  reference: ([x], { dtype }, type) => {
    if (dtype === 'bool') return map(x!, type, (v) => (v !== 0 ? 1 : 0));
    const float = x!.type.dtype === 'f32' || x!.type.dtype === 'f16';
    if (dtype === 'i32' && float)
      return map(x!, type, (v) => Math.min(2147483647, Math.max(-2147483648, Math.trunc(v))));
    if (dtype === 'u32' && float) return map(x!, type, (v) => Math.min(4294967295, Math.max(0, Math.trunc(v))));
    if (dtype === 'f16') return map(x!, type, (v) => fromHalf(toHalf(v)));
    return map(x!, type, (v) => v);
  },
  cost: costEach(1),
  decompose: null,
  derivative: derive.cast,
  inSpecs: {},
} satisfies OpDef<'cast'>;

const identityInInference = {
  family: 'pointwise',
  operands: X,
  attrs: DROP,
  traits: { ...ARITHMETIC, linear: 'jointly', erased: true },
  mixes: nothing,
  cost: costEach(0),
} as const;

const rateType: NonNullable<OpDef<'dropout'>['type']> = (inputs, { rate, stream }) => {
  needStream(stream);
  oneDType(inputs, accepts.float.test, accepts.float.words);
  if (!(rate >= 0 && rate < 1)) refuse(`rate ${rate} is not in 0 <= rate < 1`);
  return inputs[0]!.type;
};

export const dropout = {
  ...identityInInference,
  doc: 'Identity when inferring; inverted dropout in a training step.',
  type: rateType,
  reference: ([x], _attrs, type) => ({ type, data: x!.data }),
  decompose: (_b, [x]) => x!,
  derivative: derive.dropout,
} satisfies OpDef<'dropout'>;

export const drop_path = {
  ...identityInInference,
  doc: 'Identity when inferring; drops whole samples (axis 0) in a training step.',
  type: rateType,
  reference: ([x], _attrs, type) => ({ type, data: x!.data }),
  decompose: (_b, [x]) => x!,
  derivative: derive.drop_path,
} satisfies OpDef<'drop_path'>;

export const add = {
  ...binary<'add'>(
    'a + b',
    'number',
    same((a, b) => a + b),
    derive.add,
  ),
  traits: { ...ARITHMETIC, linear: 'jointly' },
} satisfies OpDef<'add'>;
export const sub = {
  ...binary<'sub'>(
    'a - b',
    'number',
    same((a, b) => a - b),
    derive.sub,
  ),
  traits: { ...ARITHMETIC, linear: 'jointly' },
} satisfies OpDef<'sub'>;
export const mul = {
  ...binary<'mul'>('a·b', 'number', { float: RUNS.mul, int: calling(Math.imul) }, derive.mul),
  traits: { ...ARITHMETIC, linear: 'each' },
} satisfies OpDef<'mul'>;
export const div = {
  ...binary<'div'>(
    'a/b; integers truncate, and x/0 = x, as in WGSL.',
    'number',
    {
      float: RUNS.div,
      int: calling((a, b) => (b === 0 ? a : Math.trunc(a / b))),
    },
    derive.div,
  ),
  traits: { ...ARITHMETIC, linear: [0] },
} satisfies OpDef<'div'>;
export const pow = binary<'pow'>(
  'a^b',
  'float',
  same((a, b) => a ** b),
  derive.pow,
);
export const maximum = binary<'maximum'>('The larger one.', 'number', same(Math.max), derive.maximum, {
  numbers: 'kept',
});
export const minimum = binary<'minimum'>('The smaller one.', 'number', same(Math.min), derive.minimum, {
  numbers: 'kept',
});
export const mod = binary<'mod'>(
  'The remainder with the sign of a, as `%` in WGSL; x mod 0 = 0 for integers.',
  'number',
  {
    float: calling((a, b) => a % b),
    int: calling((a, b) => (b === 0 ? 0 : a % b)),
  },
  derive.mod,
);
export const lt = compare<'lt'>('a < b', 'number', (a, b) => a < b);
export const le = compare<'le'>('a <= b', 'number', (a, b) => a <= b);
export const eq = compare<'eq'>('a = b', 'number', (a, b) => a === b);

const bits = <O extends Plain>(doc: string, of: Accepts, f: (a: number, b: number) => number, inSpecs?: InSpecs<O>) =>
  binary<O>(doc, of, same(f), 'none', inSpecs); // truth, bits, whole numbers
export const and = bits<'and'>('Both; of integers, bit by bit.', 'bits', (a, b) => a & b);
export const or = bits<'or'>('Either; of integers, bit by bit.', 'bits', (a, b) => a | b);
export const xor = bits<'xor'>('One of both; of integers, bit by bit.', 'bits', (a, b) => a ^ b, {});
export const shift_left = bits<'shift_left'>(
  'a·2^b without the bits that leave; b is taken modulo 32.',
  'whole',
  (a, b) => a << b,
  {},
);
export const shift_right = {
  ...bits<'shift_right'>(
    'a/2^b downwards, so that the sign of an i32 stays; b is taken modulo 32.',
    'whole',
    (a, b) => a >> b,
    {},
  ),
  reference: ([a, b], _attrs, type) =>
    zip(a!, b!, type, calling(type.dtype === 'u32' ? (x, y) => x >>> y : (x, y) => x >> y)),
} satisfies OpDef<'shift_right'>;
export const floor_div = {
  ...bits<'floor_div'>(
    'a/b downwards, where `div` truncates; x/0 = x. a - b·floor_div(a, b) has the sign of b.',
    'whole',
    (a, b) => (b === 0 ? a : Math.floor(a / b)),
    {},
  ),
  decompose: (b, [x, y]) => {
    const quotient = b.div(x!, y!);
    if (x!.type.dtype === 'u32') return quotient;
    const rest = b.mod(x!, y!);
    const above = b.and(b.not(b.eq(rest, 0)), b.xor(b.lt(rest, 0), b.lt(y!, 0)));
    return b.select(above, b.sub(quotient, 1), quotient);
  },
} satisfies OpDef<'floor_div'>;

export const select = {
  family: 'pointwise',
  doc: '`then` where the condition holds, otherwise `else`.',
  operands: [{ name: 'condition' }, { name: 'then' }, { name: 'else' }],
  attrs: {},
  traits: { ...ARITHMETIC, linear: [1, 2] },
  mixes: nothing,
  type: (inputs) => {
    if (inputs[0]!.type.dtype !== 'bool') refuseType(`the condition is ${showType(inputs[0]!.type)}, not bool`, 0);
    return { dtype: oneDType(inputs, () => true, 'anything', 1), shape: needSizes(broadcastAll(inputs)) };
  },
  reference: ([condition, then, otherwise], _attrs, type) => {
    const c = expand(condition!, type.shape);
    const p = expand(then!, type.shape);
    const q = expand(otherwise!, type.shape);
    const out = p.slice();
    for (let i = 0; i < out.length; i++) if (c[i] === 0) out[i] = q[i]!;
    return { type, data: out };
  },
  cost: costEach(1),
  decompose: null,
  derivative: derive.select,
} satisfies OpDef<'select'>;
