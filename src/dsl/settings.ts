/**
 * The settings of `train` and `deploy` as one table: what there is, and which values each takes. The checker reads settings by it
 * (`semantics/train`, `semantics/models/settings.ts`), and what searches for pruning rates; the JSON form of a spec, its schema and the types of `defineModel` are made of it.
 */

import { SEARCHES } from '../ir/prune.js';
import { lookup } from './lookup.js';

/** Kinds of values. */
export const KINDS = [
  'positive',
  'count',
  'share',
  'part',
  'number',
  'whole',
  'bool',
  'string',
  'pair',
  'shares',
  'name',
] as const;
export type Kind = (typeof KINDS)[number];
/** What a value has to be: of a kind, or one of some words, in quotes or not. */
export type Check = Kind | readonly string[];

/** Options of a form, in the order in which they may be given without a name. */
export type Options = Readonly<Record<string, Check>>;
/** What a setting may be a call of. One without options is a word too. */
export type Forms = Readonly<Record<string, Options>>;

export type Setting =
  | { readonly is: 'value'; readonly check: Check }
  /** One of these, without quotes. */
  | { readonly is: 'word'; readonly words: readonly string[] }
  | { readonly is: 'form'; readonly forms: Forms }
  /** A list of calls, or one. */
  | { readonly is: 'forms'; readonly forms: Forms }
  /** A call of a declaration of the library or the spec: an optimizer, a function. */
  | { readonly is: 'call' }
  /** A call, or a formula. */
  | { readonly is: 'formula' }
  /** A list of calls, or one. */
  | { readonly is: 'groups' }
  /** A whole number of at least 1, or a list of them. */
  | { readonly is: 'sizes' };

export const DATA = {
  images: {
    path: 'string',
    format: ['folders', 'csv', 'lists', 'idx', 'safetensors'],
    limit: 'count',
    test_limit: 'count',
    image: 'string',
    label: 'string',
    separator: 'string',
  },
  points: {
    path: 'string',
    format: ['shanghaitech', 'carpk', 'coco', 'csv', 'json'],
    sigma: 'positive',
    kernel: 'count',
    limit: 'count',
    test_limit: 'count',
  },
} as const satisfies Forms;

const SAVE = { every: { steps: 'count' } } as const satisfies Forms;
/** Memory in MiB. */
const CHECKPOINT = { none: {}, blocks: {}, auto: { memory: 'positive' } } as const satisfies Forms;

const AUGMENT = {
  crop: { scale: 'pair', ratio: 'pair' },
  cut: {},
  flip: { probability: 'part' },
  flip_vertical: { probability: 'part' },
  rand_augment: { magnitude: 'number', deviation: 'number', count: 'count', probability: 'part', colors: 'bool' },
  mixup: { alpha: 'positive', share: 'part' },
  cutmix: { alpha: 'positive', share: 'part' },
} as const satisfies Forms;

/** How features that a frozen part of the model gives are kept: `memory` in MiB, and beyond it in files in the folder. */
const CACHE = { auto: { memory: 'number', folder: 'string' }, none: {} } as const satisfies Forms;

export const TRAIN = {
  data: { is: 'form', forms: DATA },
  augment: { is: 'forms', forms: AUGMENT },
  loss: { is: 'formula' },
  optimizer: { is: 'call' },
  groups: { is: 'groups' },
  schedule: { is: 'call' },
  save: { is: 'form', forms: SAVE },
  cache: { is: 'form', forms: CACHE },
  checkpoint: { is: 'form', forms: CHECKPOINT },
  batch: { is: 'value', check: 'count' },
  seed: { is: 'value', check: 'whole' },
  accumulate: { is: 'value', check: 'count' },
  clip: { is: 'value', check: 'positive' },
  ema: { is: 'value', check: 'share' },
  patience: { is: 'value', check: 'count' },
  keep: { is: 'value', check: 'count' },
  validation: { is: 'value', check: 'share' },
  split_seed: { is: 'value', check: 'whole' },
  corrupt: { is: 'value', check: 'part' },
  adapters: { is: 'word', words: ['merged', 'factored', 'auto'] },
  order: { is: 'word', words: ['shuffled', 'balanced'] },
} as const satisfies Readonly<Record<string, Setting>>;

export const DEPLOY = {
  adapters: { is: 'word', words: ['merged', 'factored', 'auto'] },
  weights: { is: 'word', words: ['f32', 'f16'] },
  batch: { is: 'sizes' },
  limits: { is: 'word', words: ['baseline', 'device'] },
  prepare: { is: 'word', words: ['cpu', 'gpu', 'load'] },
} as const satisfies Readonly<Record<string, Setting>>;

export const SETTINGS = { train: TRAIN, deploy: DEPLOY } as const;

// ---- `prune ... by bisection(threshold: 0.9)` ------------------------------------------------------------------------

/** How candidates are tried out, whatever proposes them: `recover` in epochs, of so many `images`. */
const TRYING = {
  after: 'whole',
  recover: 'count',
  images: 'count',
  similarity: ['cosine', 'linear_cka'],
  optimizer: ['continued', 'fresh'],
} as const satisfies Options;
/** Where a search ends at the latest: after so many candidates, steps of training, seconds. */
export const BUDGET = { most: 'count', steps: 'count', seconds: 'positive' } as const satisfies Options;

type SearchForms = {
  readonly [K in keyof typeof SEARCHES]: (typeof SEARCHES)[K] & typeof TRYING & typeof BUDGET;
};

/** What may search, each with its own options and those of every search. */
export const BY = Object.fromEntries(
  Object.entries<Options>(SEARCHES).map(([name, own]) => [name, { ...own, ...TRYING, ...BUDGET }]),
) as SearchForms satisfies Forms;
/** An option of each of them besides, by its name alone: a site of the model, or `output`, what the model gives first. */
export const FEATURE = 'feature';

/** Options that have to be given, of the forms that have them. */
export const NEEDED = { data: ['path'], save: ['steps'], checkpoint: ['memory'], by: ['rate', 'rates'] } as const;

/** Those of a setting, or of `by`. */
export const neededOf = (setting: string): readonly string[] => lookup<readonly string[]>(NEEDED, setting) ?? [];
