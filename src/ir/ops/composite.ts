/** Composite operators: kept whole because kernels and rewrites know them; each means its decomposition. */
import { isBatch } from '../batch.js';
import type { TensorType, Value } from '../types.js';
import { type AttrsOfEach, axis, flag, number, pair, word } from './attrs.js';
import type { Builder } from './builder.js';
import { attentionScores, logSumExp } from './decompose/attention.js';
import type { OpDef } from './define.js';
import { axesWhere, costEach, lastAxis, traffic } from './define.js';
import * as derive from './derivatives/composite.js';
import { along } from './derivatives/rule.js';
import { refuse } from './errors.js';
import {
  attentionLse,
  attentionReference,
  normReference,
  rowStatistics,
  softmaxLse,
  softmaxReference,
  solveReference,
} from './reference/composite.js';
import { decomposeResize, resizeReference } from './reference/resample.js';
import {
  floats,
  needAxis,
  needKnown,
  needRank,
  needVector,
  sameShape,
  showShape,
  sizeOf,
  tryBroadcast,
} from './shapes.js';

const ATTRS = {
  softmax: { axis },
  layer_norm: { eps: number },
  batch_norm: { eps: number },
  group_norm: { groups: number, eps: number },
  attention: { scale: number },
  resize: { size: pair, mode: word('nearest', 'bilinear', 'bicubic'), antialias: flag },
  solve: {},
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

/** The type without an axis. */
const without = ({ dtype, shape }: TensorType, axis: number): TensorType => ({
  dtype,
  shape: shape.filter((_, i) => i !== axis),
});

export const softmax = {
  family: 'composite',
  doc: 'e^x divided by its sum along `axis`.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.softmax,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: ({ attrs }) => [attrs.axis],
  type: (inputs, { axis }) => {
    floats(inputs);
    needAxis(axis, inputs[0]!.type.shape);
    return inputs[0]!.type;
  },
  reference: softmaxReference,
  aux: {
    lse: {
      doc: 'log Σ e^x along `axis`, which goes away.',
      type: (inputs, { axis }) => without(inputs[0]!.type, axis),
      reference: softmaxLse,
      decompose: (b, [x], { axis }) => logSumExp(b, x!, axis),
    },
  },
  cost: costEach(4),
  decompose: (b, [x], { axis }) => {
    const e = b.exp(b.sub(x!, b.max(x!, [axis], true)));
    return b.div(e, b.sum(e, [axis], true));
  },
  elementwise: (b, v) => b.exp(b.sub(v.inputs[0]!, along(b, b.aux(v, 'lse'), v.attrs.axis))),
  derivative: derive.softmax,
  inSpecs: { defaults: { axis: -1 } },
} satisfies OpDef<'softmax'>;

/** x minus its mean along the axis. */
const centred = (b: Builder, x: Value, axis: number): Value => b.sub(x, b.mean(x, [axis], true));

/** 1/√(variance + eps) along the axis, which stays as 1. */
function reciprocalDeviation(b: Builder, x: Value, axis: number, eps: number): Value {
  const c = centred(b, x, axis);
  return b.rsqrt(b.add(b.mean(b.mul(c, c), [axis], true), eps));
}

const normalised = (b: Builder, x: Value, axis: number, eps: number): Value =>
  b.mul(centred(b, x, axis), reciprocalDeviation(b, x, axis, eps));

const affine = (b: Builder, x: Value, gain: Value | undefined, shift: Value | undefined): Value => {
  const scaled = gain ? b.mul(x, gain) : x;
  return shift ? b.add(scaled, shift) : scaled;
};

const needEps = (eps: number): void => {
  if (!(eps >= 0)) refuse(`eps ${eps} is negative`);
};

export const layer_norm = {
  family: 'composite',
  doc: 'x minus its mean, over √(variance + eps), along the last axis; times gain, plus shift.',
  operands: [{ name: 'x' }, { name: 'gain', kind: 'optional' }, { name: 'shift', kind: 'optional' }],
  attrs: ATTRS.layer_norm,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: 'last', holds: 'norm', erased: false },
  mixes: lastAxis,
  type: (inputs, { eps }) => {
    floats(inputs);
    needEps(eps);
    const d = inputs[0]!.type.shape.at(-1);
    if (d === undefined) refuse('a scalar has no last axis', 0);
    needVector(inputs, 1, d, 'gain');
    needVector(inputs, 2, d, 'shift');
    return inputs[0]!.type;
  },
  reference: ([x, gain, shift], { eps }, type) => {
    const d = type.shape.at(-1)!;
    return normReference(x!, d, eps, type, (i) => i % d, gain, shift);
  },
  aux: {
    mean: {
      doc: 'The mean of each row.',
      type: ([x]) => without(x!.type, x!.type.shape.length - 1),
      reference: ([x], _attrs, type) => ({ type, data: rowStatistics(x!, x!.type.shape.at(-1)!, 0).mean }),
      decompose: (b, [x]) => b.mean(x!, [x!.type.shape.length - 1]),
    },
    rstd: {
      doc: '1/√(variance + eps) of each row.',
      type: ([x]) => without(x!.type, x!.type.shape.length - 1),
      reference: ([x], { eps }, type) => ({ type, data: rowStatistics(x!, x!.type.shape.at(-1)!, eps).rstd }),
      decompose: (b, [x], { eps }) => {
        const axis = x!.type.shape.length - 1;
        return b.reshape(reciprocalDeviation(b, x!, axis, eps), without(x!.type, axis).shape);
      },
    },
  },
  cost: costEach(7),
  decompose: (b, [x, gain, shift], { eps }) => affine(b, normalised(b, x!, x!.type.shape.length - 1, eps), gain, shift),
  elementwise: (b, v) => {
    const [x, gain, shift] = v.inputs as readonly [Value, Value?, Value?];
    const column = (name: string): Value => along(b, b.aux(v, name), x.type.shape.length - 1);
    return affine(b, b.mul(b.sub(x, column('mean')), column('rstd')), gain, shift);
  },
  derivative: derive.layer_norm,
} satisfies OpDef<'layer_norm'>;

/** A vector over channels, shaped to broadcast against [b, c, ...]. */
const overChannels = (b: Builder, v: Value | undefined, rank: number): Value | undefined =>
  v && b.reshape(v, [v.type.shape[0]!, ...new Array<number>(rank - 2).fill(1)]);

function needChannels(inputs: readonly Value[], names: readonly string[]): number {
  const shape = inputs[0]!.type.shape;
  if (shape.length < 2) refuse(`x ${showShape(shape)} has no channel axis`, 0);
  names.forEach((name, i) => {
    needVector(inputs, i + 1, shape[1]!, name);
  });
  return shape[1]!;
}

export const batch_norm = {
  family: 'composite',
  doc: '(x - mean)/√(variance + eps)·gain + shift for each channel (axis 1), with the given statistics.',
  operands: [{ name: 'x' }, { name: 'gain' }, { name: 'shift' }, { name: 'mean' }, { name: 'variance' }],
  attrs: ATTRS.batch_norm,
  traits: { pointwise: false, known: null, moves: null, linear: [0], channels: 'second', holds: 'norm', erased: false },
  mixes: () => [1],
  type: (inputs, { eps }) => {
    floats(inputs);
    needEps(eps);
    needChannels(inputs, ['gain', 'shift', 'mean', 'variance']);
    return inputs[0]!.type;
  },
  reference: ([x, gain, shift, mean, variance], { eps }, type) => {
    const channels = type.shape[1]!;
    const inner = sizeOf(type.shape.slice(2));
    const out = new Float64Array(x!.data.length);
    for (let i = 0; i < out.length; i++) {
      const c = Math.floor(i / inner) % channels;
      const scale = gain!.data[c]! / Math.sqrt(variance!.data[c]! + eps);
      out[i] = (x!.data[i]! - mean!.data[c]!) * scale + shift!.data[c]!;
    }
    return { type, data: out };
  },
  cost: costEach(4),
  decompose: (b, [x, gain, shift, mean, variance], { eps }) => {
    const rank = x!.type.shape.length;
    const scale = b.mul(gain!, b.rsqrt(b.add(variance!, eps)));
    const offset = b.sub(shift!, b.mul(mean!, scale));
    return affine(b, x!, overChannels(b, scale, rank), overChannels(b, offset, rank));
  },
  derivative: 'decompose',
  inSpecs: { defaults: { eps: 1e-5 } },
} satisfies OpDef<'batch_norm'>;

/** [b, groups, elements of the group]. */
function inGroups(b: Builder, x: Value, groups: number): Value {
  const { shape } = x.type;
  return b.reshape(x, [shape[0]!, groups, sizeOf(shape) / (shape[0]! * groups)]);
}

const overGroups = ({ dtype, shape }: TensorType, groups: number): TensorType => ({
  dtype,
  shape: [shape[0]!, groups],
});

export const group_norm = {
  family: 'composite',
  doc: 'Normalises each of `groups` runs of channels (axis 1) over its channels and all axes after; times gain, plus shift.',
  operands: [{ name: 'x' }, { name: 'gain', kind: 'optional' }, { name: 'shift', kind: 'optional' }],
  attrs: ATTRS.group_norm,
  traits: {
    pointwise: false,
    known: null,
    moves: null,
    linear: null,
    channels: 'second',
    holds: 'norm',
    erased: false,
  },
  mixes: ({ type }) => axesWhere(type, (i) => i > 0),
  type: (inputs, { groups, eps }) => {
    floats(inputs);
    needEps(eps);
    const channels = needChannels(inputs, ['gain', 'shift']);
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
      refuse(`${groups} groups do not divide the ${channels} channels of ${showShape(inputs[0]!.type.shape)}`, 0);
    }
    return inputs[0]!.type;
  },
  reference: ([x, gain, shift], { groups, eps }, type) => {
    const channels = type.shape[1]!;
    const inner = sizeOf(type.shape.slice(2));
    return normReference(
      x!,
      (channels / groups) * inner,
      eps,
      type,
      (i) => Math.floor(i / inner) % channels,
      gain,
      shift,
    );
  },
  aux: {
    mean: {
      doc: 'The mean of each group: [b, groups].',
      type: (inputs, { groups }) => overGroups(inputs[0]!.type, groups),
      reference: ([x], _attrs, type) => ({
        type,
        data: rowStatistics(x!, sizeOf(x!.type.shape) / sizeOf(type.shape), 0).mean,
      }),
      decompose: (b, [x], { groups, eps }) =>
        b.aux(b.layerNorm(inGroups(b, x!, groups), undefined, undefined, eps), 'mean'),
    },
    rstd: {
      doc: '1/√(variance + eps) of each group: [b, groups].',
      type: (inputs, { groups }) => overGroups(inputs[0]!.type, groups),
      reference: ([x], { eps }, type) => ({
        type,
        data: rowStatistics(x!, sizeOf(x!.type.shape) / sizeOf(type.shape), eps).rstd,
      }),
      decompose: (b, [x], { groups, eps }) =>
        b.aux(b.layerNorm(inGroups(b, x!, groups), undefined, undefined, eps), 'rstd'),
    },
  },
  cost: costEach(7),
  // A layer norm of each group's elements, then a gain and a shift for each channel.
  decompose: (b, [x, gain, shift], { groups, eps }) => {
    const { shape } = x!.type;
    const y = b.reshape(b.layerNorm(inGroups(b, x!, groups), undefined, undefined, eps), shape);
    return affine(b, y, overChannels(b, gain, shape.length), overChannels(b, shift, shape.length));
  },
  derivative: 'decompose',
} satisfies OpDef<'group_norm'>;

/** [b, h, n, d] x [b, h, m, d] x [b, h, m, e] checked; gives b, h, n, m, e. */
function attentionSizes(inputs: readonly Value[]): readonly number[] {
  floats(inputs);
  const q = needRank(inputs, 0, 4, 'q');
  const k = needRank(inputs, 1, 4, 'k');
  const v = needRank(inputs, 2, 4, 'v');
  const [batch, heads, n, d] = q as [number, number, number, number];
  const m = k[2]!;
  if (k[0] !== batch || k[1] !== heads || k[3] !== d)
    refuse(`q ${showShape(q)} and k ${showShape(k)} do not fit`, 0, 1);
  if (v[0] !== batch || v[1] !== heads || v[2] !== m)
    refuse(`k ${showShape(k)} and v ${showShape(v)} do not fit`, 1, 2);
  const scores = [batch, heads, n, m];
  for (let i = 3; i < inputs.length; i++) {
    const both = tryBroadcast(inputs[i]!.type.shape, scores);
    if (!both || !sameShape(both, scores)) {
      refuse(`the bias ${showShape(inputs[i]!.type.shape)} does not broadcast to the scores ${showShape(scores)}`, i);
    }
  }
  return [batch, heads, n, m, v[3]!];
}

export const attention = {
  family: 'composite',
  doc: 'softmax(scale·q·kᵀ + the sum of the biases)·v for each batch and head.',
  operands: [{ name: 'q' }, { name: 'k' }, { name: 'v' }, { name: 'bias', kind: 'variadic', least: 0 }],
  attrs: ATTRS.attention,
  traits: { pointwise: false, known: null, moves: null, linear: [2], channels: null, holds: null, erased: false },
  // Queries are alike where no bias tells them apart.
  mixes: ({ inputs }) => (inputs.slice(3).some((x) => (x.type.shape.at(-2) ?? 1) > 1) ? [0, 1, 2, 3] : [0, 1, 3]),
  type: (inputs) => {
    const [b, h, n, , e] = attentionSizes(inputs) as [number, number, number, number, number];
    return { dtype: inputs[0]!.type.dtype, shape: [b, h, n, e] };
  },
  reference: attentionReference,
  aux: {
    lse: {
      doc: 'log of the sum of e^score over the keys: [b, h, n].',
      type: (inputs) => ({ dtype: inputs[0]!.type.dtype, shape: attentionSizes(inputs).slice(0, 3) }),
      reference: attentionLse,
      decompose: (b, inputs, { scale }) => logSumExp(b, attentionScores(b, inputs, scale), 3),
    },
  },
  cost: (inputs, _attrs, result) => {
    const [, , n, d] = inputs[0]!.shape as [number, number, number, number];
    const [batch, heads, m, e] = inputs[2]!.shape as [number, number, number, number];
    const scores = batch * heads * n * m;
    return { flops: scores * (2 * d + 2 * e + 4 + (inputs.length - 3)), bytes: traffic(inputs, result) };
  },
  decompose: (b, inputs, { scale }) => b.matmul(b.softmax(attentionScores(b, inputs, scale), 3), inputs[2]!),
  derivative: derive.attention,
} satisfies OpDef<'attention'>;

export const resize = {
  family: 'composite',
  doc: 'Resampling to `size` with half-pixel centres; antialiased shrinking widens the filter, as PIL does (bicubic a = -0.5, otherwise -0.75).',
  operands: [{ name: 'x' }],
  attrs: ATTRS.resize,
  traits: { pointwise: false, known: null, moves: null, linear: 'jointly', channels: null, holds: null, erased: false },
  mixes: () => [2, 3],
  type: (inputs, { size, mode, antialias }) => {
    const dtype = floats(inputs);
    const x = needRank(inputs, 0, 4, 'x');
    for (const axis of [2, 3]) needKnown(axis, x);
    for (const s of size) if (!Number.isInteger(s) || s < 1 || isBatch(s)) refuse(`size ${showShape(size)}`);
    if (antialias && mode === 'nearest') refuse('nearest takes one pixel and cannot be antialiased');
    return { dtype, shape: [x[0]!, x[1]!, size[0], size[1]] };
  },
  reference: resizeReference,
  cost: (inputs, _attrs, result) => {
    const [b, c, h] = inputs[0]!.shape as [number, number, number, number];
    const [, , , ow] = result.shape as [number, number, number, number];
    return { flops: 8 * (b * c * h * ow + sizeOf(result.shape)), bytes: traffic(inputs, result) };
  },
  decompose: decomposeResize,
  derivative: 'decompose',
} satisfies OpDef<'resize'>;

export const solve = {
  family: 'composite',
  doc: 'The x of a·x = b, by elimination with partial pivoting. A singular a is an error.',
  operands: [{ name: 'a' }, { name: 'b' }],
  attrs: ATTRS.solve,
  traits: { pointwise: false, known: null, moves: null, linear: [1], channels: null, holds: null, erased: false },
  mixes: () => null,
  type: (inputs) => {
    const dtype = floats(inputs);
    const a = needRank(inputs, 0, 2, 'a');
    const b = needRank(inputs, 1, 2, 'b');
    if (a[0] !== a[1]) refuse(`${showShape(a)} is not square`, 0);
    if (a[0] !== b[0]) refuse(`${showShape(a)} and ${showShape(b)} have different numbers of rows`, 0, 1);
    return { dtype, shape: b };
  },
  reference: solveReference,
  cost: (inputs, _attrs, result) => {
    const [n, m] = result.shape as [number, number];
    return { flops: (2 / 3) * n ** 3 + 2 * n * n * m, bytes: traffic(inputs, result) };
  },
  decompose: null,
  derivative: derive.solve,
  inSpecs: {},
} satisfies OpDef<'solve'>;
