/** Data sets of points as files of a new folder: what they open as, and what is said. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { type DataSpec, openDatasets } from '../../../src/data/node/open.js';
import type { Dataset } from '../../../src/data/types.js';
import type { Diagnostic } from '../../../src/diagnostics/types.js';
import { scratch } from '../../api/support.js';
import { writeTree } from '../support.js';

const folder = scratch();
let next = 0;
export type Tree = Parameters<typeof writeTree>[1];
export const mat = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/mat/${name}.mat`, import.meta.url)));
export const picture = async (width: number, height: number, format: 'png' | 'jpeg' = 'png'): Promise<Uint8Array> =>
  sharp({ create: { width, height, channels: 3, background: 'black' } })
    .toFormat(format)
    .toBuffer();
export const [png, jpg] = [await picture(8, 6), await picture(8, 6, 'jpeg')];

/** Data at a path below a new folder with these files, and what was said. */
export async function opened(files: Tree, spec: Partial<DataSpec> & { at?: string } = {}) {
  const { at = '', ...rest } = spec;
  const root = await writeTree(join(folder, String(next++)), files);
  const said: Diagnostic[] = [];
  const sets = await openDatasets({ path: join(root, at), kind: 'points', ...rest }, { warn: (d) => said.push(d) });
  return { ...sets, said, root };
}

export const pointsOf = (set: Dataset | undefined): Record<string, number[]> | undefined => {
  if (!set) return undefined;
  const { targets, ids } = set;
  if (targets.kind !== 'points') throw new Error(targets.kind);
  return Object.fromEntries(ids.map((id, i) => [id, [...targets.points[i]!]]));
};

export const coco = (names: readonly string[], annotations: readonly unknown[]) =>
  JSON.stringify({ images: names.map((file_name, id) => ({ id, file_name })), annotations });
export const json = (images: unknown) => JSON.stringify({ images });
