/** `grad`: gradients as outputs of a program, against PyTorch's, against differences of the loss, and what it refuses. On whatever GPU driver there is. */
import { describe, expect, it } from 'vitest';
import { EspalierError, type GradientProgram, grad, nodeHost } from '../../../src/api/index.js';
import { gradientProgram } from '../../../src/api/train/gradient.js';
import { readTraining } from '../../../src/api/train/open.js';
import { shapeAt } from '../../../src/ir/batch.js';
import { interpretCall } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import { batchOf, gradientsOf, specOf, startOf } from '../steps.js';

/** max |a - b| / max |b|; of what is 0 all over, whether the other is. */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return largest === 0 ? worst : worst / largest;
}

const SPEC = `use std
model Small {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 16, depth: 2, heads: 2, drop_path_rate: 0.3)
  head = classify(base, classes: 3)
  adapt base.blocks[*].attn.qkv with lora(rank: 2)
  tune head
}
train Small {
  optimizer = adamw(lr: 1e-3)
  schedule = constant(epochs: 2)
  loss = cross_entropy(smoothing: 10%)
  batch = 4
  seed = 5
}`;
const spec = { text: SPEC, path: 'small.peft' };
const N = 3;
const pixels = Float32Array.from({ length: N * 64 }, (_, i) => Math.sin(i * 1.7) * 0.8);
const target = Float32Array.of(1, 0, 0, 0, 0.5, 0.5, 0, 0, 1);

const using = async (program: GradientProgram, body: (p: GradientProgram) => Promise<void>): Promise<void> => {
  try {
    await body(program);
  } finally {
    program.dispose();
  }
};

describe('grad', { timeout: 120_000 }, () => {
  it.each(['lora', 'karst'])("by what %s trains: PyTorch's gradients", async (method) => {
    const elaborated = specOf(method);
    const request = { elaborated, train: elaborated.train, params: startOf(method), host: nodeHost() };
    await using(await gradientProgram(request), async (program) => {
      const { loss, gradients, outputs } = await program.call(batchOf(0));
      const expected = gradientsOf(method);
      expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort());
      for (const [name, g] of expected) expect(relative(gradients.get(name)!, g.data), name).toBeLessThan(1e-4);
      expect(loss).toBeGreaterThan(0);
      expect(Object.values(outputs)[0]).toHaveLength(16 * 10);
    });
  });

  const by = ['base.blocks.1.mlp.fc2.bias', 'base.norm.*', 'base.blocks.*.attn.qkv@lora.*', 'pixels'];

  it('by parameters that are frozen, by inputs, and at other weights: as the loss changes', async () => {
    await using(await grad(spec, { by, samples: N }), async (program) => {
      expect([...program.by].sort()).toEqual([
        'base.blocks.0.attn.qkv@lora.A',
        'base.blocks.0.attn.qkv@lora.B',
        'base.blocks.1.attn.qkv@lora.A',
        'base.blocks.1.attn.qkv@lora.B',
        'base.blocks.1.mlp.fc2.bias',
        'base.norm.bias',
        'base.norm.weight',
        'pixels',
      ]);
      const zeros = Object.entries(program.weights).filter(([name]) => name.endsWith('@lora.B'));
      expect(zeros.flatMap(([, start]) => [...start]).every((x) => x === 0)).toBe(true);
      // Away from where LoRA starts, where B is 0 and A has no gradient.
      const moved = zeros.map(([name, start]) => [name, start.map((_, i) => Math.cos(i) * 0.3)] as const);
      const weights = Object.fromEntries(moved);
      const first = await program.call({ pixels, target });
      const { loss, gradients, outputs } = await program.call({ pixels, target }, weights);
      expect(Object.values(outputs)[0]).toHaveLength(N * 3);
      expect(Math.abs(loss - first.loss)).toBeGreaterThan(1e-4);
      expect([...first.gradients.get('base.blocks.0.attn.qkv@lora.A')!].every((x) => x === 0)).toBe(true);
      expect(gradients.get('base.blocks.0.attn.qkv@lora.A')!.some((x) => x !== 0)).toBe(true);

      // The program in f64, whose loss is moved by a little of everything: the product of gradient and move.
      const { module } = program;
      const func = module.funcs.get('gradient')!;
      const types = new Map(func.inputs.flatMap((v) => (v.op === 'input' ? [[v.attrs.name, v.type] as const] : [])));
      const all: Readonly<Record<string, Float32Array>> = { pixels, target, ...program.weights, ...weights };
      const frozen = await tensorsOf();
      const lossAt = (name: string, move: (i: number) => number): number => {
        const inputs = new Map(
          [...types].map(([key, { shape }]) => {
            const data = Float64Array.from(all[key]!, (x, i) => (key === name ? x + move(i) : x));
            return [key, tensor(shapeAt(shape, N), data)] as const;
          }),
        );
        const params = (key: string): Tensor => {
          const given = frozen(key);
          return key === name ? { ...given, data: Float64Array.from(given.data, (x, i) => x + move(i)) } : given;
        };
        return interpretCall(module, 'gradient', { inputs, params }).results.get('loss')!.data[0]!;
      };
      expect(loss).toBeCloseTo(
        lossAt('', () => 0),
        5,
      );
      for (const name of program.by) {
        const direction = (i: number): number => Math.sin(3 * i + 1);
        const step = 1e-5;
        const difference =
          (lossAt(name, (i) => step * direction(i)) - lossAt(name, (i) => -step * direction(i))) / (2 * step);
        const product = gradients.get(name)!.reduce((sum, g, i) => sum + g * direction(i), 0);
        expect(product, name).toBeCloseTo(difference, 4);
        expect(Math.abs(difference), name).toBeGreaterThan(1e-4);
      }
    });
  });

  it('refuses what is not there, and what the loss does not depend on', async () => {
    const codes = async (text: string, names: readonly string[]): Promise<string[]> => {
      try {
        (await grad({ text, path: 'small.peft' }, { by: names })).dispose();
        return [];
      } catch (error) {
        if (error instanceof EspalierError) return error.diagnostics.map((d) => d.message);
        throw error;
      }
    };
    expect(await codes(SPEC, ['head.*', 'pixls', 'base.nothing.*'])).toEqual([
      'no parameter or input is called `pixls`',
      'no parameter or input is called `base.nothing.*`',
    ]);
    const [message] = await codes(
      SPEC.replace('cross_entropy(smoothing: 10%)', 'mse(prediction: stop_gradient(head))'),
      ['pixels'],
    );
    expect(message).toMatch(/the loss gives `pixels` no gradient/);
  });
});

/** What the spec starts with, by its seed. */
async function tensorsOf(): Promise<(name: string) => Tensor> {
  return (await readTraining(spec, { host: nodeHost() })).params;
}
