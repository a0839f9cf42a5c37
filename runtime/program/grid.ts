/** How many workgroups a dispatch has, for a number of samples. */
import type { Tiles, Workgroups } from './program.js';

function tilesAt(tiles: Tiles, samples: number): number {
  return typeof tiles === 'number' ? tiles : Math.ceil((tiles.samples * samples) / tiles.by);
}

/** Along x, y and z. A folded row may hold a few more than there are tiles; its kernels store nothing for those. */
export function workgroupsAt({ tiles, most }: Workgroups, samples: number): [number, number, number] {
  const [x, y, z] = tiles.map((t) => tilesAt(t, samples)) as [number, number, number];
  if (most === undefined) return [x, y, z];
  const all = x * y * z;
  const rows = Math.ceil(all / most);
  const planes = Math.ceil(rows / most);
  const down = Math.ceil(rows / planes);
  return [Math.ceil(all / (down * planes)), down, planes];
}
