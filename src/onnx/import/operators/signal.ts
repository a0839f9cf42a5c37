/** Fourier transforms, as products with tables of sines and cosines. */
import type { OnnxNode, Rule, Rules } from '../rule.js';
import { axisOf, range, reshaped, sizes, transposed } from './text.js';

/** Real and imaginary parts: a tensor whose last axis, of one or two, was taken off. */
interface Complex {
  readonly re: string;
  readonly im: string | undefined;
  readonly shape: readonly number[];
}

function partsOf(text: string, shape: readonly number[]): Complex {
  const inner = shape.slice(0, -1);
  const at = (i: number) => `${text}[${[...inner.map(() => ':'), String(i)].join(', ')}]`;
  if (shape.at(-1) === 1) return { re: reshaped(text, shape, inner), im: undefined, shape: inner };
  return { re: at(0), im: at(1), shape: inner };
}

/** [to, from] of `factor` times a wave. */
function wave(n: OnnxNode, to: number, from: number, value: (k: number, t: number) => number): string {
  const data = Float64Array.from({ length: to * from }, (_, i) => value(Math.floor(i / from), i % from));
  return n.constant({ dtype: 'float', shape: [to, from], data });
}

/** A matrix [to, from] along an axis. */
function times(text: string, matrix: string, axis: number, rank: number): string {
  const perm = [...range(rank).filter((i) => i !== axis), axis];
  const back = range(rank).map((i) => perm.indexOf(i));
  return transposed(`(${transposed(text, perm)} @ ${matrix}.T)`, back);
}

/** The first so many places of an axis, with zeros behind where there are fewer. */
function cutTo(x: Complex, axis: number, length: number): Complex {
  const have = x.shape[axis]!;
  if (have === length) return x;
  const shape = x.shape.map((d, i) => (i === axis ? length : d));
  const work = (text: string): string => {
    if (length < have)
      return `${text}[${range(axis + 1)
        .map((i) => (i === axis ? `0..${length}` : ':'))
        .join(', ')}]`;
    return `pad(${text}, ${sizes(x.shape.map(() => 0))}, ${sizes(x.shape.map((_, i) => (i === axis ? length - have : 0)))})`;
  };
  return { re: work(x.re), im: x.im && work(x.im), shape };
}

/** Waves e^(∓2πi kt/N) along an axis; `to` of them. */
function transform(n: OnnxNode, x: Complex, axis: number, length: number, to: number, inverse: boolean): string {
  const rank = x.shape.length;
  const angle = (k: number, t: number) => (2 * Math.PI * ((k * t) % length)) / length;
  const share = inverse ? 1 / length : 1;
  const cos = wave(n, to, length, (k, t) => share * Math.cos(angle(k, t)));
  const sin = wave(n, to, length, (k, t) => (inverse ? share : -share) * Math.sin(angle(k, t)));
  const by = (text: string, matrix: string) => times(text, matrix, axis, rank);
  const re = x.im === undefined ? by(x.re, cos) : `${by(x.re, cos)} - ${by(x.im, sin)}`;
  const im = x.im === undefined ? by(x.re, sin) : `${by(x.re, sin)} + ${by(x.im, cos)}`;
  return `stack(${re}, ${im}, axis: ${rank})`;
}

/** The real signal of which half the waves are given; the others are their conjugates. */
function realInverse(n: OnnxNode, x: Complex, axis: number, length: number): string {
  const half = x.shape[axis]!;
  const twice = (k: number) => (k === 0 || (length % 2 === 0 && k === length / 2) ? 1 : 2) / length;
  const angle = (k: number, t: number) => (2 * Math.PI * ((k * t) % length)) / length;
  const cos = wave(n, length, half, (t, k) => twice(k) * Math.cos(angle(k, t)));
  const sin = wave(n, length, half, (t, k) => -twice(k) * Math.sin(angle(k, t)));
  const by = (text: string, matrix: string) => times(text, matrix, axis, x.shape.length);
  const re = x.im === undefined ? by(x.re, cos) : `${by(x.re, cos)} + ${by(x.im, sin)}`;
  return `stack([${re}], axis: ${x.shape.length})`;
}

const dft: Rule = (n) => {
  const x = n.in(0);
  const rank = x.type.shape.length;
  const said = n.opset >= 20 ? (n.has(2) ? n.whole(2)[0]! : -2) : n.int('axis', 1);
  const axis = axisOf(n, said, rank);
  if (axis === rank - 1) return n.fail('transforms the axis of real and imaginary parts');
  const [inverse, onesided] = [n.int('inverse', 0) === 1, n.int('onesided', 0) === 1];
  const parts = partsOf(x.text, x.type.shape);
  const have = parts.shape[axis]!;
  if (inverse && onesided) {
    const length = n.has(1) ? n.whole(1)[0]! : 2 * (have - 1);
    return realInverse(n, cutTo(parts, axis, Math.floor(length / 2) + 1), axis, length);
  }
  const length = n.has(1) ? n.whole(1)[0]! : have;
  const to = onesided ? Math.floor(length / 2) + 1 : length;
  return transform(n, cutTo(parts, axis, length), axis, length, to, inverse);
};

/** Transforms of stretches of a signal, each times a window. */
const stft: Rule = (n) => {
  const x = n.in(0);
  const step = n.whole(1)[0]!;
  const window = n.has(2) ? n.in(2) : undefined;
  const length = n.has(3) ? n.whole(3)[0]! : window!.type.shape[0]!;
  const samples = x.type.shape[1]!;
  const frames = Math.floor((samples - length) / step) + 1;
  const places = n.constant({
    dtype: 'int64',
    shape: [frames, length],
    data: Array.from({ length: frames * length }, (_, i) => Math.floor(i / length) * step + (i % length)),
  });
  const { re, im, shape } = partsOf(x.text, x.type.shape);
  const framed = (text: string) => `gather(${text}, ${places}, axis: 1)${window ? ` * ${window.text}` : ''}`;
  const parts: Complex = { re: `(${framed(re)})`, im: im && `(${framed(im)})`, shape: [shape[0]!, frames, length] };
  const to = n.int('onesided', 1) === 1 ? Math.floor(length / 2) + 1 : length;
  return transform(n, parts, 2, length, to, false);
};

export const SIGNALS: Rules = { DFT: dft, STFT: stft };
