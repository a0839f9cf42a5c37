/** How attention is cut up, as data; the generators turn a schedule into WGSL. */
import { sizeAt } from '../../ir/batch.js';
import type { AttentionProblem } from '../problem.js';

/**
 * Each subgroup of exactly `size` lanes takes `rows` queries through all keys, 4 * size keys at a time.
 * For scores a lane owns keys, for the output it owns columns of the values.
 */
export interface AttentionSubgroupSchedule {
  readonly kind: 'subgroup';
  readonly size: number;
  readonly rows: number;
  /** Inputs of the head taken in one turn of the score loop: 4 for each of the size / rows lanes that can share a query, or 4. Divides the head, rounded up to 4. */
  readonly dStep: number;
  /** vec4 columns of the output held by each lane. */
  readonly vectors: number;
  /** Groups of lanes that hold the same columns and take different keys; more than 1 where a head is narrower than a subgroup. */
  readonly groups: number;
}

/**
 * A workgroup takes `rows` queries through all keys, 4 * across keys at a time: each thread four of the queries, and of each block four keys for
 * scores and four columns for the output. What they share passes through workgroup memory.
 */
export interface AttentionWorkgroupSchedule {
  readonly kind: 'workgroup';
  /** A multiple of 4. */
  readonly rows: number;
  /** Threads that share four queries. */
  readonly across: number;
}

export type AttentionSchedule = AttentionSubgroupSchedule | AttentionWorkgroupSchedule;

/** The portable schedule: 64 threads, and 5 KiB of workgroup memory. */
export const ATTENTION_WORKGROUP: AttentionWorkgroupSchedule = { kind: 'workgroup', rows: 16, across: 16 };

export function attentionSubgroupSchedule(p: AttentionProblem, size: number): AttentionSubgroupSchedule {
  const lanes = Math.ceil(p.valueDim / 4);
  // Sixteen queries read keys and values half as often, but software drivers take several times as long to compile the kernel.
  const wanted =
    sizeAt(p.batch, p.reach.samples) * p.rows * p.keys * (p.headDim + p.valueDim) >= 1e9 && size >= 8 && size < 32
      ? 16
      : 8;
  const rows = Math.min(wanted, 2 ** Math.ceil(Math.log2(p.rows)));
  let perQuery = Math.min(4, Math.max(1, Math.floor(size / rows)));
  // A turn must not reach past the head: what lies there is the next row.
  while (Math.ceil(p.headDim / 4) % perQuery !== 0) perQuery--;
  let groups = 1;
  while (groups * 2 * lanes <= size) groups *= 2;
  // Columns of a group must be a power of two apart for the exchange at the end.
  while (groups > 1 && 2 ** Math.ceil(Math.log2(lanes)) * groups > size) groups /= 2;
  return {
    kind: 'subgroup',
    size,
    rows,
    dStep: 4 * perQuery,
    vectors: groups > 1 ? 1 : Math.ceil(lanes / size),
    groups,
  };
}
