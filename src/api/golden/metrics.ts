/** Figures of a classifier from pairs of labels. */

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
