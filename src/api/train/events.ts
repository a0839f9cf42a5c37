/** What a run of training tells whoever follows it, and what its file of metrics holds: one of these a line. Losses are means over samples. */
import type { JournalLine } from '../../search/journal.js';

/** Over some samples: what the loss was, and how good what the model gave. */
export interface Score {
  readonly loss: number;
  /**
   * The share of the samples that the model got right: of one class each, the likeliest is it; of any number of classes, all of them are found and no other (a
   * logit above 0 says yes). Absent where numbers are learnt.
   */
  readonly accuracy?: number;
  /** Where items are of any number of classes, after an evaluation: the mean average precision, over the classes that some item is of. */
  readonly map?: number;
  /** Where objects are counted: the mean absolute error of the counts, and the root of their mean squared error. While training, of the samples as they were cut. */
  readonly mae?: number;
  readonly rmse?: number;
  readonly samples: number;
}

/** Sums of errors of counts, from which means are made when all are there. */
export interface CountErrors {
  readonly absolute: number;
  readonly squared: number;
}

/** What a score is judged by. */
export function figureOf({ map, accuracy, mae }: Score): Figure {
  if (mae !== undefined) return 'mean absolute error';
  return map !== undefined ? 'mean average precision' : accuracy !== undefined ? 'accuracy' : 'loss';
}

type Figure = 'mean average precision' | 'mean absolute error' | 'accuracy' | 'loss';

export interface StepEvent {
  readonly kind: 'step';
  /** From 0. */
  readonly step: number;
  readonly epoch: number;
  /** Before the step. */
  readonly loss: number;
  /** The share of the batch that the model got right, before the step: as in `Score`. */
  readonly accuracy?: number;
  /** Learning rates of the groups. */
  readonly rates: readonly number[];
  /** Of all gradients, if they are clipped. */
  readonly norm?: number;
  /** Samples of the batch. */
  readonly samples: number;
  /** Seconds since the run began, or went on. */
  readonly seconds: number;
}

export interface EpochEvent {
  readonly kind: 'epoch';
  readonly epoch: number;
  /** Steps so far. */
  readonly steps: number;
  /** While it was trained. */
  readonly train: Score;
  /** After it; absent without a validation split. */
  readonly validation?: Score;
  /** Whether the validation was better than all before. */
  readonly best: boolean;
  /** Of this run since it began or went on: samples a second, and the share of the time that the GPU waited for data. */
  readonly rate: number;
  readonly waited: number;
  readonly seconds: number;
}

export interface EndEvent {
  readonly kind: 'end';
  readonly why: 'epochs' | 'patience' | 'stopped';
  /** The epoch whose weights are the result: the best by validation, or the last. */
  readonly epoch: number;
  readonly selected: `validation ${Figure}` | 'last epoch';
}

/** What the result gives on a test split, which nothing was selected on. */
export interface TestEvent {
  readonly kind: 'test';
  readonly score: Score;
}

/** How much of the model a search has found to be pruned. */
export interface PrunedEvent {
  readonly kind: 'pruned';
  /** Steps before it, those of the search not among them. */
  readonly step: number;
  /** What the weights under the statement are pruned by: one rate for all, or one for each; none where no candidate was good enough. */
  readonly rates: readonly number[];
  /** Elements under the statement's masks, and how many of them are zero. */
  readonly elements: number;
  readonly zeros: number;
  /** Why these, or why none. */
  readonly why: string;
  /** What the search took: candidates that were tried, steps of their training, images that were looked at in all, seconds. */
  readonly candidates: number;
  readonly steps: number;
  readonly images: number;
  readonly seconds: number;
}

/** A candidate of a search that was tried out; the run's metrics do not hold it, the search's own journal does. */
export interface CandidateEvent extends JournalLine {
  readonly kind: 'candidate';
  /** Steps of the run before the search. */
  readonly step: number;
}

export type TrainEvent = StepEvent | EpochEvent | EndEvent | TestEvent | CandidateEvent | PrunedEvent;

/** Where a run is: with the states of the trainer all that going on needs. */
export interface RunPlace {
  readonly epoch: number;
  /** Batches of the epoch that are done. */
  readonly batch: number;
  readonly step: number;
  /** Of the epoch so far. */
  readonly sum: {
    readonly loss: number;
    readonly right: number;
    readonly samples: number;
    /** Of counts. */
    readonly errors?: CountErrors;
  };
  readonly best?: { readonly epoch: number; readonly score: Score };
  /** Epochs since the best one. */
  readonly since: number;
  /** What a search has found to be pruned; absent before its end, and where there is none. */
  readonly pruned?: readonly number[];
  /** Where the stage after a search began. */
  readonly stage?: { readonly epoch: number; readonly step: number };
}

export const START: RunPlace = { epoch: 0, batch: 0, step: 0, sum: { loss: 0, right: 0, samples: 0 }, since: 0 };

/** Whether an event was before a place: what comes later is done again. */
export function isBefore(event: TrainEvent, { step, epoch, pruned }: RunPlace): boolean {
  if (event.kind === 'pruned') return pruned !== undefined;
  if (event.kind === 'candidate') return pruned !== undefined;
  if (event.kind === 'step') return event.step < step;
  return event.kind === 'epoch' && event.epoch < epoch;
}
