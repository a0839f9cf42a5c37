/**
 * Every adapter of the library on random weights, over shapes and options: as written, merged, factored and by cost it gives what PyTorch
 * and peft compute (test/reference/make_adapters.py).
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';

interface Case {
  readonly name: string;
  readonly backbone: string;
  readonly adapt: string;
  readonly merges: boolean;
}

const file = fileURLToPath(new URL('../fixtures/adapters.safetensors', import.meta.url));
const store = await openSafetensors(await openFile(file));
const cases = JSON.parse(store.metadata.cases!) as Case[];

/** The tensors of case i: its `x`, its `y`, and the parameters. */
async function tensorsOf(i: number): Promise<{ x: Tensor; y: Tensor; params: ReadonlyMap<string, Tensor> }> {
  const params = new Map<string, Tensor>();
  for (const [name, entry] of store.tensors) {
    if (name.startsWith(`${i}/`)) params.set(name.slice(`${i}/`.length), await entry.read());
  }
  const [x, y] = [params.get('x')!, params.get('y')!];
  params.delete('x');
  params.delete('y');
  return { x, y, params };
}

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
    expect([...used].sort()).toEqual(['adaptformer', 'alore', 'dora', 'fact_tt', 'karst', 'lora', 'ssf', 'vpt']);
  });

  it.each(cases.map((c, i) => [i, c.name, c] as const))('%i: %s', async (i, _, { backbone, adapt, merges }) => {
    const { module } = good(`use std\n\n${backbone}\n\nmodel M {\n  base = one()\n  ${adapt}\n}`);
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
