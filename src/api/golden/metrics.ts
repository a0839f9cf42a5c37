/** Figures of a classifier from pairs of labels, or, where an item may be of several classes, from scores. */

export interface ClassFigures {
  readonly label: string;
  /** Images of this class. */
  readonly support: number;
  /** Of those predicted as this class, the fraction that are; NaN if none was. */
  readonly precision: number;
  /** Of those of this class, the fraction found; NaN if there was none. */
  readonly recall: number;
}

export interface Evaluation {
  readonly images: number;
  readonly correct: number;
  readonly accuracy: number;
  readonly classes: readonly ClassFigures[];
  /** `confusion[actual][predicted]`, in the order of `classes`. */
  readonly confusion: readonly (readonly number[])[];
}

/** @param pairs class numbers (actual, predicted), each below `labels.length`. */
export function figures(
  labels: readonly string[],
  pairs: readonly (readonly [actual: number, predicted: number])[],
): Evaluation {
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [actual, predicted] of pairs) confusion[actual]![predicted]!++;
  const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
  const classes = labels.map((label, i) => {
    const hit = confusion[i]![i]!;
    const support = sum(confusion[i]!);
    return { label, support, precision: hit / sum(confusion.map((row) => row[i]!)), recall: hit / support };
  });
  const correct = sum(labels.map((_, i) => confusion[i]![i]!));
  return { images: pairs.length, correct, accuracy: correct / pairs.length, classes, confusion };
}

/**
 * Average precision of one class (`average_precision_score` of scikit-learn): over the items from the highest score down, each step of recall by the precision that
 * is had there; equal scores are one step. NaN for a class that no item is of.
 */
export function averagePrecision(scores: readonly number[], has: readonly boolean[]): number {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
  const support = has.filter(Boolean).length;
  let [sum, hits, before] = [0, 0, 0];
  order.forEach((item, i) => {
    if (has[item]) hits++;
    const next = order[i + 1];
    if (next !== undefined && scores[next] === scores[item]) return;
    sum += ((hits - before) / support) * (hits / (i + 1));
    before = hits;
  });
  return support === 0 ? Number.NaN : sum;
}

/** Mean over the classes that some item is of; NaN where there is none. */
export function meanKnown(values: readonly number[]): number {
  const known = values.filter((x) => !Number.isNaN(x));
  return known.reduce((a, b) => a + b, 0) / known.length;
}
