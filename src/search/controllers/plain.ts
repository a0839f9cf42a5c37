/** Searches that learn nothing: a rate, a list of rates, and halving. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { scoreOf } from '../metrics.js';
import type { Controller, Judgement, Saved, Tried, Verdict } from '../types.js';

/** What several controllers say alike. */
export const NONE = 'no candidate was accepted';

export const percent = (rate: number): string => `${Number((100 * rate).toFixed(2))}%`;

/** The rate of a candidate as it came out, in zeros. */
export const reached = ({ rates, trial }: Tried): number =>
  trial && trial.elements > 0 ? trial.zeros / trial.elements : rates.reduce((sum, r) => sum + r, 0) / rates.length;

/** A rate that is known: nothing is tried out. */
export function fixed({ rate }: { readonly rate: number }): Controller {
  const verdict = { rates: [rate], why: 'the spec says so' };
  return {
    name: 'fixed',
    next: async () => verdict,
    take: async () => ({ accepted: true }),
    finish: async () => verdict,
    save: async () => ({ json: {}, tensors: new Map() }),
    restore: async () => {},
    dispose() {},
  };
}

/** State of a search as JSON alone. */
abstract class Plain<State> implements Controller {
  protected abstract state: State;
  abstract readonly name: string;
  abstract next(): Promise<{ readonly rates: readonly number[] } | Verdict>;
  abstract take(all: readonly Tried[], at: number): Promise<Judgement>;
  abstract finish(all: readonly Tried[]): Promise<Verdict>;

  async save(): Promise<Saved> {
    return { json: this.state, tensors: new Map() };
  }

  async restore({ json }: Saved): Promise<void> {
    this.state = json as State;
  }

  dispose(): void {}
}

export interface GridOptions {
  readonly rates: readonly number[];
  readonly threshold: number;
  readonly weight: number;
  readonly choose: 'largest' | 'score';
}

interface Best {
  readonly rate: number;
  readonly worth: number;
}

/** Each of some rates, in order; of those that are similar enough the largest, or the one of the best score. */
export class Grid extends Plain<{ readonly next: number; readonly best?: Best }> {
  readonly name = 'grid';
  protected state: { readonly next: number; readonly best?: Best } = { next: 0 };

  constructor(private readonly options: GridOptions) {
    super();
  }

  async next(): Promise<{ readonly rates: readonly number[] } | Verdict> {
    const rate = this.options.rates[this.state.next];
    return rate === undefined ? this.verdict() : { rates: [rate] };
  }

  async take(all: readonly Tried[], at: number): Promise<Judgement> {
    const { threshold, choose } = this.options;
    const one = all[at]!;
    const next = this.state.next + 1;
    const [rate] = one.rates;
    if (!one.trial) {
      this.state = { ...this.state, next };
      return { accepted: false };
    }
    const score = scoreOf(one.trial.similarity, reached(one), this.options);
    const accepted = one.trial.similarity >= threshold;
    const worth = choose === 'largest' ? rate! : score;
    const { best } = this.state;
    this.state = {
      next,
      ...(accepted && worth > (best?.worth ?? -Infinity) ? { best: { rate: rate!, worth } } : best ? { best } : {}),
    };
    return { score, accepted };
  }

  async finish(): Promise<Verdict> {
    return this.verdict();
  }

  private verdict(): Verdict {
    const { best } = this.state;
    const { threshold, choose } = this.options;
    if (!best) return { why: NONE };
    const what = choose === 'largest' ? 'the largest' : 'the best score';
    return { rates: [best.rate], why: `${what} of the rates whose similarity is at least ${threshold}` };
  }
}

export interface BisectionOptions {
  readonly threshold: number;
  readonly tolerance: number;
  readonly to: number;
}

/**
 * The largest rate from 0 to `to` that is similar enough, to within the tolerance, if similarity falls as the rate grows: first the largest, then the middle
 * of what is left. A candidate that fails counts as one that is not similar enough.
 */
export class Bisection extends Plain<{ readonly good: number; readonly bad?: number }> {
  readonly name = 'bisection';
  /** Similar enough, and not; 0 is the model as it is. */
  protected state: { readonly good: number; readonly bad?: number } = { good: 0 };

  constructor(private readonly options: BisectionOptions) {
    super();
  }

  private candidate(): number | undefined {
    const { to, tolerance } = this.options;
    const { good, bad } = this.state;
    if (bad === undefined) return good < to ? to : undefined;
    return bad - good > tolerance ? (good + bad) / 2 : undefined;
  }

  async next(): Promise<{ readonly rates: readonly number[] } | Verdict> {
    const rate = this.candidate();
    return rate === undefined ? this.verdict() : { rates: [rate] };
  }

  async take(all: readonly Tried[], at: number): Promise<Judgement> {
    const { rates, trial } = all[at]!;
    const accepted = trial !== undefined && trial.similarity >= this.options.threshold;
    this.state = accepted ? { ...this.state, good: rates[0]! } : { ...this.state, bad: rates[0]! };
    return { accepted };
  }

  async finish(): Promise<Verdict> {
    return this.verdict();
  }

  private verdict(): Verdict {
    const { good, bad } = this.state;
    if (good === 0) return { why: NONE };
    const why = bad === undefined ? 'the largest rate is similar enough' : `${percent(bad)} is not similar enough`;
    return { rates: [good], why };
  }
}

/** @throws EspalierError ESP1124 unless the first is below the second */
export function ordered(form: string, from: number, to: number): void {
  if (from < to) return;
  const problem = `its rates go from ${percent(from)} to ${percent(to)}`;
  throw new EspalierError([diagnostic('ESP1124', { form, problem })]);
}
