/** The tests of generated programs that need a GPU, for one driver. A test file for each driver calls it: a process has one driver. */
import { afterAll, describe, expect, it } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { OP_NAMES } from '../../src/ir/ops/index.js';
import { suiteThatNeeds } from '../needs.js';
import { agrees, type Choice, compiled, entryOf, execute, Model, openRunner, type Runner } from './harness.js';
import { lifted } from './lift.js';
import { CASES, TOLERANCE } from './operators.js';
import { randomPrograms } from './random-programs.js';
import { scattered } from './scattered.js';
import { SEVERAL } from './several.js';
import { TINY, vit } from './vit.js';
import { WHOLE } from './whole.js';

/** The software drivers that tests know; each has test files of its own. */
export type Driver = 'lavapipe' | 'swiftshader';

/**
 * SwiftShader runs the best variant and the portable one. lavapipe takes seconds to compile a large portable kernel, and runs
 * only what it would choose.
 */
export const choicesOn = (driver: Driver): readonly Choice[] =>
  driver === 'lavapipe' ? ['best'] : ['best', 'portable'];

/** Runs `body` with the driver, or a test that is left out and says why there is none. */
export async function withDriver(driver: Driver, body: (run: Runner) => void): Promise<void> {
  const opened = await openRunner(driver);
  if (typeof opened === 'string') {
    suiteThatNeeds(driver, opened);
    return;
  }
  describe(driver, () => {
    afterAll(() => opened.open.release());
    body(opened);
  });
}

export async function operatorSuite(driver: Driver): Promise<void> {
  await withDriver(driver, (run) => {
    it('the text of every variant is valid', async () => {
      const texts = new Map<string, string>();
      for (const op of OP_NAMES) {
        if (op === 'solve') continue;
        CASES[op].forEach((make, i) => {
          const m = new Model(100 + i);
          const results = make(m);
          const g = compiled(m.module(...('id' in results ? [results] : results)));
          for (const [file, text] of g.files) texts.set(text, file);
        });
      }
      const { device } = run.open;
      for (const [code, file] of texts) {
        if (code.includes('enable subgroups') && !device.features.has('subgroups' as GPUFeatureName)) continue;
        const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
        expect(
          messages.map((m) => m.message),
          file,
        ).toEqual([]);
      }
      expect(texts.size).toBeGreaterThan(300);
    });

    it('what is added up at indices comes to the same bits in every run', async () => {
      const { model, result, wanted } = scattered();
      const g = compiled(model.module(result));
      for (const choice of [...choicesOn(driver), ...choicesOn(driver)]) {
        const [found] = await execute(run, g, model, choice);
        expect([...found!.data]).toEqual([...wanted]);
      }
    });

    it.each(Object.entries(SEVERAL))('several results: %s', async (_name, { make, dispatches }) => {
      const m = new Model(5);
      const results = make(m);
      const g = await agrees(run, m, results, { choices: choicesOn(driver) });
      expect(entryOf(g).dispatches.length).toBe(dispatches);
      const { model, results: all, expected } = lifted(m, results, 3)!;
      await agrees(run, model, all, { choices: choicesOn(driver), expected });
    });

    it.each(WHOLE.map(({ name, make }) => [name, make] as const))(
      'whole numbers and truth: %s',
      async (_name, make) => {
        const m = new Model(1);
        await agrees(run, m, make(m), { tolerance: 1e-12, choices: choicesOn(driver) });
      },
    );

    for (const op of OP_NAMES) {
      if (op === 'solve') continue;
      CASES[op].forEach((make, i) => {
        it(`${op} ${i}`, async () => {
          const m = new Model(100 + i);
          const results = make(m);
          const list = 'id' in results ? [results] : results;
          const g = await agrees(run, m, list, { tolerance: TOLERANCE[op] ?? 1e-5, choices: choicesOn(driver) });
          expect(g.program.entries[0]!.dispatches.length).toBeGreaterThan(0);
          // The same for three of each input at once, by kernels that are told the number.
          const batched = lifted(m, list, 3);
          if (!batched) return;
          const { model, results: all, expected } = batched;
          await agrees(run, model, all, { tolerance: TOLERANCE[op] ?? 1e-5, choices: choicesOn(driver), expected });
        });
      });
    }
  });
}

export async function programSuite(driver: Driver): Promise<void> {
  const choices = choicesOn(driver);
  await withDriver(driver, (run) => {
    it('a vision transformer', async () => {
      const m = new Model(3);
      await agrees(run, m, [vit(m, TINY)], { tolerance: 3e-5, choices });
    });

    it('a vision transformer for any number of images', async () => {
      for (const samples of [1, 2, 7]) {
        const m = new Model(3, samples);
        const g = await agrees(run, m, [vit(m, { ...TINY, batch: BATCH })], { tolerance: 3e-5, choices, samples: 8 });
        expect(entryOf(g).samples).toBe(8);
      }
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

    it('results in the memory of an operand, for one sample and for several', async () => {
      const m = new Model(8);
      const x = m.input([1, 5, 16]);
      const stream = build.add(build.linear(x, m.param([16, 16])), build.softmax(x, 2));
      const next = build.add(
        stream,
        build.linear(build.gelu(build.layerNorm(stream, undefined, undefined, 1e-3)), m.param([16, 16])),
      );
      const last = build.sub(
        next,
        build.mul(build.linear(build.layerNorm(next, undefined, undefined, 1e-3), m.param([16, 16])), 0.1),
      );
      const results = [build.softmax(last, 2), build.mean(last, [1])];
      const g = await agrees(run, m, results, { choices });
      expect(g.memory.fixed.tenants.filter((t) => t.over).length).toBe(3);
      const { model, results: all, expected } = lifted(m, results, 3)!;
      const many = await agrees(run, model, all, { choices, expected });
      expect(many.memory.samples.tenants.filter((t) => t.over).length).toBe(3);
    });

    it('more rows than one dimension of a dispatch counts', async () => {
      const m = new Model(14);
      const y = build.linear(m.input([1, 2_200_003, 3]), m.param([4, 3]), m.param([4]));
      const g = await agrees(run, m, [y], { choices });
      expect(entryOf(g).dispatches.length).toBe(1);
      const [dispatch] = entryOf(g).dispatches;
      const counts = dispatch!.workgroups.map((w) => workgroupsAt(w, 1));
      for (const c of counts) expect(Math.max(...c)).toBeLessThanOrEqual(65535);
      expect(Math.max(...counts.map(([x, y, z]) => x * y * z))).toBeGreaterThan(65535);
    });

    // Hundreds of kernels, which lavapipe would compile for minutes: they are SwiftShader's tests alone.
    if (driver === 'lavapipe') return;
    describe('random graphs', () => randomPrograms(run, choices));
  });
}
