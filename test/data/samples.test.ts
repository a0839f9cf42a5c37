/** Samples made on the CPU: without augmentation, what Pillow and torchvision make of a picture, and what the GPU does; with it, a function of the key. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { normalize, normalizer } from '../../src/data/images/resize.js';
import { openDatasets } from '../../src/data/node/open.js';
import { openLoader } from '../../src/data/node/threads.js';
import { makeInput, makeSample, type Recipe } from '../../src/data/sample.js';
import type { Augment, Raster } from '../../src/data/types.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { readBytes } from '../bytes.js';
import { copyProgram } from '../runtime/program.js';
import { all } from './support.js';

const { tensors, metadata } = readBytes('./runtime/fixtures/preprocess.safetensors');
const cases = Object.entries(metadata).map(([name, text]) => ({
  name,
  steps: JSON.parse(text) as PreprocessStep[],
  input: raster(tensors.get(`${name}.in`)!),
  wanted: raster(tensors.get(`${name}.out`)!),
}));

function raster({ shape, data }: { shape: number[]; data: Uint8Array }): Raster {
  return { data, height: shape[0]!, width: shape[1]!, channels: shape[2] as 1 | 3 | 4 };
}

const recipeFor = (preprocess: readonly PreprocessStep[], to: Raster, augment: Augment = {}): Recipe => ({
  preprocess,
  input: { channels: to.channels, height: to.height, width: to.width },
  augment,
});
const KEY = { seed: 5, epoch: 0, item: 0, repeat: 0 };

test.each(cases)('as Pillow: $name', ({ steps, input, wanted }) => {
  const { placement: _, ...made } = makeSample(input, recipeFor(steps, wanted), KEY);
  expect({ ...made, data: Buffer.from(made.data) }).toEqual({ ...wanted, data: Buffer.from(wanted.data) });
});

describe('as inference preprocesses', () => {
  let gpu: OpenDevice;
  beforeAll(async () => {
    gpu = await openDevice({ features: [] });
  });
  afterAll(() => gpu.release());

  test.each(cases)('$name', async ({ steps, input, wanted }) => {
    const mean = wanted.channels === 1 ? [0.45] : [0.485, 0.456, 0.406];
    const std = wanted.channels === 1 ? [0.225] : [0.229, 0.224, 0.225];
    const whole: PreprocessStep[] = [...steps, { step: 'normalize', mean, std }];
    const session = await load(copyProgram(whole, wanted.channels, wanted.height, wanted.width), {
      device: gpu.device,
    });
    const { outputs } = await session.run({ image: input });
    session.dispose();
    const made = new Float32Array(wanted.data.length);
    normalize(makeSample(input, recipeFor(whole, wanted), KEY), normalizer(mean, std, wanted.channels), made, wanted);
    // The bytes are the same; a division on a GPU may be off by 2.5 units in the last place.
    expect(outputs.pixels!.length).toBe(made.length);
    const off = made.map((v, i) => Math.abs(v - outputs.pixels![i]!));
    expect(Math.max(...off)).toBeLessThanOrEqual(5 * 2 ** -23);
  });

  test('a batch of files, decoded and resized in threads', async () => {
    const { train } = await openDatasets({ path: 'examples/fashion/images/digits' });
    const preprocess: PreprocessStep[] = [
      { step: 'resize', size: 24, filter: 'bilinear' },
      { step: 'crop', size: [20, 22] },
      { step: 'normalize', mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.25] },
    ];
    const input = { channels: 3, height: 20, width: 22 };
    const [batch] = await all(openLoader(train, { size: 12, seed: 9, preprocess, input, threads: 2 }));
    const session = await load(copyProgram(preprocess, 3, 20, 22), { device: gpu.device });
    for (const [i, item] of batch!.indices.entries()) {
      const { outputs } = await session.run({ image: await decodeImage(train.pictures.file!(train.places[item]!)) });
      const own = batch!.images.subarray(i * 3 * 20 * 22, (i + 1) * 3 * 20 * 22);
      expect(Math.max(...own.map((v, k) => Math.abs(v - outputs.pixels![k]!)))).toBeLessThanOrEqual(5 * 2 ** -23);
    }
    session.dispose();
  });
});

test('what is padded after normalizing is 0, and a flip mirrors the picture alone', () => {
  const normal: PreprocessStep = { step: 'normalize', mean: [0.5], std: [0.5] };
  const picture: Raster = { data: Uint8Array.of(0, 255, 51, 102, 153, 204), width: 3, height: 2, channels: 1 };
  const input = { channels: 1, height: 3, width: 4 };
  const of = (augment: Augment): number[] => {
    const made = new Float32Array(12);
    const recipe = { preprocess: [normal, { step: 'pad', size: [3, 4] }] as const, input, augment };
    normalize(makeSample(picture, recipe, KEY), normalizer([0.5], [0.5], 1), made, input);
    return Array.from(made, (v) => Math.round(v * 10) / 10 + 0);
  };
  expect(of({})).toEqual([-1, 1, -0.6, 0, -0.2, 0.2, 0.6, 0, 0, 0, 0, 0]);
  expect(of({ flip: 1 })).toEqual([-0.6, 1, -1, 0, 0.6, 0.2, -0.2, 0, 0, 0, 0, 0]);
});

test('normalizes as PyTorch does, in f32', () => {
  // x.float().div(255).sub(0.485).div(0.229) of uint8 0, 1, 100 and 255, as torchvision's ToTensor and Normalize have it.
  const [table] = normalizer([0.485], [0.229], 1);
  expect([0, 1, 100, 255].map((b) => table![b])).toEqual(
    [-2.1179039478302, -2.1007792949676514, -0.40542858839035034, 2.2489082813262939].map(Math.fround),
  );
});

test.each<[string, Raster, readonly PreprocessStep[], number, RegExp]>([
  [
    'a size that steps leave open',
    { data: new Uint8Array(12), width: 2, height: 2, channels: 3 },
    [],
    3,
    /gives 2x2, the model takes 4x4/,
  ],
  [
    'colors for one channel',
    { data: new Uint8Array(48), width: 4, height: 4, channels: 3 },
    [],
    1,
    /the model takes one channel/,
  ],
])('refuses %s', (_, input, steps, channels, words) => {
  const recipe = { preprocess: steps, input: { channels, height: 4, width: 4 }, augment: {} };
  expect(() => makeSample(input, recipe, KEY)).toThrow(words);
});

describe('random samples', () => {
  const { input } = cases.find(({ name }) => name === 'shrink bicubic')!;
  const resize: PreprocessStep = { step: 'resize', size: [16, 16], filter: 'bicubic' };
  const normal: PreprocessStep = { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const square: Raster = { data: new Uint8Array(), width: 16, height: 16, channels: 3 };
  const whole: Augment = { crop: {}, flip: 0.5, flipVertical: 0.5, randAugment: {} };
  const made = (augment: Augment, key: Partial<typeof KEY> = {}) =>
    Buffer.from(makeSample(input, recipeFor([resize, normal], square, augment), { ...KEY, ...key }).data).toString(
      'hex',
    );

  test('are a function of seed, epoch, item and repeat, each of which counts', () => {
    expect(made(whole)).toBe(made(whole));
    const others = [{ seed: 6 }, { epoch: 1 }, { item: 1 }, { repeat: 1 }].map((key) => made(whole, key));
    expect(new Set([made(whole), ...others]).size).toBe(5);
  });

  test.each<[string, Augment, number]>([
    ['flip', { flip: 0.25 }, 0.25],
    ['flipVertical', { flipVertical: 0.7 }, 0.7],
    ['one operation of RandAugment in four', { randAugment: { count: 1, probability: 0.25 } }, 0.25],
  ])('%s as often as asked for', (_, augment, share) => {
    const plain = made({});
    const changed = Array.from({ length: 400 }, (_, item) => made(augment, { item }) !== plain);
    expect(changed.filter(Boolean).length / 400).toBeGreaterThan(share - 0.08);
    expect(changed.filter(Boolean).length / 400).toBeLessThan(share + 0.08);
  });

  test('crops keep to their range', () => {
    // A ramp from left to right: what a crop shows of it is its width.
    const ramp: Raster = {
      data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => 4 * (Math.floor(i / 3) % 64)),
      width: 64,
      height: 64,
      channels: 3,
    };
    const recipe = recipeFor([resize], square, { crop: { scale: [0.25, 0.25], ratio: [1, 1] } });
    for (let item = 0; item < 50; item++) {
      const { data } = makeSample(ramp, recipe, { ...KEY, item });
      expect(data[15 * 3]! - data[0]!).toBeGreaterThan(110);
      expect(data[15 * 3]! - data[0]!).toBeLessThan(130);
    }
  });

  test('are grey where the model is, whatever is done to them', () => {
    const gray: Raster = { ...square, channels: 1 };
    const recipe = recipeFor(
      [{ step: 'grayscale' }, resize, { step: 'normalize', mean: [0.5], std: [0.5] }],
      gray,
      whole,
    );
    for (let item = 0; item < 20; item++) expect(makeSample(input, recipe, { ...KEY, item }).data.length).toBe(256);
  });

  test('of floats are mirrored', () => {
    const recipe: Recipe = { preprocess: [], input: { channels: 2, height: 2, width: 3 }, augment: { flip: 1 } };
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    expect([...makeInput(values, recipe, KEY).values]).toEqual([2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9]);
    const turned = { ...recipe, augment: { flipVertical: 1 } };
    expect([...makeInput(values, turned, KEY).values]).toEqual([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]);
    expect(makeInput(values, { ...recipe, augment: {} }, KEY).values).toBe(values);
  });
});
