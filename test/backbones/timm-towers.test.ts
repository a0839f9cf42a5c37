/** DINOv2, CLIP and SigLIP of the library on folders as timm saves them, and transformers wraps one (`test/reference/make_timm_towers.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { merge } from '../../src/api/index.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { FIXTURES, host } from '../api/support.js';
import { memoryFolder } from '../folders.js';
import { type Case, specOf, testAdapters, testNames, testNumbers, testSizes } from './family.js';

const FOLDER = join(FIXTURES, 'towers');
const of = (folder: string, base: string, gpu = false, head = 'classify(base)'): Case[] =>
  (
    [
      ['', ''],
      ['image: 32', 'larger.'],
    ] as const
  ).map(([image, prefix]) => ({
    name: `${folder} by ${base}${image ? ', larger images' : ''}`,
    base: `${base}(${image})`,
    from: join(FOLDER, folder),
    head,
    reference: join(FOLDER, folder, 'reference.safetensors'),
    prefix,
    gpu: gpu && image !== '',
  }));
const dinov2 = of('dinov2', 'dinov2_auto');
const clip = of('clip', 'clip_auto', true);
const siglip = of('siglip', 'siglip_auto', true);
const wrapped = of('wrapped', 'clip_auto');

/** The folder with other fields in its configuration. */
const changed = (folder: string, change: (c: { model_args: object; pretrained_cfg: object }) => object) => {
  const at = join(FOLDER, folder);
  const files = {
    'config.json': JSON.stringify(change(JSON.parse(readFileSync(join(at, 'config.json'), 'utf8')))),
    'model.safetensors': readFileSync(join(at, 'model.safetensors')),
  };
  return { host: { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) } };
};
const said = (c: Case, where: { readonly host: Host }): Promise<string> =>
  analyseModel(specOf(c), where).then(
    () => 'nothing',
    (e: { diagnostics: { code: string; message: string; help: string[] }[] }) =>
      e.diagnostics.map((d) => [d.code, d.message, ...d.help].join('\n')).join('\n'),
  );

describe('encoders of timm', () => {
  testNumbers([
    ...dinov2,
    ...of('dinov2_registers', 'dinov2_registers_auto'),
    ...clip,
    ...of('clip_quick', 'clip_auto'),
    ...wrapped,
    ...siglip,
    ...of('siglip_tanh', 'siglip_auto'),
    ...of('siglip_gap', 'siglip_gap_auto', false, 'classify(base, pool: mean)'),
  ]);

  describe('wrapped by transformers', () =>
    testAdapters(
      wrapped[1]!,
      'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
      /(attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)$/,
      8,
      false,
    ));

  testNames(
    'by the names of a model that transformers wraps',
    {
      ...clip[1]!,
      base: 'clip_auto(image: 32, table_image: 24, patch: 4, dim: 16, depth: 2, heads: 2, activation: gelu, antialias: true)',
      head: 'classify(base, classes: 5)',
    },
    (name, t) => [[`timm_model.${name}`, t]],
  );

  test('are preprocessed as timm does it', async () => {
    const { elaborated } = await analyseModel(specOf(clip[1]!), { host });
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: Math.floor(32 / 0.9), filter: 'bicubic' },
      { step: 'crop', size: [32, 32], rounding: 'even' },
      {
        step: 'normalize',
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.26130258, 0.27577711],
      },
    ]);
    // DINOv2's images are those of its table, where nothing else is asked for.
    const own = await analyseModel(specOf(dinov2[0]!), { host });
    expect(own.elaborated.preprocess?.[1]).toMatchObject({ size: [24, 24] });
  });

  test.each([
    ['dinov2', dinov2[0]!, { global_pool: 'avg' }],
    ['clip', clip[0]!, { global_pool: 'avg' }],
    ['siglip', siglip[0]!, { global_pool: 'avg' }],
    ['dinov2', dinov2[0]!, { mlp_ratio: 3 }],
  ])('%s is refused with what it does not compute', async (folder, c, args) => {
    const where = changed(folder, (config) => ({ ...config, model_args: { ...config.model_args, ...args } }));
    const [[name, value]] = Object.entries(args) as [[string, string | number]];
    expect(await said(c, where)).toContain(`model_args.${name} = ${JSON.stringify(value)}`);
  });

  test('one that another variant reads names that', async () => {
    const by = (base: string, folder: string) => said({ ...dinov2[0]!, base, from: join(FOLDER, folder) }, { host });
    expect(await by('dinov2_auto()', 'dinov2_registers')).toContain('write `dinov2_registers_base()`.');
    expect(await by('siglip_auto()', 'siglip_gap')).toContain('write `siglip_gap_base_patch16_gelu()`.');
    // Of a family whose names a pattern takes in, but of no size of it.
    expect(await by('vit_auto()', 'clip')).toContain('write `clip_vit_base_patch32_gelu()`.');
  });

  // As timm counts them, without a classifier.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));

  test('are written back as they were, with the names of other classes', async () => {
    const text = `use std\nmodel M {\n  base = clip_auto() from "${clip[0]!.from}"\n  head = classify(base, classes: ["x", "y"])\n  tune head\n  adapt base.blocks[0].mlp.fc1 with ssf()\n}\n`;
    const { files, changed: names } = await merge({ text, path: 's.peft' }, { host });
    const config = JSON.parse(String(files.get('config.json')));
    expect(config).toMatchObject({
      architecture: 'vit_base_patch32_clip_224',
      num_classes: 2,
      label_names: ['x', 'y'],
    });
    expect(names.toSorted()).toEqual(['blocks.0.mlp.fc1.bias', 'blocks.0.mlp.fc1.weight', 'head.bias', 'head.weight']);
  });
});
