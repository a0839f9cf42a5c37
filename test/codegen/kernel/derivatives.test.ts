/** The derivative of every operator as kernels: proved, simulated for every subgroup size, over the batch and without, and compared with f64. */
import { describe, expect, it } from 'vitest';
import { BATCH, hasBatch, isBatch } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { rewriteValues, withInputs } from '../../../src/ir/graph.js';
import { OP_NAMES } from '../../../src/ir/ops/index.js';
import type { OpName, Value } from '../../../src/ir/types.js';
import { CASES, differentiated } from '../../ir/derivatives/cases.js';
import { cotangents } from '../../ir/derivatives/reverse.js';
import { entryOf, Model } from '../harness.js';
import { expectRight } from './run.js';

/** `solve` has no kernel, and so its derivative, which solves, has none. */
const WITHOUT = new Set(['aux', 'solve']);

/** Through f16. */
const TOLERANCE: { readonly [O in OpName]?: number } = { cast: 1e-3 };

/**
 * As a program takes arguments and gives results: samples along the first axis. What no sample is of becomes a parameter, and the same result for
 * every sample.
 */
function asProgram(from: Model, values: readonly Value[]): { model: Model; results: readonly Value[] } {
  const model = new Model(1, from.samples);
  const overBatch = values.some((v) => hasBatch(v.type.shape)) || from.inputs.some((v) => hasBatch(v.type.shape));
  const image = rewriteValues(
    values,
    (v, inputs) => {
      if (v.op !== 'input') return withInputs(v, inputs);
      const data = from.arguments.get(v.attrs.name)!;
      const { dtype, shape } = v.type;
      return overBatch && !hasBatch(shape) ? model.param(shape, data) : model.input(shape, dtype, data);
    },
    (v) => v.inputs,
  );
  const results = values.map(image).map((v) => {
    const { shape } = v.type;
    if (!overBatch) return v;
    const at = shape.findIndex(isBatch);
    if (at < 0) return build.broadcast(v, [BATCH, ...shape]);
    return build.transpose(
      v,
      [at, ...shape.keys()].filter((axis, i) => i === 0 || axis !== at),
    );
  });
  return { model, results };
}

describe('derivatives', () => {
  for (const op of OP_NAMES) {
    const make = CASES[op as keyof typeof CASES];
    if (WITHOUT.has(op) || make === 'none') continue;
    it(op, () => {
      let compared = 0;
      for (const seed of [1, 2, 3, 4, 6]) {
        const { model, gradients } = differentiated(make, seed);
        const given = gradients.flatMap((v) => v ?? []);
        if (given.length === 0) continue;
        const program = asProgram(model, given);
        expectRight(program.model, program.results, { tolerance: TOLERANCE[op] ?? 2e-5 });
        compared += given.length;
      }
      expect(compared).toBeGreaterThan(1);
    });
  }
});

it('of a convolution: a product for each operand, and memory for nothing in between', () => {
  const m = new Model(1, 2);
  const attrs = { stride: [2, 2], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
  const [x, weight, bias] = [m.input([BATCH, 8, 15, 15]), m.param([16, 8, 3, 3]), m.param([16])];
  const y = build.conv2d(x, weight, bias, attrs);
  const dy = m.input([BATCH, 16, 8, 8]);
  const [dx, dw] = cotangents([{ value: y, cotangent: dy }], [x, weight]);
  const g = expectRight(m, [dx!, build.broadcast(dw!, [BATCH, 16, 8, 3, 3])], { tolerance: 2e-5 });
  const made = entryOf(g).dispatches.map((d) => g.program.kernels[d.kernel]!.name);
  expect(made.filter((name) => name.startsWith('contract') || name.startsWith('conv')).length).toBe(2);
  // The weight's gradient, of each sample and of all: 4,608 bytes each. Patches of one sample of x would take 18,432.
  const bytes = entryOf(g).slabs.reduce((sum, slab) => sum + slab.bytes, 0);
  expect(bytes).toBeLessThan(4 * 2.5 * 16 * 8 * 9);
});
