/** Arrays of pictures and labels in files: IDX as MNIST's (also compressed), and safetensors. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { cannotRead, openFile } from '../../formats/node/files.js';
import { memorySource, readAll } from '../../formats/tensors/bytes.js';
import { type IdxArray, readIdx } from '../../formats/tensors/idx.js';
import { openSafetensors, type StoreEntry, type TensorStore } from '../../formats/tensors/store.js';
import { arrayPictures, type PictureArray } from '../arrays.js';
import { type GivenClasses, type Row, SPLITS, type Split, type Table } from '../tables.js';
import type { Targets } from '../types.js';
import { splitNamed } from './class-folders.js';

interface Part {
  readonly split: Split;
  readonly images: PictureArray;
  readonly kind: Targets['kind'];
  /** Of each picture: names of its classes, or numbers. */
  readonly labels: readonly (readonly (string | number)[])[];
  /** How many there are: of yes and no, classes; of numbers, numbers. */
  readonly width: number;
}

/** A table, and the classes that the file itself names. */
export interface ArrayTable {
  readonly table: Table;
  readonly classes?: GivenClasses;
}

const wrong = (file: string, problem: string): EspalierError =>
  new EspalierError([diagnostic('ESP1006', { file, problem })]);

function tableOf(name: string, parts: readonly Part[]): Table {
  const { kind, width } = parts[0]!;
  const rows: Row[] = [];
  for (const { split, images, labels, ...part } of parts) {
    const count = images.shape[0] ?? 0;
    if (labels.length !== count) throw wrong(images.name, `there are ${count} pictures and ${labels.length} labels`);
    if (part.kind !== kind || (kind !== 'class' && part.width !== width))
      throw wrong(images.name, 'its labels are of another kind than those of the other splits');
    const start = rows.length;
    for (const [i, own] of labels.entries())
      rows.push({ split, id: `${images.name}[${i}]`, place: start + i, labels: own });
  }
  const pictures = arrayPictures(parts.map((part) => part.images));
  const columns = kind === 'numbers' ? { columns: Array.from({ length: width }, (_, i) => String(i)) } : {};
  return { name, kind, rows, pictures, labelled: 'labels', ...columns };
}

const IDX = /^(.*)-images(-idx3-ubyte)?(\.gz)?$/;

/** IDX files of pictures in a folder whose labels lie beside, by split; empty if there is none to train on. */
export function idxIn(folder: string): [Split, string][] {
  const names = readdirSync(folder);
  const found = names.flatMap((name): [Split, string][] => {
    const split = idxSplit(name);
    return split ? [[split, join(folder, name)]] : [];
  });
  return found.some(([split]) => split === 'train') ? found : [];
}

function idxSplit(name: string): Split | undefined {
  const prefix = IDX.exec(name)?.[1];
  if (prefix === undefined) return undefined;
  // MNIST's test set has ten thousand.
  return prefix === 't10k' ? 'test' : splitNamed(prefix);
}

export const isIdx = (path: string): boolean => IDX.test(basename(path));

async function idxAt(path: string): Promise<IdxArray> {
  const bytes = await readAll(await openFile(path));
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = packed ? await promisify(gunzip)(bytes).catch((error: unknown) => cannotRead(path, error)) : bytes;
  if (plain instanceof EspalierError) throw plain;
  return readIdx(memorySource(path, plain));
}

/** @throws EspalierError ESP0501, ESP0517, ESP1006 */
export async function readIdxFiles(
  name: string,
  files: readonly (readonly [Split, string])[],
  labels?: string,
): Promise<ArrayTable> {
  const parts: Part[] = [];
  for (const [split, path] of files) {
    const beside = labels ?? join(dirname(path), labelsBeside(path));
    const [images, classes] = [await idxAt(path), await idxAt(beside)];
    if (classes.shape.length !== 1) throw wrong(beside, `labels are a list, and this is [${classes.shape.join(', ')}]`);
    const array = { name: basename(path), shape: images.shape, data: images.data };
    parts.push({
      split,
      images: array,
      kind: 'class',
      labels: Array.from(classes.data, (label) => [String(label)]),
      width: 1,
    });
  }
  return { table: tableOf(name, parts) };
}

/** Name of the file of labels: compressed as the pictures are, or not. */
function labelsBeside(path: string): string {
  const name = basename(path);
  const plain = name.replace('-images', '-labels').replace('-idx3', '-idx1').replace(/\.gz$/, '');
  return readdirSync(dirname(path)).includes(plain) ? plain : `${plain}.gz`;
}

export interface TensorNames {
  readonly images?: string;
  readonly labels?: string;
}

/** Files of a folder called train.safetensors, val.safetensors, ...; empty if there is none to train on. */
export function safetensorsIn(folder: string): [Split, string][] {
  const found = readdirSync(folder).flatMap((name): [Split, string][] => {
    const split = name.endsWith('.safetensors') ? splitNamed(name.slice(0, -'.safetensors'.length)) : undefined;
    return split ? [[split, join(folder, name)]] : [];
  });
  return found.some(([split]) => split === 'train') ? found : [];
}

/**
 * Tensors `images` and `labels` of files, or `train.images`, `val.images` and so on of one. Metadata `classes`, a JSON list, names the classes.
 * @throws EspalierError ESP0501 to ESP0505, ESP1006
 */
export async function readSafetensors(
  name: string,
  files: readonly (readonly [Split, string])[],
  { images = 'images', labels = 'labels' }: TensorNames,
): Promise<ArrayTable> {
  const parts: Part[] = [];
  let classes: GivenClasses;
  for (const [split, path] of files) {
    const store = await openSafetensors(await openFile(path));
    const plain = store.tensors.has(images) || !SPLITS.some((s) => store.tensors.has(`${s}.${images}`));
    const pairs = plain
      ? [[split, images, labels] as const]
      : SPLITS.filter((s) => store.tensors.has(`${s}.${images}`)).map(
          (s) => [s, `${s}.${images}`, `${s}.${labels}`] as const,
        );
    for (const pair of pairs) parts.push(await partOf(store, ...pair));
    classes ??= classesIn(store);
  }
  const { kind, width } = parts[0]!;
  if (kind === 'classes') classes ??= width;
  return { table: tableOf(name, parts), ...(classes === undefined ? {} : { classes }) };
}

function classesIn({ name, metadata }: TensorStore): readonly string[] | undefined {
  if (metadata.classes === undefined) return undefined;
  try {
    const list: unknown = JSON.parse(metadata.classes);
    if (Array.isArray(list) && list.every((label) => typeof label === 'string')) return list;
  } catch {}
  throw wrong(name, `its metadata \`classes\` are no JSON list of names: ${metadata.classes.slice(0, 80)}`);
}

async function partOf(store: TensorStore, split: Split, images: string, labels: string): Promise<Part> {
  const entryOf = (tensor: string): StoreEntry => {
    const entry = store.tensors.get(tensor);
    if (entry) return entry;
    throw wrong(store.name, `it has no tensor \`${tensor}\`, but ${[...store.tensors.keys()].slice(0, 12).join(', ')}`);
  };
  const [pictures, learnt] = [entryOf(images), entryOf(labels)];
  const named = `${basename(store.name)} ${images}`;
  let data: Uint8Array | Float32Array;
  if (pictures.dtype === 'U8') data = await pictures.bytes!();
  else {
    const read = await pictures.read();
    if (!(read.data instanceof Float32Array))
      throw wrong(store.name, `\`${images}\` is ${pictures.dtype}, neither U8 nor floats`);
    data = read.data;
  }
  const values = await learnt.read();
  const [n = 0, width = 1, ...rest] = values.type.shape;
  if (values.type.shape.length < 1 || rest.length > 0)
    throw wrong(store.name, `\`${labels}\` is [${values.type.shape.join(', ')}], neither [n] nor [n, width]`);
  const rows = Array.from({ length: n }, (_, i) => Array.from(values.data.subarray(i * width, (i + 1) * width)));
  const isNumbers = values.type.dtype === 'f32';
  const listed = values.type.shape.length === 1;
  const yes = (row: readonly number[]) => row.flatMap((v, c) => (v !== 0 ? [String(c)] : []));
  return {
    split,
    images: { name: named, shape: pictures.shape, data },
    kind: isNumbers ? 'numbers' : listed ? 'class' : 'classes',
    labels: isNumbers ? rows : rows.map((row) => (listed ? row.map(String) : yes(row))),
    width,
  };
}
