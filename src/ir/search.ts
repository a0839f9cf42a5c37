/** What proposes candidates of a search for pruning rates, with the options that each takes and what they are when they are left out. */

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
