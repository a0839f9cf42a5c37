/** What tests of a family of backbones ask of each: the numbers of Python's code, on the CPU and the GPU, and adapters that merge. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { compile } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { host, readTensors, scratch, type TextSpec } from '../api/support.js';
import { good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';
import { adapted, expectMerge, expectOnGpu, resultOf } from './support.js';

/** A backbone on a file, with what it should give for pixels of a reference. */
export interface Case {
  readonly name: string;
  /** The call of the backbone, such as `vit_auto(image: 32)`. */
  readonly base: string;
  /** Where its weights are: a folder or a file. */
  readonly from: string;
  /** The statement of a head, if it has one. */
  readonly head?: string;
  /** The file of results, and which of them: `<prefix>pixels` and `<prefix><what>`. */
  readonly reference: string;
  readonly prefix?: string;
  readonly what?: string;
  /** Whether it is also run by kernels; otherwise in f64 alone, which is quicker. */
  readonly gpu?: boolean;
}

export const specOf = (c: Pick<Case, 'base' | 'from' | 'head'>, body = ''): TextSpec => ({
  text: `use std\nmodel M {\n  base = ${c.base} from "${c.from}"\n${c.head ? `  head = ${c.head}\n` : ''}${body}\n}\n`,
  path: 'family.peft',
});

/**
 * A backbone on images of its own size and of 16 and 32, with the same weights.
 * @param call of the backbone, up to where `image` is said
 * @param gpu whether the largest is run by kernels as well
 */
export const threeSizes = (
  folder: string,
  own: number,
  call: string,
  head: string,
  what = 'logits',
  gpu = true,
): Case[] =>
  [
    [own, ''],
    [16, 'smaller.'],
    [32, 'larger.'],
  ].map(([image, prefix]) => ({
    name: `${basename(folder)}, images of ${image}`,
    base: `${call}image: ${image})`,
    // The folder says how images of its own size are made, the file nothing.
    from: join(folder, 'model.safetensors'),
    head,
    reference: join(folder, 'reference.safetensors'),
    prefix: String(prefix),
    what,
    gpu: gpu && image === 32,
  }));

/** Pixels of a case, and what they should give. */
export async function wanted({ reference, prefix = '', what = 'logits' }: Case) {
  const tensors = await readTensors(reference);
  return { pixels: tensors.get(`${prefix}pixels`)!, want: tensors.get(`${prefix}${what}`)! };
}

/** Each case in f64, and those that say so by kernels, to 1e-5 of the largest. */
export function testNumbers(cases: readonly Case[]): void {
  const folder = scratch();
  test.each(cases)('$name: gives what Python gives', async (c) => {
    const { pixels, want } = await wanted(c);
    const s = specOf(c);
    expect((await loadParameters(await analyseModel(s, { host }))).warnings).toEqual([]);
    const found = await resultOf(s, pixels, want);
    const largest = Math.max(...want.data.map(Math.abs));
    expect(maxDifference(found, want) / largest).toBeLessThan(1e-5);
    if (c.gpu) await expectOnGpu(s, join(folder, c.name.replaceAll(/\W+/g, '-')), pixels, want, 1e-5);
  });
}

/**
 * The weights of a case under other names, as the network in Python has them: the same result.
 * @param names a file of all of these names, but for those `besides`, with shapes
 * @param correct what is wanted, where the weights are not quite the same
 */
export function testNames(
  title: string,
  c: Case,
  rename: (name: string, t: Tensor) => readonly (readonly [string, Tensor])[],
  names?: string,
  besides: readonly string[] = [],
  correct: (want: Tensor, saved: ReadonlyMap<string, Tensor>) => Tensor = (want) => want,
): void {
  test(title, async () => {
    const file = c.from.endsWith('.safetensors') ? c.from : join(c.from, 'model.safetensors');
    const saved = await readTensors(file);
    const renamed = new Map([...saved].flatMap(([name, t]) => rename(name, t)));
    expect([...renamed.keys()].some((n) => !saved.has(n))).toBe(true);
    if (names) {
      const wanted = JSON.parse(readFileSync(names, 'utf8')) as Record<string, number[]>;
      const there = [...renamed].filter(([n]) => !besides.includes(n));
      expect(there.map(([n, t]) => `${n} ${t.type.shape}`).sort()).toEqual(
        Object.entries(wanted)
          .map(([n, shape]) => `${n} ${shape}`)
          .sort(),
      );
    }
    const bytes = encodeSafetensors(new Map([...renamed].map(([n, t]) => [n, storeTensor(t)])));
    const own = { ...host, openCheckpoint: () => openCheckpoint(memorySource('renamed.safetensors', bytes)) };
    const { pixels, want: before } = await wanted(c);
    const want = correct(before, saved);
    const found = await resultOf(specOf(c), pixels, want, own);
    expect(maxDifference(found, want) / Math.max(...want.data.map(Math.abs))).toBeLessThan(1e-5);
  });
}

/**
 * A folder of timm's by its configuration: on images of its own size and larger ones, wrapped by transformers, what it is preprocessed by, and what is refused.
 * @param base the variant that reads it
 * @param blocks what selects its blocks
 * @param refused an argument that changes the model, which the variant has no option for
 */
export function testTimmFolder(
  from: string,
  base: string,
  side: number,
  larger: number,
  blocks: string,
  refused: Readonly<Record<string, unknown>>,
): void {
  const head = 'classify(base)';
  const reference = join(from, 'reference.safetensors');
  const plain = { name: 'timm’s folder', base: `${base}()`, from, head, reference };
  testNumbers([
    plain,
    { ...plain, name: 'timm’s folder, larger images', base: `${base}(image: ${larger})`, prefix: 'larger.' },
  ]);
  const json = (name: string) => JSON.parse(readFileSync(join(from, name), 'utf8'));
  const opening = (config: object, weights: Uint8Array): Host => ({
    ...host,
    openCheckpoint: () =>
      openCheckpoint(memoryFolder('f', { 'config.json': JSON.stringify(config), 'model.safetensors': weights })),
  });
  const weights = () => readFileSync(join(from, 'model.safetensors'));

  test('timm’s folder, wrapped by transformers', async () => {
    const saved = await readTensors(join(from, 'model.safetensors'));
    const wrapped = encodeSafetensors(new Map([...saved].map(([n, t]) => [`timm_model.${n}`, storeTensor(t)])));
    const { pixels, want } = await wanted(plain);
    const found = await resultOf(specOf(plain), pixels, want, opening(json('wrapper.json'), wrapped));
    expect(maxDifference(found, want) / Math.max(...want.data.map(Math.abs))).toBeLessThan(1e-5);
  });

  test('timm’s folder says how it is preprocessed, and how many classes it has', async () => {
    const { preprocess, module } = (await analyseModel(specOf(plain), { host })).elaborated;
    const { mean, std, crop_pct } = json('config.json').pretrained_cfg;
    expect(preprocess).toEqual([
      { step: 'resize', size: Math.floor(side / crop_pct), filter: 'bicubic' },
      { step: 'crop', size: [side, side], rounding: 'even' },
      { step: 'normalize', mean, std },
    ]);
    expect(module.params.get('head.fc.bias')!.type.shape).toEqual([5]);
  });

  const folder = scratch();
  test('timm’s folder takes merged adapters, under its own names', async () => {
    const of = (body?: string) => specOf(plain, body);
    const s = await adapted(of, folder, 'timm', `  adapt ${blocks}.{attn.qkv, mlp.fc1, mlp.fc2} with lora(rank: 2)`);
    const { pixels, want } = await wanted(plain);
    const changed = await expectMerge(s, of(), from, pixels, want, /\.(attn\.qkv|mlp\.fc[12])\.weight$/);
    expect(changed.length).toBeGreaterThan(0);
  });

  test('timm’s folder is refused with an argument that changes the model, and of an architecture that is not known', async () => {
    const config = json('config.json');
    const of = (changed: object) =>
      analyseModel(specOf(plain), { host: opening({ ...config, ...changed }, weights()) });
    await expect(of({ model_args: { ...config.model_args, ...refused } })).rejects.toThrow('ESP0509');
    // What is dropped in training alone changes nothing here.
    await of({ model_args: { ...config.model_args, drop_rate: 0.1, drop_path_rate: 0.1 } });
    await expect(of({ architecture: `${config.architecture}x` })).rejects.toThrow('ESP0540');
  });
}

/** Folders of timm that say no more than an architecture, and the variants that they are of: the same parameters. */
export function testArchitectures(
  family: string,
  known: readonly (readonly [architecture: string, variant: string])[],
): void {
  test.each(known)('%s is %s', async (architecture, variant) => {
    const said = { architecture, num_classes: 5, pretrained_cfg: {} };
    const files = { 'config.json': JSON.stringify(said), 'model.safetensors': encodeSafetensors(new Map()) };
    const own: Host = { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) };
    const shapes = async (s: TextSpec) =>
      [...(await analyseModel(s, { host: own })).elaborated.module.params.values()].map(
        (p) => `${p.name} ${p.type.shape}`,
      );
    const plain: TextSpec = { text: `use std\nmodel M {\n  base = ${variant}()\n}\n`, path: 'family.peft' };
    expect(await shapes(specOf({ base: `${family}()`, from: 'f' }))).toEqual(await shapes(plain));
  });
}

/** Rows of a tensor in so many equal parts. */
export function rows(t: Tensor, parts: number): Tensor[] {
  const shape = [t.type.shape[0]! / parts, ...t.type.shape.slice(1)];
  const size = sizeOf(shape);
  return Array.from({ length: parts }, (_, i) => tensor(shape, t.data.slice(i * size, (i + 1) * size)));
}

/** LoRA and KARST on layers of a case: merged, the same result, and only these tensors changed; `onGpu`: KARST's by kernels too, where that is quick; `karst`: how it is put there. */
export function testAdapters(
  c: Case,
  sites: string,
  changes: RegExp,
  count: number,
  onGpu = true,
  karst = 'karst(rank: 2, factor: 2)',
): void {
  const folder = scratch();
  test.each([
    ['lora', 'lora(rank: 2)', false],
    ['karst', karst, true],
  ])('%s on it merges, into the kernels of the plain one', async (name, adapter, gpu) => {
    const s = await adapted((body) => specOf(c, body), folder, name, `  adapt ${sites} with ${adapter}`);
    const { pixels, want } = await wanted(c);
    const changed = await expectMerge(s, specOf(c), c.from, pixels, want, changes);
    expect(changed.filter((n) => !n.endsWith('bias'))).toHaveLength(count);
    // By the kernels of the plain one.
    const [compiled, plain] = [await compile(s, { host }), await compile(specOf(c), { host })];
    expect(new Set(compiled.report.map((a) => a.state))).toEqual(new Set(['merged']));
    expect(compiled.program.entries[0]!.dispatches).toHaveLength(plain.program.entries[0]!.dispatches.length);
    if (gpu && onGpu) await expectOnGpu(s, join(folder, name), pixels, await resultOf(s, pixels, want), 1e-5);
  });
}

/** How many parameters the backbone of a variant has, as Python counts them. */
export function testSizes(sizes: readonly (readonly [variant: string, count: number])[]): void {
  test.each(sizes)('%s has as many parameters', (variant, count) => {
    const call = variant.endsWith(')') ? variant : `${variant}()`;
    const { module } = good(`use std\nmodel M {\n  base = ${call} from "./weights"\n}`);
    const counted = [...module.params.values()].filter((p) => p.role === 'frozen' && p.name.startsWith('base.'));
    expect(counted.reduce((sum, p) => sum + sizeOf(p.type.shape), 0)).toBe(count);
  });
}
