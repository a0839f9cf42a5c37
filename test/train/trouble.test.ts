/** What goes wrong in the middle of a run: numbers, the GPU, the disk. What is said of it, and that the run goes on to the bits of one that was never interrupted. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { type Diagnostic, EspalierError, nodeHost, train } from '../../src/api/index.js';
import { exitCode } from '../../src/cli/context.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { differences, leftBy } from '../kills/kills.js';
import { data, run, spec } from './small.js';

/** A disk that may be full: of what is written then, a half is. */
const disk = vi.hoisted(() => ({ takes: (_path: string): boolean => true }));
vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  const full = (): Error => Object.assign(new Error('full'), { code: 'ENOSPC' });
  return {
    ...fs,
    async open(path: string, flags?: string) {
      const handle = await fs.open(path, flags);
      const write = handle.write.bind(handle) as (bytes: Uint8Array, from: number, length: number) => Promise<unknown>;
      if (!disk.takes(path))
        Object.assign(handle, {
          async write(bytes: Uint8Array, from: number, length: number) {
            await write(bytes, from, Math.floor(length / 2));
            throw full();
          },
        });
      return handle;
    },
    async appendFile(path: string, text: string) {
      if (disk.takes(path)) return fs.appendFile(path, text);
      await fs.appendFile(path, text.slice(0, text.length / 2));
      throw full();
    },
  };
});

const folder = mkdtempSync(join(tmpdir(), 'espalier-trouble-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function errorOf(work: Promise<unknown>): Promise<Diagnostic> {
  try {
    await work;
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics[0]!;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('numbers that are not finite', { timeout: 300_000 }, () => {
  it('of weights that became too large: the operator, its site, the item, and the last good checkpoint', async () => {
    const out = join(folder, 'large');
    const more = 'save = every(steps: 1)\n  groups = [group("*", lr: 1e30)]';
    const { code, message, help } = await errorOf(run(out, { more }));
    expect(code).toBe('ESP1103');
    expect(message).toBe('the loss is NaN at step 2 (epoch 1)');
    expect(help[0]).toMatch(
      /^The first tensor that is not finite: what `\w+` gives in base\.blocks\[0\]\.\S+, for halves\[\d+\]\.$/,
    );
    expect(help.at(-1)).toContain('checkpoint-0000001.safetensors, after 1 steps');
  });

  it('of one item that goes in', async () => {
    const { pictures, places } = await data(48);
    const values = new Float32Array(48 * 64);
    for (const [i, place] of places.entries())
      values.set(
        Array.from((await pictures.read(place)).data, (x) => x / 255),
        64 * i,
      );
    values[64 * 17 + 5] = Number.NaN;
    const labels = Array.from({ length: 48 }, (_, i) => i % 2);
    const floats = { name: 'floats', data: values, shape: [48, 1, 8, 8] };
    const datasets = datasetOfArrays(floats, { kind: 'class', labels }, { classes: ['top', 'bottom'] });
    const { code, help } = await errorOf(
      run(join(folder, 'item'), { datasets: { ...datasets, val: await data(8, 4) } }),
    );
    expect(code).toBe('ESP1103');
    expect(help[0]).toBe('The first tensor that is not finite: what goes in as `pixels`, for floats[17].');
  });

  // The square root of 0 is 0, and its derivative is not finite.
  const roots = 'loss = mean(sqrt(abs(prediction) * target))';
  it.each([
    ['by the loss after it', roots, /^the loss is NaN at step 2 /],
    ['before it is kept', `${roots}\n  save = every(steps: 1)`, /^`\S+` is not finite after step 1 /],
  ])('of a gradient, where the loss is finite: noticed %s', async (name, more, said) => {
    const out = join(folder, name.replaceAll(' ', '-'));
    const { code, message, help } = await errorOf(run(out, { more }));
    expect(code).toBe('ESP1103');
    expect(message).toMatch(said);
    expect(help[0]).toMatch(/^The first tensor that is not finite: what `\w+` gives/);
    expect(help.at(-1)).toContain('There is no checkpoint yet');
    expect(readdirSync(out).filter((file) => file.startsWith('checkpoint'))).toEqual([]);
  });
});

describe('a GPU that is lost', { timeout: 300_000 }, () => {
  it('ends the run with a message and an exit code of its own; it goes on from its last checkpoint, bit for bit', async () => {
    const [whole, out] = [join(folder, 'whole'), join(folder, 'lost')];
    const more = 'save = every(steps: 4)';
    await run(whole, { more });
    let device: GPUDevice | undefined;
    const host = nodeHost();
    const found = errorOf(
      (async () => {
        const lossy = {
          ...host,
          async openGpu() {
            const gpu = await host.openGpu!();
            const { adapter } = gpu;
            const request = adapter.requestDevice.bind(adapter);
            adapter.requestDevice = async (descriptor) => (device = await request(descriptor));
            return gpu;
          },
        };
        const datasets = { train: await data(48), test: await data(20, 9) };
        for await (const event of train(spec(more), { out, datasets, host: lossy }))
          if (event.kind === 'step' && event.step === 9) device!.destroy();
      })(),
    );
    const diagnostic = await found;
    expect(diagnostic.code).toBe('ESP1113');
    expect(diagnostic.message).toContain(out);
    expect(diagnostic.help.at(-1)).toContain(
      'checkpoint-0000008.safetensors, after 8 steps; `--resume` goes on from there',
    );
    expect(exitCode([diagnostic])).toBe(6);
    await run(out, { more, resume: true });
    expect(differences(leftBy(whole), leftBy(out))).toEqual([]);
  });
});

describe('a disk that takes no more', { timeout: 300_000 }, () => {
  const more = 'save = every(steps: 4)';
  afterEach(() => {
    disk.takes = () => true;
  });
  it.each([
    ['the eleventh line of the metrics', /metrics\.jsonl$/, 11, 'checkpoint-0000008.safetensors, after 8 steps'],
    ['the second checkpoint', /\.checkpoint-0000006/, 1, 'checkpoint-0000004.safetensors, after 4 steps'],
    ['the first checkpoint', /\.checkpoint-0000004/, 1, 'There is no checkpoint yet'],
    ['the first adapter', /\.adapter/, 1, 'checkpoint-0000004.safetensors, after 4 steps'],
  ])('in %s: says so, and goes on when there is room, bit for bit', async (name, path, times, kept) => {
    const [whole, out] = [join(folder, 'disk-whole'), join(folder, name.replaceAll(' ', '-'))];
    if (!existsSync(whole)) await run(whole, { more });
    let count = 0;
    disk.takes = (file) => !path.test(file) || ++count < times;
    const { code, message, help } = await errorOf(run(out, { more }));
    expect(code).toBe('ESP0520');
    expect(message).toMatch(/no space is left on the device$/);
    expect(help.at(-1)).toContain(kept);
    expect(readdirSync(out).filter((file) => file.endsWith('.tmp') || file.startsWith('lock'))).toEqual([]);
    disk.takes = () => true;
    await run(out, { more, resume: true });
    expect(differences(leftBy(whole), leftBy(out))).toEqual([]);
  });
});
