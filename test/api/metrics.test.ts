/** Figures of a classifier, worked out by hand. */
import { expect, test } from 'vitest';
import { figures } from '../../src/api/index.js';

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
