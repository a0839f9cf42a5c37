/**
 * The stage of a run in which it is found out how much is pruned: after some epochs without a mask, and before those that train what was pruned. It has the
 * data and the GPU of the run, leaves the model as it was, and can be ended and gone on with after each candidate.
 */
import { limited } from '../../data/splits.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import type { Elaborated, SearchSettings, TrainSettings } from '../../dsl/elaborated.js';
import type { FoundMasks } from '../../prune/index.js';
import { makeController } from '../../search/index.js';
import { searchPicture } from '../../search/picture.js';
import { runSearch, type SearchResult } from '../../search/run.js';
import type { Saved } from '../../search/types.js';
import type { Host } from '../host.js';
import { type Loaders, listedReading } from '../train/data.js';
import type { Counting } from '../train/evaluate.js';
import type { PrunedEvent, RunPlace, TrainEvent } from '../train/events.js';
import type { RunStore } from '../train/loop.js';
import type { Trainer } from '../train/trainer.js';
import { networksOn } from './networks.js';
import { Recovery } from './recovery.js';

/** A search as it is after a candidate: with the spec and the data all that going on needs; and what became of each candidate, for people and programs. */
export interface SavedSearch extends Saved {
  readonly lines: readonly object[];
  /** The same as SVG. */
  readonly picture: string;
}

/** Keeps a search while it is under way. */
export interface SearchKeeper {
  /** What was saved last. */
  saved(): Promise<Saved | undefined>;
  /** For good when the promise resolves. */
  save(search: SavedSearch): Promise<void>;
}

export interface StageRequest {
  readonly host: Host;
  readonly elaborated: Elaborated;
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
  readonly warn?: ((diagnostic: Diagnostic) => void) | undefined;
}

/**
 * Finds out how much is pruned.
 * @returns where the run goes on from; undefined if the signal ended it
 * @throws EspalierError ESP1120 for a budget that allows no candidate; RuntimeError where the GPU fails
 */
export async function* searchedPlace(
  request: StageRequest,
  options: StageOptions,
): AsyncGenerator<TrainEvent, RunPlace | undefined, undefined> {
  const { trainer, place, store, masks } = request;
  const result = yield* search(request, options);
  if (!result) return undefined;
  const { rates = [], why, candidates, steps, images, seconds } = result;
  const { elements, zeros } = masks(rates).report;
  const event: PrunedEvent = {
    kind: 'pruned',
    step: place.step,
    ...{ rates, elements, zeros, why, candidates, steps, images, seconds },
  };
  const { best: _, ...rest } = place;
  const stage = { epoch: place.epoch, step: place.step };
  // What was best without a mask is not comparable with what comes, unless nothing is pruned.
  const found: RunPlace =
    rates.length > 0 ? { ...rest, since: 0, pruned: rates, stage } : { ...place, pruned: rates, stage };
  if (request.train.search.fresh) await trainer.restart();
  await store.record(event);
  if (rates.length > 0) await store.best(place.epoch - 1, await trainer.trained());
  await store.checkpoint(found, await trainer.state());
  yield event;
  return found;
}

async function* search(
  { host, elaborated, trainer, train, loaders, counting, masks, store, place }: StageRequest,
  { signal, warn }: StageOptions,
): AsyncGenerator<TrainEvent, SearchResult | undefined, undefined> {
  const { controller: asked, images, budget } = train.search;
  const { data: whole, options, open } = loaders.readings.step;
  const data = images === undefined ? whole : limited(whole, images, train.splitSeed);
  const recover = open(data, { ...options, size: Math.min(options.size, data.size) });
  // Whole pictures, in tiles where they keep their size, as a validation reads them.
  const listed = listedReading(elaborated, train, data, { open });
  const look = open(listed.data, listed.options);
  const environment = new Recovery({
    ...{ elaborated, trainer, train, counting, recover, look, masks, place, perEpoch: loaders.train.perEpoch },
  });
  const { layers } = environment;
  const controller = makeController(asked, { layers, networks: networksOn(host), seed: train.seed });
  try {
    const events = runSearch({
      environment,
      controller,
      budget: { candidates: budget.most, steps: budget.steps, seconds: budget.seconds },
      saved: await store.search.saved(),
      save: async (saved) =>
        store.search.save({ ...saved, picture: searchPicture(saved.lines, { threshold: thresholdOf(asked.options) }) }),
      signal,
      clock: () => performance.now() / 1000,
    });
    for (;;) {
      const { done, value } = await events.next();
      if (done) return value;
      if (value.kind === 'warning') warn?.(value.diagnostic);
      else yield { kind: 'candidate', step: place.step, ...value.line };
    }
  } finally {
    controller.dispose();
    await Promise.all([recover.close(), look.close()]);
  }
}

const thresholdOf = ({ threshold }: SearchSettings['controller']['options']): number | undefined =>
  typeof threshold === 'number' ? threshold : undefined;
