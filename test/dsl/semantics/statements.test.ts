/** Statements of a model that stand for many: `for` with its index, and `tune` of single parameters. */
import { describe, expect, it } from 'vitest';
import { codes, count, rendered } from './helper.js';
import { TINY, tiny } from './tiny.js';

const bad = (body: string) => `use std\n${TINY}\nmodel M {\n  base = tiny() from "./tiny"\n${body}\n}\n`;

describe('for', () => {
  it('gives each layer a rank of its own', () => {
    const e = tiny(
      '  for i < size(base.blocks) {\n    adapt base.blocks[i].mlp.fc1 with lora(rank: 2 + i) from "./lora"\n  }',
    );
    const ranks = [0, 1, 2, 3].map((i) => e.module.params.get(`base.blocks.${i}.mlp.fc1@lora.A`)!.type.shape[0]);
    expect(ranks).toEqual([2, 3, 4, 5]);
    const files = e.sources.filter((s) => s.location === './lora');
    expect(files.map((s) => s.params[0])).toEqual([0, 1, 2, 3].map((i) => `base.blocks.${i}.mlp.fc1@lora.A`));
  });

  it('holds every statement, in one another, and conditions of the index', () => {
    const e = tiny(`  for i < 2 {
    in base.blocks[2 * i] {
      for j < 2 { if j == i { adapt mlp.fc1 with lora(rank: 1 + j) } else { tune mlp.fc2 } }
    }
    prune base.blocks[i].attn.proj with magnitude(sparsity: 0.25 * (i + 1))
  }`);
    expect(e.adapters.map((a) => a.id)).toEqual(['base.blocks.0.mlp.fc1@lora', 'base.blocks.2.mlp.fc1@lora']);
    expect(e.prune.map((p) => [p.targets[0]!.site, p.sparsity])).toEqual([
      ['base.blocks.0.attn.proj', 0.25],
      ['base.blocks.1.attn.proj', 0.5],
    ]);
    const tuned = [...e.module.params.values()].filter((p) => p.role === 'trainable' && !p.name.includes('@'));
    expect(tuned.map((p) => p.name)).toEqual(
      [0, 2].flatMap((i) => ['weight', 'bias'].map((p) => `base.blocks.${i}.mlp.fc2.${p}`)),
    );
  });

  it.each([
    ['  for i < 5 { adapt base.blocks[i].mlp.fc1 with lora(rank: 2) }', ['ESP0306']],
    ['  for i < base.depth { other = tiny() }', ['ESP0220']],
    ['  for i < "2" { tune base.norm }', ['ESP0205']],
    ['  for i < -1 { tune base.norm }', ['ESP0226']],
    ['  for i < 5000 {\n    for j < 5000 { tune base.norm }\n  }', ['ESP0310']],
    ['  for i < 2 { adapt base.blocks[i].mlp.fc1 with lora(rank: 2 - i - i) }', ['ESP0223']],
    ['  for i < 2 { tune base.norm }\n  adapt base.blocks[i].mlp.fc1 with lora(rank: 2)', ['ESP0201']],
  ])('%s', (body, expected) => {
    expect(codes(bad(body))).toEqual(expected);
  });
});

describe('tune of parameters', () => {
  const trainable = (body: string) =>
    [...tiny(body).module.params.values()].filter((p) => p.role === 'trainable').map((p) => p.name);

  it('one by its name', () => {
    expect(trainable('  tune base.cls_token')).toEqual(['base.cls_token']);
    expect(trainable('  tune base.{pos_embed, norm.bias}')).toEqual(['base.pos_embed', 'base.norm.bias']);
    expect(trainable('  in base { tune blocks[1].attn.qkv.bias }')).toEqual(['base.blocks.1.attn.qkv.bias']);
  });

  it('every bias (BitFit, arXiv 2106.10199)', () => {
    const e = tiny('  head = classify(base, classes: 3)\n  tune **.bias, head');
    // Of each block: norms 8 + 8, qkv 24, proj 8, fc1 32, fc2 8; the embedding 8, the norm 8; the head 3 * 8 + 3.
    expect(count(e, (_, role) => role === 'trainable')).toBe(4 * 88 + 16 + 27);
    expect(count(e, (name, role) => role === 'trainable' && !name.endsWith('.bias'))).toBe(24);
  });

  it('one of a head starts from what the base has, a whole head anew', () => {
    const fromBase = (tune: string) =>
      tiny(`  head = classify(base, classes: 3)\n  tune ${tune}`).sources[0]!.params.filter((p) =>
        p.startsWith('head.'),
      );
    expect(fromBase('**.bias')).toEqual(['head.fc.weight', 'head.fc.bias']);
    expect(fromBase('head.fc.bias')).toEqual(['head.fc.weight', 'head.fc.bias']);
    expect(fromBase('head')).toEqual([]);
    expect(fromBase('**.bias, head')).toEqual([]);
  });

  it('comes from a file of its own, and the rest from the base', () => {
    const e = tiny('  tune base.blocks[*].**.bias from "./bitfit.safetensors"');
    const [base, own] = e.sources;
    expect(own!.kind).toBe('tune');
    expect(own!.params).toHaveLength(4 * 6);
    expect(own!.params.every((p) => p.endsWith('.bias'))).toBe(true);
    expect(base!.params.filter((p) => own!.params.includes(p))).toEqual([]);
    expect(base!.params).toContain('base.blocks.0.mlp.fc1.weight');
  });

  it('is said where there is none of the name', () => {
    expect(rendered(bad('  tune base.blocks[*].**.bais'))).toContain('`base.blocks[*].**.bais` matches nothing');
    expect(rendered(bad('  tune base.norm.wieght'))).toContain('Did you mean `weight`?');
    expect(rendered(bad('  tune base.cls_token.x'))).toContain('`cls_token` is a parameter: nothing is below it');
    expect(codes(bad('  tune base.blocks[0].attn.qkv.q.bias'))).toEqual(['ESP0330']);
  });
});
