/** What a run's report says, as data: figures of its events and predictions. Nothing here reads files or writes pages. */
import type { TrainSettings } from '../../dsl/elaborated.js';
import { SEARCH_DEFAULTS, type SearchName } from '../../ir/prune.js';
import type { JournalLine } from '../../search/journal.js';
import { type Evaluation, figures } from '../golden/metrics.js';
import type { Predictions, RunFacts } from '../node/run-folder.js';
import { errorsOf, meansOf } from '../train/counting.js';
import {
  type EndEvent,
  type EpochEvent,
  figureOf,
  type Score,
  type StepEvent,
  type TrainEvent,
} from '../train/events.js';
import type { CountPrediction, Prediction } from '../train/run.js';
import type { SearchReport } from './search.js';

/** Curves over the steps so far: each has a value, or none, at every `x`. */
export interface Chart {
  readonly title: string;
  readonly unit: 'number' | 'share' | 'rate';
  readonly x: readonly number[];
  readonly series: readonly Curve[];
  readonly note?: string;
}

export interface Curve {
  readonly name: string;
  /** Many points that are read as one course, or a few that each count. */
  readonly look: 'fine' | 'marked';
  readonly values: readonly (number | null)[];
}

/** How a run stands: ended by itself or stopped; or neither, and a process writes it now, or none does (it was killed). */
export type RunState = EndEvent['why'] | 'under way' | 'broken off';

export interface RunReport {
  readonly facts: RunFacts;
  readonly state: RunState;
  readonly epochs: readonly EpochEvent[];
  /** Steps that were taken. */
  readonly steps: number;
  /** Of all processes that worked on it. */
  readonly seconds: number;
  /** The epoch whose weights are the result (so far), and by what; absent before the first has ended. */
  readonly selected?: {
    readonly epoch: number;
    readonly by: EndEvent['selected'];
    readonly train: Score;
    readonly validation?: Score;
  };
  readonly test?: Score;
  readonly charts: readonly Chart[];
  /** Of a model that tells classes apart, once it has ended. */
  readonly evaluation?: Evaluation & { readonly split: string; readonly wrong: readonly Prediction[] };
  /** Where the spec has a search. */
  readonly search?: SearchReport;
  /** Of a model that counts, once it has ended: its pictures, those that are most wrong first. */
  readonly counting?: {
    readonly split: string;
    readonly mae: number;
    readonly rmse: number;
    readonly worst: readonly CountPrediction[];
  };
}

/** Curves of more steps than this are drawn by means of neighbours. */
export const MOST_POINTS = 1000;

export function reportFrom(
  facts: RunFacts,
  events: readonly TrainEvent[],
  predictions: Predictions | undefined,
  written: boolean,
  candidates: readonly JournalLine[] = [],
): RunReport {
  const steps = events.filter((e) => e.kind === 'step');
  const epochs = events.filter((e) => e.kind === 'epoch');
  const end = events.findLast((e) => e.kind === 'end');
  const test = events.findLast((e) => e.kind === 'test');
  const selected = selectedOf(epochs, end);
  return {
    facts,
    // A run that goes on has no `end` until it ends again.
    state: end?.why ?? (written ? 'under way' : 'broken off'),
    epochs,
    steps: steps.length,
    seconds: secondsOf(events),
    ...(selected ? { selected } : {}),
    ...(test ? { test: test.score } : {}),
    charts: chartsOf(facts, steps, epochs),
    ...(predictions && predictions.predictions.length > 0
      ? { evaluation: evaluationOf(facts.data.classes, predictions) }
      : {}),
    ...searchOf(facts, events, candidates),
    ...(predictions?.counts ? { counting: countingOf(predictions.split, predictions.counts) } : {}),
  };
}

/** What a run's settings, its events and its journal say of a search. */
function searchOf(
  { settings }: RunFacts,
  events: readonly TrainEvent[],
  candidates: readonly JournalLine[],
): { search?: SearchReport } {
  const pruned = events.findLast((e) => e.kind === 'pruned');
  const asked = (settings.search as TrainSettings['search'] | undefined)?.controller;
  if (!asked) return {};
  const { threshold } = { ...SEARCH_DEFAULTS[asked.form as SearchName], ...asked.options } as { threshold?: number };
  return {
    search: {
      controller: asked.form,
      candidates,
      ...(threshold === undefined ? {} : { threshold }),
      ...(pruned ? { pruned } : {}),
    },
  };
}

/** Seconds start from 0 each time that a run goes on. */
export function secondsOf(events: readonly TrainEvent[]): number {
  let [sum, last] = [0, 0];
  for (const e of events) {
    if (e.kind !== 'step' && e.kind !== 'epoch') continue;
    if (e.seconds < last) sum += last;
    last = e.seconds;
  }
  return sum + last;
}

/** As the loop selects: the last of those that were better than all before, or without a validation split the last. */
export function selectedOf(epochs: readonly EpochEvent[], end: EndEvent | undefined): RunReport['selected'] {
  const best = epochs.findLast((e) => e.best) ?? epochs.at(-1);
  const found = end ? (epochs.find((e) => e.epoch === end.epoch) ?? best) : best;
  if (!found) return undefined;
  const { epoch, train, validation } = found;
  return {
    epoch,
    by: end?.selected ?? (validation ? `validation ${figureOf(validation)}` : 'last epoch'),
    train,
    ...(validation ? { validation } : {}),
  };
}

function evaluationOf(classes: readonly string[], { split, predictions }: Predictions) {
  const number = new Map(classes.map((name, i) => [name, i]));
  const pairs = predictions.map((p) => [number.get(p.actual)!, number.get(p.predicted)!] as const);
  const wrong = predictions.filter((p) => p.actual !== p.predicted);
  return { ...figures(classes, pairs), split, wrong };
}

function countingOf(split: string, counts: readonly CountPrediction[]): NonNullable<RunReport['counting']> {
  const { mae = 0, rmse = 0 } = meansOf(errorsOf(counts), counts.length);
  const error = ({ count, predicted }: CountPrediction): number => Math.abs(predicted - count);
  return { split, mae, rmse, worst: [...counts].sort((a, b) => error(b) - error(a)) };
}

// ---- Charts ----------------------------------------------------------------------------------------------------------

/** One curve before it shares its `x` with others. */
interface Line {
  readonly name: string;
  readonly look: Curve['look'];
  readonly points: readonly (readonly [x: number, y: number])[];
}

function chartsOf(facts: RunFacts, steps: readonly StepEvent[], epochs: readonly EpochEvent[]): Chart[] {
  const size = Math.max(1, Math.ceil(steps.length / MOST_POINTS));
  const note = size > 1 ? { note: `Points of steps are means of ${size} steps each.` } : {};
  const fine = (name: string, value: (s: StepEvent) => number | undefined): Line => ({
    name,
    look: 'fine',
    points: thinned(
      steps.flatMap((s) => {
        const y = value(s);
        return y === undefined ? [] : [[s.step, y] as const];
      }),
      size,
    ),
  });
  const marked = (name: string, value: (e: EpochEvent) => number | undefined): Line => ({
    name,
    look: 'marked',
    points: epochs.flatMap((e) => {
      const y = value(e);
      return y === undefined ? [] : [[e.steps, y] as const];
    }),
  });
  const groups = facts.settings.groups as readonly { optimizer: string; parameters: number }[] | undefined;
  const rates = Array.from({ length: steps[0]?.rates.length ?? 0 }, (_, i) =>
    fine(
      groups && groups.length > 1 ? `group ${i + 1}: ${groups[i]!.parameters} tensors` : 'learning rate',
      (s) => s.rates[i],
    ),
  );
  return [
    chart('Loss', 'number', [
      fine('training, each step', (s) => s.loss),
      marked('training, mean of an epoch', (e) => e.train.loss),
      marked('validation', (e) => e.validation?.loss),
    ]),
    chart('Accuracy', 'share', [
      marked('training, while it was trained', (e) => e.train.accuracy),
      marked('validation', (e) => e.validation?.accuracy),
    ]),
    chart('Mean average precision', 'share', [marked('validation', (e) => e.validation?.map)]),
    chart('Mean absolute error of counts', 'number', [
      marked('training, of samples as they were cut', (e) => e.train.mae),
      marked('validation', (e) => e.validation?.mae),
    ]),
    chart('Root of the mean squared error of counts', 'number', [
      marked('training, of samples as they were cut', (e) => e.train.rmse),
      marked('validation', (e) => e.validation?.rmse),
    ]),
    chart('Learning rate', 'rate', rates),
    chart('Norm of the gradients, before they are clipped', 'number', [fine('norm', (s) => s.norm)]),
  ]
    .filter((c) => c.series.length > 0)
    .map((c) => (c.series.some((s) => s.look === 'fine') ? { ...c, ...note } : c));
}

/** Means of so many neighbours, where the middle of them is. */
function thinned(points: readonly (readonly [number, number])[], size: number): Line['points'] {
  if (size === 1) return points;
  const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    return [Math.round(mean(part.map((p) => p[0]))), mean(part.map((p) => p[1]))] as const;
  });
}

function chart(title: string, unit: Chart['unit'], lines: readonly Line[]): Chart {
  const some = lines.filter((l) => l.points.length > 0);
  const x = [...new Set(some.flatMap((l) => l.points.map((p) => p[0])))].sort((a, b) => a - b);
  const series = some.map(({ name, look, points }) => {
    const at = new Map(points);
    return { name, look, values: x.map((step) => at.get(step) ?? null) };
  });
  return { title, unit, x, series };
}
