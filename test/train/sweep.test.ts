/** Sweeps: which runs there are, that each is run once whenever the sweep was ended, and what the table says of them. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  EspalierError,
  reportOf,
  type SweepEvent,
  type SweepOptions,
  type SweepResult,
  sweep,
  type TrainEvent,
} from '../../src/api/index.js';
import { jobsOf, type SweepRow, spreadOf } from '../../src/api/node/sweep.js';
import { vtabOf } from '../../src/api/report/vtab.js';
import { collectValues, sweepText } from '../../src/cli/commands/report.js';
import { VTAB } from '../../src/data/vtab.js';
import { cli, expectRefused, FASHION } from '../cli/support.js';
import { data, SPEC, spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-sweep-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const eventsIn = (path: string): TrainEvent[] =>
  readFileSync(join(path, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as TrainEvent);

async function swept(
  options: Partial<SweepOptions> & { readonly out: string },
  more = '',
  each: (event: SweepEvent) => void = () => {},
): Promise<SweepResult> {
  const datasets = { train: await data(48), test: await data(20, 9) };
  const runs = sweep(spec(more), { datasets, ...options });
  for (;;) {
    const { value, done } = await runs.next();
    if (done) return value;
    each(value);
  }
}

describe('the runs of a sweep', () => {
  it('are all combinations under all seeds, each in a folder that says which', () => {
    const jobs = jobsOf({ set: { rank: ['2', '4'], from: ['a/b,c'] }, seeds: 2 });
    expect(jobs.map((j) => j.name)).toEqual([
      'rank=2,from=a%2Fb%2Cc,seed=0',
      'rank=2,from=a%2Fb%2Cc,seed=1',
      'rank=4,from=a%2Fb%2Cc,seed=0',
      'rank=4,from=a%2Fb%2Cc,seed=1',
    ]);
    expect(jobs[3]).toMatchObject({ set: { rank: '4', from: 'a/b,c' }, seed: 1 });
    expect(jobsOf({})).toEqual([{ name: 'run', set: {} }]);
  });

  it('are read of `--set`, where commas within brackets are a value’s own', () => {
    expect(collectValues('rank=2, 4,2')).toEqual({ rank: ['2', '4'] });
    expect(collectValues('b=[1, 2],[3,4]', { rank: ['2'] })).toEqual({ rank: ['2'], b: ['[1, 2]', '[3,4]'] });
    for (const text of ['rank', '=2', 'rank=', 'rank=2,,4']) expect(() => collectValues(text)).toThrow(EspalierError);
  });

  it('spread as samples do', () => {
    expect(spreadOf([])).toBeUndefined();
    expect(spreadOf([3])).toEqual({ mean: 3 });
    expect(spreadOf([1, 2, 3, 4])).toEqual({ mean: 2.5, deviation: Math.sqrt(5 / 3) });
  });
});

describe('a sweep over VTAB’s tasks', () => {
  const TASKS = Object.values(VTAB).flatMap(Object.keys);
  const rowOf = (task: string, rank: string, accuracy: number, runs = 2): SweepRow => ({
    ...{ set: { task: `data/vtab-1k/${task}`, rank }, runs, of: 2, figure: 'accuracy' as const },
    test: { mean: accuracy },
  });
  const textOf = (rows: readonly SweepRow[]): string =>
    sweepText({ rows, vtab: vtabOf(rows), runs: [], failed: [], stopped: false });

  it('has both means, named, for each of the other options', () => {
    // 0.5 in the seven natural tasks, 0.7 in the four specialized, 0.2 in the eight structured.
    const accuracyOf = (task: string) => (task in VTAB.natural ? 0.5 : task in VTAB.specialized ? 0.7 : 0.2);
    const rows = TASKS.flatMap((task) => [rowOf(task, '2', accuracyOf(task)), rowOf(task, '4', 0.25)]);
    expect(textOf(rows).split('\n').slice(-2)).toEqual([
      'VTAB-1k, rank=2, test accuracy %: mean over 19 tasks 41.58, mean over 3 groups 46.67 (natural 50.00, specialized 70.00, structured 20.00)',
      'VTAB-1k, rank=4, test accuracy %: mean over 19 tasks 25.00, mean over 3 groups 25.00 (natural 25.00, specialized 25.00, structured 25.00)',
    ]);
  });

  it('has none as long as a task is missing, or a seed of it', () => {
    const rows = TASKS.filter((t) => t !== 'kitti').map((t) => rowOf(t, '2', 0.5, t === 'dtd' ? 1 : 2));
    expect(textOf(rows)).toMatch(
      /VTAB-1k, .*: no mean before all 19 tasks have a test accuracy: dtd, kitti have none$/,
    );
  });

  it('is one where all values are tasks', () => {
    expect(vtabOf([rowOf('cifar', '2', 0.5), rowOf('flowers', '2', 0.5)])).toEqual([]);
    expect(vtabOf([rowOf('cifar', '2', 0.5)])).toEqual([]);
    expect(vtabOf([])).toEqual([]);
  });
});

describe('a sweep', { timeout: 300_000 }, () => {
  it('runs each once, goes on where it was stopped, and compares them', async () => {
    const out = join(folder, 'ranks');
    const options = { out, set: { rank: ['1', '2'] }, seeds: 2 };
    const stop = new AbortController();
    const first = await swept({ ...options, signal: stop.signal }, '', ({ index, event }) => {
      if (index === 1 && event?.kind === 'step' && event.step === 7) stop.abort();
    });
    expect(first.stopped).toBe(true);
    expect(first.runs.map((r) => r.name)).toEqual(['rank=1,seed=0']);
    expect(first.rows.map((r) => [r.runs, r.of])).toEqual([
      [1, 2],
      [0, 2],
    ]);
    const before = statSync(join(out, 'rank=1,seed=0', 'metrics.jsonl')).mtimeMs;
    const kinds: string[] = [];
    const result = await swept(options, '', ({ kind, job }) => {
      if (kind !== 'train') kinds.push(`${kind} ${job.name}`);
    });
    expect(kinds).toEqual([
      'left rank=1,seed=0',
      'resumed rank=1,seed=1',
      'begun rank=2,seed=0',
      'begun rank=2,seed=1',
    ]);
    expect(statSync(join(out, 'rank=1,seed=0', 'metrics.jsonl')).mtimeMs).toBe(before);
    expect(result).toMatchObject({ stopped: false, failed: [] });

    // The figures are those of the runs' own files.
    for (const run of result.runs) {
      const events = eventsIn(join(out, run.name));
      const end = events.find((e) => e.kind === 'end')!;
      const selected = events.find((e) => e.kind === 'epoch' && e.epoch === end.epoch);
      expect(selected).toMatchObject({ validation: run.validation });
      expect(events.find((e) => e.kind === 'test')!.score).toEqual(run.test);
      const report = reportOf(join(out, run.name));
      expect(report.facts.settings.seed).toBe(run.seed);
      expect(report.facts.plan.trained).toBe(run.parameters);
      expect(report).toMatchObject({ state: 'epochs', steps: 18, test: run.test, selected: { epoch: end.epoch } });
    }
    const [one, two] = result.rows;
    const tests = result.runs.filter((r) => r.set.rank === '2').map((r) => r.test!.accuracy!);
    expect(two!.test!.mean).toBeCloseTo((tests[0]! + tests[1]!) / 2, 12);
    expect(two!.test!.deviation).toBeCloseTo(Math.abs(tests[0]! - tests[1]!) / Math.SQRT2, 12);
    // Two layers, 16 -> 48 and 16 -> 64, and one more row and column of each for one more rank.
    expect(two!.parameters! - one!.parameters!).toBe(16 + 48 + 16 + 64);
    const lines = sweepText(result).split('\n');
    expect(lines[0]).toMatch(/^rank +runs +validation accuracy % +test accuracy % +parameters +seconds$/);
    expect(lines[2]).toContain(`${(100 * two!.test!.mean).toFixed(2)} ± ${(100 * two!.test!.deviation!).toFixed(2)}`);
    // Seeds differ from the first step on; ranks do not, since one of the factors starts as zeros.
    const losses = result.runs.map((r) => (eventsIn(join(out, r.name))[0] as { loss: number }).loss);
    expect(new Set(losses).size).toBe(2);

    // What was run under another spec is not put into one table with this one.
    await expect(swept(options, 'clip = 1')).rejects.toMatchObject({ diagnostics: [{ code: 'ESP1106' }] });

    // A run that was killed between its end and its test has not ended.
    const last = join(out, 'rank=2,seed=1', 'metrics.jsonl');
    writeFileSync(last, readFileSync(last, 'utf8').replace(/.*"kind":"test".*\n/, ''));
    const again: string[] = [];
    const whole = await swept(options, '', ({ kind }) => again.push(kind));
    expect(again.slice(0, 4)).toEqual(['left', 'left', 'left', 'resumed']);
    expect(whole.rows.map((r) => r.test)).toEqual(result.rows.map((r) => r.test));
  });

  it('keeps a run whose loss was no number to itself', async () => {
    const { failed, runs, rows, stopped } = await swept(
      { out: join(folder, 'nan'), seeds: 2 },
      'groups = [group("*", lr: 1e30)]',
    );
    expect(failed.map((f) => [f.name, f.diagnostics[0]!.code])).toEqual([
      ['seed=0', 'ESP1103'],
      ['seed=1', 'ESP1103'],
    ]);
    expect([runs, stopped]).toEqual([[], false]);
    expect(sweepText({ failed, runs, rows, stopped, vtab: [] })).toContain('0 of 2');
  });

  it('is a command, which goes on and prints a table, or JSON', async () => {
    const path = join(folder, 'digits.peft');
    writeFileSync(
      path,
      SPEC.replace('image: 8, patch: 4, channels: 1', 'image: 28, patch: 14, channels: 3')
        .replace('classes: 2', 'classes: 10')
        .replace('epochs: 3', 'epochs: 1')
        .replace('MORE', `validation = 0.5\n  data = images("${FASHION}/images/digits")`),
    );
    const args = ['sweep', path, '-o', join(folder, 'digits'), '--set', 'rank=1,2'];
    const first = await cli(...args);
    expect(first.code, first.err).toBe(0);
    expect(first.err).toContain('2/2 rank=2: begins');
    const [heading, ...rows] = first.out.trim().split('\n');
    expect(heading).toMatch(/^rank +runs +validation accuracy % +test accuracy % +parameters +seconds$/);
    expect(rows.map((r) => r.trim().split(/ +/).slice(0, 2))).toEqual([
      ['1', '1'],
      ['2', '1'],
    ]);
    const again = await cli(...args, '--json');
    expect(again.err).toContain('1/2 rank=1: has ended before');
    const { runs } = JSON.parse(again.out) as SweepResult;
    expect(runs.map((r) => [r.name, r.validation!.samples, r.test])).toEqual([
      ['rank=1', 10, undefined],
      ['rank=2', 10, undefined],
    ]);
  });

  it('ends with what is wrong with all of them, and with the command line', async () => {
    await expect(swept({ out: join(folder, 'bad'), set: { ranks: ['2'] } })).rejects.toBeInstanceOf(EspalierError);
    const out = join(folder, 'cli');
    expectRefused(await cli('sweep', 'small.peft', '-o', out, '--set', 'rank'), 2, 'ESP0903');
    expectRefused(await cli('sweep', 'small.peft', '-o', out, '--seeds', '0'), 2, 'ESP0912');
  });
});
