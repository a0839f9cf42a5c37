/**
 * Every adapter of the library on random weights, over shapes and options: as written, merged, factored and by cost it gives what PyTorch
 * and peft compute (test/reference/make_adapters.py).
 */
import { describe, expect, it } from 'vitest';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { relative } from '../passes/models.js';
import { cases, moduleOf, tensorsOf } from './cases.js';

function run(module: Module, x: Tensor, params: ReadonlyMap<string, Tensor>): Tensor {
  const given = (name: string): Tensor => {
    const t = params.get(name);
    if (!t) throw new Error(`the reference has no ${name}`);
    return t;
  };
  const prepared = module.funcs.has('prepare')
    ? interpret(module, 'prepare', { params: given })
    : new Map<string, Tensor>();
  const infer = interpret(module, 'infer', {
    inputs: new Map([['x', x]]),
    params: (name) => prepared.get(name) ?? given(name),
  });
  return [...infer.values()][0]!;
}

describe('adapters of the library, against PyTorch and peft', () => {
  it('covers every adapter of the library', () => {
    const used = new Set(cases.map((c) => /with (\w+)/.exec(c.adapt)![1]));
    expect([...used].sort()).toEqual([
      'adaptformer',
      'alore',
      'dora',
      'fact_tt',
      'karst',
      'lora',
      'repadapter',
      'ssf',
      'vpt',
    ]);
  });

  it.each(cases.map((c, i) => [i, c.name, c] as const))('%i: %s', async (i, _, of) => {
    const module = moduleOf(of);
    const { merges } = of;
    const { x, y, params } = await tensorsOf(i);
    expect([...params.keys()].sort()).toEqual([...module.params.keys()].sort());
    expect(relative(y, run(module, x, params)), 'as written').toBeLessThan(1e-6);
    for (const adapters of ['merged', 'factored', 'auto'] as const) {
      const optimised = optimize(module, { adapters, verify: true });
      expect(relative(y, run(optimised.module, x, params)), adapters).toBeLessThan(1e-6);
      if (adapters === 'factored') continue;
      const state = merges ? 'merged' : 'kept';
      for (const a of optimised.report.adapters) expect(a.state, adapters).toBe(state);
    }
  });
});
