/** Counting from end to end on pictures with dots: a convolution learns a density from points in files, and what it counts is scored, kept and shown. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EspalierError,
  evaluateRun,
  MemoryRun,
  nodeHost,
  type TrainEvent,
  train,
  trainInMemory,
} from '../../src/api/index.js';
import { reportOf, writeReport } from '../../src/api/node/report.js';
import { predictionsOf } from '../../src/api/node/run-folder.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { Draws } from '../../src/data/draws.js';
import { cli } from '../cli/support.js';

const evalText = async (...args: string[]): Promise<string> => (await cli('eval', ...args)).out;

const folder = mkdtempSync(join(tmpdir(), 'espalier-counting-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A density of half the picture's sides, from two convolutions. */
const model = (preprocess: string) => `use std
backbone dots(image: int) {
  first = Conv2d(1 -> 4, kernel: 3, stride: 2, padding: 1)
  last = Conv2d(4 -> 1, kernel: 3, padding: 1)
  forward(pixels: [b, 1, image, image]) {
    density = last(relu(first(pixels))) / 10
    {density: density, count: sum(density, axis: [1, 2, 3])}
  }
}
variant dots_auto = dots() {
  preprocess = ${preprocess}
}
model Dots {
  base = dots_auto(image: 16)
  tune base
}
`;
const spec = (more: string, preprocess = 'grayscale(), normalize(mean: 0, std: 1)', epochs = 12) =>
  `${model(preprocess)}train Dots {
  optimizer = adamw(lr: 2e-2)
  schedule = constant(epochs: ${epochs})
  loss = mse(10 * prediction, 10 * target)
  batch = 8
  seed = 2
  ${more}
}`;
const DATA = 'data = points("./dots", sigma: 1, kernel: 5)';

/** A picture of some bright dots on black, no two of which touch, and where they are. */
function scene(item: number): { width: number; height: number; data: Uint8Array; points: [number, number][] } {
  const draws = new Draws({ seed: 4, epoch: 0, purpose: 'sample', of: item });
  const [width, height] = [18 + draws.whole(14), 17 + draws.whole(9)];
  const data = new Uint8Array(width * height);
  const points: [number, number][] = [];
  for (let y = 1; y + 3 < height; y += 5)
    for (let x = 1; x + 3 < width; x += 5) {
      if (!draws.chance(0.3)) continue;
      for (let dy = 0; dy < 3; dy++) data.fill(255, (y + dy) * width + x, (y + dy) * width + x + 3);
      points.push([x + 1.5, y + 1.5]);
    }
  return { width, height, data, points };
}
const COUNTS = { train: 40, val: 6, test: 5 } as const;

beforeAll(async () => {
  await mkdir(join(folder, 'dots'), { recursive: true });
  let item = 0;
  for (const [split, count] of Object.entries(COUNTS)) {
    const images = [];
    for (let i = 0; i < count; i++) {
      const { points, data, width, height } = scene(item++);
      const file = `${split}-${i}.png`;
      await sharp(data, { raw: { width, height, channels: 1 } })
        .png()
        .toFile(join(folder, 'dots', file));
      images.push({ file, points });
    }
    writeFileSync(join(folder, 'dots', `${split}.json`), JSON.stringify({ images }));
  }
});

async function events(out: string, text: string, options: { resume?: boolean; stopAfter?: number } = {}) {
  const found: TrainEvent[] = [];
  const stop = new AbortController();
  const file = join(folder, 'dots.peft');
  writeFileSync(file, text);
  for await (const event of train(file, { out, resume: options.resume ?? false, signal: stop.signal })) {
    found.push(event);
    if (event.kind === 'step' && event.step + 1 === options.stopAfter) stop.abort();
  }
  return found;
}

describe('training on points', { timeout: 120_000 }, () => {
  const out = join(folder, 'run');
  let all: TrainEvent[];
  beforeAll(async () => {
    all = await events(out, spec(`${DATA}\n  augment = [cut, flip(50%), rand_augment(colors: true, magnitude: 1)]`));
  }, 120_000);

  it('learns to count, and selects by the mean absolute error', async () => {
    const epochs = all.filter((e) => e.kind === 'epoch');
    const validation = epochs.map((e) => e.validation!);
    const counts = Array.from({ length: COUNTS.val }, (_, i) => scene(COUNTS.train + i).points.length);
    const nothing = counts.reduce((sum, n) => sum + n, 0) / counts.length;
    const best = Math.min(...validation.map((v) => v.mae!));
    // Whoever counts nothing is as wrong as there are dots.
    expect(best).toBeLessThan(nothing / 2);
    for (const { mae, rmse, samples } of validation) {
      expect(samples).toBe(COUNTS.val);
      expect(rmse).toBeGreaterThanOrEqual(mae!);
    }
    const end = all.find((e) => e.kind === 'end')!;
    expect(end).toMatchObject({ selected: 'validation mean absolute error' });
    expect(validation[end.epoch]!.mae).toBe(best);
    expect(epochs.every(({ train: t }) => t.mae! <= t.rmse! && t.samples === COUNTS.train)).toBe(true);
  });

  it('counts pictures of any size in tiles, and keeps what it counted', async () => {
    const { split, counts } = predictionsOf(out)!;
    expect(split).toBe('test');
    const truth = Array.from({ length: COUNTS.test }, (_, i) => [
      `test-${i}.png`,
      scene(COUNTS.train + COUNTS.val + i).points.length,
    ]);
    expect(counts!.map(({ item, count }) => [item, count])).toEqual(truth);
    const errors = counts!.map(({ count, predicted }) => Math.abs(predicted - count));
    const { score } = all.find((e) => e.kind === 'test')!;
    expect(score.mae).toBeCloseTo(errors.reduce((a, b) => a + b) / errors.length, 9);
    expect(score.rmse).toBeCloseTo(Math.sqrt(errors.reduce((a, b) => a + b * b, 0) / errors.length), 9);
    const again = await evaluateRun(out);
    expect(again.score.mae).toBeCloseTo(score.mae!, 4);
    expect(again.counts!.map(({ item, count }) => [item, count])).toEqual(truth);
    expect(again.evaluation).toBeUndefined();
    const other = await evaluateRun(out, { data: join(folder, 'dots', 'val.json') });
    expect([other.split, other.score.samples]).toEqual(['train', COUNTS.val]);
  });

  it('are searched in whole pictures, in tiles, where training sees parts of them', async () => {
    const by = 'magnitude(scope: global) by grid(rates: [25%, 50%], threshold: 0, after: 1, recover: 1, images: 16)';
    const text = spec(`${DATA}\n  augment = [cut]`, undefined, 2).replace(
      'tune base',
      `prune base.first with ${by}\n  tune base.last`,
    );
    const found = await events(join(folder, 'searched'), text);
    const tried = found.filter((e) => e.kind === 'candidate');
    expect(tried.map((e) => e.rates)).toEqual([[0.25], [0.5]]);
    for (const e of tried) {
      expect(e.problem).toBeUndefined();
      expect(e.similarity).toBeGreaterThan(0);
      expect(e.images).toBe(16);
    }
    expect(found.find((e) => e.kind === 'pruned')).toMatchObject({ rates: [0.5], zeros: 18, elements: 36 });
  });

  it('is printed by `eval`, as figures, CSV and JSON', async () => {
    const { counts } = predictionsOf(out)!;
    const text = await evalText(out);
    expect(text).toMatch(/MAE \d+\.\d\d, RMSE \d+\.\d\d over the counts of 5 images/);
    for (const { item } of counts!) expect(text).toContain(item);
    const csv = (await evalText(out, '--csv')).trim().split('\n');
    expect(csv[0]).toBe('image,count,predicted');
    expect(csv.slice(1).map((line: string) => line.split(',').slice(0, 2).join())).toEqual(
      counts!.map(({ item, count }) => `${item},${count}`),
    );
    expect(JSON.parse(await evalText(out, '--json')).counts).toHaveLength(5);
  });

  it('is in the report, with the pictures that are most wrong', async () => {
    const report = reportOf(out);
    const { worst, mae } = report.counting!;
    const errors = worst.map(({ count, predicted }) => Math.abs(predicted - count));
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(mae).toBeCloseTo(report.test!.mae!, 9);
    expect(report.charts.map(({ title }) => title)).toEqual([
      'Loss',
      'Mean absolute error of counts',
      'Root of the mean squared error of counts',
      'Learning rate',
    ]);
    const { path } = await writeReport(out);
    const page = readFileSync(path, 'utf8');
    expect(page).toContain('Counts on the test split');
    expect(page).toContain(`<td class="name">${worst[0]!.item}</td>`);
    expect(page.match(/counted as/g)).toHaveLength(5);
    expect(page).toContain('test mean absolute error');
  });

  it('keeps where it counted, and the report draws it over the pictures', async () => {
    const { counts } = predictionsOf(out)!;
    const { pictures } = JSON.parse(/id="data">([^<]*)</.exec(readFileSync(join(out, 'report.html'), 'utf8'))![1]!);
    expect(pictures).toHaveLength(counts!.length);
    const { worst } = reportOf(out).counting!;
    for (const [i, { item, predicted, density }] of worst.entries()) {
      expect(density!.map).toEqual({ width: 8, height: 8 });
      expect(density!.input).toEqual({ width: 16, height: 16 });
      expect(Math.abs(density!.data.reduce((sum, x) => sum + x, 0) - predicted)).toBeLessThan(0.01 * (1 + predicted));
      const { width, height } = await sharp(join(folder, 'dots', item)).metadata();
      expect(density!.data).toHaveLength(64 * Math.ceil(width / 16) * Math.ceil(height / 16));
      // As many whole times as large as fit, and the count below.
      const times = Math.floor(192 / Math.max(width, height));
      expect(pictures[i].width).toBe(width * times);
      expect(pictures[i].height).toBeGreaterThan(height * times);
      const rgb = Buffer.from(pictures[i].pixels, 'base64');
      expect(rgb).toHaveLength(3 * pictures[i].width * pictures[i].height);
      // Heat has colours, which a grey picture has not.
      expect(rgb.some((_, at) => at % 3 === 0 && rgb[at] !== rgb[at + 2])).toBe(true);
    }
  });

  it('goes on inside of an epoch with the errors so far', async () => {
    const text = spec(`${DATA}\n  augment = [cut]`, undefined, 2);
    const whole = await events(join(folder, 'whole'), text);
    const begun = await events(join(folder, 'parts'), text, { stopAfter: 3 });
    expect(begun.at(-1)).toMatchObject({ why: 'stopped' });
    const rest = await events(join(folder, 'parts'), text, { resume: true });
    const scores = (list: readonly TrainEvent[]) =>
      list.flatMap((e) => (e.kind === 'epoch' ? [e.train, e.validation] : []));
    expect(scores(rest)).toEqual(scores(whole));
  });
});

describe('points in memory', { timeout: 120_000 }, () => {
  const pixels = new Uint8Array(8 * 256);
  const points = Array.from({ length: 8 }, (_, i) => Array.from({ length: i }, () => [4.5, 4.5]).flat());
  const sets = datasetOfArrays({ name: 'd', data: pixels, shape: [8, 16, 16] }, { kind: 'points', points });
  const run = async (text: string, datasets = sets) => {
    const kept = new MemoryRun();
    const found: TrainEvent[] = [];
    for await (const event of trainInMemory({ text, path: 'd.peft' }, { host: nodeHost(), datasets, run: kept }))
      found.push(event);
    return { found, kept };
  };

  it('are learnt at the sizes that preprocessing makes, and kept by name', async () => {
    const text = spec('validation = 25%', 'resize(16, nearest), normalize(mean: 0, std: 1)', 1);
    const { found, kept } = await run(text.replace('batch = 8', 'batch = 2'));
    expect(found.find((e) => e.kind === 'epoch')!.validation).toMatchObject({ samples: 2 });
    expect(kept.tested!.counts!.every(({ item, count }) => item === `d[${count}]`)).toBe(true);
    expect(kept.adapter().length).toBeGreaterThan(0);
  });

  it('lie where they lay where what is frozen is computed once an image', async () => {
    const text = spec('validation = 25%\n  CACHE', 'resize(16, nearest), normalize(mean: 0, std: 1)', 3)
      .replace('batch = 8', 'batch = 2')
      .replace('tune base', 'tune base.last');
    const large = new Uint8Array(8 * 32 * 20).map((_, i) => (i * 7919) % 251);
    const datasets = datasetOfArrays({ name: 'd', data: large, shape: [8, 32, 20] }, { kind: 'points', points });
    const kept: unknown[] = [];
    const losses = async (cache: string) => {
      const found: number[] = [];
      const spec = { text: text.replace('CACHE', cache), path: 'd.peft' };
      const square = { ...spec, text: spec.text.replace('resize(16,', 'resize([16, 16],') };
      const options = { host: nodeHost(), datasets, kept: (features: unknown) => kept.push(features) };
      for await (const e of trainInMemory(square, options)) {
        if (e.kind === 'step') found.push(e.loss);
        if (e.kind === 'epoch') found.push(e.validation!.loss, e.validation!.mae!);
      }
      return found;
    };
    const without = await losses('cache = none');
    expect(kept).toEqual([]);
    expect(await losses('')).toEqual(without);
    expect(kept).toMatchObject([{ of: 'step' }, { of: 'loss' }]);
  });

  it('need a model that gives a density, and the reverse', async () => {
    const labelled = datasetOfArrays(
      { name: 'd', data: pixels, shape: [8, 16, 16] },
      { kind: 'class', labels: [0, 1, 0, 1, 0, 1, 0, 1] },
    );
    const flat = spec('').replace(
      '{density: density, count: sum(density, axis: [1, 2, 3])}',
      'sum(density, axis: [2, 3])',
    );
    const refused = async (text: string, datasets: typeof sets) => {
      const error = await run(text, datasets).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(EspalierError);
      const [first] = (error as EspalierError).diagnostics;
      return `${first!.code} ${first!.message}`;
    };
    expect(await refused(flat, sets)).toBe(
      'ESP1021 d has points to be counted, and the first result of the model is [b, 1], no density [b, 1, height, width]',
    );
    expect(await refused(spec(''), labelled)).toBe(
      'ESP1021 the first result of the model is a density [b, 1, 8, 8], and d has no points to be counted',
    );
    expect(await refused(spec('augment = [rand_augment]'), sets)).toMatch(/^ESP1020 `rand_augment` turns/);
    expect(await refused(spec('augment = [mixup]'), sets)).toMatch(/^ESP1020 `mixup` lays/);
    expect(await refused(spec('data = points("x", kernel: 4)'), sets)).toMatch(/^ESP1009 `density.kernel`/);
  });
});
