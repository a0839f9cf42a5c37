/**
 * The loop of a run: epochs of steps, a validation after each, checkpoints. It knows neither files nor clocks of a machine: what is kept, a
 * store keeps. Everything that it does is a function of the settings, the data and the place where it begins, so that a run that goes on from a
 * checkpoint is the run that was never interrupted, bit for bit.
 */
import type { Batch, BatchTargets, Loader } from '../../data/types.js';
import type { TrainSettings } from '../../dsl/elaborated.js';
import type { Tensor } from '../../ir/types.js';
import type { EndEvent, EpochEvent, RunPlace, Score, TrainEvent } from './events.js';
import { inputsOf } from './features.js';
import type { StepResult, Trainer } from './trainer.js';

/** Keeps what a run leaves. */
export interface RunStore {
  /** One event, for good when the promise resolves. */
  record(event: TrainEvent): Promise<void>;
  /** All that going on from here needs. */
  checkpoint(place: RunPlace, state: ReadonlyMap<string, Tensor>): Promise<void>;
  /** What was trained, as it is after the best epoch so far. */
  best(epoch: number, trained: ReadonlyMap<string, Tensor>): Promise<void>;
}

export interface LoopRequest {
  readonly trainer: Trainer;
  readonly train: TrainSettings;
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  /** Whether each item is of one class: then there is a share of right ones. */
  readonly classified: boolean;
  readonly data: Loader;
  readonly validation?: Loader;
  readonly store: RunStore;
  readonly from: RunPlace;
  /** Ends the run after the step that is under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds, from any beginning. */
  readonly clock: () => number;
}

/** Runs on from a place to the end. Every event is in the store before it is given. @throws EspalierError from the data and the steps */
export async function* trainLoop(request: LoopRequest): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { trainer, train, input, classified, data, validation, store, signal, clock } = request;
  const counting: Counting = { train, input, classified };
  const began = clock();
  const steps = data.perEpoch * train.epochs;
  let place = request.from;
  let samples = 0;
  const end = async (why: EndEvent['why']): Promise<EndEvent> => {
    const event = endOf(place, why, validation !== undefined);
    await store.record(event);
    return event;
  };
  for (; place.epoch < train.epochs; ) {
    const { epoch } = place;
    for await (const batch of data.batches({ epoch, batch: place.batch }, epoch + 1)) {
      const tensors = { ...inputsOf(batch, input), target: targetOf(batch, train) };
      const result = await trainer.step(tensors, { epoch, step: place.step, steps });
      const n = batch.indices.length;
      samples += n;
      const event: TrainEvent = {
        kind: 'step',
        step: place.step,
        epoch,
        loss: result.loss,
        rates: train.groups.map(({ lr }) => train.rate(lr, { epoch, step: place.step, steps })),
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
        sum: {
          loss: sum.loss + n * result.loss,
          right: sum.right + rightOf(result, batch, counting),
          samples: sum.samples + n,
        },
      };
      const stops = signal?.aborted ?? false;
      if (stops || (train.saveSteps !== undefined && place.step % train.saveSteps === 0))
        await store.checkpoint(place, await trainer.state());
      if (stops) return end('stopped');
    }
    const found = validation && (await trainer.averaged(() => evaluate(trainer, counting, validation))).score;
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
      sum: { loss: 0, right: 0, samples: 0 },
      ...(best ? { best: { epoch, score: found } } : place.best ? { best: place.best } : {}),
      since: best ? 0 : place.since + 1,
    };
    if (best || !validation) await store.best(epoch, await trainer.trained());
    await store.record(event);
    await store.checkpoint(place, await trainer.state());
    yield event;
    if (signal?.aborted) return end('stopped');
    if (validation && train.patience !== undefined && place.since >= train.patience) return end('patience');
  }
  return end('epochs');
}

/** How a run that is at a place ends. */
export function endOf({ best, epoch }: RunPlace, why: EndEvent['why'], validated: boolean): EndEvent {
  if (!validated || !best) return { kind: 'end', why, epoch: epoch - 1, selected: 'last epoch' };
  const selected = best.score.accuracy === undefined ? 'validation loss' : 'validation accuracy';
  return { kind: 'end', why, epoch: best.epoch, selected };
}

/** By accuracy where there are classes, and by the loss where that is equal. */
function isBetter(a: Score, b: Score): boolean {
  if (a.accuracy !== undefined && b.accuracy !== undefined && a.accuracy !== b.accuracy) return a.accuracy > b.accuracy;
  return a.loss < b.loss;
}

/** How samples are scored. */
export type Counting = Pick<LoopRequest, 'train' | 'input' | 'classified'>;

/** What the model makes of a data set. */
export interface Evaluated {
  readonly score: Score;
  /** Items by their number in the data set, their class and the one that the model takes for likeliest; empty where there are no classes. */
  readonly predictions: readonly { readonly item: number; readonly actual: number; readonly predicted: number }[];
}

/** The whole of a loader once, as inference computes it. */
export async function evaluate(trainer: Trainer, counting: Counting, data: Loader): Promise<Evaluated> {
  let [loss, samples] = [0, 0];
  const predictions: { item: number; actual: number; predicted: number }[] = [];
  for await (const batch of data.batches({ epoch: 0, batch: 0 }, 1)) {
    const target = targetOf(batch, counting.train);
    const result = await trainer.evaluate({ ...inputsOf(batch, counting.input), target });
    loss += batch.indices.length * result.loss;
    samples += batch.indices.length;
    if (counting.classified)
      classesOf(result, batch).forEach((one, i) => {
        predictions.push({ item: batch.indices[i]!, ...one });
      });
  }
  const right = predictions.filter((p) => p.actual === p.predicted).length;
  return { score: scoreOf({ loss, right, samples }, counting), predictions };
}

function scoreOf({ loss, right, samples }: RunPlace['sum'], { classified }: Counting): Score {
  const score = { loss: loss / samples, samples };
  return classified ? { ...score, accuracy: right / samples } : score;
}

/** As the loss takes it: of classes one number for each, whatever the data have. */
export function targetOf({ targets, indices }: Batch, train: TrainSettings): Float32Array {
  if (targets.kind === 'values') return targets.values;
  const classes = train.loss.results[1]!.value.type.shape.at(-1)!;
  const values = new Float32Array(indices.length * classes);
  targets.labels.forEach((label, i) => {
    values[i * classes + label] = 1;
  });
  return values;
}

/** How many of a batch the model got right: the likeliest class is that of the target. */
const rightOf = (result: StepResult, batch: Batch, { classified }: Counting): number =>
  classified ? classesOf(result, batch).filter((c) => c.actual === c.predicted).length : 0;

/** Of each sample the class, and the one that the model takes for likeliest. */
function classesOf({ outputs }: StepResult, batch: Batch): { actual: number; predicted: number }[] {
  const found = Object.values(outputs)[0]!;
  const n = batch.indices.length;
  const classes = found.length / n;
  return Array.from({ length: n }, (_, i) => ({
    actual: labelOf(batch.targets, i, classes),
    predicted: likeliest(found, i * classes, classes),
  }));
}

const labelOf = (targets: BatchTargets, i: number, classes: number): number =>
  targets.kind === 'labels' ? targets.labels[i]! : likeliest(targets.values, i * classes, classes);

function likeliest(values: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (values[from + c]! > values[from + best]!) best = c;
  return best;
}
