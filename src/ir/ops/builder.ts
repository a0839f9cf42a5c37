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

export type Builder = ReturnType<typeof makeBuilder>;

/** Every helper takes an optional about last where it makes one operator; negative axes count from the end. */
export function makeBuilder(make: Make) {
  const scalar = (value: number, dtype: DType = 'f32', shape: readonly number[] = []): Value =>
    make('constant', [], { value, dtype, shape });
  const lift = (x: Operandish, like: Value): Value => (typeof x === 'number' ? scalar(x, like.type.dtype) : x);
  const pair = (a: Operandish, b: Operandish): [Value, Value] => {
    if (typeof a === 'number') {
      if (typeof b === 'number') return [scalar(a), scalar(b)];
      return [scalar(a, b.type.dtype), b];
    }
    return [a, lift(b, a)];
  };
  const axis = (a: number, x: Value): number => (a < 0 ? a + x.type.shape.length : a);
  /** `x` when broadcasting `other` against it would not change its shape. */
  const unchanged = (x: Value, other: Value): boolean => {
    const both = tryBroadcast(x.type.shape, other.type.shape);
    return both !== undefined && x.type.dtype === other.type.dtype && sameShape(both, x.type.shape);
  };
  /** Constant arithmetic, for floats only: integers wrap, which the table's reference knows and this does not. */
  const fold = (a: Value, b: Value, f: (x: number, y: number) => number): Value | undefined => {
    if (a.op !== 'constant' || b.op !== 'constant') return undefined;
    if (a.attrs.dtype !== b.attrs.dtype || (a.attrs.dtype !== 'f32' && a.attrs.dtype !== 'f16')) return undefined;
    const shape = tryBroadcast(a.attrs.shape, b.attrs.shape);
    const value = f(a.attrs.value, b.attrs.value);
    return shape && Number.isFinite(value) ? scalar(value, a.attrs.dtype, shape) : undefined;
  };
  const unary =
    <
      O extends
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
        | 'stop_gradient',
    >(
      op: O,
    ) =>
    (x: Value, about?: About): Value =>
      make(op, [x], {} as OpAttrs[O], about);
  const binary =
    <
      O extends
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
        | 'shift_right',
    >(
      op: O,
    ) =>
    (a: Operandish, b: Operandish, about?: About): Value =>
      make(op, pair(a, b), {} as OpAttrs[O], about);
  const reduction =
    (op: 'reduce_sum' | 'reduce_mean' | 'reduce_max') =>
    (x: Value, axes: readonly number[], keep = false, about?: About): Value => {
      if (axes.length === 0) return x;
      return make(op, [x], { axes: axes.map((a) => axis(a, x)), keep }, about);
    };
  const reshape = (x: Value, shape: readonly number[], about?: About): Value => {
    if (sameShape(x.type.shape, shape)) return x;
    const from = x.op === 'reshape' ? x.inputs[0]! : x;
    if (sameShape(from.type.shape, shape)) return from;
    return make('reshape', [from], { shape }, about);
  };
  const transpose = (x: Value, perm?: readonly number[], about?: About): Value => {
    const p = perm ?? x.type.shape.map((_, i) => x.type.shape.length - 1 - i);
    if (x.op === 'transpose' && p.length === x.attrs.perm.length) {
      const inner = x.attrs.perm;
      return transpose(
        x.inputs[0]!,
        p.map((i) => inner[i] ?? -1),
        about,
      );
    }
    if (p.length === x.type.shape.length && p.every((a, i) => a === i)) return x;
    return make('transpose', [x], { perm: p }, about);
  };

  return {
    constant: scalar,
    /** How many samples the function is called with, an f32 scalar. */
    batchSize: (about?: About): Value => make('batch_size', [], {}, about),
    neg: unary('neg'),
    abs: unary('abs'),
    sign: unary('sign'),
    floor: unary('floor'),
    exp: unary('exp'),
    log: unary('log'),
    sqrt: unary('sqrt'),
    rsqrt: unary('rsqrt'),
    reciprocal: unary('reciprocal'),
    sin: unary('sin'),
    cos: unary('cos'),
    tanh: unary('tanh'),
    erf: unary('erf'),
    sigmoid: unary('sigmoid'),
    relu: unary('relu'),
    silu: unary('silu'),
    not: unary('not'),
    stopGradient: unary('stop_gradient'),
    gelu: (x: Value, form: OpAttrs['gelu']['form'] = 'none', about?: About): Value =>
      make('gelu', [x], { form }, about),
    dropout: (x: Value, attrs: OpAttrs['dropout'], about?: About): Value => make('dropout', [x], attrs, about),
    dropPath: (x: Value, attrs: OpAttrs['drop_path'], about?: About): Value => make('drop_path', [x], attrs, about),
    cast: (x: Value, dtype: DType, about?: About): Value =>
      x.type.dtype === dtype ? x : make('cast', [x], { dtype }, about),

    add: (a: Operandish, b: Operandish, about?: About): Value => {
      const [x, y] = pair(a, b);
      if (isConstant(y, 0) && unchanged(x, y)) return x;
      if (isConstant(x, 0) && unchanged(y, x)) return y;
      return fold(x, y, (p, q) => p + q) ?? make('add', [x, y], {}, about);
    },
    sub: (a: Operandish, b: Operandish, about?: About): Value => {
      const [x, y] = pair(a, b);
      if (isConstant(y, 0) && unchanged(x, y)) return x;
      return fold(x, y, (p, q) => p - q) ?? make('sub', [x, y], {}, about);
    },
    mul: (a: Operandish, b: Operandish, about?: About): Value => {
      const [x, y] = pair(a, b);
      if (isConstant(y, 1) && unchanged(x, y)) return x;
      if (isConstant(x, 1) && unchanged(y, x)) return y;
      return fold(x, y, (p, q) => p * q) ?? make('mul', [x, y], {}, about);
    },
    div: (a: Operandish, b: Operandish, about?: About): Value => {
      const [x, y] = pair(a, b);
      if (isConstant(y, 1) && unchanged(x, y)) return x;
      return fold(x, y, (p, q) => p / q) ?? make('div', [x, y], {}, about);
    },
    pow: binary('pow'),
    maximum: binary('maximum'),
    minimum: binary('minimum'),
    mod: binary('mod'),
    floorDiv: binary('floor_div'),
    lt: binary('lt'),
    le: binary('le'),
    eq: binary('eq'),
    and: binary('and'),
    or: binary('or'),
    xor: binary('xor'),
    shiftLeft: binary('shift_left'),
    shiftRight: binary('shift_right'),
    select: (condition: Value, then: Operandish, otherwise: Operandish, about?: About): Value =>
      make('select', [condition, ...pair(then, otherwise)], {}, about),

    reshape,
    /** Reverses the axes when no permutation is given. */
    transpose,
    /** The last two axes exchanged. */
    matrixTranspose: (x: Value, about?: About): Value => {
      const n = x.type.shape.length;
      const perm = x.type.shape.map((_, i) => i);
      perm.splice(n - 2, 2, n - 1, n - 2);
      return transpose(x, perm, about);
    },
    broadcast: (x: Value, shape: readonly number[], about?: About): Value =>
      sameShape(x.type.shape, shape) ? x : make('broadcast', [x], { shape }, about),
    slice: (x: Value, start: readonly number[], end: readonly number[], about?: About): Value =>
      start.every((s) => s === 0) && sameShape(end, x.type.shape) ? x : make('slice', [x], { start, end }, about),
    /** One axis cut to `from <= index < to`. */
    sliceAxis: (x: Value, at: number, from: number, to: number, about?: About): Value => {
      const a = axis(at, x);
      const start = x.type.shape.map((_, i) => (i === a ? from : 0));
      const end = x.type.shape.map((d, i) => (i === a ? to : d));
      if (from === 0 && to === x.type.shape[a]) return x;
      return make('slice', [x], { start, end }, about);
    },
    concat: (xs: readonly Value[], at: number, about?: About): Value =>
      xs.length === 1 ? xs[0]! : make('concat', xs, { axis: at < 0 && xs[0] ? axis(at, xs[0]) : at }, about),
    pad: (x: Value, low: readonly number[], high: readonly number[], value = 0, about?: About): Value =>
      [...low, ...high].every((p) => p === 0) ? x : make('pad', [x], { low, high, value }, about),
    roll: (x: Value, shifts: readonly number[], axes: readonly number[], about?: About): Value =>
      make('roll', [x], { shifts, axes: axes.map((a) => axis(a, x)) }, about),
    gather: (x: Value, indices: Value, at = 0, about?: About): Value =>
      make('gather', [x, indices], { axis: axis(at, x) }, about),
    reverse: (x: Value, axes: readonly number[], about?: About): Value =>
      make('reverse', [x], { axes: axes.map((a) => axis(a, x)) }, about),
    /** The transpose of `gather`: updates added up at their indices, of which there are `size`. */
    scatterAdd: (updates: Value, indices: Value, at: number, size: number, about?: About): Value =>
      make('scatter_add', [updates, indices], { axis: axis(at, updates), size }, about),
    argsort: (x: Value, about?: About): Value => make('argsort', [x], {}, about),
    mergeOrder: (x: Value, order: Value, run: number, about?: About): Value =>
      make('merge_order', [x, order], { run }, about),
    searchsorted: (sorted: Value, values: Value, right = false, about?: About): Value =>
      make('searchsorted', [sorted, values], { right }, about),
    segmentSum: (x: Value, starts: Value, at: number, about?: About): Value =>
      make('segment_sum', [x, starts], { axis: axis(at, x) }, about),
    iota: (shape: readonly number[], at: number, dtype: DType = 'i32', about?: About): Value =>
      make('iota', [], { axis: at < 0 ? at + shape.length : at, dtype, shape }, about),
    randomBits: (key: Value, shape: readonly number[], stream: number, about?: About): Value =>
      make('random_bits', [key], { stream, shape }, about),

    sum: reduction('reduce_sum'),
    mean: reduction('reduce_mean'),
    max: reduction('reduce_max'),
    /** The k largest along the last axis; `aux(…, 'indices')` says where they were. */
    topK: (x: Value, k: number, about?: About): Value => make('top_k', [x], { k }, about),
    matmul: (a: Value, b: Value, about?: About): Value => make('matmul', [a, b], {}, about),
    linear: (x: Value, weight: Value, bias?: Value, about?: About): Value =>
      make('linear', bias ? [x, weight, bias] : [x, weight], {}, about),
    conv2d: (x: Value, weight: Value, bias: Value | undefined, attrs: OpAttrs['conv2d'], about?: About): Value =>
      make('conv2d', bias ? [x, weight, bias] : [x, weight], attrs, about),
    conv2dTranspose: (
      x: Value,
      weight: Value,
      bias: Value | undefined,
      attrs: OpAttrs['conv2d_transpose'],
      about?: About,
    ): Value => make('conv2d_transpose', bias ? [x, weight, bias] : [x, weight], attrs, about),
    conv2dWeight: (x: Value, dy: Value, attrs: OpAttrs['conv2d_weight'], about?: About): Value =>
      make('conv2d_weight', [x, dy], attrs, about),
    solve: (a: Value, right: Value, about?: About): Value => make('solve', [a, right], {}, about),
    kron: (a: Value, b: Value, about?: About): Value => make('kron', [a, b], {}, about),
    softmax: (x: Value, at = -1, about?: About): Value => make('softmax', [x], { axis: axis(at, x) }, about),
    layerNorm: (x: Value, gain: Value | undefined, shift: Value | undefined, eps: number, about?: About): Value =>
      make('layer_norm', gain ? (shift ? [x, gain, shift] : [x, gain]) : [x], { eps }, about),
    attention: (q: Value, k: Value, v: Value, scale: number, bias: readonly Value[] = [], about?: About): Value =>
      make('attention', [q, k, v, ...bias], { scale }, about),
    aux: (owner: Value, output: string, about?: About): Value => make('aux', [owner], { output }, about),
  };
}
