/**
 * The loop of a run: epochs of steps, a validation after each, checkpoints. It knows neither files nor clocks of a machine: what is kept, a
 * store keeps. Everything that it does is a function of the settings, the data and the place where it begins, so that a run that goes on from a
 * checkpoint is the run that was never interrupted, bit for bit.
 */
import type { Loader } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Tensor } from '../../ir/types.js';
import { stepPlace } from '../search/schedule.js';
import { addedTo, type Counting, evaluate, scoreOf, targetOf } from './evaluate.js';
import { type EndEvent, type EpochEvent, figureOf, type RunPlace, type Score, type TrainEvent } from './events.js';
import { inputsOf } from './features.js';
import { type GoodState, notFinite, originOf } from './not-finite.js';
import type { Trainer } from './trainer.js';

/** Keeps what a run leaves. */
export interface RunStore {
  /** One event, for good when the promise resolves. */
  record(event: TrainEvent): Promise<void>;
  /** All that going on from here needs. */
  checkpoint(place: RunPlace, state: ReadonlyMap<string, Tensor>): Promise<void>;
  /** What was trained, as it is after the best epoch so far. */
  best(epoch: number, trained: ReadonlyMap<string, Tensor>): Promise<void>;
  /** The last checkpoint; undefined before there is one. */
  last(): Promise<GoodState | undefined>;
}

export interface LoopRequest extends Counting {
  readonly trainer: Trainer;
  readonly data: Loader;
  /** The same batches with their pictures, where `data` gives features. */
  readonly pictures: Loader;
  /** What an item of the data is called. */
  readonly named: (item: number) => string;
  readonly validation?: Loader;
  readonly store: RunStore;
  readonly from: RunPlace;
  /** The epoch before which it pauses (default: it goes on to the last). It pauses as well where nothing was better for a while. */
  readonly until?: number;
  /** Ends the run after the step that is under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds, from any beginning. */
  readonly clock: () => number;
}

/** Of no samples. */
const NOTHING: RunPlace['sum'] = { loss: 0, right: 0, samples: 0 };

/** Where a loop has paused. */
export interface Paused {
  readonly kind: 'paused';
  readonly place: RunPlace;
}

/**
 * Runs on from a place to the end, or to where it is to pause. Every event is in the store before it is given, and no checkpoint holds what is not finite.
 * @throws EspalierError from the data and the steps; ESP1103 where a loss or a weight is not finite, with the tensor that was first, where it can be told
 */
export async function* trainLoop(request: LoopRequest): AsyncGenerator<TrainEvent, EndEvent | Paused, undefined> {
  const { trainer, train, input, kind, data, validation, store, signal, clock, named, pictures } = request;
  const { until = train.epochs } = request;
  const pauses = until < train.epochs;
  const counting: Counting = { train, input, kind };
  const began = clock();
  let place = request.from;
  let samples = 0;
  const end = async (why: EndEvent['why']): Promise<EndEvent> => {
    const event = endOf(place, why, validation !== undefined);
    await store.record(event);
    return event;
  };
  const lost = async (what: 'loss' | 'state', value: string): Promise<EspalierError> => {
    const each = (clock() - began) / Math.max(1, place.step - request.from.step);
    const good = await store.last();
    const origin = await originOf({ trainer, train, input, data: pictures, named, good, place, each });
    const at = 'at' in origin && origin.at ? { primary: { span: origin.at, text: 'not finite from here on' } } : {};
    return new EspalierError([
      diagnostic('ESP1103', { what, value, epoch: place.epoch, step: place.step, ...origin }, at),
    ]);
  };
  const finiteState = async (): Promise<Map<string, Tensor>> => {
    const state = await trainer.state();
    const name = notFinite(state);
    if (name !== undefined) throw await lost('state', name);
    return state;
  };
  const tired = (): boolean =>
    validation !== undefined && train.patience !== undefined && place.since >= train.patience;
  if (pauses && tired()) return { kind: 'paused', place };
  for (; place.epoch < until; ) {
    const { epoch } = place;
    for await (const batch of data.batches({ epoch, batch: place.batch }, epoch + 1)) {
      const tensors = { ...inputsOf(batch, input), target: targetOf(batch, train) };
      const at = stepPlace(train, data.perEpoch, place);
      const result = await trainer.step(tensors, at);
      if (!Number.isFinite(result.loss)) throw await lost('loss', String(result.loss));
      const n = batch.indices.length;
      samples += n;
      const { accuracy } = scoreOf(addedTo(NOTHING, result, batch, counting), counting);
      const event: TrainEvent = {
        kind: 'step',
        step: place.step,
        epoch,
        loss: result.loss,
        ...(accuracy === undefined ? {} : { accuracy }),
        rates: train.groups.map(({ lr }) => train.rate(lr, at)),
        ...(result.norm === undefined ? {} : { norm: result.norm }),
        samples: n,
        seconds: clock() - began,
      };
      await store.record(event);
      yield event;
      const { sum } = place;
      place = {
        ...place,
        batch: batch.batch + 1,
        step: place.step + 1,
        sum: addedTo(sum, result, batch, counting),
      };
      const stops = signal?.aborted ?? false;
      if (stops || (train.saveSteps !== undefined && place.step % train.saveSteps === 0))
        await store.checkpoint(place, await finiteState());
      if (stops) return end('stopped');
    }
    const state = await finiteState();
    const found = validation && (await trainer.averaged(() => evaluate(trainer, counting, validation))).score;
    if (found && !Number.isFinite(found.loss))
      throw new EspalierError([
        diagnostic('ESP1103', { what: 'validation', value: String(found.loss), epoch, step: place.step }),
      ]);
    const best = found !== undefined && (place.best === undefined || isBetter(found, place.best.score));
    const event: EpochEvent = {
      kind: 'epoch',
      epoch,
      steps: place.step,
      train: scoreOf(place.sum, counting),
      ...(found ? { validation: found } : {}),
      best,
      rate: samples / Math.max(clock() - began, 1e-9),
      waited: data.report.elapsed > 0 ? data.report.waited / data.report.elapsed : 0,
      seconds: clock() - began,
    };
    place = {
      epoch: epoch + 1,
      batch: 0,
      step: place.step,
      sum: NOTHING,
      ...(best ? { best: { epoch, score: found } } : place.best ? { best: place.best } : {}),
      since: best ? 0 : place.since + 1,
      ...(place.pruned ? { pruned: place.pruned } : {}),
      ...(place.stage ? { stage: place.stage } : {}),
    };
    if (best || !validation) await store.best(epoch, await trainer.trained());
    await store.record(event);
    await store.checkpoint(place, state);
    yield event;
    if (signal?.aborted) return end('stopped');
    if (tired()) return pauses ? { kind: 'paused', place } : end('patience');
  }
  return pauses ? { kind: 'paused', place } : end('epochs');
}

/** How a run that is at a place ends. */
export function endOf({ best, epoch }: RunPlace, why: EndEvent['why'], validated: boolean): EndEvent {
  if (!validated || !best) return { kind: 'end', why, epoch: epoch - 1, selected: 'last epoch' };
  const selected = `validation ${figureOf(best.score)}` as const;
  return { kind: 'end', why, epoch: best.epoch, selected };
}

/** By accuracy where there are classes, by the mean average precision where there may be several, by the mean absolute error of counts; by the loss where that is equal. */
function isBetter(a: Score, b: Score): boolean {
  if (a.mae !== undefined && b.mae !== undefined && a.mae !== b.mae) return a.mae < b.mae;
  if (a.map !== undefined && b.map !== undefined && a.map !== b.map) return a.map > b.map;
  if (a.accuracy !== undefined && b.accuracy !== undefined && a.accuracy !== b.accuracy) return a.accuracy > b.accuracy;
  return a.loss < b.loss;
}
