/** Environments whose similarity is a known function of the rates, and networks that are tables: searches that take no time. */
import { Draws } from '../../src/data/draws.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { normalised } from '../../src/search/metrics.js';
import type { Networks, QNetwork, Values, View } from '../../src/search/networks.js';
import { runSearch, type SearchBudget, type SearchEvent, type SearchResult } from '../../src/search/run.js';
import type { Controller, Environment, LayerFacts, Saved } from '../../src/search/types.js';

const LAYERS: readonly LayerFacts[] = [
  { name: 'a', elements: 1000, inputs: 10, outputs: 100, depth: 0 },
  { name: 'b', elements: 3000, inputs: 100, outputs: 30, depth: 0.5 },
  { name: 'c', elements: 1000, inputs: 30, outputs: 33, depth: 1 },
];

/** Two maps of this correlation, 32 x 32. */
function mapsOf(similarity: number): { before: Float32Array; after: Float32Array } {
  const draws = new Draws({ seed: 5, epoch: 0, purpose: 'search', of: 0 });
  const noise = () => normalised(Array.from({ length: 1024 }, () => draws.normal()));
  const [a, b] = [noise(), noise()];
  // What of b is already in a goes out of it, so that the correlation is exact.
  const share = a.reduce((sum, x, i) => sum + x * b[i]!, 0) / a.reduce((sum, x) => sum + x * x, 0);
  const rest = normalised(b.map((x, i) => x - share * a[i]!));
  return { before: a, after: normalised(a.map((x, i) => similarity * x + Math.sqrt(1 - similarity ** 2) * rest[i]!)) };
}

export interface Landscape extends Environment {
  /** Rates that were tried out. */
  readonly asked: (readonly number[])[];
}

/** @param similarity of the rates: one for each layer, all the same where one is asked for */
export function landscape(similarity: (rates: readonly number[]) => number, steps = 3): Landscape {
  const asked: (readonly number[])[] = [];
  return {
    layers: LAYERS,
    steps,
    asked,
    async tryOut(rates, signal) {
      signal?.throwIfAborted();
      asked.push(rates);
      const each = LAYERS.map((_, i) => rates[i] ?? rates[0]!);
      const zeros = LAYERS.reduce((sum, l, i) => sum + Math.floor(each[i]! * l.elements), 0);
      const found = similarity(each);
      const { before, after } = mapsOf(Math.max(-1, Math.min(1, Number.isFinite(found) ? found : 0)));
      const map = (data: Float32Array) => ({ height: 32, width: 32, data });
      return {
        zeros,
        elements: 5000,
        similarity: found,
        features: { before: map(before), after: map(after) },
        steps,
        images: 8 * steps,
        seconds: 0.5,
      };
    },
  };
}

/** Similarity that falls slowly, and from a rate of 50% on quickly. */
export const knee = ([rate]: readonly number[]): number => 1 - 0.05 * rate! - 4 * Math.max(0, rate! - 0.5);

const SLOTS = 20;

/** A value for each rate and action, moved by a share of the error: what a network would learn, without one. */
function tableOf(): QNetwork {
  let table = new Float32Array(2 * SLOTS);
  const slot = ({ rate }: View): number => Math.min(SLOTS - 1, Math.floor(rate * SLOTS + 1e-6));
  const worth = (v: View): Values => [table[2 * slot(v)]!, table[2 * slot(v) + 1]!];
  return {
    values: async (views) => views.map(worth),
    async learn(lessons) {
      let loss = 0;
      for (const { view, action, value } of lessons) {
        const at = 2 * slot(view) + action;
        loss += (value - table[at]!) ** 2;
        table[at]! += 0.1 * (value - table[at]!);
      }
      return loss / lessons.length;
    },
    save: async () => new Map<string, Tensor>([['table', tensor([2 * SLOTS], table.slice())]]),
    restore: async (tensors) => {
      table = Float32Array.from(tensors.get('table')!.data);
    },
    dispose() {},
  };
}

/** An actor that says one rate for each layer, moved towards what its critic remembers as the best action there. */
function lineOf() {
  let means = Float32Array.from([0.5, 0.5, 0.5]);
  let best = Float32Array.from([0.5, 0.5, 0.5, -9, -9, -9]);
  const layer = (state: readonly number[]): number => Math.round(state[0]! * 2);
  return {
    act: async (states: readonly (readonly number[])[]) => states.map((s) => means[layer(s)]!),
    expect: async (states: readonly (readonly number[])[]) => states.map(() => 0),
    async learnCritic(states: readonly (readonly number[])[], actions: readonly number[], worth: readonly number[]) {
      states.forEach((s, i) => {
        if (worth[i]! <= best[3 + layer(s)]!) return;
        best[layer(s)] = actions[i]!;
        best[3 + layer(s)] = worth[i]!;
      });
      return 0;
    },
    async learnActor(states: readonly (readonly number[])[]) {
      for (const s of states) means[layer(s)]! += 0.05 * (best[layer(s)]! - means[layer(s)]!);
      return 0;
    },
    async follow() {},
    save: async () =>
      new Map<string, Tensor>([
        ['means', tensor([3], means.slice())],
        ['best', tensor([6], best.slice())],
      ]),
    restore: async (tensors: ReadonlyMap<string, Tensor>) => {
      means = Float32Array.from(tensors.get('means')!.data);
      best = Float32Array.from(tensors.get('best')!.data);
    },
    dispose() {},
  };
}

export const tables: Networks = { q: async () => tableOf(), actorCritic: async () => lineOf() };

export interface Searched {
  readonly result: SearchResult | undefined;
  readonly events: readonly SearchEvent[];
  readonly saved: Saved | undefined;
}

/** A search to its end, or to so many lines of its journal. */
export async function searched(
  environment: Environment,
  controller: Controller,
  options: { budget?: SearchBudget; saved?: Saved; stopAfter?: number; clock?: () => number } = {},
): Promise<Searched> {
  const stop = new AbortController();
  const events: SearchEvent[] = [];
  let saved: Saved | undefined;
  const run = runSearch({
    environment,
    controller,
    budget: options.budget ?? {},
    saved: options.saved,
    save: async ({ json, tensors }) => {
      // As a file would keep it.
      saved = { json: structuredClone(json), tensors: structuredClone(tensors) };
    },
    signal: stop.signal,
    clock: options.clock ?? (() => 0),
  });
  for (;;) {
    const step = await run.next();
    if (step.done) return { result: step.value, events, saved };
    events.push(step.value);
    if (step.value.kind === 'candidate' && step.value.line.number === options.stopAfter) stop.abort();
  }
}
