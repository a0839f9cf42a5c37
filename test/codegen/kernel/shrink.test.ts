/** A product that is made small for the simulator has the loops, registers and memory of the large one, over two tiles and a remainder. */

import { describe, expect, it } from 'vitest';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import type { Kernel, Stmt } from '../../../src/codegen/kernel/types.js';
import { build } from '../../../src/ir/build.js';
import type { Value } from '../../../src/ir/types.js';
import { Model } from '../harness.js';
import { type GroupKernel, kernelsOf, packedOf } from './group-kernels.js';
import { type Sizes, shrunk } from './shrink.js';

/** Loops with their steps, variables, arrays, barriers and accesses to workgroup memory, in order; how long the sum is and what is guarded is left out. */
function outline(program: Kernel): string[] {
  const lines = (list: readonly Stmt[], depth: string): string[] =>
    list.flatMap((s): string[] => {
      switch (s.kind) {
        case 'for':
          return [
            `${depth}for ${s.name} by ${s.step}${s.name === 'k' ? '' : ` to ${JSON.stringify(s.below)}`}`,
            ...lines(s.body, `${depth}  `),
          ];
        case 'if':
          return s.cases.flatMap((c) => lines(c.body, depth));
        case 'block':
          return lines(s.body, depth);
        case 'array':
          return [`${depth}array ${s.name} ${s.values.length}`];
        case 'put':
          return [`${depth}put ${s.array}`];
        case 'let':
        case 'var':
        case 'assign':
          return [`${depth}${s.kind} ${s.name}`];
        default:
          return [`${depth}${s.kind}`];
      }
    });
  const { workgroup, subgroup, shared, functions, main } = program;
  const memory = shared.map((a) => `${a.name} ${a.count}`);
  const names = functions.map((f) => f.name);
  return [`${workgroup} ${subgroup}`, ...memory, names.join(' '), ...lines(main, '')];
}

function only(m: Model, result: Value, weights: 'f32' | 'f16' = 'f32'): GroupKernel {
  const kernels = kernelsOf(m.module(result), weights);
  expect(kernels).toHaveLength(1);
  return kernels[0]!;
}

/** Products of ViT-B/16. */
const PRODUCTS: Readonly<Record<string, () => GroupKernel>> = {
  'queries, keys and values': () => {
    const m = new Model();
    const y = build.linear(m.input([1, 197, 768]), m.param([2304, 768]), m.param([2304]));
    return only(m, build.transpose(build.reshape(y, [1, 197, 3, 12, 64]), [2, 0, 3, 1, 4]));
  },
  'a layer and gelu': () => {
    const m = new Model();
    const y = build.linear(m.input([1, 197, 768]), m.param([3072, 768]), m.param([3072]));
    return only(m, m.op('gelu', [y], { form: 'none' }));
  },
  'a layer beside a residual, in halves': () => {
    const m = new Model();
    const y = build.linear(m.input([1, 197, 3072]), m.param([768, 3072]), m.param([768]));
    return only(m, build.add(m.input([1, 197, 768]), y), 'f16');
  },
};

describe('products made small', () => {
  for (const [name, make] of Object.entries(PRODUCTS)) {
    it(`${name}: the schedule stays`, () => {
      const large = make();
      let chosen = 0;
      for (const variant of large.kernel.variants) {
        const small = shrunk(large, variant.name);
        expect(outline(small.variant.program), variant.name).toEqual(outline(variant.program));
        // The same accesses: as wide as they were.
        const items = (windows: typeof small.of.kernel.windows): unknown => windows.map((w) => [w.buffer, w.item]);
        expect(items(small.variant.lowered.windows)).toEqual(items(variant.lowered.windows));
        const own = small.of.kernel.variants.find((v) => v.name === variant.name)!;
        if (outline(own.program).join() !== outline(variant.program).join()) chosen++;
      }
      // Else nothing would have been seen of it: a small product by itself gets another schedule.
      expect(chosen).toBeGreaterThan(2);
    });

    it(`${name}: two tiles and a remainder`, () => {
      const large = make();
      let kept = 0;
      for (const variant of large.kernel.variants) {
        const { from, to, tile, variant: made } = shrunk(large, variant.name);
        for (const axis of ['m', 'n', 'k'] as const satisfies readonly (keyof Sizes)[]) {
          if (to[axis] === from[axis]) kept++;
          else {
            expect(to[axis] / tile[axis], `${variant.name} ${axis}`).toBeGreaterThan(2);
            expect(to[axis] / tile[axis], `${variant.name} ${axis}`).toBeLessThan(3);
          }
        }
        expect(to.m * to.n * to.k).toBeLessThan(2 ** 22);
        expect(workgroupsAt(made.workgroups, 1)).toEqual([Math.ceil(to.n / tile.n), Math.ceil(to.m / tile.m), 1]);
      }
      // Only columns that are fewer than two of the widest tiles stay.
      expect(kept).toBe(packedOf(large.kernel)!.layout.shape[0] === 768 ? 1 : 0);
    });
  }

  it('is refused where axes cannot be told apart, and for other operators', () => {
    const m = new Model();
    const square = only(m, build.linear(m.input([1, 300, 300]), m.param([400, 300])));
    expect(() => shrunk(square, 'portable')).toThrow('the size 300 stands for two axes');
    const heads = new Model();
    const q = heads.input([1, 2, 300, 64]);
    const attention = only(heads, build.attention(q, q, q, 1));
    expect(() => shrunk(attention, 'portable')).toThrow('no way to shrink attention');
    const sliced = new Model();
    const x = build.slice(sliced.input([1, 400, 128]), [0, 0, 0], [1, 300, 128]);
    expect(() => shrunk(only(sliced, build.linear(x, sliced.param([512, 128]))), 'portable')).toThrow(
      'no way to shrink slice',
    );
  });
});
