/**
 * How a contraction is cut up, as data. A schedule says which part of y one subgroup or one thread computes; the generators turn
 * it into WGSL, and `chooseTile` picks one for a shape by a small cost model whose constants were fitted to measurements.
 */
import type { ContractProblem } from './problem.js';

/** Each subgroup of exactly `size` lanes computes `rows` x (4 * size * vectors); a workgroup is one subgroup. */
export interface SubgroupSchedule {
  readonly kind: 'subgroup';
  readonly size: number;
  readonly rows: number;
  /** vec4 columns held by each lane. */
  readonly vectors: number;
  /** Inputs taken in one turn of the loop; divides 16. */
  readonly kStep: 4 | 8 | 16;
}

/** Each thread computes `rows` x (4 * vectors) from its own loads; nothing is shared. */
export interface RegisterSchedule {
  readonly kind: 'registers';
  readonly rows: number;
  readonly vectors: number;
  /** Threads of a workgroup along columns and along rows. */
  readonly threads: readonly [number, number];
}

export type ContractSchedule = SubgroupSchedule | RegisterSchedule;

/** Subgroup sizes that a variant is written for. */
export const SUBGROUP_SIZES = [4, 8, 16, 32, 64] as const;

/** What loading one vec4 per lane costs, in vector multiply-adds; software drivers load lane by lane (lavapipe: about 40). */
const LOAD_COST = 40;

/** The subgroup schedule for a shape: the tile with the least work, padding counted. */
export function subgroupSchedule(p: ContractProblem, size: number): SubgroupSchedule {
  // Below that, compiling a large tile on a software driver takes longer than it can ever save, and small tiles keep all cores busy.
  const largest = p.batch * p.m * p.n * p.k < 2 ** 25 ? 8 : 32;
  let best: SubgroupSchedule | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const rows of [1, 2, 4, 8, 16, 24, 32]) {
    // More than 16 rows would need more than one row per lane in registers on wide hardware, where registers are scarce.
    if (rows > Math.min(largest, Math.max(16, 4 * size)) || (rows > 16 && (size > 8 || rows % size !== 0))) continue;
    const perLane = Math.max(1, rows / size);
    const lanesPerRow = Math.min(4, Math.max(1, Math.floor(size / rows)));
    const kStep = (4 * lanesPerRow) as 4 | 8 | 16;
    const tiles = Math.ceil(p.m / rows) * Math.ceil(p.n / (4 * size));
    const perFour = 16 * rows + LOAD_COST * (4 + perLane / lanesPerRow);
    if (tiles * perFour < least) {
      least = tiles * perFour;
      best = { kind: 'subgroup', size, rows, vectors: 1, kStep };
    }
  }
  return best!;
}

/** The portable schedule for a shape. */
export function registerSchedule(p: ContractProblem): RegisterSchedule {
  let best: RegisterSchedule | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const rows of [1, 2, 4, 8]) {
    for (const vectors of [1, 2]) {
      const tiles = Math.ceil(p.m / rows) * Math.ceil(p.n / (4 * vectors));
      const cost = tiles * (16 * rows * vectors + LOAD_COST * (rows + 4 * vectors));
      if (cost < least) {
        least = cost;
        best = { kind: 'registers', rows, vectors, threads: p.m <= rows ? [64, 1] : [8, 8] };
      }
    }
  }
  return best!;
}
