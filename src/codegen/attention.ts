/**
 * Attention kernels: softmax(q·kᵀ * scale + bias)·v in one pass over the keys, as in FlashAttention (Dao et al. 2022): memory for
 * the score matrix is never taken. One variant for each subgroup size that hardware comes in, and a portable one.
 */
import { isBatch } from '../ir/batch.js';
import { attentionSubgroupSchedule } from './attention-schedules.js';
import { attentionSubgroup } from './attention-subgroup.js';
import { attentionWorkgroup } from './attention-workgroup.js';
import { SUBGROUP_SIZES } from './contract-schedules.js';
import { BatchInside } from './kernel/expr.js';
import type { AttentionProblem, GeneratedVariant } from './problem.js';

/**
 * All ways to run an attention, best first; the last one is portable.
 * @throws RangeError if a dimension is not a positive integer or the scale is not finite; BatchInside where another than the
 * first is a multiple of the batch.
 */
export function attentionVariants(p: AttentionProblem): GeneratedVariant[] {
  const { batch, rows, keys, headDim, valueDim } = p;
  for (const name of ['rows', 'keys', 'headDim', 'valueDim'] as const)
    if (isBatch(p[name])) throw new BatchInside(name);
  for (const [name, size] of Object.entries({ batch, rows, keys, headDim, valueDim })) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`attention with ${name} = ${size}`);
  }
  return [
    ...SUBGROUP_SIZES.map((size) => attentionSubgroup(p, attentionSubgroupSchedule(p, size), 10)),
    attentionWorkgroup(p, 0),
  ];
}
