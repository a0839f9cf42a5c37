/** Conversion to halves: exact where it can be, to the nearest even where it must round. */
import { describe, expect, test } from 'vitest';
import { fromHalf, HALF_MAX, toHalf } from '../../src/ir/run/half.js';

describe('halves', () => {
  test('every half goes to a number and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(toHalf(value) & 0x7e00).toBe(0x7e00);
      else expect(toHalf(value)).toBe(bits);
    }
  });

  test('rounds to the nearest, ties to even, over neighbours of every size', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [fromHalf(bits), fromHalf(bits + 1)];
      const middle = (low + high) / 2;
      expect(toHalf(middle)).toBe(bits + (bits & 1));
      expect(toHalf(-middle)).toBe(0x8000 | (bits + (bits & 1)));
      // f32 neighbours of the middle; below 2^-24 f32 is finer than this step.
      const step = Math.max(middle * 2 ** -22, 2 ** -40);
      expect(toHalf(middle - step)).toBe(bits);
      expect(toHalf(middle + step)).toBe(bits + 1);
    }
  });

  test('past the largest half comes infinity', () => {
    expect(toHalf(65519.996)).toBe(0x7bff);
    expect(fromHalf(0x7bff)).toBe(HALF_MAX);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(-1e30)).toBe(0xfc00);
    expect(toHalf(Number.NEGATIVE_INFINITY)).toBe(0xfc00);
  });
});
