/** The tests of generated programs that need a GPU, for one driver. A test file for each driver calls it: a process has one driver. */
import { afterAll, describe, expect, it } from 'vitest';
import { EspalierError } from '../../src/diagnostics/types.js';
import { build } from '../../src/ir/build.js';
import { OP_NAMES } from '../../src/ir/ops/index.js';
import { tensor } from '../../src/ir/tensor.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import { randomGraph } from './graphs.js';
import {
  agrees,
  type Choice,
  compiled,
  difference,
  entryOf,
  execute,
  Model,
  openRunner,
  type Runner,
} from './harness.js';
import { CASES, TOLERANCE } from './operators.js';
import { TINY, vit } from './vit.js';
import { wideGraph } from './wide-graphs.js';

/**
 * SwiftShader runs the best variant and the portable one. lavapipe takes seconds to compile a large portable kernel, and runs
 * only what it would choose.
 */
const choicesOn = (driver: string): readonly Choice[] => (driver === 'lavapipe' ? ['best'] : ['best', 'portable']);

/** Runs `body` with the driver, or a skipped test that says why there is none. */
async function withDriver(driver: string, body: (run: Runner) => void): Promise<void> {
  const opened = await openRunner(driver);
  if (typeof opened === 'string') {
    describe.skip(`${driver} (skipped: ${opened})`, () => {
      it('needs the driver', () => {});
    });
    return;
  }
  describe(driver, () => {
    afterAll(() => opened.open.release());
    body(opened);
  });
}

export async function operatorSuite(driver: string): Promise<void> {
  await withDriver(driver, (run) => {
    for (const op of OP_NAMES) {
      if (op === 'solve') continue;
      CASES[op].forEach((make, i) => {
        it(`${op} ${i}`, async () => {
          const m = new Model(100 + i);
          const results = make(m);
          const list = 'id' in results ? [results] : results;
          const g = await agrees(run, m, list, { tolerance: TOLERANCE[op] ?? 1e-5, choices: choicesOn(driver) });
          expect(g.program.entries[0]!.dispatches.length).toBeGreaterThan(0);
        });
      });
    }
  });
}

export async function programSuite(driver: string): Promise<void> {
  const choices = choicesOn(driver);
  await withDriver(driver, (run) => {
    it('a vision transformer', async () => {
      const m = new Model(3);
      await agrees(run, m, [vit(m, TINY)], { tolerance: 3e-5, choices });
    });

    it('a vision transformer with f16 weights', async () => {
      const m = new Model(4);
      await agrees(run, m, [vit(m, { ...TINY, depth: 1 })], { tolerance: 2e-3, weights: 'f16', choices });
    });

    it('an embedding that is stored transposed, from a strided convolution', async () => {
      const m = new Model(5);
      const x = m.input([2, 3, 8, 8]);
      const attrs = { stride: [4, 4], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
      const y = m.op('conv2d', [x, m.param([8, 3, 4, 4]), m.param([8])], attrs);
      const tokens = build.add(build.transpose(build.reshape(y, [2, 8, 4]), [0, 2, 1]), m.param([4, 8]));
      const g = await agrees(run, m, [tokens], { choices });
      expect(entryOf(g).dispatches.length).toBe(1);
    });

    it('windows: pad, roll, partition, attention with two bias factors, and back', async () => {
      const m = new Model(6);
      const x = m.input([1, 6, 6, 8]);
      const padded = build.pad(x, [0, 0, 0, 0], [0, 2, 2, 0]);
      const rolled = build.roll(padded, [-2, -2], [1, 2]);
      const parts = build.transpose(build.reshape(rolled, [1, 2, 4, 2, 4, 2, 4]), [0, 1, 3, 5, 2, 4, 6]);
      const heads = build.reshape(parts, [4, 2, 16, 4]);
      const table = m.param([2, 31]);
      const index = build.iota([16, 16], 0);
      const relative = build.gather(table, index, 1);
      const a = build.attention(heads, heads, heads, 0.5, [relative, m.param([4, 1, 16, 16])]);
      const joined = build.transpose(build.reshape(a, [1, 2, 2, 2, 4, 4, 4]), [0, 1, 4, 2, 5, 3, 6]);
      const back = build.roll(build.reshape(joined, [1, 8, 8, 8]), [2, 2], [1, 2]);
      const cut = build.add(build.slice(back, [0, 0, 0, 0], [1, 6, 6, 8]), x);
      const g = await agrees(run, m, [cut], { choices });
      expect(entryOf(g).dispatches.length).toBe(1);
    });

    it('a value that is two results, an input and a parameter as results', async () => {
      const m = new Model(7);
      const x = m.input([3, 5]);
      const y = build.exp(x);
      await agrees(run, m, [y, y, x, m.param([4])], { choices });
    });

    it('more rows than one dimension of a dispatch counts', async () => {
      const m = new Model(14);
      const y = build.linear(m.input([1, 2_200_003, 3]), m.param([4, 3]), m.param([4]));
      const g = await agrees(run, m, [y], { choices });
      expect(entryOf(g).dispatches.length).toBe(1);
      expect(Math.max(...entryOf(g).dispatches[0]!.workgroups.map(([, rows]) => rows))).toBeGreaterThan(32768);
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
      it.skipIf(driver === 'lavapipe')(
        'runs an MLP of 64 images with 148 MiB of hidden activations under the baseline limits (SwiftShader, to save time)',
        async () => {
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
        },
      );
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

    // Hundreds of kernels, which lavapipe would compile for minutes.
    describe.skipIf(driver === 'lavapipe')('random graphs (SwiftShader only)', () => {
      it('agree with the interpreter', async () => {
        for (let seed = 1; seed <= 100; seed++) {
          const { model, results } = randomGraph(seed, 12);
          await agrees(run, model, results, { tolerance: 5e-5, choices: ['portable'] });
        }
      });

      it('agree around products, convolutions and attention', async () => {
        for (let seed = 10; seed <= 22; seed++) {
          const { model, results } = wideGraph(seed, 8);
          await agrees(run, model, results, { tolerance: 2e-4, choices });
        }
      });

      it('agree when bindings are small and kernels are cut', async () => {
        let cut = 0;
        for (let seed = 1; seed <= 100; seed++) {
          const { model, results } = randomGraph(seed, 12, 32);
          const limits = { maxStorageBufferBindingSize: 2048 };
          try {
            await agrees(run, model, results, { tolerance: 1e-4, choices: ['portable'], limits });
            cut++;
          } catch (error) {
            // Some graphs read a whole tensor for one part of the result, and say so.
            if (!(error instanceof EspalierError && error.diagnostics[0]!.code === 'ESP0602')) throw error;
          }
        }
        expect(cut).toBeGreaterThan(20);
      });
    });
  });
}
