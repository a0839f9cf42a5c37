/** Tiles: together they are the picture, and none overlaps another. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tilesOf } from '../../src/data/images/tiles.js';

describe('tilesOf', () => {
  it('goes row by row, and cuts the last ones off', () => {
    expect(tilesOf(5, 3, { width: 4, height: 2 })).toEqual([
      { x: 0, y: 0, width: 4, height: 2 },
      { x: 4, y: 0, width: 1, height: 2 },
      { x: 0, y: 2, width: 4, height: 1 },
      { x: 4, y: 2, width: 1, height: 1 },
    ]);
    expect(tilesOf(3, 2, { width: 4, height: 2 })).toEqual([{ x: 0, y: 0, width: 3, height: 2 }]);
  });

  it('covers each pixel once', () => {
    const side = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(side, side, side, side, (width, height, w, h) => {
        const seen = new Uint8Array(width * height);
        for (const box of tilesOf(width, height, { width: w, height: h })) {
          expect(box.width <= w && box.height <= h).toBe(true);
          for (let y = box.y; y < box.y + box.height; y++)
            for (let x = box.x; x < box.x + box.width; x++) seen[y * width + x]!++;
        }
        expect(seen.every((n) => n === 1)).toBe(true);
      }),
    );
  });
});
