/** Figures of a classifier, worked out by hand. */

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { averagePrecision, meanKnown } from '../../src/api/golden/metrics.js';
import { figures } from '../../src/api/index.js';
import { readTensors } from './support.js';

test('accuracy, precision, recall and the confusion table', () => {
  // Actual, predicted: two cats right, one cat taken for a dog, one dog taken for a cat; no bird among the images or the answers.
  const found = figures(
    ['cat', 'dog', 'bird'],
    [
      [0, 0],
      [0, 0],
      [0, 1],
      [1, 0],
    ],
  );
  expect(found.images).toBe(4);
  expect(found.correct).toBe(2);
  expect(found.accuracy).toBe(0.5);
  expect(found.confusion).toEqual([
    [2, 1, 0],
    [1, 0, 0],
    [0, 0, 0],
  ]);
  expect(found.classes).toEqual([
    { label: 'cat', support: 3, precision: 2 / 3, recall: 2 / 3 },
    { label: 'dog', support: 1, precision: 0, recall: 0 },
    { label: 'bird', support: 0, precision: Number.NaN, recall: Number.NaN },
  ]);
});

test("average precision of several labels an item is scikit-learn's, equal scores among them", async () => {
  const fixture = fileURLToPath(new URL('../fixtures/average-precision.safetensors', import.meta.url));
  const expected = await readTensors(fixture);
  const of = (name: string) => expected.get(name)!;
  const [items, classes] = of('scores').type.shape as [number, number];
  const column = (name: string, c: number) => Array.from({ length: items }, (_, i) => of(name).data[i * classes + c]!);
  const found = Array.from({ length: classes }, (_, c) =>
    averagePrecision(
      column('scores', c),
      column('has', c).map((x) => x === 1),
    ),
  );
  expect(found.at(-1)).toBeNaN();
  of('precision').data.forEach((x, c) => {
    expect(found[c]).toBeCloseTo(x, 6);
  });
  expect(meanKnown(found)).toBeCloseTo(of('mean').data[0]!, 6);
  expect(meanKnown([Number.NaN])).toBeNaN();
});
