/** DINOv3 of the library on what transformers and timm save (`test/reference/make_dinov3.py`). */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile } from '../../src/api/index.js';
import { FIXTURES, host, scratch } from '../api/support.js';
import { wrongs } from '../dsl/semantics/helper.js';
import { type Case, specOf, testAdapters, testNames, testNumbers, testSizes } from './family.js';

const FOLDER = join(FIXTURES, 'dinov3');
const SIZES = [
  [24, ''],
  [16, 'smaller.'],
  [32, 'larger.'],
] as const;
/** The folder says all but the size of the images. */
const of = (folder: string, base: string, head?: string, gpu = true): Case[] =>
  SIZES.map(([image, prefix]) => ({
    name: `${folder}, images of ${image}`,
    base: `${base}(image: ${image})`,
    from: join(FOLDER, folder),
    ...(head ? { head } : {}),
    reference: join(FOLDER, folder, 'reference.safetensors'),
    prefix,
    what: head ? 'logits' : 'features',
    gpu: gpu && image !== 24,
  }));
const plain = of('plain', 'dinov3_auto');
const TINY =
  'patch: 4, dim: 16, depth: 2, heads: 2, registers: 3, eps: 1e-5, rotary_base: 100, layer_scale: 1, image: 16';
const gated = of('gated', 'dinov3_auto', undefined, false);
const timm = of('timm', 'dinov3_auto', 'classify(base)', false);
// `vit_auto` reads what is built on it.
const timmGated = of('timm_gated', 'vit_auto', 'classify(base)', false);

/** Without its shift, which no file could hold: keys have no bias. */
const KARST = 'karst(rank: 2, factor: 2, rescale: none)';

describe('DINOv3', () => {
  const folder = scratch();
  testNumbers([...plain, ...gated, ...timm, ...timmGated]);

  testAdapters(
    timm[1]!,
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
    /(attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)$/,
    8,
    false,
    KARST,
  );
  describe('with gated MLPs', () =>
    testAdapters(
      gated[2]!,
      'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}',
      /(attention\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.(weight|bias)$/,
      14,
      true,
      KARST,
    ));

  testNames(
    'by the names of transformers 5',
    { ...plain[1]!, base: `dinov3_auto(${TINY}, hidden: 24)` },
    (name, t) => [[name.replace(/^layer\./, 'model.layer.'), t]],
    join(FOLDER, 'plain', 'names.json'),
  );
  testNames(
    'by the names of a model of timm that transformers wraps',
    { ...timm[1]!, base: `dinov3_auto(${TINY}, global_pool: avg)`, head: 'classify(base, classes: 5)' },
    (name, t) => [[`timm_model.${name}`, t]],
  );

  test('turns queries and keys by tables that are made beforehand, once for all blocks, and attends by one kernel', async () => {
    const spec = (rotary: string) =>
      `use std\nmodel M {\n  base = vit_auto(image: 8, patch: 4, dim: 16, depth: 3, heads: 2, absolute: false, no_embed_class: true, rotary: ${rotary})\n}\n`;
    const [turned, plain] = await Promise.all(
      ['centred', 'none'].map((r) => compile({ text: spec(r), path: 's.peft' }, { host })),
    );
    const count = (c: typeof turned) => c!.program.entries[0]!.dispatches.length;
    // Queries and keys together, of each block.
    expect(count(turned) - count(plain)).toBe(3);
    const names = (c: typeof turned) => c!.program.weights.map((w) => w.name);
    expect(names(turned).filter((n) => !names(plain).includes(n))).toHaveLength(2);
  });

  test('reads what the folder says: preprocessing', async () => {
    const { elaborated } = await analyseModel(specOf(plain[2]!), { host });
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: [32, 32], filter: 'bilinear' },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
    const by = await analyseModel(specOf(timm[0]!), { host });
    expect(by.elaborated.preprocess?.[0]).toEqual({ step: 'resize', size: 24, filter: 'bicubic' });
    expect(by.elaborated.module.params.get('head.fc.weight')!.type.shape).toEqual([5, 16]);
  });

  test('factors of branches that were to start as 0 are there', async () => {
    const from = join(folder, 'starts-as-0');
    cpSync(plain[2]!.from, from, { recursive: true });
    const config = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8'));
    writeFileSync(join(from, 'config.json'), JSON.stringify({ ...config, layerscale_value: 0 }));
    const { elaborated } = await analyseModel(specOf({ ...plain[2]!, from }), { host });
    expect(elaborated.module.params.has('base.blocks.0.ls1.gamma')).toBe(true);
  });

  test('a gated MLP of another function than silu is refused', async () => {
    const text = `use std\nmodel M {\n  base = dinov3_auto(${TINY}, gated: true, activation: gelu)\n}\n`;
    await expect(analyseModel({ text, path: 's.peft' }, { host })).rejects.toThrow('a gated MLP is one of silu');
  });

  test('the largest is refused for its size', () => {
    const text = 'use std\nmodel M {\n  base = dinov3_7b()\n}\n';
    const helpOf = (from: string) =>
      wrongs(text.replace('()', `()${from}`)).map((d) => [d.code, d.help.join(' ')] as const);
    expect(helpOf('')).toEqual([['ESP0316', expect.stringContaining('at most 8.0 GiB can be compiled')]]);
    expect(helpOf(' from "./x"')).toEqual([['ESP0316', expect.stringContaining('Take a smaller model of the family')]]);
  });

  // As transformers and timm count them, without the mask token.
  const counts = JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>;
  testSizes(Object.entries(counts).filter(([variant]) => variant !== 'dinov3_7b'));
});
