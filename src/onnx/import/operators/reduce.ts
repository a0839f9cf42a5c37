/** Operators that take the elements of an axis together: sums and their like, places of the largest, running sums. */
import type { OnnxNode, Operand, Rule, Rules } from '../rule.js';
import { along, asFloat, atEnd, axesOf, axisOf, isFloat, range, rankOf, reshaped } from './text.js';

/** Axes were attributes once and are an operand since `since`; without any all are reduced, unless the node says that none is. */
function reducedAxes(n: OnnxNode, since: number): number[] {
  const rank = rankOf(n.in(0));
  const said = n.opset >= since ? (n.has(1) ? n.whole(1) : []) : n.ints('axes', []);
  if (said.length > 0) return axesOf(n, said, rank);
  return n.opset >= since && n.int('noop_with_empty_axes', 0) === 1 ? [] : range(rank);
}

interface Reduction {
  /** The version since which axes are an operand. */
  readonly since: number;
  /** The reduction of a text along axes; `keep` ends the call. */
  readonly work: (x: Operand, reduce: (name: string, text: string) => string) => string;
  /** What it is of single elements: where no axis is reduced. */
  readonly single: (x: Operand) => string;
}

const reduction =
  ({ since, work, single }: Reduction): Rule =>
  (n) => {
    const x = n.in(0);
    const axes = reducedAxes(n, since);
    if (axes.length === 0) return single(x);
    const keep = n.int('keepdims', 1) === 1;
    return work(x, (name, text) => `${name}(${text}, axis: [${axes.join(', ')}]${keep ? ', keep: true' : ''})`);
  };

/** Of whole numbers too, cut off at the point as ONNX Runtime does. */
const mean: Reduction['work'] = (x, reduce) =>
  isFloat(x.onnx) ? reduce('mean', x.text) : `cast(${reduce('mean', asFloat(x))}, ${x.type.dtype})`;

/** Truth values are compared as 0 and 1. */
const extreme =
  (name: 'max' | 'min'): Reduction['work'] =>
  (x, reduce) => {
    if (x.type.dtype === 'bool') return `cast(${reduce(name, `cast(${x.text}, i32)`)}, bool)`;
    // The smallest is the negative of the largest negative, which unsigned numbers do not have.
    return x.type.dtype === 'u32' && name === 'min'
      ? `(not ${reduce('max', `(not ${x.text})`)})`
      : reduce(name, x.text);
  };

const plain = (x: Operand): string => x.text;
const square = (text: string): string => `onnx_square(${text})`;
const inFloats = (x: Operand, text: (floats: string) => string): string => {
  const floats = text(asFloat(x));
  return x.type.dtype === 'f32' ? floats : `cast(${floats}, ${x.type.dtype})`;
};
const absolute = (x: Operand): string => (x.type.dtype === 'u32' ? x.text : `abs(${x.text})`);

const prod: Rule = (n) => {
  const x = n.in(0);
  const axes = reducedAxes(n, 18).sort((a, b) => a - b);
  const { shape } = x.type;
  if (axes.length === 0) return x.text;
  const kept = range(shape.length).filter((i) => !axes.includes(i));
  const count = axes.reduce((p, a) => p * shape[a]!, 1);
  const after = kept.map((i) => shape[i]!);
  const turned = [...kept, ...axes].every((a, i) => a === i)
    ? x.text
    : `transpose(${x.text}, [${[...kept, ...axes].join(', ')}])`;
  const rows = after.reduce((p, d) => p * d, 1);
  const result = n.int('keepdims', 1) === 1 ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : after;
  const flat = reshaped(turned, [...after, ...axes.map((a) => shape[a]!)], [rows, count, 1]);
  return reshaped(`onnx_product(${flat})`, [rows, 1, 1], result);
};

/** The place of the largest or smallest; of equal ones the first, or the last. */
const place =
  (negative: boolean): Rule =>
  (n) => {
    const x = n.in(0);
    const { shape } = x.type;
    const axis = axisOf(n, n.int('axis', 0), shape.length);
    const text = negative ? `(-${x.type.dtype === 'u32' ? `cast(${x.text}, i32)` : x.text})` : x.text;
    const last = n.int('select_last_index', 0) === 1;
    const found = last
      ? `${shape[axis]! - 1} - argmax(reverse(${text}, [${axis}]), axis: ${axis})`
      : `argmax(${text}, axis: ${axis})`;
    const without = shape.filter((_, i) => i !== axis);
    if (n.int('keepdims', 1) !== 1) return found;
    return reshaped(
      last ? `(${found})` : found,
      without,
      shape.map((d, i) => (i === axis ? 1 : d)),
    );
  };

const cumSum: Rule = (n) => {
  const x = n.in(0);
  const [said] = n.whole(1);
  const axis = axisOf(n, said ?? 0, rankOf(x));
  const options = `exclusive: ${n.int('exclusive', 0) === 1}, reversed: ${n.int('reverse', 0) === 1}`;
  return along(x, axis, (text) => `onnx_cumulative(${text}, ${options})`);
};

const topK: Rule = (n) => {
  const x = n.in(0);
  const { shape } = x.type;
  const k = n.opset >= 10 ? n.whole(1)[0]! : n.int('k');
  const axis = axisOf(n, n.int('axis', -1), shape.length);
  const largest = n.opset < 11 || n.int('largest', 1) === 1;
  if (x.type.dtype === 'u32' && !largest) return n.fail('takes the smallest of unsigned numbers');
  const found = (which: 0 | 1) =>
    atEnd(x, axis, (text) => {
      const top = `top_k(${largest ? text : `-${text}`}, k: ${k})[${which}]`;
      return largest || which === 1 ? top : `(-${top})`;
    });
  return [found(0), found(1)];
};

/** 1 at the first of the largest, 0 elsewhere. */
const hardmax: Rule = (n) => {
  const x = n.in(0);
  const rank = rankOf(x);
  const axis = axisOf(n, n.int('axis', n.opset >= 13 ? -1 : 1), rank);
  if (n.opset >= 13) return atEnd(x, axis, (text) => `onnx_hardmax(${text})`);
  return coerced(x, axis, (text) => `onnx_hardmax(${text})`);
};

/** Before version 13 all axes from `axis` on were one. */
function coerced(x: Operand, axis: number, work: (text: string) => string): string {
  const { shape } = x.type;
  const rows = shape.slice(0, axis).reduce((p, d) => p * d, 1);
  const flat = [rows, shape.slice(axis).reduce((p, d) => p * d, 1)];
  return reshaped(work(reshaped(x.text, shape, flat)), flat, shape);
}

const softmax =
  (name: string): Rule =>
  (n) => {
    const x = n.in(0);
    const axis = axisOf(n, n.int('axis', n.opset >= 13 ? -1 : 1), rankOf(x));
    if (n.opset >= 13) return `${name}(${x.text}, axis: ${axis})`;
    return axis === rankOf(x) - 1
      ? `${name}(${x.text}, axis: ${axis})`
      : coerced(x, axis, (text) => `${name}(${text}, axis: 1)`);
  };

export const REDUCTIONS: Rules = {
  ReduceSum: reduction({ since: 13, work: (x, reduce) => reduce('sum', x.text), single: plain }),
  ReduceMean: reduction({ since: 18, work: mean, single: plain }),
  ReduceMax: reduction({ since: 18, work: extreme('max'), single: plain }),
  ReduceMin: reduction({ since: 18, work: extreme('min'), single: plain }),
  ReduceProd: prod,
  ReduceL1: reduction({ since: 18, work: (x, reduce) => reduce('sum', absolute(x)), single: absolute }),
  ReduceL2: reduction({
    since: 18,
    work: (x, reduce) => inFloats(x, (text) => `sqrt(${reduce('sum', square(text))})`),
    single: absolute,
  }),
  ReduceSumSquare: reduction({
    since: 18,
    work: (x, reduce) => reduce('sum', square(x.text)),
    single: (x) => square(x.text),
  }),
  ReduceLogSum: reduction({
    since: 18,
    work: (x, reduce) => inFloats(x, (text) => `log(${reduce('sum', text)})`),
    single: (x) => inFloats(x, (text) => `log(${text})`),
  }),
  ReduceLogSumExp: (n) => {
    const x = n.in(0);
    const axes = reducedAxes(n, 18);
    if (axes.length === 0) return x.text;
    return inFloats(
      x,
      (text) => `onnx_log_sum_exp(${text}, [${axes.join(', ')}], keep: ${n.int('keepdims', 1) === 1})`,
    );
  },
  ArgMax: place(false),
  ArgMin: place(true),
  CumSum: cumSum,
  TopK: topK,
  Softmax: softmax('softmax'),
  LogSoftmax: softmax('onnx_log_softmax'),
  Hardmax: hardmax,
};
