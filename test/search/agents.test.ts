/** Agents in a run: their networks learn on the GPU, and a run that is ended goes on with the same weights. */
import { describe, expect, it } from 'vitest';
import { MemoryRun, nodeHost, type TrainEvent, trainInMemory } from '../../src/api/index.js';
import { data } from '../train/small.js';
import { spec } from './small.js';

const TRYING = 'after: 1, recover: 1, images: 8';

async function run(by: string, kept: MemoryRun, stopAfter?: number): Promise<TrainEvent[]> {
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  const options = {
    host: nodeHost(),
    datasets: { train: await data(16), test: await data(8, 9) },
    run: kept,
    signal: stop.signal,
  };
  const text = spec({ prune: `magnitude(scope: global) by ${by}`, epochs: 2 });
  for await (const event of trainInMemory(text, options)) {
    events.push(event);
    if (event.kind === 'candidate' && event.number === stopAfter) stop.abort();
  }
  return events;
}

const tried = (events: readonly TrainEvent[]) =>
  events.flatMap((e) => (e.kind === 'candidate' ? [[e.rates, e.similarity, e.reward, e.values]] : []));

describe.each([
  [
    'recoverability',
    `recoverability(from: 20%, to: 60%, step: 20%, explore: 4, choose: 3, fit: 2, batch: 2, refresh: 2, ${TRYING})`,
  ],
  ['amc', `amc(rate: 50%, episodes: 4, warmup: 2, batch: 4, updates: 2, ${TRYING})`],
])('%s', (_, by) => {
  it('finds rates, and goes on to the same bits', { timeout: 300_000 }, async () => {
    const whole = new MemoryRun();
    const events = await run(by, whole);
    const found = events.find((e) => e.kind === 'pruned')!;
    const candidates = events.filter((e) => e.kind === 'candidate');
    expect(candidates.length).toBeGreaterThan(3);
    expect(candidates.every((e) => Number.isFinite(e.similarity))).toBe(true);
    expect(found.zeros).toBeGreaterThanOrEqual(found.rates.length > 0 ? 1 : 0);

    const parts = new MemoryRun();
    const first = await run(by, parts, 3);
    expect(first.at(-1)).toMatchObject({ kind: 'end', why: 'stopped' });
    const rest = await run(by, parts);
    expect([...tried(first), ...tried(rest)]).toEqual(tried(events));
    expect(parts.rates).toEqual(whole.rates);
    expect([...(await parts.trained())]).toEqual([...(await whole.trained())]);
  });
});
