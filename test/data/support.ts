/** Small data sets: pictures that say which item they are, written as files, and in memory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { type ArrayOptions, datasetOfArrays, type Learnt } from '../../src/data/arrays.js';
import type { Batch, Dataset, Loader, LoaderOptions } from '../../src/data/types.js';

/** One gray value everywhere, which the normalized sample keeps. */
export async function writePicture(path: string, gray: number, width = 4, height = 4): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: { r: gray, g: gray, b: gray } } })
    .png()
    .toFile(path);
}

/** Files by path below a folder: pictures by their gray value, texts, bytes. */
export async function writeTree(
  folder: string,
  tree: Readonly<Record<string, number | string | Uint8Array>>,
): Promise<string> {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'number') await writePicture(path, content);
    else writeFileSync(path, content);
  }
  return folder;
}

/** `count` gray pictures of 2 x 2, item i of gray value i, of classes in turn. */
export function counted(count: number, classes: number, options: ArrayOptions = {}): Dataset {
  const data = Uint8Array.from({ length: count * 4 }, (_, i) => Math.floor(i / 4));
  const labels = Array.from({ length: count }, (_, i) => i % classes);
  return inMemory(data, [count, 2, 2], { kind: 'class', labels }, options);
}

export const inMemory = (
  data: Uint8Array | Float32Array,
  shape: readonly number[],
  learnt: Learnt,
  options: ArrayOptions = {},
): Dataset => datasetOfArrays({ name: 'numbers', shape, data }, learnt, options).train;

export const SMALL: LoaderOptions = {
  size: 4,
  seed: 1,
  preprocess: [],
  input: { channels: 1, height: 2, width: 2 },
};

export async function all(loader: Loader, from = { epoch: 0, batch: 0 }, until = from.epoch + 1): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of loader.batches(from, until)) batches.push(batch);
  await loader.close();
  return batches;
}
