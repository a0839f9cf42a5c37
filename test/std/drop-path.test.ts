/** Stochastic depth of the library's backbones against PyTorch's formula, and timm's rates (test/reference/drop_path.py), in f64. */
import { describe, expect, it } from 'vitest';
import { build, sub } from '../../src/ir/build.js';
import { input, rootsOf, topological } from '../../src/ir/graph.js';
import { isDrop } from '../../src/ir/ops/index.js';
import type { Optimizer } from '../../src/ir/optimizer.js';
import { interpretCall } from '../../src/ir/run/interpret.js';
import type { Func, Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { trainingOf } from '../../src/passes/train/step.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { fixture } from './cases.js';

const { metadata, tensorsOf } = await fixture('train/drop_path');
const all = await tensorsOf('');
const gradients = await tensorsOf('gradient');
const rate = Number(metadata.rate);
const rates = JSON.parse(metadata.rates!) as Readonly<Record<string, readonly number[]>>;

const model = (base: string): string => `use std
model M {
  base = ${base}
  head = classify(base, classes: 2)
  tune base
}`;
const small = (options: string): string =>
  model(`vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 4, heads: 2, eps: 1e-6${options})`);

/** The sum of what the model gives times weights. */
function lossOf(infer: Func): Func {
  const [{ value }] = infer.results as [Func['results'][number]];
  const weight = input('weight', value.type);
  const loss = build.sum(build.mul(value, weight), [...value.type.shape.keys()]);
  return {
    ...infer,
    name: 'loss',
    inputs: [...infer.inputs, weight],
    results: [{ name: 'loss', value: loss }, ...infer.results],
  };
}

const dropsOf = (func: Func): number[] =>
  topological(rootsOf(func)).flatMap((v) => (isDrop(v) ? [v.op === 'drop_path' ? v.attrs.rate : Number.NaN] : []));

/** Each rate twice, as a block has two branches; 0 is no drop. */
const twice = (list: readonly number[]): number[] => list.flatMap((r) => (r === 0 ? [] : [r, r]));

describe('stochastic depth', () => {
  it.each([1, 2, 5, 12])('of a ViT with %i blocks has the rates of timm', (depth) => {
    const text = model(`vit_auto(image: 8, patch: 4, dim: 8, depth: ${depth}, heads: 2, drop_path_rate: ${rate})`);
    const found = dropsOf(good(text).module.funcs.get('infer')!);
    expect(found).toHaveLength(2 * (depth - 1));
    for (const [i, r] of twice(rates[depth]!).entries()) expect(found[i]).toBeCloseTo(r, 6);
  });

  it.each([
    [[3, 3, 9, 3], 4],
    [[2, 3, 2], 2],
  ] as const)('of a ConvNeXt with stages of %j, of which it has %i, rises over all blocks', (depths, number) => {
    const options = `image: 32, patch: 4, dims: [${depths.map(() => 4)}], depths: [${depths}], number: ${number}`;
    const found = dropsOf(good(model(`convnext_auto(${options}, drop_path_rate: ${rate})`)).module.funcs.get('infer')!);
    const expected = rates[depths.slice(0, number).reduce((a, b) => a + b, 0)]!.filter((r) => r > 0);
    expect(found).toHaveLength(expected.length);
    for (const [i, r] of expected.entries()) expect(found[i]).toBeCloseTo(r, 6);
  });

  it.each([
    ['tinyvit(image: 32, dims: [4, 4, 4], depths: [2, 2, 1], heads: [1, 1, 1], windows: [0, 2, 2]', [1, 1, 2, 2, 2]],
    ['sam(table_image: 16, patch: 4, dim: 4, depth: 5, heads: 1, global_blocks: [1], features: 3', [2, 2, 2, 2, 2]],
  ])('of %s) rises over all blocks, in each of their branches', (options, branches) => {
    const text = `use std\nmodel M {\n  base = ${options}, drop_path_rate: ${rate})\n  tune base\n}`;
    const found = dropsOf(good(text).module.funcs.get('infer')!);
    const expected = rates[5]!.flatMap((r, i) => (r === 0 ? [] : Array.from({ length: branches[i]! }, () => r)));
    expect(found).toHaveLength(expected.length);
    for (const [i, r] of expected.entries()) expect(found[i]).toBeCloseTo(r, 6);
  });

  it('is refused from 1 on', () => {
    expect(() => good(small(', drop_path_rate: 1'))).toThrow(/drop_path_rate is from 0 to below 1/);
  });

  const text = small(`, drop_path_rate: ${rate}`);
  const { module } = good(text.replace('head = classify(base, classes: 2)', 'out = base'));
  const infer = module.funcs.get('infer')!;
  const params = (name: string): Tensor => all.get(`param/${name.replace(/^base\./, '')}`)!;
  const inputs = new Map([['pixels', all.get('pixels')!]]);

  it('is nothing when the model infers: the graph without it', () => {
    const { funcs } = optimize(module, { adapters: 'merged' }).module;
    expect(dropsOf(funcs.get('infer')!)).toEqual([]);
    const compiled = optimize(module, { adapters: 'merged' }).module;
    const found = interpretCall(compiled, 'infer', { inputs, params }).results;
    expect(relative([...found.values()][0]!, all.get('infer')!)).toBeLessThan(1e-7);
  });

  it('drops the paths of the same samples as PyTorch in a step, with the same output and gradients', () => {
    const [output] = infer.results;
    const trained = [...gradients.keys()].map((name) => `base.${name}`);
    const plain: Optimizer = {
      states: new Map(),
      step: ({ weight, gradient }) => ({ weight: sub(weight, gradient), states: new Map() }),
    };
    const { module: step } = trainingOf(
      { ...module, funcs: new Map([['loss', lossOf(infer)]]) },
      { groups: [{ params: trained, optimizer: plain }], adapters: 'factored' },
    );
    const key: Tensor = { type: { dtype: 'u32', shape: [2] }, data: Uint32Array.from(JSON.parse(metadata.key!)) };
    const given = new Map([...inputs, ['weight', all.get('weight')!], ['key', key]]);
    const { results, states } = interpretCall(step, 'step', { inputs: given, params });
    expect(relative(results.get(output!.name)!, all.get('train')!)).toBeLessThan(1e-7);
    // It is something: other than inference, where some were dropped.
    expect([...all.get('kept')!.data].includes(0)).toBe(true);
    expect(relative(all.get('train')!, all.get('infer')!)).toBeGreaterThan(0.01);
    for (const [name, expected] of gradients) {
      const before = params(name);
      const moved = before.data as Float32Array;
      const data = Float64Array.from(states.get(`base.${name}`)!.data, (x, i) => moved[i]! - x);
      expect(relative({ type: expected.type, data }, expected), name).toBeLessThan(1e-7);
    }
  });
});
