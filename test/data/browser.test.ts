/** The same batches in a page as in Node, from canvases and pixels; and that nothing of Node's comes along. */
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { datasetHash, datasetOfImages, type LoaderOptions, makeLoader, withValidation } from '../../src/data/index.js';
import { launchChromium, runPage } from '../browser.js';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const OPTIONS: LoaderOptions = {
  size: 3,
  seed: 11,
  preprocess: [
    { step: 'resize', size: [12, 12], filter: 'bicubic' },
    { step: 'normalize', mean: [0.5, 0.4, 0.3], std: [0.5, 0.5, 0.5] },
  ],
  input: { channels: 3, height: 12, width: 12 },
  order: 'balanced',
  augment: { crop: {}, flip: 0.5, randAugment: { probability: 1 }, mixup: 0.8, cutmix: 1 },
};

/** Stripes of two colors, one way or the other. */
const STRIPES = `(i) => {
  const [width, height] = [20 + i, 16];
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let p = 0; p < width * height; p++) {
    const on = ((i % 2 ? p % width : Math.floor(p / width)) + i) % 4 < 2;
    data.set(on ? [10 * i, 200, 90] : [250, 30, 20 * i], 4 * p);
  }
  return { data, width, height };
}`;
type Pixels = { data: Uint8ClampedArray; width: number; height: number };
const stripes = new Function(`return ${STRIPES}`)() as (i: number) => Pixels;
const COUNT = 8;
const learnt = { kind: 'class', labels: Array.from({ length: COUNT }, (_, i) => (i % 2 ? 'down' : 'across')) } as const;

test('a page’s batches are Node’s, bit for bit', async () => {
  const { outputFiles } = await build({
    entryPoints: ['src/data/index.ts'],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  const page = `
    import { datasetHash, datasetOfImages, makeLoader, withValidation } from '/data.js';
    const stripes = ${STRIPES};
    globalThis.result = (async () => {
      const device = await (await navigator.gpu.requestAdapter()).requestDevice();
      const images = await Promise.all(Array.from({ length: ${COUNT} }, async (_, i) => {
        const { data, width, height } = stripes(i);
        const pixels = new ImageData(data, width, height);
        if (i % 3 === 0) return pixels;
        const canvas = new OffscreenCanvas(width, height);
        canvas.getContext('2d').putImageData(pixels, 0, 0);
        return i % 3 === 1 ? canvas : createImageBitmap(canvas);
      }));
      const { train, val } = withValidation(datasetOfImages(images, ${JSON.stringify(learnt)}, { device }), 0.25, 1);
      const loader = makeLoader(train, ${JSON.stringify(OPTIONS)});
      const found = [];
      for await (const { images, targets, indices } of loader.batches({ epoch: 0, batch: 0 }, 2))
        found.push([[...images], [...targets.values], [...indices]]);
      return { found, classes: train.classes, held: val.ids, hash: await datasetHash(train) };
    })();`;
  const there = await runPage(browser, { files: { '/data.js': outputFiles[0]!.text, '/page.js': page } });

  const { train, val } = withValidation(
    datasetOfImages(
      Array.from({ length: COUNT }, (_, i) => stripes(i)),
      learnt,
    ),
    0.25,
    1,
  );
  const found: number[][][] = [];
  for await (const { images, targets, indices } of makeLoader(train, OPTIONS).batches({ epoch: 0, batch: 0 }, 2))
    found.push([[...images], [...(targets as { values: Float32Array }).values], [...indices]]);
  expect(found.length).toBe(4);
  expect(there).toEqual({ found, classes: ['across', 'down'], held: val.ids, hash: await datasetHash(train) });
});
