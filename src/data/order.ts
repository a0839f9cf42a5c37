/** Which items an epoch takes, and in which order: a function of seed and epoch, with no history. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { Draws } from './draws.js';
import type { Dataset, LoaderOptions } from './types.js';

export interface Order {
  readonly items: Int32Array;
  /** How often the item has come before in this epoch. */
  readonly repeats: Int32Array;
}

/** Items of each class, in their order. @throws EspalierError ESP1010 unless each item is of one class */
export function itemsByClass(dataset: Dataset, what: string): number[][] {
  const { targets, classes, name } = dataset;
  if (targets.kind !== 'class') throw new EspalierError([diagnostic('ESP1010', { what, name, kind: targets.kind })]);
  const byClass = classes.map((): number[] => []);
  for (const [i, label] of targets.labels.entries()) byClass[label]!.push(i);
  return byClass;
}

/** The order of one epoch. @throws EspalierError ESP1010 where classes are to be balanced and items have none */
export function epochOrder(
  dataset: Dataset,
  order: NonNullable<LoaderOptions['order']>,
  seed: number,
  epoch: number,
): Order {
  const all = Int32Array.from({ length: dataset.size }, (_, i) => i);
  const once = new Int32Array(dataset.size);
  if (order === 'listed') return { items: all, repeats: once };
  const draws = (of: number, repeat: number) => new Draws({ seed, epoch, purpose: 'order', of, repeat });
  if (order === 'shuffled') return { items: draws(0, 0).shuffled(all), repeats: once };

  const byClass = itemsByClass(dataset, 'balanced sampling').filter((items) => items.length > 0);
  const items: number[] = [];
  const repeats: number[] = [];
  // Rounds of one item of each class, the last of which may be a part. A class whose items have all come begins anew, shuffled again.
  const shuffles: Int32Array[] = [];
  for (let round = 0; items.length < dataset.size; round++) {
    const turn = draws(0, round).shuffled([...byClass.keys()]);
    for (const c of turn.subarray(0, dataset.size - items.length)) {
      const { length } = byClass[c]!;
      const repeat = Math.floor(round / length);
      if (round % length === 0) shuffles[c] = draws(1 + c, repeat).shuffled(byClass[c]!);
      items.push(shuffles[c]![round % length]!);
      repeats.push(repeat);
    }
  }
  return { items: Int32Array.from(items), repeats: Int32Array.from(repeats) };
}
