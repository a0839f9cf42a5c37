/** What is kept or pruned as one: elements, or blocks of a weight's matrix, whose score is the mean of their elements'. */
import type { PruneShape } from '../ir/prune.js';
import type { Matrix } from './scores.js';
import type { Scores } from './select.js';

export interface Units {
  /** One for each unit, row by row. */
  readonly scores: Scores;
  /** Units in one row of units. */
  readonly perRow: number;
  /** Rows of units. */
  readonly rows: number;
  /** Elements of unit i. */
  readonly size: (i: number) => number;
  /** Elements of every unit, where that is one number. */
  readonly uniform: number | undefined;
  /** Zeroes unit i of a mask. */
  readonly clear: (mask: Float32Array, i: number) => void;
}

/** N:M is not selected in units but within each group. */
export function unitsOf(scores: Scores, { rows, cols }: Matrix, shape: Exclude<PruneShape, { kind: 'nm' }>): Units {
  if (shape.kind === 'element' || (shape.rows === 1 && shape.cols === 1)) {
    const clear = (mask: Float32Array, i: number): void => {
      mask[i] = 0;
    };
    return { scores, perRow: cols, rows, size: () => 1, uniform: 1, clear };
  }
  const { rows: height, cols: width } = shape;
  const down = Math.ceil(rows / height);
  const across = Math.ceil(cols / width);
  // The blocks at the right and lower edge hold what is left.
  const heightAt = (i: number): number => Math.min(height, rows - Math.floor(i / across) * height);
  const widthAt = (i: number): number => Math.min(width, cols - (i % across) * width);
  const each = (i: number, visit: (at: number) => void): void => {
    const first = Math.floor(i / across) * height * cols + (i % across) * width;
    const [h, w] = [heightAt(i), widthAt(i)];
    for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) visit(first + r * cols + c);
  };
  const means = new Float64Array(down * across);
  for (let i = 0; i < means.length; i++) {
    let sum = 0;
    each(i, (at) => {
      sum += scores[at]!;
    });
    means[i] = sum / (heightAt(i) * widthAt(i));
  }
  return {
    scores: means,
    perRow: across,
    rows: down,
    size: (i) => heightAt(i) * widthAt(i),
    uniform: rows % height === 0 && cols % width === 0 ? height * width : undefined,
    clear: (mask, i) => {
      each(i, (at) => {
        mask[at] = 0;
      });
    },
  };
}

/**
 * Zeroes, in every `of` consecutive elements of a row, all but the `keep` with the largest scores; of equal ones the earlier go first.
 * A shorter group at the end of a row gives up its share, rounded down.
 */
export function clearPattern(
  scores: Scores,
  { rows, cols }: Matrix,
  keep: number,
  of: number,
  mask: Float32Array,
): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c += of) {
      const length = Math.min(of, cols - c);
      const first = r * cols + c;
      // Groups are short: finding the lowest again and again beats sorting.
      for (let left = Math.floor((length * (of - keep)) / of); left > 0; left--) {
        let lowest = -1;
        for (let i = first; i < first + length; i++) {
          if (mask[i] !== 0 && (lowest < 0 || scores[i]! < scores[lowest]!)) lowest = i;
        }
        mask[lowest] = 0;
      }
    }
  }
}
