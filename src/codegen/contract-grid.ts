/** Where a workgroup of a contraction stands: which batch and which rows, also when the rows have more tiles than one dimension counts. */

/** What WebGPU guarantees for each dimension of a dispatch. */
const MOST = 65535;

export interface RowGrid {
  /** Workgroups along the second and third dimension. */
  readonly counts: readonly [y: number, z: number];
  /** WGSL for the batch and for the row tile, counted in what `position` counts. */
  readonly batch: string;
  readonly tile: string;
  /** There are tiles past the last row. */
  readonly partial: boolean;
}

/**
 * @param tiles row tiles of a workgroup each
 * @param position WGSL name of the workgroup's, or the invocation's, place in the grid
 * @param each places along the second dimension in a workgroup
 */
export function rowGrid(tiles: number, batch: number, position: string, each = 1): RowGrid {
  const folds = Math.ceil(tiles / MOST);
  if (folds === 1) {
    return { counts: [tiles, batch], batch: `${position}.z`, tile: `${position}.y`, partial: false };
  }
  const y = Math.ceil(tiles / folds);
  return {
    counts: [y, batch * folds],
    batch: `${position}.z % ${batch}u`,
    tile: `(${position}.z / ${batch}u * ${y * each}u + ${position}.y)`,
    partial: y * folds > tiles,
  };
}
