/** Counts and densities of pictures of any size, on the GPU, by a program of which every number is known. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../runtime/session.js';
import { type Counter, counterOf, countIn, type Density } from '../../src/counting/index.js';
import { scratch } from '../api/support.js';
import { openCounter, TILE } from './support.js';

const folder = scratch();
/** Pixels that differ everywhere; alpha says nothing. */
const picture = (width: number, height: number, channels: 1 | 3 | 4 = 4) => {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < channels; c++) data[i * channels + c] = c === 3 ? 9 : (i * 37 + c * 11 + (i % 7) * 29) % 256;
  return { data, width, height };
};
type Picture = ReturnType<typeof picture>;
/** Mean of the channels of a pixel, in [0, 1]; 0 outside. */
const brightness = ({ data, width, height }: Picture, x: number, y: number): number => {
  if (x >= width || y >= height) return 0;
  const channels = data.length / (width * height);
  const sum = [0, 1, 2].reduce((s, c) => s + data[channels * (y * width + x) + (channels === 1 ? 0 : c)]!, 0);
  return sum / 3 / 255;
};
const total = (p: Picture): number => {
  let sum = 0;
  for (let y = 0; y < p.height; y++) for (let x = 0; x < p.width; x++) sum += brightness(p, x, y);
  return sum;
};
/** A cell is 2 x 2 pixels. */
const cells = (p: Picture, { width, height }: Density): number[] =>
  Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [2 * (i % width), 2 * Math.floor(i / width)];
    return [0, 1, 2, 3].reduce((s, k) => s + brightness(p, x + (k % 2), y + (k >> 1)), 0);
  });
const close = (found: ArrayLike<number>, expected: readonly number[]): void => {
  expect(found.length).toBe(expected.length);
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i]! - e), `cell ${i}`).toBeLessThan(1e-4);
};

describe('where preprocessing leaves pictures their size', () => {
  let session: Session;
  let counter: Counter;
  beforeAll(async () => {
    session = await openCounter(folder, 'normalize(mean: 0, std: 1)');
    counter = counterOf(session);
  });
  afterAll(() => session.dispose());

  test.each([
    [TILE.width, TILE.height, 1],
    [10, 5, 1],
    [TILE.width + 1, TILE.height, 2],
    [60, 40, 9],
    // More tiles than are handed over at once.
    [130, 70, 30],
    [1, 1, 1],
  ])('%d x %d pixels are %d tiles, and their sum', async (width, height, tiles) => {
    for (const channels of [1, 3, 4] as const) {
      const p = picture(width, height, channels);
      const found = await countIn(counter, p);
      expect(found.tiles).toBe(tiles);
      expect(Math.abs(found.count - total(p))).toBeLessThan(1e-5 * Math.max(1, total(p)) + 1e-4);
      const { density } = found;
      expect([density.width, density.height]).toEqual([
        (Math.ceil(width / TILE.width) * TILE.width) / 2,
        (Math.ceil(height / TILE.height) * TILE.height) / 2,
      ]);
      close(density.data, cells(p, density));
      expect(density.placement.x).toEqual({ scale: 0.5, shift: 0, length: width / 2, mirrored: false });
      expect(density.placement.y).toEqual({ scale: 0.5, shift: 0, length: height / 2, mirrored: false });
    }
  });
});

test('what lies outside of a picture is 0 after normalizing, not black', async () => {
  const session = await openCounter(folder, 'normalize(mean: 0.5, std: 0.25)');
  try {
    const p = picture(30, 10);
    const { count } = await countIn(counterOf(session), p);
    expect(count).toBeCloseTo((total(p) - 0.5 * 30 * 10) / 0.25, 2);
  } finally {
    session.dispose();
  }
});

test('otherwise the model sees a picture whole, and its map says where it lies', async () => {
  const session = await openCounter(folder, 'resize([32, 48]), crop([16, 24]), normalize(mean: 0, std: 1)');
  try {
    const p = { data: new Uint8Array(4 * 96 * 64).fill(0), width: 96, height: 64 };
    // White where the middle is, of which the model sees 48 x 32 pixels at half their size.
    for (let y = 28; y < 36; y++)
      for (let x = 40; x < 48; x++) p.data.fill(255, 4 * (y * 96 + x), 4 * (y * 96 + x) + 4);
    const { count, tiles, density } = await countIn(counterOf(session), p);
    expect(tiles).toBe(1);
    expect(count).toBeCloseTo(16, 1);
    const { x, y } = density.placement;
    expect(density.data.length).toBe(12 * 8);
    // The mean place of what was counted, back in the picture.
    let [sx, sy] = [0, 0];
    for (const [i, v] of density.data.entries()) {
      sx += v * ((i % 12) + 0.5);
      sy += v * (Math.floor(i / 12) + 0.5);
    }
    expect((sx / count - x.shift) / x.scale).toBeCloseTo(44, 1);
    expect((sy / count - y.shift) / y.scale).toBeCloseTo(32, 1);
  } finally {
    session.dispose();
  }
});

test('a program that takes no pictures does not count in them, whatever it gives', async () => {
  const session = await openCounter(folder, 'normalize(mean: 0, std: 1)');
  try {
    const { preprocess, ...program } = session.program;
    expect(preprocess).toBeDefined();
    expect(() => counterOf({ program } as unknown as Session)).toThrow(
      /ESP1250.*Bright takes x \[b, 3, 16, 24\], and no pictures/,
    );
  } finally {
    session.dispose();
  }
});
