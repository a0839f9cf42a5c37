/** What a `prune` statement asks for, as data: the contract between the language, which makes jobs, and `src/prune`, which does them. */
import type { Func } from './types.js';

export interface PruneTarget {
  /** The frozen weight that is masked. */
  readonly param: string;
  /** The constant parameter that holds the mask, same shape, f32 zeros and ones; its data is to be found. */
  readonly mask: string;
  readonly site: string;
}

export type PruneShape =
  | { readonly kind: 'element' }
  | { readonly kind: 'block'; readonly rows: number; readonly cols: number }
  /** In every `of` consecutive weights along the input axis, `keep` stay. */
  | { readonly kind: 'nm'; readonly keep: number; readonly of: number };

/** One `prune` statement. */
export interface PruneJob {
  readonly criterion: string;
  /** The statement: offsets into the file's text. */
  readonly span: { readonly file: string; readonly start: number; readonly end: number };
  readonly targets: readonly PruneTarget[];
  /** weight (and input norms, gradient) of one target -> score; a function of inputs named like the criterion's parameters. One for each target. */
  readonly score: readonly Func[];
  /** Fraction of the elements to be zero, 0 <= s < 1. Absent for N:M. */
  readonly sparsity?: number;
  readonly scope: 'global' | 'layer' | 'row';
  readonly shape: PruneShape;
  /** Whether the mask covers the frozen weight or the sum of it and its adapters. */
  readonly over: 'base' | 'sum';
  /** A mask file instead of a search. */
  readonly from?: string;
}
