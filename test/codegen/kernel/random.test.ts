/** Kernels of random programs in the simulator, for every subgroup size, whole and cut to limits that are far too small. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { cutTo, largest } from '../cuts.js';
import { randomGraph } from '../graphs.js';
import { compiled } from '../harness.js';
import { wideGraph } from '../wide-graphs.js';
import { expectRight } from './run.js';

/** Seeds do not shrink: the first that fails is printed. */
const SEEDS = { endOnFailure: true } as const;

/**
 * That an address is in bounds cannot always be proved where what a product or attention gives is sliced and its axes are split and joined again: the
 * guard is about one form, the address about another. Everything else is.
 */
const proved = /^(?!bounds|range|speculation)/;

describe('random programs', () => {
  it('are right', () => {
    const draw = (seed: number): void => {
      const { model, results } = randomGraph(seed, 12);
      expectRight(model, results, { tolerance: 5e-5 });
    };
    fc.assert(fc.property(fc.nat(1e9), draw), { numRuns: 60, ...SEEDS });
  });

  it('are right around products, convolutions and attention', () => {
    const draw = (seed: number): void => {
      const { model, results } = wideGraph(seed, 8);
      expectRight(model, results, { tolerance: 2e-4, proved });
    };
    fc.assert(fc.property(fc.nat(1e9), draw), { numRuns: 25, ...SEEDS });
  });

  it('are right when they are cut', () => {
    const draw = (seed: number, wide: boolean, most: number, part: number): void => {
      const { model, results } = wide ? wideGraph(seed, 8) : randomGraph(seed, 12, 8);
      const bytes = (largest(compiled(model.module(...results))) * part) / 100;
      const limits = {
        maxStorageBufferBindingSize: Math.max(256, Math.ceil(bytes / 256) * 256),
        maxComputeWorkgroupsPerDimension: most,
      };
      const what = wide ? { limits, proved } : { limits };
      if (cutTo(model.module(...results), limits)) expectRight(model, results, { tolerance: 2e-4, ...what });
    };
    const part = fc.integer({ min: 50, max: 99 });
    fc.assert(fc.property(fc.nat(1e9), fc.boolean(), fc.constantFrom(30, 41, 65535), part, draw), {
      numRuns: 25,
      ...SEEDS,
    });
  });
});
