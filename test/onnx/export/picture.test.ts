/** Preprocessing as a part of the graph, run by onnxruntime: to the bit what is done to pictures here. */
import { describe, expect, test } from 'vitest';
import { planSteps } from '../../../runtime/images/resample.js';
import type { PreprocessStep } from '../../../runtime/program/program.js';
import { type Picture, pictureInput } from '../../../src/api/onnx/picture.js';
import { normalize, normalizer, planned } from '../../../src/data/images/resize.js';
import { BATCH } from '../../../src/ir/batch.js';
import { input } from '../../../src/ir/graph.js';
import type { Module, TensorType } from '../../../src/ir/types.js';
import { onnxModelOf } from '../../../src/onnx/export/model.js';
import { bytesOf, runOnnx } from '../runtime.js';

const NORMAL: PreprocessStep = { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const GREY: PreprocessStep = { step: 'grayscale' };
const resize = (
  size: number | [number, number] | { longest: number },
  filter: 'nearest' | 'bilinear' | 'bicubic' = 'bilinear',
) => ({ step: 'resize', size, filter }) as const satisfies PreprocessStep;
const pad = (height: number, width: number): PreprocessStep => ({ step: 'pad', size: [height, width] });
const crop = (height: number, width: number): PreprocessStep => ({ step: 'crop', size: [height, width] });

/** A model that gives its image as it is, for what the steps make of it. */
const elaborated = (preprocess: readonly PreprocessStep[], channels: number, height: number, width: number) => {
  const type: TensorType = { dtype: 'f32', shape: [BATCH, channels, height, width] };
  return { name: 'M', preprocess, inputs: [{ name: 'image', type }] };
};

async function prepared(model: ReturnType<typeof elaborated>, picture: Picture, pixels: Uint8Array, samples: number) {
  const image = input('image', model.inputs[0]!.type);
  const infer = { name: 'infer', inputs: [image], results: [{ name: 'y', value: image }], updates: [] };
  const module: Module = { name: 'M', adapters: new Map(), params: new Map(), funcs: new Map([['infer', infer]]) };
  const written = onnxModelOf(module, {
    opset: 17,
    params: () => {
      throw new Error('it has none');
    },
    producer: 'test',
    replaced: pictureInput(model, picture),
  });
  const { height, width, layout } = picture;
  const shape = layout === 'nchw' ? [samples, 3, height, width] : [samples, height, width, 3];
  const given = new Map([['image', { type: { dtype: 'u8', shape }, data: pixels } as const]]);
  return (await runOnnx(await bytesOf(written), given)).get('y')!;
}

const CASES: [string, readonly PreprocessStep[], number, [number, number], [number, number]][] = [
  ['made smaller, the ratio kept, and cropped', [resize(24), crop(20, 20), NORMAL], 3, [37, 53], [20, 20]],
  ['made larger by bicubic', [resize([40, 61], 'bicubic'), NORMAL], 3, [17, 23], [40, 61]],
  ['made smaller by bicubic', [resize([7, 9], 'bicubic'), NORMAL], 3, [40, 31], [7, 9]],
  ['nearest', [resize([11, 30], 'nearest'), NORMAL], 3, [24, 17], [11, 30]],
  ['grey first', [GREY, resize([28, 28]), { step: 'normalize', mean: [0.5], std: [0.5] }], 1, [40, 30], [28, 28]],
  ['grey last, in three channels', [resize([16, 12]), GREY, NORMAL], 3, [33, 21], [16, 12]],
  ['a crop that is larger than the picture', [crop(20, 15), NORMAL], 3, [12, 19], [20, 15]],
  ['a crop in between', [crop(20, 40), resize([15, 15]), NORMAL], 3, [31, 25], [15, 15]],
  ['two resizes', [resize(40), crop(32, 32), resize([16, 16], 'bicubic'), NORMAL], 3, [21, 64], [16, 16]],
  [
    'by the longest side, and padded after normalizing',
    [resize({ longest: 32 }), NORMAL, pad(32, 32)],
    3,
    [41, 57],
    [32, 32],
  ],
  ['padded before normalizing', [resize({ longest: 16 }), pad(20, 18), NORMAL], 3, [41, 30], [20, 18]],
  ['nothing but numbers', [NORMAL], 3, [6, 5], [6, 5]],
];

describe.each(['nhwc', 'nchw'] as const)('%s', (layout) => {
  test.each(CASES)('%s', async (_, steps, channels, [height, width], [h, w]) => {
    const samples = 2;
    const each = height * width * 3;
    const pixels = Uint8Array.from({ length: samples * each }, (_, i) => (i * 7919 + (i >> 3) * 31) & 255);
    const place = (s: number, y: number, x: number, c: number) =>
      layout === 'nhwc' ? s * each + (y * width + x) * 3 + c : s * each + (c * height + y) * width + x;
    const found = await prepared(elaborated(steps, channels, h, w), { height, width, layout }, pixels, samples);
    expect(found.shape).toEqual([samples, channels, h, w]);
    const last = steps.find((s) => s.step === 'normalize')!;
    for (let s = 0; s < samples; s++) {
      const data = new Uint8Array(height * width * 4).fill(255);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          for (let c = 0; c < 3; c++) data[(y * width + x) * 4 + c] = pixels[place(s, y, x, c)]!;
        }
      }
      const plan = planSteps(steps, width, height);
      const raster = planned({ data, width, height, channels: 4 }, plan);
      const wanted = new Float32Array(channels * h * w);
      normalize(raster, normalizer(last.mean, last.std, channels), wanted, plan);
      const own = Float32Array.from(found.data).subarray(s * wanted.length, (s + 1) * wanted.length);
      expect(own).toEqual(wanted);
    }
  });
});

describe('is refused', () => {
  const steps = [resize([28, 28]), NORMAL];
  const picture = { height: 40, width: 30 };
  test.each<[string, () => unknown, string]>([
    [
      'where the spec has none',
      () => pictureInput({ ...elaborated(steps, 3, 28, 28), preprocess: undefined as never }, picture),
      'M has no `preprocess`',
    ],
    [
      'where it ends in another size',
      () => pictureInput(elaborated(steps, 3, 32, 28), picture),
      'a picture of 40x30 becomes 28x28, and the model takes 32x28',
    ],
    [
      'where color profiles are to be applied',
      () => pictureInput(elaborated([{ step: 'colour', rule: 'managed' }, ...steps], 3, 28, 28), picture),
      'leave it out, and convert pictures before the graph',
    ],
    ['where colors are left', () => pictureInput(elaborated(steps, 1, 28, 28), picture), 'lacks `grayscale`'],
    [
      'where steps mean nothing',
      () => pictureInput(elaborated([NORMAL, resize([28, 28])], 3, 28, 28), picture),
      '`resize` after `normalize`',
    ],
    [
      'where the model takes something else',
      () => pictureInput({ ...elaborated(steps, 3, 28, 28), inputs: [] }, picture),
      'takes something else than one image',
    ],
  ])('%s', (_, work, words) => {
    expect(work).toThrow(/^ESP1241: preprocessing cannot become a part of the graph: /);
    expect(work).toThrow(words);
  });
});
