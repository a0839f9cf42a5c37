/** What a `prune` statement asks for, as data: the contract between the language, which makes jobs, and `src/prune`, which does them, and `src/search`, which finds out how much. */
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

// ---- Searches for how much is pruned ----------------------------------------------------------------------------------

/** Options by name, in the order in which they may be given without one; what a value has to be, in the words of `src/dsl/semantics/train/forms.ts`. */
export const SEARCHES = {
  /** A rate that is known. */
  fixed: { rate: 'share' },
  /** Each of some rates: the largest, or the one of the best score, of those that are similar enough. */
  grid: { rates: 'shares', threshold: 'part', weight: 'number', choose: ['largest', 'score'] },
  /** The largest rate that is similar enough, where similarity falls as the rate grows. */
  bisection: { threshold: 'part', tolerance: 'positive', to: 'share' },
  /** An agent that learns by Q-learning which candidates recover. */
  recoverability: {
    candidates: ['progressive', 'random'],
    from: 'share',
    to: 'share',
    step: 'positive',
    threshold: 'part',
    weight: 'number',
    explore: 'count',
    choose: 'count',
    buffer: 'count',
    epsilon: 'part',
    epsilon_start: 'part',
    discount: 'part',
    fit: 'count',
    batch: 'count',
    refresh: 'count',
    lr: 'positive',
    weight_decay: 'number',
    fallback: ['score', 'none'],
    seed: 'whole',
  },
  /** An agent that learns a rate for each layer, all of them together being one that is known. */
  amc: {
    rate: 'share',
    from: 'share',
    to: 'share',
    threshold: 'part',
    episodes: 'count',
    warmup: 'count',
    noise: 'positive',
    decay: 'part',
    discount: 'part',
    buffer: 'count',
    batch: 'count',
    updates: 'whole',
    follow: 'part',
    lr: 'positive',
    lr_critic: 'positive',
    seed: 'whole',
  },
} as const;

export type SearchName = keyof typeof SEARCHES;

/** What options are when they are left out; those that have no default must be given. */
export const SEARCH_DEFAULTS = {
  fixed: {},
  grid: { threshold: 0.9, weight: 0.2, choose: 'largest' },
  bisection: { threshold: 0.9, tolerance: 0.01, to: 0.95 },
  recoverability: {
    candidates: 'progressive',
    from: 0.1,
    to: 0.7,
    step: 0.05,
    threshold: 0.9,
    weight: 0.2,
    explore: 50,
    choose: 50,
    buffer: 50,
    epsilon: 0.05,
    epsilon_start: 1,
    discount: 0.9,
    fit: 50,
    batch: 10,
    refresh: 10,
    lr: 1e-3,
    weight_decay: 0,
    fallback: 'score',
    seed: 0,
  },
  amc: {
    from: 0,
    to: 0.8,
    threshold: 0.9,
    episodes: 100,
    warmup: 25,
    noise: 0.5,
    decay: 0.95,
    discount: 1,
    buffer: 2000,
    batch: 64,
    // As many as there are layers.
    updates: 0,
    follow: 0.01,
    lr: 1e-4,
    lr_critic: 1e-3,
    seed: 0,
  },
} as const;
