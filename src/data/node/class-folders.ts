/** Folders of images with a folder for each class, whole or in train, val and test. */
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { listLabelledImages, type Unreadable } from '../../formats/node/images.js';
import { type Row, SPLITS, type Split, type Table } from '../tables.js';
import { PictureFiles } from './files.js';

/** What the folders of splits are called. */
const NAMES: Readonly<Record<Split, readonly string[]>> = {
  train: ['train', 'training'],
  val: ['val', 'valid', 'validation', 'dev'],
  test: ['test', 'testing'],
};

export const splitNamed = (name: string): Split | undefined =>
  SPLITS.find((split) => NAMES[split].includes(name.toLowerCase()));

/** Folders of splits in a folder, by split; none where another folder is there too: `train` may be a class. */
export function splitFolders(folder: string): [Split, string][] {
  const found: [Split, string][] = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith('.') || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) continue;
    const split = splitNamed(name);
    if (!split) return [];
    found.push([split, path]);
  }
  return found.some(([split]) => split === 'train') ? found : [];
}

/**
 * All images below, each of the class of its folder.
 * @param whole takes every folder as one of a class, also where they look like splits
 * @throws EspalierError ESP0531, ESP0501
 */
export async function readClassFolders(folder: string, unreadable?: Unreadable, whole = false): Promise<Table> {
  const splits = whole ? [] : splitFolders(folder);
  const files = new PictureFiles();
  const rows: Row[] = [];
  for (const [split, path] of splits.length > 0 ? splits : [['train', folder] as [Split, string]])
    for (const image of await listLabelledImages(path, unreadable))
      rows.push({ split, id: relative(folder, image.path), place: files.place(image.path), labels: [image.label] });
  return { name: folder, kind: 'class', rows, pictures: files.pictures(), labelled: 'sub-folders' };
}
