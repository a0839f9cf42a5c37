/** The transposes of conv2d: what its operands get of its result, as operators of their own. */
import type { TensorType, Value } from '../types.js';
import { type AttrsOfEach, pair, WINDOW } from './attrs.js';
import { decomposeConv2dTranspose } from './decompose/conv-transpose.js';
import { type OpDef, type Traits, traffic } from './define.js';
import * as derive from './derivatives/contract.js';
import { refuse } from './errors.js';
import { conv2dTransposeReference, conv2dWeightReference } from './reference/conv-transpose.js';
import { floats, needKnown, needRank, needVector, showShape, sizeOf } from './shapes.js';

const ATTRS = {
  conv2d_transpose: { ...WINDOW, output_padding: pair },
  conv2d_weight: { ...WINDOW, kernel: pair },
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

const needWhole = (least: number, what: string, ...numbers: readonly number[]): void => {
  if (numbers.some((n) => !Number.isInteger(n) || n < least)) refuse(`${what} ${showShape(numbers)}`);
};

const EACH = {
  pointwise: false,
  known: null,
  moves: null,
  linear: 'each',
  channels: null,
  holds: null,
  erased: false,
} satisfies Traits;

export const conv2d_transpose = {
  family: 'contraction',
  doc: 'The transpose of conv2d in x: each element is multiplied with the kernel [in, out/groups, kh, kw], set down `stride` apart and added; `padding` [top, left, bottom, right] is cut off and `output_padding` put on at the bottom and the right.',
  operands: [{ name: 'x' }, { name: 'weight' }, { name: 'bias', kind: 'optional' }],
  attrs: ATTRS.conv2d_transpose,
  traits: { ...EACH, channels: 'second' },
  mixes: () => null,
  type: (inputs, attrs) => {
    const dtype = floats(inputs);
    const x = needRank(inputs, 0, 4, 'x');
    const w = needRank(inputs, 1, 4, 'the weight');
    for (const axis of [2, 3]) needKnown(axis, x);
    needWhole(1, 'stride', ...attrs.stride);
    needWhole(1, 'dilation', ...attrs.dilation);
    needWhole(1, 'groups', attrs.groups);
    needWhole(0, 'padding', ...attrs.padding);
    needWhole(0, 'output padding', ...attrs.output_padding);
    if (attrs.output_padding.some((n, i) => n >= attrs.stride[i]!)) {
      refuse(`an output padding ${showShape(attrs.output_padding)} is not below the stride ${showShape(attrs.stride)}`);
    }
    if (x[1] !== w[0])
      refuse(`x ${showShape(x)} has ${x[1]} channels and the weight ${showShape(w)} takes ${w[0]}`, 0, 1);
    if (w[0]! % attrs.groups !== 0) refuse(`${attrs.groups} groups do not divide ${w[0]} input channels`, 1);
    const outs = w[1]! * attrs.groups;
    needVector(inputs, 2, outs, 'bias');
    const [h, width] = [0, 1].map((i) => {
      const cut = attrs.padding[i]! + attrs.padding[i + 2]!;
      return (
        (x[2 + i]! - 1) * attrs.stride[i]! + attrs.dilation[i]! * (w[2 + i]! - 1) + 1 - cut + attrs.output_padding[i]!
      );
    }) as [number, number];
    if (h < 1 || width < 1) {
      const whole = [h + attrs.padding[0] + attrs.padding[2], width + attrs.padding[1] + attrs.padding[3]];
      refuse(`padding ${showShape(attrs.padding)} leaves nothing of ${whole.join('x')}`, 0, 1);
    }
    return { dtype, shape: [x[0]!, outs, h, width] };
  },
  reference: conv2dTransposeReference,
  cost: (inputs, _attrs, result) => ({
    flops:
      2 * sizeOf(inputs[0]!.shape) * sizeOf(inputs[1]!.shape.slice(1)) + (inputs.length > 2 ? sizeOf(result.shape) : 0),
    bytes: traffic(inputs, result),
  }),
  decompose: decomposeConv2dTranspose,
  derivative: derive.conv2d_transpose,
  inSpecs: {
    defaults: { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1, output_padding: [0, 0] },
  },
} satisfies OpDef<'conv2d_transpose'>;

const rowOf = (inputs: readonly Value[]): { x: readonly number[]; dy: readonly number[] } => ({
  x: needRank(inputs, 0, 4, 'x'),
  dy: needRank(inputs, 1, 4, 'dy'),
});

export const conv2d_weight = {
  family: 'contraction',
  doc: 'The transpose of conv2d in its weight: [out, in/groups, kh, kw], the sum over samples and places of dy [b, out, …] times what stands under the kernel’s place in x [b, in, …].',
  operands: [{ name: 'x' }, { name: 'dy' }],
  attrs: ATTRS.conv2d_weight,
  traits: EACH,
  mixes: () => null,
  type: (inputs, attrs): TensorType => {
    const dtype = floats(inputs);
    const { x, dy } = rowOf(inputs);
    for (const axis of [2, 3]) {
      needKnown(axis, x);
      needKnown(axis, dy, 1);
    }
    needWhole(1, 'stride', ...attrs.stride);
    needWhole(1, 'dilation', ...attrs.dilation);
    needWhole(1, 'groups', attrs.groups);
    needWhole(0, 'padding', ...attrs.padding);
    needWhole(1, 'kernel', ...attrs.kernel);
    if (x[0] !== dy[0]) refuse(`x ${showShape(x)} and dy ${showShape(dy)} are not of the same samples`, 0, 1);
    for (const [shape, i] of [
      [x, 0],
      [dy, 1],
    ] as const) {
      if (shape[1]! % attrs.groups !== 0)
        refuse(`${attrs.groups} groups do not divide the ${shape[1]} channels of ${showShape(shape)}`, i);
    }
    const wanted = [0, 1].map((i) => {
      const room =
        x[2 + i]! + attrs.padding[i]! + attrs.padding[i + 2]! - attrs.dilation[i]! * (attrs.kernel[i]! - 1) - 1;
      return Math.floor(room / attrs.stride[i]!) + 1;
    });
    if (wanted[0] !== dy[2] || wanted[1] !== dy[3]) {
      refuse(
        `a ${attrs.kernel.join('x')} kernel makes ${wanted.join('x')} of ${showShape(x)}, and dy is ${showShape(dy)}`,
        0,
        1,
      );
    }
    return { dtype, shape: [dy[1]!, x[1]! / attrs.groups, ...attrs.kernel] };
  },
  reference: conv2dWeightReference,
  cost: (inputs, _attrs, result) => ({
    flops: 2 * sizeOf(inputs[1]!.shape) * sizeOf(result.shape.slice(1)),
    bytes: traffic(inputs, result),
  }),
  decompose: null,
  derivative: derive.conv2d_weight,
} satisfies OpDef<'conv2d_weight'>;
