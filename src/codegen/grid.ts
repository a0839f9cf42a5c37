/**
 * Where a workgroup stands. A dispatch counts workgroups in three dimensions, and no further than a limit along each; work that has
 * more tiles than that along one of them is counted in one row over all three.
 */

import type { Tiles, Workgroups } from '../../runtime/program/program.js';
import { isBatch, perSample, sizeAt } from '../ir/batch.js';
import type { Body } from './kernel/body.js';
import { add, component, div, last, lt, min, mul, name, rem, size, u32, uint } from './kernel/expr.js';
import type { Expr, Kernel, Type } from './kernel/types.js';

const PLACE: Type = { scalar: 'u32', lanes: 3 };

/** Parts of `by` that cover a size, which may be a multiple of the batch. */
export interface Parts {
  readonly of: number;
  readonly by: number;
}

export const parts = (of: number, by: number): Parts => ({ of, by });
const partsAt = ({ of, by }: Parts, samples: number): number => Math.ceil(sizeAt(of, samples) / by);
const tilesOf = ({ of, by }: Parts): Tiles => (isBatch(of) ? { samples: perSample(of), by } : Math.ceil(of / by));

/** How far a dispatch may count: samples that there are at most, and workgroups along a dimension. */
export interface Reach {
  readonly samples: number;
  readonly maxWorkgroups: number;
}

/** The builtin input that a workgroup's number in a folded row is computed from. */
const FOLDED: Kernel['inputs'] = [{ name: 'groups', builtin: 'num_workgroups' }];

/** The number of a workgroup in a row that is folded over three dimensions: x fastest. */
function numberInRow(id: string): Expr {
  const [x, y, z] = [0, 1, 2].map((axis) => component(name(id, PLACE), axis)) as [Expr, Expr, Expr];
  const [across, down] = [0, 1].map((axis) => component(name('groups', PLACE), axis)) as [Expr, Expr];
  return add(mul(add(mul(z, down), y), across), x);
}

export interface Row {
  readonly workgroups: Workgroups;
  /** The workgroup's number. The last ones can lie past the end. */
  readonly number: Expr;
  /** What the kernel has to be told for that, beside its place. */
  readonly inputs: Kernel['inputs'];
  /** It is folded over three dimensions, so that whole workgroups can lie past the end. */
  readonly folded: boolean;
}

/**
 * Workgroups in a row, folded where one dimension does not count so far.
 * @param id Name of `workgroup_id`
 * @throws RangeError for more than maxWorkgroups³ workgroups, which no tensor has: at 65,535 that is 2^48.
 */
export function inRow(groups: Parts, { samples, maxWorkgroups }: Reach, id: string): Row {
  const most = partsAt(groups, samples);
  if (most > maxWorkgroups ** 3)
    throw new RangeError(`${most} workgroups with at most ${maxWorkgroups} along a dimension`);
  const tiles: Workgroups['tiles'] = [tilesOf(groups), 1, 1];
  if (most <= maxWorkgroups) {
    return { workgroups: { tiles }, number: component(name(id, PLACE), 0), inputs: [], folded: false };
  }
  return { workgroups: { tiles, most: maxWorkgroups }, number: numberInRow(id), inputs: FOLDED, folded: true };
}

/** Tiles of a matrix product or of attention: the place of the workgroup `group` among them. */
export interface Grid {
  readonly workgroups: Workgroups;
  /** Numbers of the tile along columns and rows, and of its batch. */
  readonly column: Expr;
  readonly row: Expr;
  readonly batch: Expr;
  /** They are counted in one row, and the number of the workgroup in it is called `tile`. */
  readonly folded?: Expr;
  /** What the kernel has to be told for that, beside its place. */
  readonly inputs: Kernel['inputs'];
  /** There are workgroups that lie past the last one along this. All their lanes go along, and store nothing. */
  readonly past?: 'row' | 'batch';
}

/** @param columns a number, never a multiple of the batch; at most one of the others is */
export function tileGrid(columns: number, rows: Parts, batch: Parts, { samples, maxWorkgroups }: Reach): Grid {
  const tiles: Workgroups['tiles'] = [columns, tilesOf(rows), tilesOf(batch)];
  const [down, deep] = [partsAt(rows, samples), partsAt(batch, samples)];
  if (Math.max(columns, down, deep) <= maxWorkgroups) {
    const [column, row, z] = [0, 1, 2].map((axis) => component(name('group', PLACE), axis)) as [Expr, Expr, Expr];
    return { workgroups: { tiles }, column, row, batch: z, inputs: [] };
  }
  const tile = uint('tile');
  const common = {
    workgroups: { tiles, most: maxWorkgroups },
    column: rem(tile, u32(columns)),
    folded: numberInRow('group'),
    inputs: FOLDED,
  };
  const left = div(tile, u32(columns));
  // What the batch multiplies is counted outermost, where no width of it is needed.
  if (isBatch(rows.of)) {
    if (deep === 1) return { ...common, row: left, batch: u32(0), past: 'row' };
    return { ...common, row: div(left, u32(deep)), batch: rem(left, u32(deep)), past: 'row' };
  }
  return { ...common, row: rem(left, u32(down)), batch: div(tile, u32(columns * down)), past: 'batch' };
}

/**
 * Names the tile's number where tiles are counted in one row, and gives where loops start: 0, or, where they are to stay `rolled`, a zero that no
 * compiler knows. Mesa unrolls what is short and turns at most 32 times, or as often as an array has elements that it goes through; LLVM then
 * compiles for many times as long, and what it makes of all the copies is slower too. Hardware's compilers know better, nobody has measured them:
 * only the variants that software drivers run are rolled.
 * @param place Of the workgroup along x, or of the thread where a workgroup has `across` of them along x
 */
export function startTile(
  b: Body,
  grid: Grid,
  { maxWorkgroups }: Reach,
  rolled: boolean,
  place: Expr = component(name('group', PLACE), 0),
  across = 1,
): Expr {
  if (grid.folded) b.named('tile', grid.folded);
  return rolled ? b.named('zero', div(place, u32(maxWorkgroups * across))) : u32(0);
}

/**
 * Names the tile's place `z` among `count`. Where workgroups lie past the last one they do that one again, since all lanes have to go along,
 * and `inside` says who may store.
 */
export function startBatch(
  b: Body,
  place: Expr,
  count: number,
  past: boolean,
): { readonly z: Expr; readonly inside: readonly Expr[] } {
  if (!past) return { z: b.named('z', place), inside: [] };
  const own = b.named('own_z', place);
  return { z: b.named('z', min(own, last(count))), inside: [lt(own, size(count))] };
}
