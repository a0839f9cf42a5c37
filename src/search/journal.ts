/** What a search leaves of each candidate, for people and programs: a line of JSON. */
import type { Judgement, Spent } from './types.js';

export interface JournalLine extends Judgement, Spent {
  /** From 1. */
  readonly number: number;
  readonly controller: string;
  readonly rates: readonly number[];
  /** What became of it; absent where it failed. */
  readonly similarity?: number;
  readonly zeros?: number;
  readonly elements?: number;
  readonly loss?: { readonly pruned: number; readonly recovered: number };
  /** Why it failed. */
  readonly problem?: string;
  /** It was tried out before, as this candidate among those that were, and is judged again: nothing was spent. */
  readonly again?: number;
}

/** The share of all elements that became zero; of a candidate that failed the mean of what it asked for. */
export function rateOf({ zeros, elements, rates }: JournalLine): number {
  if (zeros !== undefined && elements) return zeros / elements;
  return rates.reduce((sum, r) => sum + r, 0) / Math.max(1, rates.length);
}

/** JSON Lines. */
export const journalText = (lines: readonly object[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');
