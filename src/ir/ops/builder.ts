/**
 * Short names for making values, with light simplification: adding a constant 0, multiplying by 1, a transpose that moves
 * nothing, a reshape to the same shape, and arithmetic of constants give no operator. Written against `Make`, so that
 * decompositions (which the operator table owns) can use it without importing the graph.
 */
import type { About, DType, OpAttrs, OpName, Value } from '../types.js';
import { sameShape, tryBroadcast } from './shapes.js';

/** `graph.make`: infers the type and refuses with a `ShapeError`. */
export type Make = <O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O], about?: About) => Value;

/** An operand, or a number that becomes a constant of the other operand's element type. */
export type Operandish = Value | number;

const isConstant = (v: Value, value: number): boolean => v.op === 'constant' && v.attrs.value === value;

const axisOf = (a: number, x: Value): number => (a < 0 ? a + x.type.shape.length : a);

/** Whether broadcasting `other` against x would not change its shape. */
function unchanged(x: Value, other: Value): boolean {
  const both = tryBroadcast(x.type.shape, other.type.shape);
  return both !== undefined && x.type.dtype === other.type.dtype && sameShape(both, x.type.shape);
}

/**
 * Every helper takes an optional about last where it makes one operator; negative axes count from the end. Builders are made for a single value
 * with what is known of it: methods cost nothing to make, whatever number of them there is.
 */
export class Builder {
  constructor(private readonly make: Make) {}

  constant(value: number, dtype: DType = 'f32', shape: readonly number[] = []): Value {
    return this.make('constant', [], { value, dtype, shape });
  }

  /** How many samples the function is called with, an f32 scalar. */
  batchSize(about?: About): Value {
    return this.make('batch_size', [], {}, about);
  }

  neg(x: Value, about?: About): Value {
    return this.make('neg', [x], {}, about);
  }

  abs(x: Value, about?: About): Value {
    return this.make('abs', [x], {}, about);
  }

  sign(x: Value, about?: About): Value {
    return this.make('sign', [x], {}, about);
  }

  floor(x: Value, about?: About): Value {
    return this.make('floor', [x], {}, about);
  }

  exp(x: Value, about?: About): Value {
    return this.make('exp', [x], {}, about);
  }

  log(x: Value, about?: About): Value {
    return this.make('log', [x], {}, about);
  }

  sqrt(x: Value, about?: About): Value {
    return this.make('sqrt', [x], {}, about);
  }

  rsqrt(x: Value, about?: About): Value {
    return this.make('rsqrt', [x], {}, about);
  }

  reciprocal(x: Value, about?: About): Value {
    return this.make('reciprocal', [x], {}, about);
  }

  sin(x: Value, about?: About): Value {
    return this.make('sin', [x], {}, about);
  }

  cos(x: Value, about?: About): Value {
    return this.make('cos', [x], {}, about);
  }

  tanh(x: Value, about?: About): Value {
    return this.make('tanh', [x], {}, about);
  }

  erf(x: Value, about?: About): Value {
    return this.make('erf', [x], {}, about);
  }

  sigmoid(x: Value, about?: About): Value {
    return this.make('sigmoid', [x], {}, about);
  }

  relu(x: Value, about?: About): Value {
    return this.make('relu', [x], {}, about);
  }

  silu(x: Value, about?: About): Value {
    return this.make('silu', [x], {}, about);
  }

  not(x: Value, about?: About): Value {
    return this.make('not', [x], {}, about);
  }

  stopGradient(x: Value, about?: About): Value {
    return this.make('stop_gradient', [x], {}, about);
  }

  again(x: Value, about?: About): Value {
    return this.make('again', [x], {}, about);
  }

  gelu(x: Value, form: OpAttrs['gelu']['form'] = 'none', about?: About): Value {
    return this.make('gelu', [x], { form }, about);
  }

  dropout(x: Value, attrs: OpAttrs['dropout'], about?: About): Value {
    return this.make('dropout', [x], attrs, about);
  }

  dropPath(x: Value, attrs: OpAttrs['drop_path'], about?: About): Value {
    return this.make('drop_path', [x], attrs, about);
  }

  cast(x: Value, dtype: DType, about?: About): Value {
    return x.type.dtype === dtype ? x : this.make('cast', [x], { dtype }, about);
  }

  add(a: Operandish, b: Operandish, about?: About): Value {
    const [x, y] = this.pair(a, b);
    if (isConstant(y, 0) && unchanged(x, y)) return x;
    if (isConstant(x, 0) && unchanged(y, x)) return y;
    return this.fold(x, y, (p, q) => p + q) ?? this.make('add', [x, y], {}, about);
  }

  sub(a: Operandish, b: Operandish, about?: About): Value {
    const [x, y] = this.pair(a, b);
    if (isConstant(y, 0) && unchanged(x, y)) return x;
    return this.fold(x, y, (p, q) => p - q) ?? this.make('sub', [x, y], {}, about);
  }

  mul(a: Operandish, b: Operandish, about?: About): Value {
    const [x, y] = this.pair(a, b);
    if (isConstant(y, 1) && unchanged(x, y)) return x;
    if (isConstant(x, 1) && unchanged(y, x)) return y;
    return this.fold(x, y, (p, q) => p * q) ?? this.make('mul', [x, y], {}, about);
  }

  div(a: Operandish, b: Operandish, about?: About): Value {
    const [x, y] = this.pair(a, b);
    if (isConstant(y, 1) && unchanged(x, y)) return x;
    return this.fold(x, y, (p, q) => p / q) ?? this.make('div', [x, y], {}, about);
  }

  pow(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('pow', this.pair(a, b), {}, about);
  }

  maximum(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('maximum', this.pair(a, b), {}, about);
  }

  minimum(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('minimum', this.pair(a, b), {}, about);
  }

  mod(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('mod', this.pair(a, b), {}, about);
  }

  floorDiv(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('floor_div', this.pair(a, b), {}, about);
  }

  lt(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('lt', this.pair(a, b), {}, about);
  }

  le(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('le', this.pair(a, b), {}, about);
  }

  eq(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('eq', this.pair(a, b), {}, about);
  }

  and(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('and', this.pair(a, b), {}, about);
  }

  or(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('or', this.pair(a, b), {}, about);
  }

  xor(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('xor', this.pair(a, b), {}, about);
  }

  shiftLeft(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('shift_left', this.pair(a, b), {}, about);
  }

  shiftRight(a: Operandish, b: Operandish, about?: About): Value {
    return this.make('shift_right', this.pair(a, b), {}, about);
  }

  select(condition: Value, then: Operandish, otherwise: Operandish, about?: About): Value {
    return this.make('select', [condition, ...this.pair(then, otherwise)], {}, about);
  }

  reshape(x: Value, shape: readonly number[], about?: About): Value {
    if (sameShape(x.type.shape, shape)) return x;
    const from = x.op === 'reshape' ? x.inputs[0]! : x;
    if (sameShape(from.type.shape, shape)) return from;
    return this.make('reshape', [from], { shape }, about);
  }

  /** Reverses the axes when no permutation is given. */
  transpose(x: Value, perm?: readonly number[], about?: About): Value {
    const p = perm ?? x.type.shape.map((_, i) => x.type.shape.length - 1 - i);
    if (x.op === 'transpose' && p.length === x.attrs.perm.length) {
      const inner = x.attrs.perm;
      const both = p.map((i) => inner[i] ?? -1);
      return this.transpose(x.inputs[0]!, both, about);
    }
    if (p.length === x.type.shape.length && p.every((a, i) => a === i)) return x;
    return this.make('transpose', [x], { perm: p }, about);
  }

  /** The last two axes exchanged. */
  matrixTranspose(x: Value, about?: About): Value {
    const n = x.type.shape.length;
    const perm = x.type.shape.map((_, i) => i);
    perm.splice(n - 2, 2, n - 1, n - 2);
    return this.transpose(x, perm, about);
  }

  broadcast(x: Value, shape: readonly number[], about?: About): Value {
    return sameShape(x.type.shape, shape) ? x : this.make('broadcast', [x], { shape }, about);
  }

  slice(x: Value, start: readonly number[], end: readonly number[], about?: About): Value {
    return start.every((s) => s === 0) && sameShape(end, x.type.shape)
      ? x
      : this.make('slice', [x], { start, end }, about);
  }

  /** One axis cut to `from <= index < to`. */
  sliceAxis(x: Value, at: number, from: number, to: number, about?: About): Value {
    const a = axisOf(at, x);
    const start = x.type.shape.map((_, i) => (i === a ? from : 0));
    const end = x.type.shape.map((d, i) => (i === a ? to : d));
    if (from === 0 && to === x.type.shape[a]) return x;
    return this.make('slice', [x], { start, end }, about);
  }

  concat(xs: readonly Value[], at: number, about?: About): Value {
    return xs.length === 1
      ? xs[0]!
      : this.make('concat', xs, { axis: at < 0 && xs[0] ? axisOf(at, xs[0]) : at }, about);
  }

  pad(x: Value, low: readonly number[], high: readonly number[], value = 0, about?: About): Value {
    return [...low, ...high].every((p) => p === 0) ? x : this.make('pad', [x], { low, high, value }, about);
  }

  roll(x: Value, shifts: readonly number[], axes: readonly number[], about?: About): Value {
    return this.make('roll', [x], { shifts, axes: axes.map((a) => axisOf(a, x)) }, about);
  }

  gather(x: Value, indices: Value, at = 0, about?: About): Value {
    return this.make('gather', [x, indices], { axis: axisOf(at, x) }, about);
  }

  reverse(x: Value, axes: readonly number[], about?: About): Value {
    return this.make('reverse', [x], { axes: axes.map((a) => axisOf(a, x)) }, about);
  }

  /** The transpose of `gather`: updates added up at their indices, of which there are `size`. */
  scatterAdd(updates: Value, indices: Value, at: number, size: number, about?: About): Value {
    return this.make('scatter_add', [updates, indices], { axis: axisOf(at, updates), size }, about);
  }

  argsort(x: Value, about?: About): Value {
    return this.make('argsort', [x], {}, about);
  }

  mergeOrder(x: Value, order: Value, run: number, about?: About): Value {
    return this.make('merge_order', [x, order], { run }, about);
  }

  searchsorted(sorted: Value, values: Value, right = false, about?: About): Value {
    return this.make('searchsorted', [sorted, values], { right }, about);
  }

  segmentSum(x: Value, starts: Value, at: number, about?: About): Value {
    return this.make('segment_sum', [x, starts], { axis: axisOf(at, x) }, about);
  }

  iota(shape: readonly number[], at: number, dtype: DType = 'i32', about?: About): Value {
    return this.make('iota', [], { axis: at < 0 ? at + shape.length : at, dtype, shape }, about);
  }

  randomBits(key: Value, shape: readonly number[], stream: number, about?: About): Value {
    return this.make('random_bits', [key], { stream, shape }, about);
  }

  sum(x: Value, axes: readonly number[], keep = false, about?: About): Value {
    return this.reduction('reduce_sum', x, axes, keep, about);
  }

  mean(x: Value, axes: readonly number[], keep = false, about?: About): Value {
    return this.reduction('reduce_mean', x, axes, keep, about);
  }

  max(x: Value, axes: readonly number[], keep = false, about?: About): Value {
    return this.reduction('reduce_max', x, axes, keep, about);
  }

  /** The k largest along the last axis; `aux(…, 'indices')` says where they were. */
  topK(x: Value, k: number, about?: About): Value {
    return this.make('top_k', [x], { k }, about);
  }

  matmul(a: Value, b: Value, about?: About): Value {
    return this.make('matmul', [a, b], {}, about);
  }

  linear(x: Value, weight: Value, bias?: Value, about?: About): Value {
    return this.make('linear', bias ? [x, weight, bias] : [x, weight], {}, about);
  }

  conv2d(x: Value, weight: Value, bias: Value | undefined, attrs: OpAttrs['conv2d'], about?: About): Value {
    return this.make('conv2d', bias ? [x, weight, bias] : [x, weight], attrs, about);
  }

  conv2dTranspose(
    x: Value,
    weight: Value,
    bias: Value | undefined,
    attrs: OpAttrs['conv2d_transpose'],
    about?: About,
  ): Value {
    return this.make('conv2d_transpose', bias ? [x, weight, bias] : [x, weight], attrs, about);
  }

  conv2dWeight(x: Value, dy: Value, attrs: OpAttrs['conv2d_weight'], about?: About): Value {
    return this.make('conv2d_weight', [x, dy], attrs, about);
  }

  solve(a: Value, right: Value, about?: About): Value {
    return this.make('solve', [a, right], {}, about);
  }

  kron(a: Value, b: Value, about?: About): Value {
    return this.make('kron', [a, b], {}, about);
  }

  softmax(x: Value, at = -1, about?: About): Value {
    return this.make('softmax', [x], { axis: axisOf(at, x) }, about);
  }

  layerNorm(x: Value, gain: Value | undefined, shift: Value | undefined, eps: number, about?: About): Value {
    return this.make('layer_norm', gain ? (shift ? [x, gain, shift] : [x, gain]) : [x], { eps }, about);
  }

  attention(q: Value, k: Value, v: Value, scale: number, bias: readonly Value[] = [], about?: About): Value {
    return this.make('attention', [q, k, v, ...bias], { scale }, about);
  }

  aux(owner: Value, output: string, about?: About): Value {
    return this.make('aux', [owner], { output }, about);
  }

  private pair(a: Operandish, b: Operandish): [Value, Value] {
    if (typeof a === 'number') {
      if (typeof b === 'number') return [this.constant(a), this.constant(b)];
      return [this.constant(a, b.type.dtype), b];
    }
    return [a, typeof b === 'number' ? this.constant(b, a.type.dtype) : b];
  }

  /** Constant arithmetic, for floats only: integers wrap, which the table's reference knows and this does not. */
  private fold(a: Value, b: Value, f: (x: number, y: number) => number): Value | undefined {
    if (a.op !== 'constant' || b.op !== 'constant') return undefined;
    if (a.attrs.dtype !== b.attrs.dtype || (a.attrs.dtype !== 'f32' && a.attrs.dtype !== 'f16')) return undefined;
    const shape = tryBroadcast(a.attrs.shape, b.attrs.shape);
    const value = f(a.attrs.value, b.attrs.value);
    return shape && Number.isFinite(value) ? this.constant(value, a.attrs.dtype, shape) : undefined;
  }

  private reduction(
    op: 'reduce_sum' | 'reduce_mean' | 'reduce_max',
    x: Value,
    axes: readonly number[],
    keep: boolean,
    about?: About,
  ): Value {
    if (axes.length === 0) return x;
    return this.make(op, [x], { axes: axes.map((a) => axisOf(a, x)), keep }, about);
  }
}

export const makeBuilder = (make: Make): Builder => new Builder(make);
