/** Type rules of reductions, products, norms, attention and what is read of these beside their result. */
import { make } from '../../../src/ir/graph.js';
import { f32 } from '../support.js';
import type { Rule } from './rule.js';

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
const conv = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };

export const CONTRACTIONS = {
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
} satisfies Readonly<Record<string, Rule>>;
