/**
 * Where a workgroup stands. A dispatch counts workgroups in three dimensions, and no further than a limit along each; work that has
 * more tiles than that along one of them is counted in one row over all three.
 */

/** What WebGPU guarantees for each dimension of a dispatch. */
export const MOST_WORKGROUPS = 65535;

export interface Row {
  readonly counts: readonly [number, number, number];
  /** WGSL for the workgroup's number. The last ones can lie past the end. */
  readonly number: string;
}

/**
 * Workgroups in a row, folded so that no dimension counts more than `most`.
 * @param id WGSL name of `workgroup_id`
 * @throws RangeError for more than most³ workgroups, which no tensor has: at 65,535 that is 2^48.
 */
export function inRow(groups: number, most: number, id: string): Row {
  const rows = Math.ceil(groups / most);
  const planes = Math.ceil(rows / most);
  if (planes > most) throw new RangeError(`${groups} workgroups with at most ${most} along a dimension`);
  const y = Math.ceil(rows / planes);
  const x = Math.ceil(groups / (y * planes));
  const row = planes > 1 ? `(${id}.z * ${y}u + ${id}.y)` : `${id}.y`;
  return { counts: [x, y, planes], number: rows > 1 ? `(${row} * ${x}u + ${id}.x)` : `${id}.x` };
}

/** Tiles of a matrix product or of attention: WGSL for the place of the workgroup `group` among them. */
export interface Grid {
  readonly counts: readonly [number, number, number];
  /** Statements that the three expressions need. */
  readonly lines: readonly string[];
  readonly column: string;
  readonly row: string;
  readonly batch: string;
  /** They are counted in one row. */
  readonly folded: boolean;
  /** There are workgroups whose batch lies past the last one. All their lanes go along, and store nothing. */
  readonly partial: boolean;
}

export function tileGrid(columns: number, rows: number, batch: number, most: number): Grid {
  if (Math.max(columns, rows, batch) <= most) {
    const own = { column: 'group.x', row: 'group.y', batch: 'group.z' };
    return { counts: [columns, rows, batch], lines: [], ...own, folded: false, partial: false };
  }
  const all = columns * rows * batch;
  const { counts, number } = inRow(all, most, 'group');
  return {
    counts,
    lines: [`let tile = ${number};`],
    column: `tile % ${columns}u`,
    row: `tile / ${columns}u % ${rows}u`,
    batch: `tile / ${columns * rows}u`,
    folded: true,
    partial: counts[0] * counts[1] * counts[2] > all,
  };
}
