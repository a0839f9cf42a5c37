/** Every sum split, however short: operators and random graphs in the simulator, so that what is split meets all that it can stand beside. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Splitting } from '../../../src/codegen/groups/split-schedules.js';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { randomGraph } from '../graphs.js';
import { compiled, entryOf, Model } from '../harness.js';
import { lifted } from '../lift.js';
import { CASES } from '../operators.js';
import { wideGraph } from '../wide-graphs.js';
import { expectRight } from './run.js';

/** Into about so many parts, which need not divide it. */
const into =
  (wanted: number): Splitting =>
  ({ length, samples }) => {
    const part = Math.ceil(length / wanted);
    const parts = Math.ceil(length / part);
    return parts * samples === 1 ? undefined : { parts, part };
  };

const SPLIT = ['reduce_sum', 'reduce_mean', 'reduce_max', 'argmax', 'matmul', 'linear'] as const;

describe('operators', () => {
  for (const op of SPLIT) {
    CASES[op].forEach((make, i) => {
      it(`${op} ${i}`, () => {
        const m = new Model(100 + i);
        const made = make(m);
        const results = 'id' in made ? [made] : made;
        expectRight(m, results, { tolerance: 1e-5, splitting: into(3) });
        const batched = lifted(m, results, 3);
        if (!batched) return;
        const { model, results: all, expected } = batched;
        const g = expectRight(model, all, { tolerance: 1e-5, expected, splitting: into(2) });
        expect(g.oneByOne).toBeUndefined();
      });
    });
  }
});

describe('random graphs', () => {
  it.each([
    ['of reductions', 60, (seed: number) => randomGraph(seed, 12)],
    ['around products', 15, (seed: number) => wideGraph(seed, 8)],
  ] as const)('%s', (_name, numRuns, make) => {
    let more = 0;
    const draw = fc.property(fc.nat(1e9), fc.integer({ min: 2, max: 5 }), (seed, parts) => {
      const { model, results } = make(seed);
      // Of remainders beside guards the verifier does not see all bounds.
      const g = expectRight(model, results, { tolerance: 2e-4, splitting: into(parts), proved: /^(?!bounds|range)/ });
      const whole = compiled(model.module(...results));
      if (entryOf(g).dispatches.length > entryOf(whole).dispatches.length) more++;
    });
    fc.assert(draw, { numRuns, endOnFailure: true });
    expect(more).toBeGreaterThan(numRuns / 10);
  });
});

it('a sum over samples never makes them run one by one', () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  const draw = fc.property(
    shapes,
    fc.nat(3),
    fc.integer({ min: 1, max: 4 }),
    fc.nat(15),
    (sizes, at, samples, which) => {
      // The batch times an axis, somewhere, over which the sum goes, with some others.
      const shape = sizes.map((d, i) => (i === at % sizes.length ? d * BATCH : d));
      const m = new Model(which, samples);
      const lead = m.input([BATCH, ...sizes]);
      const order = [...lead.type.shape.keys()].slice(1);
      const place = at % sizes.length;
      const moved = build.transpose(lead, [...order.slice(0, place), 0, ...order.slice(place)]);
      const axes = sizes.flatMap((_, i) => (i === place || (which >> i) % 2 ? [i] : []));
      const y = build.sum(build.reshape(moved, shape), axes);
      const result = build.add(build.reshape(y, [1, ...y.type.shape]), m.input([BATCH, ...y.type.shape.map(() => 1)]));
      const g = expectRight(m, [result], { tolerance: 1e-5, splitting: into(2) });
      expect(g.oneByOne).toBeUndefined();
    },
  );
  fc.assert(draw, { numRuns: 60 });
});
