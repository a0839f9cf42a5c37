/** A run with a search in it: first without a mask, then with what was found, to the bits of one that is killed and gone on with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  compile,
  EspalierError,
  MemoryRun,
  nodeHost,
  type TrainEvent,
  train,
  trainInMemory,
} from '../../src/api/index.js';
import { data } from '../train/small.js';
import { spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-search-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fixed = spec({ prune: 'magnitude(scope: global, over: sum) by fixed(rate: 60%, after: 2)' });
const datasets = async () => ({ train: await data(32), test: await data(16, 9) });

async function run(name: string, options: { resume?: boolean; stopAt?: (e: TrainEvent) => boolean } = {}) {
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of train(fixed, {
    out: join(folder, name),
    resume: options.resume ?? false,
    datasets: await datasets(),
    signal: stop.signal,
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

    const compiled = await compile(join(folder, 'whole'), { golden: false });
    const { zeros } = compiled.program.summary;
    const pruned = whole[at]!;
    expect(pruned.kind === 'pruned' && pruned.zeros).toBe(zeros!.zeros);
    expect(zeros).toMatchObject({ filled: 0 });
    await expect(compile(fixed, { golden: false })).rejects.toThrow(EspalierError);
    await expect(compile(fixed, { golden: false })).rejects.toThrow(/found by a search/);
  });
});
