/** Random graphs on the GPU, drawn by the test runner's seed: new ones on a developer's machine, the same in CI. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { resultValues, topological } from '../../src/ir/graph.js';
import { interpret, interpretValues } from '../../src/ir/interpret.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { parameters, random } from '../passes/models.js';
import { grow, step } from '../passes/random-graphs.js';
import { randomGraph } from './graphs.js';
import { type Arguments, type Choice, compiled, execute, type Model, type Runner } from './harness.js';
import { wideGraph } from './wide-graphs.js';

/** The largest finite magnitude in some tensors. */
function largest(tensors: readonly Tensor[]): number {
  let most = 0;
  for (const { data } of tensors) {
    for (const x of data) if (Number.isFinite(x)) most = Math.max(most, Math.abs(Number(x)));
  }
  return most;
}

/**
 * Runs a module and compares its results with the ones wanted. Where larger numbers cancel, f32 leaves their rounding errors: a tenth of
 * the largest number on the way is what a difference is measured by at least.
 */
async function expectResults(
  run: Runner,
  module: Module,
  args: Arguments,
  wanted: readonly Tensor[],
  tolerance: number,
  choice: Choice,
): Promise<void> {
  const program = compiled(module);
  const found = await execute(run, program, args, choice);
  const values = topological(resultValues(module.funcs.get('infer')!));
  const onTheWay = interpretValues(values, { inputs: args.arguments, params: (name) => args.data.get(name)! });
  const scale = Math.max(0.1 * largest(onTheWay), largest(wanted), 1e-30);
  wanted.forEach((e, i) => {
    expect(found[i]!.type.shape).toEqual(e.type.shape);
    let worst = 0;
    for (let j = 0; j < e.data.length; j++) {
      const d = Math.abs(found[i]!.data[j]! - e.data[j]!);
      if (!(d <= worst)) worst = d;
    }
    expect(worst / scale, `result ${i} (${choice})\n${[...program.files.values()].join('\n')}`).toBeLessThan(tolerance);
  });
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

  it('agree around products, convolutions and attention', async () => {
    const check = fromSeed((seed) => wideGraph(seed, 8), 2e-4, choices);
    await fc.assert(fc.asyncProperty(fc.nat(1e9), check), { numRuns: 13, ...SEEDS });
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
          before.funcs.get('infer')!.inputs.map((v) => [(v.attrs as { name: string }).name, random(v.type.shape, 7)]),
        );
        const wanted = [...interpret(before, 'infer', { inputs, params }).values()];
        const { module } = optimize(before, { adapters, layout: 'free', verify: true });
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
