/** Augmentation against timm, torchvision and Pillow (test/reference/augment.py): every byte of every operation. */
import { describe, expect, test } from 'vitest';
import { Draws } from '../../src/data/draws.js';
import { OPERATIONS } from '../../src/data/images/rand-augment.js';
import { randomPart } from '../../src/data/images/random-crop.js';
import { cropped, resized } from '../../src/data/images/resize.js';
import { flipped, flippedVertically, type Interpolation } from '../../src/data/images/warp.js';
import { blendRows, boxAt, drawMixture, swapBoxes } from '../../src/data/mix.js';
import type { Raster } from '../../src/data/types.js';
import { readBytes } from '../bytes.js';

const { tensors, metadata } = readBytes('./data/fixtures/augment.safetensors');
const told = <T>(name: string) => JSON.parse(metadata[name]!) as T;
const raster = (name: string): Raster => {
  const { data, shape } = tensors.get(name)!;
  return { data, height: shape[0]!, width: shape[1]!, channels: 3 };
};
const floats = (name: string): Float32Array<ArrayBuffer> => new Float32Array(tensors.get(name)!.data.slice().buffer);

test('mirror images', () => {
  for (const name of ['wide', 'tall']) {
    expect(flipped(raster(name))).toEqual(raster(`${name} flip`));
    expect(flippedVertically(raster(name))).toEqual(raster(`${name} flipVertical`));
  }
});

type Case = readonly [name: string, op: string, magnitude: number, sign: 1 | -1, kernel: Interpolation];
const cases = Object.entries(told<Record<string, Case>>('cases'));

describe('operations of RandAugment', () => {
  const fill = told<number[]>('fill');
  test.each(Object.keys(OPERATIONS))('%s', (operation) => {
    const own = cases.filter(([, [, op]]) => op === operation);
    expect(own.length).toBeGreaterThanOrEqual(5);
    const changed = own.map(([key, [name, op, magnitude, sign, interpolation]]) => {
      const result = OPERATIONS[op]!(raster(name), magnitude, sign, { interpolation, fill });
      expect(result, key).toEqual(raster(key));
      return Buffer.compare(result.data, raster(name).data) !== 0;
    });
    // A reference in which nothing happens would prove nothing.
    expect(changed.filter(Boolean).length).toBeGreaterThanOrEqual(1);
  });
  test('are timm’s fifteen', () =>
    expect(new Set(cases.map(([, [, op]]) => op))).toEqual(new Set(Object.keys(OPERATIONS))));
});

test('parts of pictures, resized', () => {
  for (const [key, [name, [y, x, height, width], filter]] of Object.entries(
    told<Record<string, [string, [number, number, number, number], Interpolation]>>('parts'),
  )) {
    const keep = { x: 0, y: 0, width: 10, height: 12 };
    const stage = { from: { x, y, width, height }, width: 10, height: 12, filter, gray: false, keep };
    // Pillow resizes what was cut out, so that nothing beside it is read.
    expect(resized(raster(name), stage), key).toEqual(raster(key));
    expect(cropped(raster(name), stage.from).data.length).toBe(width * height * 3);
  }
});

const draws = (of: number) => new Draws({ seed: 3, epoch: 0, purpose: 'sample', of });

describe('random parts', () => {
  test('the largest one in the middle, where none fits', () => {
    const fallback = told<[number, number, number, number, number, number][]>('fallback');
    const limits: [number, number][] = [
      [0.75, 1.33],
      [0.75, 1.33],
      [0.75, 1.33],
      [0.5, 2],
    ];
    for (const [i, [width, height, y, x, h, w]] of fallback.entries())
      expect(randomPart(width, height, [2, 2], limits[i]!, draws(0))).toEqual({ x, y, width: w, height: h });
  });

  test('lie inside, with areas even in their share and shapes even on a logarithmic scale', () => {
    const [width, height] = [400, 300];
    const parts = Array.from({ length: 4000 }, (_, of) => randomPart(width, height, [0.2, 0.5], [0.5, 2], draws(of)));
    for (const p of parts) {
      expect(Math.min(p.x, p.y)).toBeGreaterThanOrEqual(0);
      expect(p.x + p.width).toBeLessThanOrEqual(width);
      expect(p.y + p.height).toBeLessThanOrEqual(height);
    }
    const mean = (of: (p: (typeof parts)[number]) => number) => parts.reduce((sum, p) => sum + of(p), 0) / parts.length;
    expect(mean((p) => (p.width * p.height) / (width * height))).toBeCloseTo(0.35, 2);
    expect(mean((p) => Math.log(p.width / p.height))).toBeCloseTo(0, 1);
    expect(mean((p) => p.x / (width - p.width || 1))).toBeCloseTo(0.5, 1);
    expect(new Set(parts.map((p) => `${p.x},${p.y}`)).size).toBeGreaterThan(3000);
  });
});

describe('mixtures, as timm makes them', () => {
  type Told = Record<string, { box: [top: number, bottom: number, left: number, right: number]; share: number }>;
  const labels = (n: number) => {
    const shares = new Float32Array(n * 3);
    for (let i = 0; i < n; i++) shares[i * 3 + (i % 3)] = 1;
    return shares;
  };
  const near = (a: Float32Array, b: Float32Array) =>
    expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))).toBeLessThan(1e-6);

  test.each(Object.entries(told<Told>('mixtures')))('%s', (key, { box: [top, bottom, left, right], share }) => {
    const [n = 0, own = 0] = key.split(' ').map(Number);
    const [, channels = 0, height = 0, width = 0] = tensors.get(`batch ${n}`)!.shape;
    const mixed = floats(`batch ${n}`);
    blendRows(mixed, n, own);
    near(mixed, floats(`mixup ${key}`));
    const targets = labels(n);
    blendRows(targets, n, own);
    near(targets, floats(`mixup ${key} targets`));

    const found = boxAt(2, height - 1, own, width, height);
    expect(found.box).toEqual({ top, bottom, left, right });
    expect(found.share).toBeCloseTo(share, 12);
    const boxed = floats(`batch ${n}`);
    swapBoxes(boxed, [n, channels, height, width], found.box);
    expect(boxed).toEqual(floats(`cutmix ${key}`));
    const shares = labels(n);
    blendRows(shares, n, found.share);
    near(shares, floats(`cutmix ${key} targets`));
  });

  test('are drawn as the options say', () => {
    const drawn = (augment: object) =>
      Array.from({ length: 3000 }, (_, of) =>
        drawMixture(augment, 32, 32, new Draws({ seed: 1, epoch: 0, purpose: 'batch', of })),
      );
    const some = drawn({ mixup: 0.8, cutmix: 1, cutmixShare: 0.25, mixShare: 0.6 });
    expect(some.filter((m) => m.share === 1 && !m.box).length / 3000).toBeCloseTo(0.4, 1);
    expect(some.filter((m) => m.box).length / 3000).toBeCloseTo(0.15, 1);
    expect(drawn({ cutmix: 1 }).every((m) => m.box)).toBe(true);
    const shares = drawn({ mixup: 0.8 }).map((m) => m.share);
    // Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
    const variance = shares.reduce((sum, s) => sum + (s - 0.5) ** 2, 0) / shares.length;
    expect(variance).toBeCloseTo(1 / (4 * 2.6), 2);
  });
});
