/** The table of operators that can be computed where they are read. Null: the operator always has a kernel and a buffer of its own. */
import { LAYOUT } from './layout.js';
import { LOOPS } from './loops.js';
import { POINTWISE } from './pointwise.js';
import type { InlineRules } from './reader.js';

export const RULES: InlineRules = {
  ...POINTWISE,
  ...LAYOUT,
  ...LOOPS,
  param: null,
  input: null,
  reduce_sum: null,
  reduce_mean: null,
  reduce_max: null,
  argmax: null,
  matmul: null,
  linear: null,
  softmax: null,
  layer_norm: null,
  attention: null,
  // Lowered to others before fusion (lower.ts), or refused there.
  batch_norm: null,
  group_norm: null,
  resize: null,
  solve: null,
};
