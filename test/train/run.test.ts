/** A run: its folder, going on from any point with the same bits, what it refuses. On whatever GPU driver there is. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compile,
  type Diagnostic,
  EspalierError,
  load,
  nodeHost,
  type TrainEvent,
  train,
} from '../../src/api/index.js';
import { lockName } from '../../src/api/node/lock.js';
import type { StepEvent } from '../../src/api/train/events.js';
import { selectItems } from '../../src/data/splits.js';
import type { Datasets } from '../../src/data/types.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { openFile } from '../../src/formats/node/files.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';

import type { Tensor } from '../../src/ir/types.js';
import { data, MODEL, run, spec } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function tensorsOf(file: string): Promise<Map<string, Buffer>> {
  const store = await openSafetensors(await openFile(file));
  const found = new Map<string, Buffer>();
  for (const [name, entry] of store.tensors) {
    const { data } = await entry.read();
    found.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  return found;
}

const last = (out: string): string =>
  join(
    out,
    readdirSync(out)
      .filter((n) => n.startsWith('checkpoint'))
      .sort()
      .at(-1)!,
  );
const timeless = (events: readonly TrainEvent[]) => events.map((e) => ({ ...e, seconds: 0, rate: 0, waited: 0 }));
const metrics = (out: string) =>
  timeless(
    readFileSync(join(out, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as TrainEvent),
  );

const codeOf = async (work: Promise<unknown>): Promise<string | undefined> => {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics[0]!.code;
    throw error;
  }
};

describe('a run', { timeout: 300_000 }, () => {
  const whole = join(folder, 'whole');
  let events: TrainEvent[] = [];
  beforeAll(async () => {
    events = await run(whole);
  }, 300_000);

  it('learns, validates on data that it took aside, and tests what it selected', () => {
    const epochs = events.filter((e) => e.kind === 'epoch');
    expect(epochs).toHaveLength(3);
    expect(epochs[2]!.train.loss).toBeLessThan(epochs[0]!.train.loss);
    expect(epochs[0]!.train.samples).toBe(44);
    // What is said after each step is what the epoch is the mean of.
    const steps = events.filter((e) => e.kind === 'step' && e.epoch === 0) as StepEvent[];
    const share = steps.reduce((sum, s) => sum + s.samples * s.accuracy!, 0) / 44;
    expect(share).toBeCloseTo(epochs[0]!.train.accuracy!, 12);
    expect(epochs[0]!.validation!.samples).toBe(4);
    const test = events.find((e) => e.kind === 'test')!;
    expect(test.score.samples).toBe(20);
    const end = events.at(-1)!;
    expect(end).toMatchObject({ kind: 'end', why: 'epochs', selected: 'validation accuracy' });
    const best = epochs.filter((e) => e.best).at(-1)!;
    expect(end).toMatchObject({ epoch: best.epoch });
    const facts = JSON.parse(readFileSync(join(whole, 'run.json'), 'utf8'));
    expect(facts.data).toEqual({
      kind: 'class',
      classes: ['top', 'bottom'],
      train: 44,
      validation: 4,
      test: 20,
      split: true,
    });
    expect(readdirSync(whole).filter((name) => name.startsWith('lock'))).toEqual([]);
    const predictions = JSON.parse(readFileSync(join(whole, 'predictions.json'), 'utf8'));
    expect(predictions.split).toBe('test');
    const right = predictions.predictions.filter(
      (p: { actual: string; predicted: string }) => p.actual === p.predicted,
    );
    expect(right.length / 20).toBeCloseTo(test.score.accuracy!);
  });

  it.each([1, 5, 6, 7, 14])('stopped after %i steps and gone on with: the same bits', async (stopAfter) => {
    const out = join(folder, `stopped-${stopAfter}`);
    const first = await run(out, { stopAfter });
    expect(first.at(-1)).toMatchObject({ kind: 'end', why: 'stopped' });
    await run(out, { resume: true });
    expect(await tensorsOf(last(out))).toEqual(await tensorsOf(last(whole)));
    expect(await tensorsOf(join(out, 'adapter.safetensors'))).toEqual(
      await tensorsOf(join(whole, 'adapter.safetensors')),
    );
    expect(metrics(out)).toEqual(metrics(whole));
  });

  it('goes on from the checkpoint before one that is cut off', async () => {
    const out = join(folder, 'cut');
    await run(out, { stopAfter: 14 });
    const file = last(out);
    writeFileSync(file, readFileSync(file).subarray(0, 1000));
    await run(out, { resume: true });
    expect(await tensorsOf(last(out))).toEqual(await tensorsOf(last(whole)));
    expect(metrics(out)).toEqual(metrics(whole));
  });

  it('goes on under another driver or program, and says that its bits are not those', async () => {
    const out = join(folder, 'elsewhere');
    await run(out, { stopAfter: 7 });
    const file = last(out);
    const store = await openSafetensors(await openFile(file));
    const tensors = new Map<string, ReturnType<typeof storeTensor>>();
    for (const [name, entry] of store.tensors) tensors.set(name, storeTensor(await entry.read()));
    const pins = JSON.parse(store.metadata.pins!) as Record<string, string>;
    expect(Object.keys(pins).sort()).toEqual(['device', 'program', 'variants']);
    const told: Diagnostic[] = [];
    const warn = (d: Diagnostic) => told.push(d);
    const under = (other: Record<string, string>) =>
      writeFileSync(
        file,
        encodeSafetensors(tensors, { ...store.metadata, pins: JSON.stringify({ ...pins, ...other }) }),
      );
    under({ device: 'a card that is not here', program: 'one of another version' });
    expect((await run(out, { resume: true, stopAfter: 9, warn })).at(-1)).toMatchObject({ why: 'stopped' });
    expect(told.map((d) => [d.code, d.severity])).toEqual([['ESP1109', 'warning']]);
    expect(told[0]!.message).toContain(
      'another program, another device: its bits will not be those of an uninterrupted',
    );
    expect(readFileSync(join(out, 'log.txt'), 'utf8')).toContain(
      'warning ESP1109: the run goes on with another program',
    );
    // What is the same is not spoken of.
    await run(out, { resume: true, warn });
    expect(told).toHaveLength(1);
  });

  it('has a log for people: by what it was begun and gone on with, epochs, the test, and what ended it', async () => {
    const log = (out: string): string[] => {
      const lines = readFileSync(join(out, 'log.txt'), 'utf8').trim().split('\n');
      for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z \S/);
      return lines.map((line) => line.slice(line.indexOf(' ') + 1));
    };
    const lines = log(whole);
    const facts = JSON.parse(readFileSync(join(whole, 'run.json'), 'utf8'));
    expect(lines[0]).toMatch(/^Small begins: Espalier \S+, process \d+ of /);
    expect(lines[0]).toContain(facts.pins.device);
    expect(lines[0]).toContain(`weights ${facts.hashes.weights.slice(0, 12)}`);
    expect(lines.slice(1).map((line) => line.replace(/:.*| \(.*/, ''))).toEqual([
      'features of 4 images',
      ...['epoch 1, after 6 steps', 'epoch 2, after 12 steps', 'epoch 3, after 18 steps', 'test', 'ends'],
    ]);
    const out = join(folder, 'logged');
    await run(out, { stopAfter: 7 });
    await codeOf(run(out, { resume: true, more: 'clip = 1' }));
    await run(out, { resume: true, stopAfter: 8 });
    expect(
      log(out)
        .filter((line) => /^Small|^ends/.test(line))
        .map((line) => line.slice(0, 30)),
    ).toEqual([
      expect.stringMatching(/^Small begins/),
      expect.stringMatching(/^ends \(stopped\)/),
      expect.stringMatching(/^Small goes on after 7 steps/),
      expect.stringMatching(/^ends \(stopped\)/),
    ]);
    const nan = join(folder, 'logged-nan');
    await codeOf(run(nan, { more: 'groups = [group("*", lr: 1e30)]' }));
    expect(log(nan).at(-1)).toMatch(/^error ESP1103: the loss is NaN/);
  });

  it('takes another seed than the spec: other start values and order, the same ones each time', async () => {
    const out = join(folder, 'seed');
    const first = await run(out, { seed: 4 });
    const again = await run(join(folder, 'seed-again'), { seed: 4, stopAfter: 7 });
    expect(timeless(again.slice(0, 7))).toEqual(timeless(first.slice(0, 7)));
    // It goes on under its own, which nobody has to repeat.
    await run(join(folder, 'seed-again'), { resume: true });
    expect(metrics(join(folder, 'seed-again'))).toEqual(metrics(out));
    const facts = (path: string) => JSON.parse(readFileSync(join(path, 'run.json'), 'utf8'));
    expect(facts(out).settings.seed).toBe(4);
    // The same items to train on, to validate on and to test on, or the seeds could not be compared.
    expect(facts(out).hashes.data).toBe(facts(whole).hashes.data);
    expect(metrics(out)[0]).not.toEqual(metrics(whole)[0]);
    expect(await codeOf(run(out, { resume: true, seed: 5 }))).toBe('ESP1106');
    const a = await tensorsOf(join(out, 'adapter.safetensors'));
    const b = await tensorsOf(join(whole, 'adapter.safetensors'));
    const start = [...a.keys()].find((name) => name.endsWith('.A'))!;
    // After steps this small, what differs by more than all of them is where it began.
    const largest = Math.max(
      ...new Float32Array(new Uint8Array(a.get(start)!).buffer).map((x, i) =>
        Math.abs(x - new Float32Array(new Uint8Array(b.get(start)!).buffer)[i]!),
      ),
    );
    expect(largest).toBeGreaterThan(2 * 18 * 1e-2);
  });

  it('takes of each class as many, and of the test split as many as it is told to', async () => {
    const even = await data(60);
    const most = Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 2 === 0 || i % 10 === 1);
    const read = [0, 0];
    const uneven = selectItems(even, most);
    const counted: Datasets['train'] = {
      ...uneven,
      pictures: {
        ...uneven.pictures,
        read: (place) => {
          read[place % 2]!++;
          return uneven.pictures.read(place);
        },
      },
    };
    const out = join(folder, 'balanced');
    const datasets = { train: counted, val: await data(8, 4), test: await data(20, 9) };
    await run(out, { more: 'order = balanced\n  data = images("nowhere", test_limit: 6)', datasets, stopAfter: 12 });
    expect(read[1]! / read[0]!).toBeGreaterThan(0.7);
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')).data).toMatchObject({ train: 36, test: 6 });
    const { test: _, ...without } = datasets;
    const more = 'data = images("nowhere", test_limit: 6)';
    expect(await codeOf(run(join(folder, 'no-test'), { more, datasets: without }))).toBe('ESP1011');
  });

  it('compiles: what runs gives what the test gave', async () => {
    const compiled = await compile(whole, { host: { ...nodeHost(), readText: () => spec().text } });
    expect(compiled.report.every((a) => a.state === 'merged')).toBe(true);
    const session = await load(compiled);
    const test = await data(20, 9);
    let right = 0;
    for (let i = 0; i < 20; i++) {
      const { data: grey } = await test.pictures.read(test.places[i]!);
      const pixels = Float32Array.from(grey, (x) => (x / 255 - 0.5) / 0.5);
      const { outputs } = await session.run({ tensors: { pixels } });
      const [a, b] = outputs.logits!;
      if (test.targets.kind === 'class' && Number(b! > a!) === test.targets.labels[i]) right++;
    }
    session.dispose();
    const event = events.find((e) => e.kind === 'test')!;
    expect(right / 20).toBeCloseTo(event.score.accuracy!);
  });

  it('refuses to begin where there is one, to go on with another, and to share', async () => {
    expect(await codeOf(run(whole))).toBe('ESP1107');
    expect(await codeOf(run(whole, { resume: true, more: 'clip = 1' }))).toBe('ESP1106');
    const other = { train: await data(48, 2), test: await data(20, 9) };
    expect(await codeOf(run(whole, { resume: true, datasets: other }))).toBe('ESP1106');
    expect(await codeOf(run(join(folder, 'nothing'), { resume: true }))).toBe('ESP1104');
    expect(existsSync(join(folder, 'nothing'))).toBe(false);
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'spec.peft'), 'of somebody');
    expect(await codeOf(run(foreign))).toBe('ESP0906');
    expect(readdirSync(foreign)).toEqual(['spec.peft']);
    expect(readFileSync(join(foreign, 'spec.peft'), 'utf8')).toBe('of somebody');
    writeFileSync(join(whole, lockName()), '');
    expect(await codeOf(run(whole, { resume: true }))).toBe('ESP1105');
    // Of a process that has ended.
    rmSync(join(whole, lockName()));
    writeFileSync(join(whole, lockName(999999999)), '');
    expect((await run(whole, { resume: true })).at(-1)).toMatchObject({ kind: 'end' });
  });

  it('refuses to go on with other weights, and says that it is those', async () => {
    const file = join(folder, 'head.safetensors');
    const begun = {
      text: spec().text.replace('tune head', 'tune head from "./head.safetensors"'),
      path: join(folder, 'headed.peft'),
    };
    const out = join(folder, 'headed');
    const stop = new AbortController();
    const options = { out, datasets: { train: await data(48) }, signal: stop.signal };
    const weights = new Map<string, Tensor>();
    for (const [name, entry] of (await openSafetensors(await openFile(join(whole, 'adapter.safetensors')))).tensors)
      if (name.startsWith('head.')) weights.set(name, await entry.read());
    writeFileSync(file, encodeAdapter(weights, ['top', 'bottom']));
    for await (const event of train(begun, options)) if (event.kind === 'step') stop.abort();
    const bytes = readFileSync(file);
    bytes[bytes.length - 2]! ^= 1;
    writeFileSync(file, bytes);
    const error = await train(begun, { ...options, resume: true })
      .next()
      .catch((e: unknown) => e);
    expect(String(error)).toContain('the weights changed since it began');
    bytes[bytes.length - 2]! ^= 1;
    writeFileSync(file, bytes);
    // With the same ones again it goes on, and is stopped at once.
    const events: TrainEvent[] = [];
    for await (const event of train(begun, { ...options, resume: true })) events.push(event);
    expect(events.at(-1)).toMatchObject({ kind: 'end', why: 'stopped' });
  });

  it('refuses to train what gets no gradient, and says what cuts it off', async () => {
    const more = 'loss = mean(stop_gradient(prediction) * target)';
    const error = await run(join(folder, 'cut-off'), { more }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EspalierError);
    const { code, message } = (error as EspalierError).diagnostics[0]!;
    expect(code).toBe('ESP1101');
    expect(message).toMatch(/`(base|head)\.\S+` no gradient/);
    expect(existsSync(join(folder, 'cut-off'))).toBe(false);
  });

  it('refuses data that do not fit, and none', async () => {
    const { pictures, targets, ...rest } = await data(48);
    const three = { ...rest, pictures, targets, classes: ['a', 'b', 'c'] };
    expect(await codeOf(run(join(folder, 'three'), { datasets: { train: three } }))).toBe('ESP1111');
    const stop = train(spec(), { out: join(folder, 'none') });
    expect(await codeOf(stop.next())).toBe('ESP1110');
    expect(await codeOf(train({ text: MODEL, path: 'x.peft' }, { out: join(folder, 'no') }).next())).toBe('ESP1108');
    expect(await codeOf(run(join(folder, 'large'), { more: 'patience = 1', datasets: { train: await data(6) } }))).toBe(
      'ESP1005',
    );
  });

  it('stops when nothing gets better, and when the loss is no number', async () => {
    const flat = await run(join(folder, 'flat'), { more: 'patience = 1\n  groups = [group("*", lr: 1e-12)]' });
    expect(flat.at(-1)).toMatchObject({ kind: 'end', why: 'patience' });
    expect(await codeOf(run(join(folder, 'nan'), { more: 'groups = [group("*", lr: 1e30)]' }))).toBe('ESP1103');
  });
});
