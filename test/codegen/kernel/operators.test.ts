/**
 * Every kernel of every operator, for every subgroup size, run in the simulator: right, and without a race, an access outside its buffer, a
 * collective that not all lanes reach, or an element that is written twice or never. No GPU has most of these sizes.
 */
import { describe, expect, it } from 'vitest';
import { OP_NAMES } from '../../../src/ir/ops/index.js';
import { entryOf, Model } from '../harness.js';
import { lifted } from '../lift.js';
import { CASES, TOLERANCE } from '../operators.js';
import { SEVERAL } from '../several.js';
import { TINY, vit } from '../vit.js';
import { WHOLE } from '../whole.js';
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

describe('whole numbers and truth', () => {
  it('of all pointwise operators that take them', () => {
    expect(WHOLE.length).toBeGreaterThan(40);
  });
  it.each(WHOLE.map(({ name, make }) => [name, make] as const))('%s', (_name, make) => {
    const m = new Model(1);
    expectRight(m, make(m), { tolerance: 1e-12 });
  });
});

describe('several results', () => {
  it.each(Object.entries(SEVERAL))('%s', (_name, { make, dispatches }) => {
    const m = new Model(5);
    const results = make(m);
    const g = expectRight(m, results, { tolerance: 1e-5 });
    expect(entryOf(g).dispatches.length).toBe(dispatches);
    for (const samples of [1, 3]) {
      const { model, results: all, expected } = lifted(m, results, samples)!;
      expectRight(model, all, { tolerance: 1e-5, expected, samples: 8 });
    }
  });
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
