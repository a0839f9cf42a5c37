/**
 * Contractions: matrix products with whatever the scheduler fused before and after them. One variant for each subgroup size that
 * hardware comes in, one through workgroup memory, and a plain one that runs everywhere; which of them runs is decided where the program is loaded.
 */
import { isBatch } from '../ir/batch.js';
import { contractRegisters } from './contract-registers.js';
import {
  type RegisterSchedule,
  registerSchedule,
  SUBGROUP_SIZES,
  type SubgroupSchedule,
  subgroupSchedule,
  type TileSchedule,
  tileSchedule,
} from './contract-schedules.js';
import { contractSubgroup } from './contract-subgroup.js';
import { contractTile } from './contract-tile.js';
import { BatchInside } from './kernel/expr.js';
import { type ContractProblem, type GeneratedVariant, ofOne, type Ranks } from './problem.js';

export type ContractSchedule = SubgroupSchedule | TileSchedule | RegisterSchedule;

/** A schedule, and how it stands among others. Data: whoever measures may take another list. */
export interface Candidate extends Ranks {
  readonly schedule: ContractSchedule;
}

/** What a list of candidates can be narrowed by. */
export interface DeviceClass {
  /** Lanes of every subgroup; absent where they vary, or where there are none. */
  readonly subgroupSize?: number;
}

/** Measured on software drivers alone (bench/README.md); on hardware a prior. */
const SUBGROUP_RANKS: Ranks = { rank: 10 };
/** Workgroup memory pays on hardware: a prior, nobody has measured it. On software drivers it makes 57 to 96 % of the plain variant's rate. */
const TILE_RANKS: Ranks = { rank: 1, ranks: { software: -1 } };
const PLAIN_RANKS: Ranks = { rank: 0 };

/**
 * Schedules for a contraction, chosen for one sample of it; the last is portable.
 * @param device Leaves out what is not legal there. Default: those of all devices, as a program holds them
 */
export function contractCandidates(p: ContractProblem, device?: DeviceClass): Candidate[] {
  const one = ofOne(p);
  const sizes = SUBGROUP_SIZES.filter((size) => !device || size === device.subgroupSize);
  return [
    ...sizes.map((size) => ({ schedule: subgroupSchedule(one, size), ...SUBGROUP_RANKS })),
    { schedule: tileSchedule(one), ...TILE_RANKS },
    { schedule: registerSchedule(one), ...PLAIN_RANKS },
  ];
}

/** The contraction by a schedule. */
export function contractVariant(p: ContractProblem, { schedule, ...ranks }: Candidate): GeneratedVariant {
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
 * @throws RangeError if a dimension is not a positive integer; BatchInside where the columns are a multiple of the batch.
 */
export function contractVariants(p: ContractProblem): GeneratedVariant[] {
  for (const [name, size] of Object.entries({ batch: p.batch, m: p.m, n: p.n, k: p.k })) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`contraction with ${name} = ${size}`);
  }
  if (isBatch(p.n)) throw new BatchInside('columns');
  return contractCandidates(p).map((c) => contractVariant(p, c));
}
