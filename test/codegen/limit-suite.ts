/**
 * Programs that are cut because a tensor exceeds a binding, or work exceeds what a dispatch counts, run and compared with the interpreter:
 * small ones under small limits, and a few that exceed WebGPU's own.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { build } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import { CUTS, cutTo, expectWithin, largest, SMALL } from './cuts.js';
import { randomGraph } from './graphs.js';
import { agrees, compiled, difference, entryOf, execute, Model } from './harness.js';
import { choicesOn, type Driver, withDriver } from './suite.js';
import { wideGraph } from './wide-graphs.js';

/** Kernels that lavapipe compiles for many seconds, of kinds that others stand for. */
const SLOW = /linear of odd|linear with|many pictures|in groups|many keys|softmax over the first|matmul of a batch/;

/** Limits of the shape of WebGPU's own, a buffer being two bindings, that the largest tensor just exceeds. */
function tight(model: Model, results: readonly Value[], part: number): { maxStorageBufferBindingSize: number } {
  const bytes = (largest(compiled(model.module(...results))) * part) / 100;
  return { maxStorageBufferBindingSize: Math.max(256, Math.ceil(bytes / 256) * 256) };
}

export async function limitSuite(driver: Driver): Promise<void> {
  const choices = choicesOn(driver);
  await withDriver(driver, (run) => {
    describe('small limits', () => {
      const cuts = Object.entries(CUTS).filter(([name]) => driver !== 'lavapipe' || !SLOW.test(name));
      it.each(cuts)('%s', async (_name, make) => {
        const m = new Model(21);
        const made = make(m, SMALL);
        const results = 'id' in made ? [made] : made;
        const limits = { ...tight(m, results, 60), maxComputeWorkgroupsPerDimension: 7 };
        const g = await agrees(run, m, results, { limits, tolerance: 5e-5, choices });
        expectWithin(g, limits);
        const whole = compiled(m.module(...results));
        const count = (p: typeof g): number => entryOf(p).dispatches.reduce((sum, d) => sum + d.bindings.length, 0);
        expect(count(g)).toBeGreaterThan(count(whole));
      });

      // Hundreds of kernels, which lavapipe would compile for minutes.
      if (driver !== 'lavapipe')
        it('random programs', async () => {
          const draw = fc.record({
            seed: fc.nat(1e9),
            wide: fc.boolean(),
            workgroups: fc.constantFrom(30, 65535),
            part: fc.integer({ min: 50, max: 99 }),
          });
          await fc.assert(
            fc.asyncProperty(draw, async ({ seed, wide, workgroups, part }) => {
              const { model, results } = wide ? wideGraph(seed, 8) : randomGraph(seed, 12, 8);
              const limits = { ...tight(model, results, part), maxComputeWorkgroupsPerDimension: workgroups };
              if (!cutTo(model.module(...results), limits)) return;
              await agrees(run, model, results, { tolerance: 2e-4, choices: [choices.at(-1)!], limits });
            }),
            { numRuns: 60 },
          );
        });
    });

    describe("WebGPU's own limits", () => {
      it('attention over 70,000 groups', async () => {
        const m = new Model(22);
        const [q, k, v] = [m.input([70_000, 1, 1, 4]), m.input([70_000, 1, 2, 4]), m.input([70_000, 1, 2, 4])];
        const g = await agrees(run, m, [build.attention(q, k, v, 0.5)], { choices: ['best'] });
        expect(entryOf(g).dispatches.length).toBe(1);
        expectWithin(g);
      });

      it('a transposition and a sum of 128.2 MiB', async () => {
        const [rows, columns] = [6000, 5601];
        const m = new Model(23);
        const x = Float32Array.from({ length: rows * columns }, (_, i) => (i % 8191) - 4000);
        const value = m.input([rows, columns], 'f32', tensor([rows, columns], x));
        const g = compiled(m.module(build.transpose(value), build.sum(build.abs(value), [0, 1])));
        expectWithin(g);
        const [transposed, total] = await execute(run, g, m, 'best');
        let wrong = 0;
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) if (transposed!.data[j * rows + i] !== x[i * columns + j]) wrong++;
        expect(wrong).toBe(0);
        expect(total!.data[0]! / x.reduce((sum, n) => sum + Math.abs(n), 0)).toBeCloseTo(1, 2);
      });
    });

    describe('tensors larger than a binding', () => {
      const limits = { maxStorageBufferBindingSize: 4096, maxBufferSize: 1 << 20 };
      it('cuts an MLP along its rows', async () => {
        const m = new Model(8);
        const x = m.input([8, 16, 16]);
        const up = build.gelu(build.linear(x, m.param([32, 16]), m.param([32])));
        const out = build.add(x, build.linear(up, m.param([16, 32]), m.param([16])));
        const g = await agrees(run, m, [out], { limits, choices });
        expect(entryOf(g).dispatches.length).toBeGreaterThan(4);
        for (const d of entryOf(g).dispatches) {
          for (const b of d.bindings) {
            expect(b.bytes).toBeLessThanOrEqual(4096);
            expect(b.offset % 256).toBe(0);
          }
        }
      });
      it('cuts attention along batch and heads, with its projections', async () => {
        const m = new Model(9);
        const x = m.input([32, 4, 32]);
        const qkv = build.linear(build.layerNorm(x, m.param([32]), m.param([32]), 1e-6), m.param([96, 32]));
        const heads = [0, 1, 2].map((i) =>
          build.transpose(build.reshape(build.sliceAxis(qkv, 2, i * 32, i * 32 + 32), [32, 4, 2, 16]), [0, 2, 1, 3]),
        );
        const a = build.attention(heads[0]!, heads[1]!, heads[2]!, 0.25);
        const y = build.reshape(build.transpose(a, [0, 2, 1, 3]), [32, 4, 32]);
        const g = await agrees(run, m, [build.add(x, build.linear(y, m.param([32, 32])))], {
          limits: { ...limits, maxStorageBufferBindingSize: 12288 },
          tolerance: 3e-5,
          choices,
        });
        expect(entryOf(g).dispatches.length).toBeGreaterThan(4);
      });
      if (driver !== 'lavapipe')
        it('runs an MLP of 64 images with 148 MiB of hidden activations under the baseline limits (SwiftShader, to save time)', async () => {
          const mlp = (m: Model, batch: number, data?: Tensor): Value => {
            const x = m.input([batch, 197, 16], 'f32', data);
            const up = build.relu(build.linear(x, m.param([3072, 16]), m.param([3072])));
            return build.linear(up, m.param([16, 3072]), m.param([16]));
          };
          const m = new Model(11);
          const g = compiled(m.module(mlp(m, 64)));
          expect(entryOf(g).dispatches.length).toBe(4);
          const [actual] = await execute(run, g, m, 'best');
          const image = 197 * 16;
          for (const i of [0, 31, 32, 63]) {
            const one = new Model(12);
            const from = m.arguments.get('x0')!.data as Float32Array;
            const y = mlp(one, 1, tensor([1, 197, 16], from.slice(i * image, (i + 1) * image)));
            for (const [name, value] of m.data) one.data.set(name, value);
            const part = tensor([1, 197, 16], (actual!.data as Float32Array).slice(i * image, (i + 1) * image));
            expect(difference(part, one.expected(one.module(y))[0]!)).toBeLessThan(1e-5);
          }
        });
      it.each(['f32', 'f16'] as const)('cuts weights of %s along their outputs', async (weights) => {
        const m = new Model(13);
        const x = m.input([1, 5, 40]);
        const up = build.gelu(build.linear(x, m.param([100, 40]), m.param([100])));
        const down = build.matmul(up, build.transpose(m.param([75, 100])));
        const image = m.input([1, 40, 2, 3]);
        const attrs = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
        const y = m.op('conv2d', [image, m.param([70, 40, 1, 1]), m.param([70])], attrs);
        const binding = { maxStorageBufferBindingSize: weights === 'f32' ? 14336 : 7168 };
        const tolerance = weights === 'f32' ? 1e-5 : 2e-3;
        const g = await agrees(run, m, [down, y], { limits: binding, weights, tolerance, choices });
        const packed = g.program.weights.filter((w) => w.layout !== 'rows');
        expect(packed.map((w) => w.shape)).toEqual([
          [64, 40],
          [36, 40],
          [32, 100],
          [32, 100],
          [11, 100],
          [64, 40],
          [6, 40],
        ]);
      });
      it('cuts pointwise work and reductions', async () => {
        const m = new Model(10);
        const x = m.input([64, 40]);
        const y = build.softmax(build.mul(build.exp(x), m.param([40])), 1);
        const g = await agrees(run, m, [y, build.silu(x)], { limits, choices });
        expect(entryOf(g).dispatches.length).toBeGreaterThan(4);
      });
    });
  });
}
