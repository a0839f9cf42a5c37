/**
 * Attention kernels: softmax(q·kᵀ * scale + bias)·v in one pass over the keys, as in FlashAttention (Dao et al. 2022): memory for
 * the score matrix is never taken. One variant for each subgroup size that hardware comes in, and a portable one.
 */
import { isBatch } from '../../ir/batch.js';
import { type Candidate, type DeviceClass, RANKS, subgroupSizes } from '../candidates.js';
import { BatchInside } from '../kernel/inside.js';
import type { AttentionProblem, GeneratedVariant } from '../problem.js';
import { ATTENTION_WORKGROUP, type AttentionSchedule, attentionSubgroupSchedule } from './schedules.js';
import { attentionSubgroup } from './subgroup.js';
import { attentionWorkgroup } from './workgroup.js';

/**
 * Schedules for an attention, chosen for the largest pass; the last is portable.
 * @param device Leaves out what is not legal there. Default: those of all devices, as a program holds them
 */
export function attentionCandidates(p: AttentionProblem, device?: DeviceClass): Candidate<AttentionSchedule>[] {
  return [
    ...subgroupSizes(device).map((size) => ({ schedule: attentionSubgroupSchedule(p, size), ...RANKS.subgroup })),
    { schedule: ATTENTION_WORKGROUP, ...RANKS.portable },
  ];
}

/** The attention by a schedule. */
export function attentionVariant(
  p: AttentionProblem,
  { schedule, ...ranks }: Candidate<AttentionSchedule>,
): GeneratedVariant {
  return schedule.kind === 'subgroup' ? attentionSubgroup(p, schedule, ranks) : attentionWorkgroup(p, schedule, ranks);
}

/**
 * All ways to run an attention, by `attentionCandidates`; the last one is portable.
 * @param device As there
 * @throws RangeError if a dimension is not a positive integer or the scale is not finite; BatchInside where another than the
 * first is a multiple of the batch.
 */
export function attentionVariants(p: AttentionProblem, device?: DeviceClass): GeneratedVariant[] {
  const { batch, rows, keys, headDim, valueDim } = p;
  for (const name of ['rows', 'keys', 'headDim', 'valueDim'] as const)
    if (isBatch(p[name])) throw new BatchInside(name);
  for (const [name, size] of Object.entries({ batch, rows, keys, headDim, valueDim })) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`attention with ${name} = ${size}`);
  }
  return attentionCandidates(p, device).map((c) => attentionVariant(p, c));
}
