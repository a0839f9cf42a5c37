/**
 * Preprocessing on the GPU, which computes only what later steps read, against the same arithmetic done in full on the CPU: random
 * steps over images of every shape, a pixel, a line and a strip wider than a texture may be among them.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { centerCrop, resizedSize } from '../../runtime/images/resample.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { random } from '../codegen/harness.js';
import { copyProgram } from './program.js';
import { type At, resampled } from './resampled.js';

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly at: At;
}

let gpu: OpenDevice;
beforeAll(async () => {
  gpu = await openDevice({ features: [] });
});
afterAll(() => gpu.release());

function stored(width: number, height: number, of: At): Picture {
  const bytes = new Uint8Array(width * height * 3);
  for (let i = 0; i < bytes.length; i++) {
    const pixel = Math.floor(i / 3);
    bytes[i] = of(pixel % width, Math.floor(pixel / width), i % 3);
  }
  return { width, height, at: (x, y, c) => bytes[(y * width + x) * 3 + c]! };
}

function stepped(p: Picture, step: PreprocessStep): Picture {
  if (step.step === 'crop') {
    const [height, width] = step.size;
    const [x, y] = [centerCrop(p.width, width, step.rounding), centerCrop(p.height, height, step.rounding)];
    const inside = (i: number, j: number): boolean => i >= 0 && j >= 0 && i < p.width && j < p.height;
    return stored(width, height, (i, j, c) => (inside(i + x, j + y) ? p.at(i + x, j + y, c) : 0));
  }
  if (step.step === 'pad') {
    const [height, width] = step.size;
    return stored(width, height, (i, j, c) => (i < p.width && j < p.height ? p.at(i, j, c) : 0));
  }
  if (step.step === 'grayscale') {
    const luma = (x: number, y: number): number =>
      (p.at(x, y, 0) * 19595 + p.at(x, y, 1) * 38470 + p.at(x, y, 2) * 7471 + 32768) >> 16;
    return stored(p.width, p.height, luma);
  }
  if (step.step !== 'resize') return p;
  const [width, height] = resizedSize(p.width, p.height, step.size);
  if (width === p.width && height === p.height) return p;
  const across = stored(width, p.height, resampled(p.width, width, step.filter, p.at));
  const down = resampled(p.height, height, step.filter, (j, i, c) => across.at(i, j, c));
  return stored(width, height, (x, y, c) => down(y, x, c));
}

test('random steps on images of every shape', async () => {
  const SHAPES = [
    [1, 1],
    [1, 37],
    [70_000, 1],
    [9000, 2],
    [3, 4000],
    [640, 3],
  ] as const;
  let refused = 0;
  let padded = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const next = random(seed);
    const below = (n: number): number => Math.min(n - 1, Math.floor(((next() + 1) / 2) * n));
    const one = <T>(list: readonly T[]): T => list[below(list.length)]!;
    const [width, height] = seed % 2 ? one(SHAPES) : [1 + below(60), 1 + below(60)];
    const channels = one([1, 3, 4]);
    const data = Uint8Array.from({ length: width * height * channels }, () => below(256));
    const resize = (): PreprocessStep => ({
      step: 'resize',
      // By its shorter side, a strip becomes thousands of pixels long.
      size: one([
        Math.max(width, height) < 100 && below(2) ? 1 + below(30) : [1 + below(30), 1 + below(30)],
        { longest: 1 + below(30) },
      ]),
      filter: one(['nearest', 'bilinear', 'bicubic'] as const),
    });
    const crop = (): PreprocessStep => ({
      step: 'crop',
      size: [1 + below(24), 1 + below(24)],
      ...(below(2) === 0 ? {} : { rounding: 'even' }),
    });
    const pad = (): PreprocessStep => ({ step: 'pad', size: [24 + below(24), 24 + below(24)] });
    const steps = [...Array.from({ length: below(3) }, () => one([resize, crop, pad])()), crop()];
    if (below(3) === 0) steps.splice(below(steps.length + 1), 0, { step: 'grayscale' });
    const source: Picture = {
      width,
      height,
      at: (x, y, c) => data[(y * width + x) * channels + (channels === 1 ? 0 : c)]!,
    };
    const wanted = steps.reduce(stepped, source);
    padded += steps.some((s) => s.step === 'pad') ? 1 : 0;
    const session = await load(copyProgram(steps, 3, wanted.height, wanted.width), { device: gpu.device });
    const found = await session.run({ image: { data, width, height } }).catch((error: Error) => error);
    session.dispose();
    if (found instanceof Error) {
      // What a crop has cut off is gone, and a larger one would have to give zeros there, as would a pad; some pictures a pad has no room for.
      expect(found.message).toMatch(
        /^preprocess: a (crop|pad) to .* after (one|a crop) to|does not fit into the .* of `pad`/,
      );
      refused++;
      continue;
    }
    const { outputs } = found;
    const planes = stored(wanted.width, wanted.height, wanted.at);
    const size = wanted.width * wanted.height;
    const expected = Array.from({ length: 3 * size }, (_, i) =>
      planes.at((i % size) % wanted.width, Math.floor((i % size) / wanted.width), Math.floor(i / size)),
    );
    const what = `${width}x${height}x${channels} ${JSON.stringify(steps)}`;
    expect(
      Array.from(outputs.pixels!, (v) => Math.round(v * 255)),
      what,
    ).toEqual(expected);
  }
  expect(refused).toBeLessThan(20);
  expect(padded).toBeGreaterThan(8);
});
