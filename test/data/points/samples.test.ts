/** Points of pictures: density maps against NumPy's (test/reference/density.py), where they lie in samples, batches of them, tiles. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PreprocessStep } from '../../../runtime/program/program.js';
import { datasetHash, datasetOfArrays } from '../../../src/data/arrays.js';
import { density } from '../../../src/data/density.js';
import { OPERATIONS } from '../../../src/data/images/rand-augment.js';
import { makeLoader } from '../../../src/data/loader.js';
import { openLoader } from '../../../src/data/node/threads.js';
import { placedPoints } from '../../../src/data/placement.js';
import { makeSample, type Recipe } from '../../../src/data/sample.js';
import { limited, withValidation } from '../../../src/data/splits.js';
import type { Augment, Batch, Dataset, DensityOptions, LoaderOptions, Raster } from '../../../src/data/types.js';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { readBytes } from '../../bytes.js';
import { all } from '../support.js';

const { tensors, metadata } = readBytes('./data/fixtures/density.safetensors');
const floats = (name: string) => new Float32Array(tensors.get(name)!.data.slice().buffer);
const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

describe('density', () => {
  const cases = JSON.parse(metadata.cases!) as Record<string, DensityOptions>;
  test.each(Object.entries(cases))("is NumPy's: %s", (name, options) => {
    const found = density(floats(`${name} points`), options);
    const expected = floats(`${name} density`);
    expect(found.length).toBe(expected.length);
    expect(Math.max(...found.map((v, i) => Math.abs(v - expected[i]!)))).toBeLessThan(1e-7);
  });

  test('has 1 for each point, wherever it lies', () => {
    const at = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const side = fc.integer({ min: 1, max: 30 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(at, at), { maxLength: 6 }),
        side,
        side,
        fc.double({ min: 0.2, max: 9, noNaN: true }),
        fc.integer({ min: 0, max: 12 }),
        (points, width, height, sigma, radius) => {
          const map = density(
            points.flatMap(([x, y]) => [x * width, y * height]),
            { width, height, sigma, kernel: 2 * radius + 1 },
          );
          expect(Math.abs(sum(map) - points.length)).toBeLessThan(1e-6 * Math.max(1, points.length));
          expect(map.every((v) => v >= 0)).toBe(true);
        },
      ),
    );
  });

  test('leaves out what is outside of the map', () => {
    const map = { width: 4, height: 3, sigma: 1, kernel: 3 };
    expect(sum(density([-0.1, 1, 4, 1, 1, 3, 1, -2], map))).toBe(0);
  });
});

const KEY = { seed: 5, epoch: 0, item: 0, repeat: 0 };
const normal: PreprocessStep = { step: 'normalize', mean: [0.5], std: [0.5] };

/** Black with one white pixel. */
function bright(width: number, height: number, column: number, row: number): Raster {
  const data = new Uint8Array(width * height);
  data[row * width + column] = 255;
  return { data, width, height, channels: 1 };
}

/** Middle of what is bright, in pixels; undefined where nothing is. */
function middle({ data, width }: Raster): readonly [number, number] | undefined {
  const whole = sum(data);
  if (whole === 0) return undefined;
  let [x, y] = [0, 0];
  for (const [i, v] of data.entries()) {
    x += (v * ((i % width) + 0.5)) / whole;
    y += (v * (Math.floor(i / width) + 0.5)) / whole;
  }
  return [x, y];
}

describe('points of a sample', () => {
  const side = fc.integer({ min: 1, max: 24 });
  const places = fc.record({
    width: side,
    height: side,
    x: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    y: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    item: fc.nat(1000),
    flips: fc.constantFrom<Augment>({}, { flip: 1 }, { flipVertical: 1 }, { flip: 0.5, flipVertical: 0.5 }),
  });
  const check = (
    { width, height, x, y, item, flips }: typeof places extends fc.Arbitrary<infer T> ? T : never,
    preprocess: readonly PreprocessStep[],
    input: readonly [width: number, height: number],
    augment: Augment = {},
  ) => {
    const [column, row] = [Math.floor(x * width), Math.floor(y * height)];
    const recipe: Recipe = {
      preprocess,
      input: { channels: 1, width: input[0], height: input[1] },
      augment: { ...augment, ...flips },
    };
    const sample = makeSample(bright(width, height, column, row), recipe, { ...KEY, item });
    const found = placedPoints(Float32Array.of(column + 0.5, row + 0.5), sample.placement);
    return { seen: middle(sample), found, sample };
  };

  test('lie where the pixel under them lies: crops, padding, mirror images', () => {
    fc.assert(
      fc.property(places, side, side, fc.boolean(), (place, w, h, pads) => {
        const [most, tall] = [Math.max(place.width, w), Math.max(place.height, h)];
        const steps: PreprocessStep[] = pads
          ? [normal, { step: 'pad', size: [tall, most] }]
          : [{ step: 'crop', size: [h, w] }, normal];
        const { seen, found } = check(place, steps, pads ? [most, tall] : [w, h]);
        expect([...found]).toEqual(seen ? [...seen] : []);
      }),
    );
  });

  test("lie where the pixel under them lies: parts at the picture's own scale", () => {
    fc.assert(
      fc.property(places, side, side, (place, w, h) => {
        const { seen, found, sample } = check(place, [normal], [w, h], { cut: true });
        expect([sample.width, sample.height]).toEqual([Math.min(w, place.width), Math.min(h, place.height)]);
        expect([...found]).toEqual(seen ? [...seen] : []);
      }),
    );
  });

  test('lie in the middle of the pixels that theirs becomes', () => {
    const times = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(places, times, times, (place, across, down) => {
        const [w, h] = [place.width * across, place.height * down];
        const { seen, found } = check(place, [{ step: 'resize', size: [h, w], filter: 'nearest' }, normal], [w, h]);
        expect(found[0]).toBeCloseTo(seen![0], 9);
        expect(found[1]).toBeCloseTo(seen![1], 9);
      }),
    );
  });

  test('go with a random part that is resized', () => {
    const large = { width: 20, height: 16, x: 0.5, y: 0.5, flips: { flip: 0.5 } };
    let inside = 0;
    for (let item = 0; item < 60; item++) {
      const { seen, found } = check({ ...large, item }, [normal], [64, 64], { crop: { scale: [0.3, 0.9] } });
      // A pixel at the border of the part is seen in part.
      if (found.length === 0 || found.some((v) => v < 8 || v > 56)) continue;
      inside++;
      expect(Math.hypot(found[0]! - seen![0], found[1]! - seen![1])).toBeLessThan(0.6);
    }
    expect(inside).toBeGreaterThan(20);
  });

  test('that are at the border are in the mirror image too', () => {
    const input = { channels: 1, width: 4, height: 3 };
    const picture = bright(4, 3, 0, 0);
    const { placement } = makeSample(picture, { preprocess: [], input, augment: { flip: 1, flipVertical: 1 } }, KEY);
    const [x, y] = placedPoints(Float32Array.of(0, 0), placement);
    expect(x! < 4 && Math.floor(x!) === 3 && y! < 3 && Math.floor(y!) === 2).toBe(true);
    expect(placedPoints(Float32Array.of(4, 1), placement)).toEqual(new Float64Array(0));
  });
});

test('RandAugment of colors moves nothing', () => {
  const picture = bright(9, 7, 3, 2);
  const names = Object.keys(OPERATIONS).filter((name) => !/^(Rotate|Shear|Translate)/.test(name));
  expect(names.length).toBe(10);
  // Ten of ten, each at full magnitude: whatever is drawn, one pixel stays other than all others.
  for (let item = 0; item < 40; item++) {
    const recipe: Recipe = {
      preprocess: [normal],
      input: { channels: 1, width: 9, height: 7 },
      augment: { randAugment: { colors: true, count: 1, probability: 1, magnitude: 9 } },
    };
    const { data } = makeSample(picture, recipe, { ...KEY, item });
    const corner = data[0]!;
    const others = [...data.entries()].filter(
      ([i, v]) => v !== corner && Math.hypot((i % 9) - 3, Math.floor(i / 9) - 2) > 1.5,
    );
    expect(others).toEqual([]);
  }
});

/** Three gray pictures of 8 x 6 with a point for each bright pixel. */
function counting(count = 3): Dataset {
  const data = new Uint8Array(count * 48);
  const points: number[][] = [];
  for (let i = 0; i < count; i++) {
    const own = Array.from({ length: i }, (_, k): [number, number] => [(3 * k + i) % 8, (2 * k + i) % 6]);
    for (const [x, y] of own) data[i * 48 + y * 8 + x] = 255;
    points.push(own.flatMap(([x, y]) => [x + 0.5, y + 0.5]));
  }
  return datasetOfArrays({ name: 'dots', shape: [count, 6, 8], data }, { kind: 'points', points }).train;
}

const MAP: DensityOptions = { width: 4, height: 3, sigma: 1, kernel: 3 };
const OPTIONS: LoaderOptions = {
  size: 2,
  seed: 1,
  preprocess: [],
  input: { channels: 1, height: 6, width: 8 },
  order: 'listed',
  density: MAP,
};
const valuesOf = ({ targets }: Batch) => targets as Extract<Batch['targets'], { kind: 'values' }>;

describe('batches of points', () => {
  test('give densities at the size that is asked for, and counts', async () => {
    const data = counting();
    const [first, second] = await all(makeLoader(data, OPTIONS));
    expect(valuesOf(first!)).toMatchObject({ width: 12, counts: Int32Array.of(0, 1) });
    expect(valuesOf(second!).counts).toEqual(Int32Array.of(2));
    // The point (1.5, 1.5) of the picture is (0.75, 0.75) of a map of half its size.
    expect(valuesOf(first!).values.subarray(12)).toEqual(density([0.75, 0.75], MAP));
    expect(sum(valuesOf(second!).values)).toBeCloseTo(2, 6);
  });

  test('are the same from threads', async () => {
    const options: LoaderOptions = {
      ...OPTIONS,
      order: 'shuffled',
      augment: { cut: true, flip: 0.5 },
      input: { channels: 1, height: 4, width: 5 },
    };
    const here = await all(openLoader(counting(7), { ...options, threads: 0 }), undefined, 2);
    const there = await all(openLoader(counting(7), { ...options, threads: 2 }), undefined, 2);
    expect(there).toEqual(here);
    expect(new Set(here.flatMap((batch) => [...valuesOf(batch).counts!])).size).toBeGreaterThan(2);
  });

  test('go into splits, limits and the hash', async () => {
    const data = counting(10);
    const { train, val } = withValidation({ train: data }, 0.3, 1);
    const pointsOf = ({ targets }: Dataset) =>
      targets.kind === 'points' ? targets.points.map((p) => p.length / 2) : [];
    expect(
      pointsOf(train)
        .concat(pointsOf(val))
        .sort((a, b) => a - b),
    ).toEqual([...Array(10).keys()]);
    expect(pointsOf(limited(data, 4, 1)).length).toBe(4);
    const moved: Dataset = {
      ...data,
      targets: { kind: 'points', points: data.places.map(() => Float32Array.of(1, 1)) },
    };
    expect(await datasetHash(moved)).not.toBe(await datasetHash(data));
  });

  test('of floats are mirrored with them', async () => {
    const data = Float32Array.from({ length: 48 }, (_, i) => (i === 10 ? 1 : 0));
    const set = datasetOfArrays({ name: 'f', shape: [1, 6, 8], data }, { kind: 'points', points: [[2.5, 1.5]] }).train;
    const map = { ...MAP, width: 8, height: 6, kernel: 1 };
    const [batch] = await all(makeLoader(set, { ...OPTIONS, size: 1, augment: { flip: 1 }, density: map }));
    expect(batch!.images).toEqual(valuesOf(batch!).values);
    expect(batch!.images.indexOf(1)).toBe(13);
  });
});

describe('tiles', () => {
  const options = (tile: number, size = 3): LoaderOptions => ({
    ...OPTIONS,
    size,
    tiles: true,
    preprocess: [normal],
    input: { channels: 1, height: tile, width: tile },
    density: { width: tile, height: tile, sigma: 1, kernel: 1 },
  });

  test('have each point once, on its pixel, and zeros outside', async () => {
    const batches = await all(openLoader(counting(5), options(4)));
    const found = new Array<number>(5).fill(0);
    for (const { images, indices, targets } of batches) {
      const { values, counts } = targets as ReturnType<typeof valuesOf>;
      // White is 1 after normalizing, black -1; a kernel of one pixel is the white pixels.
      expect(values).toEqual(images.map((v) => (v === 1 ? 1 : 0)));
      for (const [i, item] of indices.entries()) found[item]! += counts![i]!;
    }
    expect(found).toEqual([0, 1, 2, 3, 4]);
    expect(batches.map(({ indices }) => [...indices])).toEqual([
      [0, 0, 0],
      [0, 1, 1],
      [1, 1, 2],
      [2, 2, 2],
      [3, 3, 3],
      [3, 4, 4],
      [4, 4],
    ]);
    // The lower tiles of 6 rows have 2 of their own.
    const [, , third] = [...batches[0]!.images.subarray(32, 48)]
      .map((v) => v)
      .reduce<number[][]>((rows, v, i) => {
        if (i % 4 === 0) rows.push([]);
        rows.at(-1)!.push(v);
        return rows;
      }, []);
    expect(third).toEqual([0, 0, 0, 0]);
  });

  test('larger than the picture are the picture', async () => {
    const [batch] = await all(makeLoader(counting(2), options(9, 8)));
    expect(batch!.indices).toEqual(Int32Array.of(0, 1));
    expect(sum(valuesOf(batch!).values)).toBe(1);
    expect(batch!.images.filter((v) => v !== 0).length).toBe(2 * 48);
  });

  test('of what cannot be read there are none', async () => {
    const data = counting(4);
    const read = data.pictures.read;
    const pictures = {
      ...data.pictures,
      read: async (place: number) => {
        const picture = await read(place);
        return place === 1 ? { ...picture, channels: 3 as const, data: new Uint8Array(144) } : picture;
      },
    };
    const skipped: string[] = [];
    const loader = makeLoader(
      { ...data, pictures },
      { ...options(8), corrupt: 0.5, skipped: ({ id }) => skipped.push(id) },
    );
    const batches = await all(loader);
    expect(batches.flatMap(({ indices }) => [...indices])).toEqual([0, 2, 3]);
    expect(skipped).toEqual(['dots[1]']);
    expect(loader.report.images).toBe(3);
  });
});

describe('refused', () => {
  const loader = (options: Partial<LoaderOptions>) => () => makeLoader(counting(4), { ...OPTIONS, ...options });
  const dots = (points: readonly (readonly number[])[]) => () =>
    datasetOfArrays({ name: 'dots', shape: [2, 2, 2], data: new Uint8Array(8) }, { kind: 'points', points });
  const labelled = datasetOfArrays(
    { name: 'two', shape: [2, 2, 2], data: new Uint8Array(8) },
    { kind: 'class', labels: [0, 1] },
  ).train;
  const { density: _, ...without } = OPTIONS;
  test.each<[string, () => unknown, string, RegExp]>([
    ['operations that move', loader({ augment: { randAugment: {} } }), 'ESP1020', /`rand_augment` turns.*colors: true/],
    ['mixup', loader({ augment: { mixup: 1 } }), 'ESP1020', /`mixup` lays pictures over one another/],
    ['cutmix', loader({ augment: { cutmix: 1 } }), 'ESP1020', /`cutmix` .* points of dots/],
    ['no density', () => makeLoader(counting(), without), 'ESP1009', /`density` of the data cannot be left out/],
    ['a kernel without a middle', loader({ density: { ...MAP, kernel: 4 } }), 'ESP1009', /`density.kernel`.* 4 .*odd/],
    ['no kernel', loader({ density: { ...MAP, kernel: 0 } }), 'ESP1009', /`density.kernel`/],
    ['points without width', loader({ density: { ...MAP, sigma: 0 } }), 'ESP1009', /`density.sigma`/],
    ['half a map', loader({ density: { ...MAP, width: 1.5 } }), 'ESP1009', /`density.width`/],
    ['a cut beside a crop', loader({ augment: { cut: true, crop: {} } }), 'ESP1009', /`cut` .* where `crop` is set/],
    ['balance without classes', loader({ order: 'balanced' }), 'ESP1010', /those of dots have points/],
    [
      'tiles of what is resized',
      loader({ tiles: true, preprocess: [{ step: 'resize', size: [6, 8], filter: 'bilinear' }] }),
      'ESP1009',
      /`tiles` .* `preprocess` leaves their size/,
    ],
    [
      'tiles without points',
      () => makeLoader(labelled, { ...without, tiles: true, input: { channels: 1, width: 2, height: 2 } }),
      'ESP1009',
      /`tiles` .* two, which has no points/,
    ],
    ['no point at all', dots([[], []]), 'ESP1022', /no picture that is trained on has a point: dots has 2/],
    ['half a point', dots([[1, 1], [1]]), 'ESP1024', /dots: points of dots\[1\] are no pairs of numbers/],
    ['a point that is no number', dots([[1, Number.NaN], []]), 'ESP1024', /dots\[0\]/],
    ['a list for another picture', dots([[1, 1]]), 'ESP1006', /2 pictures and 1 lists of points/],
    [
      'all pixels of a mask',
      dots([Array.from({ length: 200_002 }, () => 1), []]),
      'ESP1023',
      /dots\[0\] has 100001 points, and at most 100000 are taken/,
    ],
  ])('%s', (_, work, code, words) => {
    const thrown = (() => {
      try {
        work();
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(thrown).toBeInstanceOf(EspalierError);
    const [first] = (thrown as EspalierError).diagnostics;
    expect(first!.code).toBe(code);
    expect(`${first!.message} ${first!.help.join(' ')}`).toMatch(words);
  });
});
