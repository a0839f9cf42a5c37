/** What `npm run bench:sums` compares: one dispatch, and the same sum in two. */
import { expect, test } from 'vitest';
import { programOf, SUMS } from '../../bench/sums.js';

test.each(SUMS)('$name is one dispatch, or split into two', (sum) => {
  const [whole, split] = [programOf(sum, false), programOf(sum, true)].map((g) => g.program.entries[0]!);
  expect([whole!.dispatches.length, split!.dispatches.length]).toEqual([1, 2]);
  expect(split!.outputs).toEqual(whole!.outputs);
});
