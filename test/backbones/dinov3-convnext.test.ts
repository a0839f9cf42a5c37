/** DINOv3's ConvNeXts of the library on what transformers and timm save (`test/reference/make_dinov3_convnext.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { FIXTURES, host } from '../api/support.js';
import { type Case, specOf, testAdapters, testNames, testNumbers, testSizes } from './family.js';

const FOLDER = join(FIXTURES, 'dinov3-convnext');
const plain: Case = {
  name: 'plain',
  base: 'dinov3_convnext_auto()',
  from: join(FOLDER, 'plain'),
  reference: join(FOLDER, 'plain', 'reference.safetensors'),
  what: 'features',
};
const timm: Case = {
  name: 'a folder of timm’s',
  base: 'convnext_auto(image: 32)',
  from: join(FOLDER, 'timm'),
  head: 'embedding(base)',
  reference: join(FOLDER, 'timm', 'reference.safetensors'),
  what: 'pooled',
};
const TINY = 'dims: [8, 12, 16, 24], depths: [1, 2, 1, 1], image: 32';

describe('DINOv3, ConvNeXt', () => {
  testNumbers([
    { ...plain, gpu: true },
    { ...plain, name: 'plain, larger images', base: 'dinov3_convnext_auto(image: 64)', prefix: 'larger.' },
    { ...plain, name: 'plain, what it gives for a picture', head: 'embedding(base)', what: 'pooled' },
    timm,
    { ...timm, name: 'a folder of timm’s by the family', base: 'dinov3_convnext_auto(image: 32)' },
    { ...timm, name: 'a folder of timm’s, larger images', base: 'convnext_auto(image: 64)', prefix: 'larger.' },
  ]);

  testAdapters(plain, 'base.stages[*].blocks[*].{pwconv1, pwconv2}', /pointwise_conv\d\.(weight|bias)$/, 10, false);

  const bare = { ...plain, base: `dinov3_convnext_auto(${TINY})` };
  testNames(
    'by the names of transformers 5',
    bare,
    (name, t) => [[name.replace(/^stages\./, 'model.stages.'), t]],
    join(FOLDER, 'plain', 'names.json'),
  );
  testNames("by the authors' names, their last norm twice", bare, (name, t) => {
    const short = name
      .replace(/^stages\.(\d)\.downsample_layers\.(\d)/, 'downsample_layers.$1.$2')
      .replace(/^stages\.(\d)\.layers\.(\d)/, 'stages.$1.$2')
      .replace('depthwise_conv', 'dwconv')
      .replace('pointwise_conv', 'pwconv')
      .replace('layer_norm', 'norm');
    return short.startsWith('norm.')
      ? [
          [short, t],
          [short.replace('norm.', 'norms.3.'), t],
        ]
      : [[short, t]];
  });

  test('reads what the folder says: preprocessing, and of the images that the spec asks for', async () => {
    const steps = async (base: string) =>
      (await analyseModel(specOf({ ...plain, base }), { host })).elaborated.preprocess;
    const normalize = { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    expect(await steps('dinov3_convnext_auto()')).toEqual([
      { step: 'resize', size: [32, 32], filter: 'bilinear' },
      normalize,
    ]);
    expect(await steps('dinov3_convnext_auto(image: 64)')).toEqual([
      { step: 'resize', size: [64, 64], filter: 'bilinear' },
      normalize,
    ]);
    // timm cuts nothing off of these.
    const by = await analyseModel(specOf({ ...timm, base: 'convnext_auto()' }), { host });
    expect(by.elaborated.preprocess).toEqual([
      { step: 'resize', size: 224, filter: 'bicubic' },
      { step: 'crop', size: [224, 224], rounding: 'even' },
      normalize,
    ]);
  });

  test('norms all patches only where nothing else follows the mean', async () => {
    const text = `use std\nmodel M {\n  base = dinov3_convnext_auto(${TINY}, norm_first: true)\n}\n`;
    await expect(analyseModel({ text, path: 's.peft' }, { host })).rejects.toThrow('norm_all is for a model');
  });

  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
