/** ConvNeXt of the library on a folder as transformers saves it (`test/reference/make_convnext.py`): the numbers, adapters, the way back. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, merge } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { type OpenCheckpoint, openCheckpoint } from '../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, infer, randomAdapter, type TextSpec } from '../api/support.js';
import { compileTo, scratch, withProgram } from '../e2e/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';

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

async function logitsOf(s: TextSpec, pixels: Tensor): Promise<Tensor> {
  const analysis = await analyseModel(s, { host });
  const { get } = await loadParameters(analysis);
  return tensor([2, 5], infer(analysis.elaborated.module, pixels, get));
}

const opened = (files: Awaited<ReturnType<typeof merge>>['files']): Promise<OpenCheckpoint> =>
  openCheckpoint(
    memoryFolder(
      'merged',
      Object.fromEntries([...files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c as Uint8Array[]) : c])),
    ),
  );
const shapes = (c: OpenCheckpoint) => [...c.store.tensors].map(([n, e]) => `${n} ${e.dtype} ${e.shape}`).sort();

/** The spec with random trained tensors for its adapters. */
async function adapted(name: string, body: string): Promise<TextSpec> {
  const file = join(folder, `${name}.safetensors`);
  writeFileSync(file, encodeAdapter(await randomAdapter(spec(body))));
  return spec(`${body} from "${file}"`);
}
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
    const s = await adapted(name, body);
    const pixels = await reference('pixels');
    const { files, changed, tensors } = await merge(s, { host });
    const [before, after] = [await openCheckpointAt(FOLDER), await opened(files)];
    expect(shapes(after)).toEqual(shapes(before));
    expect(tensors).toBe(before.store.tensors.size);
    expect(changed.every((n) => /pwconv\d\.(weight|bias)$/.test(n))).toBe(true);
    expect(changed.filter((n) => n.endsWith('weight'))).toHaveLength(sites);
    const merged: TextSpec = spec();
    const analysis = await analyseModel(merged, { host: { ...host, openCheckpoint: async () => after } });
    const { get } = await loadParameters(analysis);
    const found = tensor([2, 5], infer(analysis.elaborated.module, pixels, get));
    const want = await logitsOf(s, pixels);
    expect(maxDifference(found, want)).toBeLessThan(1e-4 * Math.max(...want.data.map(Math.abs)));
    // It is not the base's answer.
    expect(maxDifference(found, await reference('logits64'))).toBeGreaterThan(1e-2);
    await before.close();
  });

  test('a merged program has the kernels of the plain one', async () => {
    const [plain, lora] = [await compile(spec(), { host }), await compile(await adapted('kernels', LORA), { host })];
    expect(lora.report.map((a) => a.state)).toEqual(Array.from({ length: 10 }, () => 'merged'));
    expect(lora.program.entries[0]!.dispatches.length).toBe(plain.program.entries[0]!.dispatches.length);
  });

  test('runs on the GPU within its tolerance of transformers', async () => {
    const out = join(folder, 'compiled');
    await compileTo(out, await adapted('gpu', KARST));
    const plain = join(folder, 'plain');
    await compileTo(plain, spec());
    const pixels = await reference('pixels');
    const run = (at: string) =>
      withProgram(
        at,
        async (s) => Object.values((await s.run({ tensors: { pixels: Float32Array.from(pixels.data) } })).outputs)[0]!,
      );
    const close = (found: ArrayLike<number>, want: Tensor) => {
      const largest = Math.max(...want.data.map(Math.abs));
      expect(maxDifference(tensor([2, 5], Float64Array.from(found)), want) / largest).toBeLessThan(1e-4);
    };
    close(await run(plain), await reference('logits'));
    close(await run(out), await logitsOf(await adapted('gpu', KARST), pixels));
  });
});
