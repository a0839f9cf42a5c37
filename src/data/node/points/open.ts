/** Annotations of points: what a path leads to is found by looking at it, and read. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../../diagnostics/types.js';
import { SPLITS, type Split, type Table } from '../../tables.js';
import { splitFolders, splitNamed } from '../class-folders.js';
import { type Annotated, pointsTable } from './annotated.js';
import { carpkIn, readCarpk, readShanghaiTech, shanghaiTechIn } from './layouts.js';
import { jsonKind, readCoco, readCsv, readJson, type Source } from './lists.js';

export type PointsFormat = 'shanghaitech' | 'carpk' | 'coco' | 'csv' | 'json';

/**
 * Reads pictures with points. Of files only annotations are read, and of pictures their sizes.
 * @param format absent: the first that fits, in the order of `PointsFormat`, JSON by what is in it
 * @throws EspalierError ESP1028 (nothing that is read, or not of the format), ESP1024, ESP1025, ESP1027, ESP1008, ESP0501
 */
export async function readPoints(
  path: string,
  kind: 'file' | 'folder',
  format: PointsFormat | undefined,
  warn?: (diagnostic: Diagnostic) => void,
): Promise<Table> {
  const found = kind === 'file' ? await inFile(path) : await inFolder(path, format);
  if (!found || (format !== undefined && format !== found.format)) {
    const what = kind === 'file' ? `${basename(path)} is of another kind` : someOf(path);
    throw new EspalierError([
      diagnostic('ESP1028', { path, format, found: found ? `it is of the format \`${found.format}\`` : what }),
    ]);
  }
  return pointsTable(path, await found.read(), warn);
}

function someOf(folder: string): string {
  const names = readdirSync(folder);
  return `it has ${names.length === 0 ? 'nothing' : names.slice(0, 5).join(', ')}`;
}

interface Found {
  readonly format: PointsFormat;
  readonly read: () => Promise<Annotated[]>;
}

async function inFile(path: string): Promise<Found | undefined> {
  const sources: Source[] = [['train', path]];
  if (path.endsWith('.csv')) return { format: 'csv', read: () => readCsv(sources) };
  return path.endsWith('.json') ? jsonOf(sources) : undefined;
}

async function jsonOf(sources: readonly Source[]): Promise<Found> {
  const format = await jsonKind(sources[0]![1]);
  return { format, read: () => (format === 'coco' ? readCoco : readJson)(sources) };
}

async function inFolder(folder: string, format: PointsFormat | undefined): Promise<Found | undefined> {
  const parts = shanghaiTechIn(folder);
  if (parts.length > 0) return { format: 'shanghaitech', read: () => readShanghaiTech(folder, parts) };
  const carpk = carpkIn(folder);
  if (carpk !== undefined) return { format: 'carpk', read: () => readCarpk(carpk) };
  const json = filesIn(folder, 'json');
  const csv = filesIn(folder, 'csv');
  if (json.length > 0 && !(format === 'csv' && csv.length > 0)) return jsonOf(json);
  return csv.length > 0 ? { format: 'csv', read: () => readCsv(csv) } : undefined;
}

/**
 * Files of annotations in a folder: COCO's annotations/instances_train2017.json; train.json, val.json, test.json; one of a few names in the folders of
 * splits, or in the folder itself.
 */
function filesIn(folder: string, ending: 'json' | 'csv'): Source[] {
  const below = join(folder, 'annotations');
  if (ending === 'json' && existsSync(below)) {
    const instances = readdirSync(below).flatMap((name): Source[] => {
      const [, word = ''] = /^instances_([a-z]+)\d*\.json$/.exec(name) ?? [];
      const split = splitNamed(word);
      return split ? [[split, join(below, name)]] : [];
    });
    if (instances.some(([split]) => split === 'train')) return instances;
  }
  const named = SPLITS.map((split): Source => [split, join(folder, `${split}.${ending}`)]).filter(([, file]) =>
    existsSync(file),
  );
  if (named.some(([split]) => split === 'train')) return named;
  const names = ['points', 'annotations', ...(ending === 'json' ? ['_annotations.coco'] : [])];
  const inside = (at: string) => names.map((name) => join(at, `${name}.${ending}`)).find((file) => existsSync(file));
  const own = inside(folder);
  if (own !== undefined) return [['train', own]];
  return splitFolders(folder).flatMap(([split, at]: [Split, string]): Source[] => {
    const file = inside(at);
    return file === undefined ? [] : [[split, file]];
  });
}
