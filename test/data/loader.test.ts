/** Batches: what is in them, in which order, made ahead, in threads or here, and what happens to pictures that cannot be read. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { makeLoader } from '../../src/data/loader.js';
import { openDatasets } from '../../src/data/node/open.js';
import { openLoader } from '../../src/data/node/threads.js';
import { asItIs } from '../../src/data/placement.js';
import type { Sample, SampleJob } from '../../src/data/sample.js';
import type { Batch, Dataset, LoaderOptions, SkippedItem } from '../../src/data/types.js';
import { diagnostic } from '../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { scratch } from '../api/support.js';
import { all, counted, inMemory, SMALL, writeTree } from './support.js';

const folder = scratch();
const LISTED: LoaderOptions = { ...SMALL, order: 'listed' };
const byteOf = (batch: Batch) => Array.from(batch.indices, (_, i) => Math.round(batch.images[i * 4]! * 255));
const bits = (batches: readonly Batch[]) =>
  batches.map(({ images, targets, indices }) => [Buffer.from(images.buffer).toString('hex'), targets, indices]);

describe('batches', () => {
  test('hold pictures, labels and numbers of the same items', async () => {
    const batches = await all(makeLoader(counted(10, 3), SMALL));
    expect(batches.map(({ indices }) => indices.length)).toEqual([4, 4, 2]);
    for (const batch of batches) {
      expect(batch.shape).toEqual([batch.indices.length, 1, 2, 2]);
      expect(batch.images.length).toBe(4 * batch.indices.length);
      expect(byteOf(batch)).toEqual([...batch.indices]);
      expect(batch.targets).toEqual({ kind: 'labels', labels: batch.indices.map((i) => i % 3) });
    }
    const seen = batches.flatMap(({ indices }) => [...indices]);
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    expect(seen).not.toEqual([...seen].sort((a, b) => a - b));
  });

  test('the last one is left out where it would be smaller', async () => {
    const loader = makeLoader(counted(10, 3), { ...SMALL, dropLast: true });
    expect(loader.perEpoch).toBe(2);
    expect((await all(loader)).map(({ indices }) => indices.length)).toEqual([4, 4]);
    expect(makeLoader(counted(10, 3), SMALL).perEpoch).toBe(3);
  });

  test('from any batch on they are those of a run that was not interrupted', async () => {
    const options: LoaderOptions = { ...SMALL, augment: { flip: 0.5, mixup: 0.8, cutmix: 1 } };
    const data = counted(10, 3);
    const whole = await all(makeLoader(data, options), { epoch: 0, batch: 0 }, 3);
    expect(whole.map(({ epoch, batch }) => [epoch, batch])).toEqual(
      [0, 1, 2].flatMap((e) => [0, 1, 2].map((b) => [e, b])),
    );
    for (let done = 1; done < 9; done++) {
      const rest = await all(makeLoader(data, options), { epoch: Math.floor(done / 3), batch: done % 3 }, 3);
      expect(bits(rest)).toEqual(bits(whole.slice(done)));
    }
    expect(bits(await all(makeLoader(data, { ...options, seed: 2 }), { epoch: 0, batch: 0 }, 3))).not.toEqual(
      bits(whole),
    );
  });

  test('several classes are yes and no of each, numbers are numbers', async () => {
    const pixels = new Uint8Array(8);
    const several = inMemory(pixels, [2, 2, 2], { kind: 'classes', labels: [['b'], []] }, { classes: ['a', 'b', 'c'] });
    const [first] = await all(makeLoader(several, { ...LISTED, size: 2 }));
    expect(first!.targets).toEqual({ kind: 'values', values: Float32Array.of(0, 1, 0, 0, 0, 0), width: 3 });
    const numbers = inMemory(pixels, [2, 2, 2], {
      kind: 'numbers',
      labels: [
        [1, 2],
        [3, 4],
      ],
    });
    const [second] = await all(makeLoader(numbers, { ...LISTED, size: 2 }));
    expect(second!.targets).toEqual({ kind: 'values', values: Float32Array.of(1, 2, 3, 4), width: 2 });
  });

  test('floats go in as they are', async () => {
    const values = Float32Array.from({ length: 8 }, (_, i) => i - 3.5);
    const data = inMemory(values, [2, 2, 2], { kind: 'class', labels: [0, 1] });
    const normal = { step: 'normalize', mean: [0.5], std: [0.5] } as const;
    const [batch] = await all(makeLoader(data, { ...LISTED, size: 2, preprocess: [normal] }));
    expect(batch!.images).toEqual(values);
  });

  test('mixed ones have shares of classes, and pixels in the same shares', async () => {
    const data = counted(4, 2);
    const of = async (augment: LoaderOptions['augment'], seed: number) =>
      (await all(makeLoader(data, { ...LISTED, seed, augment: augment! })))[0]!;
    for (const seed of [1, 2, 3, 4]) {
      const { images, targets } = await of({ mixup: 1 }, seed);
      const { values } = targets as { values: Float32Array };
      for (let i = 0; i < 4; i++) {
        // Item i is of class i mod 2 and its counterpart 3 - i of the other; its pixels are i / 255.
        const share = values[i * 2 + (i % 2)]!;
        expect(values[i * 2]! + values[i * 2 + 1]!).toBeCloseTo(1, 6);
        expect(images[i * 4]! * 255).toBeCloseTo(share * i + (1 - share) * (3 - i), 4);
      }
      const boxed = await of({ cutmix: 1 }, seed);
      const shares = (boxed.targets as { values: Float32Array }).values;
      for (let i = 0; i < 4; i++) {
        const own = [0, 1, 2, 3].filter((p) => Math.round(boxed.images[i * 4 + p]! * 255) === i).length;
        expect(shares[i * 2 + (i % 2)]).toBeCloseTo(own / 4, 6);
      }
    }
    // No batch of this epoch is mixed, and targets stay shares all the same.
    const plain = await of({ mixup: 1, mixShare: 0 }, 1);
    expect(plain.targets).toEqual({ kind: 'values', values: Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1), width: 2 });
  });
});

/** A workshop that notes what it is asked, and takes its time. */
function slow(data: Dataset, milliseconds: number, fails: (place: number) => boolean = () => false) {
  const asked: SampleJob[] = [];
  return {
    asked,
    async sample(job: SampleJob): Promise<Sample> {
      asked.push(job);
      await sleep(milliseconds);
      if (fails(job.place))
        throw new EspalierError([diagnostic('ESP0530', { file: `${job.place}`, reason: 'it is empty' })]);
      return { ...(await data.pictures.read(job.place)), channels: 1, placement: asItIs(2, 2) };
    },
    close: async () => {},
  };
}

describe('ahead', () => {
  test.each([0, 1, 3])('%d batches are made while one is used', async (ahead) => {
    const data = counted(40, 2);
    const workshop = slow(data, 1);
    const loader = makeLoader(data, { ...LISTED, ahead, memory: 0 }, workshop);
    let used = 0;
    for await (const _ of loader.batches({ epoch: 0, batch: 0 }, 1)) {
      await sleep(20);
      used++;
      expect(workshop.asked.length).toBe(4 * Math.min(10, used + ahead));
    }
    expect(used).toBe(10);
  });

  test('goes on into the next epoch', async () => {
    const data = counted(4, 2);
    const workshop = slow(data, 1);
    const loader = makeLoader(data, { ...LISTED, memory: 0 }, workshop);
    for await (const batch of loader.batches({ epoch: 0, batch: 0 }, 9)) {
      await sleep(10);
      expect(workshop.asked.at(-1)!.key.epoch).toBe(Math.min(8, batch.epoch + 2));
    }
  });

  // The clock is the test's own: exact, whatever else the machine does.
  test.each<[made: number, used: number, ahead: number, waited: number]>([
    [30, 60, 2, 30],
    // Three are in the making at a time, and take longer than the three are used for: 20 ms for every third.
    [40, 10, 2, 40 + 3 * 20],
    [60, 60, 0, 600],
  ])('batches that take %d ms, used for %d, %d ahead: the loop waits %d', async (made, used, ahead, waited) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const data = counted(40, 2);
      const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      const workshop = {
        ...slow(data, 0),
        async sample() {
          await pause(made);
          return { ...(await data.pictures.read(0)), channels: 1 as const, placement: asItIs(2, 2) };
        },
      };
      const loader = makeLoader(data, { ...LISTED, ahead, memory: 0 }, workshop);
      const loop = (async () => {
        for await (const _ of loader.batches({ epoch: 0, batch: 0 }, 1)) await pause(used);
      })();
      await vi.advanceTimersByTimeAsync(5000);
      await loop;
      const { waited: told, elapsed, images } = loader.report;
      expect([told, elapsed, images]).toEqual([waited, waited + 10 * used, 40]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('pictures that cannot be read', () => {
  test('are named once, counted, and left out of their batches', async () => {
    const data = counted(20, 2);
    const told: SkippedItem[] = [];
    const workshop = slow(data, 0, (p) => p === 5);
    const loader = makeLoader(data, { ...LISTED, skipped: (item) => told.push(item) }, workshop);
    const batches = await all(loader, { epoch: 0, batch: 0 }, 2);
    expect(batches.map(({ indices }) => indices.length)).toEqual([4, 3, 4, 4, 4, 4, 3, 4, 4, 4]);
    expect([...batches[1]!.indices]).toEqual([4, 6, 7]);
    expect(batches[1]!.shape[0]).toBe(3);
    expect(byteOf(batches[1]!)).toEqual([4, 6, 7]);
    expect(told.map(({ index, id, diagnostics }) => [index, id, diagnostics[0]!.code])).toEqual([
      [5, 'numbers[5]', 'ESP0530'],
    ]);
    expect(loader.report.skipped).toEqual(told);
    expect(workshop.asked.filter(({ place }) => place === 5).length).toBe(1);
    expect(loader.report.images).toBe(38);
  });

  test('a batch of which none can be read is left out', async () => {
    const data = counted(40, 2);
    const loader = makeLoader(
      data,
      LISTED,
      slow(data, 0, (p) => p >= 8 && p < 12),
    );
    expect((await all(loader)).map(({ batch }) => batch)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('end the run past the share that is allowed', async () => {
    const data = counted(20, 2);
    const failing = (p: number) => p % 5 === 0;
    const run = (corrupt?: number) =>
      all(makeLoader(data, { ...LISTED, ...(corrupt === undefined ? {} : { corrupt }) }, slow(data, 0, failing)));
    await expect(run()).rejects.toThrow(
      /ESP1007: 3 of the 20 items of numbers cannot be read, more than the 10% allowed/,
    );
    await expect(run()).rejects.toThrow(/numbers\[10\]: 10 cannot be read as an image: it is empty/);
    await expect(run(0.15)).rejects.toThrow(/4 of the 20 .*15%/);
    expect((await run(0.2)).length).toBe(5);
  });

  test('another failure is no picture’s', async () => {
    const data = counted(8, 2);
    const workshop = { sample: () => Promise.reject(new RangeError('a fault')), close: async () => {} };
    await expect(all(makeLoader(data, LISTED, workshop))).rejects.toThrow('a fault');
  });
});

describe('memory', () => {
  const epochs = async (options: Partial<LoaderOptions>) => {
    const data = counted(8, 2);
    const workshop = slow(data, 0);
    await all(makeLoader(data, { ...SMALL, ...options }, workshop), { epoch: 0, batch: 0 }, 4);
    return workshop.asked.length;
  };
  test('keeps what does not change', async () => expect(await epochs({ ahead: 0 })).toBe(8));
  test('as far as it reaches', async () => expect(await epochs({ ahead: 0, memory: 3 * 4 + 1 })).toBe(8 + 3 * 5));
  test('nothing of what changes', async () => expect(await epochs({ ahead: 0, augment: { flip: 0.5 } })).toBe(32));
  test('mixtures change batches, not pictures', async () =>
    expect(await epochs({ ahead: 0, augment: { mixup: 1 } })).toBe(8));
});

describe('in threads', () => {
  const options: LoaderOptions = {
    size: 3,
    seed: 4,
    preprocess: [
      { step: 'resize', size: [8, 8], filter: 'bicubic' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ],
    input: { channels: 3, height: 8, width: 8 },
    augment: { crop: {}, flip: 0.5, randAugment: {} },
    ahead: 3,
  };
  const images = 'examples/fashion/images/digits';

  test('samples are those of this thread, however many threads there are', async () => {
    const { train } = await openDatasets({ path: images });
    const here = bits(await all(openLoader(train, { ...options, threads: 0 })));
    expect(here.length).toBe(Math.ceil(train.size / 3));
    for (const threads of [1, 3]) expect(bits(await all(openLoader(train, { ...options, threads })))).toEqual(here);
  });

  test('pictures in memory as well', async () => {
    const data = inMemory(
      Uint8Array.from({ length: 6 * 64 }, (_, i) => (i * 37) % 256),
      [6, 8, 8],
      {
        kind: 'class',
        labels: [0, 1, 0, 1, 0, 1],
      },
    );
    const here = bits(await all(openLoader(data, { ...options, threads: 0 })));
    expect(bits(await all(openLoader(data, { ...options, threads: 2 })))).toEqual(here);
  });

  test('this thread makes the first ones, others what is left when that has taken longer than to start them', async () => {
    const data = inMemory(
      Uint8Array.from({ length: 8 * 64 }, (_, i) => (i * 37) % 256),
      [8, 8, 8],
      { kind: 'class', labels: [0, 1, 0, 1, 0, 1, 0, 1] },
    );
    const here = bits(await all(openLoader(data, { ...options, threads: 0 })));
    expect(bits(await all(openLoader(data, options)))).toEqual(here);
    let reads = 0;
    const slow = async (place: number) => {
      if (reads++ < 3) await new Promise((done) => setTimeout(done, 130));
      return data.pictures.read(place);
    };
    const later = { ...data, pictures: { ...data.pictures, read: slow } };
    expect(bits(await all(openLoader(later, options)))).toEqual(here);
  });

  test('a file that is no picture is named by its path, with what the decoder says', async () => {
    const path = await writeTree(join(folder, 'bad'), {
      'x/a.png': 1,
      'x/b.png': 2,
      'y/c.png': 3,
      'y/d.png': 'no picture',
    });
    const told: SkippedItem[] = [];
    const { train } = await openDatasets({ path });
    const loader = openLoader(train, { ...options, threads: 1, corrupt: 0.5, skipped: (item) => told.push(item) });
    expect((await all(loader)).reduce((n, { indices }) => n + indices.length, 0)).toBe(3);
    expect(told.map(({ id }) => id)).toEqual(['y/d.png']);
    expect(told[0]!.diagnostics.map((d) => d.code)).toEqual(['ESP0530']);
    rmSync(join(path, 'x/a.png'));
    writeFileSync(join(path, 'x/b.png'), '');
    await expect(all(openLoader(train, { ...options, threads: 2 }))).rejects.toThrow('ESP1007');
  });

  test('a loop that ends early leaves nothing that holds the process, and a closed loader says so', async () => {
    const { train } = await openDatasets({ path: images });
    const loader = openLoader(train, { ...options, threads: 1 });
    for await (const _ of loader.batches({ epoch: 0, batch: 0 }, 1)) break;
    await loader.close();
    await expect(loader.batches({ epoch: 0, batch: 0 }, 1).next()).rejects.toThrow('the loader was closed');
  });
});
