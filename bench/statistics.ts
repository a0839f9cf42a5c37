/** What is said of timings: medians, ratios within a round, and whether a difference is more than chance. */

/** Median and quartiles. */
export interface Spread {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/** Between neighbours in order, as most tools do. @throws RangeError for no numbers, or one that is none */
export function spread(numbers: readonly number[]): Spread {
  if (numbers.length === 0 || numbers.some((x) => !Number.isFinite(x)))
    throw new RangeError(`no spread of [${numbers.join(', ')}]`);
  const sorted = [...numbers].sort((x, y) => x - y);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const low = sorted[Math.floor(place)]!;
    return low + (sorted[Math.ceil(place)]! - low) * (place % 1);
  };
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}

export const median = (numbers: readonly number[]): number => spread(numbers).median;

/** Of `times` over `base`, each within its round. @throws RangeError for rounds that differ in number */
export function ratios(times: readonly number[], base: readonly number[]): Spread {
  if (times.length !== base.length) throw new RangeError(`${times.length} rounds beside ${base.length}`);
  return spread(times.map((t, round) => t / base[round]!));
}

export type Verdict = 'slower' | 'faster' | 'within the A/A spread';

/**
 * What new/old says beside old/old (A/A). Slower: the median is above the A/A quartiles and three of four rounds say so; by chance alone, that
 * happens in less than one of 50 comparisons of 15 rounds. Faster: the same the other way round.
 */
export function verdict(change: Spread, same: Spread): Verdict {
  if (change.median > same.upper && change.lower > 1) return 'slower';
  if (change.median < same.lower && change.upper < 1) return 'faster';
  return 'within the A/A spread';
}

export const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** The standard deviation of a sample: over n - 1. */
export function deviation(numbers: readonly number[]): number {
  const middle = mean(numbers);
  return Math.sqrt(numbers.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (numbers.length - 1));
}

/** What two deviations make together: the square root of the mean of the variances. */
export const pooled = (a: number, b: number): number => Math.sqrt((a ** 2 + b ** 2) / 2);
