import { describe, expect, it } from 'vitest';
import { fuse } from '../../src/codegen/groups/fuse.js';
import type { Group } from '../../src/codegen/groups/group.js';
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import { compiled, entryOf, Model } from './harness.js';
import { block, TINY, vit } from './vit.js';

function groups(m: Model, ...results: Value[]): Group[] {
  return fuse(m.module(...results).funcs.get('infer')!, { maxBuffers: 8 });
}

const shape = (g: Group): string => [g.anchor.op, ...g.path.map((v) => v.op)].join(' ');
/** What each group stores. */
const stored = (list: readonly Group[]): string[] => list.map((g) => g.stores.map((v) => v.op).join(' '));

describe('fusion', () => {
  it('makes seven kernels of a transformer block', () => {
    const m = new Model();
    const list = groups(m, block(m, m.input([2, 5, 16]), 2, 32));
    expect(list.map(shape)).toEqual([
      'layer_norm',
      'linear',
      'attention transpose reshape',
      'linear add',
      'layer_norm',
      'linear gelu',
      'linear add',
    ]);
  });

  it('embeds an image in two kernels and classifies in two', () => {
    const m = new Model();
    const kinds = groups(m, vit(m, { ...TINY, depth: 1 })).map((g) => g.kind);
    expect(kinds.slice(0, 2)).toEqual(['contract', 'pointwise']);
    expect(kinds.slice(-2)).toEqual(['reduce', 'contract']);
    expect(kinds.length).toBe(2 + 7 + 2);
  });

  it('gives equal blocks equal kernels', () => {
    const m = new Model();
    const g = compiled(m.module(vit(m, { ...TINY, depth: 4 })));
    expect(entryOf(g).dispatches.length).toBe(4 + 4 * 7);
    expect(g.program.kernels.map((k) => k.name)).toEqual([
      'conv_4x192x16',
      'pointwise_1x5x16_add',
      'layer_norm_1x5x16',
      'contract_5x16x48',
      'attention_2x5x5x8',
      'contract_5x16x16_add',
      'contract_5x16x32_gelu',
      'contract_5x32x16_add',
      'layer_norm_1x5x16_slice',
      'contract_1x16x10',
    ]);
  });

  it('takes a pointwise diamond into the epilogue', () => {
    const m = new Model();
    const y = build.linear(m.input([4, 8]), m.param([8, 8]));
    const out = build.mul(build.add(y, 1), build.sigmoid(y));
    expect(groups(m, out).map(shape)).toEqual(['linear mul']);
  });

  it('materialises what a product would compute over and over, and nothing cheap', () => {
    const m = new Model();
    const x = m.input([4, 8]);
    const w = m.param([8, 8]);
    expect(groups(m, build.linear(build.gelu(x), w)).map(shape)).toEqual(['gelu', 'linear']);
    expect(groups(m, build.linear(build.mul(x, 2), w)).map(shape)).toEqual(['linear']);
  });

  it('keeps within eight buffers', () => {
    const m = new Model();
    const parts = Array.from({ length: 20 }, () => m.input([4, 8]));
    const list = groups(
      m,
      parts.reduce((a, b) => build.mul(build.exp(a), b)),
    );
    expect(list.length).toBeGreaterThan(1);
    for (const g of list) expect(g.reads.length + 1).toBeLessThanOrEqual(8);
    // A long epilogue is cut too.
    const n = new Model();
    let y = build.linear(n.input([4, 8]), n.param([8, 8]));
    for (let i = 0; i < 12; i++) y = build.exp(build.add(y, n.input([4, 8])));
    for (const g of groups(n, y)) expect(g.reads.length + 1).toBeLessThanOrEqual(8);
  });

  it('puts every group after those that it reads', () => {
    const m = new Model();
    const a = m.op('attention', [m.input([1, 2, 4, 8]), m.input([1, 2, 4, 8]), m.input([1, 2, 4, 8])], { scale: 1 });
    const lse = m.op('aux', [a], { output: 'lse' });
    const list = groups(m, build.add(build.exp(lse), 1), build.mul(a, build.reshape(build.exp(lse), [1, 2, 4, 1])));
    const seen = new Set<Value>();
    for (const g of list) {
      for (const v of g.reads) if (v.op !== 'input' && v.op !== 'param') expect(seen.has(v)).toBe(true);
      for (const v of g.stores) seen.add(v);
    }
  });
});

describe('joining', () => {
  const product = (m: Model): Value => build.linear(m.input([4, 8]), m.param([8, 8]));

  it('stores a value that others read and what is made of it by one kernel', () => {
    const m = new Model();
    const y = product(m);
    expect(stored(groups(m, y, build.gelu(y)))).toEqual(['linear gelu']);
    // Read by a product, and again later.
    const h = product(m);
    const next = build.linear(build.gelu(h), m.param([8, 8]));
    expect(stored(groups(m, build.mul(next, build.sigmoid(h))))).toEqual(['linear gelu', 'mul']);
    // What nobody else reads is not stored.
    const z = product(m);
    expect(stored(groups(m, build.exp(z), build.gelu(z)))).toEqual(['exp gelu']);
  });

  it('stores all that one step of an optimiser makes by one kernel, wherever it begins', () => {
    const m = new Model();
    const [p, g, a, b] = [m.input([4, 8]), product(m), m.input([4, 8]), m.input([4, 8])];
    const first = build.add(build.mul(a, 0.9), g);
    const second = build.add(build.mul(b, 0.9), build.mul(g, g));
    const made = build.sub(p, build.div(first, build.sqrt(second)));
    expect(stored(groups(m, made, first, second))).toEqual(['add add sub']);
  });

  it('takes nothing that reads other elements, or through another kernel', () => {
    const m = new Model();
    const y = product(m);
    const turned = build.transpose(build.linear(m.input([8, 8]), m.param([8, 8])));
    expect(stored(groups(m, y, build.roll(build.exp(y), [1], [0])))).toEqual(['linear', 'roll']);
    expect(stored(groups(m, turned, build.add(turned, build.roll(turned, [1], [0]))))).toEqual(['transpose', 'add']);
    expect(stored(groups(m, y, build.add(y, build.broadcast(build.sum(y, [1], true), [4, 8]))))).toEqual([
      'linear',
      'reduce_sum',
      'add',
    ]);
  });

  it('takes nothing that would lie in memory for longer', () => {
    const late = (asResult: boolean): string[] => {
      const m = new Model();
      const y = product(m);
      const next = build.linear(build.softmax(y, 1), m.param([8, 8]));
      // Two products read the sigmoid, so it has a buffer; it is made only when they run.
      const gate = build.sigmoid(build.mul(y, build.exp(y)));
      const two = [8, 8].map((n) => build.linear(gate, m.param([n, 8])));
      return stored(groups(m, next, build.add(two[0]!, build.exp(two[1]!)), y, ...(asResult ? [gate] : [])));
    };
    expect(late(false)).toEqual(['linear', 'softmax', 'linear', 'sigmoid', 'exp', 'add']);
    expect(late(true)[0]).toBe('linear sigmoid');
  });

  it('keeps within eight buffers and a depth', () => {
    const m = new Model();
    const y = product(m);
    const list = groups(m, y, ...Array.from({ length: 9 }, (_, i) => build.exp(build.mul(y, i + 2))));
    for (const g of list) expect(g.reads.length + g.stores.length).toBeLessThanOrEqual(8);
    expect(list.map((g) => g.stores.length)).toEqual([6, 1, 1, 1, 1]);
    let deep = product(m);
    const on: Value[] = [];
    for (let i = 1; i <= 120; i++) {
      deep = build.tanh(deep);
      if (i % 60 === 0) on.push(deep);
    }
    expect(stored(groups(m, ...on))).toEqual(['tanh', 'tanh']);
  });

  it('copies no argument twice', () => {
    const m = new Model();
    const x = m.input([4, 8]);
    expect(stored(groups(m, x, build.exp(x)))).toEqual(['input', 'exp']);
  });

  it('takes apart what needs more bindings than there are', () => {
    const m = new Model();
    const y = product(m);
    const all = m.module(y, build.gelu(y)).funcs.get('infer')!;
    const list = fuse(all, { maxBuffers: 8, fits: (g) => g.stores.length < 2 });
    expect(stored(list)).toEqual(['linear', 'gelu']);
  });
});
