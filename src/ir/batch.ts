/**
 * The number of samples that a function is called with, as a size. It is known when a program runs, not before: a dimension is a number, or a
 * multiple of the batch.
 *
 * Shapes stay lists of numbers. The batch stands in them as `BATCH`, a large prime, so the products and
 * exact quotients that type rules work with are those of the monomials k·b, and k and b can always be told apart again. What would be neither a
 * number nor a multiple (b + 1, b²) is refused by the rules that add to sizes, and where a type is inferred. Bounds of an index that hold at b = BATCH are ones of k·b too, which
 * is what code generation and the verifier of kernels rely on.
 */

/** The batch, as a size: the largest prime below 2^26. */
export const BATCH = 67_108_859;

/** Elements of a sample up to which a number of elements is exact: about 2^27. A shape with more is none (`wrongShape`). */
const MOST_EACH = Math.floor(Number.MAX_SAFE_INTEGER / BATCH);

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

/** A sum of a multiple of the batch and a number that is small beside it: `-24b + 3`. Where no batch is, a large number is just that. */
export function parted(x: number): { readonly times: number; readonly rest: number } {
  const times = Math.round(x / BATCH);
  return { times, rest: x - times * BATCH };
}

/** `3`, `b`, `197b`. */
export function showSize(size: number): string {
  if (!isBatch(size)) return String(size);
  const times = size / BATCH;
  return times === 1 ? 'b' : `${showSize(times)}${isBatch(times) ? '·' : ''}b`;
}

/** Why a shape is none; undefined if it is one. */
export function wrongShape(shape: readonly number[]): string | undefined {
  let batches = 0;
  let elements = 1;
  for (const d of shape) {
    if (!Number.isInteger(d) || d < 1) return 'has a size that is not positive';
    elements *= d;
    if (!isBatch(d)) continue;
    batches++;
    if (d % (BATCH * BATCH) === 0) return 'has the batch twice in one size';
  }
  if (batches > 1) return 'has the batch in two axes';
  // All that is computed from sizes, the products of some of them too, is exact up to there.
  if (elements <= Number.MAX_SAFE_INTEGER) return undefined;
  return batches === 0
    ? `has more than ${Number.MAX_SAFE_INTEGER} elements`
    : `has more than ${MOST_EACH} elements for each image`;
}
