/** Preprocessing against the PIL-based image processors of transformers (test/reference/processors.py): pictures of odd sizes, every margin of a crop. */
import { describe, expect, test } from 'vitest';
import { normalize, normalizer } from '../../src/data/images/resize.js';
import { makeSample } from '../../src/data/sample.js';
import { elaborate } from '../../src/dsl/elaborate.js';
import { parse } from '../../src/dsl/parse.js';
import { preprocessSteps } from '../../src/formats/huggingface/preprocessor.js';
import { readBytes } from '../bytes.js';

const { tensors, metadata } = readBytes('./fixtures/processors.safetensors');
const configs = JSON.parse(metadata.configs!) as Record<string, Record<string, unknown>>;
const pictures = Array.from(
  { length: [...tensors.keys()].filter((k) => k.startsWith('picture/')).length },
  (_, i) => tensors.get(`picture/${i}`)!,
);
const input = { channels: 3, height: 8, width: 8 };

/** The steps that a processor's file means to a variant. */
function stepsOn(model: string, json: Record<string, unknown>) {
  const { file } = parse('spec.peft', `use std\nmodel M {\n  base = ${model} from "f"\n}\n`);
  const { value, diagnostics } = elaborate(file, {
    readFile: () => undefined,
    facts: () => ({ processor: { file: 'preprocessor_config.json', json, steps: preprocessSteps } }),
  });
  expect(diagnostics.map((d) => d.message)).toEqual([]);
  return value!.preprocess!;
}

function stepsOf(name: string) {
  const model =
    name === 'ConvNeXt'
      ? 'convnext_auto(image: 8, patch: 1, dims: [4], depths: [1])'
      : 'vit_auto(image: 8, patch: 4, dim: 8, depth: 1, heads: 2, hidden: 8)';
  // What the variants of their own families say of these processors.
  const more = { SAM: { pad_after: 'normalize', do_center_crop: false }, SigLIP: { do_center_crop: false } };
  const json = { ...configs[name], ...more[name as keyof typeof more] };
  return stepsOn(model, json);
}

describe('equals transformers', () => {
  test.each(Object.keys(configs))('%s', (name) => {
    const preprocess = stepsOf(name);
    const wanted = new Float32Array(new Uint8Array(tensors.get(`result/${name}`)!.data).buffer);
    const normal = preprocess.find((s) => s.step === 'normalize')!;
    const tables = normalizer(normal.mean, normal.std, 3);
    // Of 8 bits: nothing but the last digits of f32 may differ.
    const level = 1 / 255 / Math.max(...normal.std);
    pictures.forEach(({ shape: [height, width], data: pixels }, i) => {
      const raster = { data: pixels, width: width!, height: height!, channels: 3 as const };
      const into = new Float32Array(3 * 8 * 8);
      normalize(makeSample(raster, { preprocess, input, augment: {} }, KEY), tables, into, input);
      const off = into.map((v, k) => Math.abs(v - wanted[i * into.length + k]!));
      expect(Math.max(...off), `${width} x ${height}`).toBeLessThan(0.01 * level);
    });
  });
});

/** A variant that is loaded with such a processor, on images of the size that the class makes by itself, and what its files always say. */
const BY_ITSELF = {
  BeitImageProcessor: ['beit_auto(dim: 8, depth: 1, heads: 2)'],
  BitImageProcessor: ['dinov2_auto(dim: 8, depth: 1, heads: 2, table_image: 224)'],
  CLIPImageProcessor: ['clip_auto(dim: 8, depth: 1, heads: 2)'],
  // Which filter it takes by itself has changed, so that is asked for.
  ConvNextImageProcessor: ['convnext_auto(image: 384, dims: [4], depths: [1])', { resample: 3 }],
  DeiTImageProcessor: ['deit_auto(dim: 8, depth: 1, heads: 2)'],
  DINOv3ViTImageProcessor: ['dinov3_auto(dim: 8, depth: 1, heads: 2)'],
  SamImageProcessor: ['sam_auto(dim: 16, depth: 1, heads: 2, global_blocks: [0])'],
  SiglipImageProcessor: ['siglip_auto(dim: 8, depth: 1, heads: 2)'],
  ViTImageProcessor: ['swin_auto(dim0: 8, depths: [1], heads: [2])', {}, 'vit_auto(dim: 8, depth: 1, heads: 2)'],
} as const;

describe('what a file leaves out is what the class does by itself', () => {
  const defaults = JSON.parse(metadata.defaults!) as Record<string, Record<string, unknown>>;
  test.each(Object.entries(BY_ITSELF))('%s', (type, [model, said = {}, other = model]) => {
    for (const on of [model, other])
      expect(stepsOn(on, { image_processor_type: type, ...said })).toEqual(stepsOn(on, { ...defaults[type], ...said }));
  });

  test('every class that is read is here', () => {
    expect(Object.keys(BY_ITSELF).sort()).toEqual(Object.keys(defaults).sort());
  });
});

test('DeiT’s files may say a shorter side', () => {
  const said = { image_processor_type: 'DeiTImageProcessor', size: { shortest_edge: 256 }, do_center_crop: true };
  const [first] = stepsOn('deit_auto(dim: 8, depth: 1, heads: 2)', said);
  expect(first).toEqual({ step: 'resize', size: 256, filter: 'bicubic' });
});

const KEY = { seed: 0, epoch: 0, item: 0, repeat: 0 };
