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
import { compiled, difference, entryOf, Model, random } from '../harness.js';
import { simulateProgram } from './run.js';

const opsOf = (func: Func): string[] => topological(rootsOf(func)).map((v) => v.op);

/** Numbers of very different sizes, whose sum depends on the order. */
function updates(count: number): Float32Array {
  const next = random(3);
  return Float32Array.from({ length: count }, (_, i) => next() * 10 ** (i % 9));
}

const INDICES = Int32Array.from({ length: 60 }, (_, i) => (i * i + 3) % 7);

describe('scatter_add', () => {
  it('gives the same bits in every variant, in every run, whatever the order of threads: each sum in the order of its updates', () => {
    const m = new Model(1);
    const x = m.input([60, 8], 'f32', tensor([60, 8], updates(480)));
    const indices = m.input([60], 'i32', tensor([60], INDICES, 'i32'));
    const g = compiled(m.module(build.scatterAdd(x, indices, 0, 9)));
    const wanted = new Float32Array(72);
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 8; j++) {
        const to = INDICES[i]! * 8 + j;
        wanted[to] = Math.fround(wanted[to]! + updates(480)[i * 8 + j]!);
      }
    }
    for (const by of ['portable', 'tile', ...SUBGROUP_SIZES] as const) {
      for (const order of ['forward', 'reverse'] as const) {
        const run = simulateProgram(g, m, by, order);
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
