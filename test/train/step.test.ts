/** A training step as a function, interpreted: gradients against PyTorch's, parts of a batch, clipping, averages, groups, what is frozen. */
import { describe, expect, it } from 'vitest';
import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { hasBatch } from '../../src/ir/batch.js';
import * as build from '../../src/ir/build.js';
import { constant, rootsOf, topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Optimizer } from '../../src/ir/optimizer.js';
import { interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Tensor } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { gradientsOf } from '../../src/passes/differentiate/gradients.js';
import { optimize } from '../../src/passes/index.js';
import { factor } from '../../src/passes/merge/factor.js';
import { averageName, trainingOf } from '../../src/passes/train/step.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { BATCH, Interpreted, inputsOf, moduleOf, norm, passOf, plain } from './interpreted.js';
import { gradientsOf as expectedOf, lossesOf, METHODS, type Spec, specOf, startOf } from './steps.js';

describe('gradients of a model', () => {
  it.each(METHODS)('%s: PyTorch’s, in both forms of its adapters', (method) => {
    const spec = specOf(method);
    const expected = expectedOf(method);
    for (const adapters of ['factored', 'merged'] as const) {
      const { module } = optimize(moduleOf(spec), { functions: ['loss'], adapters, passes: [factor] });
      const params = spec.train.groups.flatMap((g) => g.params);
      const gradients = gradientsOf(module.funcs.get('loss')!, 'loss', params);
      expect(gradients.without.size).toBe(0);
      const results = [...gradients.of].map(([name, value]) => ({ name, value }));
      const func: Func = { ...gradients.func, name: 'gradients', results };
      const found = interpretFunc(func, { inputs: inputsOf(0), params: paramsOf(spec, method) });
      expect([...expected.keys()].sort()).toEqual([...params].sort());
      for (const [name, want] of expected) {
        const gradient = found.get(name)!;
        // What is multiplied by a matrix that starts as zeros.
        if (norm(want) === 0) {
          expect(norm(gradient), name).toBe(0);
          continue;
        }
        const off = relative(want, gradient);
        // A bias of the keys changes no loss: its gradient is rounding.
        expect(off, name).toBeLessThan(name.endsWith('attn.qkv.bias') ? 1e-4 : 2e-6);
      }
    }
  });
});

it('norms alone are trained by a line of a spec: those and no other, by PyTorch’s gradients', () => {
  const spec = specOf('full', '', 'tune base.blocks[*].{norm1, norm2}, base.norm');
  const params = spec.train.groups.flatMap((g) => g.params);
  const expected = new Map([...expectedOf('full')].filter(([name]) => /\.norm\d?\./.test(name)));
  expect(params.sort()).toEqual([...expected.keys()].sort());
  expect(params).toHaveLength(2 * (2 * 2 + 1));
  const { of } = gradientsOf(
    optimize(moduleOf(spec), { functions: ['loss'], adapters: 'factored' }).module.funcs.get('loss')!,
    'loss',
    params,
  );
  const results = [...of].map(([name, value]) => ({ name, value }));
  const { loss } = spec.train;
  const found = interpretFunc(
    { ...loss, name: 'gradients', results },
    { inputs: inputsOf(0), params: paramsOf(spec, 'full') },
  );
  for (const [name, want] of expected) expect(relative(want, found.get(name)!), name).toBeLessThan(2e-6);
});

const paramsOf =
  ({ module }: Spec, method: string) =>
  (name: string): Tensor => {
    const { type, data } = module.params.get(name)!;
    return data ? { type, data } : startOf(method)(name);
  };

describe('a step', () => {
  it('is a function of the module, with states, and nothing for what is frozen', () => {
    const spec = specOf('lora');
    const { module } = trainingOf(moduleOf(spec), { groups: spec.train.groups, adapters: 'factored' });
    expect(verifyModule(module)).toEqual([]);
    const trained = spec.train.groups.flatMap((g) => g.params);
    const states = [...module.params.values()].filter((p) => p.role === 'state').map((p) => p.name);
    expect(states.sort()).toEqual(trained.flatMap((name) => [name, `${name}.m`, `${name}.v`]).sort());
    expect(
      module.funcs
        .get('step')!
        .updates.map((u) => u.state)
        .sort(),
    ).toEqual(states);
    expect(module.funcs.get('loss')!.updates).toEqual([]);
  });

  it.each(['lora', 'dora', 'ssf', 'repadapter', 'karst', 'alore'])('%s: no gradient of a layer’s size', (method) => {
    const spec = specOf(method);
    const made = (adapters: 'factored' | 'merged'): number => {
      const { module } = trainingOf(moduleOf(spec), { groups: spec.train.groups, adapters });
      const step = passOf(module);
      // What is one for all samples and depends on them: gradients, and what is made of them.
      const found = topological(rootsOf(step)).filter((v) => dependsOnInput(v) && !hasBatch(v.type.shape));
      return Math.max(...found.map((v) => sizeOf(v.type.shape)));
    };
    const smallest = 32 * 32;
    expect(made('factored')).toBeLessThan(smallest);
    if (method === 'karst') expect(made('merged')).toBeGreaterThanOrEqual(smallest);
  });

  it('gives the loss that PyTorch gives, and moves to the next', { timeout: 120_000 }, () => {
    const [, losses] = lossesOf('lora');
    const t = new Interpreted(specOf('lora'), 'lora');
    for (let at = 0; at < 3; at++) expect(t.step(at).get('loss')!.data[0]).toBeCloseTo(losses[at]!, 6);
  });

  it('of a batch in parts is that of the whole batch', { timeout: 120_000 }, () => {
    const whole = new Interpreted(specOf('lora'), 'lora');
    const parts = new Interpreted(specOf('lora'), 'lora', { accumulates: true });
    for (let at = 0; at < 2; at++) {
      whole.step(at);
      parts.call('accumulate', inputsOf(at, 0, 6), { share: 6 / BATCH });
      parts.step(at, { share: 10 / BATCH }, inputsOf(at, 6, BATCH));
    }
    for (const [name, t] of whole.states) expect(relative(t, parts.states.get(name)!), name).toBeLessThan(1e-7);
    const sums = [...parts.states].filter(([name]) => name.endsWith('.gradients'));
    expect(sums.length).toBeGreaterThan(0);
    for (const [, t] of sums) expect(Math.max(...t.data.map(Math.abs))).toBe(0);
  });

  it('clips all gradients by one factor', { timeout: 120_000 }, () => {
    const spec = specOf('linear', 'clip = 0.01');
    const t = new Interpreted(spec, 'linear', {
      clip: 0.01,
      groups: [{ params: spec.train.groups[0]!.params, optimizer: plain }],
    });
    const found = t.step(0).get('norm')!.data[0]!;
    const expected = expectedOf('linear');
    expect(found).toBeCloseTo(Math.hypot(...[...expected.values()].map(norm)), 5);
    for (const [name, g] of expected) {
      const start = startOf('linear')(name);
      const moved = {
        type: g.type,
        data: Float64Array.from(start.data, (x, i) => x - g.data[i]! * (0.01 / (found + 1e-6))),
      };
      expect(relative(moved, t.states.get(name)!), name).toBeLessThan(1e-6);
    }
  });

  it('goes by an optimiser that a person wrote, state and all, as by the same one of the library', () => {
    const spec = specOf('linear');
    const groupsOf = (optimizer: string) =>
      good(`use std
optimizer heavy(lr: float, share: float = 0.9) {
  v = state zeros
  forward(weight, gradient, rate) {
    v = share * v + gradient
    weight - rate * v
  }
}
model M {
  base = vit_auto(image: 16, patch: 4, channels: 1, dim: 32, depth: 2, heads: 2)
  head = classify(base, classes: 10)
  tune head
}
train M {
  optimizer = ${optimizer}
  schedule = constant(epochs: 1)
  batch = ${BATCH}
}`).train!.groups;
    const own = new Interpreted(spec, 'linear', { groups: groupsOf('heavy(lr: 1e-2, share: 0.8)') });
    const library = new Interpreted(spec, 'linear', { groups: groupsOf('sgd(lr: 1e-2, momentum: 0.8)') });
    for (let at = 0; at < 3; at++) for (const t of [own, library]) t.step(at, { 'rate.0': 1e-2 });
    const kept = [...own.states.keys()].filter((name) => !name.endsWith('.gradients'));
    expect(kept.sort()).toEqual(['head.fc.bias', 'head.fc.weight'].flatMap((name) => [name, `${name}.v`]));
    for (const [name, t] of library.states) expect(relative(t, own.states.get(name)!), name).toBeLessThan(1e-12);
    expect(norm(own.states.get('head.fc.weight.v')!)).toBeGreaterThan(0);
  });

  it('keeps an average of what it trains', { timeout: 120_000 }, () => {
    const t = new Interpreted(specOf('linear'), 'linear', { ema: 0.9 });
    const name = 'head.fc.weight';
    let average = [...startOf('linear')(name).data];
    for (let at = 0; at < 3; at++) {
      t.step(at);
      const now = t.states.get(name)!.data;
      average = average.map((x, i) => 0.9 * x + 0.1 * now[i]!);
      expect(relative(tensor(t.states.get(name)!.type.shape, average), t.states.get(averageName(name))!)).toBeLessThan(
        1e-12,
      );
    }
  });

  it('moves weights that lie side by side as it moves each by itself', { timeout: 120_000 }, () => {
    const spec = specOf('lora');
    const [group] = spec.train.groups;
    // Rates of their own, and an optimiser that asks for more than an element: its weights cannot be moved as one.
    const [a, b, c] = [0, 1, 2].map((n) => group!.params.filter((_, i) => i % 3 === n)) as [
      string[],
      string[],
      string[],
    ];
    const normed: Optimizer = {
      states: new Map(),
      step: ({ weight, gradient }) => {
        const size = build.add(
          build.sqrt(build.sum(build.mul(gradient, gradient), [...gradient.type.shape.keys()])),
          1e-3,
        );
        return { weight: build.sub(weight, build.div(gradient, build.mul(size, 100))), states: new Map() };
      },
    };
    const groups = [
      { params: a, optimizer: group!.optimizer },
      { params: b, optimizer: normed },
      { params: c, optimizer: group!.optimizer },
    ];
    const rates = { 'rate.0': 1e-2, 'rate.1': 1, 'rate.2': 3e-3 };
    const each = new Interpreted(spec, 'lora', { groups, ema: 0.9 });
    // So few bytes that no two lie side by side, and no limit that is met.
    const apart = new Interpreted(spec, 'lora', { groups, ema: 0.9, clip: 1e9, largest: 4 });
    const together = new Interpreted(spec, 'lora', { groups, ema: 0.9, clip: 1e9 });
    expect(each.module.funcs.get('step')!.after).toBeUndefined();
    for (let at = 0; at < 3; at++) for (const t of [each, apart, together]) t.step(at, rates);
    for (const [name, t] of each.states) {
      expect(relative(t, together.states.get(name)!), name).toBeLessThan(1e-12);
      expect(relative(t, apart.states.get(name)!), name).toBeLessThan(1e-12);
    }
    expect([...each.training.kept].sort()).toEqual([...together.training.kept].sort());
    expect(each.training.kept).toHaveLength([...each.states].length);
    // One for each of the weights, moments and averages of a group; of the second, each by itself.
    const updates = together.module.funcs.get('step')!.updates.map((u) => u.state);
    expect(updates.filter((name) => name.startsWith('flat/'))).toHaveLength(2 * 4);
    expect(updates).toHaveLength(2 * 4 + 2 * b.length);
    const { size } = new Set(apart.module.funcs.get('step')!.updates.map((u) => u.state.split('.')[0]));
    expect(size).toBeGreaterThan(group!.params.length / 2);
  });

  it('refuses no parameter that the loss depends on, and names what cuts one off', () => {
    const spec = specOf('linear');
    const { loss } = spec.train;
    const head = 'head.fc.weight';
    const results = loss.results.map((r) => (r.name === 'loss' ? { name: 'loss', value: constant(1) } : r));
    const none = gradientsOf({ ...loss, results }, 'loss', [head]);
    expect([...none.without]).toEqual([[head, undefined]]);
  });
});
