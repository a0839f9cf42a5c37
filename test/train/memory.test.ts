/** Training in memory is training in a folder: the same losses, the same weights; and steps of a loop of one's own are the run's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  EspalierError,
  MemoryRun,
  makeLoader,
  nodeHost,
  openTrainer,
  type TrainEvent,
  trainInMemory,
  withValidation,
} from '../../src/api/index.js';
import { trainedOf } from '../../src/api/node/run-folder.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { data, run, spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-memory-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const losses = (events: readonly TrainEvent[]) => events.flatMap((e) => (e.kind === 'step' ? [e.loss] : []));
const validations = (events: readonly TrainEvent[]) =>
  events.flatMap((e) => (e.kind === 'epoch' ? [e.validation] : []));
const datasets = async () => ({ train: await data(48), test: await data(20, 9) });

async function trained(kept: MemoryRun, stopAfter?: number): Promise<TrainEvent[]> {
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  for await (const event of trainInMemory(spec(), {
    host: nodeHost(),
    datasets: await datasets(),
    run: kept,
    signal: stop.signal,
  })) {
    events.push(event);
    if (event.kind === 'step' && event.step + 1 === stopAfter) stop.abort();
  }
  return events;
}

describe('training in memory', { timeout: 240_000 }, () => {
  it('has the bits of a run in a folder, stopped and gone on with or not', async () => {
    const events = await run(join(folder, 'run'));
    const whole = new MemoryRun();
    const here = await trained(whole);
    expect(losses(here)).toEqual(losses(events));
    expect(validations(here)).toEqual(validations(events));
    expect(here.find((e) => e.kind === 'test')).toEqual(events.find((e) => e.kind === 'test'));
    expect(whole.tested).toMatchObject({ split: 'test' });
    expect(whole.tested!.predictions).toHaveLength(20);

    const parts = new MemoryRun();
    expect(parts.hasResult).toBe(false);
    expect(() => parts.adapter()).toThrow('no epoch of it has ended');
    expect((await trained(parts, 8)).at(-1)).toMatchObject({ kind: 'end', why: 'stopped' });
    expect(parts.steps).toBe(8);
    await trained(parts);
    expect(losses(parts.events)).toEqual(losses(events));

    const weights = await trainedOf(join(folder, 'run'));
    for (const kept of [whole, parts]) {
      const store = await openSafetensors(memorySource('adapter', kept.adapter()));
      expect(JSON.parse(store.metadata.labels!)).toEqual(['top', 'bottom']);
      expect([...store.tensors.keys()]).toEqual([...weights.keys()]);
      for (const [name, entry] of store.tensors) expect((await entry.read()).data).toEqual(weights.get(name)!.data);
    }
  });

  it('takes a step in one submission, however many parts its program has', async () => {
    let submitted = 0;
    const host = nodeHost();
    const counted = {
      ...host,
      async openGpu() {
        const gpu = await host.openGpu!();
        const { adapter } = gpu;
        const request = adapter.requestDevice.bind(adapter);
        adapter.requestDevice = async (descriptor) => {
          const device = await request(descriptor);
          const submit = device.queue.submit.bind(device.queue);
          device.queue.submit = (buffers) => {
            submitted++;
            submit(buffers);
          };
          return device;
        };
        return gpu;
      },
    };
    const trainer = await openTrainer(spec('clip = 1'), { host: counted });
    const loader = makeLoader(await data(48), trainer.loader);
    const each: number[] = [];
    for await (const batch of loader.batches({ epoch: 0, batch: 0 }, 1)) {
      const before = submitted;
      await trainer.step(trainer.tensors(batch), { epoch: 0, step: each.length, steps: loader.perEpoch });
      each.push(submitted - before);
    }
    expect(trainer.session.program.entries.find((e) => e.name === 'step')!.dispatches.length).toBeGreaterThan(20);
    trainer.dispose();
    await loader.close();
    // The first one compares the kernels' variants beforehand, if there is a choice; what it takes itself is one as well.
    expect(each.slice(1)).toEqual([1, 1, 1, 1, 1]);
  });

  it('does not go on with another run', async () => {
    const kept = new MemoryRun();
    await trained(kept, 2);
    const other = trainInMemory(spec(), { host: nodeHost(), datasets: { train: await data(48, 2) }, run: kept });
    const error = await other.next().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EspalierError);
    expect(String(error)).toContain('ESP1106');
    expect(String(error)).toContain('the data changed');
  });

  it('is a loop of steps that anybody can write', async () => {
    const kept = new MemoryRun();
    await trained(kept);
    const trainer = await openTrainer(spec());
    const { train } = withValidation(
      { train: await data(48) },
      trainer.settings.validation,
      trainer.settings.splitSeed,
    );
    const loader = makeLoader(train, trainer.loader);
    const steps = loader.perEpoch * trainer.settings.epochs;
    const found: number[] = [];
    for await (const batch of loader.batches({ epoch: 0, batch: 0 }, trainer.settings.epochs)) {
      const place = { epoch: batch.epoch, step: found.length, steps };
      found.push((await trainer.step(trainer.tensors(batch), place)).loss);
    }
    trainer.dispose();
    await loader.close();
    expect(found).toEqual(losses(kept.events));
  });
});
