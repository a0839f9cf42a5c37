/** Operators that take elements one by one, with broadcasting. */
import type { OnnxNode, Rule, Rules } from '../rule.js';
import { call, dtypeOf, isFloat, LARGEST, number, saturated, typeOfCode, wrapped } from './text.js';

/** Of two operands, written between them; narrow whole numbers wrap. */
const between =
  (op: string): Rule =>
  (n) =>
    wrapped(n.in(0).onnx, `${n.in(0).text} ${op} ${n.in(1).text}`);

const comparison =
  (op: string): Rule =>
  (n) =>
    `(${n.in(0).text} ${op} ${n.in(1).text})`;

/** Two operands at a time. */
const folded =
  (step: (a: string, b: string) => string): Rule =>
  (n) =>
    Array.from({ length: n.inputs }, (_, i) => n.in(i).text).reduce(step);

/** A function of the library, with attributes that are numbers. */
const withNumbers =
  (name: string, attributes: Readonly<Record<string, number>>): Rule =>
  (n) =>
    `${name}(${[n.in(0).text, ...Object.entries(attributes).map(([a, d]) => `${a}: ${number(n, n.float(a, d))}`)].join(', ')})`;

/** Its bounds are attributes before version 11, and operands since. */
const clip: Rule = (n) => {
  const bound = (input: number, attribute: string): string | undefined => {
    if (n.opset >= 11) return n.has(input) ? n.in(input).text : undefined;
    return n.hasAttribute(attribute) ? number(n, n.float(attribute)) : undefined;
  };
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  const raised = low === undefined ? n.in(0).text : `maximum(${n.in(0).text}, ${low})`;
  return high === undefined ? raised : `minimum(${raised}, ${high})`;
};

/** The remainder has the sign of the divisor, or, as C's fmod has it, that of the dividend. */
const mod: Rule = (n) => {
  const [a, b] = [n.in(0), n.in(1)];
  if (n.int('fmod', 0) === 1) return `${a.text} % ${b.text}`;
  if (isFloat(a.onnx)) return n.fail('takes floats, and `fmod` is not 1');
  return `onnx_mod(${a.text}, ${b.text})`;
};

const pow: Rule = (n) => {
  const [a, b] = [n.in(0), n.in(1)];
  const exponent = b.type.dtype === 'f32' ? b.text : `cast(${b.text}, f32)`;
  if (isFloat(a.onnx)) return `pow(${a.text}, ${exponent})`;
  // Powers of whole numbers up to 2^24 are exact so; rounded, since a power is worked out by logarithms on some devices.
  return `cast(onnx_round(pow(cast(${a.text}, f32), ${exponent})), ${a.type.dtype})`;
};

const shift: Rule = (n) => {
  const direction = n.text('direction');
  if (direction !== 'LEFT' && direction !== 'RIGHT') return n.fail(`shifts to \`${direction}\``);
  const op = direction === 'LEFT' ? 'shift_left' : 'shift_right';
  return wrapped(n.in(0).onnx, `${op}(${n.in(0).text}, ${n.in(1).text})`);
};

/** Whether of unsigned elements, for which nothing is below 0. */
const unsigned = (n: OnnxNode): boolean => n.in(0).type.dtype === 'u32';

export function castTo(
  text: string,
  from: OnnxNode['in'] extends (i: number) => infer O ? O : never,
  to: ReturnType<typeof typeOfCode>,
): string {
  const dtype = dtypeOf(to);
  const cast = from.type.dtype === dtype ? text : `cast(${text}, ${dtype})`;
  // What is of fewer bits than the elements here holds fewer numbers; what comes from there changes nothing.
  if (from.onnx === to) return cast;
  if (to === 'float16') return `onnx_half(${text})`;
  if (to === 'bfloat16') return `onnx_bfloat(${cast})`;
  if (dtype !== 'i32' || from.onnx === to) return cast;
  return from.type.dtype === 'f32' ? saturated(to, cast) : wrapped(to, cast);
}

const isInf: Rule = (n) => {
  const x = n.in(0).text;
  const above = n.int('detect_positive', 1) === 1;
  const below = n.int('detect_negative', 1) === 1;
  if (above && below) return `(abs(${x}) > ${LARGEST})`;
  if (above) return `(${x} > ${LARGEST})`;
  return below ? `(${x} < -${LARGEST})` : `(${x} < ${x})`;
};

export const POINTWISE: Rules = {
  Identity: (n) => n.in(0).text,
  Dropout: (n) => {
    if (n.has(2) && n.in(2).known?.data[0] !== 0) return n.fail('drops elements while training');
    const x = n.in(0).text;
    return n.wanted[1] ? [x, `(${x} == ${x})`] : x;
  },
  Add: between('+'),
  Sub: between('-'),
  Mul: between('*'),
  Div: between('/'),
  Mod: mod,
  Pow: pow,
  Sum: folded((a, b) => `${a} + ${b}`),
  Mean: (n) => `(${folded((a, b) => `${a} + ${b}`)(n)}) / ${n.inputs}`,
  Max: folded((a, b) => `maximum(${a}, ${b})`),
  Min: folded((a, b) => `minimum(${a}, ${b})`),
  Neg: (n) => wrapped(n.in(0).onnx, `(-${n.in(0).text})`),
  Abs: (n) => (unsigned(n) ? n.in(0).text : `abs(${n.in(0).text})`),
  Sign: (n) => (unsigned(n) ? `minimum(${n.in(0).text}, 1)` : `sign(${n.in(0).text})`),
  Exp: call('exp'),
  Log: call('log'),
  Sqrt: call('sqrt'),
  Reciprocal: call('reciprocal'),
  Floor: call('floor'),
  Ceil: call('onnx_ceil'),
  Round: call('onnx_round'),
  Erf: call('erf'),
  Sin: call('sin'),
  Cos: call('cos'),
  Tan: call('onnx_tan'),
  Asin: call('onnx_asin'),
  Acos: call('onnx_acos'),
  Atan: call('onnx_atan'),
  Sinh: call('onnx_sinh'),
  Cosh: call('onnx_cosh'),
  Tanh: call('tanh'),
  Asinh: call('onnx_asinh'),
  Acosh: call('onnx_acosh'),
  Atanh: call('onnx_atanh'),
  IsNaN: (n) => `(${n.in(0).text} != ${n.in(0).text})`,
  IsInf: isInf,

  Relu: call('relu'),
  LeakyRelu: withNumbers('onnx_leaky_relu', { alpha: 0.01 }),
  PRelu: (n) => `onnx_prelu(${n.in(0).text}, ${n.in(1).text})`,
  ThresholdedRelu: withNumbers('onnx_thresholded_relu', { alpha: 1 }),
  Elu: withNumbers('onnx_elu', { alpha: 1 }),
  Selu: withNumbers('onnx_selu', { alpha: 1.6732631921768188, gamma: 1.0507010221481323 }),
  Celu: withNumbers('onnx_celu', { alpha: 1 }),
  Sigmoid: call('sigmoid'),
  HardSigmoid: withNumbers('onnx_hard_sigmoid', { alpha: 0.2, beta: 0.5 }),
  HardSwish: call('onnx_hard_swish'),
  Mish: call('onnx_mish'),
  Softplus: call('onnx_softplus'),
  Softsign: call('onnx_softsign'),
  Shrink: withNumbers('onnx_shrink', { bias: 0, lambd: 0.5 }),
  Gelu: (n) => {
    const form = n.text('approximate', 'none');
    if (form !== 'none' && form !== 'tanh') return n.fail(`approximates by \`${form}\``);
    return form === 'none' ? `gelu(${n.in(0).text})` : `gelu(${n.in(0).text}, form: tanh)`;
  },
  'com.microsoft.Gelu': call('gelu'),
  'com.microsoft.FastGelu': (n) => `gelu(${n.has(1) ? `${n.in(0).text} + ${n.in(1).text}` : n.in(0).text}, form: tanh)`,
  'com.microsoft.QuickGelu': (n) => `onnx_quick_gelu(${n.in(0).text}, ${number(n, n.float('alpha', 1.702))})`,
  Clip: clip,

  Equal: (n) => (n.in(0).type.dtype === 'bool' ? `(not xor(${n.in(0).text}, ${n.in(1).text}))` : comparison('==')(n)),
  Less: comparison('<'),
  LessOrEqual: comparison('<='),
  Greater: comparison('>'),
  GreaterOrEqual: comparison('>='),
  Not: (n) => `(not ${n.in(0).text})`,
  And: comparison('and'),
  Or: comparison('or'),
  Xor: (n) => `xor(${n.in(0).text}, ${n.in(1).text})`,
  BitwiseAnd: comparison('and'),
  BitwiseOr: comparison('or'),
  BitwiseXor: (n) => `xor(${n.in(0).text}, ${n.in(1).text})`,
  BitwiseNot: (n) => wrapped(n.in(0).onnx, `(not ${n.in(0).text})`),
  BitShift: shift,
  // Both branches take the type of the tensor among them; two numbers would be floats.
  Where: (n) => {
    const [c, x, y] = [n.in(0).text, n.in(1), n.in(2)];
    const chosen = `where(${c}, ${x.text}, ${y.text})`;
    return x.type.dtype !== 'f32' && x.known && y.known ? `cast(${chosen}, ${x.type.dtype})` : chosen;
  },
  Cast: (n) => castTo(n.in(0).text, n.in(0), typeOfCode(n, n.int('to'))),
  CastLike: (n) => castTo(n.in(0).text, n.in(0), n.in(1).onnx),
};
