/**
 * Gradients of every adapter of the library, by reverse mode on the elaborated program, against PyTorch's autograd on the adapter's formula
 * (test/reference/adapter_gradients.py), and against differences: of its parameters, of the layers below it, and of what it reads.
 */
import { describe, expect, it } from 'vitest';
import { STD } from '../../src/dsl/std.generated.js';
import { topological } from '../../src/ir/graph.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { noise } from '../ir/support.js';
import { relative } from '../passes/models.js';
import { backward } from './backward.js';
import { fixture, moduleOf } from './cases.js';

interface Case {
  readonly name: string;
  readonly backbone: string;
  readonly adapt: string;
}

const { metadata, tensorsOf } = await fixture('train/gradients');
const cases = JSON.parse(metadata.cases!) as Case[];

const dot = (a: Tensor, b: Tensor): number => [...a.data].reduce((sum, v, i) => sum + v * b.data[i]!, 0);

/** Of sum(y * dy), how fast it changes where each of the values goes its own random way: as measured, and by the gradients. */
function slopes(
  module: Module,
  dy: Tensor,
  values: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
): [number, number] {
  const ways = new Map<string, number[]>();
  for (const [name, t] of values) ways.set(name, noise(t.data.length, ways.size + 1));
  const at = (step: number): number => {
    const moved = (name: string): Tensor => {
      const { type, data } = values.get(name)!;
      return { type, data: Float64Array.from(data, (v, i) => v + step * ways.get(name)![i]!) };
    };
    const [y] = interpret(module, 'infer', { inputs: new Map([['x', moved('x')]]), params: moved }).values();
    return dot(y!, dy);
  };
  const STEP = 1e-5;
  let wanted = 0;
  for (const [name, { type }] of values) {
    wanted += dot(gradients.get(name)!, { type, data: Float64Array.from(ways.get(name)!) });
  }
  return [(at(STEP) - at(-STEP)) / (2 * STEP), wanted];
}

describe('gradients of the library’s adapters, against autograd', () => {
  it('leaves none out', () => {
    const used = cases.flatMap((c) => [...c.adapt.matchAll(/with (\w+)/g)].map((m) => m[1]));
    const declared = [...STD.adapters!.matchAll(/^adapter (\w+)/gm)].map((m) => m[1]);
    expect([...new Set(used)].sort()).toEqual(declared.sort());
  });

  it.each(cases.map((c, i) => [i, c.name, c] as const))('%i: %s', async (i, _, of) => {
    const t = await tensorsOf(`${i}`);
    const module = moduleOf(of);
    const names = [...module.params.values()].filter((p) => p.role !== 'constant').map((p) => p.name);
    const theirs = [...t.keys()].filter((key) => key.startsWith('gradient/'));
    expect(theirs.sort()).toEqual(names.map((name) => `gradient/${name}`).sort());
    const found = backward(
      module,
      (name) => t.get(`value/${name}`)!,
      t.get('x')!,
      () => t.get('dy')!,
      names,
    );
    expect(relative(t.get('y')!, found.y), 'the result').toBeLessThan(1e-6);
    expect(relative(t.get('dx')!, found.dx), 'by x').toBeLessThan(1e-6);
    for (const name of names) {
      expect(relative(t.get(`gradient/${name}`)!, found.gradients.get(name)!), name).toBeLessThan(1e-6);
    }
    // Differences see through `stop_gradient`; without one they are the third to agree.
    const stops = topological([module.funcs.get('infer')!.results[0]!.value]).some((v) => v.op === 'stop_gradient');
    expect(stops).toBe(of.adapt.includes('dora'));
    if (stops) return;
    const values = new Map([['x', t.get('x')!], ...names.map((name) => [name, t.get(`value/${name}`)!] as const)]);
    const [measured, derived] = slopes(module, t.get('dy')!, values, new Map(found.gradients).set('x', found.dx));
    expect(Math.abs(measured - derived)).toBeLessThan(1e-7 * Math.max(1, Math.abs(measured)));
  });
});
