/** The generated WGSL itself, one of each kind, so that a change of a generator shows what it changes. Loads and stores are plain ones. */
import { expect, test } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { attentionVariants } from '../../src/codegen/attention/attention.js';
import { contractVariants } from '../../src/codegen/contract/contract.js';
import { eachStmt } from '../../src/codegen/kernel/walk.js';
import type { GeneratedVariant } from '../../src/codegen/problem.js';
import { expectGolden } from '../golden.js';
import { attentionProblem, type Bound, contractProblem, textsOf } from './problems.js';

const CONTRACT = contractProblem({ m: 3, n: 40, k: 20, weight: 'f32' });
const HALVES = contractProblem({ m: 3, n: 40, k: 20, weight: 'f16' });
const ATTENTION = attentionProblem({ batch: 2, rows: 3, keys: 70, headDim: 8, valueDim: 8, bias: true, lse: true });

/** The texts of variants by name. */
const texts = (variants: readonly GeneratedVariant[], { buffers }: Bound<unknown>): Map<string, string> => {
  const all = textsOf(variants, buffers);
  return new Map(variants.map((v, i) => [v.name, all[i]!]));
};

test('contractions', () => {
  const variants = contractVariants(CONTRACT.problem);
  expect(variants.map((v) => [v.name, workgroupsAt(v.workgroups, 1).join('x')])).toMatchInlineSnapshot(`
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
        "subgroup128",
        "1x1x1",
      ],
      [
        "tile",
        "1x1x1",
      ],
      [
        "portable",
        "1x1x1",
      ],
    ]
  `);
  for (const name of ['subgroup8', 'subgroup4', 'tile', 'portable']) {
    expectGolden(`contract-${name}.wgsl`, texts(variants, CONTRACT).get(name)!);
  }
  const halves = texts(contractVariants(HALVES.problem), HALVES);
  expectGolden('contract-portable-f16.wgsl', halves.get('portable')!);
});

test('attention', () => {
  const variants = attentionVariants(ATTENTION.problem);
  expect(variants.map((v) => [v.name, workgroupsAt(v.workgroups, 1).join('x')])).toMatchInlineSnapshot(`
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
        "subgroup128",
        "1x2x1",
      ],
      [
        "portable",
        "1x2x1",
      ],
    ]
  `);
  for (const name of ['subgroup8', 'portable']) {
    expectGolden(`attention-${name}.wgsl`, texts(variants, ATTENTION).get(name)!);
  }
});

test('a subgroup variant asks for its exact size, and the last variant for nothing', () => {
  for (const variants of [contractVariants(CONTRACT.problem), attentionVariants(ATTENTION.problem)]) {
    for (const v of variants.filter((v) => v.requires.subgroupSize !== undefined)) {
      expect(v.requires.features).toEqual(['subgroups']);
      expect(v.name).toBe(`subgroup${v.requires.subgroupSize}`);
      // No lane may leave before a subgroup operation.
      eachStmt(v.program.main, (s) => expect(s.kind).not.toBe('return'));
    }
    expect(variants.at(-1)).toMatchObject({ name: 'portable', requires: {} });
    expect(Math.max(...variants.slice(-1).map((v) => v.rank))).toBeLessThan(
      Math.min(...variants.slice(0, -1).map((v) => v.rank)),
    );
  }
});

test('no loop that a software driver runs is one that Mesa unrolls: of constant ends and few turns', () => {
  for (const { program, name } of [...contractVariants(CONTRACT.problem), ...attentionVariants(ATTENTION.problem)]) {
    const loops: string[] = [];
    eachStmt(program.main, (s) => {
      if (s.kind !== 'for') return;
      const constant = s.from.kind === 'literal' && s.below.kind === 'literal';
      if (constant) loops.push(s.name);
    });
    if (/^(portable|subgroup[48])$/.test(name)) expect(loops, name).toEqual([]);
    else expect(loops.length, name).toBeGreaterThan(0);
  }
});
