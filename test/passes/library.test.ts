/** The adapters of the library, and one that is not in it, from specs: merged, factored and untouched models give the same numbers. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elaborate } from '../../src/dsl/elaborate.js';
import { parse } from '../../src/dsl/parse.js';
import { moduleAt } from '../../src/ir/run/samples.js';
import { printFunc } from '../../src/ir/text/print.js';
import type { Module } from '../../src/ir/types.js';
import { type Optimized, optimize } from '../../src/passes/index.js';
import { checkRegions } from './check-regions.js';
import { operators, parameters, relative, run, runPlain } from './models.js';

interface Size {
  dim: number;
  heads: number;
  depth: number;
}

const SMALL: Size = { dim: 16, heads: 2, depth: 1 };

function model(body: string, size: Size = SMALL, definitions = ''): Module {
  const text = `use std
${definitions}
model M {
  base = vit(image: 8, patch: 4, dim: ${size.dim}, depth: ${size.depth}, heads: ${size.heads})
  head = classify(base, pool: cls, classes: 3)
  ${body}
}
`;
  const { file, diagnostics } = parse('m.peft', text);
  const made = elaborate(file, { readFile: () => undefined });
  const errors = [...diagnostics, ...made.diagnostics].filter((d) => d.severity === 'error');
  if (!made.value || errors.length > 0) throw new Error(errors.map((d) => d.message).join('\n'));
  return made.value.module;
}

function allAgree(body: string, size: Size = SMALL, definitions = ''): void {
  const before = model(body, size, definitions);
  const params = parameters(before);
  const y = run(before, params);
  const merged = optimize(before, { adapters: 'merged', verify: true });
  expect(relative(y, run(merged.module, params))).toBeLessThan(1e-11);
  expect(merged.report.adapters.map((a) => a.state)).toEqual(merged.report.adapters.map(() => 'merged'));
  const plain = optimize(model('', size), { adapters: 'merged' }).module;
  expect(operators(merged.module)).toEqual(operators(plain));
  expect(relative(y, runPlain(plain, merged.module, merged.report.replaced, params))).toBeLessThan(1e-11);
  // As many as are asked for, and what is merged is merged alike for any number.
  const few = run(before, params, 1);
  expect(relative(few, run(merged.module, params, 1))).toBeLessThan(1e-11);
  const prepared = ({ module }: Optimized): string => printFunc(module.funcs.get('prepare')!);
  for (const n of [1, 16]) {
    const alone = optimize(moduleAt(before, n), { adapters: 'merged' });
    expect(prepared(alone), 'weights do not depend on the batch').toBe(prepared(merged));
  }
  for (const c of checkRegions(merged.report.regions, params)) expect(c.diagnostic).toBeUndefined();
  const factored = optimize(before, { adapters: 'factored', verify: true });
  expect(relative(y, run(factored.module, params))).toBeLessThan(1e-11);
}

const sites = fc.subarray(['attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2'], { minLength: 1 }).map((s) => s.join(', '));
const parts = fc
  .subarray(['attn.qkv.q', 'attn.qkv.k', 'attn.qkv.v', 'mlp.fc1'], { minLength: 1 })
  .map((s) => s.join(', '));
const size = fc.record({
  dim: fc.constantFrom(8, 16, 24),
  heads: fc.constantFrom(1, 2),
  depth: fc.constantFrom(1, 2),
});
const adapter = fc.oneof(
  fc
    .record({ rank: fc.integer({ min: 1, max: 4 }), alpha: fc.integer({ min: 1, max: 9 }) })
    .map((o) => `lora(rank: ${o.rank}, alpha: ${o.alpha})`),
  fc
    .record({
      kernels: fc.integer({ min: 1, max: 3 }),
      factor: fc.constantFrom(2, 4),
      rank: fc.integer({ min: 1, max: 3 }),
      rescale: fc.constantFrom('none', 'scalar', 'channel'),
      input: fc.boolean(),
    })
    .map(
      (o) =>
        `karst(kernels: ${o.kernels}, factor: ${o.factor}, rank: ${o.rank}, rescale: ${o.rescale}, input: ${o.input})`,
    ),
  fc
    .record({ experts: fc.constantFrom(1, 2, 4), rank: fc.integer({ min: 1, max: 2 }), bias: fc.boolean() })
    .map((o) => `alore(experts: ${o.experts}, rank: ${o.rank}, scale: 0.5, bias: ${o.bias})`),
  fc
    .record({ groups: fc.constantFrom(1, 2, 4), each: fc.integer({ min: 1, max: 2 }) })
    .map((o) => `repadapter(hidden: ${o.groups * o.each}, groups: ${o.groups}, scale: 0.5)`),
  fc.constant('dora(rank: 2)'),
);

describe('adapters of the library', () => {
  it('merged, factored and untouched agree, and merged is the plain model (property)', () => {
    const grafts = fc.array(fc.tuple(fc.oneof(sites, parts), adapter), { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(size, grafts, (s, list) => {
        allAgree(`in base.blocks[*] {\n${list.map(([at, a]) => `    adapt ${at} with ${a}`).join('\n')}\n  }`, s);
      }),
      { numRuns: 25, seed: 1 },
    );
  }, 120_000);

  it.each(['lora_conv(rank: 2, alpha: 3, bias: true)', 'lora_conv(rank: 1)', 'dora_conv(rank: 2, alpha: 5)'])(
    'a convolution: %s',
    (made) => allAgree(`adapt base.patch_embed with ${made}`),
  );

  it('masks under an adapter and over the sum', () => {
    const prune = (over: string): string =>
      `in base.blocks[*] { adapt mlp.fc1, mlp.fc2 with karst(rank: 2, factor: 4)\n prune mlp.fc1, mlp.fc2 with magnitude(sparsity: 50%, over: ${over}) }`;
    allAgree(prune('base'));
    allAgree(prune('sum'));
  });

  it('says that a mask over the sum cannot be kept as factors', () => {
    const before = model(
      'in base.blocks[*] { adapt mlp.fc1 with karst(rank: 2, factor: 4)\n prune mlp.fc1 with magnitude(sparsity: 50%, over: sum) }',
    );
    const { report } = optimize(before, { adapters: 'factored' });
    expect(report.diagnostics.map((d) => d.code)).toEqual(['ESP0406']);
  });

  it('points at the line of the adapter that stands in the way', () => {
    const definitions = `adapter squash(rank: int) on base: Linear(in -> out) {
  A = param [rank, in] kaiming_uniform(1)
  B = param [out, rank] zeros
  forward(x) { base(x) + tanh(x @ A.T) @ B.T }
}`;
    const before = model(
      'in base.blocks[*] { adapt mlp.fc1 with squash(rank: 2) }',
      { ...SMALL, depth: 2 },
      definitions,
    );
    const { report } = optimize(before, { adapters: 'merged' });
    expect(report.diagnostics).toHaveLength(1);
    const [d] = report.diagnostics;
    expect(d!.message).toBe('cannot merge squash at base.blocks[0].mlp.fc1 and 1 more: tanh stands in the way');
    const { start, end } = d!.primary!.span;
    expect(`use std\n${definitions}`.slice(start, end)).toContain('tanh');
  });
});

describe("a user's own adapter", () => {
  it('merges without the compiler knowing it', () => {
    const definitions = `adapter swirl(rank: int, strength: float = 0.5) on base: Linear(in -> out) {
  P = param [rank, in]  kaiming_uniform(1)
  Q = param [in, rank]  zeros
  g = param [out]       ones
  R = param [out, rank] zeros
  L = param [rank, out] zeros
  forward(x) {
    z = x - strength * (x @ P.T @ Q.T)
    y = g * base(2 * z)
    y + y @ L.T @ R.T - 0.25
  }
}`;
    allAgree(
      'in base.blocks[*] { adapt attn.qkv, attn.proj, mlp.fc1, mlp.fc2 with swirl(rank: 3) }',
      { ...SMALL, depth: 2 },
      definitions,
    );
    allAgree(
      'in base.blocks[*] { adapt attn.qkv.v with swirl(rank: 2)\n adapt attn.qkv with lora(rank: 1) }',
      SMALL,
      definitions,
    );
  });
});
