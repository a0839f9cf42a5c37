/** Swin of the library on what transformers and timm save (`test/reference/make_swin.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host } from '../api/support.js';
import {
  type Case,
  specOf,
  testAdapters,
  testArchitectures,
  testNames,
  testNumbers,
  testSizes,
  testTimmFolder,
} from './family.js';

const FOLDER = join(FIXTURES, 'swin');
const options = 'dim0: 8, depths: [2, 2, 1], heads: [1, 2, 2], patch: 2, mlp_ratio: 2, table_image: 20, ';
const of = (folder: string, prefix: string, more: string, gpu = false): Case => ({
  name: `${folder} ${prefix}`,
  base: `swin_auto(${options}${more})`,
  from: join(FOLDER, folder, 'model.safetensors'),
  head: 'classify(base, classes: 5)',
  reference: join(FOLDER, folder, 'reference.safetensors'),
  prefix,
  gpu,
});
const TABLES = 'table_window: 3, absolute: true';
/** As timm has it, whose tables are of no larger windows than a stage. */
const TIMM = 'table_window: 4, pad_first: false, fitted_tables: true, table_filter: spread';
const plain = of('classifier', '', TABLES);
const larger = of('classifier', 'larger.', `${TABLES}, image: 28`, true);
const timm = of('timm', 'larger.', `${TIMM}, image: 28`, true);

describe('Swin', () => {
  testNumbers([
    plain,
    larger,
    of('classifier', 'window.', `${TABLES}, window: 2`),
    of('timm', '', TIMM),
    timm,
    { ...plain, name: 'by its configuration', base: 'swin_auto()', from: join(FOLDER, 'classifier') },
  ]);

  testNames(
    'by the names of transformers 5',
    plain,
    (name, t) => [
      [
        name
          .replace(/attention\.self\.(.)(?:uery|ey|alue)\./, 'attention.$1_proj.')
          .replace('attention.self.relative', 'attention.relative_position_bias.relative')
          .replace('attention.output.dense', 'attention.o_proj')
          .replace('intermediate.dense', 'mlp.fc1')
          .replace('output.dense', 'mlp.fc2'),
        t,
      ],
    ],
    join(FOLDER, 'classifier', 'names.json'),
  );
  // With the buffers that they save.
  testNames("by the authors' names", timm, (name, t) => [
    [
      name
        .replace(/layers\.(\d)\.downsample/, (_, s) => `layers.${Number(s) - 1}.downsample`)
        .replace('head.fc.', 'head.'),
      t,
    ],
    ...(name.endsWith('qkv.weight')
      ? [[name.replace('qkv.weight', 'relative_position_index'), tensor([16, 16], new Float64Array(256))] as const]
      : []),
  ]);

  testTimmFolder(join(FOLDER, 'timm'), 'swin_auto', 20, 28, 'base.stages[*].blocks[*]', { head_dim: 4 });
  testArchitectures('swin_auto', [
    ['swin_tiny_patch4_window7_224', 'swin_tiny'],
    ['swin_base_patch4_window12_384', 'swin_base_384'],
    ['swin_s3_tiny_224', 'swin_s3_tiny'],
  ]);

  testAdapters(
    larger,
    'base.stages[*].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
    /(attention\.self\.(query|key|value)|output\.dense|intermediate\.dense)\.(weight|bias)$/,
    30,
    false,
  );

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'swin_auto()', from: join(FOLDER, 'classifier'), head: 'classify(base)' }),
      { host },
    );
    expect(elaborated.labels).toHaveLength(5);
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: [20, 20], filter: 'bicubic' },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
  });

  // As transformers counts them.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
