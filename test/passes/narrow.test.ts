/** Computing only what is read: the numbers stay, shapes shrink where they can, and nothing is computed twice. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { build as b } from '../../src/ir/build.js';
import { input, make, rootsOf, topological } from '../../src/ir/graph.js';
import { costOf, DEVICES } from '../../src/ir/ops/cost.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Value } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { narrow } from '../../src/passes/narrow.js';
import type { PassContext } from '../../src/passes/pass.js';
import { randomModule } from '../ir/random.js';
import { maxDifference } from '../tensors.js';
import { Net, operators, parameters, random, relative, run, vit } from './models.js';

const context: PassContext = {
  adapters: 'auto',
  device: DEVICES.hardware,
  places: new Map(),
  notes: { regions: [], obstacles: new Map(), replaced: new Map() },
};
const narrowed = (module: Module): Module => narrow.run(module, 'infer', context);
const flops = (module: Module): number =>
  topological(rootsOf(module.funcs.get('infer')!)).reduce((n, v) => n + costOf(v).flops, 0);

/** One operator on x [2, 6, 8], then a slice of two tokens: the operators that are left, with their shapes. */
function sliced(op: (x: Value, net: Net) => Value, start = [0, 1, 0], end?: readonly number[]): string[] {
  const net = new Net();
  const y = op(input('x', { dtype: 'f32', shape: [2, 6, 8] }), net);
  const module = net.module(net.b.slice(y, start, end ?? [2, 3, y.type.shape[2]!]));
  const after = narrowed(module);
  const params = parameters(module);
  expect(relative(run(module, params), run(after, params))).toBe(0);
  expect(verifyModule(after)).toEqual([]);
  return operators(after).map((o) => `${o.split('/')[0]} ${o.slice(o.lastIndexOf('['))}`);
}

describe('a slice goes below', () => {
  it.each<[string, (x: Value, net: Net) => Value, string[]]>([
    ['what works on each element', (x) => b.gelu(x), ['slice [2,2,8]', 'gelu [2,2,8]']],
    ['a sum with what broadcasts', (x, net) => b.add(x, net.param('p', [6, 1])), ['slice [2,2,8]', 'add [2,2,8]']],
    ['a layer', (x, net) => b.linear(x, net.param('w', [5, 8])), ['slice [2,2,8]', 'linear [2,2,5]']],
    ['the rows of a product', (x, net) => b.matmul(x, net.param('w', [8, 5])), ['slice [2,2,8]', 'matmul [2,2,5]']],
    ['a norm', (x, net) => net.norm('n', x), ['slice [2,2,8]', 'layer_norm [2,2,8]']],
    [
      'what mixes tokens, up to there',
      (x) => b.gelu(b.softmax(x, 1)),
      ['softmax [2,6,8]', 'slice [2,2,8]', 'gelu [2,2,8]'],
    ],
    [
      'a sum over another axis',
      (x) => b.mul(b.sum(x, [2], true), x),
      ['slice [2,2,8]', 'reduce_sum [2,2,1]', 'mul [2,2,8]'],
    ],
    [
      'a concatenation, to the part that is read',
      (x) => b.concat([b.gelu(x), b.tanh(x)], 1),
      ['slice [2,2,8]', 'gelu [2,2,8]'],
    ],
    [
      'a split of channels and a transpose',
      (x) => b.reshape(b.transpose(b.reshape(b.gelu(x), [2, 6, 2, 4]), [0, 1, 3, 2]), [2, 6, 8]),
      ['slice [2,2,8]', 'gelu [2,2,8]', 'reshape [2,2,2,4]', 'transpose [2,2,4,2]', 'reshape [2,2,8]'],
    ],
  ])('%s', (_, op, expected) => {
    expect(sliced(op)).toEqual(expected);
  });

  it('attention: the queries are cut, keys and values are not', () => {
    const heads = (x: Value): Value => b.transpose(b.reshape(x, [2, 6, 2, 4]), [0, 2, 1, 3]);
    const joined = (x: Value): Value => b.reshape(b.transpose(x, [0, 2, 1, 3]), [2, 6, 8]);
    const shapes = sliced((x, net) => {
      const bias = net.param('bias', [1, 6, 6]);
      return joined(b.attention(heads(b.tanh(x)), heads(b.gelu(x)), heads(b.relu(x)), 0.5, [bias]));
    });
    expect(shapes.filter((s) => /^(tanh|gelu|relu|attention)/.test(s))).toEqual([
      'tanh [2,2,8]',
      'gelu [2,6,8]',
      'relu [2,6,8]',
      'attention [2,2,2,4]',
    ]);
  });

  it('not through a reshape that tears the box', () => {
    expect(sliced((x) => b.reshape(b.gelu(b.reshape(x, [12, 8])), [2, 6, 8]))).toContain('gelu [12,8]');
  });

  it('with several readers it computes the hull of what they read, once', () => {
    const shapes = sliced(
      (x) => {
        const y = b.gelu(x);
        return b.concat([b.sliceAxis(y, 1, 1, 3), b.tanh(b.sliceAxis(y, 1, 4, 5)), b.sliceAxis(y, 1, 0, 3)], 1);
      },
      [0, 0, 0],
      [2, 3, 8],
    );
    expect(shapes.filter((s) => s.startsWith('gelu'))).toEqual(['gelu [2,4,8]']);
  });
});

it('computes one token of the last block of ViT, where the head reads one', () => {
  const before = vit({}, { batch: 2, dim: 8, heads: 2, depth: 2, grid: 3, patch: 2, classes: 3 });
  const after = narrowed(before);
  const params = parameters(before);
  expect(relative(run(before, params), run(after, params))).toBeLessThan(1e-12);
  const shapes = (op: string): string[] =>
    operators(after).flatMap((o) => (o.startsWith(`${op}/`) ? [o.slice(o.lastIndexOf('['))] : []));
  expect(shapes('gelu')).toEqual(['[2,10,32]', '[2,1,32]']);
  expect(shapes('attention')).toEqual(['[2,2,10,4]', '[2,2,1,4]']);
  expect(flops(after)).toBeLessThan(0.75 * flops(before));
});

it('leaves alone what is read whole', () => {
  const net = new Net();
  const module = net.module(net.linear('fc', input('x', { dtype: 'f32', shape: [2, 4] }), 4, 3));
  expect(narrowed(module).funcs.get('infer')).toBe(module.funcs.get('infer'));
});

/** Random programs, of whose results only a random box is read. */
const boxes = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { minLength: 6, maxLength: 6 });

it('random programs give the same box of numbers for no more work (property)', () => {
  let less = 0;
  fc.assert(
    fc.property(randomModule, boxes, ({ module, inputs, params }, cuts) => {
      const infer = module.funcs.get('infer')!;
      const results = infer.results.map(({ name, value }) => {
        const { shape } = value.type;
        const start = shape.map((d, i) => cuts[i]![0] % d);
        const end = shape.map((d, i) => start[i]! + 1 + (cuts[i]![1] % (d - start[i]!)));
        return { name, value: make('slice', [value], { start, end }) };
      });
      const before: Module = { ...module, funcs: new Map([['infer', { ...infer, results, updates: [] }]]) };
      const after = narrowed(before);
      expect(verifyModule(after)).toEqual([]);
      expect(flops(after)).toBeLessThanOrEqual(flops(before));
      if (flops(after) < flops(before)) less++;
      const y = interpret(before, 'infer', { inputs, params });
      const z = interpret(after, 'infer', { inputs, params });
      for (const [name, t] of y) expect(maxDifference(t, z.get(name)!)).toBe(0);
    }),
    { numRuns: 500, seed: 3 },
  );
  expect(less).toBeGreaterThan(100);
});

it('rows of layers and attention give the same numbers from any box (property)', () => {
  const net = new Net();
  const x = input('x', { dtype: 'f32', shape: [2, 5, 8] });
  const y = net.norm('n', net.linear('fc', x, 8, 12));
  const [q, k, v] = [0, 1, 2].map((p) =>
    b.transpose(b.reshape(b.sliceAxis(y, 2, 4 * p, 4 * p + 4), [2, 5, 2, 2]), [0, 2, 1, 3]),
  );
  const mixed = b.reshape(b.transpose(b.attention(q!, k!, v!, 0.7), [0, 2, 1, 3]), [2, 5, 4]);
  const out = b.add(mixed, b.matmul(b.softmax(x, 2), net.param('m', [2, 8, 4])));
  fc.assert(
    fc.property(boxes, (cuts) => {
      const start = out.type.shape.map((d, i) => cuts[i]![0] % d);
      const end = out.type.shape.map((d, i) => start[i]! + 1 + (cuts[i]![1] % (d - start[i]!)));
      const module = net.module(b.slice(out, start, end));
      const params = parameters(module);
      const given = { params, inputs: new Map([['x', random([2, 5, 8], 3)]]) };
      const [before, after] = [module, narrowed(module)].map((m) => interpret(m, 'infer', given).get('logits')!);
      expect(maxDifference(before!, after!)).toBeLessThan(1e-14);
    }),
    { numRuns: 200, seed: 4 },
  );
});
