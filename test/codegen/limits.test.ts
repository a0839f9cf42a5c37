/** What programs promise about limits, without a GPU: limit-suite.ts runs them. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { passBuffers } from '../../runtime/memory.js';
import { slabSizes } from '../../runtime/program/program.js';
import { SharedSlabs } from '../../runtime/slabs.js';
import type { Generated } from '../../src/codegen/generate.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { CUTS, cutTo, expectWithin, LARGE, largest, Outline } from './cuts.js';
import { randomGraph } from './graphs.js';
import { compiled, entryOf } from './harness.js';
import { describeMemory } from './plan-text.js';
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
  const mlp = (batch: number, samples: number): Generated => {
    const m = new Outline();
    const x = m.input([batch, 197, 16]);
    const up = build.gelu(build.linear(x, m.param([3072, 16])));
    const y = build.linear(up, m.param([16, 3072]));
    return compiled(m.module(y, build.mean(y, [1])), { samples });
  };

  it('of a cut program is a table that counts in dispatches', () => {
    const { fixed } = mlp(64, 1).memory;
    // Two parts write the hidden activation, two read it; the slab holds it once.
    expect(fixed.tenants.map((t) => [t.bytes, t.first, t.last])).toEqual([[64 * 197 * 3072 * 4, 0, 3]]);
    expect(fixed.slabs).toEqual([64 * 197 * 3072 * 4]);
    expect(describeMemory(fixed)).toContain('0..3');
  });

  it('holds as many samples as a binding does, of those that were asked for', () => {
    const each = 197 * 3072 * 4;
    const { program, memory } = mlp(BATCH, 64);
    expect(memory.samples.tenants.map((t) => t.bytes)).toEqual([each]);
    expect(program.entries[0]!.samples).toBe(Math.floor((128 * MIB) / each));
    expect(program.entries[0]!.dispatches.length).toBe(3);
    expect(mlp(BATCH, 5).program.entries[0]!.samples).toBe(5);
  });

  it.each([1, 7])('is what a session takes for passes of %d', async (samples) => {
    const { program } = mlp(BATCH, 7);
    let taken = 0;
    const createBuffer = ({ size }: { size: number }): object => {
      taken += size;
      return { destroy() {} };
    };
    const device = { createBuffer, pushErrorScope() {}, popErrorScope: async () => null } as unknown as GPUDevice;
    vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, COPY_DST: 2, COPY_SRC: 4, MAP_READ: 8 });
    const [entry] = program.entries;
    const slabs = new SharedSlabs(device);
    const pass = async () => {
      await slabs.grow(slabSizes(entry!, samples));
      await passBuffers(device, entry!, samples, { places: new Map() }, []);
    };
    await pass().finally(() => vi.unstubAllGlobals());
    const { weightBytes, leastBytes, peakBytes } = program.summary;
    expect(taken + weightBytes).toBe(samples === 1 ? leastBytes : peakBytes);
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
