/** `eval RUN`, and the names of classes from the data to the program that was compiled of a run. On whatever GPU driver there is. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, evaluateRun, type TrainEvent, train, writeReport } from '../../src/api/index.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { openFile } from '../../src/formats/node/files.js';
import { encodeSafetensors, type StoredTensor } from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { cli, expectRefused } from '../cli/support.js';
import { writeSpec } from '../kills/kills.js';
import { spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('eval of a run', { timeout: 300_000 }, () => {
  const [out, blind] = [join(folder, 'run'), join(folder, 'blind')];
  const path = writeSpec(folder);
  beforeAll(async () => {
    expect(await cli('train', path, '-o', out)).toMatchObject({ code: 0 });
  }, 300_000);

  it('gives the bits that the test at the end of the run gave, and says that it is the test split', async () => {
    const events = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const test = events.map((l) => JSON.parse(l) as TrainEvent).find((e) => e.kind === 'test')!;
    const { code, out: text } = await cli('eval', out);
    expect(code).toBe(0);
    expect(text).toContain('the test split, 40 items: nothing was selected on it');
    expect(text).toMatch(/class +images +precision +recall\nupper +20 .*\nlower +20 /);
    const { split, score, evaluation } = await evaluateRun(out);
    expect({ split, score }).toEqual({ split: 'test', score: test.score });
    expect(evaluation).toMatchObject({ images: 40, accuracy: test.score.accuracy });
    expect(evaluation!.classes.map((c) => [c.label, c.support])).toEqual([
      ['upper', 20],
      ['lower', 20],
    ]);
  });

  it('of other data says that nobody knows whether it was trained on them', async () => {
    const { code, out: text } = await cli('eval', out, join(folder, 'halves.safetensors'), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({
      split: 'test',
      data: join(folder, 'halves.safetensors'),
      score: { samples: 40 },
    });
    expectRefused(await cli('eval', out, join(folder, 'nowhere')), 1, 'ESP0501');
  });

  it('says of the validation split what was done with it, and refuses where nothing was held out', async () => {
    // The same weights, of a run on data without a test split.
    const facts = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
    const text = readFileSync(path, 'utf8').replace('./halves.safetensors', './train.safetensors');
    await withoutTest();
    writeRun(blind, facts, text);
    const { code, out: said } = await cli('eval', blind, '--min', '1');
    expect(said).toContain(
      'the validation split, 20 items: epochs were selected on it, so the figures are a little too good',
    );
    const accuracy = Number(/accuracy ([\d.]+)%/.exec(said)![1]);
    expect(code).toBe(accuracy < 100 ? 4 : 0);
    writeRun(blind, facts, text.replace('batch = 8', 'batch = 8\n  validation = 0'));
    expectRefused(await cli('eval', blind), 1, 'ESP1114');
  });

  it('takes the names of the classes into what is compiled of it', async () => {
    expect((await compile(out)).program.labels).toEqual(['upper', 'lower']);
  });

  it('needs a folder of images for a compiled program', async () => {
    expectRefused(await cli('eval', folder), 2, 'ESP0922');
  });
});

describe('data with several labels an item', { timeout: 300_000 }, () => {
  /** Bright in the upper half, in the left half, in both or in neither. */
  function patches(count: number, from: number) {
    const pixels = new Uint8Array(count * 64);
    const labels = Array.from({ length: count }, (_, i) =>
      (i + from) % 4 === 3 ? [] : (i + from) % 4 === 2 ? ['upper', 'left'] : [['upper', 'left'][(i + from) % 4]!],
    );
    for (let i = 0; i < count; i++)
      for (let p = 0; p < 64; p++) {
        const bright = (p < 32 && labels[i]!.includes('upper')) || (p % 8 < 4 && labels[i]!.includes('left'));
        pixels[i * 64 + p] = (bright ? 180 : 20) + ((i * 37 + p * 11) % 40);
      }
    const classes = ['upper', 'left', 'never'];
    return datasetOfArrays(
      { name: 'patches', data: pixels, shape: [count, 1, 8, 8] },
      { kind: 'classes', labels },
      { classes },
    ).train;
  }

  it('are scored by mean average precision and exact matches, which select and are reported', async () => {
    const out = join(folder, 'several');
    const text = spec('loss = binary_cross_entropy()')
      .text.replace('classes: 2', 'classes: 3')
      .replace('augment = [flip(50%)]', '')
      .replace('epochs: 3', 'epochs: 24');
    const datasets = { train: patches(64, 0), val: patches(20, 1), test: patches(20, 2) };
    const events: TrainEvent[] = [];
    for await (const event of train({ text, path: 'several.peft' }, { out, datasets })) events.push(event);
    const end = events.at(-1);
    expect(end).toMatchObject({ kind: 'end', selected: 'validation mean average precision' });
    const { score } = events.find((e) => e.kind === 'test')!;
    // It is easily learnt; chance is 1/2 and 1/4, and the class that nothing is of counts as none.
    expect(score.map).toBeGreaterThan(0.85);
    expect(score.accuracy).toBeGreaterThan(0.5);
    const epochs = events.filter((e) => e.kind === 'epoch');
    expect(epochs.at(-1)!.train.loss).toBeLessThan(epochs[0]!.train.loss);
    const maps = epochs.map((e) => e.validation!.map!);
    expect(end).toMatchObject({ epoch: epochs.filter((e) => e.best).at(-1)!.epoch });
    expect(maps[epochs.filter((e) => e.best).at(-1)!.epoch]).toBe(Math.max(...maps));
    const found = await evaluateRun(out, { datasets });
    expect(found).toMatchObject({ split: 'test', score });
    expect(found.classes!.map((c) => [c.label, c.support])).toEqual([
      ['upper', 10],
      ['left', 10],
      ['never', 0],
    ]);
    expect((found.classes![0]!.averagePrecision + found.classes![1]!.averagePrecision) / 2).toBeCloseTo(score.map!);
    const { report, path } = await writeReport(out);
    expect(report.charts.map((c) => c.title)).toContain('Mean average precision');
    expect(readFileSync(path, 'utf8')).toContain('test mean average precision');
  });
});

function writeRun(path: string, facts: object, text: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'run.json'), JSON.stringify(facts));
  writeFileSync(join(path, 'spec.peft'), text);
  cpSync(join(folder, 'run/adapter.safetensors'), join(path, 'adapter.safetensors'));
}

/** The training part of the data in a file of its own. */
async function withoutTest(): Promise<void> {
  const store = await openSafetensors(await openFile(join(folder, 'halves.safetensors')));
  const tensors = new Map<string, StoredTensor>();
  for (const name of ['images', 'labels']) {
    const entry = store.tensors.get(`train.${name}`)!;
    tensors.set(name, { dtype: 'U8', shape: entry.shape, data: await entry.bytes!() });
  }
  writeFileSync(join(folder, 'train.safetensors'), encodeSafetensors(tensors, store.metadata));
}
