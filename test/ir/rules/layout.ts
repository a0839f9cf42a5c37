/** Type rules of operators that move elements, sort them or add them up where they come together. */
import { BATCH } from '../../../src/ir/batch.js';
import { bool, f32, i32 } from '../support.js';
import type { Rule } from './rule.js';

export const LAYOUT = {
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
} satisfies Readonly<Record<string, Rule>>;
