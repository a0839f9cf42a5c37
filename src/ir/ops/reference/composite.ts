/** Reference semantics of the composites. */

import { allocate, toFloat64 } from '../../run/tensor.js';
import type { Tensor, TensorType } from '../../types.js';
import type { Reference } from '../define.js';
import { DataError } from '../errors.js';
import { sizeOf } from '../shapes.js';
import { broadcastOffsets } from './elementwise.js';
import { gemmTransposed, transposed } from './gemm.js';

export const softmaxReference: Reference<'softmax'> = ([x], { axis }, type) => {
  const d = type.shape[axis]!;
  const inner = sizeOf(type.shape.slice(axis + 1));
  const outer = sizeOf(type.shape.slice(0, axis));
  const from = x!.data;
  const out = new Float64Array(from.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const at = o * d * inner + i;
      let top = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < d; j++) top = Math.max(top, from[at + j * inner]!);
      let sum = 0;
      for (let j = 0; j < d; j++) {
        const e = Math.exp(from[at + j * inner]! - top);
        out[at + j * inner] = e;
        sum += e;
      }
      for (let j = 0; j < d; j++) out[at + j * inner]! /= sum;
    }
  }
  return { type, data: out };
};

/** The log of the sum of e^x along the axis. */
export const softmaxLse: Reference<'softmax'> = ([x], { axis }, type) => {
  const { shape } = x!.type;
  const d = shape[axis]!;
  const inner = sizeOf(shape.slice(axis + 1));
  const out = new Float64Array(x!.data.length / d);
  for (let i = 0; i < out.length; i++) {
    const at = Math.floor(i / inner) * d * inner + (i % inner);
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < d; j++) top = Math.max(top, x!.data[at + j * inner]!);
    let sum = 0;
    for (let j = 0; j < d; j++) sum += Math.exp(x!.data[at + j * inner]! - top);
    out[i] = top + Math.log(sum);
  }
  return { type, data: out };
};

/** Of runs of `width` elements: their means and 1/√(variance + eps). */
export function rowStatistics(x: Tensor, width: number, eps: number): { mean: Float64Array; rstd: Float64Array } {
  const from = x.data;
  const rows = from.length / width;
  const found = { mean: new Float64Array(rows), rstd: new Float64Array(rows) };
  for (let row = 0; row < rows; row++) {
    const at = row * width;
    let mean = 0;
    for (let i = 0; i < width; i++) mean += from[at + i]!;
    mean /= width;
    let variance = 0;
    for (let i = 0; i < width; i++) variance += (from[at + i]! - mean) ** 2;
    found.mean[row] = mean;
    found.rstd[row] = 1 / Math.sqrt(variance / width + eps);
  }
  return found;
}

/** Normalises runs of `width` elements; `channel` gives the place of gain and shift for an element. */
export function normReference(
  x: Tensor,
  width: number,
  eps: number,
  type: TensorType,
  channel: (index: number) => number,
  gain: Tensor | undefined,
  shift: Tensor | undefined,
): Tensor {
  const from = x.data;
  const out = new Float64Array(from.length);
  const { mean, rstd } = rowStatistics(x, width, eps);
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / width);
    const c = channel(i);
    out[i] = (from[i]! - mean[row]!) * rstd[row]! * (gain ? gain.data[c]! : 1) + (shift ? shift.data[c]! : 0);
  }
  return { type, data: out };
}

/** Scores with biases of one batch and head at a time: visit(z, scores [n, m], largest of each row). */
function eachHead(
  inputs: readonly Tensor[],
  scale: number,
  visit: (z: number, scores: Float64Array, n: number, m: number) => void,
): void {
  const [q, k, , ...bias] = inputs as [Tensor, Tensor, Tensor, ...Tensor[]];
  const [batch, heads, n, d] = q.type.shape as [number, number, number, number];
  const m = k.type.shape[2]!;
  const a = toFloat64(q);
  const b = toFloat64(k);
  const maps = bias.map((t) => broadcastOffsets(t.type.shape, [batch, heads, n, m]));
  const scores = new Float64Array(n * m);
  for (let z = 0; z < batch * heads; z++) {
    scores.fill(0);
    gemmTransposed(n, m, d, a, z * n * d, b, z * m * d, scores, 0);
    for (let i = 0; i < scores.length; i++) {
      let s = scores[i]! * scale;
      const at = z * n * m + i;
      for (let t = 0; t < bias.length; t++) {
        const offsets = maps[t];
        s += bias[t]!.data[offsets ? offsets[at]! : at]!;
      }
      scores[i] = s;
    }
    visit(z, scores, n, m);
  }
}

/** Replaces each row by its softmax; gives log sum exp of each. */
function softmaxRows(scores: Float64Array, n: number, m: number): Float64Array {
  const lse = new Float64Array(n);
  for (let r = 0; r < n; r++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < m; j++) top = Math.max(top, scores[r * m + j]!);
    let sum = 0;
    for (let j = 0; j < m; j++) {
      const e = Math.exp(scores[r * m + j]! - top);
      scores[r * m + j] = e;
      sum += e;
    }
    for (let j = 0; j < m; j++) scores[r * m + j]! /= sum;
    lse[r] = top + Math.log(sum);
  }
  return lse;
}

export const attentionReference: Reference<'attention'> = (inputs, { scale }, type) => {
  const v = toFloat64(inputs[2]!);
  const e = type.shape[3]!;
  const out = new Float64Array(sizeOf(type.shape));
  eachHead(inputs, scale, (z, scores, n, m) => {
    softmaxRows(scores, n, m);
    gemmTransposed(n, e, m, scores, 0, transposed(v, z * m * e, m, e), 0, out, z * n * e);
  });
  return { type, data: out };
};

export const attentionLse: Reference<'attention'> = (inputs, { scale }, type) => {
  const out = new Float64Array(sizeOf(type.shape));
  eachHead(inputs, scale, (z, scores, n, m) => {
    out.set(softmaxRows(scores, n, m), z * n);
  });
  return { type, data: out };
};

export const solveReference: Reference<'solve'> = ([a, b], _attrs, type) => {
  const [n, m] = type.shape as [number, number];
  const lhs = new Float64Array(a!.data);
  const x = allocate('f32', n * m);
  x.set(b!.data);
  const swap = (data: { [i: number]: number }, width: number, p: number, q: number): void => {
    for (let j = 0; j < width; j++) {
      const t = data[p * width + j]!;
      data[p * width + j] = data[q * width + j]!;
      data[q * width + j] = t;
    }
  };
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(lhs[r * n + c]!) > Math.abs(lhs[pivot * n + c]!)) pivot = r;
    const top = lhs[pivot * n + c]!;
    if (top === 0) throw new DataError('solve', 'the matrix is singular');
    if (pivot !== c) {
      swap(lhs, n, pivot, c);
      swap(x, m, pivot, c);
    }
    for (let r = c + 1; r < n; r++) {
      const factor = lhs[r * n + c]! / top;
      if (factor === 0) continue;
      for (let j = c; j < n; j++) lhs[r * n + j]! -= factor * lhs[c * n + j]!;
      for (let j = 0; j < m; j++) x[r * m + j]! -= factor * x[c * m + j]!;
    }
  }
  for (let r = n - 1; r >= 0; r--) {
    for (let j = 0; j < m; j++) {
      let sum = x[r * m + j]!;
      for (let c = r + 1; c < n; c++) sum -= lhs[r * n + c]! * x[c * m + j]!;
      x[r * m + j] = sum / lhs[r * n + r]!;
    }
  }
  return { type, data: x };
};
