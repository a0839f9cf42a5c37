/** What storing numbers in a narrower type does to them, by figures worked out by hand and from the bytes themselves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MERGED, mergedEntry, mergedIn } from '../../src/formats/merged.js';
import { decodeElements, storeTensor } from '../../src/formats/tensors/elements.js';
import { coordsOf, type FloatType, RoundingMeter, ulpAt } from '../../src/formats/tensors/rounding.js';

const stored = (values: readonly number[], dtype: FloatType): ArrayLike<number> => {
  const made = storeTensor({ type: { dtype: 'f32', shape: [values.length] }, data: Float64Array.from(values) }, dtype);
  return decodeElements(made.data, dtype)!;
};

const measured = (values: readonly number[], dtype: FloatType, shape = [values.length]) => {
  const meter = new RoundingMeter(dtype);
  const small = meter.take('w', shape, values, stored(values, dtype));
  return { small, ...meter.figures() };
};

describe('units in the last place', () => {
  test.each<[number, FloatType, number]>([
    [1, 'F32', 2 ** -23],
    [-1.5, 'F16', 2 ** -10],
    [0.999, 'BF16', 2 ** -8],
    [65504, 'F16', 32],
    [2 ** -20, 'F16', 2 ** -24],
    [0, 'F32', 2 ** -149],
    [2 ** 100, 'F64', 2 ** 48],
  ])('at %d in %s', (value, dtype, ulp) => expect(ulpAt(value, dtype)).toBe(ulp));

  test('next to powers of two, where a logarithm is rounded', () => {
    for (let e = -120; e < 120; e++) {
      const below = 2 ** e * (1 - 2 ** -53);
      expect(ulpAt(2 ** e, 'F32')).toBe(2 ** (e - 23));
      expect(ulpAt(below, 'F32')).toBe(2 ** (e - 24));
    }
  });
});

test('the largest change, the largest in proportion, and what is lost below, each with its place', () => {
  const values = [1, 0.1, 1000.3, 2 ** -30, 3e-5, 0, 0.25, -0.3];
  const figures = measured(values, 'F16', [2, 4]);
  // 1000.3 lies between 1000 and 1000.5, of which the latter is nearer.
  expect(figures.largest).toEqual({
    tensor: 'w',
    at: [0, 2],
    value: 1000.3,
    written: 1000.5,
    change: 1000.5 - 1000.3,
    ulps: (1000.5 - 1000.3) / 0.5,
  });
  expect(figures.relative).toMatchObject({ at: [0, 1], value: 0.1, written: 0.0999755859375 });
  expect(figures.relative!.share).toBeCloseTo(2.44140625e-4, 12);
  expect(figures).toMatchObject({ dtype: 'F16', elements: 8, subnormal: 1, zeros: 1 });
  expect(figures.small).toEqual({ tensor: 'w', share: 2 / 7, at: [0, 3], value: 2 ** -30, written: 0 });
});

test('nothing is said of numbers that are written as they are, subnormal ones included', () => {
  for (const dtype of ['F16', 'BF16', 'F32'] as const) {
    const figures = measured([0, 1, -0.5, 2 ** -24, 1.5], dtype);
    expect(figures).toEqual({ dtype, elements: 5, subnormal: 0, zeros: 0, small: undefined });
  }
});

test('rounding to nearest is never more than half a unit, up to the rounding to f32 on the way', () => {
  const number = fc.double({ min: -1e4, max: 1e4, noNaN: true });
  fc.assert(
    fc.property(fc.array(number, { minLength: 1 }), fc.constantFrom('F32', 'F16', 'BF16'), (values, dtype) => {
      const { largest, relative, elements } = measured(values, dtype as FloatType);
      expect(elements).toBe(values.length);
      const changes = Array.from(stored(values, dtype as FloatType), (w, i) => Math.abs(w - values[i]!));
      expect(largest?.change ?? 0).toBe(Math.max(...changes));
      if (largest) expect(largest.ulps).toBeLessThanOrEqual(0.5 + 2 ** -13);
      if (relative) expect(relative.share).toBeLessThanOrEqual({ F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[dtype]!);
    }),
  );
});

test('places count rows first', () => {
  expect(coordsOf([2, 3, 4], 23)).toEqual([1, 2, 3]);
  expect(coordsOf([5], 3)).toEqual([3]);
});

describe('the record of merges', () => {
  const record = { method: 'karst', name: 'a.safetensors', sha256: 'ab'.repeat(32), espalier: '0.1.0' };

  test('is read as it was written, and is empty where there is none', () => {
    expect(mergedIn(mergedEntry([record, { method: 'lora', espalier: '9' }]))).toEqual([
      record,
      { method: 'lora', espalier: '9' },
    ]);
    expect(mergedEntry([])).toEqual({});
    expect(mergedIn({ format: 'pt' })).toEqual([]);
  });

  test('of a newer version keeps what this one does not know', () => {
    const newer = { ...record, seed: 3 };
    expect(mergedIn({ [MERGED]: JSON.stringify([newer]) })).toEqual([newer]);
  });

  test.each([
    'yes',
    '{}',
    '[1]',
    '[{"method":"karst"}]',
    JSON.stringify([{ ...record, sha256: 'AB' }]),
    JSON.stringify([{ ...record, name: null }]),
  ])('is none in %s', (text) => expect(mergedIn({ [MERGED]: text })).toBeUndefined());
});
