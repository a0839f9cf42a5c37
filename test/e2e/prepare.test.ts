/** `deploy { prepare = ... }`: weights that this machine's GPU merges, and programs that merge when they are loaded and take other adapters. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { InputError, ProgramFileError } from '../../runtime/errors.js';
import { fileEntry, seal } from '../../runtime/program/digest.js';
import { entryNamed } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import type { TensorData } from '../../runtime/tensors.js';
import { compile } from '../../src/api/index.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import type { Tensor } from '../../src/ir/types.js';
import { adapted, random, randomAdapter, resultAsWritten, vitSpec } from '../api/support.js';
import { compileTo, driverName, host, scratch, withProgram } from './support.js';

const folder = scratch();
const FROM = 'vit-grey';
const GRAFTS = {
  karst: 'base.**.attn.qkv, base.**.mlp.fc1 with karst(kernels: 2, factor: 2, rank: 2)',
  // What stands in its way keeps it beside its layer, where kernels read its own matrices.
  adaptformer: 'base.**.mlp with adaptformer(hidden: 4)',
} as const;

async function pixels(spec: Parameters<typeof resultAsWritten>[0]): Promise<Tensor> {
  const { elaborated } = await compile(spec, { host, golden: false });
  return random(
    'pixels',
    elaborated.inputs[0]!.type.shape.map((d, i) => (i === 0 ? 2 : d)),
  );
}

const relative = (found: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  const largest = Array.from(wanted).reduce((n, x) => Math.max(n, Math.abs(x)), 0);
  return Array.from(wanted).reduce((n, x, i) => Math.max(n, Math.abs(x - found[i]!)), 0) / largest;
};

/** Other numbers for every parameter of the spec's adapters. */
async function others(spec: Awaited<ReturnType<typeof adapted>>): Promise<Map<string, Tensor>> {
  const same = await randomAdapter(spec);
  return new Map([...same].map(([name, { type }]) => [name, random(`other ${name}`, type.shape, 0.3)]));
}

const arrays = (tensors: ReadonlyMap<string, Tensor>): Record<string, TensorData> =>
  Object.fromEntries([...tensors].map(([name, { data }]) => [name, new Float32Array(data)]));

describe.each(Object.entries(GRAFTS))('%s', (name, graft) => {
  test.each(['f32', 'f16'] as const)('prepared by each load, weights %s, and replaced', async (weights) => {
    const spec = await adapted(folder, FROM, graft);
    const x = await pixels(spec);
    const input = { tensors: { pixels: new Float32Array(x.data) } };
    const wanted = await resultAsWritten(spec, x);
    const tolerance = weights === 'f32' ? 2e-5 : 5e-3;
    const out = join(folder, `${name}-${weights}`);
    const { program, check } = await compileTo(out, spec, { prepare: 'load', weights, batch: [2] });
    expect(program.entries.map((e) => e.name)).toEqual(['infer', 'prepare']);
    expect(check.model).toBeDefined();
    const other = await others(spec);
    await withProgram(out, async (session) => {
      const [logits] = Object.keys((await session.run(input)).outputs);
      const run = async (): Promise<TensorData> => (await session.run(input)).outputs[logits!]!;
      const before = await run();
      expect(relative(before, wanted)).toBeLessThan(tolerance);

      // The other adapter from arrays, the first one back from a file, by names as an adapter file has them.
      const [some] = other.keys();
      const first = await session.read(some!);
      await session.replace(arrays(other));
      expect(await session.read(some!)).toEqual(new Float32Array(other.get(some!)!.data));
      const changed = await run();
      expect(relative(changed, before)).toBeGreaterThan(0.01);
      await session.replace(encodeAdapter(await randomAdapter(spec)));
      expect(await session.read(some!)).toEqual(first);
      expect(await run()).toEqual(before);

      // What a compiler makes of the other adapter is what the program makes of it.
      const file = join(folder, `${name}-other.safetensors`);
      writeFileSync(file, encodeAdapter(other));
      const twin = vitSpec(FROM, `adapt ${graft} from "${file}"`);
      expect(relative(changed, await resultAsWritten(twin, x))).toBeLessThan(tolerance);
    });
  });

  test('what cannot be replaced is refused, and nothing is', async () => {
    const spec = await adapted(folder, FROM, graft);
    const x = await pixels(spec);
    const input = { tensors: { pixels: new Float32Array(x.data) } };
    const out = join(folder, `${name}-refused`);
    await compileTo(out, spec, { prepare: 'load' });
    await withProgram(out, async (session) => {
      const before = await session.run(input);
      const good = arrays(await others(spec));
      const [some, data] = Object.entries(good)[0]!;
      const refused = (parameters: Parameters<typeof session.replace>[0]): Promise<Error> =>
        session.replace(parameters).then(
          () => expect.unreachable(),
          (e: Error) => e,
        );
      const unknown = await refused({ ...good, 'base.nowhere': data });
      expect(unknown).toBeInstanceOf(InputError);
      expect(unknown.message).toBe('the program has no parameter `base.nowhere`');
      expect((await refused({ ...good, [some]: data.slice(1) })).message).toMatch(
        new RegExp(`has ${data.length - 1} elements, not ${data.length}`),
      );
      expect((await refused({ [some]: new Int32Array(data.length) })).message).toMatch(/takes f32, given Int32Array/);
      expect(await refused(Uint8Array.of(1, 2, 3))).toBeInstanceOf(ProgramFileError);
      expect((await session.run(input)).outputs).toEqual(before.outputs);
    });
  });
});

test('kernels of `prepare` that are wrong here are found by the golden input, and the portable ones prepare again', async () => {
  const spec = await adapted(folder, FROM, GRAFTS.karst);
  const out = join(folder, 'wrong');
  const { program } = await compileTo(out, spec, { prepare: 'load' });
  const [infer, prepare] = ['infer', 'prepare'].map(
    (name) => new Set(entryNamed(program, name)!.dispatches.map((d) => d.kernel)),
  ) as [Set<number>, Set<number>];
  // All that only `prepare` runs, but for the portable variants, writes the opposite.
  const better = [...prepare]
    .filter((k) => !infer.has(k))
    .flatMap((k) => program.kernels[k]!.variants.slice(0, -1).map((v) => v.file));
  expect(better.length).toBeGreaterThan(0);
  for (const file of better) {
    const text = readFileSync(join(out, file), 'utf8');
    const wrong = text.replaceAll(/(t\d+\[[^\]]*\]) = ([^;]+);/g, '$1 = -($2);');
    expect(wrong).not.toBe(text);
    writeFileSync(join(out, file), wrong);
  }
  const { files, digest: _, ...unsealed } = program;
  const entries = await Promise.all(files.map(({ name }) => fileEntry(name, readFileSync(join(out, name)))));
  writeFileSync(join(out, 'program.json'), JSON.stringify(await seal(unsealed, entries)));
  const x = await pixels(spec);
  await withProgram(out, async (session) => {
    // A device on which none of these is chosen has nothing to fall back from.
    const chosen = session.variants.some((v, k) => prepare.has(k) && !infer.has(k) && v.variant !== 'portable');
    expect(chosen).toBe(false);
    const { outputs } = await session.run({ tensors: { pixels: new Float32Array(x.data) } });
    expect(relative(Object.values(outputs)[0]!, await resultAsWritten(spec, x))).toBeLessThan(2e-5);
    const name = await driverName();
    if (name === 'lavapipe') expect(session.usesFallback).toBe(true);
  });
});

test('a program that was prepared when it was compiled takes no other adapters', async () => {
  const out = join(folder, 'fixed');
  await compileTo(out, await adapted(folder, FROM, GRAFTS.karst));
  await withProgram(out, async (session) => {
    expect(entryNamed(session.program, 'prepare')).toBeUndefined();
    const { parameter } = session.program.weights[0]!;
    await expect(session.replace({ [parameter]: new Float32Array(1) })).rejects.toMatchObject({
      code: 'ESP0708',
      help: 'compile it with `prepare = load`',
    });
  });
});

describe('the GPU merges', () => {
  test('what the CPU does, to f32, and it is checked alike', async () => {
    const spec = await adapted(folder, FROM, GRAFTS.karst);
    const x = await pixels(spec);
    const [cpu, gpu] = [
      await compile(spec, { host, golden: 'f64' }),
      await compile(
        {
          ...spec,
          text: `${spec.text}
deploy Tiny {
  prepare = gpu
}
`,
        },
        { host, golden: 'f64' },
      ),
    ];
    expect(gpu.program.weights).toEqual(cpu.program.weights);
    expect(gpu.check.layers.layers).toBe(cpu.check.layers.layers);
    expect(gpu.check.layers.difference).toBeGreaterThan(cpu.check.layers.difference);
    expect(gpu.check.layers.difference).toBeLessThan(1e-5);
    expect(gpu.files.get('weights.safetensors')).not.toEqual(cpu.files.get('weights.safetensors'));
    const session = await load({ program: gpu.program, files: gpu.files });
    const { outputs } = await session.run({ tensors: { pixels: new Float32Array(x.data) } });
    expect(relative(Object.values(outputs)[0]!, await resultAsWritten(spec, x))).toBeLessThan(2e-5);
    session.dispose();
  });

  test.each(['gpu', 'load'] as const)('but not what no kernel computes: %s', async (prepare) => {
    const cayley = `adapter turned() on base: Linear(in -> out) {
  A = param [in, in] normal(0.1)
  I = param [in, in] eye
  forward(x) { base(x @ solve(I + (A - A.T), I - (A - A.T))) }
}`;
    const spec = vitSpec(FROM, 'adapt base.**.attn.proj with turned()', cayley);
    await expect(compile(spec, { host, golden: false, prepare })).rejects.toMatchObject({
      diagnostics: [{ code: 'ESP0610', message: 'weights are prepared with `solve`, which no kernel computes' }],
    });
    expect((await compile(spec, { host, golden: false })).program.entries).toHaveLength(1);
  });
});
