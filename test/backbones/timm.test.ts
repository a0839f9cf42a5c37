/** ViT and DeiT of the library on folders as timm and transformers save them (`test/reference/make_timm.py`): numbers, preprocessing, adapters, the way back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, merge } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { looksLike } from '../../src/formats/lookalike.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, readTensors } from '../api/support.js';
import { scratch } from '../e2e/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';
import { adapted, expectMerge, expectOnGpu, resultOf, type SpecOf } from './support.js';

const folder = scratch();
const at = (name: string) => join(FIXTURES, 'timm', name);
const LIKE = tensor([2, 5], new Float64Array(10));

const specOf =
  (name: string, base = 'vit_auto()'): SpecOf =>
  (body = '') => ({
    text: `use std\nmodel M {\n  base = ${base} from "${at(name)}"\n  head = classify(base)\n${body}\n}\n`,
    path: 'timm.peft',
  });
const reference = (name: string): Promise<ReadonlyMap<string, Tensor>> =>
  readTensors(join(at(name), 'reference.safetensors'));
const relative = (found: Tensor, want: Tensor): number =>
  maxDifference(found, want) / Math.max(...want.data.map(Math.abs));

const CASES: readonly (readonly [name: string, base: string])[] = [
  ['plain', 'vit_auto'],
  ['wrapped', 'vit_auto'],
  ['registers', 'vit_auto'],
  ['gap', 'vit_auto'],
  ['normed', 'vit_auto'],
  ['prefixed', 'vit_auto'],
  ['distilled', 'vit_auto'],
  ['distilled', 'deit_auto'],
  ['deit3', 'deit_auto'],
  ['teacher', 'deit_auto'],
  ['deit', 'deit_auto'],
];

describe('gives the logits of timm and transformers', () => {
  test.each(CASES)('%s by %s', async (name, base) => {
    const refs = await reference(name);
    const logits = await resultOf(specOf(name, `${base}()`)(), refs.get('pixels')!, LIKE);
    expect(relative(logits, refs.get('logits64')!)).toBeLessThan(1e-6);
  });

  test.each(CASES.filter(([name]) => ['plain', 'registers', 'distilled', 'teacher', 'deit'].includes(name)))(
    '%s by %s on larger images, for which positions are resampled',
    async (name, base) => {
      const refs = await reference(name);
      const logits = await resultOf(specOf(name, `${base}(image: 24)`)(), refs.get('pixels24')!, LIKE);
      // Resampled in f32 there.
      expect(relative(logits, refs.get('logits24_64')!)).toBeLessThan(1e-6);
    },
  );

  test.each(['registers', 'normed'])('%s on the GPU', async (name) => {
    const refs = await reference(name);
    await expectOnGpu(specOf(name)(), join(folder, name), refs.get('pixels')!, refs.get('logits64')!, 1e-5);
  });

  test('on the GPU with positions resampled when it is compiled', async () => {
    const refs = await reference('plain');
    const compiled = await expectOnGpu(
      specOf('plain', 'vit_auto(image: 24)')(),
      join(folder, 'larger'),
      refs.get('pixels24')!,
      refs.get('logits24_64')!,
      1e-5,
    );
    const plain = await compile(specOf('plain')(), { host });
    expect(compiled.program.entries[0]!.dispatches.length).toBe(plain.program.entries[0]!.dispatches.length);
  });
});

const SITES = 'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}';
const ADAPTERS: readonly (readonly [string, string])[] = [
  ['lora', `  adapt ${SITES} with lora(rank: 2)`],
  ['karst', `  adapt ${SITES} with karst(kernels: 1, rank: 2, factor: 2)`],
];

describe('adapters', () => {
  test.each(['registers', 'normed', 'distilled', 'deit'].flatMap((name) => ADAPTERS.map((a) => [name, ...a] as const)))(
    '%s: %s merges: the same logits, only those tensors changed, and a file of the same layout',
    async (name, adapter, body) => {
      const of = specOf(name, name === 'deit' ? 'deit_auto()' : 'vit_auto()');
      const refs = await reference(name);
      const s = await adapted(of, folder, `${name}-${adapter}`, body);
      const like = refs.get('logits64')!;
      await expectMerge(
        s,
        of(),
        at(name),
        refs.get('pixels')!,
        like,
        /(qkv|query|key|value|proj|dense|fc1|fc2)\.(weight|bias)$/,
      );
      const compiled = await compile(s, { host });
      const plain = await compile(of(), { host });
      expect(compiled.report.map((a) => a.state)).toEqual(Array.from({ length: 8 }, () => 'merged'));
      expect(compiled.program.entries[0]!.dispatches.length).toBe(plain.program.entries[0]!.dispatches.length);
    },
  );
});

describe('a folder of timm', () => {
  /** The plain folder with other fields in its configuration. */
  const changed = (
    change: (config: Record<string, unknown> & { pretrained_cfg: object; model_args: object }) => object,
  ) => {
    const config = JSON.parse(readFileSync(join(at('plain'), 'config.json'), 'utf8'));
    const files = {
      'config.json': JSON.stringify(change(config)),
      'model.safetensors': readFileSync(join(at('plain'), 'model.safetensors')),
    };
    return { host: { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) } };
  };
  const read = async (change: Parameters<typeof changed>[0], base = 'vit_auto()') =>
    (
      await analyseModel(
        { text: `use std\nmodel M {\n  base = ${base} from "f"\n  head = classify(base)\n}\n`, path: 's.peft' },
        changed(change),
      )
    ).elaborated;
  const withCfg = (fields: object) => (c: { pretrained_cfg: object }) => ({
    ...c,
    pretrained_cfg: { ...c.pretrained_cfg, ...fields },
  });
  const withArgs = (fields: object) => (c: { model_args: object }) => ({
    ...c,
    model_args: { ...c.model_args, ...fields },
  });

  test('says classes, and how it is preprocessed', async () => {
    const { labels, preprocess } = await read((c) => c);
    expect(labels).toEqual(['ant', 'bee', 'cat', 'dog', 'eel']);
    // floor(16 / 0.9), then the middle.
    expect(preprocess).toEqual([
      { step: 'resize', size: 17, filter: 'bicubic' },
      { step: 'crop', size: [16, 16], rounding: 'even' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ]);
  });

  test.each<[string, object, object]>([
    ['squash', { crop_mode: 'squash', crop_pct: 1 }, { size: [16, 16], filter: 'bicubic' }],
    ['no crop said', { crop_pct: null }, { size: 18, filter: 'bicubic' }],
    ['no filter and no mode said', { interpolation: null, crop_mode: null }, { size: 17, filter: 'bicubic' }],
    ['bilinear', { interpolation: 'bilinear' }, { size: 17, filter: 'bilinear' }],
  ])('is resized as timm resizes: %s', async (_, fields, expected) => {
    expect((await read(withCfg(fields))).preprocess?.[0]).toMatchObject(expected);
  });

  test('is preprocessed for the images that the spec asks for', async () => {
    expect((await read((c) => c, 'vit_auto(image: 24)')).preprocess).toMatchObject([
      { size: 26 },
      { size: [24, 24] },
      {},
    ]);
  });

  test('gives the number of classes where they have no names, and classes of its names by number', async () => {
    const e = await read(({ label_names: _, ...c }) => c);
    expect(e.labels).toBeUndefined();
    expect(e.module.params.get('head.fc.weight')!.type.shape).toEqual([5, 8]);
    const { labels } = await read((c) => ({ ...c, label_names: { 0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e' } }));
    expect(labels).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test.each<[string, (c: never) => object, string, string]>([
    [
      'an unknown architecture',
      (c: object) => ({ ...c, architecture: 'vit_tiny_patch16_225' }),
      'ESP0540',
      'The nearest that it knows is "vit_tiny_patch16_224"',
    ],
    ['another family', (c: object) => ({ ...c, architecture: 'resnet50' }), 'ESP0508', 'of type "resnet50"'],
    [
      'an argument that changes the model',
      withArgs({ scale_mlp_norm: true }),
      'ESP0509',
      'model_args.scale_mlp_norm = true',
    ],
    ['pooling that is not there', withArgs({ global_pool: 'map' }), 'ESP0509', 'model_args.global_pool = "map"'],
    ['positions that are not learned', withArgs({ pos_embed: 'none' }), 'ESP0509', 'model_args.pos_embed'],
    ['images that are not square', withArgs({ img_size: [16, 32] }), 'ESP0509', 'is not a square'],
    ['a border', withCfg({ crop_mode: 'border' }), 'ESP0509', 'do_crop_by_border'],
    ['a filter of chance', withCfg({ interpolation: 'random' }), 'ESP0509', 'resample = "random"'],
  ])('is refused with %s', async (_, change, code, words) => {
    const said = read(change as (c: object) => object).then(
      () => 'nothing',
      (e: { diagnostics: { code: string; message: string; help: string[] }[] }) =>
        e.diagnostics.map((d) => [d.code, d.message, ...d.help].join('\n')).join('\n'),
    );
    expect(await said).toContain(code);
    expect(await said).toContain(words);
  });

  test('of another size than the spec says names the variant that it is', async () => {
    const said = read((c) => c, 'vit_base_patch16()').then(
      () => 'nothing',
      (e: { diagnostics: { help: string[] }[] }) => e.diagnostics[0]!.help.join('\n'),
    );
    expect(await said).toContain('`vit_tiny_patch16` reads it: write `vit_tiny_patch16()`.');
  });

  test('is written back as it was, with the names of other classes', async () => {
    const text = `use std\nmodel M {\n  base = vit_auto() from "${at('plain')}"\n  head = classify(base, classes: ["x", "y"])\n  tune head\n  adapt base.blocks[0].mlp.fc1 with ssf()\n}\n`;
    const { files, changed: names } = await merge({ text, path: 's.peft' }, { host });
    const config = JSON.parse(String(files.get('config.json')));
    expect(config).toMatchObject({ architecture: 'vit_tiny_patch16_224', num_classes: 2, label_names: ['x', 'y'] });
    expect(names.toSorted()).toEqual(['blocks.0.mlp.fc1.bias', 'blocks.0.mlp.fc1.weight', 'head.bias', 'head.weight']);
  });
});

describe('a bare file of timm', () => {
  const bare = {
    ...host,
    openCheckpoint: () =>
      openCheckpoint(memorySource('w.safetensors', readFileSync(join(at('plain'), 'model.safetensors')))),
  };
  const PLAIN = 'patch: 4, dim: 8, depth: 2, image: 16';
  const read = (base: string, head = 'classify(base, classes: 5)', more = '') =>
    analyseModel(
      {
        text: `use std\nmodule mine(base: module) {\n  fc1 = Linear(base.dim -> 5)\n  forward(pixels) { fc1(base(pixels)[:, 0]) }\n}\nmodel M {\n  base = ${base} from "w"\n  head = ${head}\n${more}}\n`,
        path: 's.peft',
      },
      { host: bare },
    );
  const warned = async (...args: Parameters<typeof read>) =>
    (await read(...args)).warnings.map((d) => `${d.code}: ${d.message}`);

  test('does not show heads, epsilons, functions and pooling: what is taken for them is said', async () => {
    expect(await warned(`vit_auto(${PLAIN}, heads: 2)`)).toEqual([
      'ESP0541: `w` does not show all that its model computes; taken for it: eps: 0.000001, activation: gelu, global_pool: token',
    ]);
    expect(await warned(`vit_auto(${PLAIN}, heads: 2, eps: 1e-6, activation: gelu, global_pool: token)`)).toEqual([]);
  });

  test('that is of a published size says which, where the spec says another', async () => {
    const analysis = await read(`vit_base_patch16()`);
    const known = [
      {
        variant: 'small',
        names: [{ param: 'p', tensor: 'blocks.0.attn.proj.weight' }],
        types: new Map([['p', { dtype: 'f32' as const, shape: [8, 8] }]]),
      },
      {
        variant: 'large',
        names: [{ param: 'p', tensor: 'blocks.0.attn.proj.weight' }],
        types: new Map([['p', { dtype: 'f32' as const, shape: [9, 9] }]]),
      },
    ];
    const store = {
      name: 'w',
      metadata: {},
      tensors: new Map(
        [...analysis.checkpoints.get('w')!.store.tensors].filter(([n]) => n === 'blocks.0.attn.proj.weight'),
      ),
    };
    expect(looksLike(store, known)).toEqual(['small']);
    const own = `use std\nvariant tiny = vit_auto(${PLAIN}, heads: 2)\nmodel M {\n  base = vit_tiny_patch16(eps: 1e-6) from "w"\n}\n`;
    const other = await analyseModel({ text: own, path: 's.peft' }, { host: bare });
    await expect(loadParameters(other)).rejects.toMatchObject({
      diagnostics: [{ code: 'ESP0510', help: expect.arrayContaining(['It looks like `tiny`.']) }],
    });
  });

  test('has a classifier that a head of another kind does not take: said where the spec has that head', async () => {
    const said = 'eps: 1e-6, activation: gelu, global_pool: token';
    const { warnings } = await read(`vit_auto(${PLAIN}, heads: 2, ${said})`, 'mine(base)');
    expect(warnings.map((d) => d.code)).toEqual(['ESP0542']);
    expect(warnings[0]!.message).toContain('has head.bias for `head.fc`');
    expect(warnings[0]!.primary!.span.file).toBe('s.peft');
    expect(await warned(`vit_auto(${PLAIN}, heads: 2, ${said})`, 'mine(base)', '  tune head\n')).toEqual([]);
  });

  test('an option that no backbone has is not unseen', async () => {
    const text =
      'use std\nvariant v = vit_auto(dim: 8) {\n  names timm {\n    unseen hedas\n  }\n}\nmodel M {\n  base = v(depth: 1, heads: 1)\n}\n';
    await expect(analyseModel({ text, path: 's.peft' }, { host })).rejects.toThrow('ESP0203');
  });
});
