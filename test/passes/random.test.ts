/** Random graphs through every pass: whatever is rewritten, the numbers stay. */
import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { PASSES } from '../../src/passes/index.js';
import { expectKeptWithout, expectPassesToKeep, grow, step } from './random-graphs.js';

describe('random graphs', () => {
  it('keep their numbers in every pass', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => expectPassesToKeep(grow(steps))),
      { numRuns: 400 },
    );
  }, 120_000);

  it.each(PASSES.map((pass) => [pass.name, pass] as const))(
    'keep their numbers without %s',
    (_, without) => {
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 1, maxLength: 10 }),
          fc.constantFrom('merged', 'factored', 'auto'),
          (steps, adapters) => expectKeptWithout(grow(steps), without, adapters),
        ),
        { numRuns: Number(process.env.CASES ?? 25) },
      );
    },
    3_600_000,
  );

  it('keep their numbers where a part of a join repeats along the axis of the join', () => {
    const plain = { first: 0, second: 0, adapter: false };
    const steps = [0, 0, 1, 10, 0, 7, 0].map((op) => ({ ...plain, op, adapter: op === 10 }));
    steps[2]!.first = 7;
    Object.assign(steps[5]!, { first: 15, second: 3 });
    expectPassesToKeep(grow(steps));
  });

  it('are checked region by region over values that are views of one', () => {
    // The channels of a convolution seen as rows by an adapter, and as channels beside it.
    const plain = { first: 0, second: 0, adapter: false };
    const steps = [
      { ...plain, op: 29 },
      { ...plain, op: 15, adapter: true },
      { ...plain, op: 38, second: 9 },
    ];
    expectPassesToKeep(grow([...steps, { ...plain, op: 0 }]));
  });
});
