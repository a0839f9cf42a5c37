/** From logits to named classes. */

export interface ClassScore {
  readonly label: string;
  readonly index: number;
  /** Softmax over all classes. */
  readonly probability: number;
}

/** The `count` likeliest classes, best first. Labels beyond `labels` are their indices. */
export function topClasses(logits: ArrayLike<number>, labels: readonly string[] = [], count = 5): ClassScore[] {
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
      probability: Math.exp(logits[index]! - max) / sum,
    }));
}
