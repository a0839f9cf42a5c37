/** What programs promise about limits, without a GPU: limit-suite.ts runs them. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { allocate } from '../../runtime/memory.js';
import { generate } from '../../src/codegen/generate.js';
import { build } from '../../src/ir/build.js';
import { describeMemory } from '../../src/passes/memory.js';
import { CUTS, cutTo, expectWithin, LARGE, largest, Outline } from './cuts.js';
import { randomGraph } from './graphs.js';
import { compiled, entryOf, OPTIONS } from './harness.js';
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

describe('memory', () => {
  it('is what a session takes, and the table of a cut program counts in dispatches', async () => {
    const modules = [1, 64].map((batch) => {
      const m = new Outline();
      const x = m.input([batch, 197, 16]);
      const up = build.gelu(build.linear(x, m.param([3072, 16])));
      const y = build.linear(up, m.param([16, 3072]));
      return { batch, module: m.module(y, build.mean(y, [1])) };
    });
    const { program, memory } = generate(modules, OPTIONS);
    let taken = 0;
    const createBuffer = ({ size }: { size: number }): object => {
      taken += size;
      return { destroy() {} };
    };
    const device = { createBuffer, pushErrorScope() {}, popErrorScope: async () => null } as unknown as GPUDevice;
    vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, COPY_DST: 2, COPY_SRC: 4, MAP_READ: 8 });
    const load = allocate(
      device,
      { ...program, weights: [], weightFiles: [] } as never,
      { open: () => Promise.reject() } as never,
    );
    await load.finally(() => vi.unstubAllGlobals());
    expect(taken + program.summary.weightBytes).toBe(program.summary.peakBytes);
    const [, cut] = memory;
    // Two parts write the hidden activation, two read it; the slab holds it once.
    expect(cut!.tenants.map((t) => [t.bytes, t.first, t.last])).toEqual([[64 * 197 * 3072 * 4, 0, 3]]);
    expect(cut!.slabs).toEqual([64 * 197 * 3072 * 4]);
    expect(describeMemory(cut!)).toContain('0..3');
  });
});

describe('random programs', () => {
  /** Limits of the shape of WebGPU's own: a buffer of two bindings. */
  it('are cut to any limits of which a buffer holds their tensors', () => {
    let cut = 0;
    let refused = 0;
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
        const g = cutTo(module, limits);
        if (!g) {
          refused++;
          return;
        }
        expectWithin(g, limits);
        if (g.program.kernels.some((k, i) => k.bindings.length !== plain.program.kernels[i]?.bindings.length)) cut++;
      }),
      { numRuns: 150 },
    );
    expect(cut).toBeGreaterThan(30);
    expect(refused).toBeLessThan(5);
  });
});
