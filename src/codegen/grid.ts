/**
 * Where a workgroup stands. A dispatch counts workgroups in three dimensions, and no further than a limit along each; work that has
 * more tiles than that along one of them is counted in one row over all three.
 */

import type { Body } from './kernel/body.js';
import { add, component, div, mul, name, rem, u32, uint } from './kernel/expr.js';
import type { Expr, Type } from './kernel/types.js';

const PLACE: Type = { scalar: 'u32', lanes: 3 };

/** What WebGPU guarantees for each dimension of a dispatch. */
export const MOST_WORKGROUPS = 65535;

export interface Row {
  readonly counts: readonly [number, number, number];
  /** The workgroup's number. The last ones can lie past the end. */
  readonly number: Expr;
}

/**
 * Workgroups in a row, folded so that no dimension counts more than `most`.
 * @param id Name of `workgroup_id`
 * @throws RangeError for more than most³ workgroups, which no tensor has: at 65,535 that is 2^48.
 */
export function inRow(groups: number, most: number, id: string): Row {
  const rows = Math.ceil(groups / most);
  const planes = Math.ceil(rows / most);
  if (planes > most) throw new RangeError(`${groups} workgroups with at most ${most} along a dimension`);
  const y = Math.ceil(rows / planes);
  const x = Math.ceil(groups / (y * planes));
  const at = (axis: number): Expr => component(name(id, PLACE), axis);
  const row = planes > 1 ? add(mul(at(2), u32(y)), at(1)) : at(1);
  return { counts: [x, y, planes], number: rows > 1 ? add(mul(row, u32(x)), at(0)) : at(0) };
}

/** Tiles of a matrix product or of attention: the place of the workgroup `group` among them. */
export interface Grid {
  readonly counts: readonly [number, number, number];
  /** Numbers of the tile along columns and rows, and of its batch. */
  readonly column: Expr;
  readonly row: Expr;
  readonly batch: Expr;
  /** They are counted in one row, and the number of the workgroup in it is called `tile`. */
  readonly folded?: Expr;
  /** There are workgroups whose batch lies past the last one. All their lanes go along, and store nothing. */
  readonly partial: boolean;
}

export function tileGrid(columns: number, rows: number, batch: number, most: number): Grid {
  if (Math.max(columns, rows, batch) <= most) {
    const [column, row, z] = [0, 1, 2].map((axis) => component(name('group', PLACE), axis)) as [Expr, Expr, Expr];
    return { counts: [columns, rows, batch], column, row, batch: z, partial: false };
  }
  const all = columns * rows * batch;
  const { counts, number } = inRow(all, most, 'group');
  const tile = uint('tile');
  return {
    counts,
    column: rem(tile, u32(columns)),
    row: rem(div(tile, u32(columns)), u32(rows)),
    batch: div(tile, u32(columns * rows)),
    folded: number,
    partial: counts[0] * counts[1] * counts[2] > all,
  };
}

/** Names the tile's number where tiles are counted in one row. */
export function startTile(b: Body, grid: Grid): void {
  if (grid.folded) b.named('tile', grid.folded);
}
