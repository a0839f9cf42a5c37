/** Random graphs on the GPU, drawn by the test runner's seed: new ones on a developer's machine, the same in CI. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { shapeAt } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { topological } from '../../src/ir/graph.js';
import { isDeclared } from '../../src/ir/ops/index.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { cotangents } from '../ir/derivatives/reverse.js';
import { parameters, random } from '../passes/models.js';
import { grow, step } from '../passes/random-graphs.js';
import { randomGraph } from './graphs.js';
import { type Arguments, type Choice, compiled, differences, execute, type Model, type Runner } from './harness.js';
import { lifted } from './lift.js';
import { wideGraph } from './wide-graphs.js';

/** Runs a module and compares its results with the ones wanted. */
async function expectResults(
  run: Runner,
  module: Module,
  args: Arguments,
  wanted: readonly Tensor[],
  tolerance: number,
  choice: Choice,
): Promise<void> {
  const program = compiled(module, { samples: 8 });
  const found = await execute(run, program, args, choice);
  for (const [i, d] of differences(module, args, found, wanted).entries())
    expect(d, `result ${i} (${choice})\n${[...program.files.values()].join('\n')}`).toBeLessThan(tolerance);
}

/** Seeds do not shrink: the first that fails is printed. */
const SEEDS = { endOnFailure: true } as const;

export function randomPrograms(run: Runner, choices: readonly Choice[]): void {
  const fromSeed =
    (make: (seed: number) => { model: Model; results: Value[] }, tolerance: number, all: readonly Choice[]) =>
    async (seed: number): Promise<void> => {
      const { model, results } = make(seed);
      const module = model.module(...results);
      const wanted = [
        ...interpret(module, 'infer', { inputs: model.arguments, params: (n) => model.data.get(n)! }).values(),
      ];
      for (const choice of all) await expectResults(run, module, model, wanted, tolerance, choice);
    };

  it('agree with the interpreter', async () => {
    const check = fromSeed((seed) => randomGraph(seed, 12), 5e-5, ['portable']);
    await fc.assert(fc.asyncProperty(fc.nat(), check), { numRuns: 100, ...SEEDS });
  });

  it('agree for several samples', async () => {
    const check = async (seed: number, samples: number): Promise<void> => {
      const { model, results } = wideGraph(seed, 8);
      const batched = lifted(model, results, samples, seed);
      if (!batched) return;
      const module = batched.model.module(...batched.results);
      for (const choice of choices) await expectResults(run, module, batched.model, batched.expected, 2e-4, choice);
    };
    await fc.assert(fc.asyncProperty(fc.nat(1e9), fc.integer({ min: 2, max: 5 }), check), { numRuns: 13, ...SEEDS });
  });

  it('agree around products, convolutions and attention', async () => {
    const check = fromSeed((seed) => wideGraph(seed, 8), 2e-4, choices);
    await fc.assert(fc.asyncProperty(fc.nat(1e9), check), { numRuns: 13, ...SEEDS });
  });

  it('agree in their gradients', async () => {
    let compared = 0;
    const gradients = (seed: number): { model: Model; results: Value[] } => {
      const { model, results } = wideGraph(seed, 8);
      const floats = results.filter((v) => v.type.dtype === 'f32');
      const leaves = topological(floats).filter((v) => isDeclared(v) && v.type.dtype === 'f32');
      // Bounded, and not the same everywhere.
      const seeds = floats.map((value) => ({ value, cotangent: build.tanh(build.add(value, 0.5)) }));
      const found = [...new Set(cotangents(seeds, leaves).flatMap((v) => v ?? []))];
      compared += found.length;
      return { model, results: found.length > 0 ? found : results };
    };
    const check = fromSeed(gradients, 5e-4, choices);
    await fc.assert(fc.asyncProperty(fc.nat(1e9), check), { numRuns: 8, ...SEEDS });
    expect(compared).toBeGreaterThan(10);
  });

  it('agree after every pass, adapters merged and factored', async () => {
    const draw = fc.record({
      steps: fc.array(step, { minLength: 4, maxLength: 14 }),
      adapters: fc.constantFrom('merged', 'factored', 'auto'),
    });
    await fc.assert(
      fc.asyncProperty(draw, async ({ steps, adapters }) => {
        const before = grow(steps);
        const params = parameters(before);
        const inputs = new Map(
          before.funcs
            .get('infer')!
            .inputs.map((v) => [(v.attrs as { name: string }).name, random(shapeAt(v.type.shape, 3), 7)]),
        );
        const wanted = [...interpret(before, 'infer', { inputs, params }).values()];
        const { module } = optimize(before, { adapters, verify: true });
        const data = new Map(
          [...module.params].map(([name, p]) => [name, p.role === 'prepared' ? undefined : params(name)]),
        );
        for (const [name, t] of interpret(module, 'prepare', { params })) data.set(name, t);
        await expectResults(
          run,
          module,
          { data: data as Map<string, Tensor>, arguments: inputs },
          wanted,
          5e-5,
          'portable',
        );
      }),
      { numRuns: 40 },
    );
  });
}
