/** The line that is redrawn while a run takes steps. */
import { expect, test } from 'vitest';
import type { StepEvent } from '../../src/api/train/events.js';
import { clock, stepTexts } from '../../src/cli/steps.js';

const step = (of: Partial<StepEvent>): StepEvent => ({
  ...{ kind: 'step', step: 0, epoch: 0, loss: 1, rates: [1], samples: 8, seconds: 1 },
  ...of,
});

test('says loss and accuracy of the epoch so far, images a second, and what is left', () => {
  const text = stepTexts(3, 10);
  expect(text(step({ loss: 2, accuracy: 0.25, seconds: 2 }))).toEqual({
    text: 'epoch 1/3, loss 2.0000, 25.00% right, 4.0 images/s, 58 s left',
    share: 1 / 30,
  });
  // A smaller batch counts for less.
  const second = text(step({ step: 1, loss: 1, accuracy: 0.75, samples: 4, seconds: 3 })).text;
  expect(second).toBe('epoch 1/3, loss 1.6667, 41.67% right, 4.0 images/s, 42 s left');
  expect(text(step({ step: 10, epoch: 1, loss: 0.5, accuracy: 1, seconds: 4 })).text).toMatch(
    /^epoch 2\/3, loss 0\.5000, 100\.00% right, 5\.0 images\/s,/,
  );
});

test('of a run that goes on, times are those since then', () => {
  const text = stepTexts(2, 10);
  expect(text(step({ step: 15, epoch: 1, seconds: 5 })).text).toBe('epoch 2/2, loss 1.0000, 1.6 images/s, 20 s left');
});

test('times as people say them', () => {
  expect([0.4, 61, 3600 + 120].map(clock)).toEqual(['0 s', '1 min 1 s', '1 h 2 min']);
});
