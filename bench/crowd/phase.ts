/** One phase of the table, in a run folder of its own, which can be gone on with wherever it was ended. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type TrainEvent, train } from '../../src/api/index.js';
import { type Found, type Phase, type Places, phaseName, type Settings, sourceOf, specOf } from './plan.js';

/** What a phase has come to. */
export interface Outcome extends Partial<Found> {
  readonly name: string;
  readonly device: string;
  readonly seconds: number;
  /** Image-steps of its training. */
  readonly trained: number;
  readonly parameters?: number;
  /** Of a search: candidates, and why this rate. */
  readonly candidates?: number;
  readonly why?: string;
  /** Of the test scenes, by the weights of the best epoch of the validation scenes. */
  readonly mae?: number | undefined;
  readonly rmse?: number | undefined;
  /** Counted in what ships: of what is under the statement, and of the whole encoder. */
  readonly zeros?: (Zeros & { readonly backbone?: Zeros }) | undefined;
}

interface Zeros {
  readonly zeros: number;
  readonly elements: number;
}

export interface PhaseRequest {
  readonly phase: Phase;
  readonly settings: Settings;
  readonly places: Omit<Places, 'from'>;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

const outcomeFile = (folder: string, name: string): string => join(folder, `${name}.json`);

export function outcomeOf(folder: string, name: string): Outcome | undefined {
  const file = outcomeFile(folder, name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Outcome) : undefined;
}

/** @returns undefined if the signal ended it */
export async function runPhase(request: PhaseRequest): Promise<Outcome | undefined> {
  const { phase, settings, places, folder, signal, say } = request;
  const { seed, row, part, name } = phase;
  const source = join(folder, phaseName(seed, sourceOf(row), 'first'), 'adapter.safetensors');
  const found = part === 'rest' ? outcomeOf(folder, phaseName(seed, row, 'search')) : undefined;
  const from = part === 'first' ? {} : { from: source };
  const text = specOf(phase, settings, { ...places, ...from }, found && foundOf(found));
  const run = join(folder, name);
  // A search is over when it has found something: what its run would train is the row's rest, with a schedule of its own.
  const last = part === 'search' ? 'pruned' : 'test';
  // A process that was ended between a run's end and what follows here finds the run done.
  if (!eventOf(run, last)) {
    const over = new AbortController();
    const events = train(
      { text, path: join(folder, `${name}.peft`) },
      { out: run, resume: existsSync(join(run, 'run.json')), signal: AbortSignal.any([signal, over.signal]) },
    );
    for await (const event of events) {
      const said = textOf(event);
      if (said) say(said);
      if (part === 'search' && event.kind === last) over.abort();
    }
  }
  const ended = eventOf(run, last);
  if (!ended) return undefined;
  const { pins, plan } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
  const zeros = part === 'rest' ? (await compile(run, { golden: false })).program.summary.zeros : undefined;
  const outcome: Outcome = {
    ...{ name, device: pins.device, parameters: plan.trained, ...trainingOf(run), ...(zeros ? { zeros } : {}) },
    ...(ended.kind === 'pruned'
      ? { ...foundOf({ ...ended, rate: ended.rates[0] }), why: ended.why, candidates: ended.candidates }
      : {}),
    ...(ended.kind === 'test' ? { mae: ended.score.mae, rmse: ended.score.rmse } : {}),
  };
  const file = outcomeFile(folder, name);
  writeFileSync(`${file}.part`, `${JSON.stringify(outcome, undefined, 1)}\n`);
  renameSync(`${file}.part`, file);
  return outcome;
}

/** What a run has told so far, by its own record. */
function eventsOf(run: string): TrainEvent[] {
  const file = join(run, 'metrics.jsonl');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  // The last one may have been cut off.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as TrainEvent);
}

function eventOf<K extends TrainEvent['kind']>(run: string, kind: K): Extract<TrainEvent, { kind: K }> | undefined {
  return eventsOf(run).find((event): event is Extract<TrainEvent, { kind: K }> => event.kind === kind);
}

/** Image-steps and seconds of a run, which may have been gone on with. */
function trainingOf(run: string): { trained: number; seconds: number } {
  let [trained, seconds, since] = [0, 0, 0];
  for (const event of eventsOf(run)) {
    if (event.kind === 'step') trained += event.samples;
    if (event.kind === 'pruned') seconds += event.seconds;
    if (event.kind !== 'step' && event.kind !== 'epoch') continue;
    // A process that goes on with it counts from 0.
    seconds += event.seconds < since ? event.seconds : event.seconds - since;
    since = event.seconds;
  }
  return { trained, seconds };
}

const foundOf = ({ rate, images = 0 }: { rate?: number | undefined; images?: number | undefined }): Found => ({
  images,
  ...(rate === undefined ? {} : { rate }),
});

function textOf(event: TrainEvent): string | undefined {
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
  if (event.kind === 'epoch')
    return `epoch ${event.epoch + 1}: loss ${event.train.loss.toFixed(4)}, MAE ${event.validation?.mae?.toFixed(2)} of the validation scenes, ${event.rate.toFixed(1)} images/s`;
  if (event.kind === 'candidate' && event.similarity !== undefined)
    return `candidate ${event.number}: ${percent(event.zeros! / event.elements!)} pruned, similarity ${event.similarity.toFixed(4)}${event.action ? `: ${event.action}` : ''}`;
  if (event.kind === 'pruned') return `${percent(event.zeros / event.elements)} pruned: ${event.why}`;
  if (event.kind === 'test') return `test: MAE ${event.score.mae?.toFixed(2)}, RMSE ${event.score.rmse?.toFixed(2)}`;
  return undefined;
}
