/**
 * An agent that learns which candidates recover: Q-learning with a replay buffer and a target network, over two actions, prune and retain. A reconstruction of
 * what E3RP (official, partial code: HotChieh/E3RP, trainer.py) does, whose bodies of candidates and reward are not released. What was found wrong there is not
 * copied: a transition keeps the views of the state that its value is of; views of candidates are not added up; the target is the largest value of the next
 * state by a network that is still for a while, not the reward of its next action; actions explore; and the search ends.
 *
 * First it explores: candidates are tried out, and actions taken, more and more by the network. Then it learns from what it remembers, once. Then it chooses,
 * greedily: a candidate is accepted if the agent would prune, and the reward of that is above 0.
 *
 * `progressive`: rates grow step by step. What is accepted goes on to the next rate, so its target is R + discount * max Q(next); retaining, or pruning what
 * did not recover, ends an episode: R alone. (The published target has it the other way round. On a walk that pays an agent for refusing again and again beyond
 * the last good rate, more than for taking it.) Chosen is the last rate that was accepted in a row from the first. Rates come again and again while it explores; each is
 * tried out once.
 *
 * `random`: rates are uniform draws that have nothing to do with one another, and targets are as published: R if it is accepted, else R + discount * max Q(next).
 * That makes it pay to wait for a better one; with `discount: 0` each candidate is judged alone. Chosen is the first of fresh candidates that is accepted.
 *
 * If none is accepted, the one of the best score that the agent would prune is (`fallback: score`), or none.
 */
import { Draws } from '../../data/draws.js';
import { rewardOf, scoreOf } from '../metrics.js';
import type { Lesson, QNetwork, QOptions, Values, View } from '../networks.js';
import type { Controller, Judgement, Saved, Tried, Verdict } from '../types.js';
import { NONE, ordered, percent, reached } from './plain.js';

export interface RecoverabilityOptions {
  readonly candidates: 'progressive' | 'random';
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly threshold: number;
  readonly weight: number;
  /** Candidates that are explored, and at the most how many are chosen from. */
  readonly explore: number;
  readonly choose: number;
  /** Transitions that are remembered, the last ones. */
  readonly buffer: number;
  /** How often an action is drawn: at the end of exploring, and at its beginning. */
  readonly epsilon: number;
  readonly epsilon_start: number;
  readonly discount: number;
  /** Epochs over what is remembered. */
  readonly fit: number;
  readonly batch: number;
  /** Epochs for which the target network is still. */
  readonly refresh: number;
  readonly lr: number;
  readonly weight_decay: number;
  readonly fallback: 'score' | 'none';
  readonly seed: number;
}

/** A decision that is remembered; candidates by their places among those that were tried out. */
interface Transition {
  readonly at: number;
  readonly action: 0 | 1;
  readonly reward: number;
  /** The candidate that came next, if what comes there counts. */
  readonly next?: number;
}

interface Memory {
  readonly phase: 'explore' | 'choose' | 'done';
  /** Candidates of this phase that came so far. */
  readonly count: number;
  /** Numbers that are drawn so far. */
  readonly draws: number;
  readonly transitions: readonly Transition[];
  /** The last transition waits for the candidate that comes next. */
  readonly waits: boolean;
  /** Steps of the optimiser. */
  readonly steps: number;
  /** Candidates that came out of choosing: accepted, or the best of those that would be pruned. */
  readonly accepted?: readonly number[];
  readonly fallback?: { readonly rates: readonly number[]; readonly score: number };
}

const RETAIN = 0;
const PRUNE = 1;

export class Recoverability implements Controller {
  readonly name = 'recoverability';
  private network: QNetwork | undefined;
  /** What the network is to be restored to, once there is one. */
  private kept: Saved['tensors'] | undefined;
  private memory: Memory = { phase: 'explore', count: 0, draws: 0, transitions: [], waits: false, steps: 0 };

  /** @throws EspalierError ESP1124 for rates that end before they begin */
  constructor(
    private readonly options: RecoverabilityOptions,
    private readonly open: (options: QOptions) => Promise<QNetwork>,
  ) {
    ordered(this.name, options.from, options.to);
  }

  async next(all: readonly Tried[]): Promise<{ readonly rates: readonly number[] } | Verdict> {
    const { phase, count } = this.memory;
    if (phase === 'done') return this.verdict();
    const most = phase === 'explore' ? this.options.explore : this.chooseFrom();
    if (count < most) return { rates: [this.candidate()] };
    if (phase === 'choose') return this.verdict();
    await this.fit(all);
    return this.next(all);
  }

  async take(all: readonly Tried[], at: number): Promise<Judgement> {
    const { phase, count } = this.memory;
    const one = all[at]!;
    this.change({ count: count + 1 });
    const view = viewOf(one);
    if (!one.trial || !view) {
      // What did not come out is no next state, and ends a walk.
      if (this.isWalk) this.change(phase === 'choose' ? { phase: 'done' } : { waits: false });
      return { accepted: false };
    }
    if (phase === 'explore' && this.memory.waits) this.follow(at);
    const [retain, prune] = (await (await this.q()).values([view]))[0]!;
    const epsilon = phase === 'explore' ? this.epsilon(count) : 0;
    const action = this.draw() < epsilon ? this.drawAction() : prune > retain ? PRUNE : RETAIN;
    const gain = rewardOf(one.trial.similarity, reached(one), this.options);
    const reward = action === PRUNE ? gain : -gain;
    const score = scoreOf(one.trial.similarity, reached(one), this.options);
    const accepted = action === PRUNE && reward > 0;
    if (phase === 'explore') this.remember({ at, action, reward }, accepted);
    else this.chosen(one, action, accepted, score);
    const word = action === PRUNE ? 'prune' : 'retain';
    return { score, reward, action: word, values: { retain, prune }, epsilon, accepted };
  }

  /** Learns from what there is, and takes the best of what was tried out. */
  async finish(all: readonly Tried[]): Promise<Verdict> {
    if (this.memory.phase === 'explore') {
      await this.fit(all);
      const ranked = this.isWalk ? [...all].sort((a, b) => a.rates[0]! - b.rates[0]!) : all;
      let best: { rates: readonly number[]; score: number } | undefined;
      for (const one of ranked) {
        const view = viewOf(one);
        if (!one.trial || !view) {
          if (this.isWalk) break;
          continue;
        }
        const [retain, prune] = (await (await this.q()).values([view]))[0]!;
        const score = scoreOf(one.trial.similarity, reached(one), this.options);
        const accepted = prune > retain && rewardOf(one.trial.similarity, reached(one), this.options) > 0;
        if (accepted && (this.isWalk || score > (best?.score ?? -Infinity))) best = { rates: one.rates, score };
        if (prune > retain) this.better(one.rates, score);
        if (this.isWalk && !accepted) break;
      }
      if (best) this.change({ accepted: best.rates });
    }
    return this.verdict();
  }

  async save(): Promise<Saved> {
    return { json: this.memory, tensors: this.network ? await this.network.save() : (this.kept ?? new Map()) };
  }

  async restore({ json, tensors }: Saved): Promise<void> {
    this.memory = json as Memory;
    this.kept = tensors.size > 0 ? tensors : undefined;
    if (this.network && this.kept) await this.network.restore(this.kept);
  }

  dispose(): void {
    this.network?.dispose();
  }

  // ---- Candidates ----

  private get isWalk(): boolean {
    return this.options.candidates === 'progressive';
  }

  /** Rates of a walk. */
  private get rates(): number[] {
    const { from, to, step } = this.options;
    const count = Math.floor((to - from) / step + 1e-9) + 1;
    return Array.from({ length: count }, (_, i) => Number((from + i * step).toFixed(9)));
  }

  private chooseFrom(): number {
    const { choose } = this.options;
    return this.isWalk ? Math.min(choose, this.rates.length) : choose;
  }

  private candidate(): number {
    const { rates } = this;
    const { count, phase } = this.memory;
    if (this.isWalk) return rates[count % rates.length]!;
    const { from, to, seed } = this.options;
    const of = count + (phase === 'choose' ? this.options.explore : 0);
    return new Draws({ seed, epoch: 0, purpose: 'search', of }).uniform(from, to);
  }

  // ---- Actions ----

  /** In [0, 1). */
  private draw(): number {
    const { draws } = this.memory;
    this.change({ draws: draws + 1 });
    return new Draws({ seed: this.options.seed, epoch: 1, purpose: 'search', of: draws }).uniform();
  }

  private drawAction(): 0 | 1 {
    return this.draw() < 0.5 ? RETAIN : PRUNE;
  }

  private epsilon(count: number): number {
    const { epsilon, epsilon_start: start, explore } = this.options;
    return start + ((epsilon - start) * count) / Math.max(1, explore - 1);
  }

  // ---- Memory ----

  private change(more: Partial<Memory>): void {
    this.memory = { ...this.memory, ...more };
  }

  private remember(transition: Transition, accepted: boolean): void {
    const { rates } = this;
    // Behind the last rate of a walk nothing comes.
    const last = this.isWalk && this.memory.count % rates.length === 0;
    const waits = this.isWalk ? accepted && !last : !accepted;
    const transitions = [...this.memory.transitions, transition].slice(-this.options.buffer);
    this.change({ transitions, waits });
  }

  /** The last transition led here. */
  private follow(next: number): void {
    const { transitions } = this.memory;
    this.change({ transitions: [...transitions.slice(0, -1), { ...transitions.at(-1)!, next }], waits: false });
  }

  private chosen(one: Tried, action: number, accepted: boolean, score: number): void {
    if (accepted) this.change({ accepted: one.rates });
    if (action === PRUNE) this.better(one.rates, score);
    // A walk ends where something is not accepted, other candidates where one is.
    if (accepted !== this.isWalk) this.change({ phase: 'done' });
  }

  private better(rates: readonly number[], score: number): void {
    if (score > (this.memory.fallback?.score ?? -Infinity)) this.change({ fallback: { rates, score } });
  }

  private verdict(): Verdict {
    const { accepted, fallback } = this.memory;
    if (accepted) return { rates: accepted, why: 'the agent prunes, and what it gains is above 0' };
    if (fallback && this.options.fallback === 'score') {
      return {
        rates: fallback.rates,
        why: `the agent gains nothing by any candidate; ${percent(fallback.rates[0]!)} has the best score of those that it prunes`,
      };
    }
    return { why: NONE };
  }

  // ---- Learning ----

  private async q(): Promise<QNetwork> {
    if (!this.network) {
      const { lr, weight_decay: weightDecay, batch, seed } = this.options;
      this.network = await this.open({ lr, weightDecay, batch, seed });
      if (this.kept) await this.network.restore(this.kept);
    }
    return this.network;
  }

  /** From what is remembered. Afterwards it chooses. */
  private async fit(all: readonly Tried[]): Promise<void> {
    const { fit, refresh, batch, discount, seed } = this.options;
    const { transitions } = this.memory;
    const network = await this.q();
    let { steps } = this.memory;
    let still: readonly (Values | undefined)[] = [];
    for (let epoch = 0; epoch < fit && transitions.length > 0; epoch++) {
      if (epoch % refresh === 0) still = await this.nextValues(all);
      const lessons = transitions.map(({ at, action, reward }, i): Lesson => {
        const after = still[i];
        const value = reward + (after ? discount * Math.max(...after) : 0);
        return { view: viewOf(all[at]!)!, action, value };
      });
      const order = new Draws({ seed, epoch: 2 + epoch, purpose: 'search', of: 0 }).shuffled(lessons.map((_, i) => i));
      for (let from = 0; from < order.length; from += batch) {
        await network.learn(
          [...order.subarray(from, from + batch)].map((i) => lessons[i]!),
          steps++,
        );
      }
    }
    this.change({ phase: 'choose', count: 0, steps, waits: false });
  }

  /** What the network expects now of the states that come next: the target network is what it was when this was asked. */
  private async nextValues(all: readonly Tried[]): Promise<(Values | undefined)[]> {
    const { transitions } = this.memory;
    const nexts = [...new Set(transitions.flatMap(({ next }) => next ?? []))];
    if (nexts.length === 0) return [];
    const values = await (await this.q()).values(nexts.map((n) => viewOf(all[n]!)!));
    return transitions.map(({ next }) => (next === undefined ? undefined : values[nexts.indexOf(next)]));
  }
}

/** What the agent sees of a candidate; undefined if it failed. @throws RangeError if the environment gave no maps */
function viewOf(one: Tried): View | undefined {
  if (!one.trial) return undefined;
  const { features } = one.trial;
  if (!features) throw new RangeError('an agent needs the maps of what the model gave');
  return { ...features, rate: reached(one) };
}
