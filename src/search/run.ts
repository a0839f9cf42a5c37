/**
 * A search, from its first candidate to a verdict: the budget, the journal, and going on. After each candidate everything that going on takes is saved, as plain
 * data, so a search that is killed has the same candidates, the same networks and the same verdict, to the bit, as one that is not.
 */
import { RuntimeError } from '../../runtime/errors.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { tensor } from '../ir/run/tensor.js';
import type { Tensor } from '../ir/types.js';
import type { JournalLine } from './journal.js';
import { resized, SIDE } from './metrics.js';
import type { Controller, Environment, Saved, Spent, Tried, Verdict } from './types.js';
import { isVerdict } from './types.js';

/** Where a search ends at the latest. A candidate that would go beyond it is not begun. */
export interface SearchBudget {
  /** Candidates that are tried out. */
  readonly candidates?: number | undefined;
  /** Steps of training, over all candidates. */
  readonly steps?: number | undefined;
  readonly seconds?: number | undefined;
}

export interface SearchRequest {
  readonly environment: Environment;
  /** One that was just made; the caller's to dispose of. */
  readonly controller: Controller;
  readonly budget: SearchBudget;
  /** What was saved of this search, to go on from there. */
  readonly saved?: Saved | undefined;
  /** For good when the promise resolves. */
  readonly save?: (search: Saved & { readonly lines: readonly JournalLine[] }) => Promise<void>;
  /** Ends the search; the candidate that is under way is tried again when it goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Seconds; for the budget. */
  readonly clock: () => number;
}

export type SearchEvent =
  | { readonly kind: 'candidate'; readonly line: JournalLine }
  | { readonly kind: 'warning'; readonly diagnostic: Diagnostic };

export interface SearchResult extends Spent {
  /** What is to be pruned; none where the model stays as it is. */
  readonly rates?: readonly number[];
  readonly why: string;
  /** Candidates that were tried out. */
  readonly candidates: number;
  readonly lines: readonly JournalLine[];
}

/** What is saved beside the controller. */
interface Progress {
  readonly controller: string;
  readonly lines: readonly JournalLine[];
  readonly tried: readonly Tried[];
  readonly own: unknown;
}

/**
 * Searches. The generator's value is the verdict; undefined if the signal ended it.
 * @throws EspalierError ESP1120 for a budget that allows no candidate, ESP1123 for what another controller saved; RuntimeError where the GPU fails
 */
export async function* runSearch(
  request: SearchRequest,
): AsyncGenerator<SearchEvent, SearchResult | undefined, undefined> {
  const { environment, controller, budget, save, signal, clock } = request;
  const { tried, lines } = await begun(controller, request.saved);
  const before = total(tried).seconds;
  const began = clock();
  let verdict: Verdict | undefined;
  while (!verdict) {
    if (signal?.aborted) return undefined;
    const proposed = await controller.next(tried);
    if (isVerdict(proposed)) {
      verdict = proposed;
      break;
    }
    const { rates } = proposed;
    const known = tried.findIndex((t) => t.rates.join() === rates.join());
    if (known < 0) {
      const over = beyond(budget, environment, tried, before + clock() - began);
      if (over) {
        if (tried.length === 0) throw new EspalierError([diagnostic('ESP1120', over)]);
        verdict = await controller.finish(tried);
        verdict = { ...verdict, why: `${verdict.why}; the budget of ${over.budget} ${over.of} is spent` };
        break;
      }
      const found = await tryOut(environment, rates, signal);
      if (!found) return undefined;
      tried.push(found);
      if (found.problem !== undefined) {
        yield { kind: 'warning', diagnostic: diagnostic('ESP1122', { rates, problem: found.problem }) };
      }
    }
    const at = known < 0 ? tried.length - 1 : known;
    const judgement = await controller.take(tried, at);
    const line = lineOf(controller.name, lines.length + 1, tried[at]!, judgement, known);
    lines.push(line);
    await save?.({ ...(await saving(controller, tried, lines)), lines });
    yield { kind: 'candidate', line };
  }
  if (!verdict.rates) {
    yield { kind: 'warning', diagnostic: diagnostic('ESP1121', { candidates: tried.length, why: verdict.why }) };
  }
  return { ...verdict, ...total(tried), candidates: tried.length, lines };
}

const total = (tried: readonly Tried[]): Spent => {
  const sum = (of: keyof Spent): number => tried.reduce((n, { trial }) => n + (trial?.[of] ?? 0), 0);
  return { steps: sum('steps'), images: sum('images'), seconds: sum('seconds') };
};

/** What one candidate more would go beyond. */
function beyond(
  { candidates, steps, seconds }: SearchBudget,
  environment: Environment,
  tried: readonly Tried[],
  elapsed: number,
): { of: string; budget: number; least: number } | undefined {
  if (candidates !== undefined && tried.length + 1 > candidates) {
    return { of: 'candidates', budget: candidates, least: 1 };
  }
  // Of one that failed nobody knows how far it came.
  const spent = tried.length * environment.steps;
  if (steps !== undefined && spent + environment.steps > steps) {
    return { of: 'steps', budget: steps, least: environment.steps };
  }
  const longest = tried.reduce((most, { trial }) => Math.max(most, trial?.seconds ?? 0), 0);
  if (seconds !== undefined && tried.length > 0 && elapsed + longest > seconds) {
    return { of: 'seconds', budget: seconds, least: Math.ceil(longest) };
  }
  return undefined;
}

/** Undefined if the signal ended it. */
async function tryOut(
  environment: Environment,
  rates: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Tried | undefined> {
  try {
    const trial = await environment.tryOut(rates, signal);
    // What is kept is what an agent sees, so that one that goes on sees the same.
    const { features, ...rest } = trial;
    const seen = features && { before: resized(features.before), after: resized(features.after) };
    const kept = { ...rest, ...(seen ? { features: seen } : {}) };
    return Number.isFinite(trial.similarity)
      ? { rates, trial: kept }
      : { rates, problem: `its similarity is ${trial.similarity}` };
  } catch (error) {
    if (signal?.aborted) return undefined;
    // Without a GPU every candidate fails, which says nothing of the model.
    if (error instanceof RuntimeError) throw error;
    return { rates, problem: error instanceof Error ? error.message : String(error) };
  }
}

function lineOf(
  controller: string,
  number: number,
  { rates, trial, problem }: Tried,
  { accepted, ...judgement }: Awaited<ReturnType<Controller['take']>>,
  known: number,
): JournalLine {
  const again = known >= 0;
  return {
    number,
    controller,
    rates,
    ...(trial ? { similarity: trial.similarity, zeros: trial.zeros, elements: trial.elements } : {}),
    ...(trial?.loss ? { loss: trial.loss } : {}),
    ...(problem === undefined ? {} : { problem }),
    ...judgement,
    accepted,
    ...(again ? { again: known + 1 } : {}),
    steps: again ? 0 : (trial?.steps ?? 0),
    images: again ? 0 : (trial?.images ?? 0),
    seconds: again ? 0 : (trial?.seconds ?? 0),
  };
}

// ---- Saving ---------------------------------------------------------------------------------------------------------

const mapName = (i: number, which: 'before' | 'after'): string => `tried/${i}/${which}`;
const OWN = 'controller/';

async function saving(controller: Controller, tried: readonly Tried[], lines: readonly JournalLine[]): Promise<Saved> {
  const own = await controller.save();
  const tensors = new Map<string, Tensor>();
  for (const [name, t] of own.tensors) tensors.set(OWN + name, t);
  const plain = tried.map(({ trial, ...rest }, i): Tried => {
    if (!trial) return rest;
    const { features, ...facts } = trial;
    for (const which of ['before', 'after'] as const) {
      if (features) tensors.set(mapName(i, which), tensor([SIDE, SIDE], features[which].data));
    }
    return { ...rest, trial: facts };
  });
  const json: Progress = { controller: controller.name, lines, tried: plain, own: own.json };
  return { json: JSON.parse(JSON.stringify(json)), tensors };
}

async function begun(
  controller: Controller,
  saved: Saved | undefined,
): Promise<{ tried: Tried[]; lines: JournalLine[] }> {
  if (!saved) return { tried: [], lines: [] };
  const json = saved.json as Progress;
  if (json.controller !== controller.name) {
    throw new EspalierError([diagnostic('ESP1123', { saved: json.controller, controller: controller.name })]);
  }
  const own = new Map([...saved.tensors].flatMap(([n, t]) => (n.startsWith(OWN) ? [[n.slice(OWN.length), t]] : [])));
  await controller.restore({ json: json.own, tensors: own });
  const mapOf = (i: number, which: 'before' | 'after') => {
    const found = saved.tensors.get(mapName(i, which));
    return found && { height: SIDE, width: SIDE, data: Float32Array.from(found.data) };
  };
  const tried = json.tried.map((one, i): Tried => {
    const [before, after] = [mapOf(i, 'before'), mapOf(i, 'after')];
    return one.trial && before && after ? { ...one, trial: { ...one.trial, features: { before, after } } } : one;
  });
  return { tried, lines: [...json.lines] };
}
