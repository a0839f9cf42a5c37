/** ConvNeXt of the library on a folder as transformers saves it (`test/reference/make_convnext.py`): the numbers, adapters, the way back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile } from '../../src/api/index.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, type TextSpec } from '../api/support.js';
import { scratch } from '../e2e/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';
import { adapted, expectMerge, expectOnGpu, resultOf, type SpecOf } from './support.js';

const FOLDER = join(FIXTURES, 'convnext');
const folder = scratch();

const spec = (body = '', from = FOLDER, before = ''): TextSpec => ({
  text: `use std\n${before}model M {\n  base = convnext_auto() from "${from}"\n  head = classify(base)\n${body}\n}\n`,
  path: 'convnext.peft',
});

async function reference(name: string): Promise<Tensor> {
  const file = await openCheckpointAt(join(FOLDER, 'reference.safetensors'));
  const found = await file.store.tensors.get(name)!.read();
  await file.close();
  return found;
}

const own: SpecOf = (body) => spec(body);
const LIKE = tensor([2, 5], new Float64Array(10));
const logitsOf = async (s: TextSpec, pixels: Tensor) => resultOf(s, pixels, LIKE);

const LORA = '  adapt base.stages[*].blocks[*].{pwconv1, pwconv2} with lora(rank: 2)';
const KARST = '  adapt base.stages[1..].blocks[*].pwconv1 with karst(rank: 2, factor: 4)';

describe('ConvNeXt', () => {
  test('gives the logits of transformers', async () => {
    const logits = await logitsOf(spec(), await reference('pixels'));
    expect(maxDifference(logits, await reference('logits64'))).toBeLessThan(1e-5);
  });

  test('reads what the folder says: sizes, classes, and the preprocessing of its family', async () => {
    const { elaborated } = await analyseModel(spec(), { host });
    expect(elaborated.labels).toEqual([0, 1, 2, 3, 4].map((i) => `LABEL_${i}`));
    // 32 / 0.875, then the middle.
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 36, filter: 'bicubic' },
      { step: 'crop', size: [32, 32] },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
  });

  test.each<[string, object, readonly object[] | string]>([
    [
      'from 384 on nothing is cut off',
      { size: { shortest_edge: 384 } },
      [{ step: 'resize', size: [384, 384], filter: 'bicubic' }],
    ],
    [
      'its own share',
      { size: { shortest_edge: 224 }, crop_pct: 0.5 },
      [
        { step: 'resize', size: 448, filter: 'bicubic' },
        { step: 'crop', size: [224, 224] },
      ],
    ],
    [
      'a filter is not guessed: transformers changed it',
      { size: { shortest_edge: 224 }, resample: null },
      'leaves out resample',
    ],
  ])('preprocessing: %s', async (_, fields, expected) => {
    const side = (fields as { size: { shortest_edge: number } }).size.shortest_edge;
    const config = JSON.parse(readFileSync(join(FOLDER, 'config.json'), 'utf8')) as object;
    const processor = { image_processor_type: 'ConvNextImageProcessor', resample: 3, do_normalize: false, ...fields };
    const checkpoint = await openCheckpoint(
      memoryFolder('f', {
        'config.json': JSON.stringify({ ...config, image_size: side }),
        'preprocessor_config.json': JSON.stringify(processor),
        'model.safetensors': readFileSync(join(FOLDER, 'model.safetensors')),
      }),
    );
    const steps = analyseModel(spec('', 'f'), { host: { ...host, openCheckpoint: async () => checkpoint } }).then(
      ({ elaborated }) => elaborated.preprocess?.filter((s) => s.step !== 'normalize'),
    );
    if (typeof expected === 'string') await expect(steps).rejects.toThrow(expected);
    else expect(await steps).toEqual(expected);
  });

  test('takes other images where the spec says so, and makes them as large', async () => {
    const s = { ...spec(), text: spec().text.replace('convnext_auto()', 'convnext_auto(image: 64)') };
    const { elaborated } = await analyseModel(s, { host });
    expect(elaborated.preprocess?.slice(0, 2)).toEqual([
      { step: 'resize', size: 73, filter: 'bicubic' },
      { step: 'crop', size: [64, 64] },
    ]);
  });

  test('without layer scale has no such parameters', async () => {
    const e = (
      await analyseModel(
        {
          text: `use std\nmodel M {\n  base = convnext_auto(image: 32, dims: [4, 8], depths: [1, 2], layer_scale: 0)\n}\n`,
          path: 's.peft',
        },
        { host },
      )
    ).elaborated;
    const names = [...e.module.params.keys()];
    expect(names.filter((n) => n.includes('gamma'))).toEqual([]);
    expect(names).toContain('base.stages.1.blocks.1.pwconv2.weight');
  });

  test.each([
    ['lora', LORA, 10],
    ['karst', KARST, 4],
  ])('%s on pointwise layers merges: the same logits, and only those tensors changed', async (name, body, sites) => {
    const s = await adapted(own, folder, name, body);
    const like = await reference('logits64');
    const changed = await expectMerge(s, spec(), FOLDER, await reference('pixels'), like, /pwconv\d\.(weight|bias)$/);
    expect(changed.filter((n) => n.endsWith('weight'))).toHaveLength(sites);
  });

  test('a merged program has the kernels of the plain one', async () => {
    const [plain, lora] = [
      await compile(spec(), { host }),
      await compile(await adapted(own, folder, 'kernels', LORA), { host }),
    ];
    expect(lora.report.map((a) => a.state)).toEqual(Array.from({ length: 10 }, () => 'merged'));
    expect(lora.program.entries[0]!.dispatches.length).toBe(plain.program.entries[0]!.dispatches.length);
  });

  test('runs on the GPU within its tolerance of transformers', async () => {
    const pixels = await reference('pixels');
    await expectOnGpu(spec(), join(folder, 'plain'), pixels, await reference('logits'), 1e-4);
    const karst = await adapted(own, folder, 'gpu', KARST);
    await expectOnGpu(karst, join(folder, 'compiled'), pixels, await logitsOf(karst, pixels), 1e-4);
  });
});
