/** Points of pictures in one file for many: COCO's boxes, a plain JSON, and lines of a CSV. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Span } from '../../../diagnostics/types.js';
import type { Split } from '../../tables.js';
import { splitNamed } from '../class-folders.js';
import { csvLines, IMAGE_COLUMNS } from '../columns.js';
import { type Annotated, bytesOf, lineOf, refuse, stem } from './annotated.js';

/** A file, and the split of the pictures in it that have none of their own. */
export type Source = readonly [split: Split, file: string];

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON file, and where things stand in it. */
interface Json {
  readonly file: string;
  readonly text: string;
  readonly content: Fields;
}

async function jsonAt(file: string): Promise<Json> {
  const text = (await bytesOf(file)).toString();
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    const [, position] = /position (\d+)/.exec((error as Error).message) ?? [];
    return refuse(
      file,
      'it is not JSON',
      lineOf(file, text, position === undefined ? text.length : Number(position) + 1),
    );
  }
  if (!isFields(content) || !Array.isArray(content.images)) return refuse(file, 'it has no list `images`');
  return { file, text, content };
}

/** The line that names a picture, as near as a text can be searched for it. */
function named({ file, text }: Json, name: string): Span | undefined {
  const at = text.indexOf(JSON.stringify(name));
  return at < 0 ? undefined : lineOf(file, text, at + 1);
}

/**
 * The folder that names of pictures are relative to: the first in which one of the first few lies; none of them is said to be missing in the first.
 */
function rootOf(folders: readonly string[], names: readonly string[]): string {
  const some = names.slice(0, 16);
  return folders.find((folder) => some.some((name) => existsSync(join(folder, name)))) ?? folders[0]!;
}

const foldersOf = (file: string): string[] => {
  const at = dirname(file);
  // COCO's `annotations/instances_train2017.json` is about `train2017` beside that folder, or in `images`.
  const [, part = ''] = /^instances_(.+)$/.exec(stem(file)) ?? [];
  const up = basename(at) === 'annotations' ? [dirname(at)] : [];
  return [at, ...up].flatMap((folder) => [
    ...(part === '' ? [] : [join(folder, part), join(folder, 'images', part)]),
    folder,
    join(folder, 'images'),
  ]);
};

/** What a JSON file is: COCO has boxes in a list of their own. @throws EspalierError ESP1024, ESP0501 */
export async function jsonKind(file: string): Promise<'coco' | 'json'> {
  return Array.isArray((await jsonAt(file)).content.annotations) ? 'coco' : 'json';
}

/**
 * COCO's instances: of each box (`bbox`, [x, y, width, height]) the centre, whatever its category. Those with `iscrowd`, which stand for a number that
 * nobody counted, are left out.
 * @throws EspalierError ESP1024, ESP0501
 */
export async function readCoco(sources: readonly Source[]): Promise<Annotated[]> {
  const found: Annotated[] = [];
  for (const [split, file] of sources) {
    const json = await jsonAt(file);
    const { images, annotations } = json.content as { images: unknown[]; annotations?: unknown };
    if (!Array.isArray(annotations)) refuse(file, 'it has no list `annotations`');
    const points = new Map<unknown, number[]>();
    const names = images.map((image, i) => {
      const { id, file_name: name } = isFields(image) ? image : {};
      if (typeof name !== 'string' || (typeof id !== 'number' && typeof id !== 'string'))
        return refuse(file, `images[${i}] has no \`id\` or no \`file_name\``);
      points.set(id, []);
      return { id, name };
    });
    for (const [i, one] of (annotations as unknown[]).entries()) {
      const { image_id: id, bbox, iscrowd } = isFields(one) ? one : {};
      const own = points.get(id);
      if (!own)
        return refuse(
          file,
          `annotations[${i}] is of the picture ${JSON.stringify(id)}, which \`images\` does not have`,
        );
      if (iscrowd === 1 || iscrowd === true) continue;
      const box = Array.isArray(bbox) && bbox.every((v) => typeof v === 'number') ? (bbox as number[]) : [];
      const [x = 0, y = 0, width = -1, height = -1] = box;
      if (box.length !== 4 || width < 0 || height < 0)
        refuse(file, `annotations[${i}] has no \`bbox\` [x, y, width, height]`);
      own.push(x + width / 2, y + height / 2);
    }
    const root = rootOf(
      foldersOf(file),
      names.map(({ name }) => name),
    );
    for (const { id, name } of names) found.push(placed(split, root, name, points.get(id)!, named(json, name)));
  }
  return found;
}

/** `{ "images": [{ "file": "a.jpg", "points": [[x, y], ...], "split": "train" }] }`, paths relative to the file. @throws EspalierError ESP1024, ESP0501 */
export async function readJson(sources: readonly Source[]): Promise<Annotated[]> {
  const found: Annotated[] = [];
  for (const [split, file] of sources) {
    const json = await jsonAt(file);
    const rows = (json.content.images as unknown[]).map((image, i) => {
      const { file: name, points, split: own } = isFields(image) ? image : {};
      if (typeof name !== 'string') return refuse(file, `images[${i}] has no \`file\``);
      const at = named(json, name);
      if (!Array.isArray(points)) return refuse(file, `images[${i}] has no list \`points\``, at);
      const pairs = points.map((pair: unknown, k) => {
        const isPair = Array.isArray(pair) && pair.length === 2 && pair.every((v) => typeof v === 'number');
        return isPair ? (pair as number[]) : refuse(file, `points[${k}] of images[${i}] is no pair [x, y]`, at);
      });
      return { split: splitOf(file, own, at) ?? split, name, points: pairs.flat(), at };
    });
    const root = rootOf(
      foldersOf(file),
      rows.map(({ name }) => name),
    );
    for (const row of rows) found.push(placed(row.split, root, row.name, row.points, row.at));
  }
  return found;
}

/**
 * A line for each point: a path, relative to the file, and columns `x` and `y`; `split`, if there is one. A picture without objects has one line, with both
 * empty.
 * @throws EspalierError ESP1008 (no CSV), ESP1024, ESP0501
 */
export async function readCsv(sources: readonly Source[]): Promise<Annotated[]> {
  const found: Annotated[] = [];
  for (const [split, file] of sources) {
    const { lines, names } = csvLines(file, await bytesOf(file));
    const image = IMAGE_COLUMNS.find((name) => names.includes(name));
    const absent = [...(image === undefined ? ['image'] : []), ...['x', 'y'].filter((name) => !names.includes(name))];
    if (image === undefined || absent.length > 0)
      refuse(file, `it has no column ${absent.map((name) => `\`${name}\``).join(', ')}, but ${names.join(', ')}`);
    const rows = new Map<string, { split: Split; name: string; points: number[]; at: Span }>();
    for (const { values, at } of lines) {
      const [name = '', x = '', y = '', own] = [image, 'x', 'y', 'split'].map((column) =>
        values[column] === undefined ? undefined : String(values[column]).trim(),
      );
      if (name === '') refuse(file, `a line has no path in \`${image}\``, at);
      const of = splitOf(file, own, at) ?? split;
      const key = JSON.stringify([of, name]);
      const row = rows.get(key) ?? { split: of, name, points: [], at };
      rows.set(key, row);
      if (x === '' && y === '') continue;
      const numbers = [x, y].map((v) => (v === '' ? Number.NaN : Number(v)));
      if (!numbers.every(Number.isFinite)) refuse(file, `the point (${x}, ${y}) of ${name} is no pair of numbers`, at);
      row.points.push(...numbers);
    }
    const all = [...rows.values()];
    const root = rootOf(
      foldersOf(file),
      all.map(({ name }) => name),
    );
    for (const row of all) found.push(placed(row.split, root, row.name, row.points, row.at));
  }
  return found;
}

function splitOf(file: string, value: unknown, at: Span | undefined): Split | undefined {
  if (value === undefined || value === null) return undefined;
  const split = splitNamed(String(value));
  return split ?? refuse(file, `a \`split\` is ${JSON.stringify(value)}, and is train, val or test`, at);
}

function placed(split: Split, root: string, name: string, points: readonly number[], at: Span | undefined): Annotated {
  return { split, path: join(root, name), id: name, points, ...(at ? { at } : {}) };
}
