/** Preprocessing on the GPU against Pillow (test/reference/preprocess.py made the pictures): every pixel equal. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../runtime/errors.js';
import { centerCrop, planSteps, resizedSize, taps } from '../../runtime/images/resample.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { readBytes } from '../bytes.js';
import { copyProgram } from './program.js';

const { tensors, metadata } = readBytes('./runtime/fixtures/preprocess.safetensors');
const tensor = (name: string) => tensors.get(name)!;

let gpu: OpenDevice;
beforeAll(async () => {
  gpu = await openDevice({ features: [] });
});
afterAll(() => gpu.release());

/** What a program gets for an image: [channels, height, width]. */
async function prepared(
  steps: readonly PreprocessStep[],
  shape: readonly number[],
  image: { data: Uint8Array; width: number; height: number },
) {
  const [height = 0, width = 0, channels = 0] = shape;
  const session = await load(copyProgram(steps, channels, height, width), { device: gpu.device });
  try {
    return (await session.run({ image })).outputs.pixels!;
  } finally {
    session.dispose();
  }
}

const planar = (
  { shape, data }: { shape: number[]; data: Uint8Array },
  of: (byte: number, channel: number) => number,
) => {
  const [height = 0, width = 0, channels = 0] = shape;
  return Float32Array.from({ length: data.length }, (_, i) => {
    const channel = Math.floor(i / (height * width));
    return of(data[(i % (height * width)) * channels + channel]!, channel);
  });
};

describe('equals Pillow', () => {
  for (const [name, text] of Object.entries(metadata).sort()) {
    test(name, async () => {
      const input = tensor(`${name}.in`);
      const output = tensor(`${name}.out`);
      const [height = 0, width = 0] = input.shape;
      const actual = await prepared(JSON.parse(text) as PreprocessStep[], output.shape, {
        data: input.data,
        width,
        height,
      });
      expect(Array.from(actual, (v) => Math.round(v * 255))).toEqual(Array.from(planar(output, (b) => b)));
    });
  }
});

describe('equals Pillow resizing both axes at once', () => {
  const pillow = readBytes('./fixtures/pil.safetensors').tensors;
  const picture = pillow.get('picture')!;
  const [height = 0, width = 0] = picture.shape;
  const image = { data: picture.data, width, height };
  const levels = (values: ArrayLike<number>) => Array.from(values, (v) => Math.round(v * 255));

  for (const [name, wanted] of pillow) {
    const [, filter, h, w] = /^(nearest|bilinear|bicubic)_(\d+)x(\d+)$/.exec(name) ?? [];
    if (filter === undefined) continue;
    test(name, async () => {
      const step = { step: 'resize', size: [Number(h), Number(w)], filter } as PreprocessStep;
      expect(levels(await prepared([step], wanted.shape, image))).toEqual(Array.from(planar(wanted, (b) => b)));
    });
  }

  test('gray', async () => {
    const gray = pillow.get('grey')!;
    expect(levels(await prepared([{ step: 'grayscale' }], [...gray.shape, 1], image))).toEqual(Array.from(gray.data));
  });
});

test('normalizes each channel', async () => {
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const input = tensor('RGB input.in');
  const output = tensor('RGB input.out');
  const steps: PreprocessStep[] = [
    { step: 'resize', size: [16, 16], filter: 'bicubic' },
    { step: 'normalize', mean, std },
  ];
  const actual = await prepared(steps, output.shape, { data: input.data, width: 31, height: 27 });
  const wanted = planar(output, (b, c) => (b / 255 - mean[c]!) / std[c]!);
  expect(Math.max(...actual.map((v, i) => Math.abs(v - wanted[i]!)))).toBeLessThan(1e-5);
});

test('each image of a batch lands in its own place, whatever its size', async () => {
  const steps: PreprocessStep[] = [{ step: 'resize', size: [4, 4], filter: 'bilinear' }];
  const session = await load(copyProgram(steps, 3, 4, 4, 4), { device: gpu.device });
  const images = [3, 17, 40, 5, 9].map((side, i) => ({
    data: new Uint8Array(side * side * 3).fill(40 * (i + 1)),
    width: side,
    height: side,
  }));
  const results = await session.run({ images });
  session.dispose();
  expect(results.map((r) => r.outputs.pixels!.map((v) => Math.round(v * 255)))).toEqual(
    images.map((_, i) => new Float32Array(48).fill(40 * (i + 1))),
  );
});

test('an image larger than one band is resized as one', async () => {
  // 5000 x 3000 RGBA is 60 MB: two bands. A ramp down the rows shows a seam where the bands meet.
  const [width, height] = [5000, 3000];
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) data.fill(Math.floor((y * 256) / height), y * width * 4, (y + 1) * width * 4);
  const steps: PreprocessStep[] = [{ step: 'resize', size: [300, 4], filter: 'bilinear' }];
  const actual = await prepared(steps, [300, 4, 3], { data, width, height });
  for (let y = 1; y < 299; y++) {
    const ramp = ((y + 0.5) * 256) / 300 - 0.5;
    expect(Math.abs(actual[y * 4]! * 255 - ramp)).toBeLessThanOrEqual(1.01);
  }
});

describe('refuses', () => {
  const steps: PreprocessStep[] = [{ step: 'resize', size: 8, filter: 'bicubic' }];
  const cases: [string, { data: Uint8Array; width: number; height: number }, RegExp][] = [
    ['no pixels', { data: new Uint8Array(0), width: 0, height: 0 }, /no pixels/],
    ['wrong length', { data: new Uint8Array(10), width: 2, height: 2 }, /cannot have 10 bytes/],
    [
      'a size that steps do not end in',
      { data: new Uint8Array(2 * 4 * 3), width: 2, height: 4 },
      /gives 8x16, the program takes 8x8/,
    ],
    ['fractional size', { data: new Uint8Array(12), width: 1.5, height: 2 }, /no pixels/],
  ];
  for (const [name, image, message] of cases) {
    test(name, async () => {
      const error = await prepared(steps, [8, 8, 3], image).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(message);
    });
  }

  test('colors for a program of one channel', async () => {
    const image = { data: new Uint8Array(8 * 8 * 3), width: 8, height: 8 };
    await expect(prepared(steps, [8, 8, 1], image)).rejects.toThrow(/takes one channel/);
  });

  test('a crop that would bring back what another cut off', () => {
    const crop = (size: number): PreprocessStep => ({ step: 'crop', size: [size, size] });
    expect(() => planSteps([crop(4), crop(6)], 9, 9)).toThrow(/a crop to 6x6 after one to 4x4/);
    expect(() => planSteps([...steps, crop(4), crop(6)], 9, 9)).toThrow(InputError);
    // Zeros all around, so that nothing comes back.
    expect(planSteps([crop(12), crop(10), crop(14)], 9, 9).window).toMatchObject({ width: 14, height: 14 });
  });

  test('steps after normalize', () => {
    const wrong: PreprocessStep[] = [{ step: 'normalize', mean: [0], std: [1] }, ...steps];
    expect(() => planSteps(wrong, 4, 4)).toThrow(/after `normalize`/);
    const pad: PreprocessStep = { step: 'pad', size: [8, 9] };
    const padded: PreprocessStep[] = [{ step: 'normalize', mean: [0], std: [1] }, pad];
    expect(planSteps(padded, 4, 5)).toMatchObject({ window: { width: 4, height: 5 }, width: 9, height: 8 });
    for (const more of [pad, { step: 'grayscale' } as const])
      expect(() => planSteps([...padded, more], 4, 4)).toThrow(/after `normalize`/);
  });

  test('a pad that the image is too large for, or that would bring back what a crop cut off', () => {
    const pad: PreprocessStep = { step: 'pad', size: [8, 9] };
    const normal: PreprocessStep = { step: 'normalize', mean: [0], std: [1] };
    for (const before of [[], [normal]])
      for (const [width, height] of [
        [10, 4],
        [4, 9],
      ] as const)
        expect(() => planSteps([...before, pad], width, height)).toThrow(/does not fit into the 9x8 of `pad`/);
    const crop: PreprocessStep = { step: 'crop', size: [4, 4] };
    expect(() => planSteps([crop, pad], 9, 9)).toThrow(/a pad to 8x9 after a crop to 4x4/);
    // After normalizing nothing is read any more.
    expect(planSteps([crop, normal, pad], 9, 9)).toMatchObject({ window: { width: 4 }, width: 9 });
  });
});

describe('sizes', () => {
  test('the shorter side is set, the longer truncated', () => {
    expect(resizedSize(45, 80, 28)).toEqual([28, 49]);
    expect(resizedSize(80, 45, 28)).toEqual([49, 28]);
    expect(resizedSize(10, 20, [3, 4])).toEqual([4, 3]);
    // The longer one is set, the shorter rounded.
    expect(resizedSize(384, 303, { longest: 1024 })).toEqual([1024, 808]);
    expect(resizedSize(5, 8, { longest: 4 })).toEqual([3, 4]);
    expect(resizedSize(1, 5000, { longest: 4 })).toEqual([1, 4]);
  });

  test('half of an odd margin of a crop is rounded down, or to even', () => {
    const lengths = [16, 17, 18, 19, 20, 21, 23, 5, 7, 8];
    expect(lengths.map((length) => centerCrop(length, 12))).toEqual([2, 2, 3, 3, 4, 4, 5, -4, -3, -2]);
    expect(lengths.map((length) => centerCrop(length, 12, 'even'))).toEqual([2, 2, 3, 4, 4, 4, 6, -3, -2, -2]);
  });

  test('only what the crop needs is computed', () => {
    const { stages } = planSteps(
      [
        { step: 'resize', size: 16, filter: 'bicubic' },
        { step: 'crop', size: [16, 16] },
      ],
      1,
      1_000_000,
    );
    expect(stages[0]).toMatchObject({ width: 16, height: 16_000_000, keep: { width: 16, height: 16 } });
    const { from, to } = taps(1_000_000, 16_000_000, 'bicubic', stages[0]!.keep.y, 16);
    expect(to - from).toBeLessThan(8);
  });
});
