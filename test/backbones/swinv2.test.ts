/** Swin V2 of the library on what transformers and timm save (`test/reference/make_swinv2.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, merge } from '../../src/api/index.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host, scratch } from '../api/support.js';
import {
  type Case,
  specOf,
  testArchitectures,
  testNames,
  testNumbers,
  testSizes,
  testTimmFolder,
  wanted,
} from './family.js';
import { adapted, expectMerge } from './support.js';

const FOLDER = join(FIXTURES, 'swinv2');
const options = 'dim0: 8, depths: [2, 2, 1], heads: [1, 2, 2], patch: 2, mlp_ratio: 2, table_image: 20, ';
const of = (folder: string, prefix: string, more: string, gpu = false): Case => ({
  name: `${folder} ${prefix}`,
  base: `swinv2_auto(${options}${more})`,
  from: join(FOLDER, folder, 'model.safetensors'),
  head: 'classify(base, classes: 5)',
  reference: join(FOLDER, folder, 'reference.safetensors'),
  prefix,
  gpu,
});
const HUGGINGFACE = 'table_window: 3, window_image: 20, far: 200';
const TIMM = 'table_window: 3, eps: 1e-5, pad_first: false, ';
const TRAINED = 'trained_windows: [2, 2, 1], ';
const plain = of('classifier', '', HUGGINGFACE, true);
const larger = of('classifier', 'larger.', `${HUGGINGFACE}, image: 28`);
const timm = of('timm', 'larger.', `${TIMM}${TRAINED}image: 28`);

describe('Swin V2', () => {
  testNumbers([
    plain,
    larger,
    of('timm', '', `${TIMM}${TRAINED}`),
    timm,
    // Distances are measured by the windows that the checkpoint is for.
    of('timm', 'window.', `${TIMM}image: 28, window: 4`, true),
    { ...plain, name: 'by its configuration', base: 'swinv2_auto()', from: join(FOLDER, 'classifier'), gpu: false },
    {
      ...larger,
      name: 'by its configuration, larger',
      base: 'swinv2_auto(image: 28)',
      from: join(FOLDER, 'classifier'),
    },
  ]);

  testNames(
    'by the names of a bare model of transformers, with the buffers that files of version 4 hold',
    plain,
    (name, t) => [
      [name.replace('swinv2.', ''), t],
      ...(name.endsWith('logit_scale')
        ? ['relative_position_index', 'relative_coords_table'].map(
            (n) =>
              [name.replace('swinv2.', '').replace('logit_scale', n), tensor([2, 2], new Float64Array(4))] as const,
          )
        : []),
    ],
  );
  testNames("by the authors' names, with the buffers that they save", timm, (name, t) => [
    [
      name
        .replace(/layers\.(\d)\.downsample/, (_, s) => `layers.${Number(s) - 1}.downsample`)
        .replace('head.fc.', 'head.'),
      t,
    ],
    ...(name.endsWith('qkv.weight')
      ? ['attn.relative_position_index', 'attn.relative_coords_table', 'attn_mask'].map(
          (n) => [name.replace('attn.qkv.weight', n), tensor([2, 2], new Float64Array(4))] as const,
        )
      : []),
  ]);

  testTimmFolder(join(FOLDER, 'timm'), 'swinv2_auto', 20, 28, 'base.stages[*].blocks[*]', { act_layer: 'relu' });
  testArchitectures('swinv2_auto', [['swinv2_base_window12to24_192to384', 'swinv2_base_window12to24_192to384']]);

  test('a bare file does not show its windows: what is taken for them is said', async () => {
    const { warnings } = await analyseModel(specOf({ base: `swinv2_auto(${options}eps: 1e-5)`, from: timm.from }), {
      host,
    });
    expect(warnings.map((d) => d.message)).toEqual([expect.stringContaining('taken for it: table_window: 7')]);
  });

  describe('adapters', () => {
    const folder = scratch();
    const of = (body?: string) => specOf(plain, body);
    const graft = (adapter: string) =>
      `  adapt base.stages[*].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with ${adapter}`;

    test('of weights merge, into a file of the same layout', async () => {
      const { pixels, want } = await wanted(plain);
      const s = await adapted(of, folder, 'lora', graft('lora(rank: 2)'));
      const changes = /(self\.(query|key|value)|output\.dense|intermediate\.dense)\.weight$/;
      expect(await expectMerge(s, of(), plain.from, pixels, want, changes)).toHaveLength(30);
    });

    test('that shift keys merge into the program; of this layout, where keys have no bias, no file can hold it', async () => {
      const s = await adapted(of, folder, 'karst', graft('karst(rank: 2, factor: 2)'));
      expect((await compile(s, { host })).report.map((a) => a.state)).toEqual(Array(20).fill('merged'));
      await expect(merge(s, { host })).rejects.toThrow('ESP0911');
    });
  });

  test('computes what each head adds by distance once, with the weights', async () => {
    const { program } = await compile(specOf(plain), { host });
    expect(program.weights.map((w) => w.name).filter((n) => /(cpb_mlp\.fc.*|logit_scale)$/.test(n))).toEqual([]);
    // That MLP is 512 wide, and nothing else is.
    expect(program.weights.filter((w) => w.shape.includes(512))).toEqual([]);
  });

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'swinv2_auto()', from: join(FOLDER, 'classifier'), head: 'classify(base)' }),
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
