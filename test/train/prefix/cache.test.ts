/** What is frozen is computed once an image: the same bits as when it is computed each time, in memory and in files; and when it is not done. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type KeptFeatures, nodeHost, type RunFacts, type TrainEvent, train } from '../../../src/api/index.js';
import { MemoryRun, trainInMemory } from '../../../src/api/train/memory.js';
import type { Prefixes } from '../../../src/api/train/prefix.js';
import type { Dataset, Datasets, SkippedItem } from '../../../src/data/types.js';
import { diagnostic } from '../../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { data } from '../small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-prefix-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PROBE = 'tune head';
const LORA = 'adapt base.blocks[2].attn.qkv with lora(rank: 2)\n tune head';

const spec = (tuned: string, more: string) => ({
  path: join(folder, 'small.peft'),
  text: `use std
model Small {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 16, depth: 3, heads: 2)
  head = classify(base, classes: 2)
  ${tuned}
}
train Small {
  optimizer = adamw(lr: 1e-2)
  schedule = cosine(epochs: 3)
  batch = 8
  seed = 3
  ${more}
}`,
});

interface Ran {
  readonly events: readonly TrainEvent[];
  readonly kept: readonly KeptFeatures[];
  readonly skipped: readonly SkippedItem[];
  readonly prefixes: Prefixes;
  readonly out: string;
  /** All states at the end. */
  readonly weights: Buffer;
}

let runs = 0;
const fresh = (): string => join(folder, `run-${runs++}`);

interface Options {
  readonly out?: string;
  readonly resume?: boolean;
  readonly stopAfter?: number;
  readonly datasets?: Datasets;
}

async function run(tuned: string, more: string, options: Options = {}): Promise<Ran> {
  const { out = fresh(), resume = false, stopAfter } = options;
  const datasets = options.datasets ?? { train: await data(44), test: await data(12, 9) };
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  const kept: KeptFeatures[] = [];
  const skipped: SkippedItem[] = [];
  let facts: RunFacts | undefined;
  for await (const e of train(spec(tuned, more), {
    out,
    resume,
    datasets,
    signal: stop.signal,
    kept: (k) => kept.push(k),
    skipped: (item) => skipped.push(item),
    began: (f) => {
      facts = f;
    },
  })) {
    events.push({ ...e, seconds: 0, rate: 0, waited: 0 } as TrainEvent);
    if (e.kind === 'step' && e.step + 1 === stopAfter) stop.abort();
  }
  const prefixes = facts!.plan.prefixes as Prefixes;
  return { events, kept, skipped, prefixes, out, weights: states(out) };
}

/** What the last checkpoint holds, behind its header. */
function states(out: string): Buffer {
  const names = readdirSync(out).filter((n) => n.startsWith('checkpoint'));
  const bytes = readFileSync(join(out, names.sort().at(-1)!));
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
}

const featuresIn = (path: string): string[] => readdirSync(path).filter((n) => n.includes('features'));

function expectSame(cached: Ran, without: Ran): void {
  expect(cached.weights.equals(without.weights)).toBe(true);
  expect(cached.events).toEqual(without.events);
}

describe('the prefix cache', { timeout: 600_000 }, () => {
  it('a linear probe: the same weights, losses and scores to the bit, from memory, from files, and gone on with', async () => {
    const without = await run(PROBE, 'cache = none');
    expect(without.kept).toEqual([]);
    expect(without.prefixes).toEqual({});

    const memory = await run(PROBE, '');
    expectSame(memory, without);
    expect(memory.kept).toMatchObject([
      { of: 'step', images: 40, bytes: 40 * 16 * 4 },
      { of: 'loss', images: 4, bytes: 4 * 16 * 4 },
    ]);
    expect(memory.kept.every((k) => k.path === undefined && k.seconds! > 0)).toBe(true);
    const { step, loss } = memory.prefixes;
    // The class token of the last norm.
    expect(step!.bytes).toBe(16 * 4);
    expect(step!.flops.left).toBeLessThan(step!.flops.whole * 0.1);
    expect(loss!.flops.left).toBeLessThan(loss!.flops.whole * 0.1);
    expect(step!.blocks).toEqual({ path: 'base.blocks', cut: 3, all: 3 });

    // Stopped in the second epoch, with files of its own: they are there to go on with, and gone at the end.
    const out = fresh();
    const begun = await run(PROBE, 'cache = auto(memory: 0)', { out, stopAfter: 7 });
    expect(begun.kept.map((k) => k.path!.startsWith(out))).toEqual([true, true]);
    expect(featuresIn(out)).toHaveLength(2);
    const file = await run(PROBE, 'cache = auto(memory: 0)', { out, resume: true });
    expect(file.kept.map((k) => k.seconds)).toEqual([undefined, undefined]);
    expect(file.weights.equals(without.weights)).toBe(true);
    expect([...begun.events.slice(0, -1), ...file.events]).toEqual(without.events);
    expect(featuresIn(out)).toEqual([]);
  });

  it('LoRA in the last block, a batch in parts: the same bits, and files that runs share', async () => {
    const more = 'accumulate = 2\n clip = 1';
    const without = await run(LORA, `cache = none\n ${more}`);
    const shared = join(folder, 'shared');
    const first = await run(LORA, `cache = auto(memory: 0, folder: "./shared")\n ${more}`);
    expectSame(first, without);
    expect(first.prefixes.step!.blocks).toEqual({ path: 'base.blocks', cut: 2, all: 3 });
    expect(first.kept.every((k) => k.path!.startsWith(shared) && k.seconds! > 0)).toBe(true);
    expect(featuresIn(first.out)).toEqual([]);
    expect(featuresIn(shared)).toHaveLength(2);
    const second = await run(LORA, `cache = auto(memory: 0, folder: "./shared")\n ${more}`);
    expect(second.kept.map((k) => k.seconds)).toEqual([undefined, undefined]);
    expectSame(second, without);
    // Of other data they are other files; what was damaged is made again.
    const names = featuresIn(shared);
    for (const name of names) {
      const bytes = readFileSync(join(shared, name));
      bytes[bytes.length - 100]! ^= 1;
      writeFileSync(join(shared, name), bytes);
    }
    const datasets = { train: await data(44, 2), test: await data(12, 9) };
    const other = await run(LORA, `cache = auto(memory: 0, folder: "./shared")\n ${more}`, { datasets, stopAfter: 1 });
    expect(other.kept.every((k) => k.seconds! > 0)).toBe(true);
    expect(featuresIn(shared)).toHaveLength(4);
    const third = await run(LORA, `cache = auto(memory: 0, folder: "./shared")\n ${more}`);
    expect(third.kept.every((k) => k.seconds! > 0)).toBe(true);
    expectSame(third, without);
  });

  it('is not there for steps whose images are changed at random, and is for their validation', async () => {
    for (const augment of ['flip(50%)', 'mixup(0.8)']) {
      const { prefixes, kept } = await run(PROBE, `augment = [${augment}]`, { stopAfter: 1 });
      expect(Object.keys(prefixes), augment).toEqual(['loss']);
      expect(
        kept.map((k) => k.of),
        augment,
      ).toEqual(['loss']);
    }
    // One epoch sees each image once.
    const once = await run(PROBE, 'validation = 0', { stopAfter: 1 });
    expect(Object.keys(once.prefixes)).toEqual(['step']);
  });

  it('names what cannot be read once, leaves it out of its batches, and says so again from files', async () => {
    const damaged = async (): Promise<Datasets> => {
      const all: Dataset = await data(44);
      const read = async (place: number) => {
        if (place === 5) throw new EspalierError([diagnostic('ESP0501', { path: 'five.png', reason: 'it is torn' })]);
        return all.pictures.read(place);
      };
      return { train: { ...all, pictures: { ...all.pictures, read } }, test: await data(12, 9) };
    };
    const without = await run(PROBE, 'cache = none', { datasets: await damaged() });
    expect(without.skipped.map((s) => s.index)).toHaveLength(1);
    mkdirSync(join(folder, 'torn'));
    for (let i = 0; i < 2; i++) {
      const cached = await run(PROBE, 'cache = auto(memory: 0, folder: "./torn")', { datasets: await damaged() });
      expectSame(cached, without);
      expect(cached.skipped).toEqual(without.skipped);
    }
  });

  it('works in memory alone, where there are no files', async () => {
    const events = async (more: string): Promise<readonly [unknown[], KeptFeatures[]]> => {
      const kept: KeptFeatures[] = [];
      const datasets = { train: await data(44), test: await data(12, 9) };
      const options = { host: nodeHost(), datasets, run: new MemoryRun(), kept: (k: KeptFeatures) => kept.push(k) };
      const all: unknown[] = [];
      for await (const e of trainInMemory(spec(PROBE, more), options)) {
        all.push({ ...e, seconds: 0, rate: 0, waited: 0 });
      }
      return [all, kept];
    };
    const [without] = await events('cache = none');
    const [cached, kept] = await events('');
    expect(cached).toEqual(without);
    expect(kept.map((k) => k.of)).toEqual(['step', 'loss']);
    // What does not fit is computed each time.
    const [each, none] = await events('cache = auto(memory: 0)');
    expect(each).toEqual(without);
    expect(none).toEqual([]);
  });
});
