/** ConvNeXt V2 of the library, and what timm calls the tensors of both versions, on what transformers and timm save (`test/reference/make_convnextv2.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host } from '../api/support.js';
import { type Case, specOf, testAdapters, testNames, testNumbers, testSizes } from './family.js';

const FOLDER = join(FIXTURES, 'convnextv2');
const options = 'image: 32, dims: [6, 8, 10, 12], depths: [1, 2, 1, 1], ';
const of = (folder: string, variant: string, more: string, gpu = false): Case => ({
  name: folder,
  base: `${variant}(${options}${more})`,
  from: join(FOLDER, folder, 'model.safetensors'),
  head: 'classify(base, classes: 5)',
  reference: join(FOLDER, folder, 'reference.safetensors'),
  gpu,
});
const classifier = of('classifier', 'convnextv2_auto', 'eps: 1e-12', true);
const timm = of('timm', 'convnextv2_auto', 'eps: 1e-6');

describe('ConvNeXt V2', () => {
  testNumbers([
    classifier,
    timm,
    of('timm_conv', 'convnextv2_auto', 'eps: 1e-6', true),
    of('timm_first', 'convnext_auto', 'eps: 1e-6'),
    {
      ...classifier,
      name: 'by its configuration',
      base: 'convnextv2_auto()',
      from: join(FOLDER, 'classifier'),
      gpu: false,
    },
  ]);

  testNames("by the authors' names", timm, (name, t) => [
    [
      name
        .replace('stem.', 'downsample_layers.0.')
        .replace(/stages\.(\d)\.downsample/, 'downsample_layers.$1')
        .replace(/blocks\.(\d)/, '$1')
        .replace('conv_dw', 'dwconv')
        .replace('mlp.fc', 'pwconv')
        .replace('mlp.grn.weight', 'grn.gamma')
        .replace('mlp.grn.bias', 'grn.beta')
        .replace('head.norm', 'norm')
        .replace('head.fc', 'head'),
      name.includes('grn') ? tensor([1, 1, 1, ...t.type.shape], t.data) : t,
    ],
  ]);

  testAdapters(classifier, 'base.stages[*].blocks[*].{pwconv1, pwconv2}', /pwconv\d\.(weight|bias)$/, 10);
  describe('of timm, with convolutions', () =>
    testAdapters(
      of('timm_conv', 'convnextv2_auto', 'eps: 1e-6'),
      'base.stages[*].blocks[*].{pwconv1, pwconv2}',
      /mlp\.fc\d\.(weight|bias)$/,
      10,
    ));

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'convnextv2_auto()', from: join(FOLDER, 'classifier'), head: 'classify(base)' }),
      { host },
    );
    expect(elaborated.labels).toHaveLength(5);
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 36, filter: 'bicubic' },
      { step: 'crop', size: [32, 32] },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
  });

  // As transformers counts them.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
