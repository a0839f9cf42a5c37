/** What the benchmark says of timings. The timings here are made up. */
import { expect, test } from 'vitest';
import { order } from '../../bench/contest.js';
import { ratios, type Spread, spread, verdict } from '../../bench/statistics.js';

test('quartiles lie between neighbours in order', () => {
  expect(spread([4, 1, 3, 2])).toEqual({ lower: 1.75, median: 2.5, upper: 3.25 });
  expect(spread([5, 1, 2, 4, 3])).toEqual({ lower: 2, median: 3, upper: 4 });
  expect(spread([7])).toEqual({ lower: 7, median: 7, upper: 7 });
});

test.each([[[]], [[1, Number.NaN]], [[Number.POSITIVE_INFINITY]]])('no spread of %j', (numbers) => {
  expect(() => spread(numbers)).toThrow(RangeError);
});

test('a ratio is of times within one round', () => {
  // Twice as slow in each round, on a machine that slows down: the ratio of the medians would be 4.
  expect(ratios([2, 8, 200, 800, 2000], [1, 4, 100, 400, 1000])).toEqual({ lower: 2, median: 2, upper: 2 });
  // Medians are 2 and 4; but within rounds nothing is twice as slow as a rule.
  expect(ratios([4, 8, 1], [2, 1, 4]).median).toBe(2);
  expect(ratios([2, 8, 5], [2, 1, 5]).median).toBe(1);
  expect(() => ratios([1, 2], [1])).toThrow(RangeError);
});

const around = (median: number, half: number): Spread => ({ lower: median - half, median, upper: median + half });

test.each<[what: string, change: Spread, same: Spread, says: string]>([
  ['the same', around(1, 0.02), around(1, 0.02), 'within the A/A spread'],
  ['clearly slower', around(1.1, 0.02), around(1, 0.02), 'slower'],
  ['clearly faster', around(0.9, 0.02), around(1, 0.02), 'faster'],
  ['as far from 1 as old is from itself', around(1.03, 0.01), around(1, 0.03), 'within the A/A spread'],
  ['beyond A/A, but rounds disagree', around(1.03, 0.04), around(1, 0.02), 'within the A/A spread'],
  ['below A/A, but rounds disagree', around(0.97, 0.04), around(1, 0.02), 'within the A/A spread'],
  ['both shifted, by what comes second', around(1.05, 0.01), around(1.05, 0.01), 'within the A/A spread'],
])('verdict: %s', (_, change, same, says) => {
  expect(verdict(change, same)).toBe(says);
});

/** Times of 15 rounds that differ by some percent, and slow down and up together by much more. */
function rounds(random: () => number, factors: readonly number[]): number[][] {
  const drift = Array.from({ length: 15 }, () => 1 + 4 * random());
  return factors.map((f) => drift.map((d) => f * d * (1 + 0.05 * (random() + random() + random()))));
}

/** Shares of 2000 comparisons with each verdict, of a new version that takes `factor` times as long. */
function verdicts(factor: number): Record<string, number> {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const counts: Record<string, number> = { slower: 0, faster: 0, 'within the A/A spread': 0 };
  for (let i = 0; i < 2000; i++) {
    const [old, again, newer] = rounds(random, [1, 1, factor]);
    counts[verdict(ratios(newer!, old!), ratios(again!, old!))]! += 1 / 2000;
  }
  return counts;
}

test('chance alone says little; a tenth more is seen', () => {
  const same = verdicts(1);
  expect(same.slower).toBeLessThan(0.02);
  expect(same.faster).toBeLessThan(0.02);
  expect(verdicts(1.1).slower).toBeGreaterThan(0.99);
  expect(verdicts(0.9).faster).toBeGreaterThan(0.99);
});

test.each([2, 3])('of %i contestants, each has each place and follows each other one equally often', (count) => {
  const orders = Array.from({ length: 12 }, (_, round) => order(count, round));
  const seen = (of: (o: readonly number[]) => string[]): number[] => {
    const counts = new Map<string, number>();
    for (const o of orders) for (const key of of(o)) counts.set(key, (counts.get(key) ?? 0) + 1);
    return [...counts.values()];
  };
  const places = seen((o) => o.map((who, at) => `${who} at ${at}`));
  expect(places).toEqual(Array(count * count).fill(12 / count));
  const pairs = seen((o) => o.slice(1).map((who, i) => `${who} after ${o[i]}`));
  expect(new Set(pairs).size).toBe(1);
  expect(pairs).toHaveLength(count * (count - 1));
});
