/** ConvNeXt of both versions on folders as timm and transformers' wrapper of timm save them (`test/reference/make_convnext_timm.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { merge } from '../../src/api/index.js';
import type { EspalierError } from '../../src/diagnostics/types.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { FIXTURES, host, readTensors, scratch } from '../api/support.js';
import { good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { type Case, specOf, testNumbers } from './family.js';
import { adapted, expectMerge } from './support.js';

const FOLDER = join(FIXTURES, 'convnext-timm');
const folder = scratch();
const of = (name: string, variant: string, gpu = false): Case => ({
  name,
  base: `${variant}(image: 32)`,
  from: join(FOLDER, name),
  head: 'classify(base)',
  reference: join(FOLDER, name === 'wrapped' ? 'plain' : name, 'reference.safetensors'),
  gpu,
});
const plain = of('plain', 'convnext_auto');

describe('folders of timm', () => {
  testNumbers([
    plain,
    of('wrapped', 'convnext_auto'),
    of('convolutions', 'convnext_auto', true),
    of('first', 'convnext_auto'),
    of('hidden', 'convnext_auto'),
    of('second', 'convnextv2_auto'),
    of('second_convolutions', 'convnextv2_auto'),
  ]);

  test.each([
    ['lora', 'lora(rank: 2)', of('convolutions', 'convnext_auto')],
    ['karst', 'karst(rank: 2, factor: 2)', of('second', 'convnextv2_auto')],
  ])('%s merges into a file of the same layout', async (name, adapter, c) => {
    const graft = `  adapt base.stages[*].blocks[*].{pwconv1, pwconv2} with ${adapter}`;
    const s = await adapted((body) => specOf(c, body), folder, name, graft);
    const { pixels, logits } = Object.fromEntries(await readTensors(c.reference));
    const changed = await expectMerge(s, specOf(c), c.from, pixels!, logits!, /mlp\.fc\d\.(weight|bias)$/);
    expect(changed.filter((n) => n.endsWith('weight'))).toHaveLength(10);
  });

  test('say classes and preprocessing, for the images of the file or of the spec', async () => {
    const read = async (base: string) => (await analyseModel(specOf({ ...plain, base }), { host })).elaborated;
    const { labels, preprocess } = await read('convnext_auto()');
    expect(labels).toEqual(['ant', 'bee', 'cat', 'dog', 'eel']);
    // floor(224 / 0.95), then the middle.
    expect(preprocess).toEqual([
      { step: 'resize', size: 235, filter: 'bicubic' },
      { step: 'crop', size: [224, 224], rounding: 'even' },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
    expect((await read('convnext_auto(image: 288)')).preprocess).toMatchObject([
      { size: 303 },
      { size: [288, 288] },
      {},
    ]);
  });

  test('are written back as they were, with the names of other classes', async () => {
    const text = `use std\nmodel M {\n  base = convnext_auto() from "${plain.from}"\n  head = classify(base, classes: ["x", "y"])\n  tune head\n}\n`;
    const { files } = await merge({ text, path: 's.peft' }, { host });
    expect(JSON.parse(String(files.get('config.json')))).toMatchObject({
      architecture: 'convnext_tiny',
      num_classes: 2,
      label_names: ['x', 'y'],
    });
  });
});

describe('a folder of timm is refused', () => {
  const said = async (change: object, base: string) => {
    const config = JSON.parse(readFileSync(join(plain.from, 'config.json'), 'utf8')) as { model_args: object };
    const { model_args = {}, ...more } = change as { model_args?: object };
    const files = {
      'config.json': JSON.stringify({ ...config, ...more, model_args: { ...config.model_args, ...model_args } }),
      'model.safetensors': readFileSync(join(plain.from, 'model.safetensors')),
    };
    const own = { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) };
    return analyseModel(specOf({ ...plain, base, from: 'f' }), { host: own }).then(
      () => 'nothing',
      (e: EspalierError) => e.diagnostics.map((d) => [d.code, d.message, ...d.help].join('\n')).join('\n'),
    );
  };

  test.each<[string, object, string, RegExp]>([
    ['the stem overlaps', { architecture: 'convnext_atto_ols' }, 'convnext_auto()', /ESP0540/],
    [
      'its name is misspelt',
      { architecture: 'convnext_att0' },
      'convnext_auto()',
      /ESP0540[\s\S]*nearest that it knows is "convnext_atto"/,
    ],
    ['patches are smaller', { model_args: { patch_size: 2 } }, 'convnext_auto()', /ESP0509[\s\S]*patch_size = 2/],
    [
      'it is the other version',
      { architecture: 'convnextv2_tiny' },
      'convnext_auto()',
      /ESP0508[\s\S]*`convnextv2_tiny` reads it/,
    ],
    [
      'its arguments say so',
      { model_args: { stem_type: 'overlap' } },
      'convnext_auto()',
      /ESP0509[\s\S]*model_args\.stem_type = "overlap"/,
    ],
    ['kernels differ', { model_args: { kernel_sizes: [7, 5, 5, 3] } }, 'convnext_auto()', /ESP0509[\s\S]*kernel_sizes/],
    ['its head is wider', { model_args: { head_hidden_size: 9 } }, 'convnext_auto()', /ESP0223[\s\S]*head_hidden is 0/],
    [
      'convolutions have no bias',
      { model_args: { conv_bias: false } },
      'convnext_auto()',
      /ESP0509[\s\S]*conv_bias = false/,
    ],
    [
      'pooling is another',
      { model_args: { global_pool: 'max' } },
      'convnext_auto()',
      /ESP0509[\s\S]*global_pool = "max"/,
    ],
  ])('where %s', async (_, change, base, words) => {
    expect(await said(change, base)).toMatch(words);
  });
});

// As timm counts them, with the classifier.
test.each([
  ['convnext_atto', 3_695_520],
  ['convnext_tiny_hnf', 28_589_128],
  ['convnext_large_mlp', 200_128_168],
  ['convnextv2_small', 50_318_440],
])('%s has as many parameters', (variant, count) => {
  const { module } = good(`use std\nmodel M {\n  base = ${variant}()\n  head = classify(base, classes: 1000)\n}`);
  expect([...module.params.values()].reduce((n, p) => n + p.type.shape.reduce((a, b) => a * b, 1), 0)).toBe(count);
});
