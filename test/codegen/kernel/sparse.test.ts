/**
 * Products whose weight has whole tiles of zeros: those are not stored and not multiplied. In every variant, over every subgroup size, the program gives what
 * the interpreter gives, proves its bounds, and leaves undefined nothing; what is left out, and where nothing is, is counted.
 */
import { describe, expect, it } from 'vitest';
import { keptTiles, packKept } from '../../../src/codegen/buffers/kept.js';
import { TILE_K, TILE_N, tiles } from '../../../src/codegen/buffers/layout.js';
import { pack } from '../../../src/codegen/buffers/pack.js';
import type { Generated, GenerateOptions } from '../../../src/codegen/generate.js';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Value } from '../../../src/ir/types.js';
import { compiled, Model } from '../harness.js';
import { blocky, holding, SPARSE_PRODUCTS } from '../sparse.js';
import { expectRight, simulateProgram } from './run.js';

const sparse = ({ program }: Generated) => program.kernels.filter((k) => k.archetype === 'sparse_contract');

describe('a product that leaves tiles out', () => {
  for (const [name, make] of Object.entries(SPARSE_PRODUCTS)) {
    for (const weights of ['f32', 'f16'] as const) {
      it(`${name}, in ${weights}: as the interpreter says`, () => {
        const m = new Model(3, 2);
        const g = expectRight(m, [make(m)], { tolerance: 2e-6, weights, mayHold: holding(m) });
        expect(sparse(g).length).toBeGreaterThan(0);
      });
    }
  }

  it('stores and multiplies what is left', () => {
    const m = new Model();
    const y = build.linear(m.input([BATCH, 16, 64]), m.param([128, 64], blocky([128, 64], 0.75)));
    const [dense, g] = [compiled(m.module(y)), compiled(m.module(y), { mayHold: holding(m) })];
    const { kept } = g.weights.find((w) => w.packed)!.packed!;
    const share = kept!.blocks.length / kept!.of;
    expect(share).toBeLessThan(0.5);
    expect(g.program.summary.flops).toBeCloseTo(share * dense.program.summary.flops, 0);
    expect(g.program.summary.sparseFlops).toBe(g.program.summary.flops);
    const bytes = (of: Generated): number => of.weights.find((w) => w.packed)!.entry.bytes;
    expect(bytes(g)).toBe(share * bytes(dense));
    const loads = (of: Generated): number => simulateProgram(of, m, 8).stats.loads;
    expect(loads(g)).toBeLessThan((share + 0.1) * loads(dense));
  });

  it('has one kernel for layers of one shape, however many tiles each has, and each gets its own', () => {
    const m = new Model(5);
    const layer = (x: Value, zeros: number, seed: number): Value =>
      build.gelu(build.linear(x, m.param([64, 64], blocky([64, 64], zeros, seed))));
    // The last two have as many tiles, in other places.
    const y = [0.3, 0.8, 0.6].reduce((x, zeros, i) => layer(x, zeros, i), m.input([BATCH, 9, 64]));
    const turned = tensor([64, 64], Float32Array.from(blocky([64, 64], 0.6, 2).data).reverse());
    const z = build.gelu(build.linear(y, m.param([64, 64], turned)));
    const g = expectRight(m, [z], { tolerance: 2e-6, mayHold: holding(m) });
    // The first reads the input, which is bound as one, and the others what kernels wrote.
    expect(sparse(g)).toHaveLength(2);
    const counts = g.weights.flatMap((w) => w.packed?.kept?.blocks.length ?? []);
    expect(new Set(counts).size).toBeGreaterThan(2);
    expect(counts[3]).toBe(counts[2]);
  });

  it('keeps to the bindings that a kernel has', () => {
    const m = new Model(7);
    const x = m.input([BATCH, 9, 64]);
    const h = build.linear(x, m.param([64, 64], blocky([64, 64], 0.7)), m.param([64]));
    const y = [1, 2, 3, 4].reduce((sum: Value) => build.add(sum, m.input([BATCH, 9, 64])), h);
    const g = expectRight(m, [y], { tolerance: 2e-6, mayHold: holding(m) });
    for (const k of g.program.kernels) expect(k.bindings.length).toBeLessThanOrEqual(8);
    expect(g.program.kernels.length).toBe(2);
  });
});

describe('a weight is stored whole', () => {
  const whole = (make: (m: Model) => readonly Value[], options: (m: Model) => Partial<GenerateOptions>): void => {
    const m = new Model();
    const g = expectRight(m, make(m), { tolerance: 2e-6, ...options(m) });
    expect(sparse(g)).toEqual([]);
    expect(g.weights.every((w) => !w.packed?.kept)).toBe(true);
  };
  const layer = (zeros: number) => (m: Model) => [
    build.linear(m.input([BATCH, 9, 64]), m.param([128, 64], blocky([128, 64], zeros))),
  ];

  it('where few tiles are zero', () => whole(layer(0.1), (m) => ({ mayHold: holding(m) })));
  it('where nobody says what it may hold', () => whole(layer(0.8), () => ({})));
  it('where products read it both ways round', () => {
    const both = (m: Model): readonly Value[] => {
      const w = m.param([64, 64], blocky([64, 64], 0.8));
      return [build.linear(m.input([BATCH, 9, 64]), w), build.matmul(m.input([BATCH, 5, 64]), w)];
    };
    whole(both, (m) => ({ mayHold: holding(m) }));
  });
});

describe('tiles', () => {
  const at = tiles([64, 32], 0);

  it('that hold anything are found, wherever it lies in them', () => {
    const elements = new Float32Array(64 * 32);
    // The last element of the second strip's first tile.
    elements[63 * 32 + 15] = 1e-40;
    const kept = keptTiles(at, elements);
    expect([[...kept.starts], [...kept.blocks], kept.of]).toEqual([[0, 0, 1], [0], 4]);
    expect(packKept(pack(elements, at, 'f32'), kept)).toHaveLength(TILE_K * TILE_N * 4);
  });

  it('that were left out are not dropped where they hold something', () => {
    const elements = new Float32Array(64 * 32);
    const kept = keptTiles(at, elements);
    expect(packKept(pack(elements.fill(-0), at, 'f32'), kept)).toHaveLength(TILE_K * TILE_N * 4);
    elements[63 * 32 + 31] = 1e-40;
    expect(() => packKept(pack(elements, at, 'f32'), kept)).toThrow('tile 3 of 4 is left out and is not zero');
  });
});
