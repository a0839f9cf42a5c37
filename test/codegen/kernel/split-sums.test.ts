/** Split sums in the simulator, by every variant: as the interpreter has them, and to the bit the same for any order and any number of samples. */
import { describe, expect, it } from 'vitest';
import { entryOf, Model } from '../harness.js';
import { SPLIT_CASES } from '../split-cases.js';
import { expectRight } from './run.js';

describe('split sums', () => {
  it.each(Object.entries(SPLIT_CASES))('%s', (_name, { samples = 1, make, dispatches }) => {
    const m = new Model(5, samples);
    const g = expectRight(m, [make(m)], { tolerance: 1e-5 });
    expect(entryOf(g).dispatches.length).toBe(dispatches);
    expect(g.oneByOne).toBeUndefined();
    expect(entryOf(g).samples).toBe(samples);
  });
});
