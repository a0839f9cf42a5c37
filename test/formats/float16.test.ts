/** Conversions of half precision and bfloat16, over all bit patterns. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBfloat, fromHalves, toBfloat, toHalves } from '../../src/formats/tensors/float16.js';

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);

test.each([
  ['binary16', fromHalves, toHalves],
  ['bfloat16', fromBfloat, toBfloat],
] as const)('%s: every pattern comes back, NaN as some NaN', (_, decode, encode) => {
  const values = decode(all);
  const back = encode(values);
  const differing = [...all].filter((i) =>
    Number.isNaN(values[i]!) ? !Number.isNaN(decode(back.subarray(i, i + 1))[0]!) : back[i] !== i,
  );
  expect(differing).toEqual([]);
});

test.each([
  ['binary16', fromHalves, toHalves, 0x7c00],
  ['bfloat16', fromBfloat, toBfloat, 0x7f80],
] as const)('%s: the nearest value, the even one of two', (_, decode, encode, infinity) => {
  const values = decode(all.subarray(0, infinity + 1));
  fc.assert(
    fc.property(fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }), (x) => {
      const bits = encode([x])[0]!;
      const below = bits > 0 ? values[bits - 1]! : Number.NEGATIVE_INFINITY;
      const here = values[bits]!;
      // Infinity stands for the next step after the largest number.
      const width = here === Number.POSITIVE_INFINITY ? below - values[bits - 2]! : 0;
      const at = width > 0 ? below + width : here;
      expect(Math.abs(x - at) <= Math.abs(x - below) || (width > 0 && x > at)).toBe(true);
      if (bits < infinity - 1) expect(Math.abs(x - at)).toBeLessThanOrEqual(Math.abs(values[bits + 1]! - x));
    }),
    { numRuns: 2000 },
  );
});

test('known values', () => {
  expect([
    ...toHalves([1, -2, 65504, 65519.99, 65520, 2 ** -24, 2 ** -25, 1.5 * 2 ** -24, 6.1e-5, Number.NEGATIVE_INFINITY]),
  ]).toEqual([0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 1, 0, 2, 0x03ff, 0xfc00]);
  expect([...toBfloat([1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8])]).toEqual([0x3f80, 0xc000, 0x3f80, 0x3f82]);
});
