import { describe, expect, it } from 'vitest';
import { fuse, type Group } from '../../src/codegen/fuse.js';
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import { compiled, entryOf, Model } from './harness.js';
import { block, TINY, vit } from './vit.js';

function groups(m: Model, ...results: Value[]): Group[] {
  return fuse(m.module(...results).funcs.get('infer')!, { maxBuffers: 8 });
}

const shape = (g: Group): string => [g.anchor.op, ...g.path.map((v) => v.op)].join(' ');

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

  it('does not take a value that is also a result', () => {
    const m = new Model();
    const y = build.linear(m.input([4, 8]), m.param([8, 8]));
    expect(groups(m, y, build.gelu(y)).map(shape)).toEqual(['linear', 'gelu']);
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
      seen.add(g.result);
      if (g.lse) seen.add(g.lse);
    }
  });
});
