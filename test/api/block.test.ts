/** The stretch of a model that is compared in f64: it computes what the whole model computes there. */
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { blockOf } from '../../src/api/golden/block.js';
import { loadParameters } from '../../src/api/parameters.js';
import { build as b } from '../../src/ir/build.js';
import { input, rootsOf } from '../../src/ir/graph.js';
import { interpretFunc, interpretValues } from '../../src/ir/run/interpret.js';
import { funcAt } from '../../src/ir/run/samples.js';
import { asWritten } from '../../src/passes/index.js';
import { host, random, vitSpec } from './support.js';

describe('of a ViT', async () => {
  const analysis = await analyseModel(vitSpec('vit-shards'), { host });
  const { get } = await loadParameters(analysis);
  const infer = funcAt(asWritten(analysis.elaborated.module).funcs.get('infer')!, 1);
  const whole = blockOf(infer, 1e12)!;

  test('is as large as it may be, and lies between two places that one tensor passes', () => {
    expect(whole.inputs).toHaveLength(1);
    expect(whole.outputs).toHaveLength(1);
    const small = blockOf(infer, whole.flops / 3)!;
    expect(small.flops).toBeLessThanOrEqual(whole.flops / 3);
    expect(small.flops).toBeGreaterThan(whole.flops / 12);
    expect(small.site).toMatch(/^base\.blocks\.\d/);
    // Where none is small enough, the smallest there is.
    expect(blockOf(infer, 0)!.flops).toBeGreaterThan(0);
  });

  test('computes what the model computes there', () => {
    const pixels = random('pixels', [1, 3, 24, 24]);
    const { func, inputs, outputs } = blockOf(infer, whole.flops / 2)!;
    const all = interpretValues([...inputs, ...outputs], { inputs: new Map([['pixels', pixels]]), params: get });
    const args = new Map(inputs.map((v, i) => [`in${i}`, { type: v.type, data: all[i]!.data }]));
    const found = interpretFunc(func, { inputs: args, params: get });
    outputs.forEach((_, i) => {
      expect(found.get(`out${i}`)!.data).toEqual(all[inputs.length + i]!.data);
    });
  });
});

test('of a model that nothing cuts is none', () => {
  const x = input('x', { dtype: 'f32', shape: [1, 4] });
  const func = { name: 'infer', inputs: [x], results: [{ name: 'y', value: b.relu(x) }], updates: [] };
  expect(rootsOf(func)).toHaveLength(1);
  expect(blockOf(func, 1e9)).toBeUndefined();
});
