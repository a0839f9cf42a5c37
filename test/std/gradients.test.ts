/**
 * Gradients of every adapter of the library, by reverse mode on the elaborated program, against PyTorch's autograd on the adapter's formula
 * (test/reference/adapter_gradients.py): of its parameters, of the layers below it, and of what it reads.
 */
import { describe, expect, it } from 'vitest';
import { STD } from '../../src/dsl/std.generated.js';
import { input, topological } from '../../src/ir/graph.js';
import { Interner } from '../../src/ir/intern.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { valuesAt } from '../../src/ir/run/samples.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import { cotangents, decomposed } from '../../src/passes/differentiate/reverse.js';
import { relative } from '../passes/models.js';
import { fixture, moduleOf } from './cases.js';

interface Case {
  readonly name: string;
  readonly backbone: string;
  readonly adapt: string;
}

const { metadata, tensorsOf } = await fixture('train/gradients');
const cases = JSON.parse(metadata.cases!) as Case[];
const SAMPLES = 2;

/** What the program gives for `x`, and the gradients of sum(y * dy) by x and by every parameter that PyTorch's file names. */
function differentiated(of: Case, t: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  const module = moduleOf(of);
  const { inputs, results } = module.funcs.get('infer')!;
  const dy = input('dy', results[0]!.value.type);
  const leaves = topological([results[0]!.value]).filter((v) => v.op === 'param');
  const nameOf = (v: Value): string => (v as Extract<Value, { op: 'param' }>).attrs.name;
  const wanted = leaves.filter((v) => t.has(`value/${nameOf(v)}`));
  expect(wanted.map(nameOf).sort(), 'parameters').toEqual(
    [...module.params.values()]
      .filter((p) => p.role !== 'constant')
      .map((p) => p.name)
      .sort(),
  );
  const interner = new Interner();
  const [y, x, ...params] = decomposed(interner, [results[0]!.value, inputs[0]!, ...wanted]);
  const gradients = cotangents(interner, [{ value: y!, cotangent: dy }], [x!, ...params]);
  const names = ['y', 'dx', ...wanted.map((v) => `gradient/${nameOf(v)}`)];
  const values = [y!, ...gradients].map((v, i) => {
    if (!v) throw new Error(`no ${names[i]}`);
    return v;
  });
  const found = interpretValues(values.map(valuesAt(values, SAMPLES)), {
    inputs: new Map([
      ['x', t.get('x')!],
      ['dy', t.get('dy')!],
    ]),
    params: (name) => {
      const { data, type } = module.params.get(name)!;
      return data ? { data, type } : t.get(`value/${name}`)!;
    },
  });
  return new Map(names.map((name, i) => [name, found[i]!]));
}

describe('gradients of the library’s adapters, against autograd', () => {
  it('leaves none out', () => {
    const used = cases.flatMap((c) => [...c.adapt.matchAll(/with (\w+)/g)].map((m) => m[1]));
    const declared = [...STD.adapters!.matchAll(/^adapter (\w+)/gm)].map((m) => m[1]);
    expect([...new Set(used)].sort()).toEqual(declared.sort());
  });

  it.each(cases.map((c, i) => [i, c.name, c] as const))('%i: %s', async (i, _, of) => {
    const t = await tensorsOf(i);
    const found = differentiated(of, t);
    const wanted = [...t.keys()].filter((name) => name === 'y' || name === 'dx' || name.startsWith('gradient/'));
    expect([...found.keys()].sort()).toEqual(wanted.sort());
    for (const name of wanted) expect(relative(t.get(name)!, found.get(name)!), name).toBeLessThan(1e-6);
  });
});
