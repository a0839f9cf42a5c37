/**
 * Contractions: matrix products with whatever the scheduler fused before and after them. One variant for each subgroup size that
 * hardware comes in, one through workgroup memory, and a plain one that runs everywhere; which of them runs is decided where the program is loaded.
 */
import { isBatch } from '../ir/batch.js';
import { contractRegisters } from './contract-registers.js';
import { registerSchedule, SUBGROUP_SIZES, subgroupSchedule, tileSchedule } from './contract-schedules.js';
import { contractSubgroup } from './contract-subgroup.js';
import { contractTile } from './contract-tile.js';
import { BatchInside } from './kernel/expr.js';
import { type ContractProblem, type GeneratedVariant, ofOne } from './problem.js';

/**
 * Workgroup memory pays on hardware: a prior, nobody has measured it. On software drivers it was measured at 57 to 96 % of the plain variant's rate
 * (bench/README.md).
 */
const TILE_RANKS = { rank: 1, softwareRank: -1 } as const;

/**
 * All ways to run a contraction, best first; the last one is portable.
 * @throws RangeError if a dimension is not a positive integer.
 */
export function contractVariants(p: ContractProblem): GeneratedVariant[] {
  for (const [name, size] of Object.entries({ batch: p.batch, m: p.m, n: p.n, k: p.k })) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`contraction with ${name} = ${size}`);
  }
  if (isBatch(p.n)) throw new BatchInside('the columns of a product');
  const one = ofOne(p);
  return [
    ...SUBGROUP_SIZES.map((size) => contractSubgroup(p, subgroupSchedule(one, size), 10)),
    contractTile(p, tileSchedule(one), TILE_RANKS),
    contractRegisters(p, registerSchedule(one), 0),
  ];
}
