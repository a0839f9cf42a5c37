/** What `compile` makes of a tiny spec, without a GPU. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkProgram } from '../../runtime/program/check.js';
import { compile, inspect, writeCompiled } from '../../src/api/index.js';
import { version } from '../../src/api/version.js';
import { parseModule, printModule } from '../../src/ir/text/print.js';
import { PASSES } from '../../src/passes/index.js';
import { failure, host, readTensors, scratch, vitSpec } from './support.js';

const folder = scratch();
const spec = vitSpec('vit-shards', 'adapt base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2)');

describe('the folder', () => {
  const out = join(folder, 'out');

  test('is flat, holds what program.json names, and describes itself', async () => {
    const compiled = await compile(spec, { host, batch: [1, 2] });
    await writeCompiled(compiled, out);
    const entries = readdirSync(out, { withFileTypes: true });
    expect(entries.filter((e) => !e.isFile())).toEqual([]);
    const names = new Set(entries.map((e) => e.name));
    const program = checkProgram(JSON.parse(readFileSync(join(out, 'program.json'), 'utf8')));
    const named = program.kernels.flatMap((k) => k.variants.map((v) => v.file));
    for (const name of [...named, ...program.weightFiles]) expect(names, name).toContain(name);
    for (const name of ['golden.safetensors', 'index.js', 'index.d.ts', 'runtime.js']) expect(names).toContain(name);
    expect(entries.filter((e) => e.name.endsWith('.wgsl'))).toHaveLength(new Set(named).size);
    expect(program.entries.map((e) => [e.samples, e.inputs[0]!.shape, e.outputs[0]!.shape])).toEqual([
      [2, [1, 3, 24, 24], [1, 5]],
    ]);
    expect(program.labels).toEqual(['class 0', 'class 1', 'class 2', 'class 3', 'class 4']);
    expect(readFileSync(join(out, 'index.d.ts'), 'utf8')).toContain('class 3');
  });

  test('counts parameters, weights and work', async () => {
    const { summary, weights, entries, kernels } = (await compile(spec, { host })).program;
    const [dim, hidden, patch, tokens, classes] = [32, 64, 4, 37, 5];
    const norm = 2 * dim;
    const block = 2 * norm + 4 * dim * dim + 4 * dim + 2 * dim * hidden + hidden + dim;
    const base = 3 * patch * patch * dim + dim + dim + tokens * dim + 2 * block + norm;
    // factorize(32, 8) is 4 and 8: C [2, 4, 4], A [2, 3, rank, 8], B [2, 8, rank], s and t [96], on two layers.
    const karst = 2 * (2 * 16 + 2 * 3 * 2 * 8 + 2 * 8 * 2 + 2 * 96);
    expect(summary.parameters).toEqual({
      total: base + dim * classes + classes + karst,
      trainable: karst,
      frozen: base + dim * classes + classes,
    });
    expect(summary.weightBytes).toBe(weights.reduce((sum, w) => sum + w.bytes, 0));
    expect(summary.dispatches).toBe(entries[0]!.dispatches.length);
    expect(summary.kernels).toBe(kernels.length);
    // Two operations for each multiplication of the linear layers alone.
    const linear = 2 * tokens * (2 * (4 * dim * dim + 2 * dim * hidden) + 3 * patch * patch * dim);
    // The last block may be computed for one token alone.
    expect(summary.flops).toBeGreaterThan(linear / 2);
    expect(summary.flops).toBeLessThan(2 * linear);
    expect(summary.zeros).toBeUndefined();
  });

  test('reports on an adapter that changes nothing: it is merged, with nothing left', async () => {
    const nothing = 'adapter nothing() on base: Linear(in -> out) { forward(x) { base(x) } }';
    const spec = vitSpec('vit-shards', 'adapt base.blocks[0].attn.proj with nothing()', nothing);
    const { report } = await compile(spec, { host, golden: false });
    expect(report).toEqual([
      { id: 'base.blocks.0.attn.proj@nothing', name: 'nothing', site: 'base.blocks.0.attn.proj', state: 'merged' },
    ]);
  });

  test('has a golden input whose answer is finite and not constant', async () => {
    const tensors = await readTensors(join(out, 'golden.safetensors'));
    expect(tensors.get('input.pixels')!.type.shape).toEqual([2, 3, 24, 24]);
    const logits = [...tensors.get('output.logits')!.data];
    expect(logits.every(Number.isFinite)).toBe(true);
    expect(new Set(logits).size).toBe(10);
  });

  test('leaves the golden input out when asked to', async () => {
    const { program, files } = await compile(spec, { host, golden: false });
    expect(program.golden).toBeUndefined();
    expect(files.has('golden.safetensors')).toBe(false);
  });

  test('is the same every time', async () => {
    const [a, b] = [await compile(spec, { host }), await compile(spec, { host })];
    expect([...a.files.keys()]).toEqual([...b.files.keys()]);
    for (const [name, content] of a.files)
      expect(Buffer.from(b.files.get(name)!).equals(Buffer.from(content)), name).toBe(true);
  });

  test('does not replace what it did not write', async () => {
    const compiled = await compile(spec, { host, golden: false });
    const { codes } = await failure(() => writeCompiled(compiled, new URL('.', import.meta.url).pathname));
    expect(codes).toEqual(['ESP0906']);
    expect(readdirSync(new URL('.', import.meta.url)).filter((f) => f.endsWith('.wgsl'))).toEqual([]);
  });
});

test('programs carry the version of the package', () => {
  const { version: own } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(version).toBe(own);
});

describe('stages as text', () => {
  test.each(['elaborate', ...PASSES.map((p) => p.name)])('after:%s parses back', async (pass) => {
    const { emitted } = await inspect(spec, { host, emit: `after:${pass}` });
    expect(emitted).toContain('func @infer');
    expect(printModule(parseModule(emitted!))).toBe(emitted);
  });

  test('an unknown stage is refused, and the stages are named', async () => {
    const { codes } = await failure(() => inspect(spec, { host, emit: 'after:magic' }));
    expect(codes).toEqual(['ESP0904']);
  });
});

test('every size of a batch is checked', async () => {
  for (const batch of [[], [0], [1.5], [Number.NaN], [5000]]) {
    expect((await failure(() => compile(spec, { host, batch }))).codes).toEqual(['ESP0912']);
  }
});
