/** BEiT of the library on what transformers and timm save (`test/reference/make_beit.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, merge } from '../../src/api/index.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host, scratch } from '../api/support.js';
import {
  type Case,
  specOf,
  testArchitectures,
  testNames,
  testNumbers,
  testSizes,
  testTimmFolder,
  wanted,
} from './family.js';
import { adapted, expectMerge } from './support.js';

const FOLDER = join(FIXTURES, 'beit');
const HEAD = 'classify(base, classes: 5)';
const options = 'table_image: 16, patch: 4, dim: 8, depth: 2, heads: 2, ';
const of = (folder: string, prefix: string, more: Partial<Case> & { readonly call?: string } = {}): Case => ({
  name: `${folder} ${prefix}`,
  base: more.call ?? `beit_auto(${prefix ? 'image: 24' : ''})`,
  from: join(FOLDER, folder),
  head: HEAD,
  reference: join(FOLDER, folder, 'reference.safetensors'),
  prefix,
  ...more,
});
const both = (folder: string, more: Partial<Case> = {}): Case[] => [
  of(folder, '', more),
  of(folder, 'larger.', { ...more, gpu: more.gpu ?? true }),
];
const tokens = { what: 'features' };
const call = (more: string) => `beit_auto(${options}${more})`;
const file = (folder: string) => join(FOLDER, folder, 'model.safetensors');
/** A file without a configuration, as timm has it. */
const bare = (folder: string, prefix: string, more: string, gpu = false) =>
  of(folder, prefix, { call: call(`${more}${prefix ? ', image: 24' : ''}`), from: file(folder), gpu });
const TIMM = 'hidden: 32, eps: 1e-6, activation: gelu';
const SHARED = `${TIMM}, absolute: true, relative: false, shared_relative: true, global_pool: token`;
const plain = of('classifier', '');
/** As the configurations of these folders have it. */
const TRANSFORMERS = 'hidden: 20, eps: 1e-12, table_filter: bilinear, position_antialias: false';
const named = bare('classifier', '', TRANSFORMERS);
const token = bare(
  'token',
  'larger.',
  `${TRANSFORMERS}, absolute: true, shared_relative: true, pooled_norm: false, layer_scale: 0, activation: gelu_tanh`,
);

describe('BEiT', () => {
  testNumbers([
    ...both('classifier'),
    ...both('masked', tokens).map(({ head: _, ...c }) => c),
    ...both('token', { gpu: false }),
    bare('timm', '', TIMM),
    bare('timm', 'larger.', TIMM, true),
    bare('timm_shared', '', SHARED),
    bare('timm_shared', 'larger.', SHARED),
  ]);

  testTimmFolder(join(FOLDER, 'timm'), 'beit_auto', 16, 24, 'base.blocks[*]', { swiglu_mlp: true });
  testArchitectures('beit_auto', [
    ['beit_base_patch16_384', 'beit_base_patch16_384'],
    ['beitv2_base_patch16_224', 'beitv2_base_patch16_224'],
  ]);
  testNumbers([
    {
      ...of('timm_shared', 'larger.'),
      name: 'a folder of timm that shares a table and reads its class token',
      head: 'classify(base)',
    },
  ]);

  const five = (name: string) =>
    name
      .replace('encoder.layer', 'layers')
      .replace(/attention\.attention\.(.)(?:uery|ey|alue)\./, 'attention.$1_proj.')
      .replace('attention.attention.relative', 'relative')
      .replace('encoder.relative_position_bias', 'shared_position_bias')
      .replace('attention.output.dense', 'attention.o_proj')
      .replace('intermediate.dense', 'mlp.fc1')
      .replace('output.dense', 'mlp.fc2');
  const index = (name: string) =>
    name.endsWith('relative_position_bias_table')
      ? [[name.replace('bias_table', 'index'), tensor([2, 2], new Float64Array(4))] as const]
      : [];
  testNames(
    'by the names of transformers 5',
    named,
    (name, t) => [[five(name), t]],
    join(FOLDER, 'classifier', 'names.json'),
  );
  testNames('and one table for all blocks', token, (name, t) => [[five(name), t]], join(FOLDER, 'token', 'names.json'));
  testNames('by the names of a bare model of transformers 4, with the buffers that it saves', named, (name, t) => [
    [name.replace('beit.', ''), t],
    ...index(name.replace('beit.', '')),
  ]);
  testNames('with the buffers that the authors save', bare('timm', '', TIMM), (name, t) => [[name, t], ...index(name)]);

  describe('adapters', () => {
    const folder = scratch();
    const spec = (body?: string) => specOf(plain, body);
    const graft = (adapter: string) => `  adapt base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with ${adapter}`;

    test('of weights merge, into a file of the same layout', async () => {
      const { pixels, want } = await wanted(plain);
      const s = await adapted(spec, folder, 'lora', graft('lora(rank: 2)'));
      const changes = /(attention\.(query|key|value)|output\.dense|intermediate\.dense)\.weight$/;
      expect(await expectMerge(s, spec(), plain.from, pixels, want, changes)).toHaveLength(12);
    });

    test('that shift keys merge into the program; of this layout, where keys have no bias, no file can hold it', async () => {
      const s = await adapted(spec, folder, 'karst', graft('karst(rank: 2, factor: 2)'));
      const compiled = await compile(s, { host });
      expect(compiled.report.map((a) => a.state)).toEqual(Array(8).fill('merged'));
      const base = await compile(spec(), { host });
      expect(compiled.program.entries[0]!.dispatches).toHaveLength(base.program.entries[0]!.dispatches.length);
      await expect(merge(s, { host })).rejects.toThrow('ESP0911');
    });
  });

  test('resamples its tables once, with the weights', async () => {
    const [own, larger] = [
      await compile(specOf(plain), { host }),
      await compile(specOf(of('classifier', 'larger.')), { host }),
    ];
    const count = (c: typeof own) => c.program.entries[0]!.dispatches.length;
    expect(count(larger)).toBe(count(own));
    // Of each head for every pair of the 37 tokens of larger images.
    expect(larger.program.weights.filter((w) => w.shape.join() === '1,2,37,37')).toHaveLength(2);
  });

  test('reads what the folder says: classes and preprocessing', async () => {
    const read = async (base: string) =>
      (await analyseModel(specOf({ base, from: join(FOLDER, 'classifier'), head: 'classify(base)' }), { host }))
        .elaborated;
    const { labels, preprocess } = await read('beit_auto()');
    expect(labels).toHaveLength(5);
    expect(preprocess).toEqual([
      { step: 'resize', size: [16, 16], filter: 'bilinear' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ]);
    expect((await read('beit_auto(image: 24)')).preprocess?.[0]).toMatchObject({ size: [24, 24] });
  });

  // As transformers and timm count them.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
