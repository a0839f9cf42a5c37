/** What files say about a model, and where its parameters come from. */
import { describe, expect, it } from 'vitest';
import type { SourceFacts } from '../../../src/dsl/elaborated.js';
import { count, good, type Setup, wrongs } from './helper.js';
import { TINY, tiny } from './tiny.js';

describe('what files know', () => {
  const config = {
    image: 8,
    patch: 4,
    channels: 1,
    dim: 8,
    depth: 4,
    heads: 2,
    hidden: 16,
    eps: 1e-12,
    qkv_bias: false,
  };
  const auto = (body: string, setup: Setup) =>
    good(`use std\nmodel M {\n  base = vit_auto() from "./vit"\n${body}\n}`, setup);

  it('fills the options that the spec leaves open', () => {
    const e = auto('', { facts: () => ({ options: config }) });
    expect(e.module.params.get('base.blocks.0.mlp.fc1.weight')!.type.shape).toEqual([16, 8]);
    expect(e.module.params.has('base.blocks.0.attn.qkv.bias')).toBe(false);
  });

  it('gives an adapter its options, which beat the defaults', () => {
    const facts: Setup['facts'] = (_, kind) => ({ options: kind === 'adapter' ? { rank: 3, alpha: 12 } : config });
    const e = auto('  adapt base.blocks[*].mlp.fc1 with lora() from "./peft"', { facts });
    expect(e.module.params.get('base.blocks.0.mlp.fc1@lora.A')!.type.shape).toEqual([3, 8]);
    expect(
      wrongs(
        'use std\nmodel M {\n  base = vit_auto() from "./vit"\n  adapt base.blocks[*].mlp.fc1 with lora(rank: 4) from "./peft"\n}',
        { facts },
      ).map((d) => d.code),
    ).toEqual(['ESP0230']);
  });

  it('names the classes: the tuned head before the adapter before the backbone; a list in the spec before all', () => {
    const facts: Setup['facts'] = (location) => ({
      ...(location === './vit' ? { options: config } : {}),
      ...(location === './none' ? {} : { labels: [location, 'x'] }),
    });
    const labels = (body: string) => auto(body, { facts }).labels;
    const adapt = '  adapt base.blocks[*].mlp.fc1 with lora(rank: 2) from "./adapter"';
    expect(labels('  head = classify(base)')).toEqual(['./vit', 'x']);
    expect(labels(`  head = classify(base)\n${adapt}`)).toEqual(['./adapter', 'x']);
    expect(labels(`  head = classify(base)\n${adapt}\n  tune head from "./head"`)).toEqual(['./head', 'x']);
    expect(labels(`  head = classify(base)\n  tune head from "./none"`)).toEqual(['./vit', 'x']);
    expect(labels('  head = classify(base, classes: ["a", "b", "c"])')).toEqual(['a', 'b', 'c']);
    expect(labels('  head = classify(base, classes: 4)')).toBeUndefined();
  });

  it('warns about what the backbone has no option for', () => {
    const text = 'use std\nmodel M {\n  base = vit_auto() from "./vit"\n}';
    const found = wrongs(text, { facts: () => ({ options: { ...config, hidden_act: 'relu' } }) });
    expect(found.map((d) => [d.code, d.severity])).toEqual([['ESP0231', 'warning']]);
  });

  it('brings its own preprocessing, else the variant says', () => {
    const own = [{ step: 'crop', size: [8, 8] }] as const;
    const asked: unknown[] = [];
    const steps: NonNullable<SourceFacts['processor']>['steps'] = (...args) => {
      asked.push(args);
      return { value: own, diagnostics: [] };
    };
    const file = { file: 'p.json', json: { do_resize: false, image_mean: 0.25 } };
    expect(auto('', { facts: () => ({ options: config, processor: { ...file, steps } }) }).preprocess).toEqual(own);
    // What the variant knows of the processor's family is filled in.
    const json = expect.objectContaining({ ...file.json, resample: 2, do_center_crop: false, image_std: 0.5 });
    expect(asked).toEqual([[{ file: 'p.json', json }, 1, [8, 8]]]);
    expect(auto('', { facts: () => ({ options: config }) }).preprocess).toEqual([
      { step: 'resize', size: 8, filter: 'bicubic' },
      { step: 'crop', size: [8, 8] },
      { step: 'normalize', mean: [0.5], std: [0.5] },
    ]);
  });

  it('leaves which colors pictures have to the spec, which says it beside steps of any origin', () => {
    const managed = { step: 'colour', rule: 'managed' };
    const [resize, crop, normalize] = [
      { step: 'resize', size: 8, filter: 'bicubic' },
      { step: 'crop', size: [8, 8] },
      { step: 'normalize', mean: [0.5], std: [0.5] },
    ];
    const own = [{ step: 'crop', size: [8, 8] }] as const;
    const steps: NonNullable<SourceFacts['processor']>['steps'] = () => ({ value: own, diagnostics: [] });
    const processor = { file: 'p.json', json: {}, steps };
    const made = (variants: string, facts: SourceFacts) =>
      good(`use std\n${variants}\nmodel M {\n  base = mine() from "./vit"\n}`, { facts: () => facts }).preprocess;
    const alone = 'variant mine = vit_auto() {\n  preprocess = colour(managed)\n}';
    expect(made(alone, { options: config })).toEqual([managed, resize, crop, normalize]);
    expect(made(alone, { options: config, processor })).toEqual([managed, ...own]);
    const whole = 'variant mine = vit_auto() {\n  preprocess = colour(managed), crop(8)\n}';
    expect(made(whole, { options: config })).toEqual([managed, crop]);
    expect(made(whole, { options: config, processor })).toEqual([managed, ...own]);
    // The nearest says it, and the default can be had back.
    const over = (step: string) =>
      `variant mine = theirs() {\n  preprocess = ${step}\n}\nvariant theirs = vit_auto() {\n  preprocess = colour(managed), crop(8)\n}`;
    expect(made(over('colour(raw)'), { options: config })).toEqual([crop]);
    expect(made(over('normalize(mean: 0.5, std: 0.5)'), { options: config })).toEqual([managed, normalize]);
    const raw = 'variant mine = vit_auto() {\n  preprocess = colour(raw), crop(8)\n}';
    expect(made(raw, { options: config })).toEqual([crop]);
  });
});

describe('sources', () => {
  const e = tiny(`  head = classify(base, classes: 3)
  adapt base.blocks[0].mlp.fc1 with lora(rank: 2) from "./lora.safetensors"
  prune base.blocks[1].mlp.fc1 with magnitude(sparsity: 50%) from "./mask.safetensors"`);
  const backbone = e.sources[0]!;
  const place = (layout: string, param: string) => backbone.layouts[layout]!.filter((n) => n.param === param);

  it('are the backbone, each adapter and each mask that has a file', () => {
    expect(e.sources.map((s) => [s.kind, s.location])).toEqual([
      ['backbone', './tiny'],
      ['adapter', './lora.safetensors'],
      ['mask', './mask.safetensors'],
    ]);
    expect(e.sources[1]!.params).toEqual(['base.blocks.0.mlp.fc1@lora.A', 'base.blocks.0.mlp.fc1@lora.B']);
    expect(e.sources[2]!.params).toEqual(['base.blocks.1.mlp.fc1.weight#mask']);
  });

  it('map names one to one: rows of a fused layer, biases, bare parameters, heads', () => {
    const hf = 'vit.encoder.layer.2.attention.attention';
    expect(place('huggingface', 'base.blocks.2.attn.qkv.weight')).toEqual(
      [
        { tensor: `${hf}.query.weight`, rows: [0, 8] },
        { tensor: `${hf}.key.weight`, rows: [8, 16] },
        { tensor: `${hf}.value.weight`, rows: [16, 24] },
      ].map((n) => expect.objectContaining({ param: 'base.blocks.2.attn.qkv.weight', ...n })),
    );
    expect(place('huggingface', 'base.blocks.2.attn.qkv.bias').map((n) => n.tensor)).toEqual([
      `${hf}.query.bias`,
      `${hf}.key.bias`,
      `${hf}.value.bias`,
    ]);
    expect(place('huggingface', 'base.cls_token')).toEqual([
      { param: 'base.cls_token', tensor: 'vit.embeddings.cls_token', also: ['embeddings.cls_token'] },
    ]);
    expect(place('huggingface', 'head.fc.weight')).toEqual([{ param: 'head.fc.weight', tensor: 'classifier.weight' }]);
    expect(place('timm', 'base.blocks.2.mlp.fc1.bias')).toEqual([
      {
        param: 'base.blocks.2.mlp.fc1.bias',
        tensor: 'blocks.2.mlp.fc1.bias',
        also: ['timm_model.blocks.2.mlp.fc1.bias'],
      },
    ]);
    expect(place('timm', 'base.patch_embed.weight')[0]!.tensor).toBe('patch_embed.proj.weight');
    expect(place('espalier', 'base.norm.bias')).toEqual([{ param: 'base.norm.bias', tensor: 'base.norm.bias' }]);
  });

  it('leave a head of another kind to itself, and not a misspelling of what it has', () => {
    const other = (fc: string) => `use std
variant mine = vit(dim: 8, depth: 1, heads: 1, image: 16) {
  names x { "classifier" = head.${fc} }
}
module other(base: module) {
  proj = Linear(8 -> 1)
  forward(pixels) { proj(base(pixels)) }
}
model M {
  base = mine() from "./vit"
  head = other(base)
  tune head
}`;
    const [source] = good(other('fc')).sources;
    expect(source!.params).not.toContain('head.proj.weight');
    expect(wrongs(other('porj')).map((d) => d.code)).toEqual(['ESP0233']);
  });

  it('cover every parameter of the backbone in every layout, each tensor once', () => {
    for (const [layout, names] of Object.entries(backbone.layouts)) {
      expect(new Set(names.map((n) => n.param)), layout).toEqual(new Set(backbone.params));
      expect(new Set(names.map((n) => n.tensor)).size, layout).toBe(names.length);
    }
  });

  it("leave a tuned head's old weights in the file, and take its own file's", () => {
    const tuned = tiny('  head = classify(base, classes: 3)\n  tune head from "./head.safetensors"');
    expect(tuned.sources[0]!.params).not.toContain('head.fc.weight');
    expect(tuned.sources[0]!.optional).toEqual(
      expect.arrayContaining(['classifier.*', 'head.*', 'vit.pooler.*', 'pooler.*']),
    );
    expect(tuned.sources[1]).toMatchObject({ kind: 'tune', params: ['head.fc.weight', 'head.fc.bias'] });
    const none = tiny('');
    expect(none.sources[0]!.optional).toEqual(
      expect.arrayContaining(['classifier.*', 'head.*', 'vit.pooler.*', 'pooler.*']),
    );
  });
});

describe('files', () => {
  it('are used relative to the file that names them; its own declarations come before the library', () => {
    const files = {
      'lib/mine.peft':
        'use "../deep/other.peft"\nadapter mine(n: int = 1) on base: Linear(in -> out) {\n  inner = Helper(in)\n  forward(x) { base(inner(x)) }\n}\n',
      'deep/other.peft': 'module Helper(dim: int) {\n  g = param [dim] ones\n  forward(x) { g * x }\n}\n',
    };
    const text = `use std\nuse "./lib/mine.peft"\n${TINY}\nmodule Mlp(n: int) {\n  forward(x) { x }\n}\nmodel M {\n  base = tiny()\n  adapt base.blocks[0].mlp.fc1 with mine()\n}`;
    const e = good(text, { files });
    expect(Object.values(e.adapters[0]!.params)).toEqual(['base.blocks.0.mlp.fc1@mine.inner.g']);
    // A used file's own uses are its own affair, and the library keeps using its own Mlp.
    expect(
      wrongs('use "./lib/mine.peft"\nmodule A(n: int) {\n  h = Helper(n)\n  forward(x) { h(x) }\n}\n', { files })[0]!
        .code,
    ).toBe('ESP0202');
    expect(count(e, (n) => n.includes('mlp.fc1.weight'))).toBe(4 * 32 * 8);
  });
});
