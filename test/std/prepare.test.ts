/**
 * `prepare` by kernels, for every adapter of the library: the tensors that it gives, against f64; and in a program that prepares its weights when it is
 * loaded, the bytes that lie in memory (in the simulator) and what the model then gives (on a driver), against f64 and PyTorch.
 */
import { describe, expect, it } from 'vitest';
import { entryNamed } from '../../runtime/program/program.js';
import { generate } from '../../src/codegen/generate.js';
import { STD } from '../../src/dsl/std.generated.js';
import { fromHalf } from '../../src/ir/run/half.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { random } from '../api/support.js';
import { difference, OPTIONS } from '../codegen/harness.js';
import { simulateCall, unproved, weightMemory } from '../codegen/kernel/run.js';
import { given, sessionOf } from '../codegen/states-suite.js';
import { withDriver } from '../codegen/suite.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { type Case, cases, moduleOf, tensorsOf } from './cases.js';

/** Of the largest number of a tensor: what f32 leaves of sums of a few dozen terms, and what halves do. */
const TOLERANCE = { f32: 2e-6, f16: 6e-4 } as const;

async function merged(i: number, of: Case) {
  const { module } = optimize(moduleOf(of), { adapters: 'merged', verify: true });
  const { x, y, params } = await tensorsOf(i);
  const read = (name: string): Tensor => params.get(name)!;
  return { module, x, y, read, prepared: interpret(module, 'prepare', { params: read }) };
}

/** Adapters of attention itself, which PyTorch has no case of: with random numbers for parameters. */
const ON_ATTENTION = ['adapt base.attn.attend with prefix(length: 3)', 'adapt base.attn.attend with relative_bias()'];
const onAttention = (adapt: string): string =>
  `use std\nbackbone one() {\n  attn = Attention(4, 2)\n  forward(x: [b, 5, 4]) { attn(x) }\n}\nmodel M {\n  base = one()\n  ${adapt}\n}`;

/** Adapters of convolutions, likewise. */
const ON_CONVOLUTION = ['adapt base.c with lora_conv(rank: 2, bias: true)', 'adapt base.c with dora_conv(rank: 2)'];
const onConvolution = (adapt: string): string =>
  `use std\nbackbone one() {\n  c = Conv2d(3 -> 8, kernel: 3, padding: 1)\n  forward(x: [b, 3, 5, 5]) { c(x) }\n}\nmodel M {\n  base = one()\n  ${adapt}\n}`;
const others = [
  ...ON_ATTENTION.map((a) => [a, onAttention(a)] as const),
  ...ON_CONVOLUTION.map((a) => [a, onConvolution(a)] as const),
];

const all = cases.map((c, i) => [i, c.name, c] as const);

describe.each([
  ['f32', 'portable'],
  ['f16', 8],
] as const)('weights as %s lie where and as kernels read them', (weights, which) => {
  it.each(all)('%i: %s', async (i, _, of) => {
    const { module, read, prepared } = await merged(i, of);
    expectPrepared(module, read, prepared);
  });

  it.each(others)('%s', (_, text) => {
    const { module } = optimize(good(text).module, { adapters: 'merged', verify: true });
    const params = new Map<string, Tensor>();
    for (const { name, type, data } of module.params.values())
      params.set(name, data ? { type, data } : random(name, type.shape, 0.3));
    const read = (name: string): Tensor => params.get(name)!;
    expectPrepared(module, read, interpret(module, 'prepare', { params: read }));
  });

  function expectPrepared(module: Module, read: (name: string) => Tensor, prepared: ReadonlyMap<string, Tensor>): void {
    const g = generate(module, { ...OPTIONS, weights, prepare: true });
    const entry = entryNamed(g.program, 'prepare');
    const made = g.weights.filter((w) => w.entry.start === 'prepare');
    expect(made.length > 0).toBe(entry !== undefined);
    if (!entry) return;
    expect(entry.updates.every((u) => !u.copied)).toBe(true);
    const memory = weightMemory(g, new Map(g.weights.map(({ param }) => [param, prepared.get(param) ?? read(param)])));
    const none = { arguments: new Map<string, Tensor>() };
    const { faults } = simulateCall(g, entry, memory, none, which);
    expect(faults).toEqual([]);
    for (const r of made) {
      const value = prepared.get(r.param) ?? read(r.param);
      const wanted = numbers(r.pack(value).buffer as ArrayBuffer, r.entry.dtype);
      const found = numbers(memory.get(r.entry.name)!.buffer, r.entry.dtype);
      const largest = wanted.reduce((n, x) => Math.max(n, Math.abs(x)), 1e-30);
      const worst = wanted.reduce((n, x, at) => Math.max(n, Math.abs(x - found[at]!)), 0);
      // Padding included.
      expect(worst / largest, r.entry.name).toBeLessThan(TOLERANCE[weights]);
    }
    expect(unproved({ ...g, program: { ...g.program, entries: [entry] } }, 1)).toEqual([]);
  }
});

it('leaves out no adapter of the library', () => {
  const called = (text: string): string => /with (\w+)/.exec(text)![1]!;
  const tried = new Set([...cases.map((c) => called(c.adapt)), ...others.map(([adapt]) => called(adapt))]);
  const declared = [...STD.adapters!.matchAll(/^adapter (\w+)/gm)].map((m) => m[1]);
  expect([...tried].sort()).toEqual(declared.sort());
});

/** What is stored, as numbers. */
function numbers(bytes: ArrayBuffer, dtype: string): ArrayLike<number> & number[] {
  if (dtype !== 'f16') return [...new Float32Array(bytes)];
  return [...new Uint16Array(bytes)].map((h) => fromHalf(h));
}

await withDriver('lavapipe', (run) => {
  describe('on a driver', () => {
    it.each(all)('%i: %s', async (i, _, of) => {
      const { module, x, y, read, prepared } = await merged(i, of);
      const merge = { ...module.funcs.get('prepare')!, name: 'merge' };
      const both: Module = { ...module, funcs: new Map(module.funcs).set('merge', merge) };
      const g = generate(both, { ...OPTIONS, entries: ['infer', 'merge'], prepare: true });
      const session = await sessionOf(run, g, read);
      const { outputs } = await session.call('merge');
      for (const [name, tensor] of prepared) {
        expect(difference({ type: tensor.type, data: outputs[name]! }, tensor), name).toBeLessThan(TOLERANCE.f32);
      }
      const result = await session.run({ tensors: { x: given(x) } });
      const [found] = Object.values(result.outputs);
      expect(relative(y, { type: y.type, data: found! }), 'what the model gives').toBeLessThan(1e-5);
      session.dispose();
    });
  });
});
