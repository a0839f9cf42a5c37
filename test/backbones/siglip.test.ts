/** The image encoders of SigLIP and SigLIP 2 of the library on what transformers and timm save (`test/reference/make_siglip.py`). */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { FIXTURES, host, scratch } from '../api/support.js';
import { specOf, testAdapters, testNames, testNumbers, testSizes, threeSizes } from './family.js';

const FOLDER = join(FIXTURES, 'siglip');
const options = 'dim: 16, depth: 2, heads: 2, hidden: 24, patch: 4, ';
const of = (folder: string, head: string, what = 'logits', more = '') =>
  threeSizes(
    join(FOLDER, folder),
    26,
    `siglip_auto(${options}table_image: 26, ${more}`,
    head,
    what,
    folder === 'classifier' || folder === 'timm',
  );
const classifier = of('classifier', 'classify(base, pool: mean, classes: 5)');
const model = of('model', 'embedding(base)', 'embedding');
const timm = of('timm', 'classify(base, classes: 5)', 'logits', 'antialias: true, ');
const naflex = threeSizes(
  join(FOLDER, 'naflex'),
  24,
  `siglip2_naflex_auto(${options}table_image: 24, `,
  'embedding(base)',
  'embedding',
);

describe("SigLIP's image encoder", () => {
  testNumbers([...classifier, ...model, ...timm, ...naflex]);
  testNumbers(
    (['classifier', 'model', 'naflex'] as const).map((name) => ({
      ...{ classifier, model, naflex }[name][0]!,
      name: `${name} by its configuration`,
      from: join(FOLDER, name),
      base: name === 'naflex' ? 'siglip2_naflex_auto()' : 'siglip_auto()',
    })),
  );

  testNames('SigLIP 2 by the names of transformers 4', naflex[1]!, (name, t) => [[`vision_model.${name}`, t]]);

  testAdapters(
    timm[2]!,
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}, base.attn_pool.{qkv, proj}',
    /(attn\.(qkv|proj)|mlp\.fc[12]|attn_pool\.(q|kv|proj))\.(weight|bias)$/,
    11,
  );

  test('asks for the shape of pictures, where a processor gives each one of its own', async () => {
    const folder = scratch();
    cpSync(join(FOLDER, 'naflex'), folder, { recursive: true });
    const processor = { image_processor_type: 'Siglip2ImageProcessor', patch_size: 4, max_num_patches: 36 };
    writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(processor));
    const read = (options: string) =>
      analyseModel(specOf({ base: `siglip2_naflex_auto(${options})`, from: folder, head: 'embedding(base)' }), {
        host,
      });
    await expect(read('')).rejects.toThrow('`max_num_patches` and `patch_size` cannot be followed');
    const { elaborated } = await read('image: [16, 36]');
    expect(elaborated.preprocess![0]).toEqual({ step: 'resize', size: [16, 36], filter: 'bilinear' });
  });

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'siglip_auto()', from: join(FOLDER, 'classifier'), head: 'classify(base, pool: mean)' }),
      { host },
    );
    expect(elaborated.labels).toHaveLength(5);
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: [26, 26], filter: 'bicubic' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ]);
  });

  // As transformers counts them.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
