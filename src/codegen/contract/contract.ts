/**
 * Contractions: matrix products with whatever the scheduler fused before and after them. One variant for each subgroup size that
 * hardware comes in, one through workgroup memory, and a plain one that runs everywhere; which of them runs is decided where the program is loaded.
 */
import { isBatch } from '../../ir/batch.js';
import { type Candidate, type DeviceClass, RANKS, subgroupSizes } from '../candidates.js';
import { BatchInside } from '../kernel/inside.js';
import { atMost, type ContractProblem, type GeneratedVariant } from '../problem.js';
import { contractRegisters } from './registers.js';
import {
  holdsTiles,
  type RegisterSchedule,
  registerSchedule,
  type SubgroupSchedule,
  subgroupSchedule,
  type TileSchedule,
  tileSchedule,
} from './schedules.js';
import { contractSubgroup } from './subgroup.js';
import { contractTile } from './workgroup.js';

export type ContractSchedule = SubgroupSchedule | TileSchedule | RegisterSchedule;

/**
 * Schedules for a contraction, chosen for the largest pass; the last is portable.
 * @param device Leaves out what is not legal there. Default: those of all devices, as a program holds them
 */
export function contractCandidates(p: ContractProblem, device?: DeviceClass): Candidate<ContractSchedule>[] {
  const whole = atMost(p);
  return [
    ...subgroupSizes(device)
      .filter((size) => holdsTiles(whole, size))
      .map((size) => ({ schedule: subgroupSchedule(whole, size), ...RANKS.subgroup })),
    { schedule: tileSchedule(whole), ...RANKS.tile },
    { schedule: registerSchedule(whole), ...RANKS.portable },
  ];
}

/** The contraction by a schedule. */
export function contractVariant(
  p: ContractProblem,
  { schedule, ...ranks }: Candidate<ContractSchedule>,
): GeneratedVariant {
  switch (schedule.kind) {
    case 'subgroup':
      return contractSubgroup(p, schedule, ranks);
    case 'tile':
      return contractTile(p, schedule, ranks);
    case 'registers':
      return contractRegisters(p, schedule, ranks);
  }
}

/**
 * All ways to run a contraction, by `contractCandidates`; the last one is portable.
 * @param device As there
 * @throws RangeError if a dimension is not a positive integer; BatchInside where the columns are a multiple of the batch.
 */
export function contractVariants(p: ContractProblem, device?: DeviceClass): GeneratedVariant[] {
  for (const [name, size] of Object.entries({ batch: p.batch, m: p.m, n: p.n, k: p.k })) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`contraction with ${name} = ${size}`);
  }
  if (isBatch(p.n)) throw new BatchInside('columns');
  return contractCandidates(p, device).map((c) => contractVariant(p, c));
}
