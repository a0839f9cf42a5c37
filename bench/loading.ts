/**
 * What making batches costs, in this thread (sharp's own pool decodes) and in threads: images a second, processor time, and the share of the time that
 * this thread, which feeds the GPU, was busy. `npm run bench:loading`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import sharp from 'sharp';
import { openDatasets } from '../src/data/node/open.js';
import { openLoader } from '../src/data/node/threads.js';
import type { Augment, LoaderOptions } from '../src/data/types.js';

const COUNT = 128;
const folder = mkdtempSync(join(tmpdir(), 'espalier-loading-'));

/** Photographs' size and noise, as JPEG decoders find them. */
async function writePictures(): Promise<void> {
  const list: string[] = ['file,label'];
  const noise = Buffer.alloc(500 * 375 * 3);
  for (let i = 0; i < COUNT; i++) {
    for (let k = 0; k < noise.length; k++)
      noise[k] = 128 + 60 * Math.sin((k % 1500) / (20 + (i % 7))) + ((k * 31 + i) % 23);
    await sharp(noise, { raw: { width: 500, height: 375, channels: 3 } })
      .jpeg({ quality: 90 })
      .toFile(join(folder, `${i}.jpg`));
    list.push(`${i}.jpg,${i % 10}`);
  }
  writeFileSync(join(folder, 'list.csv'), list.join('\n'));
}

async function measure(threads: number, augment: Augment): Promise<string> {
  const { train } = await openDatasets({ path: join(folder, 'list.csv') });
  const options: LoaderOptions = {
    size: 32,
    seed: 0,
    preprocess: [
      { step: 'resize', size: [224, 224], filter: 'bicubic' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ],
    input: { channels: 3, height: 224, width: 224 },
    memory: 0,
    augment,
  };
  const loader = openLoader(train, { ...options, threads });
  const all = loader.batches({ epoch: 0, batch: 0 }, 3);
  // The first epoch starts threads and warms the code.
  for (let batch = 0; batch < loader.perEpoch; batch++) await all.next();
  const [cpu, time, busy] = [process.cpuUsage(), performance.now(), performance.eventLoopUtilization()];
  let images = 0;
  for await (const batch of all) images += batch.indices.length;
  const seconds = (performance.now() - time) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { utilization } = performance.eventLoopUtilization(busy);
  await loader.close();
  const each = ((user + system) / 1000 / images).toFixed(1);
  return `${(images / seconds).toFixed(0).padStart(5)} images/s  ${each.padStart(5)} ms of processor each  this thread busy ${(100 * utilization).toFixed(0).padStart(3)}%`;
}

const KINDS: Readonly<Record<string, Augment>> = {
  'resize to 224 x 224': {},
  'random crop, flip': { crop: {}, flip: 0.5 },
  'the same, RandAugment': { crop: {}, flip: 0.5, randAugment: {} },
};

try {
  await writePictures();
  console.log(`${COUNT} JPEGs of 500 x 375, batches of 32; ${availableParallelism()} cores`);
  for (const [kind, augment] of Object.entries(KINDS))
    for (const threads of [0, 1, 2])
      console.log(`${kind.padEnd(22)} ${threads} threads ${await measure(threads, augment)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
