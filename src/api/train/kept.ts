/** Which features a run keeps, and where: in memory as long as they fit the budget, else in files, where there are any. */
import { elements } from '../../../runtime/program/check.js';
import { sha256 } from '../../../runtime/program/digest.js';
import { entryNamed } from '../../../runtime/program/program.js';
import { datasetHash } from '../../data/arrays.js';
import { recipeOf } from '../../data/loader.js';
import { isMixed } from '../../data/mix.js';
import { isRandom } from '../../data/sample.js';
import type { Loader } from '../../data/types.js';
import type { TrainSettings } from '../../dsl/elaborated.js';
import type { Progress } from '../host.js';
import type { Loaders, Reading } from './data.js';
import {
  computeRows,
  type FeatureRow,
  type FeatureStore,
  featureLoader,
  listedOnce,
  memoryStore,
  type RowShape,
  widthOf,
} from './features.js';
import type { Reader } from './prefix.js';
import type { Trainer } from './trainer.js';

/** Features that a run keeps. */
export interface KeptFeatures {
  /** Who reads them: steps, or the loss on validation images. */
  readonly of: Reader;
  readonly images: number;
  readonly bytes: number;
  /** The file that they are in; absent: memory. */
  readonly path?: string;
  /** What it took to compute them, which each epoch is now shorter by; absent where a file had them. */
  readonly seconds?: number;
}

/** What a file of features holds. */
export interface FileShape {
  /** A hash of all that the rows depend on. */
  readonly key: string;
  readonly items: number;
  /** Numbers of a row. */
  readonly width: number;
}

export interface FeatureFile extends FeatureStore {
  readonly path: string;
  /** @param ended the run is at its end, and will not be gone on with */
  close(ended: boolean): Promise<void>;
}

/** Where features are that memory does not hold. */
export interface FeatureFiles {
  /** Undefined if there is none that can be used. */
  find(shape: FileShape): Promise<FeatureFile | undefined>;
  /** @param rows in the order of their items. @throws EspalierError ESP0520 if it cannot be written; what the rows throw. Nothing is left behind then */
  make(shape: FileShape, rows: AsyncIterable<FeatureRow>): Promise<FeatureFile>;
}

/** Who reads the same images each epoch, and more than once. Of pictures in tiles it is not known beforehand how many there are. */
export function stillReaders(
  { cache, epochs, search }: TrainSettings,
  { readings: { step, loss } }: Loaders,
): Reader[] {
  // What is frozen is not what it was once a search has pruned it.
  if (!cache || epochs < 2 || search) return [];
  const changed = isRandom(recipeOf(step.options)) || isMixed(step.options.augment ?? {});
  return [...(changed ? [] : (['step'] as const)), ...(loss && !loss.options.tiles ? (['loss'] as const) : [])];
}

export interface KeepRequest {
  readonly trainer: Trainer;
  readonly loaders: Loaders;
  /** Bytes of memory. */
  readonly memory: number;
  /** Without files, what memory does not hold is computed each time. */
  readonly files?: FeatureFiles | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
  readonly kept?: ((features: KeptFeatures) => void) | undefined;
}

export interface Kept {
  /** Batches of features, for those for whom something is cut off. */
  readonly loaders: { readonly [R in Reader]?: Loader };
  /** Closes files. @param ended as of a file */
  close(ended: boolean): Promise<void>;
}

/** Computes what is not there yet. @throws Stopped by the signal, and what files, loaders and the trainer throw */
export async function keepFeatures(request: KeepRequest): Promise<Kept> {
  const { trainer, files } = request;
  const opened: FeatureFile[] = [];
  const loaders: { [R in Reader]?: Loader } = {};
  const close = async (ended: boolean): Promise<void> => {
    await Promise.all([...Object.values(loaders).map((l) => l.close()), ...opened.map((f) => f.close(ended))]);
  };
  let room = request.memory;
  try {
    for (const of of ['step', 'loss'] as const) {
      const reading = request.loaders.readings[of];
      const prefix = trainer.plan.prefixes[of];
      if (!reading || !prefix) continue;
      const entry = entryNamed(trainer.session.program, prefix.entry)!;
      const shape: RowShape = new Map(entry.outputs.map((t) => [t.name, elements(t.shape)]));
      const one: One = { of, reading, shape, bytes: reading.data.size * widthOf(shape) * 4 };
      let store: FeatureStore;
      if (one.bytes <= room) {
        room -= one.bytes;
        store = await computed(request, one, (rows) => memoryStore(rows, widthOf(shape)));
      } else if (files) {
        const file = await inFile(request, one, files);
        opened.push(file);
        store = file;
      } else continue;
      loaders[of] = featureLoader(reading.data, reading.options, store, shape);
    }
    return { loaders, close };
  } catch (error) {
    await close(false);
    throw error;
  }
}

interface One {
  readonly of: Reader;
  readonly reading: Reading;
  readonly shape: RowShape;
  /** Of all images. */
  readonly bytes: number;
}

async function inFile(request: KeepRequest, one: One, files: FeatureFiles): Promise<FeatureFile> {
  const { of, reading, shape } = one;
  const { preprocess, input } = reading.options;
  const parts = [
    await request.trainer.featuresHash(of),
    await datasetHash(reading.data),
    JSON.stringify({ preprocess, input }),
  ];
  const key = await sha256(new TextEncoder().encode(parts.join('\n')));
  const file = { key, items: reading.data.size, width: widthOf(shape) };
  const found = await files.find(file);
  if (!found) return computed(request, one, (rows) => files.make(file, rows));
  request.kept?.({ of, images: file.items, bytes: one.bytes, path: found.path });
  return found;
}

/** Stores rows that are computed now, and says so. */
async function computed<S extends FeatureStore & { readonly path?: string }>(
  { trainer, loaders, signal, progress, kept }: KeepRequest,
  { of, reading: { data, options, open }, shape, bytes }: One,
  store: (rows: AsyncIterable<FeatureRow>) => Promise<S>,
): Promise<S> {
  const began = performance.now();
  const loader = open(data, listedOnce(options, Math.min(trainer.plan.part, data.size)));
  let items = 0;
  const done = (more: number): void => {
    items += more;
    progress?.('computing what is frozen, once an image', items / data.size);
  };
  try {
    const made = await store(computeRows({ trainer, of, shape, input: loaders.input, loader, signal, done }));
    const seconds = (performance.now() - began) / 1000;
    kept?.({ of, images: items, bytes, seconds, ...(made.path === undefined ? {} : { path: made.path }) });
    return made;
  } finally {
    await loader.close();
  }
}
