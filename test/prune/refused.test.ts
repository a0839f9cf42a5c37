/** What pruning refuses or warns of: for each check weights that only this check speaks of (`npm run checks`). */
import { describe, expect, test } from 'vitest';
import { build as b } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { refusal } from '../refusal.js';
import { formula, jobOf, matrix, run, wanda } from './support.js';

const NAN = Number.NaN;
const w = matrix([
  [1, 2],
  [3, 4],
]);
const statistics = (shape: number[]) => () => tensor(shape, new Float32Array(shape.reduce((p, n) => p * n, 1)));

describe('refuses', () => {
  test.each([
    [
      'a score of one row',
      formula((v) => b.sum(v, [0])),
      'ESP0800 internal error: the score of w has 2 elements, not 4',
    ],
    [
      'a score of one number',
      formula((v) => b.sum(v, [0, 1])),
      'ESP0800 internal error: the score of w has 1 elements, not 4',
    ],
    [
      'a logarithm of what is negative',
      formula((v) => b.log(b.neg(v))),
      'ESP0802 `test` gives NaN for 4 elements of w, the first at [0, 0]',
    ],
    [
      '0 / 0',
      formula((v) => b.div(b.sub(v, v), b.sub(v, v))),
      'ESP0802 `test` gives NaN for 4 elements of w, the first at [0, 0]',
    ],
    ['nothing to calibrate with', wanda(3), 'ESP0803 `test` reads input, and nothing gives it for w'],
  ])('%s', (_, criterion, message) => {
    expect(refusal(() => run({ w }, jobOf({ w }, { sparsity: 0.5 }, criterion)))).toEqual([message]);
  });

  test.each([NAN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('a weight of %d', (value) => {
    const broken = { w: matrix([[1, value]]) };
    expect(refusal(() => run(broken, jobOf(broken, { sparsity: 0.5 })))).toEqual([
      'ESP0801 w holds one value that is not finite, the first at [0, 1]',
    ]);
  });

  test.each([
    ['for none of two weights', undefined, ['ESP0803', 'ESP0803']],
    ['of one token less', statistics([2, 2]), ['ESP0804', 'ESP0804']],
    ['of another width', statistics([3, 3]), ['ESP0804', 'ESP0804']],
  ])('calibration data %s', (_, given, codes) => {
    const weights = { w, v: w };
    const more = given ? { statistics: given } : {};
    expect(
      refusal(() => run(weights, jobOf(weights, { sparsity: 0.5 }, wanda(3)), more)).map((m) => m.slice(0, 7)),
    ).toEqual(codes);
  });
});

describe('warns', () => {
  const warnings = (weights: Parameters<typeof run>[0], settings: Parameters<typeof jobOf>[1]) =>
    run(weights, jobOf(weights, settings)).report.warnings.map((d) => `${d.code} ${d.severity} ${d.message}`);

  test.each([
    ['one of two', { small: matrix([[1, 2]]), large: matrix([[7, 8]]) }, 'every weight of small is pruned'],
    ['two of three', { a: matrix([[1]]), b: matrix([[2]]), c: matrix([[7, 8]]) }, 'every weight of a, b is pruned'],
  ])('of layers that are pruned away: %s', (_, weights, message) => {
    expect(warnings(weights, { scope: 'global', sparsity: 0.5 })).toEqual([`ESP0805 warning ${message}`]);
  });

  test.each([0.1, 0.2])('when %d of four elements is none of them', (sparsity) => {
    expect(warnings({ w }, { sparsity })).toEqual([
      `ESP0806 warning ${sparsity * 100}% of a weight is less than one element: nothing is pruned`,
    ]);
  });
});
