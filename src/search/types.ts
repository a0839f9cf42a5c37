/**
 * What a search for pruning rates is made of. A controller proposes candidates; an environment prunes by each of them, lets the model recover, and says how much
 * of what the model gave is still there; the runner (run.ts) stands between the two, keeps the budget, and saves after each candidate. Neither knows the other,
 * so what searches is tried on landscapes that are formulas, and what is searched is none of a controller's business.
 */
import type { Tensor } from '../ir/types.js';

/** A weight that can be pruned. */
export interface LayerFacts {
  readonly name: string;
  readonly elements: number;
  /** Features that it reads and gives. */
  readonly inputs: number;
  readonly outputs: number;
  /** Where it lies between the model's input (0) and its output (1). */
  readonly depth: number;
}

/** One channel of numbers, row by row. */
export interface FeatureMap {
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** What was spent on a candidate. */
export interface Spent {
  /** Training steps. */
  readonly steps: number;
  /** Images that went through a training step. */
  readonly images: number;
  readonly seconds: number;
}

/** What became of a candidate. */
export interface Trial extends Spent {
  /** Of the elements of all layers together. */
  readonly zeros: number;
  readonly elements: number;
  /** Of what the model gives with the candidate's masks, after recovery, to what it gave before: 1 where nothing changed. */
  readonly similarity: number;
  /** Where it is known: right after pruning, and after recovery. */
  readonly loss?: { readonly pruned: number; readonly recovered: number };
  /** What the model gave before pruning and after recovery, normalised (metrics.ts); an agent looks at them. */
  readonly features?: { readonly before: FeatureMap; readonly after: FeatureMap };
}

export interface Environment {
  /** In the order in which rates of single layers are given. */
  readonly layers: readonly LayerFacts[];
  /** Training steps that each candidate takes; 0 where it takes none. */
  readonly steps: number;
  /**
   * Tries a candidate out, always from the same unpruned model, so that the same rates have the same result.
   * @param rates shares of the elements that become zero: one for all layers together, or one for each
   * @throws the signal's reason if it is aborted; what else it throws is a candidate that failed, but for errors of the GPU
   */
  tryOut(rates: readonly number[], signal: AbortSignal | undefined): Promise<Trial>;
}

/** A candidate that was tried out. */
export interface Tried {
  readonly rates: readonly number[];
  /** Absent if it failed. */
  readonly trial?: Trial;
  /** Why it failed. */
  readonly problem?: string;
}

export type Action = 'retain' | 'prune';

/** What a controller says of a candidate: what a journal has of it beside the trial. */
export interface Judgement {
  readonly score?: number;
  readonly reward?: number;
  readonly action?: Action;
  /** What an agent expects of either action. */
  readonly values?: { readonly retain: number; readonly prune: number };
  readonly epsilon?: number;
  readonly accepted: boolean;
}

export interface Verdict {
  /** None where nothing is pruned. */
  readonly rates?: readonly number[];
  readonly why: string;
}

/** Everything that going on takes, as plain data. */
export interface Saved {
  readonly json: unknown;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

export interface Controller {
  /** As specs write it. */
  readonly name: string;
  /** The next candidate, or how the search ends. @param all all that were tried out so far */
  next(all: readonly Tried[]): Promise<{ readonly rates: readonly number[] } | Verdict>;
  /**
   * Takes what became of the candidate that was proposed last. One that was tried out before comes again at once, without being paid for.
   * @param at its place in `all`
   */
  take(all: readonly Tried[], at: number): Promise<Judgement>;
  /** How the search ends if no candidate more can be tried out. */
  finish(all: readonly Tried[]): Promise<Verdict>;
  save(): Promise<Saved>;
  /** Puts a controller that was just made where another one was when it was saved. */
  restore(saved: Saved): Promise<void>;
  dispose(): void;
}

export const isVerdict = (x: { readonly rates: readonly number[] } | Verdict): x is Verdict => 'why' in x;
