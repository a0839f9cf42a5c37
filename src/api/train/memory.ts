/** Training without files: data in memory, and a run that is kept there. For pages, and for whoever wants the weights and no folder. */
import { sha256 } from '../../../runtime/program/digest.js';
import { datasetHash } from '../../data/arrays.js';
import { makeLoader } from '../../data/loader.js';
import type { Datasets, SkippedItem } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { encodeAdapter } from '../../formats/adapters/adapter.js';
import type { TrainedOn } from '../../formats/adapters/trained-on.js';
import type { Tensor } from '../../ir/types.js';
import type { Spec } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { SavedSearch, SearchKeeper } from '../search/stage.js';
import { loadersOf, splitsOf } from './data.js';
import { type EndEvent, isBefore, type RunPlace, START, type TrainEvent } from './events.js';
import { type KeptFeatures, stillReaders } from './kept.js';
import type { GoodState } from './not-finite.js';
import { readTraining, type TrainerOptions } from './open.js';
import type { TrainPlan } from './program.js';
import { type CountPrediction, type Prediction, type Run, type RunKeeper, runTraining } from './run.js';
import { openTrainer } from './trainer.js';

export interface MemoryTrainOptions extends TrainerOptions {
  /** What is learnt. A validation split is made of the training data as the spec says, unless there is one. */
  readonly datasets: Datasets;
  /** Keeps what the run leaves. One that was begun is gone on with, bit for bit, from where it was stopped or its last epoch ended. */
  readonly run?: MemoryRun;
  /** Ends the run after the step that is under way; `run` can be gone on with. */
  readonly signal?: AbortSignal;
  /** Hears of pictures that cannot be read. */
  readonly skipped?: (item: SkippedItem) => void;
  /** Hears of what is computed once an image, when that is there. */
  readonly kept?: (features: KeptFeatures) => void;
  /** Hears what will be done, before the first step. */
  readonly began?: (about: MemoryRunPlan) => void;
}

/** What a run takes, known before its first step. */
export interface MemoryRunPlan {
  /** What the model and a step take of memory. */
  readonly plan: TrainPlan;
  /** The GPU, as its driver calls it. */
  readonly device: string;
  /** Of the whole run, those before it went on among them. */
  readonly steps: number;
}

/** What a run leaves, in memory: give it to `trainInMemory`, and ask it afterwards. */
export class MemoryRun implements RunKeeper {
  /** All of them, in order; of a run that went on, those of the steps that count. */
  readonly events: TrainEvent[] = [];
  /** What the result makes of the test split, or of the validation split where there is none. */
  tested:
    | {
        readonly split: string;
        readonly predictions: readonly Prediction[];
        readonly counts?: readonly CountPrediction[];
      }
    | undefined;
  /** A search for how much is pruned, as it is after its last candidate. */
  searched: SavedSearch | undefined;
  readonly search: SearchKeeper = {
    saved: async () => this.searched,
    save: async (state) => {
      this.searched = state;
    },
  };
  private kept: GoodState | undefined;
  private found: ReadonlyMap<string, Tensor> | undefined;
  private facts: Facts | undefined;

  /** Steps that are done, as far as they can be gone on from. */
  get steps(): number {
    return this.kept?.place.step ?? 0;
  }

  /** Whether an epoch has ended, so that there is something to be had. */
  get hasResult(): boolean {
    return this.found !== undefined;
  }

  /** What was trained, by name, as it is after the best epoch so far. @throws EspalierError ESP1104 before the first epoch has ended */
  async trained(): Promise<ReadonlyMap<string, Tensor>> {
    return this.result();
  }

  /** What a search has found to be pruned; undefined before, and where the spec has none. For `compile`, with what was trained. */
  get rates(): readonly number[] | undefined {
    return this.events.findLast((e) => e.kind === 'pruned')?.rates;
  }

  /** The same as an adapter file, with the names of the classes: safetensors, which `from` in a spec takes. @throws as `trained` */
  adapter(): Uint8Array {
    const labels = this.facts?.classes ?? [];
    return encodeAdapter(this.result(), labels.length > 0 ? labels : undefined, this.facts?.on);
  }

  async record(event: TrainEvent): Promise<void> {
    this.events.push(event);
  }

  async checkpoint(place: RunPlace, state: ReadonlyMap<string, Tensor>): Promise<void> {
    this.kept = { place, state };
  }

  async last(): Promise<GoodState | undefined> {
    return this.kept;
  }

  async best(_epoch: number, trained: ReadonlyMap<string, Tensor>): Promise<void> {
    this.found = trained;
  }

  async predictions(
    split: string,
    predictions: readonly Prediction[],
    counts?: readonly CountPrediction[],
  ): Promise<void> {
    this.tested = { split, predictions, ...(counts ? { counts } : {}) };
  }

  /** Begins, or goes on: where, and with which states. @throws EspalierError ESP1106 if it was begun with something else */
  begin(facts: Facts): GoodState | undefined {
    const before = this.facts;
    if (before) {
      const changed = (Object.keys(CHANGED) as (keyof typeof CHANGED)[])
        .filter((k) => before[k] !== facts[k])
        .map((k) => CHANGED[k]);
      if (changed.length > 0) throw new EspalierError([diagnostic('ESP1106', { path: 'the run', changed })]);
    }
    this.facts = facts;
    // What came after the place to go on from is done again.
    const { place = START } = this.kept ?? {};
    const kept = this.events.filter((e) => isBefore(e, place));
    this.events.splice(0, this.events.length, ...kept);
    return this.kept;
  }

  private result(): ReadonlyMap<string, Tensor> {
    if (this.found) return this.found;
    throw new EspalierError([diagnostic('ESP1104', { path: 'the run', problem: 'no epoch of it has ended' })]);
  }
}

/** What a run is, so that it is gone on with as it was begun. */
interface Facts {
  readonly spec: string;
  readonly options: string;
  readonly seed: number;
  readonly data: string;
  readonly classes: readonly string[];
  readonly on?: TrainedOn;
}

const CHANGED = { spec: 'the spec', options: 'the options of the model', seed: 'the seed', data: 'the data' } as const;

/**
 * Trains what a spec says on data in memory: `for await (const event of trainInMemory(spec, { host, datasets, run }))`. The generator's value is how the run ended;
 * `run.adapter()` is what it learnt.
 * @throws EspalierError with everything that is wrong with the spec, its files and the data (ESP1106, ESP1108, ESP1111, ESP1021, ESP1005), and with a loss that is not a
 * number (ESP1103); RuntimeError where there is no GPU, or it is lost. What ended so can be gone on with
 */
export async function* trainInMemory(
  spec: Spec,
  options: MemoryTrainOptions,
): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { run = new MemoryRun(), signal, began, kept, progress, warn } = options;
  const ready = await sayDataErrors(() => prepared(spec, run, options));
  const { plan, device } = ready.trainer;
  const steps = ready.loaders.train.perEpoch * ready.train.epochs;
  return yield* runTraining(ready, { signal, kept, progress, warn, began: () => began?.({ plan, device, steps }) });
}

async function prepared(spec: Spec, store: MemoryRun, options: MemoryTrainOptions): Promise<Run> {
  const { datasets, host, progress, set, skipped } = options;
  const { elaborated, train, params, masks, on } = await readTraining(spec, options);
  const sets = splitsOf(train, datasets);
  const loaders = loadersOf(elaborated, train, sets, { open: makeLoader, skipped });
  const hashes = await Promise.all([sets.train, sets.val, sets.test].map((s) => (s ? datasetHash(s) : '')));
  const text = typeof spec === 'string' ? host.readText(spec)! : spec.text;
  const before = store.begin({
    spec: text,
    options: JSON.stringify(set ?? {}),
    seed: train.seed,
    data: await sha256(new TextEncoder().encode(hashes.join())),
    classes: sets.train.targets.kind === 'numbers' ? [] : sets.train.classes,
    ...(on ? { on } : {}),
  });
  const trainer = await openTrainer({ elaborated, train, params, still: stillReaders(train, loaders), host, progress });
  try {
    if (before) await trainer.restore(before.state);
    return { host, elaborated, train, trainer, masks, store, from: before?.place ?? START, loaders };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}
