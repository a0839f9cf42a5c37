/** What programs promise about limits, without a GPU: limit-suite.ts runs them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CUTS, expectWithin, LARGE, largest, Outline } from './cuts.js';
import { randomGraph } from './graphs.js';
import { compiled, entryOf } from './harness.js';
import { wideGraph } from './wide-graphs.js';

const MIB = 2 ** 20;

describe('tensors just over 128 MiB', () => {
  it.each(Object.entries(CUTS))('%s', (_name, make) => {
    const m = new Outline();
    const made = make(m, LARGE);
    const module = m.module(...('id' in made ? [made] : made));
    const without = { maxStorageBufferBindingSize: 2 ** 32, maxBufferSize: 2 ** 32 };
    const uncut = entryOf(compiled(module, { limits: without })).dispatches.flatMap((d) => d.bindings);
    expect(Math.max(...uncut.map((b) => b.bytes))).toBeGreaterThan(128 * MIB);
    const g = compiled(module);
    expectWithin(g);
    // What can be cut is cut into few parts, that share their text but for the last.
    expect(entryOf(g).dispatches.length).toBeLessThanOrEqual(8);
  });
});

describe('random programs', () => {
  /** Limits of the shape of WebGPU's own: a buffer of two bindings. */
  it('are cut to any limits of which a buffer holds their tensors', () => {
    let cut = 0;
    const draw = fc.record({
      seed: fc.nat(1e9),
      wide: fc.boolean(),
      workgroups: fc.constantFrom(30, 41, 65535),
      part: fc.integer({ min: 50, max: 99 }),
    });
    fc.assert(
      fc.property(draw, ({ seed, wide, workgroups, part }) => {
        const { model, results } = wide ? wideGraph(seed, 8) : randomGraph(seed, 12, 8);
        const module = model.module(...results);
        const plain = compiled(module);
        expectWithin(plain);
        const limits = {
          maxStorageBufferBindingSize: Math.max(256, Math.ceil((largest(plain) * part) / 100 / 256) * 256),
          maxComputeWorkgroupsPerDimension: workgroups,
        };
        const g = compiled(module, { limits });
        expectWithin(g, limits);
        if (g.program.kernels.some((k, i) => k.bindings.length !== plain.program.kernels[i]?.bindings.length)) cut++;
      }),
      { numRuns: 150 },
    );
    expect(cut).toBeGreaterThan(30);
  });
});
