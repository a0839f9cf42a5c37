/**
 * The number of samples that a function is called with, as a size. It is known when a program runs, not before: a dimension is a number, or a
 * multiple of the batch.
 *
 * Shapes stay lists of numbers. The batch stands in them as `BATCH`, a prime above every size that a tensor may have, so the products and
 * exact quotients that type rules work with are those of the monomials k·b, and k and b can always be told apart again. What would be neither a
 * number nor a multiple (b + 1, b²) is refused where a type is inferred. Bounds of an index that hold at b = BATCH are ones of k·b too, which
 * is what code generation and the verifier of kernels rely on.
 */

/** The batch, as a size: the largest prime below 2^26. Up to 2^27 elements of a sample, sizes in elements stay exact. */
export const BATCH = 67_108_859;

/** Whether a size is a multiple of the batch. */
export const isBatch = (size: number): boolean => size !== 0 && size % BATCH === 0;

/** Whether some axis is a multiple of the batch. */
export const hasBatch = (shape: readonly number[]): boolean => shape.some(isBatch);

/** The size for a number of samples. */
export const sizeAt = (size: number, samples: number): number => (isBatch(size) ? (size / BATCH) * samples : size);

/** The size for one sample. */
export const perSample = (size: number): number => sizeAt(size, 1);

export const shapeAt = (shape: readonly number[], samples: number): readonly number[] =>
  hasBatch(shape) ? shape.map((d) => sizeAt(d, samples)) : shape;

/** `3`, `b`, `197b`; `b + 1` for what is no size. */
export function showSize(size: number): string {
  const times = Math.round(size / BATCH);
  const rest = size - times * BATCH;
  if (times < 1 || !Number.isInteger(size)) return String(size);
  if (times >= BATCH) return `${showSize(size / BATCH)}·b`;
  const multiple = times === 1 ? 'b' : `${times}b`;
  if (rest === 0) return multiple;
  return `${multiple} ${rest > 0 ? '+' : '-'} ${Math.abs(rest)}`;
}

/** Why a shape is none; undefined if it is one. */
export function wrongShape(shape: readonly number[]): string | undefined {
  let batches = 0;
  for (const d of shape) {
    if (!Number.isInteger(d) || d < 1) return 'has a size that is not positive';
    if (isBatch(d)) {
      batches++;
      if (d >= BATCH * BATCH) return 'has the batch twice in one size';
    } else if (d > BATCH) return `has the size ${showSize(d)}, which is neither a number nor a multiple of the batch`;
  }
  return batches > 1 ? 'has the batch in two axes' : undefined;
}
