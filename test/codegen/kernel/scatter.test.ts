/** Updates that are added up at their indices: in one order, whatever runs them, and sorted before the input is there where that can be. */
import { describe, expect, it } from 'vitest';
import { SUBGROUP_SIZES } from '../../../src/codegen/contract/schedules.js';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { rootsOf, topological } from '../../../src/ir/graph.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Func, Module } from '../../../src/ir/types.js';
import { optimize } from '../../../src/passes/index.js';
import { compiled, difference, entryOf, Model } from '../harness.js';
import { INDICES, scattered } from '../scattered.js';
import { simulateProgram } from './run.js';

const opsOf = (func: Func): string[] => topological(rootsOf(func)).map((v) => v.op);

describe('scatter_add', () => {
  it('gives the same bits in every variant, in every run, whatever the order of threads: each sum in the order of its updates', () => {
    const { model, result, wanted } = scattered();
    const g = compiled(model.module(result));
    for (const by of ['portable', 'tile', ...SUBGROUP_SIZES] as const) {
      for (const order of ['forward', 'reverse'] as const) {
        const run = simulateProgram(g, model, by, order);
        expect(run.faults).toEqual([]);
        expect([...run.results[0]!.data], `${by}, ${order}`).toEqual([...wanted]);
      }
    }
  });

  it('with indices that are parameters has their order prepared: what is left is one kernel', () => {
    const m = new Model(1, 3);
    const x = m.input([BATCH, 60, 8]);
    const indices = m.param([60], tensor([60], INDICES, 'i32'));
    const before = m.module(build.mul(build.scatterAdd(build.gelu(x), indices, 1, 9), 2));
    const { module } = optimize(before, { adapters: 'merged', verify: true });
    expect(opsOf(module.funcs.get('prepare')!)).toEqual(expect.arrayContaining(['argsort', 'searchsorted']));
    expect(opsOf(module.funcs.get('infer')!)).not.toEqual(expect.arrayContaining(['argsort']));
    const prepared = prepare(module, m);
    const g = compiled(module, { samples: 3 });
    expect(entryOf(g).dispatches.length).toBe(1);
    const run = simulateProgram(g, { ...m, data: prepared, arguments: m.arguments }, 'portable');
    expect(run.faults).toEqual([]);
    expect(difference(run.results[0]!, m.expected(before)[0]!)).toBeLessThan(1e-5);
  });
});

/** All parameters, those that `prepare` computes too. */
function prepare(module: Module, m: Model): Model['data'] {
  const params = (name: string) => m.data.get(name)!;
  return new Map([...m.data, ...interpret(module, 'prepare', { params })]);
}
