/** Parts of a data set, by seed: a validation split where the data has none, and the first n. Both have of each class its share. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { Draws } from './draws.js';
import { itemsByClass } from './order.js';
import type { Dataset, Datasets, Targets } from './types.js';

function targetsOf(targets: Targets, items: ArrayLike<number>): Targets {
  const list = Array.from(items);
  switch (targets.kind) {
    case 'class':
      return { kind: 'class', labels: Int32Array.from(list, (i) => targets.labels[i]!) };
    case 'classes':
      return { kind: 'classes', labels: list.map((i) => targets.labels[i]!) };
    case 'numbers': {
      const { values, width } = targets;
      const rows = new Float32Array(list.length * width);
      for (const [row, i] of list.entries()) rows.set(values.subarray(i * width, (i + 1) * width), row * width);
      return { kind: 'numbers', values: rows, width };
    }
    case 'points':
      return { kind: 'points', points: list.map((i) => targets.points[i]!) };
  }
}

/** Some items of a data set, in the order given. */
export function selectItems(dataset: Dataset, items: ArrayLike<number>): Dataset {
  const list = Array.from(items);
  return {
    ...dataset,
    size: list.length,
    ids: list.map((i) => dataset.ids[i]!),
    places: list.map((i) => dataset.places[i]!),
    targets: targetsOf(dataset.targets, list),
  };
}

/** The groups that a split takes its share of: classes where each item has one, else all items together. */
function strata(dataset: Dataset): number[][] {
  if (dataset.targets.kind !== 'class') return [Array.from({ length: dataset.size }, (_, i) => i)];
  return itemsByClass(dataset, 'a split');
}

/**
 * Takes `share` of the items of each class out of `train`, at random by the seed, as a validation split; at least one of each class that has two
 * or more, and never all of one. Data that has a validation split is returned as it is.
 * @throws EspalierError ESP1011 for a share that is not between 0 and 1, or where no item can be spared
 */
export function withValidation(data: Datasets, share: number, seed: number): Datasets & { readonly val: Dataset } {
  const { train, val } = data;
  if (val) return { ...data, val };
  const refuse = (why: string) => new EspalierError([diagnostic('ESP1011', { name: train.name, why })]);
  if (!(share > 0 && share < 1)) throw refuse(`${share} of the items were asked for; a share lies between 0 and 1`);
  const held = strata(train).flatMap((items, of) => {
    const count = Math.min(items.length - 1, Math.max(1, Math.round(share * items.length)));
    return count < 1
      ? []
      : Array.from(new Draws({ seed, epoch: 0, purpose: 'split', of }).shuffled(items).slice(0, count));
  });
  if (held.length === 0) throw refuse('no class has two items, so none can be spared');
  const out = new Set(held);
  const rest = Array.from({ length: train.size }, (_, i) => i).filter((i) => !out.has(i));
  return {
    ...data,
    train: selectItems(train, rest),
    val: selectItems(
      train,
      [...out].sort((a, b) => a - b),
    ),
  };
}

/**
 * At most `count` items, chosen at random by the seed, of each class as many as of any other as far as it has them; in their order in the data.
 * @throws EspalierError ESP1011 for a count that is no whole number above 0
 */
export function limited(dataset: Dataset, count: number, seed: number): Dataset {
  if (!(Number.isSafeInteger(count) && count > 0))
    throw new EspalierError([
      diagnostic('ESP1011', {
        name: dataset.name,
        why: `${count} items were asked for; that is no whole number above 0`,
      }),
    ]);
  if (count >= dataset.size) return dataset;
  const draws = (of: number) => new Draws({ seed, epoch: 0, purpose: 'limit', of });
  const groups = strata(dataset).map((items, of) => draws(1 + of).shuffled(items));
  const chosen: number[] = [];
  // One of each class that has more, in turn; the turn that is not whole goes to classes at random.
  const turn = draws(0).shuffled([...groups.keys()]);
  for (let round = 0; chosen.length < count; round++)
    for (const g of turn) {
      const item = groups[g]![round];
      if (item !== undefined && chosen.length < count) chosen.push(item);
    }
  return selectItems(
    dataset,
    chosen.sort((a, b) => a - b),
  );
}
