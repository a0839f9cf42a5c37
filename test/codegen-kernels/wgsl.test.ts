/** The generated WGSL itself, one of each kind, so that a change of a generator shows what it changes. Loads and stores are the scheduler's. */
import { expect, test } from 'vitest';
import { attentionVariants } from '../../src/codegen/attention.js';
import { contractVariants } from '../../src/codegen/contract.js';
import { MOST_WORKGROUPS } from '../../src/codegen/grid.js';
import type { AttentionProblem, ContractProblem } from '../../src/codegen/problem.js';
import { expectGolden } from '../golden.js';

const CONTRACT: ContractProblem = {
  batch: 1,
  m: 3,
  n: 40,
  k: 20,
  weight: { kind: 'tiles', kTile: 16, nTile: 32, dtype: 'f32' },
  declarations: '// bindings, load_a4 and store4',
  maxWorkgroups: MOST_WORKGROUPS,
};

const ATTENTION: AttentionProblem = {
  batch: 2,
  rows: 3,
  keys: 70,
  headDim: 8,
  valueDim: 8,
  scale: 0.5,
  hasBias: true,
  hasLse: true,
  declarations: '// bindings, load_q4, load_k4, load_v4, bias, store4 and store_lse',
  maxWorkgroups: MOST_WORKGROUPS,
};

test('contractions', () => {
  const variants = contractVariants(CONTRACT);
  expect(variants.map((v) => [v.name, v.workgroups.join('x')])).toMatchInlineSnapshot(`
    [
      [
        "subgroup4",
        "3x1x1",
      ],
      [
        "subgroup8",
        "2x1x1",
      ],
      [
        "subgroup16",
        "1x1x1",
      ],
      [
        "subgroup32",
        "1x1x1",
      ],
      [
        "subgroup64",
        "1x1x1",
      ],
      [
        "portable",
        "1x1x1",
      ],
    ]
  `);
  for (const name of ['subgroup8', 'subgroup4', 'portable']) {
    expectGolden(`contract-${name}.wgsl`, variants.find((v) => v.name === name)!.wgsl);
  }
  const halves = contractVariants({ ...CONTRACT, weight: { kind: 'tiles', kTile: 16, nTile: 32, dtype: 'f16' } });
  expectGolden('contract-portable-f16.wgsl', halves.at(-1)!.wgsl);
});

test('attention', () => {
  const variants = attentionVariants(ATTENTION);
  expect(variants.map((v) => [v.name, v.workgroups.join('x')])).toMatchInlineSnapshot(`
    [
      [
        "subgroup4",
        "1x2x1",
      ],
      [
        "subgroup8",
        "1x2x1",
      ],
      [
        "subgroup16",
        "1x2x1",
      ],
      [
        "subgroup32",
        "1x2x1",
      ],
      [
        "subgroup64",
        "1x2x1",
      ],
      [
        "portable",
        "1x2x1",
      ],
    ]
  `);
  for (const name of ['subgroup8', 'portable']) {
    expectGolden(`attention-${name}.wgsl`, variants.find((v) => v.name === name)!.wgsl);
  }
});

test('a subgroup variant asks for its exact size, and the last variant for nothing', () => {
  for (const variants of [contractVariants(CONTRACT), attentionVariants(ATTENTION)]) {
    for (const v of variants.slice(0, -1)) {
      expect(v.requires.features).toEqual(['subgroups']);
      expect(v.name).toBe(`subgroup${v.requires.subgroupSize}`);
      // No lane may leave before a subgroup operation.
      expect(v.wgsl.slice(v.wgsl.indexOf('fn main'))).not.toContain('return');
    }
    expect(variants.at(-1)).toMatchObject({ name: 'portable', requires: {} });
    expect(Math.max(...variants.slice(-1).map((v) => v.rank))).toBeLessThan(
      Math.min(...variants.slice(0, -1).map((v) => v.rank)),
    );
  }
});
