/** Results that take the memory of an operand: which do, and that programs with such are right. */
import { describe, expect, it } from 'vitest';
import type { Generated } from '../../src/codegen/generate.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import { compiled, entryOf, Model } from './harness.js';
import { expectRight } from './kernel/run.js';
import { TINY, vit } from './vit.js';

/** `a -> b` for each tensor b that is written over a, by the operators that made them. */
function overs(g: Generated): string[] {
  const op = (name: string): string => /\((\w+)\)$/.exec(name)![1]!;
  return [g.memory.samples, g.memory.fixed].flatMap(({ tenants }) =>
    tenants.flatMap((t) => (t.over ? [`${op(t.over.name)} -> ${op(t.name)}`] : [])),
  );
}

/** Compiles the results, runs them in the simulator, and says what is written in place. */
function placed(make: (m: Model) => Value | readonly Value[], options: Parameters<typeof compiled>[1] = {}): string[] {
  const m = new Model(9);
  const made = make(m);
  return overs(expectRight(m, 'id' in made ? [made] : made, { tolerance: 3e-5, ...options }));
}

/** Something that lies in the arena, and something that keeps what is given from being a result. */
const made = (m: Model, shape = [6, 8]): Value => build.softmax(m.input(shape), shape.length - 1);
const end = (v: Value): Value => build.softmax(v, v.type.shape.length - 1);
const linear = (m: Model, x: Value, n = 8): Value => build.linear(x, m.param([n, x.type.shape.at(-1)!]));

describe('a result in place of an operand', () => {
  it('of a residual connection, one after another in one place', () => {
    const m = new Model(3);
    const g = expectRight(m, [vit(m, TINY)], { tolerance: 3e-5 });
    expect(overs(g)).toEqual(Array.from({ length: 4 }, () => 'add -> add'));
    const stream = g.memory.fixed.tenants.filter((t) => t.name.endsWith('(add)'));
    expect(new Set(stream.map((t) => `${t.slab}:${t.offset}`)).size).toBe(1);
    // One binding for both, which no other overlaps (generate.test.ts).
    const residual = g.program.kernels.filter((k) => k.name.endsWith('_add') && k.archetype === 'contract');
    expect(residual.map((k) => k.bindings.join())).toEqual([
      'read,read_write,read,read_write',
      'read,read_write,read,read_write',
    ]);
  });

  it('for any number of samples', () => {
    for (const samples of [1, 3]) {
      const m = new Model(3, samples);
      const g = expectRight(m, [vit(m, { ...TINY, batch: BATCH })], { tolerance: 3e-5, samples: 8 });
      expect(overs(g).length).toBe(4);
      expect(g.memory.fixed.tenants.some((t) => t.over)).toBe(false);
    }
  });

  it('of an optimiser’s step', () => {
    expect(
      placed((m) => {
        const [p, g] = [made(m), linear(m, m.input([6, 4]))];
        return [end(p), end(build.sub(p, build.mul(g, 0.1)))];
      }),
    ).toEqual(['softmax -> sub']);
    // New moments and parameter, each over the old one.
    const adam = (m: Model): Value[] => {
      const [p, a, b, g] = [made(m), made(m), made(m), made(m)];
      const first = build.add(build.mul(a, 0.9), build.mul(g, 0.1));
      const second = build.add(build.mul(b, 0.9), build.mul(build.mul(g, g), 0.1));
      const next = build.sub(p, build.div(first, build.add(build.sqrt(second), 1e-3)));
      return [...[p, a, b, g].map(end), end(next), build.max(next, [1]), end(first), end(second)];
    };
    expect(placed(adam)).toHaveLength(3);
    const m = new Model(9);
    const g = compiled(m.module(...adam(m)));
    const step = entryOf(g).dispatches.find((d) => g.program.kernels[d.kernel]!.archetype === 'pointwise')!;
    expect(step.bindings.length).toBe(4);
  });

  it('of arithmetic on one operand, and of an activation with its product', () => {
    expect(placed((m) => end(build.exp(build.add(made(m), made(m)))))).toHaveLength(1);
    expect(
      placed((m) => {
        const [x, h] = [made(m), linear(m, m.input([6, 4]))];
        const y = build.add(x, h);
        return [end(y), end(build.relu(y)), end(y)];
      }),
    ).toHaveLength(1);
  });

  it.each<[string, (m: Model) => Value | readonly Value[]]>([
    [
      'that is read later',
      (m) => {
        const x = made(m);
        return [end(build.add(x, linear(m, m.input([6, 4])))), end(x)];
      },
    ],
    ['that is an argument', (m) => end(build.exp(build.add(m.input([6, 8]), linear(m, m.input([6, 4])))))],
    [
      'that is a result of the program',
      (m) => {
        const x = made(m);
        return [x, end(build.add(x, linear(m, m.input([6, 4]))))];
      },
    ],
    ['where the result is one of the program', (m) => build.add(made(m), linear(m, m.input([6, 4])))],
    [
      'that the product reads too',
      (m) => {
        const x = made(m);
        return end(build.add(x, linear(m, x)));
      },
    ],
    [
      'that is read at other elements too',
      (m) => {
        const x = made(m);
        return end(build.add(linear(m, m.input([6, 4])), build.mul(x, build.roll(x, [1], [0]))));
      },
    ],
    [
      'of more or fewer elements',
      (m) => {
        const x = made(m, [7, 8]);
        return [end(x), end(build.add(linear(m, m.input([6, 4])), build.sliceAxis(x, 0, 0, 6)))];
      },
    ],
    // The last four of a row reach into the next one, which another thread may have written.
    ['of rows that no four divide', (m) => end(build.add(linear(m, m.input([6, 4]), 7), made(m, [6, 7])))],
    // Every pass of a row reads it, and threads past the last row go through it again.
    ['of a norm', (m) => end(build.exp(build.layerNorm(build.exp(linear(m, made(m))), undefined, undefined, 1e-5)))],
    [
      'of elements of another type',
      (m) => {
        const places = build.cast(build.aux(m.op('top_k', [m.input([6, 8])], { k: 8 }), 'indices'), 'f32');
        return [end(places), end(build.add(linear(m, m.input([6, 4])), places))];
      },
    ],
  ])('not one %s', (_, make) => {
    expect(placed(make)).toEqual([]);
  });

  it('not where the kernel is cut', () => {
    const add = (m: Model): Value => end(build.add(linear(m, m.input([60, 4])), made(m, [60, 8])));
    expect(placed(add)).toEqual(['softmax -> add']);
    expect(placed(add, { limits: { maxStorageBufferBindingSize: 1024 } })).toEqual([]);
  });
});
