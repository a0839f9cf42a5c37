/** Every operator of the table with operands of several shapes: generated, run, compared with the interpreter. */
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { OpName, Tensor, Value } from '../../src/ir/types.js';
import { drawDropout } from '../../src/passes/dropout.js';
import type { Model } from './harness.js';
import {
  EXTREMES,
  extreme,
  filled,
  halves,
  keys,
  places,
  positive,
  randomKey,
  sorted,
  thousands,
  whole,
  wide,
} from './operands.js';

/** A graph around one operator. Several for one operator cover its attributes and odd sizes. */
export type Case = (m: Model) => Value | readonly Value[];

const unary =
  (op: OpName, data?: (shape: readonly number[]) => Tensor): Case =>
  (m) => [
    m.op(op, [m.input([3, 5], 'f32', data?.([3, 5]))], {} as never),
    m.op(op, [m.input([2, 8], 'f32', data?.([2, 8]))], {} as never),
  ];
const binary =
  (op: OpName, data?: (shape: readonly number[]) => Tensor): Case =>
  (m) => {
    const a = m.input([2, 3, 4], 'f32', data?.([2, 3, 4]));
    const b = m.input([3, 1], 'f32', data?.([3, 1]));
    const c = m.input([4], 'f32', data?.([4]));
    const d = m.input([2, 3, 5], 'f32', data?.([2, 3, 5]));
    return [m.op(op, [a, b], {} as never), m.op(op, [c, a], {} as never), m.op(op, [d, b], {} as never)];
  };
const integers =
  (op: OpName): Case =>
  (m) =>
    m.op(op, [m.input([2, 8], 'i32'), m.input([8], 'i32')], {} as never);
const logic =
  (op: OpName): Case =>
  (m) =>
    m.op(op, [m.input([2, 8], 'bool'), m.input([2, 1], 'bool')], {} as never);

const conv =
  (
    x: readonly number[],
    w: readonly number[],
    stride: [number, number],
    padding: [number, number, number, number],
    dilation: [number, number],
    groups: number,
  ): Case =>
  (m) =>
    m.op('conv2d', [m.input(x), m.param(w), m.param([w[0]!])], { stride, padding, dilation, groups });

type Two = [number, number];

const transposed =
  (
    x: readonly number[],
    w: readonly number[],
    stride: Two,
    padding: [number, number, number, number],
    output_padding: Two,
    dilation: Two,
    groups: number,
  ): Case =>
  (m) => {
    const attrs = { stride, padding, output_padding, dilation, groups };
    return m.op('conv2d_transpose', [m.input(x), m.param(w), m.param([w[1]! * groups])], attrs);
  };

const toWeight =
  (
    x: readonly number[],
    dy: readonly number[],
    stride: Two,
    padding: [number, number, number, number],
    dilation: Two,
    groups: number,
    kernel: Two,
  ): Case =>
  (m) =>
    m.op('conv2d_weight', [m.input(x), m.input(dy)], { stride, padding, dilation, groups, kernel });

export const CASES: { readonly [O in Exclude<OpName, 'solve'>]: readonly Case[] } = {
  param: [(m) => m.param([2, 6]), (m) => m.param([3])],
  batch_size: [(m) => m.op('mul', [m.input([BATCH, 3]), m.op('batch_size', [], {})], {})],
  input: [(m) => m.input([2, 6]), (m) => m.input([3])],
  constant: [(m) => m.op('constant', [], { value: 1.5, dtype: 'f32', shape: [2, 3] })],
  iota: [
    (m) => m.op('iota', [], { axis: 1, dtype: 'i32', shape: [2, 6] }),
    (m) => m.op('iota', [], { axis: 0, dtype: 'f32', shape: [5, 3] }),
    (m) => m.op('iota', [], { axis: 2, dtype: 'u32', shape: [2, 2, 8] }),
  ],
  random_bits: [
    (m) => m.op('random_bits', [randomKey(m)], { stream: 3, shape: [5, 8] }),
    (m) => m.op('random_bits', [randomKey(m)], { stream: 4294967295, shape: [7, 3] }),
    // Four neighbours of the result are of two blocks.
    (m) => build.slice(m.op('random_bits', [randomKey(m)], { stream: 0, shape: [3, 10] }), [0, 1], [3, 9]),
  ],
  neg: [unary('neg')],
  abs: [unary('abs')],
  sign: [unary('sign')],
  floor: [unary('floor', wide)],
  exp: [unary('exp')],
  log: [unary('log', positive)],
  sqrt: [unary('sqrt', positive)],
  rsqrt: [unary('rsqrt', positive)],
  reciprocal: [unary('reciprocal', positive)],
  sin: [unary('sin'), unary('sin', wide)],
  cos: [unary('cos'), unary('cos', wide)],
  tanh: [unary('tanh'), unary('tanh', wide)],
  erf: [unary('erf'), unary('erf', wide)],
  sigmoid: [unary('sigmoid', wide)],
  relu: [unary('relu')],
  silu: [unary('silu', wide)],
  gelu: (['none', 'tanh', 'quick'] as const).map((form) => (m: Model) => [
    m.op('gelu', [m.input([3, 5], 'f32', wide([3, 5]))], { form }),
    m.op('gelu', [m.input([16])], { form }),
  ]),
  not: [(m) => m.op('not', [m.input([12], 'bool')], {})],
  cast: [
    (m) => m.op('cast', [m.input([3, 3], 'f32', wide([3, 3]))], { dtype: 'i32' }),
    (m) => m.op('cast', [m.input([8], 'i32')], { dtype: 'f32' }),
    (m) => m.op('cast', [m.input([8], 'bool')], { dtype: 'f32' }),
    (m) => m.op('cast', [m.input([8], 'i32')], { dtype: 'bool' }),
    // Through halves and back: whole numbers beyond 2^11, ties, subnormal halves, and what is beyond them all.
    (m) => m.op('cast', [m.op('cast', [m.input([16], 'f32', halves)], { dtype: 'f16' })], { dtype: 'f32' }),
    (m) => m.op('cast', [m.op('cast', [m.input([3, 5])], { dtype: 'f16' })], { dtype: 'f32' }),
    (m) => m.op('cast', [m.op('cast', [m.input([8], 'i32', thousands)], { dtype: 'f16' })], { dtype: 'f32' }),
  ],
  stop_gradient: [unary('stop_gradient')],
  again: [
    unary('again'),
    (m) => m.op('again', [m.input([8], 'i32')], {}),
    (m) => m.op('again', [m.input([8], 'bool')], {}),
  ],
  dropout: [
    (m) => m.op('dropout', [m.input([8])], { rate: 0.5, stream: 0 }),
    // As a training step draws them.
    (m) => {
      const x = m.input([6, 8]);
      const key = randomKey(m);
      const drawn = [
        m.op('dropout', [x], { rate: 0.25, stream: 0 }),
        m.op('dropout', [x], { rate: 0.25, stream: 1 }),
        m.op('drop_path', [x], { rate: 0.5, stream: 2 }),
      ].map((value, i) => ({ name: `y${i}`, value }));
      return drawDropout({ name: 'step', inputs: [x, key], results: drawn, updates: [] }, key).results.map(
        (r) => r.value,
      );
    },
  ],
  drop_path: [(m) => m.op('drop_path', [m.input([8])], { rate: 0.5, stream: 0 })],
  add: [binary('add'), integers('add')],
  sub: [binary('sub'), integers('sub')],
  mul: [binary('mul'), integers('mul')],
  div: [binary('div', positive), integers('div')],
  pow: [
    binary('pow', positive),
    (m) => m.op('pow', [m.input([9]), m.op('constant', [], { value: 3, dtype: 'f32', shape: [] })], {}),
    (m) => m.op('pow', [m.input([8]), m.param([8], tensor([8], [3, 2, 0, 1, 5, 4, 7, 2]))], {}),
  ],
  maximum: [binary('maximum'), integers('maximum')],
  minimum: [binary('minimum'), integers('minimum')],
  mod: [binary('mod', positive)],
  floor_div: [integers('floor_div')],
  lt: [binary('lt'), integers('lt')],
  le: [binary('le'), integers('le')],
  eq: [binary('eq'), integers('eq')],
  and: [logic('and')],
  or: [logic('or')],
  xor: [logic('xor'), integers('xor')],
  shift_left: [integers('shift_left')],
  shift_right: [integers('shift_right')],
  select: [
    (m) => m.op('select', [m.input([2, 4], 'bool'), m.input([2, 4]), m.input([4])], {}),
    (m) => m.op('select', [m.input([3, 1], 'bool'), m.input([5]), m.input([3, 5])], {}),
  ],
  reshape: [(m) => m.op('reshape', [m.input([2, 6])], { shape: [3, 4] })],
  transpose: [
    (m) => m.op('transpose', [m.input([2, 3, 4])], { perm: [2, 0, 1] }),
    (m) => m.op('transpose', [m.input([2, 3, 4])], { perm: [1, 0, 2] }),
  ],
  broadcast: [(m) => m.op('broadcast', [m.input([3, 1])], { shape: [2, 3, 4] })],
  slice: [
    (m) => m.op('slice', [m.input([3, 8])], { start: [1, 4], end: [3, 8] }),
    (m) => m.op('slice', [m.input([4, 7])], { start: [1, 3], end: [3, 5] }),
  ],
  concat: [
    (m) => m.op('concat', [m.input([2, 4]), m.input([2, 8])], { axis: 1 }),
    (m) => m.op('concat', [m.input([2, 3]), m.input([2, 1]), m.input([2, 4])], { axis: 1 }),
    (m) => m.op('concat', [m.input([1, 5]), m.input([3, 5])], { axis: 0 }),
    (m) =>
      m.op(
        'concat',
        Array.from({ length: 9 }, () => m.input([2, 3])),
        { axis: 0 },
      ),
  ],
  pad: [
    (m) => m.op('pad', [m.input([2, 4])], { low: [1, 4], high: [0, 4], value: 0.5 }),
    (m) => m.op('pad', [m.input([3, 5])], { low: [0, 1], high: [2, 2], value: 0 }),
    (m) => m.op('pad', [m.input([1, 5])], { low: [1, 0], high: [0, 0], value: 2 }),
  ],
  roll: [
    (m) => m.op('roll', [m.input([4, 8])], { shifts: [1, -3], axes: [0, 1] }),
    (m) => m.op('roll', [m.input([2, 5, 8])], { shifts: [-7], axes: [1] }),
  ],
  gather: [
    (m) => m.op('gather', [m.input([5, 8]), m.param([3], tensor([3], Int32Array.of(4, 0, 2), 'i32'))], { axis: 0 }),
    (m) =>
      m.op('gather', [m.input([2, 5]), m.param([2, 2], tensor([2, 2], Int32Array.of(4, 0, 2, 1), 'i32'))], { axis: 1 }),
  ],
  reverse: [
    (m) => m.op('reverse', [m.input([4, 8])], { axes: [0] }),
    (m) => m.op('reverse', [m.input([4, 8])], { axes: [1, 0] }),
    (m) => m.op('reverse', [m.input([2, 5, 3], 'i32')], { axes: [1, 2] }),
    // Where a product stores its rows.
    (m) => m.op('reverse', [build.matmul(m.input([5, 8]), m.param([8, 12]))], { axes: [0] }),
    (m) => m.op('reverse', [build.matmul(m.input([5, 8]), m.param([8, 7]))], { axes: [1] }),
  ],
  argsort: [
    (m) => m.op('argsort', [m.input([40], 'i32')], {}),
    (m) => m.op('argsort', [m.input([3, 17], 'u32')], {}),
    (m) => m.op('argsort', [m.input([2, 1], 'i32')], {}),
    (m) => m.op('argsort', [m.input([8], 'i32', tensor([8], EXTREMES, 'i32'))], {}),
  ],
  merge_order: [
    (m) =>
      m.op('merge_order', [m.input([2, 9], 'i32'), m.op('iota', [], { axis: 1, dtype: 'i32', shape: [2, 9] })], {
        run: 1,
      }),
    (m) => {
      const x = m.input([5, 12], 'i32');
      const one = m.op('iota', [], { axis: 1, dtype: 'i32', shape: [5, 12] });
      return build.mergeOrder(x, build.mergeOrder(x, build.mergeOrder(x, one, 1), 2), 4);
    },
  ],
  searchsorted: [false, true].flatMap((right) => [
    (m: Model) => m.op('searchsorted', [m.param([6], sorted), m.input([3, 5], 'i32')], { right }),
    (m: Model) => m.op('searchsorted', [m.param([6], sorted), m.input([8], 'i32')], { right }),
  ]),
  segment_sum: [
    (m) => m.op('segment_sum', [m.input([2, 9, 8]), m.param([5], whole(0, 4, 4, 5, 9))], { axis: 1 }),
    (m) => m.op('segment_sum', [m.input([2, 9]), m.param([5], whole(0, 4, 4, 5, 9))], { axis: 1 }),
    (m) => m.op('segment_sum', [m.input([7, 3]), m.param([3], whole(0, 1, 7))], { axis: 0 }),
    (m) => m.op('segment_sum', [m.input([4, 5]), m.param([2], whole(0, 5))], { axis: 1 }),
  ],
  scatter_add: [
    (m) => m.op('scatter_add', [m.input([2, 9, 8]), m.input([9], 'u32')], { axis: 1, size: 12 }),
    (m) => m.op('scatter_add', [m.input([2, 6, 3]), m.param([2, 6], places(2, 6))], { axis: 0, size: 5 }),
    (m) => m.op('scatter_add', [m.input([20]), m.param([20], places(20))], { axis: 0, size: 5 }),
    (m) => m.op('scatter_add', [m.input([4]), m.param([], places())], { axis: 0, size: 4 }),
    // As a gather is transposed: the sum, with the rest of the step.
    (m) => build.mul(build.scatterAdd(build.gelu(m.input([7, 8])), m.param([7], places(7)), 0, 9), 2),
  ],
  reduce_sum: [
    (m) => m.op('reduce_sum', [m.input([3, 40])], { axes: [1], keep: true }),
    (m) => m.op('reduce_sum', [m.input([3, 400])], { axes: [1], keep: false }),
    (m) => m.op('reduce_sum', [m.input([5, 7, 9])], { axes: [0, 2], keep: false }),
    (m) => m.op('reduce_sum', [m.input([6, 3], 'i32')], { axes: [0], keep: false }),
    (m) => m.op('reduce_sum', [m.input([6, 3])], { axes: [0, 1], keep: false }),
    // Long ones are split: split-cases.ts has more.
    (m) => m.op('reduce_sum', [m.input([1301, 5])], { axes: [0], keep: false }),
  ],
  reduce_mean: [
    (m) => m.op('reduce_mean', [m.input([2, 6, 10])], { axes: [1], keep: true }),
    (m) => m.op('reduce_mean', [m.input([3, 200, 200])], { axes: [0, 1, 2], keep: true }),
  ],
  reduce_max: [
    (m) => m.op('reduce_max', [m.input([2, 333])], { axes: [1], keep: false }),
    (m) => m.op('reduce_max', [m.input([2, 12], 'i32')], { axes: [1], keep: true }),
    (m) => m.op('reduce_max', [m.input([4, 12], 'u32')], { axes: [0], keep: true }),
    (m) => m.op('reduce_max', [m.input([1301, 3])], { axes: [0], keep: false }),
  ],
  argmax: [
    (m) => m.op('argmax', [m.input([3, 100])], { axis: 1 }),
    (m) => m.op('argmax', [m.input([30, 4])], { axis: 0 }),
    (m) => m.op('argmax', [m.input([3, 11], 'i32')], { axis: 1 }),
    (m) => m.op('argmax', [m.input([2, 6], 'f32', filled([2, 6], -Infinity))], { axis: 1 }),
    (m) => m.op('argmax', [m.input([2003, 3])], { axis: 0 }),
  ],
  top_k: [
    (m) => m.op('top_k', [m.input([3, 10])], { k: 4 }),
    (m) => {
      const t = m.op('top_k', [m.input([2, 10], 'i32')], { k: 3 });
      return [t, m.op('aux', [t], { output: 'indices' })];
    },
  ],
  matmul: [
    (m) => m.op('matmul', [m.input([5, 7]), m.input([7, 6])], {}),
    (m) => m.op('matmul', [m.input([2, 3, 17, 12]), m.input([3, 12, 8])], {}),
    (m) => m.op('matmul', [m.input([2, 4, 8]), m.param([8, 5])], {}),
    (m) => m.op('matmul', [m.input([8, 8]), m.op('transpose', [m.param([8, 8])], { perm: [1, 0] })], {}),
    (m) => m.op('matmul', [m.param([4, 8]), m.input([2, 8, 3])], {}),
    (m) => m.op('matmul', [m.input([1, 1]), m.input([1, 1])], {}),
    (m) => m.op('matmul', [m.op('transpose', [m.input([1301, 3])], { perm: [1, 0] }), m.input([1301, 9])], {}),
  ],
  linear: [
    (m) => m.op('linear', [m.input([2, 5, 16]), m.param([33, 16]), m.param([33])], {}),
    (m) => m.op('linear', [m.input([20]), m.param([8, 20])], {}),
    (m) => m.op('linear', [m.input([3, 6]), m.input([4, 6]), m.input([4])], {}),
    (m) => m.op('linear', [m.input([3, 6]), m.param([1, 6]), m.param([1])], {}),
    (m) => m.op('linear', [m.input([6, 1]), m.param([4, 1]), m.param([4])], {}),
    (m) => m.op('linear', [m.input([3, 8]), m.op('slice', [m.param([12, 8])], { start: [4, 0], end: [8, 8] })], {}),
  ],
  conv2d: [
    // Few rows each: software drivers take seconds to compile a kernel whose tile has many.
    conv([2, 3, 8, 8], [8, 3, 4, 4], [4, 4], [0, 0, 0, 0], [1, 1], 1),
    conv([1, 4, 2, 3], [6, 4, 3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 1),
    conv([1, 2, 5, 4], [5, 2, 3, 2], [2, 1], [1, 0, 2, 1], [2, 3], 1),
    conv([2, 8, 6, 6], [8, 1, 3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 8),
    conv([1, 8, 5, 8], [8, 1, 3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 8),
    conv([1, 8, 2, 2], [16, 4, 3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 2),
    conv([1, 6, 2, 3], [4, 3, 1, 1], [1, 1], [0, 0, 0, 0], [1, 1], 2),
    conv([1, 3, 14, 14], [4, 3, 7, 7], [7, 7], [0, 0, 0, 0], [1, 1], 1),
  ],
  conv2d_transpose: [
    transposed([1, 4, 3, 3], [4, 6, 3, 3], [1, 1], [1, 1, 1, 1], [0, 0], [1, 1], 1),
    transposed([2, 4, 3, 2], [4, 4, 3, 3], [2, 2], [1, 1, 1, 1], [1, 1], [1, 1], 1),
    transposed([1, 4, 2, 3], [4, 2, 3, 2], [2, 3], [1, 0, 1, 0], [1, 0], [1, 1], 2),
    transposed([1, 2, 3, 3], [2, 2, 3, 2], [2, 1], [3, 2, 0, 1], [0, 0], [3, 2], 1),
  ],
  conv2d_weight: [
    toWeight([2, 3, 6, 5], [2, 4, 6, 5], [1, 1], [1, 1, 1, 1], [1, 1], 1, [3, 3]),
    toWeight([3, 4, 7, 6], [3, 6, 4, 4], [2, 1], [1, 0, 1, 0], [1, 2], 2, [3, 2]),
    toWeight([2, 3, 5, 5], [2, 3, 3, 3], [2, 2], [1, 1, 1, 1], [1, 1], 3, [3, 3]),
    toWeight([1, 3, 8, 8], [1, 8, 2, 2], [4, 4], [0, 0, 0, 0], [1, 1], 1, [4, 4]),
  ],
  kron: [
    (m) => m.op('kron', [m.input([2, 3]), m.input([4, 4])], {}),
    (m) => m.op('kron', [m.input([3, 2]), m.input([2, 3])], {}),
  ],
  softmax: [
    (m) => m.op('softmax', [m.input([3, 50], 'f32', wide([3, 50]))], { axis: 1 }),
    (m) => m.op('softmax', [m.input([3, 500])], { axis: 1 }),
    (m) => m.op('softmax', [m.input([4, 40], 'f32', extreme([4, 40]))], { axis: 1 }),
    (m) => m.op('softmax', [m.input([3, 6, 5])], { axis: 1 }),
  ],
  layer_norm: [
    (m) => m.op('layer_norm', [m.input([3, 64]), m.param([64]), m.param([64])], { eps: 1e-6 }),
    (m) => m.op('layer_norm', [m.input([2, 5, 300]), m.param([300]), m.param([300])], { eps: 1e-6 }),
    (m) => m.op('layer_norm', [m.input([7, 5])], { eps: 1e-5 }),
    (m) => m.op('layer_norm', [m.input([3, 40], 'f32', filled([3, 40], 5000))], { eps: 1e-5 }),
    (m) => m.op('layer_norm', [m.input([4, 18]), m.param([18])], { eps: 1e-5 }),
  ],
  batch_norm: [
    (m) =>
      m.op(
        'batch_norm',
        [m.input([2, 3, 4, 4]), m.param([3]), m.param([3]), m.param([3]), m.param([3], positive([3]))],
        {
          eps: 1e-3,
        },
      ),
  ],
  group_norm: [
    (m) => m.op('group_norm', [m.input([2, 6, 5, 4]), m.param([6]), m.param([6])], { groups: 3, eps: 1e-5 }),
    (m) => m.op('group_norm', [m.input([2, 6, 5])], { groups: 2, eps: 1e-5 }),
  ],
  attention: [
    (m) => m.op('attention', [m.input([2, 2, 9, 8]), m.input([2, 2, 9, 8]), m.input([2, 2, 9, 8])], { scale: 0.35 }),
    (m) => m.op('attention', [m.input([1, 2, 5, 6]), m.input([1, 2, 7, 6]), m.input([1, 2, 7, 10])], { scale: 0.5 }),
    (m) =>
      m.op(
        'attention',
        [m.input([1, 2, 5, 8]), m.input([1, 2, 6, 8]), m.input([1, 2, 6, 8]), m.input([2, 5, 1]), m.input([5, 6])],
        { scale: 0.5 },
      ),
    // One query in a head that is no multiple of what a turn takes; scores in the thousands; whole blocks of keys masked by -inf.
    (m) => m.op('attention', [m.input([1, 1, 1, 24]), m.input([1, 1, 9, 24]), m.input([1, 1, 9, 24])], { scale: 0.2 }),
    (m) => {
      const heads = (rows: number): Value => m.input([1, 1, rows, 8]);
      return m.op('attention', [heads(3), heads(90), heads(90), m.param([90], keys(70))], { scale: 3000 });
    },
  ],
  resize: (['nearest', 'bilinear', 'bicubic'] as const).flatMap((mode) => [
    (m: Model) => m.op('resize', [m.input([1, 2, 6, 5])], { size: [9, 8], mode, antialias: false }),
    (m: Model) => m.op('resize', [m.input([1, 2, 9, 12])], { size: [5, 4], mode, antialias: mode !== 'nearest' }),
  ]),
  aux: [
    (m) => {
      const a = m.op('attention', [m.input([1, 2, 5, 8]), m.input([1, 2, 6, 8]), m.input([1, 2, 6, 8])], {
        scale: 0.5,
      });
      const lse = m.op('aux', [a], { output: 'lse' });
      return [build.add(a, 1), build.mul(lse, 2)];
    },
    (m) => build.aux(m.op('softmax', [m.input([3, 500], 'f32', wide([3, 500]))], { axis: 1 }), 'lse'),
    (m) => build.aux(m.op('softmax', [m.input([2, 5, 6])], { axis: 1 }), 'lse'),
    (m) => {
      const y = m.op('layer_norm', [m.input([3, 7, 65])], { eps: 1e-3 });
      return [build.aux(y, 'rstd'), build.aux(y, 'mean')];
    },
    (m) => {
      const y = m.op('group_norm', [m.input([2, 6, 5, 3]), m.param([6]), m.param([6])], { groups: 2, eps: 1e-3 });
      return [y, build.aux(y, 'mean'), build.aux(y, 'rstd')];
    },
  ],
};

/** Operators whose result a rounding of f32 can turn to another integer or bool are given data far from such places. */
export const TOLERANCE: { readonly [O in OpName]?: number } = { pow: 3e-5, mod: 2e-5, random_bits: 1e-12 };
