/**
 * Resizing as two banded matrices, one an axis: the weights that PIL (antialiased) and PyTorch's interpolate
 * (align_corners = false) use, with half-pixel centres.
 */
import { toFloat64 } from '../../run/tensor.js';
import type { OpAttrs, Value } from '../../types.js';
import type { Builder } from '../builder.js';
import type { Decomposition, Reference } from '../define.js';
import { gemmTransposed } from './gemm.js';

type ResizeMode = OpAttrs['resize']['mode'];

const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));

/** Keys' cubic convolution. PIL and antialiased PyTorch use a = -0.5, plain PyTorch a = -0.75. */
const cubic = (x: number, a: number): number => {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
};

/** One output element's taps: `weights[i]` belongs to input element `first + i`. Weights sum to 1. */
export interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/**
 * The taps of every output element of one axis.
 * Antialiased: the filter is stretched by the scale when shrinking, cut off at the borders and normalised (PIL's
 * precompute_coeffs). Otherwise: two or four taps with clamped positions. Nearest: floor(i · in/out), as PyTorch's `nearest`.
 */
export function resampleTaps(input: number, output: number, mode: ResizeMode, antialias: boolean): Taps[] {
  const scale = input / output;
  const taps: Taps[] = [];
  for (let i = 0; i < output; i++) {
    if (mode === 'nearest') {
      taps.push({ first: Math.min(Math.floor(i * scale), input - 1), weights: [1] });
      continue;
    }
    const centre = (i + 0.5) * scale;
    if (antialias) {
      const stretch = Math.max(scale, 1);
      const support = (mode === 'bilinear' ? 1 : 2) * stretch;
      const first = Math.max(0, Math.trunc(centre - support + 0.5));
      const end = Math.min(input, Math.trunc(centre + support + 0.5));
      const weights: number[] = [];
      for (let j = first; j < end; j++) {
        const x = (j - centre + 0.5) / stretch;
        weights.push(mode === 'bilinear' ? triangle(x) : cubic(x, -0.5));
      }
      const total = weights.reduce((a, w) => a + w, 0);
      taps.push({ first, weights: weights.map((w) => w / total) });
      continue;
    }
    // Positions outside are clamped: their weight goes to the border element. Linear clamps the centre itself, which is the same.
    const at = centre - 0.5;
    const low = Math.floor(at) - (mode === 'bilinear' ? 0 : 1);
    const count = mode === 'bilinear' ? 2 : 4;
    const dense = new Map<number, number>();
    for (let j = low; j < low + count; j++) {
      const w = mode === 'bilinear' ? triangle(at - j) : cubic(at - j, -0.75);
      const clamped = Math.min(input - 1, Math.max(0, j));
      dense.set(clamped, (dense.get(clamped) ?? 0) + w);
    }
    const first = Math.min(...dense.keys());
    const last = Math.max(...dense.keys());
    taps.push({ first, weights: Array.from({ length: last - first + 1 }, (_, j) => dense.get(first + j) ?? 0) });
  }
  return taps;
}

/** The taps as a dense [output, input] matrix, row-major. */
export function resampleMatrix(input: number, output: number, mode: ResizeMode, antialias: boolean): Float64Array {
  const matrix = new Float64Array(output * input);
  resampleTaps(input, output, mode, antialias).forEach((tap, i) => {
    matrix.set(tap.weights, i * input + tap.first);
  });
  return matrix;
}

export const resizeReference: Reference<'resize'> = ([x], { size, mode, antialias }, type) => {
  const [batch, channels, h, w] = x!.type.shape as [number, number, number, number];
  const [oh, ow] = size;
  const planes = batch * channels;
  const rows = resampleTaps(h, oh, mode, antialias);
  const across = new Float64Array(planes * h * ow);
  gemmTransposed(planes * h, ow, w, toFloat64(x!), 0, resampleMatrix(w, ow, mode, antialias), 0, across, 0);
  const out = new Float64Array(planes * oh * ow);
  for (let z = 0; z < planes; z++) {
    for (let y = 0; y < oh; y++) {
      const to = (z * oh + y) * ow;
      const { first, weights } = rows[y]!;
      for (let t = 0; t < weights.length; t++) {
        const scale = weights[t]!;
        const from = (z * h + first + t) * ow;
        for (let i = 0; i < ow; i++) out[to + i]! += scale * across[from + i]!;
      }
    }
  }
  return { type, data: out };
};

/** The [output, input] weights of one axis, computed from coordinates so that they need no table. */
function weightsAsValues(b: Builder, input: number, output: number, mode: ResizeMode, antialias: boolean): Value {
  const scale = input / output;
  const shape = [output, input];
  const i = b.iota(shape, 0, 'f32');
  const j = b.iota(shape, 1, 'f32');
  const kernel = (x: Value): Value => {
    const t = b.abs(x);
    if (mode === 'bilinear') return b.relu(b.sub(1, t));
    const a = antialias ? -0.5 : -0.75;
    const near = b.add(b.mul(b.mul(b.sub(b.mul(t, a + 2), a + 3), t), t), 1);
    const far = b.sub(b.mul(b.add(b.mul(b.sub(b.mul(t, a), 5 * a), t), 8 * a), t), 4 * a);
    return b.select(b.lt(t, 1), near, b.select(b.lt(t, 2), far, b.constant(0, 'f32')));
  };
  if (mode === 'nearest') {
    const source = b.minimum(b.floor(b.mul(i, scale)), input - 1);
    return b.cast(b.eq(source, j), 'f32');
  }
  const centre = b.mul(b.add(i, 0.5), scale);
  if (antialias) {
    const stretch = Math.max(scale, 1);
    const weights = kernel(b.mul(b.sub(b.add(j, 0.5), centre), 1 / stretch));
    return b.div(weights, b.sum(weights, [1], true));
  }
  // A border column also collects the taps that fall outside on its side: at most two columns beyond.
  const at = b.sub(centre, 0.5);
  let weights = kernel(b.sub(at, j));
  const zero = b.constant(0, 'f32');
  for (const beyond of mode === 'bilinear' ? [1] : [1, 2]) {
    const before = kernel(b.add(at, beyond));
    const after = kernel(b.sub(at, input - 1 + beyond));
    weights = b.add(weights, b.select(b.eq(j, 0), before, zero));
    weights = b.add(weights, b.select(b.eq(j, input - 1), after, zero));
  }
  return weights;
}

/** Two matrix products with the weights of each axis. */
export const decomposeResize: Decomposition<'resize'> = (b, [x], { size, mode, antialias }) => {
  const [, , h, w] = x!.type.shape as [number, number, number, number];
  const cast = (v: Value): Value => b.cast(v, x!.type.dtype);
  const rows = cast(weightsAsValues(b, h, size[0], mode, antialias));
  const cols = cast(weightsAsValues(b, w, size[1], mode, antialias));
  return b.matmul(rows, b.matmul(x!, b.transpose(cols)));
};
