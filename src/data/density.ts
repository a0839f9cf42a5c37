/**
 * Density maps, what counting is learnt from: at each point a small Gaussian whose sum is 1, so that the sum over any region is the number of objects in it
 * (Lempitsky, Zisserman, "Learning to count objects in images", 2010). As crowd counting makes them: the kernel's middle is the pixel in which the
 * point lies, its weights are cut off at the border of the map, and what is left of them is made 1 again.
 */
import type { BatchTargets, DensityOptions } from './types.js';

/**
 * @param points x, y pairs in pixels of the map; the centre of its first pixel is (0.5, 0.5). Those outside of the map are not in it
 * @param options size of the map, standard deviation of the Gaussian and side of its kernel (odd), in pixels of the map
 * @returns f32 [height, width], whose sum is the number of points
 */
export function density(points: ArrayLike<number>, options: DensityOptions): Float32Array<ArrayBuffer> {
  const { width, height, sigma, kernel } = options;
  const radius = (kernel - 1) / 2;
  const weights = Float64Array.from({ length: kernel }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sums = new Float64Array(width * height);
  for (let i = 0; i < points.length; i += 2) {
    const [column, row] = [Math.floor(points[i]!), Math.floor(points[i + 1]!)];
    if (!(column >= 0 && column < width && row >= 0 && row < height)) continue;
    const [left, right] = [Math.max(0, column - radius), Math.min(width - 1, column + radius)];
    const [top, bottom] = [Math.max(0, row - radius), Math.min(height - 1, row + radius)];
    // The kernel is a product of two lines, so its sum over a box is a product of sums.
    const whole = lineSum(weights, left - column + radius, right - column + radius);
    const share = 1 / (whole * lineSum(weights, top - row + radius, bottom - row + radius));
    for (let y = top; y <= bottom; y++) {
      const line = weights[y - row + radius]! * share;
      for (let x = left; x <= right; x++) sums[y * width + x]! += line * weights[x - column + radius]!;
    }
  }
  return Float32Array.from(sums);
}

function lineSum(weights: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i <= to; i++) sum += weights[i]!;
  return sum;
}

/**
 * What a batch of samples is to give: the density of each one's points, [n, height * width], and how many they are.
 * @param points of each sample, in pixels of the sample
 * @param sample its size, which may be another than the map's
 */
export function densityTargets(
  points: readonly ArrayLike<number>[],
  sample: { readonly width: number; readonly height: number },
  options: DensityOptions,
): Extract<BatchTargets, { kind: 'values' }> {
  const width = options.width * options.height;
  const [across, down] = [options.width / sample.width, options.height / sample.height];
  const values = new Float32Array(points.length * width);
  for (const [i, own] of points.entries()) {
    const scaled = Float64Array.from(own, (at, k) => at * (k % 2 === 0 ? across : down));
    values.set(density(scaled, options), i * width);
  }
  return { kind: 'values', values, width, counts: Int32Array.from(points, (own) => own.length / 2) };
}
