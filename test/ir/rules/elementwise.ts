/** Type rules of values without operands and of operators that compute element by element. */
import { BATCH, showSize } from '../../../src/ir/batch.js';
import { input } from '../../../src/ir/graph.js';
import { bool, f32, i32 } from '../support.js';
import type { Rule } from './rule.js';

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
const rate: Rule = {
  fits: [['f32[2]', [f32('x', 2)], { rate: 0, stream: 4294967295 }]],
  refused: [
    ['rate 1 is not in 0 <= rate < 1', [], [f32('x', 2)], { rate: 1, stream: 0 }],
    ['-1 is no stream (0 to 2^32 - 1)', [], [f32('x', 2)], { rate: 0, stream: -1 }],
  ],
};
const key = input('key', { dtype: 'u32', shape: [2] });
const declared: Rule = { fits: [], refused: [['its type is declared, not inferred', [], [], { name: 'w' }]] };

export const ELEMENTWISE = {
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
} satisfies Readonly<Record<string, Rule>>;
