/** Reports of runs: what the page says is what the files say, of runs that ended, run or were killed; it loads nothing and escapes what it shows. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { reportOf, type TrainEvent, writeReport } from '../../src/api/index.js';
import { lockName } from '../../src/api/node/lock.js';
import { MOST_POINTS } from '../../src/api/report/figures.js';
import { launchChromium } from '../browser.js';
import { cli, expectRefused } from '../cli/support.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const EVIL = `</script><img src=x onerror="globalThis.hurt=1">&'`;
const facts = {
  format: 'espalier.run',
  version: 1,
  compiler: '0.1.0',
  spec: join(folder, 'flowers.peft'),
  model: 'Flowers',
  set: { rank: '4' },
  settings: { batch: 8, seed: 3, epochs: 2, groups: [{ optimizer: 'adamw', lr: 0.01, parameters: 6 }] },
  hashes: { spec: 'aaaa', weights: 'bbbb', data: 'cccc' },
  pins: { program: 'dddd', device: 'a GPU', variants: 'eeee' },
  plan: {
    trained: 322,
    total: 4002,
    frozenBytes: 2048,
    stateBytes: 1024,
    stepBytes: 4096,
    sampleBytes: 512,
    keptBytes: 256,
    again: 1,
    segments: 4,
    full: { keptBytes: 2048, stateBytes: 65536 },
    part: 8,
    dispatches: 50,
    flops: { step: 3e6, loss: 1e6 },
  },
  data: { kind: 'class', classes: ['rose', EVIL], train: 24, validation: 4, test: 5, split: true },
};
const epoch = (n: number, best: boolean, accuracy: number): TrainEvent => ({
  kind: 'epoch',
  epoch: n,
  steps: 3 * (n + 1),
  train: { loss: 0.5 / (n + 1), accuracy: 0.25 + n / 4, samples: 24 },
  validation: { loss: 0.6 / (n + 1), accuracy, samples: 4 },
  best,
  rate: 12,
  waited: 0.25,
  seconds: 3 * (n + 1),
});
const step = (n: number, per = 3): TrainEvent => ({
  kind: 'step',
  step: n,
  epoch: Math.floor(n / per),
  loss: 1 / (n + 1),
  rates: [0.01 * (n + 1)],
  samples: 8,
  seconds: n + 1,
});
const first: TrainEvent[] = [step(0), step(1), step(2), epoch(0, true, 0.75)];
const whole: TrainEvent[] = [
  ...first,
  ...[3, 4, 5].map((n) => step(n)),
  epoch(1, false, 0.5),
  { kind: 'end', why: 'epochs', epoch: 0, selected: 'validation accuracy' },
  { kind: 'test', score: { loss: 0.4, accuracy: 0.6, samples: 5 } },
];
const predictions = [
  { item: 'a.png', actual: 'rose', predicted: 'rose' },
  { item: 'b.png', actual: 'rose', predicted: 'rose' },
  { item: `${EVIL}.png`, actual: 'rose', predicted: EVIL },
  { item: 'd.png', actual: EVIL, predicted: 'rose' },
  { item: 'e.png', actual: EVIL, predicted: EVIL },
];

function runFolder(name: string, events: readonly TrainEvent[], more: Record<string, unknown> = {}): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, 'run.json'), JSON.stringify({ ...facts, ...more }));
  writeFileSync(join(path, 'metrics.jsonl'), events.map((e) => `${JSON.stringify(e)}\n`).join(''));
  return path;
}

function endedFolder(name: string, more: Record<string, unknown> = {}): string {
  const path = runFolder(name, whole, more);
  writeFileSync(join(path, 'predictions.json'), JSON.stringify({ split: 'test', predictions }));
  return path;
}

/** Settings of a run on two classes of pictures, of which `test/a/one.png` is a mistake that can be shown. */
function pictures(): Record<string, unknown> {
  const digits = fileURLToPath(new URL('../../examples/fashion/images/digits/', import.meta.url));
  const all = readdirSync(digits, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.png'));
  for (const [i, place] of ['train/a', 'train/b', 'test/a', 'test/b'].entries()) {
    mkdirSync(join(folder, 'pictures', place), { recursive: true });
    cpSync(join(digits, all[i]!), join(folder, 'pictures', place, 'one.png'));
  }
  return { ...facts.settings, data: { images: { path: './pictures' } } };
}

describe('figures', () => {
  it('are those of the files', () => {
    const report = reportOf(endedFolder('ended'));
    expect(report).toMatchObject({
      state: 'epochs',
      steps: 6,
      seconds: 6,
      test: { accuracy: 0.6 },
      selected: { epoch: 0, by: 'validation accuracy', validation: { accuracy: 0.75 } },
    });
    const [loss, accuracy, rate] = report.charts;
    expect(report.charts.map((c) => c.title)).toEqual(['Loss', 'Accuracy', 'Learning rate']);
    expect(loss!.x).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(loss!.series.map((s) => s.values)).toEqual([
      [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, null],
      [null, null, null, 0.5, null, null, 0.25],
      [null, null, null, 0.6, null, null, 0.3],
    ]);
    expect(accuracy!.x).toEqual([3, 6]);
    expect(accuracy!.series.map((s) => s.values)).toEqual([
      [0.25, 0.5],
      [0.75, 0.5],
    ]);
    expect(rate!.series[0]!.values).toEqual([1, 2, 3, 4, 5, 6].map((n) => 0.01 * n));
    expect(report.evaluation).toMatchObject({
      split: 'test',
      accuracy: 0.6,
      confusion: [
        [2, 1],
        [1, 1],
      ],
    });
    expect(report.evaluation!.wrong.map((p) => p.item)).toEqual([`${EVIL}.png`, 'd.png']);
  });

  it('of a run that is under way, that was killed at any moment, and that nothing was written of', () => {
    const path = runFolder('killed', [...first, step(3)]);
    // The line that was being written when its process ended.
    writeFileSync(join(path, 'metrics.jsonl'), `${readFileSync(join(path, 'metrics.jsonl'), 'utf8')}{"kind":"st`);
    expect(reportOf(path)).toMatchObject({
      state: 'broken off',
      steps: 4,
      selected: { epoch: 0, by: 'validation accuracy' },
    });
    writeFileSync(join(path, lockName()), '');
    expect(reportOf(path).state).toBe('under way');
    rmSync(join(path, lockName()));
    writeFileSync(join(path, lockName(999999999)), '');
    expect(reportOf(path).state).toBe('broken off');
    // Without its last lines it has not ended, and the best epoch so far is not the last.
    expect(reportOf(runFolder('unended', whole.slice(0, -2)))).toMatchObject({
      state: 'broken off',
      selected: { epoch: 0 },
    });
    const empty = reportOf(runFolder('empty', []));
    expect(empty).toMatchObject({ state: 'broken off', steps: 0, seconds: 0, charts: [] });
    expect(empty.selected).toBeUndefined();
  });

  it('adds up the time of all processes that worked on it', () => {
    const again = { ...step(3), seconds: 0.5 } as TrainEvent;
    expect(reportOf(runFolder('twice', [...first, again, { ...step(4), seconds: 2 } as TrainEvent])).seconds).toBe(
      3 + 2,
    );
  });

  it('thins long curves to means, whose mean is that of all', () => {
    const n = 5 * MOST_POINTS + 3;
    const report = reportOf(
      runFolder(
        'long',
        Array.from({ length: n }, (_, i) => step(i, n)),
      ),
    );
    const { x, series, note } = report.charts.find((c) => c.title === 'Learning rate')!;
    expect(x.length).toBeLessThanOrEqual(MOST_POINTS);
    expect(note).toContain('6 steps');
    expect(series[0]!.values[0]).toBeCloseTo(0.01 * 3.5, 9);
    expect(series[0]!.values[1]).toBeCloseTo(0.01 * 9.5, 9);
  });

  it('refuses what is no run, or is damaged', async () => {
    expectRefused(await cli('report', folder), 1, 'ESP1104');
    const path = runFolder('damaged', first);
    writeFileSync(join(path, 'metrics.jsonl'), 'nonsense\n');
    const ended = await cli('report', path);
    expectRefused(ended, 1, 'ESP1104');
    expect(ended.err).toContain('line 1 of its metrics.jsonl');
    const half = runFolder('half', whole);
    writeFileSync(join(half, 'predictions.json'), '{');
    expectRefused(await cli('report', half), 1, 'ESP1104');
  });
});

describe('the page', { timeout: 120_000 }, () => {
  it('holds the figures, draws them, shows mistakes, loads nothing, and takes no text for HTML', async () => {
    const settings = pictures();
    const run = endedFolder('page', {
      settings,
      data: { ...facts.data, classes: ['a', 'b', EVIL] },
    });
    const wrong = [
      { item: 'test/a/one.png', actual: 'a', predicted: 'b' },
      { item: `${EVIL}.png`, actual: 'b', predicted: EVIL },
      { item: 'test/b/one.png', actual: 'b', predicted: 'b' },
    ];
    writeFileSync(join(run, 'predictions.json'), JSON.stringify({ split: 'test', predictions: wrong }));
    const { path, report } = await writeReport(run);
    expect(readFileSync(path, 'utf8')).not.toContain('cannot be read any more');
    expect(path).toBe(join(run, 'report.html'));
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      const requests: string[] = [];
      page.on('pageerror', (e) => errors.push(e.message));
      page.on('console', (m) => errors.push(m.text()));
      page.on('request', (r) => requests.push(r.url()));
      await page.goto(`file://${path}`);
      const seen = await page.evaluate(() => ({
        data: JSON.parse(document.getElementById('data')!.textContent!),
        drawn: document.querySelectorAll('.uplot canvas').length,
        // A canvas on which something was drawn has more than one color.
        coloured: [...document.querySelectorAll('canvas')].map((c) => {
          const { data } = c.getContext('2d')!.getImageData(0, 0, c.width, c.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }),
        text: document.body.innerText,
        images: document.images.length,
        hurt: 'hurt' in globalThis,
        confusion: [...document.querySelectorAll('table.confusion tbody tr')].map((row) =>
          [...row.querySelectorAll('td')].map((c) => Number(c.textContent)),
        ),
      }));
      expect(errors).toEqual([]);
      expect(requests).toEqual([`file://${path}`]);
      expect(seen.data.charts).toEqual(JSON.parse(JSON.stringify(report.charts)));
      expect(seen.drawn).toBe(3);
      expect(seen.data.pictures).toHaveLength(1);
      expect(seen.coloured).toHaveLength(4);
      expect(Math.min(...seen.coloured)).toBeGreaterThan(4);
      expect(seen.confusion).toEqual([
        [0, 1, 0],
        [0, 1, 1],
        [0, 0, 0],
      ]);
      expect([seen.images, seen.hurt]).toEqual([0, false]);
      for (const text of [
        'Flowers',
        '60.00%',
        '75.00%',
        '322 of 4,002',
        'waiting for data 25.00% of the time',
        'taken out of the training data',
        'epoch 1 of 2, by validation accuracy',
        'cccc',
        'a GPU',
        EVIL,
      ])
        expect(seen.text).toContain(text);
    } finally {
      await browser.close();
    }
  });

  it('says why there are no pictures, and what there is before an epoch has ended', async () => {
    const { path } = await writeReport(endedFolder('bare'), join(folder, 'elsewhere.html'));
    expect(path).toBe(join(folder, 'elsewhere.html'));
    expect(readFileSync(path, 'utf8')).toContain('given in code');
    const gone = endedFolder('gone', { settings: { ...facts.settings, data: { images: { path: './gone' } } } });
    expect(readFileSync((await writeReport(gone)).path, 'utf8')).toContain('cannot be read any more');
    const begun = await writeReport(runFolder('begun', [step(0)]));
    expect(readFileSync(begun.path, 'utf8')).toContain('No epoch has ended yet');
    const { code, out } = await cli('report', join(folder, 'bare'), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ path: join(folder, 'bare', 'report.html'), test: { accuracy: 0.6 } });
  });
});
