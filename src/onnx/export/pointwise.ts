/** Pointwise operators as nodes. Where ONNX leaves something open (a division by zero, a float that no integer holds), the IR's meaning is written out. */
import type { DType, OpName, Value } from '../../ir/types.js';
import { type Emitter, int, text } from './emitter.js';
import type { ExportRules, Write } from './rule.js';

const whole = (dtype: DType): boolean => dtype === 'i32' || dtype === 'u32';
const dtypeOf = (v: Pick<Value, 'inputs'>): DType => v.inputs[0]!.type.dtype;

const same =
  (op: string): Write<OpName> =>
  (e, _v, x) =>
    e.node(op, x);
const identity: Write<OpName> = (_e, _v, [x]) => x;

/** Of truth one operator, of bits another, which came later. */
const logic =
  (op: string): Write<OpName> =>
  (e, v, x) =>
    dtypeOf(v) === 'bool' ? e.node(op, x) : e.opset < 18 ? undefined : e.node(`Bitwise${op}`, x);

/** `then` where the condition holds. Runtimes choose among truth by logic, and among whole numbers without signs as wider ones. */
function choose(e: Emitter, dtype: DType, [condition, then, otherwise]: readonly string[]): string {
  if (dtype === 'bool') {
    const no = e.node('Not', [condition!]);
    return e.node('Or', [e.node('And', [condition!, then!]), e.node('And', [no, otherwise!])]);
  }
  if (dtype !== 'u32') return e.node('Where', [condition!, then!, otherwise!]);
  return e.cast(e.node('Where', [condition!, e.wide(then!), e.wide(otherwise!)]), 'u32');
}

/** The divisor with 1 in the place of 0, as the IR has it for whole numbers. */
function divisor(e: Emitter, v: Pick<Value, 'inputs'>, x: string): string {
  const [, by] = v.inputs;
  if (by!.op === 'constant' && by!.attrs.value !== 0) return x;
  const { dtype } = by!.type;
  if (dtype === 'u32') return e.node('Max', [x, e.scalar(dtype, 1)]);
  return choose(e, dtype, [e.node('Equal', [x, e.scalar(dtype, 0)]), e.scalar(dtype, 1), x]);
}

/** ONNX shifts what has no sign, and says nothing of more than there are bits. */
function shifted(e: Emitter, v: Pick<Value, 'inputs'>, x: string, by: string, direction: 'LEFT' | 'RIGHT'): string {
  const dtype = dtypeOf(v);
  const unsigned = (name: string) => (dtype === 'u32' ? name : e.cast(name, 'u32'));
  const bits = e.node('Mod', [unsigned(by), e.scalar('u32', 32)]);
  return e.cast(e.node('BitShift', [unsigned(x), bits], { direction: text(direction) }), dtype);
}

export const pointwise = {
  neg: same('Neg'),
  abs: same('Abs'),
  sign: same('Sign'),
  floor: same('Floor'),
  exp: same('Exp'),
  log: same('Log'),
  sqrt: same('Sqrt'),
  rsqrt: (e, _v, [x]) => e.node('Reciprocal', [e.node('Sqrt', [x!])]),
  reciprocal: same('Reciprocal'),
  sin: same('Sin'),
  cos: same('Cos'),
  tanh: same('Tanh'),
  erf: same('Erf'),
  sigmoid: same('Sigmoid'),
  relu: (e, v, x) => (whole(dtypeOf(v)) && e.opset < 14 ? undefined : e.node('Relu', x)),
  silu: 'decompose',
  not: logic('Not'),
  stop_gradient: identity,
  again: identity,
  gelu: (e, v, x) =>
    e.opset < 20 || v.attrs.form === 'quick'
      ? undefined
      : e.node('Gelu', x, v.attrs.form === 'tanh' ? { approximate: text('tanh') } : {}),
  cast(e, v, [x]) {
    const { dtype } = v.attrs;
    const from = dtypeOf(v);
    if (from === dtype) return x;
    if (!whole(dtype) || whole(from) || from === 'bool') return e.cast(x!, dtype);
    // Beyond these a cast may give anything. As a double, a float can be held to what the integers are.
    const [least, most] = dtype === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    const double = (name: string) => e.node('Cast', [name], { to: int(11) });
    const bound = (n: number) => double(e.constant('int64', [], [n]));
    return e.cast(e.node('Clip', [double(x!), bound(least), bound(most)]), dtype);
  },
  // An inference drops nothing.
  dropout: identity,
  drop_path: identity,
  add: same('Add'),
  sub: same('Sub'),
  mul: same('Mul'),
  div: (e, v, [a, b]) => e.node('Div', [a!, whole(dtypeOf(v)) ? divisor(e, v, b!) : b!]),
  pow: same('Pow'),
  maximum: same('Max'),
  minimum: same('Min'),
  mod: (e, v, [a, b]) => e.node('Mod', [a!, whole(dtypeOf(v)) ? divisor(e, v, b!) : b!], { fmod: int(1) }),
  floor_div: 'decompose',
  lt: same('Less'),
  le: same('LessOrEqual'),
  eq: same('Equal'),
  and: logic('And'),
  or: logic('Or'),
  xor: logic('Xor'),
  shift_left: (e, v, [x, by]) => shifted(e, v, x!, by!, 'LEFT'),
  shift_right(e, v, [x, by]) {
    if (dtypeOf(v) === 'u32') return shifted(e, v, x!, by!, 'RIGHT');
    // Downwards below zero: what is -1 - x is not negative.
    const negative = e.node('Less', [x!, e.scalar('i32', 0)]);
    const turned = (name: string) => e.node('Sub', [e.scalar('i32', -1), name]);
    const size = choose(e, 'i32', [negative, turned(x!), x!]);
    const less = shifted(e, v, size, by!, 'RIGHT');
    return choose(e, 'i32', [negative, turned(less), less]);
  },
  select: (e, v, x) => choose(e, v.type.dtype, x),
} satisfies ExportRules;
