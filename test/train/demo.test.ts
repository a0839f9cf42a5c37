/** PyTorch's column of `npm run demo:train` is of what the demo begins with: the same values, images and order. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { trainStart } from '../../examples/fashion/train-start.js';

test('the example’s training begins as its reference did', async () => {
  const { start } = JSON.parse(readFileSync('examples/fashion/reference/train.json', 'utf8')) as { start: string };
  const now = createHash('sha256')
    .update(await trainStart(5))
    .digest('hex');
  expect(now, 'make it anew: test/reference/train_demo.py').toBe(start);
});
