/**
 * How threads share the rows of a reduction, as data, and the code that depends on it: where a thread stands, and how the threads of a row fold what
 * each of them has, in workgroup memory or through the subgroup.
 */
import { type Candidate, type DeviceClass, RANKS, subgroupSizes } from '../candidates.js';
import type { Body } from '../kernel/body.js';
import { add, binary, collective, div, item, last, lt, min, mul, rem, size, sub, u32, uint } from '../kernel/expr.js';
import type { Expr, Kernel, Type } from '../kernel/types.js';
import { TILE_AND_THREAD } from '../kernel.js';
import { folded, type Pass } from './rows.js';

/** A workgroup of rows * perRow threads takes so many rows at a time; one for subgroups is one of exactly `perRow` lanes. */
export interface ReduceSchedule {
  readonly kind: 'subgroup' | 'workgroup';
  /** Threads that share a row: a power of two. */
  readonly perRow: number;
  /** Rows of a workgroup; 1 for subgroups. */
  readonly rows: number;
}

export interface ReduceProblem {
  /** Elements of a row. */
  readonly length: number;
  /** Neighbours in a row are neighbours in memory. */
  readonly inner: boolean;
}

const THREADS = 64;

/**
 * Schedules for a reduction, widest subgroups first; the last is portable. Neighbouring threads should read neighbouring elements: along the row if
 * these are neighbours, else across rows.
 * @param device Leaves out what is not legal there. Default: those of all devices, as a program holds them
 */
export function reduceCandidates({ length, inner }: ReduceProblem, device?: DeviceClass): Candidate<ReduceSchedule>[] {
  const steps = length % 4 === 0 ? length / 4 : length;
  const perRow = !inner || steps < 8 ? 1 : steps < 64 ? 16 : 64;
  const sizes = perRow === 1 ? [] : subgroupSizes(device).filter((lanes) => lanes <= 2 * steps);
  return [
    ...sizes
      .map((lanes) => ({ schedule: { kind: 'subgroup', perRow: lanes, rows: 1 } as const, ...RANKS.subgroup }))
      .reverse(),
    { schedule: { kind: 'workgroup', perRow, rows: THREADS / perRow }, ...RANKS.portable },
  ];
}

const TILE_AND_PART: Kernel['inputs'] = [
  { name: 'tile', builtin: 'workgroup_id' },
  { name: 'part', builtin: 'subgroup_invocation_id' },
];

/**
 * Names `row`, and `part` where threads share one. Threads past the last row do the last one again where others wait for them, and store
 * nothing.
 */
export function place(b: Body, s: ReduceSchedule, workgroup: Expr, turns: number): void {
  if (s.perRow === 1) {
    b.named('row', add(mul(workgroup, u32(s.rows)), uint('thread')));
    b.if(binary('>=', uint('row'), size(turns)), () => b.return());
    return;
  }
  b.named(
    'real',
    s.kind === 'subgroup' ? workgroup : add(mul(workgroup, u32(s.rows)), div(uint('thread'), u32(s.perRow))),
  );
  b.named('row', min(uint('real'), last(turns)));
  if (s.kind === 'workgroup') b.named('part', rem(uint('thread'), u32(s.perRow)));
}

/** What a thread is told of its place. */
export const placeInputs = (s: ReduceSchedule): Kernel['inputs'] =>
  s.kind === 'subgroup' ? TILE_AND_PART : TILE_AND_THREAD;

/** Workgroup memory in which the passes are folded. */
export function shared(s: ReduceSchedule, passes: readonly Pass[]): Kernel['shared'] {
  const types = new Set(s.perRow > 1 && s.kind === 'workgroup' ? passes.map((p) => p.type) : []);
  const count = s.rows * s.perRow;
  return [...types].map((t) => ({ name: `shared_${t}`, type: { scalar: t, lanes: 1 }, count }));
}

/** One number from what each of the row's threads has. */
export function share(b: Body, pass: Pass, own: Expr, s: ReduceSchedule): Expr {
  if (s.perRow === 1) return own;
  if (s.kind === 'subgroup') return b.let(collective(pass.fold === 'sum' ? 'add' : pass.fold, own));
  const memory = `shared_${pass.type}`;
  const type: Type = { scalar: pass.type, lanes: 1 };
  const [thread, part] = [uint('thread'), uint('part')];
  b.put(memory, thread, own);
  b.barrier();
  for (let half = s.perRow / 2; half >= 1; half /= 2) {
    b.if(lt(part, u32(half)), () =>
      b.put(memory, thread, folded(pass, item(memory, type, thread), item(memory, type, add(thread, u32(half))))),
    );
    b.barrier();
  }
  const total = b.let(item(memory, type, sub(thread, part)));
  b.barrier();
  return total;
}
