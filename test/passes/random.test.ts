/** Random graphs through every pass: whatever is rewritten, the numbers stay. */
import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { expectPassesToKeep, grow, step } from './random-graphs.js';

describe('random graphs', () => {
  for (const layout of ['keep', 'free'] as const) {
    it(`keep their numbers in every pass (${layout})`, () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) =>
          expectPassesToKeep(grow(steps), layout),
        ),
        { numRuns: 200 },
      );
    }, 120_000);
  }
});
