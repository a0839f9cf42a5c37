/**
 * How much of what a model gave is still there, and what that is worth. The reward is a reconstruction: the paper says only that it comes from the similarity of
 * features before and after pruning.
 */
import type { FeatureMap } from './types.js';

/** What PyTorch's InstanceNorm2d adds to a variance. */
const EPSILON = 1e-5;

/** A map less its mean, by its deviation: InstanceNorm2d of one channel. In f64, rounded once. */
export function normalised(data: ArrayLike<number>): Float32Array {
  const n = data.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += data[i]!;
  const mean = sum / n;
  let square = 0;
  for (let i = 0; i < n; i++) square += (data[i]! - mean) ** 2;
  const deviation = Math.sqrt(square / n + EPSILON);
  return Float32Array.from({ length: n }, (_, i) => (data[i]! - mean) / deviation);
}

/**
 * The cosine of the angle between two lists of numbers, from -1 to 1. Of normalised maps that is Pearson's correlation of the maps, and 1 less half of their
 * mean square difference. NaN where one is 0 throughout: a map that is the same everywhere has no direction.
 */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

/**
 * Linear centered kernel alignment (Kornblith et al., arXiv 1905.00414) of what two models give for the same examples: 1 for equal ones, whatever rotation and
 * scale is between them. By Gram matrices of the examples, so it is meant for few examples of many numbers. NaN where one gives the same for all examples.
 * @param examples rows of both; each row has as many numbers as fit
 */
export function linearCka(a: ArrayLike<number>, b: ArrayLike<number>, examples: number): number {
  const [k, l] = [gram(a, examples), gram(b, examples)];
  return cosine(k, l);
}

/** Inner products of the rows, each less the mean of the rows. */
function gram(x: ArrayLike<number>, rows: number): Float64Array {
  const cols = x.length / rows;
  const centered = new Float64Array(x.length);
  for (let c = 0; c < cols; c++) {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += x[r * cols + c]!;
    for (let r = 0; r < rows; r++) centered[r * cols + c] = x[r * cols + c]! - sum / rows;
  }
  const products = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += centered[i * cols + c]! * centered[j * cols + c]!;
      products[i * rows + j] = sum;
      products[j * rows + i] = sum;
    }
  }
  return products;
}

/** The size of the maps that an agent sees. */
export const SIDE = 64;

/** A map at another size: the mean of what lies under each place, as PyTorch's adaptive_avg_pool2d takes it. */
export function resized({ height, width, data }: FeatureMap, side = SIDE): FeatureMap {
  if (height === side && width === side) return { height, width, data };
  const out = new Float32Array(side * side);
  const range = (i: number, size: number): [number, number] => [
    Math.floor((i * size) / side),
    Math.ceil(((i + 1) * size) / side),
  ];
  for (let y = 0; y < side; y++) {
    const [top, bottom] = range(y, height);
    for (let x = 0; x < side; x++) {
      const [left, right] = range(x, width);
      let sum = 0;
      for (let r = top; r < bottom; r++) for (let c = left; c < right; c++) sum += data[r * width + c]!;
      out[y * side + x] = sum / ((bottom - top) * (right - left));
    }
  }
  return { height: side, width: side, data: out };
}

/** What a search asks of a candidate: this similarity at the least, and so much of it may be lost for a rate of 1. */
export interface Worth {
  readonly threshold: number;
  readonly weight: number;
}

/** Similarity and rate together: candidates are compared by it. */
export const scoreOf = (similarity: number, rate: number, { weight }: Worth): number => similarity + weight * rate;

/** What pruning is rewarded with; retaining gets the same with the other sign. */
export const rewardOf = (similarity: number, rate: number, worth: Worth): number =>
  scoreOf(similarity, rate, worth) - worth.threshold;
