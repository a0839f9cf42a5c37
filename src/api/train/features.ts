/**
 * Features: what the frozen part of a model makes of images, computed once and read by every epoch in their place. An image's are one row of numbers, one
 * after another as the program gives them. Here they are computed, and read as a loader's batches; a store keeps them, in memory (below) or in a
 * file (../node/feature-file.ts).
 */
import { makeLoader, recipeOf } from '../../data/loader.js';
import { asItIs, type Placement, stretched } from '../../data/placement.js';
import { fittedPlacement, samplesHere, type Workshop } from '../../data/sample.js';
import type { Batch, Dataset, Loader, LoaderOptions, Pictures } from '../../data/types.js';
import type { Reader } from './prefix.js';
import type { TrainBatch, Trainer } from './trainer.js';

/** Numbers of each tensor of an image's features, in the order in which they stand in a row. */
export type RowShape = ReadonlyMap<string, number>;

export const widthOf = (shape: RowShape): number => [...shape.values()].reduce((sum, n) => sum + n, 0);

export interface FeatureStore {
  /** Of items that could not be read there are none. */
  has(item: number): boolean;
  /** Rows one after another. */
  rows(items: ArrayLike<number>): Promise<Float32Array>;
}

/** One item's row. */
export interface FeatureRow {
  readonly item: number;
  readonly row: Float32Array;
}

/** Thrown where features are no longer asked for. */
export class Stopped extends Error {}

export interface FeatureRequest {
  readonly trainer: Trainer;
  readonly of: Reader;
  readonly shape: RowShape;
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  /** Of each item once, as they are listed. */
  readonly loader: Loader;
  readonly signal?: AbortSignal | undefined;
  /** Hears of each batch that is done. */
  readonly done?: (items: number) => void;
}

/** Computes the row of each item that can be read, in the order of the items. @throws Stopped by the signal, and what loader and trainer throw */
export async function* computeRows(request: FeatureRequest): AsyncGenerator<FeatureRow> {
  const { trainer, of, shape, input, loader, signal, done } = request;
  for await (const { images, indices } of loader.batches({ epoch: 0, batch: 0 }, 1)) {
    if (signal?.aborted) throw new Stopped();
    const features = (await trainer.features(of, { [input]: images }))!;
    for (const [i, item] of indices.entries()) {
      const row = new Float32Array(widthOf(shape));
      let at = 0;
      for (const [name, n] of shape) {
        row.set(features[name]!.subarray(i * n, (i + 1) * n), at);
        at += n;
      }
      yield { item, row };
    }
    done?.(indices.length);
  }
}

/** Keeps rows in memory. */
export async function memoryStore(rows: AsyncIterable<FeatureRow>, width: number): Promise<FeatureStore> {
  const kept = new Map<number, Float32Array>();
  for await (const { item, row } of rows) kept.set(item, row);
  return {
    has: (item) => kept.has(item),
    async rows(items) {
      const all = new Float32Array(items.length * width);
      for (const [i, item] of Array.from(items).entries()) all.set(kept.get(item)!, i * width);
      return all;
    },
  };
}

/**
 * The batches that a loader of the data set would give, with features in place of images: the same items in the same order, and those that cannot be
 * read are named and left out as there.
 */
export function featureLoader(dataset: Dataset, options: LoaderOptions, store: FeatureStore, shape: RowShape): Loader {
  const { pictures, targets } = dataset;
  const { input } = options;
  // A sample of one pixel says that there are features of an item. What has none is made again, for the reason.
  const pixel = { data: new Uint8Array(1), width: 1, height: 1, channels: 1 } as const;
  const real = samplesHere(pictures, recipeOf(options));
  // Where points lie in a sample depends on the size of its picture, for which that is decoded once more.
  const placements = new Map<number, Promise<Placement>>();
  const found = async (place: number): Promise<Placement> => {
    if (pictures.input) return asItIs(input.width, input.height);
    const { width, height } = await pictures.read(place);
    return fittedPlacement(recipeOf(options), width, height);
  };
  const placementAt = (place: number): Promise<Placement> => {
    if (targets.kind !== 'points') return Promise.resolve(asItIs(1, 1));
    let placement = placements.get(place);
    if (!placement) {
      placement = found(place).then((one) => stretched(one, 1 / input.width, 1 / input.height));
      placements.set(place, placement);
    }
    return placement;
  };
  const unread: Pictures = {
    read: (place, colour) => pictures.read(place, colour),
    digest: (of) => pictures.digest(of),
  };
  const workshop: Workshop = {
    async sample(job) {
      const { item } = job.key;
      if (store.has(item)) return { ...pixel, placement: await placementAt(job.place) };
      await real.sample(job);
      throw new Error(`item ${item} of ${dataset.name} was unreadable, and is not any more`);
    },
    close: async () => {},
  };
  const small = { ...options, preprocess: [], input: { channels: 1, height: 1, width: 1 }, memory: 0 };
  const inner = makeLoader({ ...dataset, pictures: unread }, small, workshop);
  return {
    perEpoch: inner.perEpoch,
    get report() {
      return inner.report;
    },
    close: () => inner.close(),
    async *batches(from, until) {
      for await (const batch of inner.batches(from, until))
        yield withFeatures(batch, await store.rows(batch.indices), shape);
    },
  };
}

function withFeatures(batch: Batch, rows: Float32Array, shape: RowShape): Batch {
  const n = batch.indices.length;
  const width = widthOf(shape);
  const features: Record<string, Float32Array> = {};
  let from = 0;
  for (const [name, size] of shape) {
    const whole = new Float32Array(n * size);
    for (let i = 0; i < n; i++) whole.set(rows.subarray(i * width + from, i * width + from + size), i * size);
    features[name] = whole;
    from += size;
  }
  return { ...batch, images: new Float32Array(0), features };
}

/** What a step takes of a batch beside its targets. */
export const inputsOf = ({ images, features }: Batch, input: string): TrainBatch => features ?? { [input]: images };

/** The options with which a loader gives each item once, as it is listed: nothing that cannot be read is named twice. */
export function listedOnce({ skipped: _, augment: __, ...options }: LoaderOptions, size: number): LoaderOptions {
  return { ...options, size, order: 'listed' };
}
