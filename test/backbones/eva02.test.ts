/** EVA-02 of the library on what timm saves (`test/reference/make_eva02.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { FIXTURES, host } from '../api/support.js';
import { memoryFolder } from '../folders.js';
import { type Case, specOf, testAdapters, testNames, testNumbers, testSizes } from './family.js';

const FOLDER = join(FIXTURES, 'eva02');
/** The folder says all but the size of the images. */
const of = (folder: string): Case[] =>
  (
    [
      [24, ''],
      [16, 'smaller.'],
      [32, 'larger.'],
    ] as const
  ).map(([image, prefix]) => ({
    name: `${folder}, images of ${image}`,
    base: `eva02_auto(image: ${image})`,
    from: join(FOLDER, folder),
    head: 'classify(base)',
    reference: join(FOLDER, folder, 'reference.safetensors'),
    prefix,
    gpu: (folder === 'fused' && image === 16) || (folder === 'clip' && image === 32),
  }));
const [fused, apart, clip] = [of('fused'), of('apart'), of('clip')];
const SITES = 'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}';
/** Without its shift, which no file could hold: keys have no bias. */
const KARST = 'karst(rank: 2, factor: 2, rescale: none)';

describe('EVA-02', () => {
  testNumbers([...fused, ...apart, ...clip]);

  testAdapters(fused[1]!, SITES, /(attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)$/, 8, false, KARST);
  describe('with layers apart', () =>
    testAdapters(apart[2]!, SITES, /(attn\.([qkv]_)?proj|mlp\.fc(1_g|1_x|2))\.(weight|bias)$/, 14, true, KARST));

  testNames(
    "by the authors' names",
    {
      ...clip[1]!,
      base: 'eva02_auto(image: 16, table_image: 24, patch: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 8 / 3, attn_norm: true, mlp_norm: true, rotary_grid: 6, eps: 1e-6, global_pool: token)',
      head: 'classify(base, classes: 5)',
    },
    (name, t) => [
      [
        name
          .replace(/([qv])_proj\.bias/, '$1_bias')
          .replace('attn.norm', 'attn.inner_attn_ln')
          .replace('mlp.norm', 'mlp.ffn_ln')
          .replace('fc1_g', 'w1')
          .replace('fc1_x', 'w2')
          .replace('fc2', 'w3'),
        t,
      ],
    ],
  );

  test('reads what the folder says: preprocessing and the number of classes', async () => {
    const { elaborated } = await analyseModel(specOf(apart[0]!), { host });
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 26, filter: 'bicubic' },
      { step: 'crop', size: [24, 24], rounding: 'even' },
      {
        step: 'normalize',
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.26130258, 0.27577711],
      },
    ]);
    expect(elaborated.module.params.get('head.fc.weight')!.type.shape).toEqual([5, 16]);
  });

  test.each([
    ['pooling whose norm lies elsewhere', { global_pool: 'max' }, 'model_args.global_pool = "max"'],
    ['rotary positions of another kind', { rope_type: 'mixed' }, 'model_args.rope_type = "mixed"'],
  ])('refuses %s', async (_, changed, words) => {
    const at = join(FOLDER, 'fused');
    const config = JSON.parse(readFileSync(join(at, 'config.json'), 'utf8'));
    const files = {
      'config.json': JSON.stringify({ ...config, model_args: { ...config.model_args, ...changed } }),
      'model.safetensors': readFileSync(join(at, 'model.safetensors')),
    };
    const own = { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) };
    await expect(analyseModel(specOf(fused[0]!), { host: own })).rejects.toThrow(words);
  });

  // As timm counts them, without a classifier.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
