/**
 * Every kernel of every operator, for every subgroup size, run in the simulator: right, and without a race, an access outside its buffer, a
 * collective that not all lanes reach, or an element that is written twice or never. No GPU has most of these sizes.
 */
import { describe, it } from 'vitest';
import { OP_NAMES } from '../../../src/ir/ops/index.js';
import { Model } from '../harness.js';
import { CASES, TOLERANCE } from '../operators.js';
import { TINY, vit } from '../vit.js';
import { expectRight } from './run.js';

describe('operators', () => {
  for (const op of OP_NAMES) {
    if (op === 'solve') continue;
    CASES[op].forEach((make, i) => {
      it(`${op} ${i}`, () => {
        const m = new Model(100 + i);
        const results = make(m);
        expectRight(m, 'id' in results ? [results] : results, { tolerance: TOLERANCE[op] ?? 1e-5 });
      });
    });
  }
});

describe('programs', () => {
  it('a vision transformer', () => {
    const m = new Model(3);
    expectRight(m, [vit(m, TINY)], { tolerance: 3e-5 });
  });

  it('a vision transformer with f16 weights', () => {
    const m = new Model(4);
    expectRight(m, [vit(m, { ...TINY, depth: 1 })], { tolerance: 2e-3, weights: 'f16' });
  });
});
