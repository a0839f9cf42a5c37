/**
 * The stage of a run in which it is found out how much is pruned: after some epochs without a mask, and before those that train what was pruned. It has the
 * data and the GPU of the run, leaves the model as it was, and can be ended and gone on with after each candidate.
 */
import type { SearchSettings, TrainSettings } from '../../dsl/elaborated.js';
import type { Tensor } from '../../ir/types.js';
import type { FoundMasks } from '../../prune/index.js';
import type { Loaders } from '../train/data.js';
import type { Counting } from '../train/evaluate.js';
import type { PrunedEvent, RunPlace } from '../train/events.js';
import type { RunStore } from '../train/loop.js';
import type { Trainer } from '../train/trainer.js';

/** A search as it is after a candidate: with the spec and the data all that going on needs. */
export interface SavedSearch {
  readonly json: unknown;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Of each candidate what became of it, for people and programs. */
  readonly lines: readonly object[];
  /** The same as SVG. */
  readonly picture?: string;
}

/** Keeps a search while it is under way. */
export interface SearchKeeper {
  /** What was saved last. */
  saved(): Promise<Pick<SavedSearch, 'json' | 'tensors'> | undefined>;
  /** For good when the promise resolves. */
  save(search: SavedSearch): Promise<void>;
}

export interface StageRequest {
  readonly trainer: Trainer;
  readonly train: TrainSettings & { readonly search: SearchSettings };
  readonly loaders: Loaders;
  readonly counting: Counting;
  readonly masks: (rates: readonly number[]) => FoundMasks;
  readonly store: RunStore & { readonly search: SearchKeeper };
  /** Where the run is when the search begins. */
  readonly place: RunPlace;
}

export interface StageOptions {
  /** Ends the search; the candidate that is under way is tried again when it goes on. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds out how much is pruned.
 * @returns where the run goes on from; undefined if the signal ended it
 */
export async function* searchedPlace(
  request: StageRequest,
  _options: StageOptions,
): AsyncGenerator<PrunedEvent, RunPlace | undefined, undefined> {
  const { train, masks, place, store, trainer } = request;
  const began = performance.now();
  const rates = [Number(train.search.controller.options.rate)];
  const { report } = masks(rates);
  const event: PrunedEvent = {
    kind: 'pruned',
    step: place.step,
    rates,
    elements: report.elements,
    zeros: report.zeros,
    why: 'the spec says so',
    candidates: 0,
    steps: 0,
    images: 0,
    seconds: (performance.now() - began) / 1000,
  };
  // What was best without a mask is not comparable with what comes.
  const { best: _, ...rest } = place;
  const found: RunPlace = { ...rest, since: 0, pruned: rates };
  await store.record(event);
  await store.best(place.epoch - 1, await trainer.trained());
  await store.checkpoint(found, await trainer.state());
  yield event;
  return found;
}
