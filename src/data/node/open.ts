/** Data sets of the local machine: what a path leads to is found by looking at it, and read. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { cannotRead, kindOfPath } from '../../formats/node/files.js';
import type { Unreadable } from '../../formats/node/images.js';
import { datasetsOf, type GivenClasses, SPLITS, type Split } from '../tables.js';
import type { Datasets } from '../types.js';
import {
  type ArrayTable,
  idxIn,
  isIdx,
  readIdxFiles,
  readSafetensors,
  safetensorsIn,
  type TensorNames,
} from './array-files.js';
import { readClassFolders, splitFolders } from './class-folders.js';
import { type Columns, readColumns } from './columns.js';
import { type Lists, listsIn, readLists } from './lists.js';
import { type PointsFormat, readPoints } from './points/open.js';

export type { PointsFormat };

export type DataFormat = 'folders' | 'csv' | 'lists' | 'idx' | 'safetensors';

export interface DataSpec {
  readonly path: string;
  /** Pictures with points, objects to be counted, in place of labels. */
  readonly kind?: 'points';
  /** Absent: the first that fits, in the order lists, IDX, safetensors, csv, folders; of points see `readPoints`. */
  readonly format?: DataFormat | PointsFormat;
  /**
   * Names of the classes in the order of the model's head, or how many they are: labels are then numbers below. Absent: the labels that there are, in
   * order.
   */
  readonly classes?: readonly string[] | number;
  readonly columns?: Columns;
  /** Files of lists by split, relative to the folder. Absent: those of VTAB-1k (train800, val200, test), of few-shot splits, or of FGVC. */
  readonly lists?: Lists;
  /** Of safetensors; default `images` and `labels`. Of IDX, `labels` is the path of the file of labels, where it does not lie beside the pictures. */
  readonly tensors?: TensorNames;
}

export interface OpenDataOptions {
  readonly warn?: (diagnostic: Diagnostic) => void;
  /** Hears of folders and links that lead nowhere; without it, the first is an error. */
  readonly unreadable?: Unreadable;
}

/**
 * Opens data to train on: names and labels are read, and arrays; of pictures in files only that they are listed.
 * @throws EspalierError ESP0501 (nothing is there), ESP1001 (not data), ESP1014, ESP1002, ESP1012, ESP0921 (see `datasetsOf`), and what each format's reader
 * throws; of points ESP1024, ESP1025, ESP1027, ESP1028, ESP1022, ESP1023
 */
export async function openDatasets(spec: DataSpec, options: OpenDataOptions = {}): Promise<Datasets> {
  const { table, classes } = await readTable(spec, options);
  return datasetsOf(table, spec.classes ?? classes, options.warn);
}

async function readTable(
  spec: DataSpec,
  { unreadable, warn }: OpenDataOptions,
): Promise<ArrayTable & { classes?: GivenClasses }> {
  const { path, columns = {}, tensors = {} } = spec;
  const kind = await kindOfPath(path);
  if (!kind) throw cannotRead(path, { code: 'ENOENT' });
  if (spec.kind === 'points')
    return { table: await readPoints(path, kind, spec.format as PointsFormat | undefined, warn) };
  const found = kind === 'file' ? fileFormat(spec) : folderFormat(spec);
  const { format } = found;
  if (spec.format !== undefined && spec.format !== format)
    throw new EspalierError([
      diagnostic('ESP1001', { path, found: `it holds nothing of the format \`${spec.format}\`` }),
    ]);
  switch (format) {
    case 'lists':
      return { table: await readLists(path, found.lists) };
    case 'idx':
      return readIdxFiles(path, found.files, tensors.labels);
    case 'safetensors':
      return readSafetensors(path, found.files, tensors);
    case 'csv':
      return {
        table: await readColumns(
          path,
          found.files.map(([split, file]) => ({ split, file })),
          columns,
        ),
      };
    case 'folders':
      return { table: await readClassFolders(path, unreadable) };
  }
}

type Files = readonly (readonly [Split, string])[];
type Found =
  | { readonly format: 'idx' | 'safetensors' | 'csv'; readonly files: Files }
  | { readonly format: 'lists'; readonly lists: Lists }
  | { readonly format: 'folders' };

function fileFormat({ path, lists }: DataSpec): Found {
  const files = [['train', path]] as const;
  if (isIdx(path)) return { format: 'idx', files };
  if (path.endsWith('.safetensors')) return { format: 'safetensors', files };
  if (/\.(csv|jsonl)$/.test(path)) return { format: 'csv', files };
  if (lists)
    throw new EspalierError([
      diagnostic('ESP1001', { path, found: '`lists` are files of a folder, and it is a file' }),
    ]);
  throw new EspalierError([diagnostic('ESP1001', { path, found: `${basename(path)} is a file of another kind` })]);
}

/** The first format that fits; of them, only the one asked for. */
function folderFormat({ path, format, lists }: DataSpec): Found {
  const kinds: Readonly<Record<DataFormat, () => Found | undefined>> = {
    lists: () => {
      const found = lists ?? listsIn(path);
      return found && { format: 'lists', lists: found };
    },
    idx: () => withFiles('idx', idxIn(path)),
    safetensors: () => withFiles('safetensors', safetensorsIn(path)),
    csv: () => withFiles('csv', tablesIn(path)),
    folders: () => ({ format: 'folders' }),
  };
  const order = format ? [format] : Object.keys(kinds);
  const found = order.map((name) => kinds[name as DataFormat]?.()).find((one) => one !== undefined);
  if (found) return found;
  const names = readdirSync(path);
  const some = names.slice(0, 5).join(', ');
  throw new EspalierError([
    diagnostic('ESP1001', { path, found: `it has no files of the format \`${format}\`, but ${some || 'nothing'}` }),
  ]);
}

function withFiles(format: 'idx' | 'safetensors' | 'csv', files: Files): Found | undefined {
  return files.length > 0 ? { format, files } : undefined;
}

const METADATA = ['metadata.csv', 'metadata.jsonl'];

/** Files of paths and labels: metadata of the folder or of the folders of its splits, or train.csv, val.csv, test.csv. */
function tablesIn(folder: string): Files {
  const metadata = (at: string) => METADATA.map((name) => join(at, name)).find((file) => existsSync(file));
  const own = metadata(folder);
  if (own !== undefined) return [['train', own]];
  const below = splitFolders(folder).flatMap(([split, at]): [Split, string][] => {
    const file = metadata(at);
    return file === undefined ? [] : [[split, file]];
  });
  if (below.length > 0) return below;
  const named = SPLITS.map((split) => [split, join(folder, `${split}.csv`)] as const).filter(([, file]) =>
    existsSync(file),
  );
  return named.some(([split]) => split === 'train') ? named : [];
}
