/** What the backward pass keeps and what it computes again: the same gradients, less memory, as much as was said. */
import { describe, expect, it } from 'vitest';
import { trainProgram } from '../../src/api/train/program.js';
import { hasBatch, shapeAt } from '../../src/ir/batch.js';
import { rootsOf, topological } from '../../src/ir/graph.js';
import { isDeclared, isView } from '../../src/ir/ops/index.js';
import { sizeOf, tensorBytes } from '../../src/ir/ops/shapes.js';
import { interpretCall, interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Tensor, Value } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { trainingOf } from '../../src/passes/train/step.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { Interpreted, moduleOf, norm, passOf, plain } from './interpreted.js';
import { SPEC } from './small.js';
import { gradientsOf, specOf, startOf } from './steps.js';

const NUMBERS = { inputs: new Map(['count', 'rate.0', 'share'].map((name) => [name, tensor([], [1])])) };
const ALL = Number.POSITIVE_INFINITY;
const METHODS = ['linear', 'bitfit', 'lora', 'dora', 'karst', 'full'];

const filled = (shape: readonly number[], of: (i: number) => number): Tensor =>
  tensor(
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => of(i)),
  );

/** What values outside of the forward pass read of it, each sample, as it lies in memory; bytes. */
function crossing(step: Func): number {
  const forward = topological(step.results.map((r) => r.value));
  const before = new Set<Value>(forward);
  const inForward = (v: Value): boolean => before.has(v) || (v.op === 'aux' && before.has(v.inputs[0]!));
  const found = new Set<Value>();
  for (const v of topological(rootsOf(step))) {
    if (inForward(v)) continue;
    for (let x of v.inputs.filter(inForward)) {
      while (isView(x)) x = x.inputs[0]!;
      if (!isDeclared(x) && x.inputs.length > 0 && hasBatch(x.type.shape)) found.add(x);
    }
  }
  return [...found].reduce((sum, { type }) => sum + tensorBytes({ ...type, shape: shapeAt(type.shape, 1) }), 0);
}

describe('what the backward pass computes again', () => {
  it.each(METHODS)('%s: PyTorch’s gradients, whatever is kept', { timeout: 120_000 }, (method) => {
    const spec = specOf(method);
    const groups = spec.train.groups.map(({ params }) => ({ params, optimizer: plain }));
    const expected = gradientsOf(method);
    for (const again of [0, 1, ALL]) {
      const t = new Interpreted(spec, method, { groups }, again);
      t.step(0);
      for (const [name, want] of expected) {
        const start = startOf(method)(name).data;
        const now = t.states.get(name)!;
        const found = { type: want.type, data: Float64Array.from(start, (x, i) => x - now.data[i]!) };
        if (norm(want) === 0) expect(norm(found), name).toBe(0);
        else expect(relative(want, found), name).toBeLessThan(name.endsWith('attn.qkv.bias') ? 1e-4 : 2e-6);
      }
    }
  });

  it.each(METHODS)('%s: no more is kept than was said', (method) => {
    const spec = specOf(method);
    const { again, keptBytes } = trainingOf(moduleOf(spec), {
      groups: spec.train.groups,
      adapters: 'factored',
    });
    for (const count of [0, 1, ALL]) {
      const module = again(count);
      expect(verifyModule(module)).toEqual([]);
      expect(crossing(passOf(module))).toBe(keptBytes.own(count));
    }
    // A linear probe reads nothing of the backbone but what its head reads.
    if (method === 'linear') expect(keptBytes.own(0)).toBeLessThan(keptBytes.full() / 10);
    else expect(keptBytes.own(ALL)).toBeLessThan(keptBytes.own(0) / 2);
  });

  it('never keeps what arithmetic gives of what is kept', () => {
    const spec = specOf('full');
    const { module } = trainingOf(moduleOf(spec), { groups: spec.train.groups, adapters: 'factored' });
    const step = passOf(module);
    const forward = new Set(topological(step.results.map((r) => r.value)));
    const readers = topological(rootsOf(step)).filter((v) => !forward.has(v) && v.op !== 'aux');
    const read = new Set(readers.flatMap((v) => v.inputs.filter((x) => forward.has(x)).map((x) => x.op)));
    for (const op of ['gelu', 'layer_norm', 'softmax'] as const) expect([...read]).not.toContain(op);
    expect([...read]).toContain('attention');
  });

  it('draws the same in dropouts', { timeout: 120_000 }, () => {
    const { module, train } = good(SPEC.replace('MORE', ''));
    const training = trainingOf({ ...module, funcs: new Map([['loss', train!.loss]]) }, { ...train!, ema: 0.9 });
    const count = interpretFunc(training.numbers.get('numbers')!, NUMBERS).size;
    const inputs = new Map([
      ['pixels', filled([8, 1, 8, 8], (i) => Math.sin(i))],
      ['target', filled([8, 2], (i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0))],
      ['numbers', filled([count], (i) => [0.01, 0.1, 0.001][i % 3]!)],
    ]);
    const states = (again: number, key: number) => {
      const made = training.again(again);
      const params = (name: string): Tensor =>
        filled(made.params.get(name)!.type.shape, (i) => 0.1 * Math.abs(Math.sin(7 * i)));
      const all = new Map([
        ...inputs,
        ['key', { ...tensor([2], [3, key]), type: { dtype: 'u32', shape: [2] } } as Tensor],
      ]);
      return interpretCall(made, 'step', { inputs: all, params }).states;
    };
    const off = (a: ReturnType<typeof states>, b: ReturnType<typeof states>): number =>
      Math.max(...[...a].flatMap(([name, t]) => [...t.data].map((x, i) => Math.abs(x - b.get(name)!.data[i]!))));
    expect(off(states(0, 1), states(ALL, 1))).toBeLessThan(1e-12);
    expect(off(states(0, 1), states(ALL, 2))).toBeGreaterThan(1e-6);
  });
});

describe('`checkpoint`', () => {
  const programFor = (checkpoint: string) => {
    const { train, ...elaborated } = specOf('lora', checkpoint);
    return trainProgram({ elaborated, train, params: startOf('lora') });
  };
  it('plans less memory with `blocks`, and as much as it may with `auto`', { timeout: 120_000 }, () => {
    const none = programFor('').plan;
    const blocks = programFor('checkpoint = blocks').plan;
    expect(none.again).toBe(0);
    expect(blocks.again).toBe(blocks.segments);
    expect(blocks.stepBytes).toBeLessThan(none.stepBytes);
    expect(blocks.keptBytes).toBeLessThan(none.keptBytes);
    const within = (bytes: number) => programFor(`checkpoint = auto(memory: ${bytes / 2 ** 20})`).plan;
    expect(within(none.peakBytes).again).toBe(0);
    const middle = within((none.peakBytes + blocks.peakBytes) / 2);
    expect(middle.peakBytes).toBeLessThanOrEqual((none.peakBytes + blocks.peakBytes) / 2);
    expect(middle.again).toBeGreaterThan(0);
    expect(() => within(blocks.peakBytes - 1024)).toThrow(/a step holds at least .* MiB on the GPU/);
  });
});
