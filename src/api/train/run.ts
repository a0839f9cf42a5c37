/** A run from a trainer that is ready to the test of what it selected, wherever what it leaves is kept: in a folder, or in memory. */

import type { Diagnostic } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import type { Tensor } from '../../ir/types.js';
import type { Rates } from '../../prune/rates.js';
import type { Host, Progress } from '../host.js';
import type { Loaded } from '../parameters.js';
import { type SearchKeeper, searchedPlace } from '../search/stage.js';
import type { Loaders } from './data.js';
import { type KeptDensity, WorstDensities } from './densities.js';
import { type Counting, evaluate } from './evaluate.js';
import type { EndEvent, RunPlace, TrainEvent } from './events.js';
import { Stopped } from './features.js';
import { type FeatureFiles, type Kept, type KeptFeatures, keepFeatures } from './kept.js';
import { endOf, type LoopRequest, type RunStore, trainLoop } from './loop.js';

/** An item by name, its class, and the one that the model takes for likeliest. */
export interface Prediction {
  readonly item: string;
  readonly actual: string;
  readonly predicted: string;
}

/** A picture by name, how many objects are in it, and how many the model counts. */
export interface CountPrediction {
  readonly item: string;
  readonly count: number;
  readonly predicted: number;
  /** Where, of those that are most wrong. */
  readonly density?: KeptDensity;
}

/** Keeps what a run leaves, and gives back what is needed of it. */
export interface RunKeeper extends RunStore {
  /** What was trained, as it is after the best epoch so far. */
  trained(): Promise<ReadonlyMap<string, Tensor>>;
  /** What the result makes of a split: of items of one class each `predictions`, of counts `counts`; otherwise neither. */
  predictions(split: string, predictions: readonly Prediction[], counts?: readonly CountPrediction[]): Promise<void>;
  /** Where a search is kept while it is under way. */
  readonly search: SearchKeeper;
}

export interface Run extends Pick<LoopRequest, 'trainer' | 'train'> {
  readonly host: Host;
  readonly elaborated: Elaborated;
  readonly loaders: Loaders;
  /** Masks for what a search has found. */
  readonly masks: Loaded['masks'];
  readonly store: RunKeeper;
  readonly from: RunPlace;
  /** Where what is computed once an image goes if memory does not hold it. */
  readonly files?: FeatureFiles;
}

export interface RunOptions {
  /** Ends the run after the step that is under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Called before the first step. */
  readonly began?: () => void;
  /** Hears of what is computed once an image, when that is there. */
  readonly kept?: ((features: KeptFeatures) => void) | undefined;
  readonly progress?: Progress | undefined;
  /** Hears what is odd about a search. */
  readonly warn?: ((diagnostic: Diagnostic) => void) | undefined;
}

/** Runs to the end, and frees the trainer and the loaders. @throws EspalierError from the data and the steps; RuntimeError if the GPU is lost */
export async function* runTraining(run: Run, options: RunOptions): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { train, trainer, store, from, loaders } = run;
  const counting = { train, input: loaders.input, kind: loaders.sets.train.targets.kind };
  let features: Kept | undefined;
  let ended = false;
  try {
    options.began?.();
    features = await kept(run, options);
    if (!features) {
      const end = endOf(from, 'stopped', loaders.validation !== undefined);
      await store.record(end);
      yield end;
      return end;
    }
    const { loss: validation = loaders.validation, step: data = loaders.train } = features.loaders;
    const loop = (place: RunPlace, until?: number): ReturnType<typeof trainLoop> =>
      trainLoop({
        trainer,
        ...counting,
        data,
        pictures: loaders.train,
        named: (item) => loaders.sets.train.ids[item]!,
        ...(validation ? { validation } : {}),
        store,
        from: place,
        ...(until === undefined ? {} : { until }),
        signal: options.signal,
        clock: () => performance.now() / 1000,
      });
    const end = yield* phases(run, counting, loop, options);
    if (end.why !== 'stopped') yield* tested(run, counting);
    ended = end.why !== 'stopped';
    yield end;
    return end;
  } finally {
    trainer.dispose();
    await Promise.all([features?.close(ended), loaders.close()]);
  }
}

/** The loop to the end; before a search, without masks, and after it with those that it has found. */
async function* phases(
  run: Run,
  counting: Counting,
  loop: (from: RunPlace, until?: number) => ReturnType<typeof trainLoop>,
  options: RunOptions,
): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { train, trainer, from, masks, store } = run;
  const { search } = train;
  const mask = async (rates: Rates): Promise<void> => trainer.mask(masks(rates).masks);
  let place = from;
  if (search && !from.pruned) {
    const paused = yield* loop(from, search.after);
    if (paused.kind === 'end') return paused;
    const found = yield* searchedPlace({ ...run, train: { ...train, search }, counting, place: paused.place }, options);
    if (!found) {
      const end = endOf(paused.place, 'stopped', run.loaders.validation !== undefined);
      await store.record(end);
      return end;
    }
    place = found;
  }
  if (place.pruned) await mask(place.pruned);
  const end = yield* loop(place);
  if (end.kind === 'paused') throw new RangeError('the loop paused after its last epoch');
  return end;
}

/** What is computed once an image, if anything is; undefined if the run was stopped meanwhile. */
async function kept(
  { train, trainer, loaders, files }: Run,
  { signal, progress, kept: said }: RunOptions,
): Promise<Kept | undefined> {
  try {
    return await keepFeatures({
      trainer,
      loaders,
      memory: train.cache?.memory ?? 0,
      files,
      signal,
      progress,
      kept: said,
    });
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    throw error;
  }
}

/** What the selected weights give on the test split; without one, on the validation split. */
async function* tested(
  { trainer, store, loaders }: Run,
  counting: Parameters<typeof evaluate>[1],
): AsyncGenerator<TrainEvent> {
  const { sets } = loaders;
  const [split, data, loader] = loaders.test
    ? (['test', sets.test!, loaders.test] as const)
    : (['validation', sets.val, loaders.validation] as const);
  if (!data || !loader) return;
  const best = await store.trained();
  await trainer.session.replace(Object.fromEntries([...best].map(([name, t]) => [name, Float32Array.from(t.data)])));
  const densities = counting.kind === 'points' ? new WorstDensities(loaders.readings.step.options) : undefined;
  const { score, predictions, counts } = await evaluate(trainer, counting, loader, densities);
  const named = predictions.map(({ item, actual, predicted }) => ({
    item: data.ids[item]!,
    actual: data.classes[actual]!,
    predicted: data.classes[predicted]!,
  }));
  const where = densities?.end();
  await store.predictions(
    split,
    named,
    counts?.map(({ item, ...found }) => {
      const density = where?.get(item);
      return { item: data.ids[item]!, ...found, ...(density ? { density } : {}) };
    }),
  );
  if (split !== 'test') return;
  const event: TrainEvent = { kind: 'test', score };
  await store.record(event);
  yield event;
}
