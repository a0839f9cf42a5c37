/**
 * Ways to run a problem, as data: a schedule, and how it stands among others. Every kind of kernel lists its own (`contractCandidates`,
 * `attentionCandidates`, `reduceCandidates`) and builds a kernel from any, so whoever measures can take another list.
 */
import type { Requirements } from '../../runtime/program/program.js';
import { SUBGROUP_SIZES } from './contract/schedules.js';
import type { Ranks } from './problem.js';

export interface Candidate<Schedule> extends Ranks {
  readonly schedule: Schedule;
}

/** What a list of candidates can be narrowed by. */
export interface DeviceClass {
  /** Lanes of every subgroup; absent where they vary, or where there are none. */
  readonly subgroupSize?: number;
}

/**
 * How ways to run a problem stand. On software drivers all of these are measured (bench/README.md). On hardware they are a prior: on the one card where
 * three shapes were timed, tiles are ahead in the large ones, and no whole model was timed with them.
 */
export const RANKS = {
  /** Lanes exchange what they loaded. */
  subgroup: { rank: 10 },
  /**
   * Products whose threads load blocks together: workgroup memory pays on hardware. On software drivers it makes 57 to 96 % of the plain variant's
   * rate.
   */
  tile: { rank: 1, ranks: { software: -1 } },
  /** Runs everywhere. */
  portable: { rank: 0 },
} as const satisfies Readonly<Record<string, Ranks>>;

/** Sizes of subgroups that a device can have. Default: those of all devices, as a program holds them */
export function subgroupSizes(device?: DeviceClass): readonly number[] {
  return SUBGROUP_SIZES.filter((size) => !device || size === device.subgroupSize);
}

/** What a variant for subgroups of a size asks of a device. */
export const needsSubgroups = (size: number): Requirements => ({ features: ['subgroups'], subgroupSize: size });
