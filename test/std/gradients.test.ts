/**
 * Gradients of every adapter of the library, by reverse mode on the elaborated program, against PyTorch's autograd on the adapter's formula
 * (test/reference/adapter_gradients.py): of its parameters, of the layers below it, and of what it reads.
 */
import { describe, expect, it } from 'vitest';
import { STD } from '../../src/dsl/std.generated.js';
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
  });
});
