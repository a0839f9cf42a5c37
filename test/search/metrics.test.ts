/** What is compared and what it is worth, against PyTorch (test/reference/search.py), and the pictures of a search. */
import { describe, expect, it } from 'vitest';
import { type JournalLine, journalText, rateOf } from '../../src/search/journal.js';
import { cosine, linearCka, normalised, resized, rewardOf, scoreOf } from '../../src/search/metrics.js';
import { searchPicture } from '../../src/search/picture.js';
import { fixture } from '../std/cases.js';

const { tensorsOf } = await fixture('search');
const of = await tensorsOf('metrics');
const data = (name: string): Float32Array => of.get(name)!.data as Float32Array;
const shape = (name: string): readonly number[] => of.get(name)!.type.shape;
const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most: number, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

describe('metrics', () => {
  it('normalise a map as InstanceNorm2d does', () => {
    expect(largest(normalised(data('before')), data('before.normalised'))).toBeLessThan(1e-6);
    expect(largest(normalised(data('after')), data('after.normalised'))).toBeLessThan(1e-6);
    expect(largest(normalised([3, 3, 3]), [0, 0, 0])).toBe(0);
  });

  it('compare maps: the cosine is the correlation, and 1 less half of the mean square difference', () => {
    const [a, b] = [normalised(data('before')), normalised(data('after'))];
    const found = cosine(a, b);
    expect(found).toBeCloseTo(data('cosine')[0]!, 6);
    expect(found).toBeCloseTo(data('pearson')[0]!, 6);
    const square = a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0) / a.length;
    expect(found).toBeCloseTo(1 - square / 2, 5);
    expect(cosine(a, a)).toBeCloseTo(1, 12);
    expect(cosine(a, normalised([...a].map((x) => -x)))).toBeCloseTo(-1, 6);
    expect(cosine([0, 0], [1, 2])).toBeNaN();
  });

  it('compare features by linear CKA, whatever rotates and scales them', () => {
    const [a, b] = [data('x'), data('y')];
    const [rows, cols] = shape('x');
    expect(linearCka(a, b, rows!)).toBeCloseTo(data('cka')[0]!, 6);
    const turned = Float32Array.from(a, (_, i) => -3 * a[i - (i % cols!) + ((i + 1) % cols!)]!);
    expect(linearCka(a, turned, rows!)).toBeCloseTo(1, 6);
    expect(
      linearCka(
        a,
        Float32Array.from(a, (_, i) => i % cols!),
        rows!,
      ),
    ).toBeNaN();
  });

  it('resize maps as adaptive_avg_pool2d does', () => {
    for (const name of ['before', 'small']) {
      const [height, width] = shape(name) as [number, number];
      const out = resized({ height, width, data: data(name) });
      expect([out.height, out.width]).toEqual([64, 64]);
      expect(largest(out.data, data(`${name}.resized`))).toBeLessThan(1e-6);
    }
  });

  it('reward pruning by similarity and rate, and score both together', () => {
    const worth = { threshold: 0.9, weight: 0.2 };
    expect(rewardOf(0.95, 0.5, worth)).toBeCloseTo(0.15, 12);
    expect(rewardOf(0.7, 0.5, worth)).toBeCloseTo(-0.1, 12);
    expect(scoreOf(0.95, 0.5, worth)).toBeCloseTo(1.05, 12);
  });
});

describe('what a search leaves', () => {
  const line = (number: number, rate: number, more: Partial<JournalLine>): JournalLine => ({
    number,
    controller: 'grid',
    rates: [rate],
    accepted: false,
    steps: 1,
    images: 8,
    seconds: 1,
    ...more,
  });
  const lines = [
    line(1, 0.2, { similarity: 0.99, zeros: 199, elements: 1000, reward: 0.1, accepted: true }),
    line(2, 0.4, { problem: 'the loss is not finite' }),
    line(3, 0.6, { similarity: 0.7, reward: -0.2 }),
  ];

  it('is a line of JSON for each candidate', () => {
    const text = journalText(lines);
    expect(text.endsWith('}\n')).toBe(true);
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((l) => JSON.parse(l)),
    ).toEqual(lines);
    expect(lines.map(rateOf)).toEqual([0.199, 0.4, 0.6]);
  });

  it('is a picture: a mark for each candidate, the threshold, and what was accepted', () => {
    const svg = searchPicture(lines, { threshold: 0.9, rates: [0.2] });
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    // Two that came out, one of them ringed; one that failed, as a cross; two rewards, over a background.
    expect(svg.match(/<circle/g)).toHaveLength(3);
    expect(svg.match(/<path/g)).toHaveLength(1);
    expect(svg.match(/<rect/g)).toHaveLength(3);
    expect(svg).toContain('accepted: 19.9%');
    expect(svg).toContain('threshold 0.9');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(searchPicture([])).toContain('no candidate yet');
    expect(searchPicture([lines[1]!])).not.toMatch(/NaN|Infinity|undefined/);
    const plain = searchPicture([line(1, 0.5, { similarity: 1 })]);
    expect(plain).not.toMatch(/NaN|Infinity|undefined/);
  });
});
