/**
 * How a contraction is cut up, as data. A schedule says which part of y one subgroup or one thread computes; the generators turn
 * it into WGSL; which one a shape gets is decided by a small cost model whose constant was fitted to measurements.
 */
import { TILE_N } from '../buffers/layout.js';
import type { Along, ContractProblem } from '../problem.js';

/** Each subgroup of exactly `size` lanes computes `rows` x (4 * size * vectors); a workgroup is one subgroup. */
export interface SubgroupSchedule {
  readonly kind: 'subgroup';
  readonly size: number;
  readonly rows: number;
  /** vec4 columns held by each lane. */
  readonly vectors: number;
  /** Inputs taken in one turn of the loop; divides 16. */
  readonly kStep: 4 | 8 | 16;
  /**
   * Order of the multiply-adds of one turn: `row` keeps a row's accumulators in machine registers for all inputs (right for
   * compilers that schedule well), `input` keeps a row of b there and loads it last (right for SwiftShader's).
   */
  readonly order: 'row' | 'input';
}

/** Each thread computes `rows` x (4 * vectors) from its own loads; nothing is shared. */
export interface RegisterSchedule {
  readonly kind: 'registers';
  readonly rows: number;
  readonly vectors: number;
  /** Threads of a workgroup along columns and along rows. */
  readonly threads: readonly [number, number];
}

/**
 * A workgroup computes a tile together: each thread `rows` x (4 * vectors), from blocks of `kStep` inputs that all load into workgroup
 * memory.
 */
export interface TileSchedule {
  readonly kind: 'tile';
  readonly rows: number;
  readonly vectors: number;
  /** Threads of a workgroup along columns and along rows. */
  readonly threads: readonly [number, number];
  /** Inputs taken in one turn of the loop; divides 16. */
  readonly kStep: 8 | 16;
}

/** Subgroup sizes that a variant is written for. */
export const SUBGROUP_SIZES = [4, 8, 16, 32, 64, 128] as const;

/** Subgroups that software drivers have (SwiftShader 4, lavapipe 4 and 8); 8 exist in hardware too. */
export const inSoftware = (size: number): boolean => size <= 8;

/** What loading one vec4 per lane costs, in vector multiply-adds; software drivers load lane by lane (lavapipe: about 40). */
const LOAD_COST = 40;

/**
 * The tallest tile worth compiling. Taller ones load less, but a software driver takes seconds to compile them: for small problems
 * that never pays, and several small tiles keep all cores busy. Subgroups of 4 exist in software only, where 8 rows are measured
 * best; wide subgroups belong to GPUs, whose registers hold 16 rows of vec4.
 */
function tallest(p: ContractProblem, size: number): number {
  if (size === 4) return 8;
  const work = p.batch * p.m * p.n * p.k;
  if (work < 2 ** 25) return 8;
  return work < 2 ** 27 || size > 8 ? 16 : 32;
}

/**
 * How many inputs the lanes of a subgroup hold of a block of a when each has loaded as often as it must, and how many loads of a lane that makes
 * for four inputs.
 */
function shared(a: Along, rows: number, size: number): { kStep: 4 | 8 | 16; loads: number } {
  const minors = a === 'sum' ? rows : rows / 4;
  // Lanes that hold the same rows take different inputs: four of them each, or one.
  const together = Math.max(1, Math.floor(size / minors));
  const kStep = Math.min(16, Math.max(4, a === 'sum' ? 4 * together : together)) as 4 | 8 | 16;
  const majors = a === 'sum' ? kStep / 4 : kStep;
  return { kStep, loads: Math.max(majors / together, (majors * minors) / size, 1) / (kStep / 4) };
}

/** The subgroup schedule for a shape: the tile with the least work, padding counted. */
export function subgroupSchedule(p: ContractProblem, size: number): SubgroupSchedule {
  const vectors = vectorsOf(p, size);
  let best: SubgroupSchedule | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const rows of p.a === 'sum' ? [1, 2, 4, 8, 16, 24, 32] : [4, 8, 16, 32]) {
    if (rows > tallest(p, size)) break;
    const { kStep, loads } = shared(p.a, rows, size);
    const work = 16 * rows * vectors + LOAD_COST * (4 * vectors + loads);
    const cost = Math.ceil(p.m / rows) * Math.ceil(p.n / (4 * size * vectors)) * work;
    if (cost >= least) continue;
    least = cost;
    best = { kind: 'subgroup', size, rows, vectors, kStep, order: size === 4 ? 'input' : 'row' };
  }
  return best!;
}

/** Vectors of a lane: one, or as many as make the columns of a strip where b is stored by strips. */
const vectorsOf = (p: ContractProblem, size: number): number => (p.kept ? TILE_N / (4 * size) : 1);

/** Sizes of subgroups whose lanes hold whole columns of a problem's tiles. */
export const holdsTiles = (p: ContractProblem, size: number): boolean => !p.kept || 4 * size <= TILE_N;

/** What reading a vec4 of workgroup memory costs, in vector multiply-adds. Nobody has measured it on hardware: a prior. */
const SHARED_COST = 4;

/** The tile schedule for a shape: the tile with the least work, padding counted. */
export function tileSchedule(p: ContractProblem): TileSchedule {
  let best: TileSchedule | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const rows of [1, 2, 4, 8].filter((r) => p.a === 'sum' || r % 4 === 0)) {
    for (const vectors of p.kept ? [TILE_N / 32] : [1, 2]) {
      const tiles = Math.ceil(p.m / (8 * rows)) * Math.ceil(p.n / (32 * vectors));
      // For four inputs, by each thread: its share of the blocks' loads, its reads of them, its multiply-adds.
      const cost =
        tiles * ((LOAD_COST * (rows + 4 * vectors)) / 8 + SHARED_COST * (rows + 4 * vectors) + 16 * rows * vectors);
      if (cost >= least) continue;
      least = cost;
      best = { kind: 'tile', rows, vectors, threads: [8, 8], kStep: 16 };
    }
  }
  return best!;
}

/** The portable schedule for a shape. */
export function registerSchedule(p: ContractProblem): RegisterSchedule {
  let best: RegisterSchedule | undefined;
  let least = Number.POSITIVE_INFINITY;
  // Eight rows by eight columns load least; software drivers gain nothing by it and take twice as long to compile it.
  const large = p.batch * p.m * p.n * p.k >= 2 ** 25;
  for (const rows of [1, 2, 4, ...(large ? [8] : [])].filter((r) => p.a === 'sum' || r % 4 === 0)) {
    for (const vectors of p.kept ? [TILE_N / 32] : large ? [1, 2] : [1]) {
      const tiles = Math.ceil(p.m / rows) * Math.ceil(p.n / (4 * vectors));
      const cost = tiles * (16 * rows * vectors + LOAD_COST * (rows + 4 * vectors));
      if (cost < least) {
        least = cost;
        // Threads along a strip's columns, where b is stored by strips, see the same tiles.
        best = { kind: 'registers', rows, vectors, threads: p.m > rows ? [8, 8] : p.kept ? [8, 1] : [64, 1] };
      }
    }
  }
  return best!;
}
