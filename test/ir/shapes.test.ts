/** The type rule of every operator: one call that fits and what is refused, with the operands at fault and the sentence. */
import { describe, expect, test } from 'vitest';
import { BATCH, showSize } from '../../src/ir/batch.js';
import { input, make, ShapeError } from '../../src/ir/graph.js';
import { OP_NAMES, OPS } from '../../src/ir/ops/index.js';
import { showType } from '../../src/ir/ops/shapes.js';
import type { OpAttrs, OpName, Value } from '../../src/ir/types.js';
import { bool, f32, i32 } from './support.js';

interface Rule {
  readonly fits: readonly [result: string, inputs: readonly Value[], attrs: unknown][];
  readonly refused: readonly [message: string, operands: readonly number[], inputs: readonly Value[], attrs: unknown][];
}

const floatUnary: Rule = {
  fits: [['f32[2,3]', [f32('x', 2, 3)], {}]],
  refused: [['i32[2] is given where a floating-point tensor is wanted', [0], [i32('x', 2)], {}]],
};
const signedUnary: Rule = {
  fits: [
    ['f32[2,3]', [f32('x', 2, 3)], {}],
    ['i32[4]', [i32('x', 4)], {}],
  ],
  refused: [['bool[2] is given where a signed number is wanted', [0], [bool('x', 2)], {}]],
};
const arithmetic: Rule = {
  fits: [
    ['f32[2,4,3]', [f32('a', 2, 1, 3), f32('b', 4, 1)], {}],
    ['i32[2]', [i32('a', 2), i32('b')], {}],
  ],
  refused: [
    ['[2, 3] and [4] do not broadcast', [0, 1], [f32('a', 2, 3), f32('b', 4)], {}],
    ['f32[2] and i32[2] have different element types', [0, 1], [f32('a', 2), i32('b', 2)], {}],
    ['bool[2] is given where a number is wanted', [0], [bool('a', 2), bool('b', 2)], {}],
    ['1 operands, where 2 (a, b) are wanted', [], [f32('a')], {}],
  ],
};
const comparison: Rule = { ...arithmetic, fits: [['bool[2,3]', [f32('a', 2, 3), f32('b', 3)], {}]] };
const logical: Rule = {
  fits: [
    ['bool[2,3]', [bool('a', 2, 1), bool('b', 3)], {}],
    ['i32[2,3]', [i32('a', 2, 1), i32('b', 3)], {}],
  ],
  refused: [
    ['f32[2] is given where a bool or bits (i32, u32) is wanted', [0], [f32('a', 2), bool('b', 2)], {}],
    ['i32[2] and bool[2] have different element types', [0, 1], [i32('a', 2), bool('b', 2)], {}],
  ],
};
const integral: Rule = {
  fits: [['i32[2,3]', [i32('a', 2, 1), i32('b', 3)], {}]],
  refused: [['f32[2] is given where a whole number is wanted', [0], [f32('a', 2), f32('b', 2)], {}]],
};
const reducing: Rule = {
  fits: [
    ['f32[3]', [f32('x', 2, 3, 4)], { axes: [0, 2], keep: false }],
    ['f32[1,3,1]', [f32('x', 2, 3, 4)], { axes: [2, 0], keep: true }],
  ],
  refused: [
    ['axis 3 is outside [2, 3, 4]', [0], [f32('x', 2, 3, 4)], { axes: [3], keep: false }],
    ['axes [1, 1] repeat', [], [f32('x', 2, 3)], { axes: [1, 1], keep: false }],
    ['no axes to reduce', [], [f32('x', 2, 3)], { axes: [], keep: false }],
  ],
};
const rate: Rule = {
  fits: [['f32[2]', [f32('x', 2)], { rate: 0, stream: 4294967295 }]],
  refused: [
    ['rate 1 is not in 0 <= rate < 1', [], [f32('x', 2)], { rate: 1, stream: 0 }],
    ['-1 is no stream (0 to 2^32 - 1)', [], [f32('x', 2)], { rate: 0, stream: -1 }],
  ],
};
const key = input('key', { dtype: 'u32', shape: [2] });
const conv = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
const declared: Rule = { fits: [], refused: [['its type is declared, not inferred', [], [], { name: 'w' }]] };

const RULES: { readonly [O in OpName]: Rule } = {
  param: declared,
  input: declared,
  constant: {
    fits: [['i32[2]', [], { value: 3, dtype: 'i32', shape: [2] }]],
    refused: [
      ['0.5 is not an i32', [], [], { value: 0.5, dtype: 'i32', shape: [] }],
      ['-1 is not a u32', [], [], { value: -1, dtype: 'u32', shape: [] }],
      ['2 is not a bool (0 or 1)', [], [], { value: 2, dtype: 'bool', shape: [] }],
      ['[2, 0] has a size that is not positive', [], [], { value: 2, dtype: 'f32', shape: [2, 0] }],
    ],
  },
  iota: {
    fits: [['i32[2,3]', [], { axis: 1, dtype: 'i32', shape: [2, 3] }]],
    refused: [
      ['bool does not count', [], [], { axis: 0, dtype: 'bool', shape: [2] }],
      ['axis 1 is outside [2]', [0], [], { axis: 1, dtype: 'i32', shape: [2] }],
    ],
  },
  random_bits: {
    fits: [
      ['u32[2,3]', [key], { stream: 0, shape: [2, 3] }],
      [`u32[${showSize(2 * BATCH)},3]`, [key], { stream: 1, shape: [2 * BATCH, 3] }],
    ],
    refused: [
      ['i32[2] is given where a key is wanted, u32[2]', [0], [i32('k', 2)], { stream: 0, shape: [2] }],
      ['0.5 is no stream (0 to 2^32 - 1)', [], [key], { stream: 0.5, shape: [2] }],
      ['4294967296 is no stream (0 to 2^32 - 1)', [], [key], { stream: 2 ** 32, shape: [2] }],
      ['the batch has to be the first axis, or bits would differ with it', [], [key], { stream: 0, shape: [2, BATCH] }],
      ['[0] has a size that is not positive', [], [key], { stream: 0, shape: [0] }],
    ],
  },
  batch_size: {
    fits: [['f32[]', [], {}]],
    refused: [['1 operands, where 0 () are wanted', [], [f32('x', 2)], {}]],
  },
  neg: signedUnary,
  abs: signedUnary,
  sign: signedUnary,
  relu: signedUnary,
  floor: floatUnary,
  exp: floatUnary,
  log: floatUnary,
  sqrt: floatUnary,
  rsqrt: floatUnary,
  reciprocal: floatUnary,
  sin: floatUnary,
  cos: floatUnary,
  tanh: floatUnary,
  erf: floatUnary,
  sigmoid: floatUnary,
  silu: floatUnary,
  gelu: {
    fits: [['f32[2]', [f32('x', 2)], { form: 'tanh' }]],
    refused: [['i32[2] is given where a floating-point tensor is wanted', [0], [i32('x', 2)], { form: 'none' }]],
  },
  not: {
    fits: [
      ['bool[2]', [bool('x', 2)], {}],
      ['i32[2]', [i32('x', 2)], {}],
    ],
    refused: [['f32[2] is given where a bool or bits (i32, u32) is wanted', [0], [f32('x', 2)], {}]],
  },
  cast: {
    fits: [['bool[2]', [f32('x', 2)], { dtype: 'bool' }]],
    refused: [['2 operands, where 1 (x) are wanted', [], [f32('x', 2), f32('y', 2)], { dtype: 'i32' }]],
  },
  stop_gradient: {
    fits: [['f32[2]', [f32('x', 2)], {}]],
    refused: [['bool[2] is given where a number is wanted', [0], [bool('x', 2)], {}]],
  },
  again: {
    fits: [
      ['f32[2]', [f32('x', 2)], {}],
      ['bool[2]', [bool('x', 2)], {}],
    ],
    refused: [['2 operands, where 1 (x) are wanted', [], [f32('x', 2), f32('y', 2)], {}]],
  },
  dropout: rate,
  drop_path: rate,
  add: arithmetic,
  sub: arithmetic,
  mul: arithmetic,
  div: arithmetic,
  maximum: arithmetic,
  minimum: arithmetic,
  mod: arithmetic,
  pow: {
    fits: [['f32[2,3]', [f32('a', 2, 1), f32('b', 3)], {}]],
    refused: [['i32[2] is given where a floating-point tensor is wanted', [0], [i32('a', 2), i32('b', 2)], {}]],
  },
  lt: comparison,
  le: comparison,
  eq: comparison,
  and: logical,
  or: logical,
  xor: logical,
  shift_left: integral,
  shift_right: integral,
  floor_div: integral,
  select: {
    fits: [['i32[2,3]', [bool('c', 2, 1), i32('a', 3), i32('b')], {}]],
    refused: [
      ['the condition is f32[2], not bool', [0], [f32('c', 2), f32('a', 2), f32('b', 2)], {}],
      ['f32[2] and i32[2] have different element types', [1, 2], [bool('c', 2), f32('a', 2), i32('b', 2)], {}],
      ['[2] and [3] do not broadcast', [0, 2], [bool('c', 2), f32('a'), f32('b', 3)], {}],
    ],
  },
  reshape: {
    fits: [['f32[3,2]', [f32('x', 2, 3)], { shape: [3, 2] }]],
    refused: [['[2, 3] has 6 elements and [4] has 4', [0], [f32('x', 2, 3)], { shape: [4] }]],
  },
  transpose: {
    fits: [['f32[4,2,3]', [f32('x', 2, 3, 4)], { perm: [2, 0, 1] }]],
    refused: [
      ['the permutation [1, 0] does not fit [2, 3, 4]', [0], [f32('x', 2, 3, 4)], { perm: [1, 0] }],
      ['axes [0, 0] repeat', [], [f32('x', 2, 3)], { perm: [0, 0] }],
    ],
  },
  broadcast: {
    fits: [['f32[4,2,3]', [f32('x', 1, 3)], { shape: [4, 2, 3] }]],
    refused: [
      ['[2, 3] does not broadcast to [2, 4]', [0], [f32('x', 2, 3)], { shape: [2, 4] }],
      ['[2, 3] does not broadcast to [3]', [0], [f32('x', 2, 3)], { shape: [3] }],
    ],
  },
  slice: {
    fits: [['f32[1,2]', [f32('x', 2, 3)], { start: [1, 0], end: [2, 2] }]],
    refused: [
      ['1..4 is not within axis 1 of [2, 3]', [0], [f32('x', 2, 3)], { start: [0, 1], end: [2, 4] }],
      ['2..2 is not within axis 0 of [3]', [0], [f32('x', 3)], { start: [2], end: [2] }],
      ['[2, 3] cannot be cut from [0] to [2]', [0], [f32('x', 2, 3)], { start: [0], end: [2] }],
    ],
  },
  concat: {
    fits: [['f32[2,7]', [f32('a', 2, 3), f32('b', 2, 4)], { axis: 1 }]],
    refused: [
      ['[2, 3] and [3, 3] differ on an axis other than 1', [0, 1], [f32('a', 2, 3), f32('b', 3, 3)], { axis: 1 }],
      ['0 operands, where at least 1 (x) are wanted', [], [], { axis: 0 }],
    ],
  },
  pad: {
    fits: [['f32[4,5]', [f32('x', 2, 3)], { low: [1, 2], high: [1, 0], value: 0 }]],
    refused: [
      ['padding [1], [1] does not fit [2, 3]', [0], [f32('x', 2, 3)], { low: [1], high: [1], value: 0 }],
      ['padding of -1 elements', [], [f32('x', 2)], { low: [-1], high: [1], value: 0 }],
      ['2 is not a bool (0 or 1)', [], [bool('x', 2)], { low: [0], high: [1], value: 2 }],
    ],
  },
  roll: {
    fits: [['f32[2,3]', [f32('x', 2, 3)], { shifts: [-1], axes: [1] }]],
    refused: [
      ['2 shifts for 1 axes', [], [f32('x', 2)], { shifts: [1, 2], axes: [0] }],
      ['a shift of 0.5', [], [f32('x', 2)], { shifts: [0.5], axes: [0] }],
    ],
  },
  gather: {
    fits: [['f32[2,5,6,4]', [f32('x', 2, 3, 4), i32('i', 5, 6)], { axis: 1 }]],
    refused: [
      ['the indices are f32, where i32 or u32 is wanted', [1], [f32('x', 2), f32('i', 2)], { axis: 0 }],
      ['axis 1 is outside [2]', [0], [f32('x', 2), i32('i', 2)], { axis: 1 }],
    ],
  },
  reverse: {
    fits: [['f32[2,3]', [f32('x', 2, 3)], { axes: [1, 0] }]],
    refused: [
      ['axis 2 is outside [2, 3]', [0], [f32('x', 2, 3)], { axes: [2] }],
      ['axes [1, 1] repeat', [], [f32('x', 2, 3)], { axes: [1, 1] }],
      [`axis 0 of [b, 3] is the batch, which may be 1`, [0], [f32('x', BATCH, 3)], { axes: [0] }],
    ],
  },
  argsort: {
    fits: [['i32[2,3]', [i32('x', 2, 3)], {}]],
    refused: [
      ['f32[3] is given where i32 or u32 is wanted', [0], [f32('x', 3)], {}],
      ['axis 0 of [b] is the batch, which may be 1', [0], [i32('x', BATCH)], {}],
      ['a scalar has no last axis', [0], [i32('x')], {}],
    ],
  },
  merge_order: {
    fits: [['i32[2,3]', [i32('x', 2, 3), i32('o', 2, 3)], { run: 2 }]],
    refused: [
      ['x [3] and the order [4] differ', [0, 1], [i32('x', 3), i32('o', 4)], { run: 1 }],
      ['the order is f32, where i32 is wanted', [1], [i32('x', 3), f32('o', 3)], { run: 1 }],
      ['runs of 3 in 3 elements', [], [i32('x', 3), i32('o', 3)], { run: 3 }],
    ],
  },
  searchsorted: {
    fits: [['i32[2,4]', [i32('s', 3), i32('v', 2, 4)], { right: false }]],
    refused: [
      [
        'what is searched has shape [3, 2], where 1 axes are wanted',
        [0],
        [i32('s', 3, 2), i32('v', 2)],
        { right: true },
      ],
      ['f32[3] is given where i32 or u32 is wanted', [0], [f32('s', 3), f32('v', 2)], { right: true }],
    ],
  },
  segment_sum: {
    fits: [['f32[2,4,3]', [f32('x', 2, 7, 3), i32('s', 5)], { axis: 1 }]],
    refused: [
      ['[1] starts are no segments', [1], [f32('x', 7), i32('s', 1)], { axis: 0 }],
      ['the starts are f32, where i32 is wanted', [1], [f32('x', 7), f32('s', 3)], { axis: 0 }],
      ['axis 0 of [b] is the batch, which may be 1', [0], [f32('x', BATCH), i32('s', 3)], { axis: 0 }],
    ],
  },
  scatter_add: {
    fits: [['f32[2,9,4]', [f32('x', 2, 5, 6, 4), i32('i', 5, 6)], { axis: 1, size: 9 }]],
    refused: [
      [
        'i32[5] is given where a floating-point tensor is wanted',
        [0],
        [i32('x', 5), i32('i', 5)],
        { axis: 0, size: 3 },
      ],
      ['f32[5] is given where i32 or u32 is wanted', [1], [f32('x', 5), f32('i', 5)], { axis: 0, size: 3 }],
      ['indices [5] do not stand at axis 1 of [5]', [0, 1], [f32('x', 5), i32('i', 5)], { axis: 1, size: 3 }],
      [
        'from axis 0 on, the updates [5] have other axes than the indices [4]',
        [0, 1],
        [f32('x', 5), i32('i', 4)],
        { axis: 0, size: 3 },
      ],
      ['an axis of 0', [], [f32('x', 5), i32('i', 5)], { axis: 0, size: 0 }],
    ],
  },
  reduce_sum: reducing,
  reduce_mean: reducing,
  reduce_max: reducing,
  argmax: {
    fits: [['i32[2,4]', [f32('x', 2, 3, 4)], { axis: 1 }]],
    refused: [['axis -1 is outside [2, 3]', [0], [f32('x', 2, 3)], { axis: -1 }]],
  },
  top_k: {
    fits: [['f32[2,2]', [f32('x', 2, 3)], { k: 2 }]],
    refused: [
      ['4 of the 3 elements on the last axis of [2, 3]', [0], [f32('x', 2, 3)], { k: 4 }],
      ['a scalar has no last axis', [0], [f32('x')], { k: 1 }],
    ],
  },
  matmul: {
    fits: [['f32[6,2,5]', [f32('a', 6, 2, 3), f32('b', 1, 3, 5)], {}]],
    refused: [
      ['[2, 3] has 3 columns and [4, 5] has 4 rows', [0, 1], [f32('a', 2, 3), f32('b', 4, 5)], {}],
      ['[3] is not a matrix', [0], [f32('a', 3), f32('b', 3, 2)], {}],
      ['[3] is not a matrix', [1], [f32('a', 2, 3), f32('b', 3)], {}],
      [
        'the leading axes of [2, 4, 3] and [5, 3, 1] do not broadcast',
        [0, 1],
        [f32('a', 2, 4, 3), f32('b', 5, 3, 1)],
        {},
      ],
    ],
  },
  linear: {
    fits: [['f32[2,7,5]', [f32('x', 2, 7, 3), f32('w', 5, 3), f32('b', 5)], {}]],
    refused: [
      ['a scalar has no last axis', [0], [f32('x'), f32('w', 5, 3)], {}],
      ['x [2, 4] has 4 features and the weight [5, 3] takes 3', [0, 1], [f32('x', 2, 4), f32('w', 5, 3)], {}],
      ['the bias has shape [3], where [5] is wanted', [2], [f32('x', 2, 3), f32('w', 5, 3), f32('b', 3)], {}],
      ['4 operands, where 2 to 3 (x, weight, bias) are wanted', [], [f32('x'), f32('x'), f32('x'), f32('x')], {}],
    ],
  },
  conv2d: {
    fits: [
      [
        'f32[1,6,4,3]',
        [f32('x', 1, 4, 8, 8), f32('w', 6, 2, 3, 3)],
        { ...conv, groups: 2, stride: [2, 3], padding: [1, 0, 0, 1] },
      ],
    ],
    refused: [
      [
        'x [1, 3, 8, 8] has 3 channels and the weight [6, 2, 3, 3] takes 2',
        [0, 1],
        [f32('x', 1, 3, 8, 8), f32('w', 6, 2, 3, 3)],
        conv,
      ],
      [
        'a 3x3 kernel does not fit into [1, 2, 2, 8] padded by [0, 0, 0, 0]',
        [0, 1],
        [f32('x', 1, 2, 2, 8), f32('w', 6, 2, 3, 3)],
        conv,
      ],
      ['padding [0, -1, 0, 0]', [], [f32('x', 1, 2, 8, 8), f32('w', 6, 2, 3, 3)], { ...conv, padding: [0, -1, 0, 0] }],
      [
        'stride [1, 0], dilation [1, 1], groups 1: not all positive integers',
        [],
        [f32('x', 1, 2, 8, 8), f32('w', 6, 2, 3, 3)],
        { ...conv, stride: [1, 0] },
      ],
      [
        '4 groups do not divide 6 output channels',
        [1],
        [f32('x', 1, 8, 8, 8), f32('w', 6, 2, 3, 3)],
        { ...conv, groups: 4 },
      ],
    ],
  },
  conv2d_transpose: {
    fits: [
      [
        'f32[1,6,10,7]',
        [f32('x', 1, 4, 5, 3), f32('w', 4, 3, 3, 2), f32('b', 6)],
        { ...conv, groups: 2, stride: [2, 3], padding: [1, 1, 1, 0], output_padding: [1, 0] },
      ],
    ],
    refused: [
      [
        'x [1, 4, 5, 3] has 4 channels and the weight [3, 2, 3, 3] takes 3',
        [0, 1],
        [f32('x', 1, 4, 5, 3), f32('w', 3, 2, 3, 3)],
        { ...conv, output_padding: [0, 0] },
      ],
      [
        'an output padding [2, 0] is not below the stride [2, 1]',
        [],
        [f32('x', 1, 4, 5, 3), f32('w', 4, 2, 3, 3)],
        { ...conv, stride: [2, 1], output_padding: [2, 0] },
      ],
      [
        'padding [3, 0, 4, 0] leaves nothing of 7x5',
        [0, 1],
        [f32('x', 1, 4, 5, 3), f32('w', 4, 2, 3, 3)],
        { ...conv, padding: [3, 0, 4, 0], output_padding: [0, 0] },
      ],
    ],
  },
  conv2d_weight: {
    fits: [
      [
        'f32[6,2,3,3]',
        [f32('x', 2, 4, 8, 8), f32('dy', 2, 6, 4, 3)],
        { ...conv, groups: 2, stride: [2, 3], padding: [1, 0, 0, 1], kernel: [3, 3] },
      ],
    ],
    refused: [
      [
        'a 3x3 kernel makes 6x6 of [2, 4, 8, 8], and dy is [2, 6, 6, 5]',
        [0, 1],
        [f32('x', 2, 4, 8, 8), f32('dy', 2, 6, 6, 5)],
        { ...conv, kernel: [3, 3] },
      ],
      [
        'x [2, 4, 8, 8] and dy [3, 6, 6, 6] are not of the same samples',
        [0, 1],
        [f32('x', 2, 4, 8, 8), f32('dy', 3, 6, 6, 6)],
        { ...conv, kernel: [3, 3] },
      ],
      [
        '4 groups do not divide the 6 channels of [2, 6, 6, 6]',
        [1],
        [f32('x', 2, 4, 8, 8), f32('dy', 2, 6, 6, 6)],
        { ...conv, groups: 4, kernel: [3, 3] },
      ],
    ],
  },
  kron: {
    fits: [['f32[8,15]', [f32('a', 2, 3), f32('b', 4, 5)], {}]],
    refused: [['a has shape [2], where 2 axes are wanted', [0], [f32('a', 2), f32('b', 4, 5)], {}]],
  },
  softmax: {
    fits: [['f32[2,3]', [f32('x', 2, 3)], { axis: 0 }]],
    refused: [['axis 2 is outside [2, 3]', [0], [f32('x', 2, 3)], { axis: 2 }]],
  },
  layer_norm: {
    fits: [['f32[2,3]', [f32('x', 2, 3), f32('g', 3), f32('h', 3)], { eps: 1e-6 }]],
    refused: [
      ['a scalar has no last axis', [0], [f32('x')], { eps: 0 }],
      ['the gain has shape [2], where [3] is wanted', [1], [f32('x', 2, 3), f32('g', 2)], { eps: 1e-6 }],
      ['eps -1 is negative', [], [f32('x', 2, 3)], { eps: -1 }],
    ],
  },
  batch_norm: {
    fits: [['f32[2,3,4]', [f32('x', 2, 3, 4), f32('g', 3), f32('h', 3), f32('m', 3), f32('v', 3)], { eps: 0 }]],
    refused: [
      ['x [2] has no channel axis', [0], [f32('x', 2), f32('g', 2), f32('h', 2), f32('m', 2), f32('v', 2)], { eps: 0 }],
      [
        'the variance has shape [4], where [3] is wanted',
        [4],
        [f32('x', 2, 3, 4), f32('g', 3), f32('h', 3), f32('m', 3), f32('v', 4)],
        { eps: 0 },
      ],
    ],
  },
  group_norm: {
    fits: [['f32[2,6,4]', [f32('x', 2, 6, 4)], { groups: 3, eps: 0 }]],
    refused: [['4 groups do not divide the 6 channels of [2, 6, 4]', [0], [f32('x', 2, 6, 4)], { groups: 4, eps: 0 }]],
  },
  attention: {
    fits: [
      [
        'f32[2,3,4,7]',
        [f32('q', 2, 3, 4, 8), f32('k', 2, 3, 5, 8), f32('v', 2, 3, 5, 7), f32('b', 4, 5)],
        { scale: 1 },
      ],
    ],
    refused: [
      [
        'q [2, 3, 4, 8] and k [2, 3, 5, 7] do not fit',
        [0, 1],
        [f32('q', 2, 3, 4, 8), f32('k', 2, 3, 5, 7), f32('v', 2, 3, 5, 7)],
        { scale: 1 },
      ],
      [
        'k [2, 3, 5, 8] and v [2, 3, 6, 7] do not fit',
        [1, 2],
        [f32('q', 2, 3, 4, 8), f32('k', 2, 3, 5, 8), f32('v', 2, 3, 6, 7)],
        { scale: 1 },
      ],
      [
        'the bias [6, 5] does not broadcast to the scores [2, 3, 4, 5]',
        [3],
        [f32('q', 2, 3, 4, 8), f32('k', 2, 3, 5, 8), f32('v', 2, 3, 5, 7), f32('b', 6, 5)],
        { scale: 1 },
      ],
    ],
  },
  resize: {
    fits: [['f32[1,3,4,5]', [f32('x', 1, 3, 8, 8)], { size: [4, 5], mode: 'bicubic', antialias: true }]],
    refused: [
      [
        'x has shape [3, 8, 8], where 4 axes are wanted',
        [0],
        [f32('x', 3, 8, 8)],
        { size: [4, 5], mode: 'bicubic', antialias: true },
      ],
      ['size [0, 5]', [], [f32('x', 1, 3, 8, 8)], { size: [0, 5], mode: 'bicubic', antialias: true }],
      [
        'nearest takes one pixel and cannot be antialiased',
        [],
        [f32('x', 1, 3, 8, 8)],
        { size: [4, 5], mode: 'nearest', antialias: true },
      ],
    ],
  },
  solve: {
    fits: [['f32[3,2]', [f32('a', 3, 3), f32('b', 3, 2)], {}]],
    refused: [
      ['[3, 2] is not square', [0], [f32('a', 3, 2), f32('b', 3, 2)], {}],
      ['[3, 3] and [2, 2] have different numbers of rows', [0, 1], [f32('a', 3, 3), f32('b', 2, 2)], {}],
    ],
  },
  aux: {
    fits: [
      ['i32[2,2]', [make('top_k', [f32('x', 2, 3)], { k: 2 })], { output: 'indices' }],
      [
        'f32[1,2,3]',
        [make('attention', [f32('q', 1, 2, 3, 4), f32('k', 1, 2, 5, 4), f32('v', 1, 2, 5, 4)], { scale: 1 })],
        { output: 'lse' },
      ],
    ],
    refused: [
      ['input has no other results, not lse', [0], [f32('x', 2)], { output: 'lse' }],
      [
        'top_k has only indices, not toString',
        [0],
        [make('top_k', [f32('x', 2, 3)], { k: 2 })],
        { output: 'toString' },
      ],
    ],
  },
};

describe.each(OP_NAMES)('%s', (op) => {
  const { fits, refused } = RULES[op];
  const build = (inputs: readonly Value[], attrs: unknown): Value => make<OpName>(op, inputs, attrs as OpAttrs[OpName]);

  test.each(fits)('gives %s', (type, inputs, attrs) => {
    const v = build(inputs, attrs);
    expect(showType(v.type)).toBe(type);
    const cost = (OPS[op].cost as (i: unknown, a: unknown, r: unknown) => { flops: number; bytes: number })(
      inputs.map((x) => x.type),
      attrs,
      v.type,
    );
    expect(cost.flops).toBeGreaterThanOrEqual(0);
    expect(cost.bytes).toBeGreaterThanOrEqual(0);
  });

  test.each(refused)('refuses: %s', (message, operands, inputs, attrs) => {
    let error: unknown;
    try {
      build(inputs, attrs);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ShapeError);
    const refusal = error as ShapeError;
    expect(refusal.message).toBe(`${op}: ${message}`);
    expect(refusal.operands).toEqual(operands);
    expect(refusal.op).toBe(op);
  });
});

test('f16 is a float and does not mix with f32', () => {
  const h = input('h', { dtype: 'f16', shape: [2] });
  expect(showType(make('exp', [h], {}).type)).toBe('f16[2]');
  expect(() => make('add', [h, f32('x', 2)], {})).toThrow('f16[2] and f32[2] have different element types');
});

test('costs of contractions count a multiply-add as two', () => {
  const cost = OPS.linear.cost([f32('x', 7, 3).type, f32('w', 5, 3).type, f32('b', 5).type], {}, f32('y', 7, 5).type);
  expect(cost).toEqual({ flops: 7 * 5 * (2 * 3 + 1), bytes: 4 * (21 + 15 + 5 + 35) });
});

test('an argument has positive sizes', () => {
  expect(() => f32('x', 2, 0)).toThrow(ShapeError);
  expect(() => f32('x', 1.5)).toThrow('not positive');
});
