/** Masks: what they are of numbers, and how far two are the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boxOverlap, contains, type Mask, maskOf, maskOverlap, sharedArea } from '../../src/segmentation/mask.js';
import { outlineOf } from '../../src/segmentation/outline.js';
import { drawn, rectangle } from './pictures.js';

const SIZE = 9;
const pictures = fc
  .array(fc.boolean(), { minLength: SIZE * SIZE, maxLength: SIZE * SIZE })
  .filter((p) => p.some(Boolean));
const masked = (picture: readonly boolean[]): Mask => maskOf(picture.map(Number), SIZE, SIZE)!;
const pixels = (mask: Mask) =>
  Array.from({ length: SIZE * SIZE }, (_, i) => contains(mask, i % SIZE, Math.floor(i / SIZE)));

describe('a mask', () => {
  it('has the pixels above the threshold, in the smallest box', () => {
    expect(drawn('......', '..#...', '...##.', '......')).toEqual({
      box: { x: 2, y: 1, width: 3, height: 2 },
      data: Uint8Array.of(1, 0, 0, 0, 1, 1),
      area: 3,
    });
    expect(maskOf([0, 1, 2, 3], 2, 2, 1)?.area).toBe(2);
    expect(maskOf([0, 0, -1, Number.NaN], 2, 2)).toBeUndefined();
    fc.assert(
      fc.property(pictures, (picture) => {
        expect(pixels(masked(picture))).toEqual(picture);
      }),
    );
  });

  it('overlaps another by what both have', () => {
    fc.assert(
      fc.property(pictures, pictures, (one, other) => {
        const [a, b] = [masked(one), masked(other)];
        const both = one.filter((has, i) => has && other[i]).length;
        expect(sharedArea(a, b)).toBe(both);
        expect(maskOverlap(a, b)).toBe(both / one.filter((has, i) => has || other[i]).length);
      }),
    );
    expect(boxOverlap({ x: 0, y: 0, width: 4, height: 2 }, { x: 2, y: 1, width: 4, height: 2 })).toBe(2 / 14);
    expect(boxOverlap({ x: 0, y: 0, width: 2, height: 2 }, { x: 2, y: 0, width: 2, height: 2 })).toBe(0);
  });
});

describe('an outline', () => {
  /** Twice the area within a closed line; around a hole it is negative. */
  const area = (line: readonly (readonly [number, number])[]) =>
    line.reduce((sum, [x, y], i) => {
      const [nextX, nextY] = line[(i + 1) % line.length]!;
      return sum + (x * nextY - nextX * y) / 2;
    }, 0);

  it('goes through the middles of sides, where it turns', () => {
    // A corner is cut off by half of half a pixel.
    const [line, ...others] = outlineOf(rectangle(2, 3, 4, 2));
    expect(others).toEqual([]);
    expect(line).toHaveLength(8);
    expect(area(line!)).toBe(4 * 2 - 4 / 8);
  });

  it('goes around holes the other way, and closes each line', () => {
    const lines = outlineOf(drawn('####', '#..#', '####'));
    expect(lines.map((line) => Math.sign(area(line))).sort()).toEqual([-1, 1]);
    fc.assert(
      fc.property(pictures, (picture) => {
        const mask = masked(picture);
        const sum = outlineOf(mask).reduce((all, line) => all + area(line), 0);
        // What is cut off at a corner is put on at one that turns the other way.
        expect(Math.abs(sum - mask.area)).toBeLessThanOrEqual(mask.area / 2);
        expect(sum).toBeGreaterThan(0);
      }),
    );
  });
});
