/**
 * A rate for each layer, all of them together being one that is known: deep deterministic policy gradients after AMC (He et al., arXiv 1802.03494; code:
 * mit-han-lab/amc). An actor goes through the layers and says each one's rate from what the layer is and what is left to do; a critic learns what that is
 * worth; the reward, for every layer of a candidate, is its similarity, less the moving average of rewards. Here rates are shares of single weights, not of channels. A rate
 * is clipped so that the layers behind can still make up for it, from both sides: AMC bounds it from one, so candidates would not compare.
 */
import { Draws } from '../../data/draws.js';
import type { ActorCritic, ActorCriticOptions } from '../networks.js';
import type { Controller, Judgement, LayerFacts, Saved, Tried, Verdict } from '../types.js';
import { NONE, ordered, percent } from './plain.js';

export interface AmcOptions {
  /** Of all layers together. */
  readonly rate: number;
  /** Bounds of each layer's. */
  readonly from: number;
  readonly to: number;
  readonly threshold: number;
  /** Candidates; of the first `warmup` rates are uniform draws. */
  readonly episodes: number;
  readonly warmup: number;
  /** Deviation of what is added to the actor's rates, and what it is multiplied by after each candidate. */
  readonly noise: number;
  readonly decay: number;
  readonly discount: number;
  readonly buffer: number;
  readonly batch: number;
  /** Steps of both networks after each candidate; 0: as many as there are layers. */
  readonly updates: number;
  /** How far followers move towards their networks at a step. */
  readonly follow: number;
  readonly lr: number;
  readonly lr_critic: number;
  readonly seed: number;
}

/** Numbers of a state. */
const NUMBERS = 8;
/** What the moving average of rewards keeps of itself, as AMC's. */
const BASELINE = 0.95;
/** The reward of a candidate that failed. */
const FAILED = -1;

interface Transition {
  readonly state: readonly number[];
  readonly action: number;
  readonly reward: number;
  readonly next?: readonly number[];
}

interface Memory {
  /** Candidates so far. */
  readonly episode: number;
  /** The states of the candidate that is under way. */
  readonly states: readonly (readonly number[])[];
  readonly transitions: readonly Transition[];
  readonly baseline?: number;
  readonly steps: number;
  readonly best?: { readonly rates: readonly number[]; readonly similarity: number };
}

export class Amc implements Controller {
  readonly name = 'amc';
  private networks: ActorCritic | undefined;
  private kept: Saved['tensors'] | undefined;
  private memory: Memory = { episode: 0, states: [], transitions: [], steps: 0 };

  /** @throws EspalierError ESP1124 for bounds that do not hold the rate */
  constructor(
    private readonly options: AmcOptions,
    private readonly layers: readonly LayerFacts[],
    private readonly open: (options: ActorCriticOptions) => Promise<ActorCritic>,
  ) {
    ordered(this.name, options.from, options.rate);
    ordered(this.name, options.rate, options.to);
  }

  async next(): Promise<{ readonly rates: readonly number[] } | Verdict> {
    if (this.memory.episode >= this.options.episodes) return this.verdict();
    const rates: number[] = [];
    const states: (readonly number[])[] = [];
    for (let i = 0; i < this.layers.length; i++) {
      const state = this.state(i, rates);
      states.push(state);
      const [low, high] = this.bounds(i, rates);
      rates.push(Math.min(high, Math.max(low, await this.action(i, state))));
    }
    this.memory = { ...this.memory, states };
    return { rates };
  }

  async take(all: readonly Tried[], at: number): Promise<Judgement> {
    const { rates, trial } = all[at]!;
    const { states, episode, best } = this.memory;
    const reward = trial?.similarity ?? FAILED;
    const { baseline: before = reward } = this.memory;
    const transitions = rates.map((action, i): Transition => {
      const next = states[i + 1];
      return { state: states[i]!, action, reward: reward - before, ...(next ? { next } : {}) };
    });
    const better = trial !== undefined && trial.similarity > (best?.similarity ?? -Infinity);
    this.memory = {
      ...this.memory,
      episode: episode + 1,
      states: [],
      transitions: [...this.memory.transitions, ...transitions].slice(-this.options.buffer),
      baseline: BASELINE * before + (1 - BASELINE) * reward,
      ...(better ? { best: { rates, similarity: trial.similarity } } : {}),
    };
    if (episode + 1 >= this.options.warmup && episode + 1 < this.options.episodes) await this.learn();
    return { reward, accepted: better && reward >= this.options.threshold };
  }

  async finish(): Promise<Verdict> {
    return this.verdict();
  }

  async save(): Promise<Saved> {
    return { json: this.memory, tensors: this.networks ? await this.networks.save() : (this.kept ?? new Map()) };
  }

  async restore({ json, tensors }: Saved): Promise<void> {
    this.memory = json as Memory;
    this.kept = tensors.size > 0 ? tensors : undefined;
    if (this.networks && this.kept) await this.networks.restore(this.kept);
  }

  dispose(): void {
    this.networks?.dispose();
  }

  private verdict(): Verdict {
    const { best } = this.memory;
    const { threshold, rate } = this.options;
    if (!best || best.similarity < threshold) return { why: NONE };
    return { rates: best.rates, why: `the most similar candidate of those that prune ${percent(rate)} in all` };
  }

  // ---- Actions ----

  private get elements(): number {
    return this.layers.reduce((sum, l) => sum + l.elements, 0);
  }

  /** Elements before a layer that are pruned, and those behind it. */
  private around(i: number, rates: readonly number[]): { reduced: number; rest: number } {
    const reduced = rates.reduce((sum, r, j) => sum + r * this.layers[j]!.elements, 0);
    const rest = this.layers.slice(i + 1).reduce((sum, l) => sum + l.elements, 0);
    return { reduced, rest };
  }

  /** The rates from which the layers behind can still make the whole one that is asked for. */
  private bounds(i: number, rates: readonly number[]): readonly [number, number] {
    const { from, to, rate } = this.options;
    const { reduced, rest } = this.around(i, rates);
    const left = rate * this.elements - reduced;
    const { elements } = this.layers[i]!;
    return [Math.max(from, (left - to * rest) / elements), Math.min(to, (left - from * rest) / elements)];
  }

  private state(i: number, rates: readonly number[]): number[] {
    const { elements, inputs, outputs, depth } = this.layers[i]!;
    const largest = (of: 'elements' | 'inputs' | 'outputs'): number => Math.max(...this.layers.map((l) => l[of]));
    const { reduced, rest } = this.around(i, rates);
    return [
      i / Math.max(1, this.layers.length - 1),
      depth,
      inputs / largest('inputs'),
      outputs / largest('outputs'),
      elements / largest('elements'),
      reduced / this.elements,
      rest / this.elements,
      rates.at(-1) ?? 0,
    ];
  }

  private async action(i: number, state: readonly number[]): Promise<number> {
    const { seed, warmup, noise, decay, from, to } = this.options;
    const { episode } = this.memory;
    const draws = new Draws({ seed, epoch: episode, purpose: 'search', of: i });
    if (episode < warmup) return draws.uniform(from, to);
    const [mean] = await (await this.both()).act([state]);
    const deviation = noise * decay ** (episode - warmup);
    // A normal distribution that ends at 0 and 1. The actor lies between, so at least a third of the draws do.
    for (;;) {
      const drawn = draws.normal(mean!, deviation);
      if (drawn >= 0 && drawn <= 1) return drawn;
    }
  }

  // ---- Learning ----

  private async both(): Promise<ActorCritic> {
    if (!this.networks) {
      const { lr, lr_critic: lrCritic, batch, seed } = this.options;
      this.networks = await this.open({ numbers: NUMBERS, lr, lrCritic, batch, seed });
      if (this.kept) await this.networks.restore(this.kept);
    }
    return this.networks;
  }

  private async learn(): Promise<void> {
    const { batch, discount, follow, seed } = this.options;
    const { transitions, episode } = this.memory;
    const updates = this.options.updates || this.layers.length;
    const networks = await this.both();
    let { steps } = this.memory;
    const first = steps;
    const size = Math.min(batch, transitions.length);
    const draws = new Draws({ seed, epoch: episode, purpose: 'search', of: this.layers.length });
    const batches = Array.from({ length: updates }, () =>
      Array.from({ length: size }, () => transitions[draws.whole(transitions.length)]!),
    );
    for (const some of batches) {
      const states = some.map((t) => t.state);
      // What comes behind the last layer is worth nothing.
      const after = await networks.expect(some.map((t) => t.next ?? t.state));
      const worth = some.map((t, i) => t.reward + (t.next ? discount * after[i]! : 0));
      await networks.learnCritic(
        states,
        some.map((t) => t.action),
        worth,
        steps++,
      );
    }
    await networks.follow(0);
    for (const [i, some] of batches.entries())
      await networks.learnActor(
        some.map((t) => t.state),
        first + i,
      );
    await networks.follow(1 - (1 - follow) ** updates);
    this.memory = { ...this.memory, steps };
  }
}
