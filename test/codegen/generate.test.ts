import { describe, expect, it } from 'vitest';
import type { Generated } from '../../src/codegen/generate.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Value } from '../../src/ir/types.js';
import { expectGolden } from '../golden.js';
import { compiled, entryOf, Model } from './harness.js';
import { describeMemory } from './plan-text.js';
import { block, TINY, vit } from './vit.js';

const MIB = 2 ** 20;

/** A kernel without the loops of the contraction and attention generators, which have tests of their own. */
function ours(text: string): string {
  if (!text.includes('fn load_')) return text;
  return text
    .split('\n\n')
    .filter((part) => /^(@group|fn (load|store|bias|gelu|erf))/.test(part))
    .join('\n\n');
}

describe('generate', () => {
  it('runs a ViT-B MLP of 64 images, whose hidden activation of 148 MiB no binding holds', () => {
    const m = new Model();
    const shape = [64, 197, 768];
    const big = { type: { dtype: 'f32' as const, shape }, data: new Float32Array(0) };
    const x = m.input(shape, 'f32', big);
    const weight = (out: number, inner: number): Value =>
      m.param([out, inner], { type: { dtype: 'f32', shape: [out, inner] }, data: new Float32Array(0) });
    const hidden = build.gelu(build.linear(x, weight(3072, 768)));
    const g = compiled(m.module(build.add(x, build.linear(hidden, weight(768, 3072)))));
    const entry = entryOf(g);
    expect(g.memory.fixed.tenants.map((t) => t.bytes)).toEqual([64 * 197 * 3072 * 4]);
    expect(entry.dispatches.length).toBe(4);
    for (const d of entry.dispatches) {
      for (const b of d.bindings) {
        expect(b.bytes).toBeLessThanOrEqual(128 * MIB);
        expect(b.offset % 256).toBe(0);
      }
    }
    for (const { bytes } of entry.slabs) expect(bytes).toBeLessThanOrEqual(256 * MIB);
    // The parts of the hidden activation meet without a gap.
    const parts = entry.dispatches.slice(0, 2).map((d) => d.bindings.find((b) => b.kind === 'arena')!);
    expect(parts[0]!.offset + parts[0]!.bytes).toBe(parts[1]!.offset);
    expect(parts[0]!.bytes + parts[1]!.bytes).toBe(64 * 197 * 3072 * 4);
  });

  it('gives programs of the same shapes the same text, whatever parameters are called', () => {
    const one = new Model(1);
    const other = new Model(2);
    other.param([1]);
    expect([...compiled(other.module(vit(other, TINY))).files]).toEqual([
      ...compiled(one.module(vit(one, TINY))).files,
    ]);
  });

  it('has the same kernels whatever the most samples of a pass are, but for the tiles of products', () => {
    const batched = (samples: number): Generated => {
      const m = new Model();
      return compiled(m.module(vit(m, { ...TINY, batch: BATCH })), { samples });
    };
    const [one, many] = [batched(1), batched(32)];
    expect([...many.files.keys()]).toEqual([...one.files.keys()]);
    const others = [...one.files.keys()].filter((name) => many.files.get(name) !== one.files.get(name));
    expect(others.length).toBeGreaterThan(0);
    expect(others.filter((name) => !/^(contract|conv)_/.test(name))).toEqual([]);
    expect([one, many].map((g) => [entryOf(g).samples, entryOf(g).inputs[0]!.shape[0]])).toEqual([
      [1, 1],
      [32, 1],
    ]);
    const plain = (g: Generated) => entryOf(g).dispatches.map(({ workgroups: _, ...d }) => d);
    expect(plain(many)).toEqual(plain(one));
    expect([...one.files.values()].some((text) => text.includes('samples'))).toBe(true);
    // A model for a number of samples is not told how many.
    const m = new Model();
    const fixed = compiled(m.module(vit(m, { ...TINY, batch: 4 })));
    expect([...fixed.files.values()].some((text) => text.includes('samples'))).toBe(false);
    expect(fixed.program.kernels.length).toBe(one.program.kernels.length);
  });

  it('binds writable memory read_write and everything else read, and never both ways at once', () => {
    const m = new Model();
    const g = compiled(m.module(vit(m, TINY)));
    for (const d of entryOf(g).dispatches) {
      const kernel = g.program.kernels[d.kernel]!;
      expect(kernel.bindings.length).toBe(d.bindings.length);
      d.bindings.forEach((b, i) => {
        const writable = b.kind === 'arena' || b.kind === 'output';
        expect(kernel.bindings[i]).toBe(writable ? 'read_write' : 'read');
      });
      const arena = d.bindings.filter((b) => b.kind === 'arena');
      arena.forEach((a, i) => {
        for (const b of arena.slice(0, i)) {
          const overlap = a.slab === b.slab && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
          expect(overlap).toBe(false);
        }
      });
    }
  });

  it('holds no Kronecker product when it is applied by its factors', () => {
    const m = new Model();
    const x = m.input([1, 5, 64]);
    const [c, d] = [m.param([8, 8]), m.param([8, 8])];
    // (c kron d) x by the vec trick: [8, 8] on either side.
    const folded = build.reshape(x, [5, 8, 8]);
    const y = build.matmul(build.matmul(c, folded), build.transpose(d));
    const g = compiled(m.module(build.add(build.linear(x, m.param([64, 64])), build.reshape(y, [1, 5, 64]))));
    expect(Math.max(...g.memory.fixed.tenants.map((t) => t.bytes))).toBeLessThan(64 * 64 * 4);
    expect(describeMemory(g.memory.fixed)).not.toContain('[64, 64]');
  });

  it('does not copy parts together that are only read apart', () => {
    const m = new Model();
    const x = m.input([1, 4, 8]);
    const all = build.concat(
      [0, 1, 2].map(() => build.linear(x, m.param([8, 8]))),
      2,
    );
    const parts = [0, 1, 2].map((i) => build.reshape(build.sliceAxis(all, 2, i * 8, i * 8 + 8), [1, 1, 4, 8]));
    const g = compiled(m.module(build.attention(parts[0]!, parts[1]!, parts[2]!, 1)));
    expect(entryOf(g).dispatches.map((d) => g.program.kernels[d.kernel]!.archetype)).toEqual([
      'contract',
      'contract',
      'contract',
      'attention',
    ]);
    expect(g.program.kernels.length).toBe(2);
  });

  it('packs views of parameters', () => {
    const m = new Model();
    const w = m.param([2, 3], tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)));
    const g = compiled(m.module(build.linear(m.input([1, 2]), build.transpose(w))));
    const packed = new Float32Array(g.weights[0]!.pack(m.data.get('p0')!).buffer);
    // Tile [16 inputs][32 outputs]: input 0 is the row 1, 2, 3.
    expect([...packed.slice(0, 4), ...packed.slice(32, 36)]).toEqual([1, 2, 3, 0, 4, 5, 6, 0]);
    expect(g.weights[0]!.entry).toMatchObject({ layout: 'tiles:16x32', shape: [3, 2] });
  });

  it('prints kernels as people read them', () => {
    const m = new Model();
    const y = block(m, m.input([2, 5, 16]), 2, 32);
    const g = compiled(m.module(y));
    for (const [file, text] of g.files) {
      if (file.endsWith('.portable.wgsl')) expectGolden(`block/${file.replace('kernels/', '')}`, ours(text));
    }
    const n = new Model();
    const x = n.input([1, 6, 6, 8]);
    const rolled = build.roll(build.pad(x, [0, 0, 0, 0], [0, 2, 2, 0]), [-2, -2], [1, 2]);
    const h = compiled(n.module(build.gelu(rolled), build.max(x, [1, 2])));
    for (const [file, text] of h.files) {
      if (file.endsWith('.portable.wgsl')) expectGolden(`layout/${file.replace('kernels/', '')}`, text);
    }
  });

  it('describes a program', () => {
    const m = new Model();
    const g = compiled(m.module(vit(m, TINY)));
    expect(g.program.summary).toMatchObject({ dispatches: 2 + 7 * 2 + 2, kernels: 10 });
    expect(g.program.summary.flops).toBe(entryOf(g).dispatches.reduce((s, d) => s + d.flops, 0));
    expect(g.program.summary.weightBytes).toBe(g.weights.reduce((s, w) => s + w.entry.bytes, 0));
    expectGolden('vit.memory.txt', describeMemory(g.memory.fixed));
  });
});
