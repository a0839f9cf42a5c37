/** A run with a search in it: first without a mask, then with what was found, to the bits of one that is killed and gone on with. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  compile,
  EspalierError,
  evaluateRun,
  MemoryRun,
  nodeHost,
  type TrainEvent,
  train,
  trainInMemory,
} from '../../src/api/index.js';
import type { Diagnostic } from '../../src/diagnostics/types.js';
import { data } from '../train/small.js';
import { spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-search-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fixed = spec({ prune: 'magnitude(scope: global, over: sum) by fixed(rate: 60%, after: 2)' });
const halved = (threshold: number) =>
  spec({
    prune: `magnitude(scope: global) by bisection(threshold: ${threshold}, to: 80%, tolerance: 0.15, after: 1, recover: 1, images: 16)`,
    epochs: 2,
  });
const datasets = async () => ({ train: await data(32), test: await data(16, 9) });

interface Options {
  readonly resume?: boolean;
  readonly stopAt?: (e: TrainEvent) => boolean;
  readonly by?: ReturnType<typeof spec>;
  readonly warn?: (d: Diagnostic) => void;
}

async function run(name: string, options: Options = {}) {
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of train(options.by ?? fixed, {
    out: join(folder, name),
    resume: options.resume ?? false,
    datasets: await datasets(),
    signal: stop.signal,
    ...(options.warn ? { warn: options.warn } : {}),
  })) {
    events.push(event);
    if (options.stopAt?.(event)) stop.abort();
  }
  return events;
}
const losses = (events: readonly TrainEvent[]) => events.flatMap((e) => (e.kind === 'step' ? [e.loss] : []));

describe('a run with a search', { timeout: 240_000 }, () => {
  it('trains what it found, and goes on from any place', async () => {
    const whole = await run('whole');
    const at = whole.findIndex((e) => e.kind === 'pruned');
    expect(whole.slice(0, at).filter((e) => e.kind === 'epoch')).toHaveLength(2);
    expect(whole.slice(at).filter((e) => e.kind === 'epoch')).toHaveLength(2);
    expect(whole[at]).toMatchObject({ rates: [0.6], candidates: 0 });
    const end = whole.at(-1);
    expect(end).toMatchObject({ kind: 'end', why: 'epochs' });
    expect(end?.kind === 'end' && end.epoch).toBeGreaterThanOrEqual(2);

    for (const [i, stopAt] of [
      (e: TrainEvent) => e.kind === 'step' && e.step === 5,
      (e: TrainEvent) => e.kind === 'pruned',
      (e: TrainEvent) => e.kind === 'step' && e.step === 11,
    ].entries()) {
      const first = await run(`part${i}`, { stopAt });
      const rest = await run(`part${i}`, { resume: true });
      const all = [...losses(first), ...losses(rest)];
      expect(all).toEqual(losses(whole));
      expect(rest.findLast((e) => e.kind === 'test')).toEqual(whole.findLast((e) => e.kind === 'test'));
    }

    const memory = new MemoryRun();
    for await (const _ of trainInMemory(fixed, { host: nodeHost(), datasets: await datasets(), run: memory }));
    expect(losses(memory.events)).toEqual(losses(whole));
    expect(memory.rates).toEqual([0.6]);

    // The run's own evaluation has the masks again, from the rates alone.
    const { score } = await evaluateRun(join(folder, 'whole'), { datasets: await datasets() });
    expect(score).toEqual(whole.find((e) => e.kind === 'test')!.score);
    const compiled = await compile(join(folder, 'whole'), { golden: false });
    const { zeros } = compiled.program.summary;
    const pruned = whole[at]!;
    expect(pruned.kind === 'pruned' && pruned.zeros).toBe(zeros!.zeros);
    expect(zeros).toMatchObject({ filled: 0 });
    await expect(compile(fixed, { golden: false })).rejects.toThrow(EspalierError);
    await expect(compile(fixed, { golden: false })).rejects.toThrow(/found by a search/);
  });

  it('tries candidates out from the same weights, and goes on after any of them', async () => {
    const by = halved(0.9);
    const whole = await run('halved', { by });
    const tried = whole.filter((e) => e.kind === 'candidate');
    expect(tried.map((e) => e.rates[0])).toEqual(bisected(tried));
    expect(tried.length).toBeGreaterThan(1);
    for (const e of tried) expect(e).toMatchObject({ steps: 2, images: 16, elements: 5632 });
    const found = whole.find((e) => e.kind === 'pruned')!;
    expect(found).toMatchObject({ candidates: tried.length, steps: 2 * tried.length, images: 16 * tried.length });
    // The search leaves the run as it was: before it, it is a run without one.
    const before = whole.slice(0, whole.indexOf(tried[0]!));
    expect(losses(before)).toHaveLength(4);
    const lines = readFileSync(join(folder, 'halved', 'search.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(lines.map((l) => JSON.parse(l).similarity)).toEqual(tried.map((e) => e.similarity));
    expect(readFileSync(join(folder, 'halved', 'search.svg'), 'utf8')).toContain('<svg');

    for (const stopAt of [
      (e: TrainEvent) => e.kind === 'candidate' && e.number === 1,
      (e: TrainEvent) => e.kind === 'candidate' && e.number === 2,
      (e: TrainEvent) => e.kind === 'pruned',
    ]) {
      const name = `halved-${Math.random()}`;
      const first = await run(name, { by, stopAt });
      const rest = await run(name, { by, resume: true });
      const both = [...first, ...rest].filter((e) => e.kind === 'candidate');
      expect(both.map((e) => [e.rates, e.similarity])).toEqual(tried.map((e) => [e.rates, e.similarity]));
      expect([...losses(first), ...losses(rest)]).toEqual(losses(whole));
    }
  });

  it('is one schedule; or two stages, each with all of it', async () => {
    const rates = (events: readonly TrainEvent[]) => events.flatMap((e) => (e.kind === 'step' ? [e.rates[0]] : []));
    const by = (more: string) =>
      run(`stages ${more}`, { by: spec({ prune: `magnitude(scope: global) by fixed(rate: 50%, after: 2${more})` }) });
    const [fresh, continued] = [await by(', optimizer: fresh'), await by('')];
    const cosine = (epochs: number): number[] =>
      Array.from({ length: 4 * epochs }, (_, i) => (1e-2 * (1 + Math.cos((Math.PI * Math.floor(i / 4)) / epochs))) / 2);
    const near = (list: readonly number[]) => list.map((x) => expect.closeTo(x, 12));
    expect(rates(fresh)).toEqual(near([...cosine(2), ...cosine(2)]));
    expect(rates(continued)).toEqual(near(cosine(4)));
    expect(losses(fresh).slice(0, 5)).toEqual(losses(continued).slice(0, 5));

    // Where the second stage begins the moments are those of the first, or none.
    const moments = async (more: string) => {
      const text = spec({ prune: `magnitude(scope: global) by fixed(rate: 50%, after: 1${more})`, epochs: 2 });
      const [memory, stop] = [new MemoryRun(), new AbortController()];
      const options = { host: nodeHost(), datasets: await datasets(), run: memory, signal: stop.signal };
      for await (const e of trainInMemory(text, options)) if (e.kind === 'pruned') break;
      const { place, state } = (await memory.last())!;
      expect(place.stage).toEqual({ epoch: 1, step: 4 });
      return [...state].filter(([name]) => /\.(m|v)$/.test(name)).flatMap(([, { data }]) => [...data]);
    };
    const [none, some] = [await moments(', optimizer: fresh'), await moments('')];
    expect(none.length).toBe(some.length);
    expect(none.every((x) => x === 0)).toBe(true);
    expect(some.some((x) => x !== 0)).toBe(true);
  });

  it('compares by what a site gives, if the spec says so', async () => {
    const by = (feature: string) =>
      spec({
        prune: `magnitude(scope: global) by grid(rates: [70%], after: 1, recover: 1, images: 16, feature: ${feature})`,
        epochs: 2,
      });
    const similarity = async (feature: string) => {
      const events = await run(`feature ${feature}`, { by: by(feature) });
      return events.find((e) => e.kind === 'candidate')!.similarity!;
    };
    const found = await Promise.all(['output', 'head', 'base.blocks[0]'].map(similarity));
    expect(found[1]).toBe(found[0]);
    expect(found[2]).not.toBe(found[0]);
    expect(found[2]).toBeGreaterThan(0);
    expect(found[2]).toBeLessThan(1);
  });

  it('keeps the model unpruned where no candidate is good enough, and says so', async () => {
    const warnings: Diagnostic[] = [];
    const events = await run('none', { by: halved(1), warn: (d) => warnings.push(d) });
    expect(events.find((e) => e.kind === 'pruned')).toMatchObject({ rates: [], zeros: 0 });
    expect(warnings.map((d) => d.code)).toContain('ESP1121');
    const { program } = await compile(join(folder, 'none'), { golden: false });
    expect(program.summary.zeros).toMatchObject({ zeros: 0, before: 0 });
  });
});

/** The rates that bisection tries, by what became of them. */
function bisected(tried: readonly Extract<TrainEvent, { kind: 'candidate' }>[]): number[] {
  let [good, bad] = [0, 0.8];
  return tried.map((e, i) => {
    const rate = i === 0 ? 0.8 : (good + bad) / 2;
    if (e.similarity! >= 0.9) good = rate;
    else bad = rate;
    return rate;
  });
}
