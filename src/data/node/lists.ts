/**
 * Lists of files with class numbers, as benchmarks of fine-tuning are handed on: VTAB-1k's (`images/train800/000001.jpg 21`, as Caffe's), those of
 * few-shot splits (`annotations/train_meta.list`, the same), and FGVC's (`train.json`: class numbers by path).
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError, type Span } from '../../diagnostics/types.js';
import { openFile } from '../../formats/node/files.js';
import { readAll } from '../../formats/tensors/bytes.js';
import { type Row, SPLITS, type Split, type Table } from '../tables.js';
import { PictureFiles, rootOf } from './files.js';

export type Lists = Readonly<Partial<Record<Split, string>>>;

/** What lists are called, layout by layout. With the 1000 that `train800val200.txt` has there is nothing left to validate on: that is asked for by name. */
const LAYOUTS: readonly Lists[] = [
  { train: 'train800.txt', val: 'val200.txt', test: 'test.txt' },
  { train: 'train800val200.txt', test: 'test.txt' },
  { train: 'annotations/train_meta.list', val: 'annotations/val_meta.list', test: 'annotations/test_meta.list' },
  { train: 'train.json', val: 'val.json', test: 'test.json' },
];

/** The lists of a folder, by the first layout whose list to train on is there. */
export function listsIn(folder: string): Lists | undefined {
  const layout = LAYOUTS.find(({ train }) => existsSync(join(folder, train!)));
  if (!layout) return undefined;
  return Object.fromEntries(Object.entries(layout).filter(([, file]) => existsSync(join(folder, file))));
}

interface Listed {
  readonly path: string;
  readonly label: string;
  readonly at?: Span;
}

/** @throws EspalierError ESP0501 (a list, or where its images are), ESP1008 (a line) */
export async function readLists(folder: string, lists: Lists): Promise<Table> {
  const files = new PictureFiles();
  const rows: Row[] = [];
  for (const split of SPLITS) {
    const list = lists[split];
    if (list === undefined) continue;
    const path = join(folder, list);
    const text = Buffer.from(await readAll(await openFile(path))).toString();
    const listed = path.endsWith('.json') ? fromJson(path, text) : fromLines(path, text);
    const near = [folder, dirname(path)].flatMap((at) => [at, join(at, 'images'), join(at, 'Images')]);
    const root = rootOf(
      near,
      listed.map((item) => item.path),
    );
    for (const { path: image, label, at } of listed)
      rows.push({ split, id: image, place: files.place(join(root, image)), labels: [label], ...(at ? { at } : {}) });
  }
  return { name: folder, kind: 'class', rows, pictures: files.pictures(), labelled: 'labels' };
}

/** `path label`; a path may hold spaces. */
function fromLines(file: string, text: string): Listed[] {
  const found: Listed[] = [];
  let start = 0;
  for (const line of text.split('\n')) {
    const shown = line.trim();
    const begin = start + line.indexOf(shown);
    const at = { file, start: begin, end: begin + shown.length };
    start += line.length + 1;
    if (shown === '') continue;
    const match = /^(.*\S)\s+(\d+)$/.exec(shown);
    if (!match) {
      const primary = { span: at, text: 'this line' };
      const args = { file, problem: 'a line is not a path and the number of a class' };
      throw new EspalierError([diagnostic('ESP1008', args, { primary })]);
    }
    found.push({ path: match[1]!, label: match[2]!, at });
  }
  return found;
}

function fromJson(file: string, text: string): Listed[] {
  const wrong = (problem: string) => new EspalierError([diagnostic('ESP1008', { file, problem })]);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw wrong('it is not a map from paths to classes');
  return Object.entries(json).map(([path, label]) => {
    if (typeof label !== 'string' && !Number.isSafeInteger(label))
      throw wrong(`${basename(path)} has ${JSON.stringify(label)}, which is no class`);
    return { path, label: String(label) };
  });
}
