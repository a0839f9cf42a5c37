import { expect, test } from 'vitest';
import { WorstDensities } from '../../src/api/train/densities.js';

const input = { channels: 1, width: 256, height: 128 };
const density = { width: 128, height: 64, sigma: 4, kernel: 15 };
const worst = (size: { width: number; height: number } = density): WorstDensities =>
  new WorstDensities({ preprocess: [], input, density: { ...density, ...size } });
const of = (item: number, count: number, predicted: number) => ({ item, count, predicted });

test('the worst twelve are kept, whatever comes first', () => {
  const kept = worst({ width: 1, height: 1 });
  for (let item = 0; item < 40; item++) kept.add([of(item, 10, 10 + ((item * 7) % 40))], Float32Array.of(item));
  const found = [...kept.end().keys()].map((item) => (item * 7) % 40);
  expect(found).toEqual(Array.from({ length: 12 }, (_, i) => 39 - i));
});

test('tiles of a picture belong together, over batches too', () => {
  const kept = worst({ width: 2, height: 1 });
  kept.add([of(0, 1, 1), of(1, 2, 0)], Float32Array.of(1, 2, 3, 4));
  kept.add([of(1, 0, 5), of(2, 0, 1)], Float32Array.of(5, 6, 7, 8));
  const found = kept.end();
  expect([...found].map(([item, { data }]) => [item, data])).toEqual([
    [1, [3, 4, 5, 6]],
    [2, [7, 8]],
    [0, [1, 2]],
  ]);
});

test('a map is summed up to cells that a report can show, in which nothing is lost', () => {
  const kept = worst();
  const map = Float32Array.from({ length: 128 * 64 }, (_, i) => i % 5);
  kept.add([of(3, 0, 9)], map);
  const { map: small, data } = kept.end().get(3)!;
  expect(small).toEqual({ width: 64, height: 32 });
  expect(data[0]).toBe(map[0]! + map[1]! + map[128]! + map[129]!);
  const total = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, x) => sum + x, 0);
  expect(total(data)).toBe(total(map));
});

test('a picture of many tiles has as many cells in all as one of few', () => {
  const kept = worst();
  kept.add(
    Array.from({ length: 9 }, () => of(0, 0, 1)),
    new Float32Array(9 * 128 * 64),
  );
  // 3 tiles along a side: 21 cells of a tile at the most, and a divisor of 64 and 128.
  expect(kept.end().get(0)!.map).toEqual({ width: 16, height: 8 });
});
