/**
 * What the schedule hands to the generators of heavy kernels. Loads and stores are functions that the scheduler made (they hold the fused
 * prologue, epilogue and index maps); loops, tiles, registers and subgroups are the generator's.
 */
import type { Requirements, Workgroups } from '../../runtime/program/program.js';
import { sizeAt } from '../ir/batch.js';
import type { Reach } from './grid.js';
import type { Kernel, KernelFunction } from './kernel/types.js';

/**
 * Which way round an operand lies: the four numbers that one load gives are neighbours along the sum, or along the result (rows of a, columns of
 * b). In x·Wᵀ with row-major W both lie along the sum; in the gradient dyᵀ·x of W both lie along the result.
 */
export type Along = 'sum' | 'result';

/**
 * y[z, row, col] = sum over k of a[z, row, k] * b[z, k, col], for z < batch, row < m, col < n. One of batch, m and k may be a multiple of the
 * run's batch (`size` of kernel/expr.ts).
 *
 * `functions` are
 *   load_a4(z, row, k)         // four of a from row and k on, along the sum or the rows; 0 outside of m and k
 *   load_b4(z, k, col, j)      // of the four by four of b from k and col on, the four columns of input k + j, or the four inputs of column
 *                              // col + j where b lies along the sum; see `readable`
 *   store4(z, row, col, v)     // epilogue and store of four; col is a multiple of 4; called for row < m, col < n
 *                              // (store4 itself drops columns past n when n is not a multiple of 4)
 * The place along which a's four lie is a multiple of 4, and so are k and col for b.
 *
 * Where not all of b is stored (`kept`; buffers/kept.ts), `load_b4` is asked for a place among what is stored, a multiple of TILE_K for each tile, in place of k, and
 * for a column of the strip; k of a is what the list `blocks` says of the tile.
 */
export interface ContractProblem {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Along;
  readonly b: Along;
  /** Ends of the inputs and columns for which `load_b4` may be called, multiples of 4: past k and n it gives any finite number. */
  readonly readable: { readonly k: number; readonly n: number };
  /** What is stored of b: strips of TILE_N columns, each with tiles of its own. Absent: all. */
  readonly kept?: true;
  readonly functions: readonly KernelFunction[];
  readonly reach: Reach;
}

/** A problem as the largest pass has it, in numbers: what schedules are chosen by. */
export function atMost(p: ContractProblem): ContractProblem {
  const size = (of: number): number => sizeAt(of, p.reach.samples);
  return {
    ...p,
    batch: size(p.batch),
    m: size(p.m),
    k: size(p.k),
    readable: { k: size(p.readable.k), n: p.readable.n },
  };
}

/**
 * out[z, row, :] = softmax over j of (q[z,row,:]·k[z,j,:] * scale + bias(z,row,j)) times v[z, j, :], without a score matrix in memory.
 * z runs over batch times heads, which may be a multiple of the run's batch.
 *
 * `functions` are
 *   load_q4(z, row, d), load_k4(z, j, d), load_v4(z, j, e)     // four each
 *   bias(z, row, j)                                            // only if hasBias
 *   store4(z, row, e, v)
 *   store_lse(z, row, v)                                       // only if hasLse
 * d and e are multiples of 4. d is below headDim, and a load gives 0 for the rest of its last four; e may lie past valueDim, where loads
 * give anything.
 */
export interface AttentionProblem {
  readonly batch: number;
  readonly rows: number;
  readonly keys: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly scale: number;
  readonly hasBias: boolean;
  readonly hasLse: boolean;
  readonly functions: readonly KernelFunction[];
  readonly reach: Reach;
}

/** How a way to run a problem stands among others that are legal: the highest runs. */
export interface Ranks {
  readonly rank: number;
  /** On a class of devices (`software`, or a vendor as WebGPU names it), where that differs. */
  readonly ranks?: Readonly<Record<string, number>>;
}

/** One way to run a problem, and how many workgroups. The buffers are those that its functions reach. */
export interface GeneratedVariant extends Ranks {
  readonly name: string;
  readonly requires: Requirements;
  readonly program: Omit<Kernel, 'buffers'>;
  readonly workgroups: Workgroups;
}
