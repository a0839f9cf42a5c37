/**
 * Runs of one spec under several values of its options and several seeds, one after another, each in a folder of its own: `rank=2,seed=0` below the
 * sweep's. The folders are all that it keeps, so that the same call goes on where another ended, however that one ended.
 */
import { join } from 'node:path';
import { sha256 } from '../../../runtime/program/digest.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Spec } from '../analyse.js';
import { secondsOf, selectedOf } from '../report/figures.js';
import { type SweptVtab, vtabOf } from '../report/vtab.js';
import type { Score, TrainEvent } from '../train/events.js';
import type { TrainPlan } from '../train/program.js';
import { requireSpec } from './folders/spec-of.js';
import { nodeHost } from './host.js';
import { eventsOf, isRunFolder, type RunFacts, readRun } from './run-folder.js';
import type { OnNode } from './spec.js';
import { type TrainRunOptions, train } from './train.js';

export interface SweepOptions extends Omit<TrainRunOptions, 'out' | 'resume' | 'set' | 'seed'> {
  /** The sweep's folder; made if it is not there. */
  readonly out: string;
  /** Values of each option of the model that is varied; of several, all combinations are run. */
  readonly set?: Readonly<Record<string, readonly string[]>>;
  /** Runs each under the seeds 0 to this, less one. Absent: once, under the spec's own. */
  readonly seeds?: number;
}

/** One run of a sweep. */
export interface SweepJob {
  /** Name of its folder below the sweep's. */
  readonly name: string;
  readonly set: Readonly<Record<string, string>>;
  readonly seed?: number;
}

/** What a run of a sweep gave. */
export interface SweepRun extends SweepJob {
  readonly validation?: Score;
  readonly test?: Score;
  /** Parameters that are trained. */
  readonly parameters: number;
  readonly seconds: number;
}

/** Over the seeds: the mean, and the standard deviation of a sample (n - 1), which one value has none of. */
export interface Spread {
  readonly mean: number;
  readonly deviation?: number;
}

const FIGURES = ['mae', 'map', 'accuracy'] as const;
type Figure = (typeof FIGURES)[number] | 'loss';

/** One row of the table: the options' values, over all seeds that have ended. */
export interface SweepRow {
  readonly set: Readonly<Record<string, string>>;
  /** Runs that have ended, of how many. */
  readonly runs: number;
  readonly of: number;
  /** Mean average precisions where items are of any number of classes, accuracies where they are of one, mean absolute errors of counts, otherwise losses. */
  readonly figure: Figure;
  readonly validation?: Spread;
  readonly test?: Spread;
  readonly parameters?: number;
  readonly seconds?: Spread;
}

export interface SweepResult {
  readonly runs: readonly SweepRun[];
  readonly rows: readonly SweepRow[];
  /** Where an option goes through tasks of VTAB-1k: the benchmark's means, for each combination of the others. */
  readonly vtab: readonly SweptVtab[];
  /** Runs whose loss was no number any more (ESP1103). The others were run. */
  readonly failed: readonly (SweepJob & { readonly diagnostics: readonly Diagnostic[] })[];
  /** Whether it was stopped before all were run. */
  readonly stopped: boolean;
}

export interface SweepEvent {
  readonly job: SweepJob;
  /** From 0, of how many. */
  readonly index: number;
  readonly of: number;
  /** `left`: it had ended before. `train`: an event of the run. */
  readonly kind: 'left' | 'begun' | 'resumed' | 'train';
  readonly event?: TrainEvent;
}

/** All combinations, the last option's values closest together, and of each all seeds. */
export function jobsOf({ set = {}, seeds }: Pick<SweepOptions, 'set' | 'seeds'>): SweepJob[] {
  let sets: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(set))
    sets = sets.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  const given = seeds === undefined ? [undefined] : Array.from({ length: seeds }, (_, i) => i);
  return sets.flatMap((one) =>
    given.map((seed) => {
      const named = [...Object.entries(one), ...(seed === undefined ? [] : [['seed', String(seed)] as const])];
      // A value may be a path, or hold what parts names.
      const name = named.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join(',');
      return { name: name || 'run', set: one, ...(seed === undefined ? {} : { seed }) };
    }),
  );
}

/**
 * Runs what is not run yet, and gives what all gave: `for await (const e of sweep('flowers.peft', { out: 'ranks', set: { rank: ['2', '4'] }, seeds: 3 }))`;
 * the generator's value is the result.
 * @throws what `train` throws, but for ESP1103, which ends one run only; ESP1106 where a run in the folder is of another spec. What has ended stays
 */
export async function* sweep(
  spec: Spec,
  options: OnNode<SweepOptions>,
): AsyncGenerator<SweepEvent, SweepResult, undefined> {
  const { set, seeds, out, ...common } = options;
  const jobs = jobsOf(options);
  const failed: (SweepJob & { diagnostics: readonly Diagnostic[] })[] = [];
  await requireSpec(spec, { host: nodeHost(), ...options });
  const text = typeof spec === 'string' ? (options.host ?? nodeHost()).readText(spec) : spec.text;
  const hash = await sha256(new TextEncoder().encode(text ?? ''));
  for (const [index, job] of jobs.entries()) {
    if (options.signal?.aborted) break;
    const path = join(out, job.name);
    const about = { job, index, of: jobs.length };
    const resume = isRunFolder(path);
    if (resume) requireSame(path, hash, readRun(path));
    if (resume && hasEnded(readRun(path), eventsOf(path))) {
      yield { ...about, kind: 'left' };
      continue;
    }
    yield { ...about, kind: resume ? 'resumed' : 'begun' };
    try {
      const seed = job.seed === undefined ? {} : { seed: job.seed };
      const run = train(spec, { ...common, out: path, resume, set: job.set, ...seed });
      for await (const event of run) yield { ...about, kind: 'train', event };
    } catch (error) {
      if (!(error instanceof EspalierError) || error.diagnostics.some((d) => d.code !== 'ESP1103')) throw error;
      failed.push({ ...job, diagnostics: error.diagnostics });
    }
  }
  const runs = jobs.flatMap((job) => runOf(join(out, job.name), job) ?? []);
  const stopped = runs.length + failed.length < jobs.length;
  const rows = rowsOf(jobs, runs);
  return { runs, rows, vtab: vtabOf(rows), failed, stopped };
}

/** After the end of training comes the test, where there is one: a run that was killed between them has not ended. */
function hasEnded({ data }: RunFacts, events: readonly TrainEvent[]): boolean {
  const end = events.findLast((e) => e.kind === 'end');
  if (!end || end.why === 'stopped') return false;
  return data.test === 0 || events.some((e) => e.kind === 'test');
}

/** A run that has ended is not opened again; its name and its spec's text say that it is of this sweep. @throws EspalierError ESP1106 */
function requireSame(path: string, hash: string, { hashes }: RunFacts): void {
  if (hashes.spec !== hash) throw new EspalierError([diagnostic('ESP1106', { path, changed: ['the spec'] })]);
}

function runOf(path: string, job: SweepJob): SweepRun | undefined {
  if (!isRunFolder(path)) return undefined;
  const [facts, events] = [readRun(path), eventsOf(path)];
  if (!hasEnded(facts, events)) return undefined;
  const epochs = events.filter((e) => e.kind === 'epoch');
  const { validation } =
    selectedOf(
      epochs,
      events.findLast((e) => e.kind === 'end'),
    ) ?? {};
  const test = events.findLast((e) => e.kind === 'test')?.score;
  const { trained } = facts.plan as unknown as TrainPlan;
  return {
    ...job,
    ...(validation ? { validation } : {}),
    ...(test ? { test } : {}),
    parameters: trained,
    seconds: secondsOf(events),
  };
}

// ---- The table -------------------------------------------------------------------------------------------------------

function rowsOf(jobs: readonly SweepJob[], runs: readonly SweepRun[]): SweepRow[] {
  const keyOf = ({ set }: SweepJob): string => JSON.stringify(set);
  return [...new Set(jobs.map(keyOf))].map((key): SweepRow => {
    const of = jobs.filter((job) => keyOf(job) === key);
    const ended = runs.filter((run) => keyOf(run) === key);
    const scored = ended.flatMap((r) => [r.validation, r.test]).find((s) => s !== undefined);
    const figure = FIGURES.find((name) => scored?.[name] !== undefined) ?? 'loss';
    const over = (score: (run: SweepRun) => Score | undefined): Spread | undefined =>
      spreadOf(ended.flatMap((run) => score(run)?.[figure] ?? []));
    const validation = over((r) => r.validation);
    const test = over((r) => r.test);
    const seconds = spreadOf(ended.map((r) => r.seconds));
    return {
      set: of[0]!.set,
      runs: ended.length,
      of: of.length,
      figure,
      ...(validation ? { validation } : {}),
      ...(test ? { test } : {}),
      ...(ended[0] && seconds ? { parameters: ended[0].parameters, seconds } : {}),
    };
  });
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (values.length === 1) return { mean };
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
