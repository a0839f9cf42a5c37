/** Where golden outputs come from: f64 here, f64 in worker threads, or the unmerged model on the GPU; and that each catches a compiled model that differs. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compareCompiled, type GoldenRequest, goldenOf } from '../../src/api/golden/golden.js';
import { relativeError, worstOutput } from '../../src/api/golden/rows.js';
import type { Host } from '../../src/api/host.js';
import { interpretInWorkers } from '../../src/api/node/workers.js';
import { loadParameters } from '../../src/api/parameters.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { adapted, failure } from '../api/support.js';
import { compileTo, host, scratch, withProgram } from './support.js';

const folder = scratch();
const spec = await adapted(folder, 'vit-shards', 'base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2)');

/** A request as `compile` makes it, for a model that is said to take `flops` a row. */
async function requestFor(flops: number, change: Partial<Host> = {}, samples = 1): Promise<GoldenRequest> {
  const analysis = await analyseModel(spec, { host });
  const { get } = await loadParameters(analysis);
  const written = analysis.elaborated.module;
  const { module } = optimize(written, { adapters: 'merged' });
  const prepared = interpret(module, 'prepare', { params: get });
  return {
    host: { ...host, ...change },
    written,
    originalParams: get,
    module,
    asked: samples,
    samples,
    params: () => (name: string) => prepared.get(name) ?? get(name),
    generate: { name: 'Tiny', compiler: 'test', weights: 'f32' },
    flops,
    how: 'auto',
  };
}

const LARGE = 1e12;
const quick = await goldenOf(await requestFor(1));

describe('the reference', () => {
  test('of a small model is f64', () => {
    expect(quick.spec.from).toEqual({ by: 'f64' });
    expect(quick.without).toBeUndefined();
  });

  test('of a large model comes from the GPU, with one block compared with f64', async () => {
    const golden = await goldenOf(await requestFor(LARGE));
    expect(golden.spec.from).toMatchObject({ by: 'gpu', block: { site: expect.stringMatching(/^base\b/) } });
    const { from } = golden.spec;
    // Kernels in f32 are near f64, and never the same.
    const { difference } = from.by === 'gpu' ? from.block! : { difference: Number.NaN };
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-5);
    const { error } = worstOutput(quick.outputs, golden.outputs);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(1e-5);
  });

  test('of a batch has rows that differ, each from a run of its own', async () => {
    const golden = await goldenOf(await requestFor(LARGE, {}, 8));
    expect(golden.spec.rows).toBe(2);
    const logits = golden.outputs.get('logits')!.data;
    const half = logits.length / 2;
    expect(relativeError(logits.subarray(0, half), logits.subarray(half))).toBeGreaterThan(1e-3);
  });

  test.each([['there is no GPU', { openGpu: () => Promise.reject(new TypeError('not this way')) }, TypeError]])(
    'does not hide a fault: %s',
    async (_, change, kind) => {
      await expect(requestFor(LARGE, change).then(goldenOf)).rejects.toThrow(kind);
    },
  );

  test('is f64 in workers where there is no GPU, to the bit that of this thread, and says why', async () => {
    const { openGpu: _, ...withoutGpu } = host;
    const request = { ...(await requestFor(LARGE)), host: withoutGpu };
    const golden = await goldenOf(request);
    expect(golden.spec.from).toEqual({ by: 'f64' });
    expect(golden.without).toMatch(/no GPU/);
    expect(golden.outputs.get('logits')!.data).toEqual(quick.outputs.get('logits')!.data);
    expect((await compareCompiled(request, golden, undefined as never, new Map())).difference).toBeLessThan(1e-6);
    await expect(goldenOf({ ...request, how: 'gpu' })).rejects.toMatchObject({ code: 'ESP0701' });
  });

  test('is f64 where the GPU gives something else for the block', async () => {
    const request = await requestFor(LARGE);
    // What the GPU is fed is not what f64 is told: as good as a driver that computes something wrong.
    const uploaded = new Set<string>();
    const originalParams = (name: string): Tensor => {
      const tensor = request.originalParams(name);
      if (!name.endsWith('mlp.fc1.weight')) return tensor;
      if (uploaded.has(name)) return { ...tensor, data: tensor.data.map((x: number) => 1.01 * x) };
      uploaded.add(name);
      return tensor;
    };
    const { spec: found, without } = await goldenOf({ ...request, originalParams });
    expect(found.from).toEqual({ by: 'f64' });
    expect(without).toMatch(/off f64 at base/);
  });
});

describe('a compiled model that differs is refused', () => {
  test('in f64', async () => {
    const request = await requestFor(1);
    const params = request.params();
    const wrong = (name: string): Tensor => {
      const t = params(name);
      return name.endsWith('qkv.weight#prepared') ? { ...t, data: t.data.map((x: number) => x * 1.02) } : t;
    };
    const check = (p: typeof params) =>
      compareCompiled({ ...request, params: () => p }, quick, undefined as never, new Map());
    expect((await check(params)).difference).toBeLessThan(1e-6);
    expect((await failure(() => check(wrong))).codes).toEqual(['ESP0910']);
  });

  test('on the GPU', async () => {
    const { program, files, check } = await compileTo(join(folder, 'gpu'), spec, { golden: 'gpu', batch: [1, 2] });
    expect(check.model).toMatchObject({ by: 'gpu', rows: [1, 2, 3] });
    expect(check.model!.difference).toBeLessThan(1e-5);
    expect(check.layers).toMatchObject({ layers: 2 });
    expect(check.layers.difference).toBeGreaterThan(0);
    expect(program.golden!.from.by).toBe('gpu');
    await withProgram(join(folder, 'gpu'), async (session) => expect(session.usesFallback).toBe(false));

    const request = await requestFor(LARGE);
    const golden = await goldenOf(request);
    const outputs = new Map([...golden.outputs].map(([n, t]) => [n, { ...t, data: t.data.map((x) => 1.01 * x) }]));
    const { codes, text } = await failure(() => compareCompiled(request, { ...golden, outputs }, program, files));
    expect(codes).toEqual(['ESP0910']);
    expect(text).toMatch(/`logits`.* for 1 at a time on /);
  }, 300_000);
});

test('a worker names what is wrong with its job', async () => {
  const request = await requestFor(1);
  const job = { module: request.written, inputs: new Map<string, Tensor>(), params: request.originalParams };
  await expect(interpretInWorkers([job], () => {})).rejects.toThrow('no value for argument pixels');
});
