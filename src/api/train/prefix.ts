/**
 * What of a training is the same for an image each time that it comes: the part of the model before anything that is trained. It is cut off the step, and
 * off the loss that validation computes (codegen/program/cut.ts), so that it can be computed once an image (features.ts).
 */
import type { CutReport, CutRequest } from '../../codegen/program/cut.js';
import type { SiteNode } from '../../dsl/elaborated.js';
import { showPath } from '../../ir/path.js';
import { ACCUMULATE, LOSS, STEP } from '../../passes/train/step.js';
import { bytes, scaled } from '../report/numbers.js';

/** Who reads images again and again: steps those that are trained on, the loss those of validation. */
export type Reader = 'step' | 'loss';

/** What is computed once an image, in place of each time. */
export interface PrefixPlan {
  /** The entry of the program that computes it. */
  readonly entry: string;
  /** Bytes that are kept of an image. */
  readonly bytes: number;
  /** Operations of a step, or of the loss, for one image: with all of the model, and with what is left of it. */
  readonly flops: { readonly whole: number; readonly left: number };
  /** Of the outermost list of modules how many lie whole in what is cut off, and how many there are. */
  readonly blocks?: { readonly path: string; readonly cut: number; readonly all: number };
}

export type Prefixes = { readonly [R in Reader]?: PrefixPlan };

/** Entries that are called with the same images, and what computes what they read. */
const CALLS: Readonly<Record<Reader, { readonly entries: readonly string[]; readonly name: string }>> = {
  step: { entries: [STEP, ACCUMULATE], name: 'features' },
  loss: { entries: [LOSS], name: 'features.loss' },
};

/** @param inputs names of the model's inputs */
export function cutRequests(
  readers: readonly Reader[],
  entries: readonly string[],
  inputs: readonly string[],
): CutRequest[] {
  return readers.map((reader) => {
    const { entries: all, name } = CALLS[reader];
    return { entries: all.filter((e) => entries.includes(e)), name, inputs };
  });
}

export function prefixesOf(root: SiteNode, cuts: readonly CutReport[]): Prefixes {
  return Object.fromEntries(
    (Object.keys(CALLS) as Reader[]).flatMap((reader) => {
      const cut = cuts.find((c) => c.name === CALLS[reader].name);
      if (!cut) return [];
      const { name: entry, bytes, flops, sites } = cut;
      const blocks = blocksOf(root, sites);
      return [[reader, { entry, bytes, flops, ...(blocks ? { blocks } : {}) }]];
    }),
  );
}

/** Counts the modules of the first list, from the top, of which something is cut off. */
function blocksOf(root: SiteNode, { before, after }: CutReport['sites']): PrefixPlan['blocks'] {
  const below = (sites: ReadonlySet<string>, { path }: SiteNode): boolean =>
    [...sites].some((site) => site === path || site.startsWith(`${path}.`));
  for (let level = [root]; level.length > 0; level = level.flatMap((node) => node.children)) {
    const list = level.find((node) => node.kind === 'list' && below(before, node));
    if (!list) continue;
    const whole = list.children.filter((block) => below(before, block) && !below(after, block));
    return { path: list.path, cut: whole.length, all: list.children.length };
  }
  return undefined;
}

/** In words: what is computed once, and what that saves each time. */
export function prefixText(reader: Reader, { blocks, bytes: each, flops }: PrefixPlan): string {
  const what =
    blocks && blocks.cut > 0
      ? `the first ${blocks.cut === 1 ? '' : `${blocks.cut} `}of ${blocks.all} of ${showPath(blocks.path)} ${blocks.cut === 1 ? 'is' : 'are'} frozen`
      : 'what comes before the first trained parameter is frozen';
  const see = blocks && blocks.cut > 1 ? 'see' : 'sees';
  const [who, call] =
    reader === 'step'
      ? [`${see} the same images each epoch`, 'a step']
      : [`${see} the same validation images each epoch`, 'the loss'];
  const [whole, left] = [flops.whole, flops.left].map((n) => scaled(n, 'FLOP'));
  return `${what} and ${who}: computed once, ${bytes(each)} an image; ${call} takes ${left} an image in place of ${whole}`;
}
