/**
 * Folders in every form that the library peft writes (`test/reference/make_peft_forms.py`), on one model under the names of transformers and of timm: the logits
 * that peft gives when it loads them, unmerged, and of the merged checkpoint.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { exportAdapters, merge } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import type { EspalierError } from '../../../src/diagnostics/types.js';
import { openCheckpoint } from '../../../src/formats/checkpoint.js';
import { memorySource } from '../../../src/formats/tensors/bytes.js';
import { openSafetensors } from '../../../src/formats/tensors/store.js';
import type { Tensor } from '../../../src/ir/types.js';
import { expectOnGpu, resultOf } from '../../backbones/support.js';
import { memoryFolder } from '../../folders.js';
import { maxDifference } from '../../tensors.js';
import { FIXTURES, host, readTensors, scratch, type TextSpec } from '../support.js';

const folder = scratch();
const FORMS = join(FIXTURES, 'peft', 'forms');
const BASES = { transformers: join(FORMS, 'base'), timm: join(FIXTURES, 'timm', 'plain') } as const;
type Base = keyof typeof BASES;
const pixels = (await readTensors(join(BASES.timm, 'reference.safetensors'))).get('pixels')!;

/** Statements on a base; FOLDER is the adapter's. */
const specOf = (base: Base, form: string, body = ''): TextSpec => ({
  text: `use std\nmodel M {\n  base = vit_auto() from "${BASES[base]}"\n  head = classify(base)\n${body.replaceAll('FOLDER', join(FORMS, form))}\n}\n`,
  path: 'forms.peft',
});
const wanted = async (form: string): Promise<Tensor> =>
  (await readTensors(join(FORMS, form, 'reference.safetensors'))).get('logits')!;
const far = (found: Tensor, want: Tensor): number =>
  maxDifference(found, want) / Math.max(...Array.from(want.data, Math.abs));

const HEAD = '  tune head from "FOLDER"';
const lora = (...sites: string[]) => `  adapt base.blocks[*].{${sites.join(', ')}} with lora() from "FOLDER"`;
const dora = (...sites: string[]) => `  adapt base.blocks[*].{${sites.join(', ')}} with dora() from "FOLDER"`;
const [q, v, parts] = ['attn.qkv.q', 'attn.qkv.v', 'attn.qkv.{q, k, v}'];

/** By form: what a spec says of it. */
const TRANSFORMERS: Readonly<Record<string, string>> = {
  'lora-only': lora(q, v, 'mlp.fc1'),
  'bias-all': `${lora(q)}\n${HEAD}`,
  'lora-bias': lora(parts, 'mlp.fc2'),
  rslora: lora(q, 'mlp.fc1', 'mlp.fc2'),
  pissa: lora(q, v, 'mlp.fc1'),
  'pissa-dora': dora(v, 'mlp.fc2'),
  'pissa-converted': lora(q, 'mlp.fc1'),
  olora: lora('attn.qkv.k', 'attn.proj', 'mlp.fc1', 'mlp.fc2'),
  orthogonal: lora(q, 'mlp.fc1'),
  mica: lora(q, 'mlp.fc1'),
  eva: lora(q, 'mlp.fc1'),
  'some-layers': '  adapt base.blocks[1].{attn.qkv.v, mlp.fc1} with lora() from "FOLDER"',
  'all-linear': `${lora(parts, 'mlp.fc1', 'mlp.fc2')}\n${HEAD}`,
  saved: `${lora('mlp.fc2')}\n${HEAD}\n  tune base.norm from "FOLDER"\n  tune base.blocks[1].attn from "FOLDER"`,
};
const TIMM: Readonly<Record<string, string>> = {
  'timm-lora': `${lora('attn.qkv', 'mlp.fc1')}\n${HEAD}`,
  'timm-dora': dora('attn.qkv', 'attn.proj'),
  'timm-biases': `${lora('attn.qkv', 'mlp.fc2')}\n${HEAD}`,
  'timm-pissa': lora('attn.qkv', 'mlp.fc1'),
};
/** The embedding of patches is a convolution of several places. */
const patches = (adapter: string): string => `  adapt base.patch_embed with ${adapter}() from "FOLDER"`;
const CONVOLUTIONS: Readonly<Record<string, string>> = {
  'timm-convolution': patches('lora_conv'),
  'timm-qkv-proj': `${lora('attn.qkv', 'attn.proj')}\n${patches('lora_conv')}`,
  'timm-dora-qkv-proj': `${dora('attn.qkv', 'attn.proj')}\n${patches('dora_conv')}`,
};
/** What is trained on a layer as a whole, as adapters of its parts. */
const CUT: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(TIMM).map(([form, body]) => [form, body.replace('attn.qkv', parts)]),
);

type Row = readonly [form: string, base: Base, what: string, body: string];
const on = (
  base: Base,
  cases: Readonly<Record<string, string>>,
  some = Object.keys(cases),
  what = 'its layers',
): Row[] => some.map((form) => [form, base, what, cases[form]!]);
const ROWS: readonly Row[] = [
  ...on('transformers', TRANSFORMERS),
  ...on('timm', TRANSFORMERS, ['lora-only', 'lora-bias', 'pissa-dora', 'saved']),
  ...on('timm', TIMM),
  ...on('timm', CONVOLUTIONS),
  ...on('transformers', CONVOLUTIONS, ['timm-dora-qkv-proj']),
  ...on('transformers', TIMM, ['timm-dora', 'timm-biases', 'timm-pissa']),
  ...on('transformers', CUT, Object.keys(CUT), 'their parts'),
];

/** A checkpoint of files in memory, in place of the base's. */
const inPlace = async (files: ReadonlyMap<string, string | Uint8Array | Uint8Array[]>) => {
  const whole = [...files].map(([name, c]) => [name, Array.isArray(c) ? Buffer.concat(c) : c] as const);
  const opened = await openCheckpoint(memoryFolder('merged', Object.fromEntries(whole)));
  return { ...host, openCheckpoint: async () => opened };
};

test.each(ROWS)('%s on the base of %s, on %s: the logits of peft', async (form, base, _, body) => {
  const want = await wanted(form);
  const spec = specOf(base, form, body);
  expect(far(await resultOf(spec, pixels, want), want)).toBeLessThan(1e-5);
  if (['orthogonal', 'mica', 'eva', 'some-layers'].includes(form)) return;
  const { files, warnings } = await merge(spec, { host });
  expect(warnings.filter((w) => w.severity !== 'note')).toEqual([]);
  expect(far(await resultOf(specOf(base, form), pixels, want, await inPlace(files)), want)).toBeLessThan(1e-5);
});

describe('biases of the base', () => {
  const spec = specOf('transformers', 'lora-only', TRANSFORMERS['lora-only']);

  test('are said, and stand in place of the base’s: some rows of a fused layer’s', async () => {
    const { files, warnings, changed } = await merge(spec, { host });
    // The base has no preprocessor_config.json, which is said too.
    expect(warnings.map((w) => w.code)).toEqual(['ESP1293', 'ESP1304']);
    expect(warnings.slice(0, 1).map((w) => [w.code, w.message.replace(/^.*forms/, '')])).toEqual([
      [
        'ESP1293',
        '/lora-only/adapter_model.safetensors: 6 biases of the base\'s layers were trained with the adapter (bias = "lora_only"), and stand in place of the base\'s own',
      ],
    ]);
    expect(files.size).toBeGreaterThan(0);
    const biases = changed.filter((n) => n.endsWith('bias')).map((n) => n.replace('vit.encoder.layer.', ''));
    expect(biases.toSorted()).toEqual(
      [0, 1].flatMap((i) => [
        `${i}.attention.attention.query.bias`,
        `${i}.attention.attention.value.bias`,
        `${i}.intermediate.dense.bias`,
      ]),
    );
  });

  test('are compiled in', async () => {
    const want = await wanted('timm-biases');
    await expectOnGpu(specOf('timm', 'timm-biases', TIMM['timm-biases']), join(folder, 'biases'), pixels, want, 1e-5);
  });

  test('go into the folder that is exported, and come out of it again', async () => {
    for (const [form, bias] of [
      ['lora-only', 'lora_only'],
      ['bias-all', 'all'],
      ['timm-biases', 'all'],
    ] as const) {
      const base = form.startsWith('timm') ? 'timm' : 'transformers';
      const body = { ...TRANSFORMERS, ...TIMM }[form]!;
      const { files } = await exportAdapters(specOf(base, form, body), { host });
      const config = JSON.parse(files.get('adapter_config.json') as string) as Record<string, unknown>;
      expect(config.bias).toBe(bias);
      expect(config.lora_bias ?? false).toBe(form === 'timm-biases');
      const folder = await openCheckpoint(memoryFolder('exported', Object.fromEntries(files)));
      const own = {
        ...host,
        openCheckpoint: async (path: string) =>
          path.includes('forms/base') || path.endsWith('plain') ? host.openCheckpoint(path) : folder,
      };
      const want = await wanted(form);
      const found = await resultOf(specOf(base, form, body.replaceAll('FOLDER', '/exported')), pixels, want, own);
      expect(far(found, want)).toBeLessThan(1e-5);
    }
  });

  test('of two folders are two, and a model has one', async () => {
    const two = `${TRANSFORMERS['lora-only']!.replace('mlp.fc1', 'attn.proj').replaceAll('FOLDER', join(FORMS, 'bias-all'))}`;
    const spec = specOf(
      'transformers',
      'lora-only',
      `${lora(q, v, 'mlp.fc1')}\n${two.replace(/\{.*\}/, '{attn.qkv.q}')}\n  tune head from "${join(FORMS, 'bias-all')}"`,
    );
    await expect(resultOf(spec, pixels, await wanted('lora-only'))).rejects.toThrow(
      /ESP0507.*bias-all: holds another base\.blocks\.0\.\S*bias than \S*lora-only/,
    );
  });

  test('leave alone what a file is named for', async () => {
    const spec = specOf('transformers', 'bias-all', `${lora(q)}\n${HEAD}`);
    const { get, replaced } = await loadParameters(await analyseModel(spec, { host }));
    expect([replaced.has('head.fc.bias'), replaced.has('base.norm.bias')]).toEqual([false, true]);
    const saved = await readTensors(join(FORMS, 'bias-all', 'adapter_model.safetensors'));
    for (const [param, name] of [
      ['head.fc.bias', 'classifier.modules_to_save.bias'],
      ['base.norm.bias', 'vit.layernorm.bias'],
    ] as const)
      expect([...get(param).data]).toEqual([...saved.get(`base_model.model.${name}`)!.data]);
    // What was trained is not what it was.
    const before = saved.get('base_model.model.classifier.original_module.bias')!;
    expect([...get('head.fc.bias').data]).not.toEqual([...before.data]);
  });

  test('of another size do not fit', async () => {
    const opened = await host.openCheckpoint(join(FORMS, 'lora-only'));
    const biases = new Map(
      [...opened.peft!.biases].map(([name, entry]) => [name, { ...entry, shape: [entry.shape[0]! + 1] }]),
    );
    const other = { ...opened, peft: { ...opened.peft!, biases } };
    const own = {
      ...host,
      openCheckpoint: async (path: string) => (path.endsWith('lora-only') ? other : host.openCheckpoint(path)),
    };
    const want = await wanted('lora-only');
    await expect(resultOf(spec, pixels, want, own)).rejects.toThrow(
      /ESP0510[\s\S]*q_proj\.base_layer\.bias is \[9\], the model has \[8\], for base\.blocks\.0\.attn\.qkv\.bias/,
    );
  });
});

test('pairs of convolutions go into the folder that is exported, as peft has them', async () => {
  for (const [form, body] of Object.entries(CONVOLUTIONS)) {
    const { files, adapted } = await exportAdapters(specOf('timm', form, body), { host });
    expect(adapted).toContain('patch_embed.proj');
    const exported = await openCheckpoint(memoryFolder('exported', Object.fromEntries(files)));
    const theirs = await readTensors(join(FORMS, form, 'adapter_model.safetensors'));
    const ours = (await openSafetensors(memorySource('a', files.get('adapter_model.safetensors') as Uint8Array)))
      .tensors;
    // Newer versions of peft read both names of a magnitude.
    const named = (name: string): string => name.replace(/vector\.weight$/, 'vector');
    expect([...ours.keys()].map(named).toSorted()).toEqual([...theirs.keys()].toSorted());
    // Pairs of a smaller rank have become such of the adapter's.
    for (const [name, { shape }] of ours)
      if (name.includes('patch_embed')) expect([name, shape]).toEqual([name, theirs.get(named(name))!.type.shape]);
    const own = {
      ...host,
      openCheckpoint: async (path: string) => (path.endsWith('plain') ? host.openCheckpoint(path) : exported),
    };
    const want = await wanted(form);
    const found = await resultOf(specOf('timm', form, body.replaceAll('FOLDER', '/exported')), pixels, want, own);
    expect(far(found, want)).toBeLessThan(1e-5);
  }
});

describe('what is refused', () => {
  const refused = async (spec: TextSpec): Promise<string> => {
    try {
      const { get } = await loadParameters(await analyseModel(spec, { host }));
      return `loaded ${get('head.fc.bias').type.shape}`;
    } catch (error) {
      return (error as Error).message;
    }
  };

  test.each(['timm-lora', 'timm-dora'])(
    '%s: a pair of a whole layer where some of its parts are adapted',
    async (form) => {
      const body = TIMM[form]!.replace('attn.qkv', 'attn.qkv.{q, v}');
      expect(await refused(specOf('transformers', form, body))).toMatch(
        /ESP1292.*forms\/\S+ adapts blocks\.0\.attn\.qkv as a whole, which is base\.blocks\[0\]\.attn\.qkv, and the spec does not adapt base\.blocks\[0\]\.attn\.qkv\.k/,
      );
    },
  );

  test('pairs of parts for a layer as a whole: each has an A of its own', async () => {
    expect(await refused(specOf('timm', 'lora-bias', lora('attn.qkv', 'mlp.fc2')))).toMatch(/ESP0523.*an A of its own/);
  });

  test('a pair of a convolution that the spec does not adapt: what fits is said', async () => {
    const places = (text: string) => text.replaceAll(FORMS, '');
    for (const [form, options] of [
      ['timm-qkv-proj', 'rank: 3, alpha: 4.5, bias: true'],
      ['timm-dora-qkv-proj', 'rank: 2, alpha: 3'],
    ] as const) {
      const body = CONVOLUTIONS[form]!.split('\n')[0]!;
      const name = form.includes('dora') ? 'dora' : 'lora';
      const spec = specOf('timm', form, body);
      const error = await resultOf(spec, pixels, await wanted(form)).catch((e: unknown) => e as EspalierError);
      const [found] = (error as EspalierError).diagnostics;
      expect(found?.code).toBe('ESP0510');
      expect(places((found?.help ?? []).join('\n'))).toContain(
        `What fits it: \`adapt base.patch_embed with ${name}_conv(${options}) from "/${form}"\` and ` +
          `\`adapt base.blocks[*].{attn.qkv, attn.proj} with ${name}(${options}) from "/${form}"\`.`,
      );
    }
  });

  test('a start that numbers do not show: equal singular values, columns that depend on each other', async () => {
    const base = await host.openCheckpoint(BASES.transformers);
    const flat = (name: string): boolean =>
      /layer\.0\.(attention\.attention\.(query|key)|intermediate\.dense)\.weight$/.test(name);
    const tensors = new Map(
      [...base.store.tensors].map(([name, entry]) => [
        name,
        flat(name)
          ? {
              ...entry,
              read: async () => ({
                type: (await entry.read()).type,
                data: new Float32Array((await entry.read()).data.length).fill(1),
              }),
            }
          : entry,
      ]),
    );
    const same = {
      ...host,
      openCheckpoint: async (path: string) =>
        path.endsWith('forms/base') ? { ...base, store: { ...base.store, tensors } } : host.openCheckpoint(path),
    };
    for (const form of ['pissa', 'olora'])
      await expect(
        resultOf(specOf('transformers', form, TRANSFORMERS[form]), pixels, await wanted(form), same),
      ).rejects.toThrow(
        new RegExp(`ESP1291.*"${form}" took numbers out.*which part of the weight of vit\\.layers\\.0\\.`),
      );
  });
});
