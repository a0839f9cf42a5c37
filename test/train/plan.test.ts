/** What a training step keeps, by its plan, at real sizes: no gradient and no state of anything that is not trained, and no dense product of factors. */
import { describe, expect, it } from 'vitest';
import { kindsOf, peakOf } from '../../bench/train/live.js';
import { type Method, specOf, VIT_B } from '../../bench/train/models.js';
import { type TrainProgram, trainProgram } from '../../src/api/train/program.js';
import { generate } from '../../src/codegen/generate.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';

const BATCH = 32;
const OPTIONS = { name: 'plan', compiler: '0', weights: 'f32' } as const;
/** One block of it: enough to see what a plan would be without care. */
const BLOCK = 'vit(dim: 768, depth: 1, heads: 12)';

async function programOf(model: string, method: Method, settings: readonly string[] = []): Promise<TrainProgram> {
  const { elaborated, train } = await specOf({ model, method, batch: BATCH, settings });
  const params = (name: string): never => {
    throw new Error(`the plan asks for ${name}, which it does not need`);
  };
  return trainProgram({ elaborated, train, params });
}

/** Tensors of the plan of a step, of a batch or of one sample of it, that are as large as the matrix of a frozen layer. */
function ofLayers({ generated, module }: TrainProgram): string[] {
  const matrices = [...module.params.values()].filter((p) => p.role === 'frozen' && p.name.endsWith('.weight'));
  const sizes = new Set(matrices.map((p) => sizeOf(p.type.shape)).filter((size) => size >= 768 * 768));
  expect(sizes.size).toBeGreaterThanOrEqual(3);
  const { samples, fixed } = generated.memory;
  const tenants = [...samples.tenants, ...fixed.tenants];
  expect(tenants.length).toBeGreaterThan(20);
  return tenants.filter((t) => sizes.has(sizeOf(t.shape))).map((t) => t.name);
}

/** Bytes of states, and the names that they are of. */
function statesOf({ generated, module }: TrainProgram): { bytes: number; written: readonly string[] } {
  const { weights } = generated.program;
  const states = weights.filter((w) => module.params.get(w.parameter)?.role === 'state' && !w.within);
  const written = generated.program.entries[0]!.updates.map((u) => u.weight);
  return { bytes: states.reduce((sum, w) => sum + w.bytes, 0), written };
}

describe('what a step of ViT-B/16 keeps at batch 32', { timeout: 300_000 }, () => {
  it.each(['lora', 'karst'] as const)(
    '%s: gradients and moments of the adapters and the head alone',
    async (method) => {
      const program = await programOf(VIT_B, method);
      const { trained, total } = program.plan;
      expect(trained).toBeLessThan(0.02 * total);
      expect(ofLayers(program)).toEqual([]);
      const { bytes, written } = statesOf(program);
      // The weights, two moments and the gradient of each; what lies side by side begins where a binding can.
      expect(bytes).toBeGreaterThanOrEqual(4 * 4 * trained);
      expect(bytes).toBeLessThan(1.01 * 4 * 4 * trained);
      const frozen = program.generated.program.weights.filter(
        (w) => program.module.params.get(w.parameter)?.role !== 'state',
      );
      expect(frozen.filter((w) => written.includes(w.name))).toEqual([]);
      // Once each, though products read them both ways round: x W of the forward pass, dy W of the backward pass.
      const params = [...program.module.params.values()].filter((p) => p.role === 'frozen');
      const once = params.reduce((sum, p) => sum + 4 * sizeOf(p.type.shape), 0);
      const held = frozen.reduce((sum, w) => sum + w.bytes, 0);
      expect(once).toBeGreaterThan(4 * 85e6);
      expect(held).toBeGreaterThanOrEqual(once);
      expect(held).toBeLessThan(1.01 * once);
    },
  );

  it.each([[], ['clip = 1'], ['accumulate = 2'], ['clip = 1', 'accumulate = 2', 'ema = 0.99']])(
    'moves all weights in as many launches as a few (%s)',
    async (...settings) => {
      // What is launched after the gradients, of one block and of three.
      const launches = async (depth: number): Promise<number> => {
        const model = `vit(dim: 768, depth: ${depth}, heads: 12)`;
        const { generated, module } = await programOf(model, 'lora', settings);
        const { entries } = generated.program;
        const { length } = entries[0]!.dispatches;
        const alone = generate(
          { ...module },
          { ...OPTIONS, entries: [module.funcs.get('step')!.after!], samples: BATCH },
        );
        return length - alone.program.entries[0]!.dispatches.length;
      };
      const few = await launches(1);
      expect(few).toBeGreaterThan(0);
      expect(few).toBeLessThanOrEqual(settings.length === 0 ? 1 : 5);
      expect(await launches(3)).toBe(few);
    },
  );

  it('finds dense products and gradients where factors are multiplied out', async () => {
    expect(ofLayers(await programOf(BLOCK, 'karst', ['adapters = factored']))).toEqual([]);
    expect(ofLayers(await programOf(BLOCK, 'karst', ['adapters = merged'])).length).toBeGreaterThan(3);
  });
});

describe('the peak of a plan', () => {
  const tenant = (name: string, bytes: number, first: number, last: number, offset: number, slab = 0) => ({
    ...{ name, bytes, first, last, offset, slab },
    shape: [bytes / 4],
  });
  const plan = (tenants: ReturnType<typeof tenant>[]) => ({ tenants, slabs: [], live: 0 });

  it('is of samples and of the rest together, when both are there', () => {
    const samples = plan([tenant('blocks.0.x', 8, 0, 3, 0), tenant('blocks.1.x', 8, 1, 2, 256)]);
    const fixed = plan([tenant('w', 100, 3, 4, 0)]);
    // 2 x 16 bytes at dispatch 1, 2 x 8 + 100 at dispatch 3.
    expect(peakOf({ samples, fixed }, 2)).toMatchObject({ bytes: 116, at: 3 });
    expect(peakOf({ samples, fixed }, 20)).toMatchObject({ bytes: 320, at: 1 });
    expect(kindsOf(peakOf({ samples, fixed }, 20).tenants)).toEqual([{ kind: 'blocks.*.x', count: 2, bytes: 320 }]);
  });

  it('counts what lies over another once', () => {
    const samples = plan([tenant('x', 8, 0, 1, 0), tenant('y', 8, 1, 2, 0)]);
    expect(peakOf({ samples, fixed: plan([]) }, 1)).toMatchObject({ bytes: 8, at: 0 });
  });
});
