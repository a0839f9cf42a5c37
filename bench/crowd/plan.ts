/**
 * What the table of counting compares, and the specs that say it. Every row is trained in two parts: the first without a mask, the rest, from the weights of the first, with
 * an optimiser and a schedule of its own. Rows that prune share LoRA's first part, and what a search trains its candidates by is taken off their rest, so that all
 * rows get as many image-steps.
 */
import { UsageError } from '../arguments.js';

export const ROWS = ['frozen', 'lora', 'karst', 'fixed', 'agent', 'bisection'] as const;
export type RowName = (typeof ROWS)[number];

export const TITLES: Readonly<Record<RowName, string>> = {
  frozen: 'frozen, head',
  lora: 'LoRA',
  karst: 'KARST',
  fixed: 'LoRA, 63 % L1',
  agent: 'LoRA, agent',
  bisection: 'LoRA, bisection',
};

/** The paper's headline. */
export const FIXED = 0.63;

/** Of all rows and seeds. */
export interface Settings {
  /** Side of scenes and model, in pixels. */
  readonly size: number;
  /** Scenes of each split. */
  readonly train: number;
  readonly val: number;
  readonly test: number;
  /** Fewest and most things that are put into a scene. */
  readonly things: readonly [number, number];
  readonly batch: number;
  /** Epochs of the two parts. */
  readonly first: number;
  readonly rest: number;
  /** Peaks of the learning rate of the two parts. */
  readonly rate: number;
  readonly rest_rate: number;
  /** What a candidate of a search is trained by: epochs of so many images. */
  readonly recover: number;
  readonly images: number;
  /** What is similar enough. */
  readonly threshold: number;
  /** Candidates that the agent learns from, and those that it chooses among, at the most. */
  readonly explore: number;
  readonly choose: number;
  /** Candidates of a search in all. */
  readonly most: number;
}

/** One training: of a row the first part or the rest, or a search, which is ended when it has found a rate. */
export interface Phase {
  readonly name: string;
  readonly row: RowName;
  readonly seed: number;
  readonly part: 'first' | 'search' | 'rest';
}

const pruned = (row: RowName): boolean => row === 'fixed' || row === 'agent' || row === 'bisection';
const searched = (row: RowName): boolean => row === 'agent' || row === 'bisection';

/** Whose first part a row goes on from. */
export const sourceOf = (row: RowName): RowName => (pruned(row) ? 'lora' : row);

export const phaseName = (seed: number, row: RowName, part: Phase['part']): string => `${seed}-${row}-${part}`;

/** What is to be done for some rows and seeds, each after what it needs. */
export function phasesOf(rows: readonly RowName[], seeds: readonly number[]): Phase[] {
  const found = new Map<string, Phase>();
  const add = (seed: number, row: RowName, part: Phase['part']): void => {
    const name = phaseName(seed, row, part);
    if (!found.has(name)) found.set(name, { name, row, seed, part });
  };
  for (const seed of seeds) {
    for (const row of rows) add(seed, sourceOf(row), 'first');
    for (const row of rows) {
      if (searched(row)) add(seed, row, 'search');
      add(seed, row, 'rest');
    }
  }
  return [...found.values()];
}

/** What a search has found: a rate, and the image-steps that it took; no rate where no candidate was good enough. */
export interface Found {
  readonly rate?: number;
  readonly images: number;
}

/** Epochs of a row's rest. @throws UsageError where a search took all of them */
export function restEpochs(settings: Settings, images: number): number {
  const epochs = Math.floor((settings.rest * settings.train - images) / settings.train);
  if (epochs < 1)
    throw new UsageError(
      `a search took ${images} image-steps, of ${settings.rest * settings.train} that there are after the first part: give more by --rest, or fewer by --recover or --images`,
    );
  return epochs;
}

export interface Places {
  readonly encoder: string;
  readonly scenes: string;
  /** Weights of the first part, for those that go on from it. */
  readonly from?: string;
}

const ADAPTERS: Readonly<Record<RowName, string>> = {
  frozen: '',
  lora: 'lora(rank: 4)',
  karst: 'karst(kernels: 2, rank: 4)',
  fixed: 'lora(rank: 4)',
  agent: 'lora(rank: 4)',
  bisection: 'lora(rank: 4)',
};

const quoted = (text: string): string => JSON.stringify(text);

/** The spec of one phase. Candidates recover at the highest rate that the rest has: a cycle would begin them with a fraction of it. */
export function specOf(phase: Phase, settings: Settings, places: Places, found?: Found): string {
  const { row, part } = phase;
  const from = places.from === undefined ? '' : ` from ${quoted(places.from)}`;
  const adapter = ADAPTERS[row] && `    adapt attn.qkv, attn.proj, mlp.* with ${ADAPTERS[row]}${from}\n`;
  const prune = pruneOf(phase, settings, found);
  const inside = adapter || prune ? `  in base.stages[1..4].blocks[*] {\n${adapter}${prune}  }\n` : '';
  const epochs = part === 'first' ? settings.first : restEpochs(settings, part === 'search' ? 0 : (found?.images ?? 0));
  return `use std

model Counting {
  base = mobile_sam(image: ${settings.size}, folded: true) from ${quoted(places.encoder)}
  head = counting(base, dim: 32, patches: 4)
${inside}  tune head${from}
}

train Counting {
  data = points(${quoted(places.scenes)})
  augment = [flip(50%)]
  loss = count_error()
  optimizer = adamw(lr: ${part === 'first' ? settings.rate : settings.rest_rate}, weight_decay: 1e-4)
  schedule = ${part === 'search' ? 'constant' : 'one_cycle'}(epochs: ${epochs})
  batch = ${settings.batch}
  seed = ${phase.seed}
}
`;
}

function pruneOf({ row, part, seed }: Phase, settings: Settings, found: Found | undefined): string {
  if (!pruned(row)) return '';
  const { recover, images, threshold, explore, choose, most } = settings;
  const statement = (what: string, by = ''): string =>
    `    prune attn.*, mlp.* with magnitude(${what}scope: global, over: sum)${by}\n`;
  if (part === 'search') {
    const tried = `after: 0, recover: ${recover}, images: ${images}, threshold: ${threshold}, most: ${most}`;
    const agent = `recoverability(${tried}, from: 10%, to: 80%, step: 10%, explore: ${explore}, choose: ${choose}, seed: ${seed})`;
    return statement('', ` by ${row === 'agent' ? agent : `bisection(${tried})`}`);
  }
  const rate = row === 'fixed' ? FIXED : found?.rate;
  return rate === undefined ? '' : statement(`sparsity: ${rate}, `);
}
