/** Pictures that are no squares: `image: [height, width]`, with positions as the real code makes them for these (`test/reference/make_oblong.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { FIXTURES, host, readTensors } from '../api/support.js';
import { codes, good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { type Case, specOf, testNumbers } from './family.js';

const REFERENCE = join(FIXTURES, 'oblong.safetensors');
/** As `make_oblong.py` has them. */
const SIDES: Readonly<Record<number, readonly string[]>> = { 4: ['[16, 32]', '[28, 20]'], 8: ['[32, 64]'] };
const MEAN = 'classify(base, pool: mean)';

/** By the name of a case: what reads its weights, where they are, its head, its patch, and of how many shapes it is. */
const CASES: readonly (readonly [
  name: string,
  base: string,
  from: string,
  head?: string | undefined,
  patch?: number,
  shapes?: number,
])[] = [
  ['vit', 'vit_auto(', 'peft/forms/base', 'classify(base)'],
  ['deit', 'deit_auto(', 'timm/deit', 'classify(base)', 4, 1],
  ['dinov2', 'dinov2_auto(', 'dinov2/plain', 'classify(base, pool: cls_mean)'],
  ['dinov2-registers', 'dinov2_registers_auto(', 'dinov2/registers', 'classify(base, pool: cls_mean)', 4, 1],
  ['dinov3', 'dinov3_auto(', 'dinov3/plain'],
  ['dinov3-convnext', 'dinov3_convnext_auto(', 'dinov3-convnext/plain', undefined, 8],
  ['clip', 'clip_auto(', 'clip/classifier', MEAN, 4, 1],
  ['siglip', 'siglip_auto(', 'siglip/classifier', MEAN],
  ['siglip2-naflex', 'siglip2_naflex_auto(', 'siglip/naflex', 'embedding(base)'],
  ['beit', 'beit_auto(', 'beit/classifier', 'classify(base)'],
  ['convnext', 'convnext_auto(', 'convnext', 'classify(base)', 8],
  [
    'as-mlp',
    'as_mlp_auto(dim0: 12, depths: [2, 1], shift_size: 5, ',
    'asmlp/model.safetensors',
    'classify(base, classes: 5)',
    4,
    1,
  ],
  ['vit-timm', 'vit_auto(', 'timm/plain', 'classify(base)', 4, 1],
  ['dinov3-timm', 'dinov3_auto(', 'dinov3/timm', 'classify(base)', 4, 1],
  ['eva02-timm', 'eva02_auto(', 'eva02/fused', 'classify(base)'],
  ['beit-timm', 'beit_auto(', 'beit/timm', 'classify(base)'],
];

const cases = CASES.flatMap(([name, base, from, head, patch = 4, shapes = 2]): Case[] =>
  SIDES[patch]!.slice(0, shapes).map((image, i) => ({
    name: `${name}, images of ${image}`,
    base: `${base}image: ${image})`,
    from: join(FIXTURES, from),
    ...(head ? { head } : {}),
    reference: REFERENCE,
    prefix: `${name}.${i}.`,
    what: 'want',
    gpu: name === 'siglip2-naflex' && i === 0,
  })),
);

describe('pictures that are no squares', () => {
  testNumbers(cases);

  test('every case of the reference is tested', async () => {
    const there = [...(await readTensors(REFERENCE)).keys()].filter((n) => n.endsWith('.want'));
    expect(cases.map((c) => `${c.prefix}want`).toSorted()).toEqual(there.toSorted());
  });

  const steps = async (base: string, from?: string) =>
    (
      await analyseModel(
        from
          ? specOf({ base, from: join(FIXTURES, from) })
          : { text: `use std\nmodel M {\n  base = ${base}\n}\n`, path: 's.peft' },
        { host },
      )
    ).elaborated.preprocess?.filter((s) => s.step !== 'normalize');

  // Of a square timm cuts off a tenth; of another shape as much is resized beyond, in both directions.
  test.each([
    [
      'vit_base_patch16(image: [224, 336])',
      undefined,
      [
        { step: 'resize', size: [224, 336], filter: 'bicubic' },
        { step: 'crop', size: [224, 336] },
      ],
    ],
    [
      'deit_base_patch16(image: [176, 96])',
      undefined,
      [
        { step: 'resize', size: [195, 106], filter: 'bicubic' },
        { step: 'crop', size: [176, 96], rounding: 'even' },
      ],
    ],
    [
      'clip_auto(image: [16, 32])',
      'clip/classifier',
      [
        { step: 'resize', size: [16, 32], filter: 'bicubic' },
        { step: 'crop', size: [16, 32] },
      ],
    ],
    ['siglip_auto(image: [16, 32])', 'siglip/classifier', [{ step: 'resize', size: [16, 32], filter: 'bicubic' }]],
    [
      'convnext_auto(image: [32, 64])',
      'convnext',
      [
        { step: 'resize', size: [36, 73], filter: 'bicubic' },
        { step: 'crop', size: [32, 64] },
      ],
    ],
    ['dinov3_auto(image: [16, 32])', 'dinov3/plain', [{ step: 'resize', size: [16, 32], filter: 'bilinear' }]],
  ])('%s says how pictures are resized to it', async (base, from, want) => {
    expect(await steps(base, from)).toEqual(want);
  });

  test('a folder with the image processor of SigLIP 2 for any shape: all pictures are resized to one', async () => {
    const from = join(FIXTURES, 'siglip', 'naflex');
    const processor = {
      image_processor_type: 'Siglip2ImageProcessor',
      do_resize: true,
      resample: 2,
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
      patch_size: 4,
      max_num_patches: 36,
    };
    const checkpoint = await openCheckpoint(
      memoryFolder('f', {
        'config.json': readFileSync(join(from, 'config.json')),
        'preprocessor_config.json': JSON.stringify(processor),
        'model.safetensors': readFileSync(join(from, 'model.safetensors')),
      }),
    );
    const spec = specOf({ base: 'siglip2_naflex_auto(image: [16, 32])', from: 'f' });
    const { elaborated } = await analyseModel(spec, { host: { ...host, openCheckpoint: async () => checkpoint } });
    expect(elaborated.preprocess?.[0]).toEqual({ step: 'resize', size: [16, 32], filter: 'bilinear' });
  });

  test('a folder of timm says how pictures are resized to another shape', async () => {
    expect(await steps('vit_auto(image: [20, 40])', 'timm/plain')).toEqual([
      { step: 'resize', size: [22, 44], filter: 'bicubic' },
      { step: 'crop', size: [20, 40], rounding: 'even' },
    ]);
  });

  test.each([
    ['of three sides', 'vit_base_patch16(image: [224, 224, 224])', 'ESP0205'],
    ['of a side that patches do not divide', 'vit_base_patch16(image: [224, 225])', 'ESP0303'],
    [
      'of parts of patches where a layer reads their pixels',
      'siglip2_naflex_auto(dim: 16, depth: 1, heads: 2, image: [224, 225])',
      'ESP0223',
    ],
    ['where windows are of squares', 'swin_tiny(image: [224, 448])', 'ESP0205'],
  ])('an image %s is refused', (_, base, code) => {
    expect(codes(`use std\nmodel M {\n  base = ${base}\n}\n`)).toEqual([code]);
  });

  test('tokens of a grid that is no square are read as a map of its shape', () => {
    const { module } = good(
      `use std\nmodel M {\n  base = vit_auto(image: [16, 64], patch: 4, dim: 8, depth: 1, heads: 1)\n  head = counting(base, dim: 8, patches: 2, heads: 1)\n}\n`,
    );
    expect(module.funcs.get('infer')!.results.map((r) => r.value.type.shape.slice(1))).toEqual([[1, 16, 64], []]);
  });
});
