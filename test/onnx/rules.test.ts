/** What rules of ONNX operators write: attributes and shapes worked out, the batch as `b`, and what they refuse. That it computes the right thing, conformance/ shows. */
import { describe, expect, test } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { RULES } from '../../src/onnx/import/operators/index.js';
import { dtypeOf } from '../../src/onnx/import/operators/text.js';
import type { OnnxType, Operand } from '../../src/onnx/import/rule.js';
import { type Attributes, nodeOf } from './node.js';

const x = (shape: readonly number[], onnx: OnnxType = 'float', text = 'x'): Operand => ({
  text,
  onnx,
  type: { dtype: dtypeOf(onnx), shape },
});
const list = (data: readonly number[], onnx: OnnxType = 'int64'): Operand => ({
  ...x([data.length], onnx, 'known'),
  known: { dtype: onnx, shape: [data.length], data },
});
const scalar = (value: number, onnx: OnnxType = 'int64'): Operand => ({
  ...x([], onnx, String(value)),
  known: { dtype: onnx, shape: [], data: [value] },
});

type Row = readonly [
  op: string,
  inputs: readonly (Operand | undefined)[],
  attributes: Attributes,
  wanted: string | readonly string[],
  opset?: number,
];
const image = x([BATCH, 3, 8, 8]);
const window = { kernel_shape: [3, 3] };

const ROWS: readonly Row[] = [
  ['Add', [x([2]), x([2], 'float', 'y')], {}, 'x + y'],
  ['Add', [x([2], 'uint8'), x([2], 'uint8', 'y')], {}, 'onnx_wrap(x + y, 0, 255)'],
  ['Clip', [x([2])], { min: 0, max: 6 }, 'minimum(maximum(x, 0), 6)', 10],
  ['Clip', [x([2]), undefined, scalar(6)], {}, 'minimum(x, 6)'],
  ['LeakyRelu', [x([2])], { alpha: Math.fround(0.01) }, 'onnx_leaky_relu(x, alpha: 0.01)'],
  ['Cast', [x([2])], { to: 2 }, 'minimum(maximum(cast(x, i32), 0), 255)'],
  ['Cast', [x([2], 'int64')], { to: 9 }, 'cast(x, bool)'],
  ['Where', [x([2], 'bool', 'c'), scalar(1), scalar(0)], {}, 'cast(where(c, 1, 0), i32)'],
  ['Reshape', [x([BATCH, 197, 768]), list([0, 0, 12, -1])], {}, 'reshape(x, [b, 197, 12, 64])'],
  ['Reshape', [x([BATCH, 197, 64]), list([-1, 64])], {}, 'reshape(x, [197 * b, 64])'],
  ['Flatten', [image], {}, 'reshape(x, [b, 192])'],
  ['Transpose', [x([BATCH, 4, 5])], { perm: [0, 1, 2] }, 'x'],
  ['Squeeze', [x([BATCH, 1, 5]), list([1])], {}, 'reshape(x, [b, 5])'],
  ['Slice', [x([BATCH, 9, 5]), list([1]), list([2 ** 63]), list([1])], {}, 'x[:, 1..]'],
  [
    'Slice',
    [x([4, 9]), list([-1]), list([-(2 ** 63)]), list([1]), list([-2])],
    {},
    'reverse(reshape(onnx_every(reshape(x, [4, 9, 1]), 2), [4, 5]), [1])',
  ],
  ['Split', [x([BATCH, 6])], { axis: 1 }, ['x']],
  ['Gather', [x([BATCH, 9, 5]), scalar(-1)], { axis: 1 }, 'x[:, 8]'],
  ['Gather', [x([9, 5]), list([2, 0])], {}, 'gather(x, table2, axis: 0)'],
  ['Gather', [x([9, 5]), x([BATCH, 3], 'int64', 'ids')], {}, 'gather(x, onnx_places(ids, 9), axis: 0)'],
  ['Expand', [x([1, 5]), list([BATCH, 1])], {}, 'broadcast(x, [b, 5])'],
  ['Pad', [image, list([0, 0, 1, 1, 0, 0, 1, 1])], {}, 'pad(x, [0, 0, 1, 1], [0, 0, 1, 1])'],
  ['Gemm', [x([BATCH, 4]), x([3, 4], 'float', 'w'), x([3], 'float', 'c')], { transB: 1 }, 'linear(x, w, c)'],
  ['Gemm', [x([BATCH, 4]), x([4, 3], 'float', 'w')], { alpha: 0.5 }, '0.5 * (x @ w)'],
  ['MatMul', [x([4]), x([4, 3], 'float', 'w')], {}, 'reshape(reshape(x, [1, 4]) @ w, [3])'],
  [
    'Einsum',
    [x([BATCH, 8, 4]), x([BATCH, 9, 4], 'float', 'y')],
    { equation: 'bid,bjd->bij' },
    '(x @ transpose(y, [0, 2, 1]))',
  ],
  [
    'Conv',
    [image, x([6, 3, 3, 3], 'float', 'w')],
    { pads: [1, 1, 1, 1], strides: [2, 2] },
    'conv2d(x, w, stride: 2, padding: 1)',
  ],
  [
    'Conv',
    [image, x([6, 3, 3, 3], 'float', 'w')],
    { auto_pad: 'SAME_UPPER', strides: [2, 2] },
    'conv2d(x, w, stride: 2, padding: [0, 0, 1, 1])',
  ],
  [
    'ConvTranspose',
    [image, x([3, 6, 2, 2], 'float', 'w')],
    { strides: [2, 2] },
    'conv2d_transpose(x, w, stride: [2, 2])',
  ],
  [
    'MaxPool',
    [image],
    { ...window, strides: [2, 2], ceil_mode: 1 },
    'onnx_max_pool(x, out: [4, 4], kernel: [3, 3], stride: [2, 2], dilation: [1, 1], low: [0, 0], high: [1, 1], least: -3.4028234663852886e38)',
  ],
  [
    'AveragePool',
    [image],
    window,
    'onnx_sum_pool(x, out: [6, 6], kernel: [3, 3], stride: [1, 1], dilation: [1, 1], low: [0, 0], high: [0, 0]) / 9',
  ],
  ['GlobalAveragePool', [image], {}, 'mean(x, axis: [2, 3], keep: true)'],
  ['ReduceMean', [image], { axes: [-1], keepdims: 0 }, 'mean(x, axis: [3])', 17],
  ['ReduceMean', [image, list([-1])], {}, 'mean(x, axis: [3], keep: true)', 18],
  ['ReduceSum', [image], { noop_with_empty_axes: 1 }, 'x'],
  ['Softmax', [image], {}, 'softmax(x, axis: 3)'],
  ['Softmax', [image], {}, 'reshape(softmax(reshape(x, [b, 192]), axis: 1), [b, 3, 8, 8])', 11],
  [
    'LayerNormalization',
    [x([BATCH, 4]), x([4], 'float', 'g'), x([4], 'float', 's')],
    {},
    'layer_norm(x, g, s, eps: 0.00001)',
  ],
  ['Resize', [image, undefined, list([1, 1, 2, 2], 'float')], { mode: 'linear' }, 'resize(x, [16, 16])'],
  [
    'Resize',
    [image, undefined, undefined, list([1, 3, 16, 4])],
    { mode: 'cubic' },
    'resize(x, [16, 4], mode: bicubic)',
  ],
  [
    'Resize',
    [image, undefined, list([1, 1, 2, 2], 'float')],
    { nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' },
    'resize(x, [16, 16], mode: nearest)',
  ],
  ['QuantizeLinear', [x([2]), scalar(0.5, 'float'), scalar(0, 'int8')], {}, 'onnx_quantize(x, 0.5, 0, -128, 127)'],
];

const WRITTEN = ROWS.map(
  ([op, inputs, attributes, wanted, opset = 17]) => [op, inputs, attributes, wanted, opset] as const,
);

test.each(WRITTEN)('%s %#', (op, inputs, attributes, wanted, opset) => {
  expect(RULES[op]!(nodeOf(op, inputs, attributes, { opset }))).toEqual(wanted);
});

describe('what is refused says why', () => {
  test.each<readonly [string, readonly (Operand | undefined)[], Attributes, RegExp]>([
    ['Reshape', [x([2, 3]), list([4, -1])], {}, /makes \[4, -1\] of \[2, 3\], which does not divide/],
    ['Transpose', [x([2, 3])], { perm: [0, 2] }, /names axis 2 of 2/],
    ['Squeeze', [x([BATCH, 3]), list([0])], {}, /takes away axis 0, which is b long/],
    ['Slice', [x([4]), list([4]), list([9])], {}, /takes nothing of axis 0/],
    ['Gather', [x([4]), scalar(4)], {}, /reads place 4 of an axis of 4/],
    ['Concat', [x([2]), x([2])], { axis: 1 }, /names axis 1 of 1/],
    ['Einsum', [x([2, 3]), x([4, 2])], { equation: 'ij,jk->ik' }, /takes axes of 3 and of 4 for one/],
    ['Conv', [image, x([6, 3, 3, 3])], { kernel_shape: [5, 5] }, /says that its kernel is \[5, 5\]/],
    ['MaxPool', [image], { kernel_shape: [9, 9] }, /has a window of 9 on an axis of 8/],
    ['Resize', [image, undefined, list([2, 1, 1, 1], 'float')], {}, /resizes the batch/],
    [
      'Resize',
      [image, undefined, list([1, 1, 2, 2], 'float')],
      { coordinate_transformation_mode: 'other' },
      /coordinates of `other`/,
    ],
    ['Cast', [x([2])], { to: 8 }, /gives elements of type 8/],
    ['Pad', [image, list([0, 0, 0, 0])], {}, /gives 4 paddings for 4 axes/],
    ['GridSample', [image, x([BATCH, 2, 2, 2])], { padding_mode: 'wrap' }, /pads by `wrap`/],
    ['RoiAlign', [image, x([2, 4]), x([2], 'int64')], { mode: 'sum' }, /by `sum`/],
    ['RoiAlign', [image, x([2, 4]), x([2], 'int64')], {}, /as many samples as each region is large/],
    ['NonZero', [x([2])], {}, /not known before it runs/],
    ['Mod', [x([2]), x([2])], {}, /takes floats, and `fmod` is not 1/],
    ['LpNormalization', [x([2])], { p: 3 }, /norms by a power of 3/],
    ['DepthToSpace', [image], { blocksize: 2, mode: 'ABC' }, /orders channels by `ABC`/],
  ])('%s %#', (op, inputs, attributes, message) => {
    expect(() => RULES[op]!(nodeOf(op, inputs, attributes))).toThrow(message);
  });
});
