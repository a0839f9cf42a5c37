/** Contractions: matrix products, convolution, the Kronecker product. */
import { showSize } from '../batch.js';
import type { TensorType, Value } from '../types.js';
import { type AttrsOfEach, WINDOW } from './attrs.js';
import { decomposeConv2d } from './decompose/conv.js';
import type { OpDef } from './define.js';
import { axesWhere, costEach, lastAxis, traffic } from './define.js';
import * as derive from './derivatives/contract.js';
import { refuse } from './errors.js';
import { conv2dReference, kronReference, linearReference, matmulReference } from './reference/contract.js';
import { floats, needKnown, needRank, needVector, showShape, sizeOf, tryBroadcast } from './shapes.js';

const ATTRS = {
  matmul: {},
  linear: {},
  conv2d: WINDOW,
  kron: {},
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

const last = (t: TensorType): number => t.shape.at(-1) ?? 1;

export const matmul = {
  family: 'contraction',
  doc: 'The matrix product over the last two axes; the axes before them broadcast.',
  operands: [{ name: 'a' }, { name: 'b' }],
  attrs: ATTRS.matmul,
  traits: { pointwise: false, known: null, moves: null, linear: 'each', channels: 'last', holds: null, erased: false },
  mixes: ({ inputs, type }) => {
    const lead = inputs[1]!.type.shape.slice(0, -2);
    const rank = type.shape.length;
    return axesWhere(type, (i) => i === rank - 1 || ((lead.at(i - rank + 2) ?? 1) > 1 && i < rank - 2));
  },
  type: (inputs) => {
    const dtype = floats(inputs);
    const a = inputs[0]!.type.shape;
    const b = inputs[1]!.type.shape;
    if (a.length < 2) refuse(`${showShape(a)} is not a matrix`, 0);
    if (b.length < 2) refuse(`${showShape(b)} is not a matrix`, 1);
    if (a.at(-1) !== b.at(-2)) {
      refuse(`${showShape(a)} has ${a.at(-1)} columns and ${showShape(b)} has ${b.at(-2)} rows`, 0, 1);
    }
    const lead = tryBroadcast(a.slice(0, -2), b.slice(0, -2));
    if (!lead) refuse(`the leading axes of ${showShape(a)} and ${showShape(b)} do not broadcast`, 0, 1);
    return { dtype, shape: [...lead, a.at(-2)!, b.at(-1)!] };
  },
  reference: matmulReference,
  cost: (inputs, _attrs, result) => ({
    flops: 2 * sizeOf(result.shape) * last(inputs[0]!),
    bytes: traffic(inputs, result),
  }),
  decompose: null,
  derivative: derive.matmul,
} satisfies OpDef<'matmul'>;

export const linear = {
  family: 'contraction',
  doc: 'x·Wᵀ + b over the last axis.',
  operands: [{ name: 'x' }, { name: 'weight' }, { name: 'bias', kind: 'optional' }],
  attrs: ATTRS.linear,
  traits: {
    pointwise: false,
    known: null,
    moves: null,
    linear: 'each',
    channels: 'last',
    holds: 'layer',
    erased: false,
  },
  mixes: lastAxis,
  type: (inputs) => {
    const dtype = floats(inputs);
    const x = inputs[0]!.type.shape;
    const [out, width] = needRank(inputs, 1, 2, 'the weight') as [number, number];
    if (x.length < 1) refuse('a scalar has no last axis', 0);
    if (x.at(-1) !== width) {
      refuse(
        `x ${showShape(x)} has ${x.at(-1)} features and the weight ${showShape([out, width])} takes ${width}`,
        0,
        1,
      );
    }
    needVector(inputs, 2, out, 'bias');
    return { dtype, shape: [...x.slice(0, -1), out] };
  },
  reference: linearReference,
  cost: (inputs, _attrs, result) => ({
    flops: sizeOf(result.shape) * (2 * last(inputs[0]!) + (inputs.length > 2 ? 1 : 0)),
    bytes: traffic(inputs, result),
  }),
  decompose: (b, [x, weight, bias]) => {
    const [out, width] = weight!.type.shape as [number, number];
    const rows = sizeOf(x!.type.shape) / width;
    const product = b.matmul(b.reshape(x!, [rows, width]), b.transpose(weight!));
    const y = b.reshape(product, [...x!.type.shape.slice(0, -1), out]);
    return bias ? b.add(y, bias) : y;
  },
  derivative: derive.linear,
  inSpecs: {},
} satisfies OpDef<'linear'>;

/** Height and width of a convolution's result. */
function convSize(
  inputs: readonly Value[],
  attrs: Parameters<NonNullable<OpDef<'conv2d'>['type']>>[1],
): [number, number] {
  const [, , h, w] = inputs[0]!.type.shape as [number, number, number, number];
  const [, , kh, kw] = inputs[1]!.type.shape as [number, number, number, number];
  const [top, left, bottom, right] = attrs.padding;
  const along = (size: number, low: number, high: number, k: number, i: 0 | 1): number =>
    Math.floor((size + low + high - attrs.dilation[i] * (k - 1) - 1) / attrs.stride[i]) + 1;
  return [along(h, top, bottom, kh, 0), along(w, left, right, kw, 1)];
}

export const conv2d = {
  family: 'contraction',
  doc: 'Two-dimensional cross-correlation with zero padding [top, left, bottom, right].',
  operands: [{ name: 'x' }, { name: 'weight' }, { name: 'bias', kind: 'optional' }],
  attrs: ATTRS.conv2d,
  traits: {
    pointwise: false,
    known: null,
    moves: null,
    linear: 'each',
    channels: 'second',
    holds: 'layer',
    erased: false,
  },
  mixes: () => [1, 2, 3],
  type: (inputs, attrs) => {
    const dtype = floats(inputs);
    const x = needRank(inputs, 0, 4, 'x');
    const w = needRank(inputs, 1, 4, 'the weight');
    needKnown(2, x);
    needKnown(3, x);
    const { stride, padding, dilation, groups } = attrs;
    for (const s of [...stride, ...dilation, groups]) {
      if (!Number.isInteger(s) || s < 1)
        refuse(
          `stride ${showShape(stride)}, dilation ${showShape(dilation)}, groups ${groups}: not all positive integers`,
        );
    }
    for (const p of padding) if (!Number.isInteger(p) || p < 0) refuse(`padding ${showShape(padding)}`);
    if (x[1] !== w[1]! * groups) {
      const wanted = groups === 1 ? `${w[1]}` : `${groups} groups of ${w[1]}`;
      refuse(`x ${showShape(x)} has ${showSize(x[1]!)} channels and the weight ${showShape(w)} takes ${wanted}`, 0, 1);
    }
    if (w[0]! % groups !== 0) refuse(`${groups} groups do not divide ${w[0]} output channels`, 1);
    needVector(inputs, 2, w[0]!, 'bias');
    const [oh, ow] = convSize(inputs, attrs);
    if (oh < 1 || ow < 1)
      refuse(`a ${w[2]}x${w[3]} kernel does not fit into ${showShape(x)} padded by ${showShape(padding)}`, 0, 1);
    return { dtype, shape: [x[0]!, w[0]!, oh, ow] };
  },
  reference: conv2dReference,
  cost: (inputs, _attrs, result) => ({
    flops: sizeOf(result.shape) * (2 * sizeOf(inputs[1]!.shape.slice(1)) + (inputs.length > 2 ? 1 : 0)),
    bytes: traffic(inputs, result),
  }),
  decompose: decomposeConv2d,
  derivative: derive.conv2d,
} satisfies OpDef<'conv2d'>;

export const kron = {
  family: 'contraction',
  doc: 'The Kronecker product: row i·p + j, column k·q + l is a[i, k]·b[j, l].',
  operands: [{ name: 'a' }, { name: 'b' }],
  attrs: ATTRS.kron,
  traits: { pointwise: false, known: null, moves: null, linear: 'each', channels: null, holds: null, erased: false },
  mixes: () => null,
  type: (inputs) => {
    const dtype = floats(inputs);
    const a = needRank(inputs, 0, 2, 'a');
    const b = needRank(inputs, 1, 2, 'b');
    return { dtype, shape: [a[0]! * b[0]!, a[1]! * b[1]!] };
  },
  reference: kronReference,
  cost: costEach(1),
  decompose: (b, [x, y]) => {
    const [m, n] = x!.type.shape as [number, number];
    const [p, q] = y!.type.shape as [number, number];
    return b.reshape(b.mul(b.reshape(x!, [m, 1, n, 1]), b.reshape(y!, [p, 1, q])), [m * p, n * q]);
  },
  derivative: derive.kron,
  inSpecs: {},
} satisfies OpDef<'kron'>;
