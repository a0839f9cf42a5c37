/** A run from a trainer that is ready to the test of what it selected, wherever what it leaves is kept: in a folder, or in memory. */
import type { Tensor } from '../../ir/types.js';
import type { Loaders } from './data.js';
import type { EndEvent, RunPlace, TrainEvent } from './events.js';
import { evaluate, type LoopRequest, type RunStore, trainLoop } from './loop.js';

/** An item by name, its class, and the one that the model takes for likeliest. */
export interface Prediction {
  readonly item: string;
  readonly actual: string;
  readonly predicted: string;
}

/** Keeps what a run leaves, and gives back what is needed of it. */
export interface RunKeeper extends RunStore {
  /** What was trained, as it is after the best epoch so far. */
  trained(): Promise<ReadonlyMap<string, Tensor>>;
  /** What the result makes of a split; empty where numbers are learnt. */
  predictions(split: string, predictions: readonly Prediction[]): Promise<void>;
}

export interface Run extends Pick<LoopRequest, 'trainer' | 'train'> {
  readonly loaders: Loaders;
  readonly store: RunKeeper;
  readonly from: RunPlace;
}

export interface RunOptions {
  /** Ends the run after the step that is under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Called before the first step. */
  readonly began?: () => void;
}

/** Runs to the end, and frees the trainer and the loaders. @throws EspalierError from the data and the steps; RuntimeError if the GPU is lost */
export async function* runTraining(run: Run, options: RunOptions): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { train, trainer, store, from, loaders } = run;
  const counting = { train, input: loaders.input, classified: loaders.sets.train.targets.kind === 'class' };
  try {
    options.began?.();
    const end = yield* trainLoop({
      trainer,
      ...counting,
      data: loaders.train,
      ...(loaders.validation ? { validation: loaders.validation } : {}),
      store,
      from,
      signal: options.signal,
      clock: () => performance.now() / 1000,
    });
    if (end.why !== 'stopped') yield* tested(run, counting);
    yield end;
    return end;
  } finally {
    trainer.dispose();
    await loaders.close();
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
  const { score, predictions } = await evaluate(trainer, counting, loader);
  const named = predictions.map(({ item, actual, predicted }) => ({
    item: data.ids[item]!,
    actual: data.classes[actual]!,
    predicted: data.classes[predicted]!,
  }));
  await store.predictions(split, named);
  if (split !== 'test') return;
  const event: TrainEvent = { kind: 'test', score };
  await store.record(event);
  yield event;
}
