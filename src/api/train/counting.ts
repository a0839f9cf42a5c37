/** How counting is scored: an object count is the sum of a density map, and errors are those of counts, over pictures. */
import type { Batch } from '../../data/types.js';
import type { CountErrors, Score } from './events.js';
import type { StepResult } from './trainer.js';

/** Of one picture: how many objects are in it, and what the model counts. */
export interface Counted {
  /** Its number in the data set. */
  readonly item: number;
  readonly count: number;
  readonly predicted: number;
}

/** Of each sample of a batch; a picture that is read in tiles has several. The first result of the model is a density. */
export function countsOf({ outputs }: StepResult, { indices, targets }: Batch): Counted[] {
  const found = Object.values(outputs)[0]!;
  const size = found.length / indices.length;
  const counts = targets.kind === 'values' ? targets.counts : undefined;
  return Array.from(indices, (item, i) => {
    let predicted = 0;
    for (let k = i * size; k < (i + 1) * size; k++) predicted += found[k]!;
    return { item, count: counts?.[i] ?? 0, predicted };
  });
}

/** Tiles put together: one for each picture, in the order in which they came. */
export function byPicture(counts: readonly Counted[]): Counted[] {
  const found = new Map<number, Counted>();
  for (const { item, count, predicted } of counts) {
    const before = found.get(item) ?? { item, count: 0, predicted: 0 };
    found.set(item, { item, count: before.count + count, predicted: before.predicted + predicted });
  }
  return [...found.values()];
}

export function errorsOf(counts: readonly Omit<Counted, 'item'>[]): CountErrors {
  let [absolute, squared] = [0, 0];
  for (const { count, predicted } of counts) {
    absolute += Math.abs(predicted - count);
    squared += (predicted - count) ** 2;
  }
  return { absolute, squared };
}

/** Mean absolute error, and the root of the mean squared one (which crowd counting often calls MSE). */
export function meansOf({ absolute, squared }: CountErrors, pictures: number): Pick<Score, 'mae' | 'rmse'> {
  return { mae: absolute / pictures, rmse: Math.sqrt(squared / pictures) };
}
