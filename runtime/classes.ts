/** From logits to named classes. */

export interface ClassScore {
  readonly label: string;
  readonly index: number;
  /** Softmax over all classes; of a program that gives several labels at once a sigmoid of each. */
  readonly probability: number;
}

/**
 * The `count` likeliest classes, best first. Labels beyond `labels` are their indices.
 * @param several each label is a question of its own, so that probabilities are not shared among them
 */
export function topClasses(
  logits: ArrayLike<number>,
  labels: readonly string[] = [],
  count = 5,
  several = false,
): ClassScore[] {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]!);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - max);
  return Array.from({ length: logits.length }, (_, index) => index)
    .sort((a, b) => logits[b]! - logits[a]! || a - b)
    .slice(0, count)
    .map((index) => ({
      label: labels[index] ?? String(index),
      index,
      probability: several ? 1 / (1 + Math.exp(-logits[index]!)) : Math.exp(logits[index]! - max) / sum,
    }));
}
