/** What elaboration makes: the tree of modules, the names and roles of parameters, inputs and results. */
import { describe, expect, it } from 'vitest';
import type { SiteNode } from '../../../src/dsl/elaborated.js';
import { isAdapters } from '../../../src/ir/about.js';
import { dependsOnInput } from '../../../src/ir/affine/parse.js';
import { BATCH } from '../../../src/ir/batch.js';
import { rootsOf, topological } from '../../../src/ir/graph.js';
import { moduleAt } from '../../../src/ir/run/samples.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Module } from '../../../src/ir/types.js';
import { verifyModule } from '../../../src/ir/verify.js';
import { maxDifference } from '../../tensors.js';
import { run } from './helper.js';
import { tiny } from './tiny.js';

const pixels = tensor(
  [1, 1, 8, 8],
  Float64Array.from({ length: 64 }, (_, i) => Math.sin(i)),
);

function find(node: SiteNode, path: string): SiteNode | undefined {
  if (node.path === path) return node;
  for (const c of node.children) {
    const found = find(c, path);
    if (found) return found;
  }
  return undefined;
}

describe('the tree', () => {
  const e = tiny(
    '  head = classify(base, classes: 3)\n  adapt base.blocks[1].attn.qkv.q with lora(rank: 2)\n  tune head',
  );

  it('has modules, layers, parts, labels and lists, each with its path', () => {
    expect(e.root.children.map((c) => c.path)).toEqual(['base', 'head']);
    const qkv = find(e.root, 'base.blocks.1.attn.qkv')!;
    expect(qkv).toMatchObject({
      type: 'Linear',
      kind: 'layer',
      detail: '8 -> 24 (q, k, v)',
    });
    expect(qkv.params).toEqual({ weight: 'base.blocks.1.attn.qkv.weight', bias: 'base.blocks.1.attn.qkv.bias' });
    expect(qkv.children.map((c) => [c.path, c.kind])).toEqual([
      ['base.blocks.1.attn.qkv.q', 'part'],
      ['base.blocks.1.attn.qkv.k', 'part'],
      ['base.blocks.1.attn.qkv.v', 'part'],
    ]);
    expect(qkv.children[0]!.adapters[0]!.params).toEqual({
      A: 'base.blocks.1.attn.qkv.q@lora.A',
      B: 'base.blocks.1.attn.qkv.q@lora.B',
    });
    expect(find(e.root, 'base.blocks')!.kind).toBe('list');
    expect(find(e.root, 'base.blocks.0.mlp_branch')!.kind).toBe('label');
    expect(find(e.root, 'base')!.params).toEqual({ cls_token: 'base.cls_token', pos_embed: 'base.pos_embed' });
  });

  it('says of every value whose it is, at which site, and where it is written', () => {
    const values = topological(rootsOf(e.module.funcs.get('infer')!));
    const id = 'base.blocks.1.attn.qkv.q@lora';
    const own = values.filter(isAdapters);
    expect(own.length).toBeGreaterThan(2);
    for (const v of own) expect(v.about).toMatchObject({ owner: { ids: [id] }, site: 'base.blocks.1.attn.qkv.q' });
    expect(e.module.adapters.get(id)).toMatchObject({ id, name: 'lora', site: 'base.blocks.1.attn.qkv.q' });
    const { file, start, end } = e.module.adapters.get(id)!.graft!;
    expect(file).toBe('spec.peft');
    expect(end - start).toBe('adapt base.blocks[1].attn.qkv.q with lora(rank: 2)'.length);
    const placed = values.filter((v) => v.op !== 'input' && dependsOnInput(v));
    expect(placed.filter((v) => !v.about?.at).map((v) => v.op)).toEqual([]);
    expect(verifyModule(e.module)).toEqual([]);
  });

  it('makes tuned parameters trainable and leaves the rest frozen', () => {
    const roles = (role: string) => [...e.module.params.values()].filter((p) => p.role === role).map((p) => p.name);
    expect(roles('trainable')).toEqual([
      'head.fc.weight',
      'head.fc.bias',
      'base.blocks.1.attn.qkv.q@lora.A',
      'base.blocks.1.attn.qkv.q@lora.B',
    ]);
  });

  it('numbers a second adapter of one name on one site', () => {
    const twice = tiny('  adapt base.norm with ssf()\n  adapt base.norm with ssf()');
    expect(twice.adapters.map((a) => [a.name, a.id])).toEqual([
      ['ssf', 'base.norm@ssf'],
      ['ssf2', 'base.norm@ssf2'],
    ]);
    expect(twice.module.params.has('base.norm@ssf2.gamma')).toBe(true);
  });

  it('keeps shared parameters of two statements apart', () => {
    const two = tiny(
      '  adapt base.blocks[0].attn.proj with fact_tt(rank: 2)\n  adapt base.blocks[1].attn.proj with fact_tt(rank: 2)',
    );
    expect([...two.module.params.keys()].filter((n) => n.endsWith('.U'))).toEqual([
      'base@fact_tt.U',
      'base@fact_tt2.U',
    ]);
  });
});

describe('inputs and results', () => {
  it('the batch is the first axis, for any number of samples; the last line names the result', () => {
    const e = tiny('  head = classify(base, classes: 3)');
    expect(e.inputs).toEqual([{ name: 'pixels', type: { dtype: 'f32', shape: [BATCH, 1, 8, 8] } }]);
    const resultsOf = ({ funcs }: Module) => funcs.get('infer')!.results.map((r) => [r.name, r.value.type.shape]);
    expect(resultsOf(e.module)).toEqual([['logits', [BATCH, 3]]]);
    expect(resultsOf(moduleAt(e.module, 5))).toEqual([['logits', [5, 3]]]);
  });

  it('a random ViT runs, pooled by its class token or by the mean of the others', () => {
    const logits = (pool: string) =>
      run(tiny(`  head = classify(base, pool: ${pool}, classes: 3)`), { pixels }).get('logits')!;
    expect(logits('cls').data.every(Number.isFinite)).toBe(true);
    expect(maxDifference(logits('cls'), logits('mean'))).toBeGreaterThan(1e-6);
  });

  it('two heads are two results of one backbone', () => {
    const e = tiny('  one = classify(base, classes: 3)\n  two = classify(base, classes: 2)');
    const infer = e.module.funcs.get('infer')!;
    expect(infer.results.map((r) => r.name)).toEqual(['logits', 'two_logits']);
    expect(infer.inputs).toHaveLength(1);
  });
});
