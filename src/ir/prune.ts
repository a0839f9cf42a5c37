/** What a `prune` statement asks for, as data: the contract between the language, which makes jobs, and `src/prune`, which does them. */
import type { Gathered } from './gather.js';
import type { Func, TextSpan } from './types.js';

export interface PruneTarget {
  /** The frozen weight that is masked. */
  readonly param: string;
  /** The constant parameter that holds the mask, same shape, f32 zeros and ones; its data is to be found. */
  readonly mask: string;
  readonly site: string;
}

/** What a criterion asks of what a layer reads. */
export interface Reading extends Pick<Gathered, 'together'> {
  /** (weight, rows [b, channels]: all that the layer reads, token by token) -> what is gathered, by name. */
  readonly each: Func;
  /** The axis of what the layer reads along which its channels lie. */
  readonly axis: -1 | 1;
}

/** Images that the model sees before anything is pruned. */
export interface Calibration {
  /** A folder, as the spec writes it. */
  readonly location: string;
  /** At most so many of its images. */
  readonly images: number;
  /** Where the spec names the folder. */
  readonly span: TextSpan;
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
  /** weight of one target, and what `gathers` gathers for it by the same names -> score. One for each target. */
  readonly score: readonly Func[];
  /** For criteria that look at what a layer reads, and have no mask file: what of it, one for each target. */
  readonly gathers?: readonly Reading[];
  /** What such a criterion looks at. */
  readonly calibration?: Calibration;
  /** Fraction of the elements to be zero, 0 <= s < 1. Absent for N:M, and where it is searched for. */
  readonly sparsity?: number;
  /** Whether a search finds the fraction while the model is trained. Until then nothing is pruned. */
  readonly searched?: boolean;
  readonly scope: 'global' | 'layer' | 'row';
  readonly shape: PruneShape;
  /** Whether the mask covers the frozen weight or the sum of it and its adapters. */
  readonly over: 'base' | 'sum';
  /** A mask file instead of a search. */
  readonly from?: string;
}
