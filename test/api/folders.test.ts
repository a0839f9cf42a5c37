/** Folders in place of specs: the spec that a checkpoint or an adapter folder amounts to, written, and compiled as written. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { selectorsFor } from '../../src/api/folders/selectors.js';
import { analyse, type EspalierError, grad, merge, nodeHost, openTrainer, sweep, train } from '../../src/api/index.js';
import { specOfFolder } from '../../src/api/node/folders/spec-of.js';
import { loadParameters } from '../../src/api/parameters.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { cli, expectRefused, FASHION } from '../cli/support.js';
import { FIXTURES, failure, host, random, readTensors, resultAsWritten, scratch } from './support.js';

const PICTURE = readdirSync(join(FASHION, 'images', 'digits', '0')).map((f) =>
  join(FASHION, 'images', 'digits', '0', f),
)[0]!;

const folder = scratch();
const at = (name: string) => join(FIXTURES, name);

/** The statements of the model that a folder amounts to. Its tensors fit. */
async function amounts(name: string, base?: string): Promise<string> {
  const spec = await specOfFolder(at(name), { host, base: base && at(base) });
  await loadParameters(await analyseModel(spec, { host }));
  const [, body] = /^model \w+ \{\n([\s\S]*?)^\}/m.exec(spec.text)!;
  return body!.replace(/^ {2}/gm, '').trimEnd();
}

describe('what a folder amounts to', () => {
  test.each([
    ['vit-shards', 'base = vit_auto() from "./vit-shards"\nhead = classify(base)'],
    ['dinov2/plain', 'base = dinov2_auto(image: 24) from "./plain"\nhead = classify(base, pool: cls_mean)'],
    ['clip/classifier', 'base = clip_auto() from "./classifier"\nhead = classify(base, pool: mean)'],
    ['clip/model', 'base = clip_auto() from "./model"\nhead = embedding(base, dim: 6)'],
    ['swin/classifier', 'base = swin_auto() from "./classifier"\nhead = classify(base)'],
    ['timm/distilled', 'base = vit_auto() from "./distilled"\nhead = classify(base)'],
  ])('%s', async (name, want) => {
    expect(await amounts(name)).toBe(want);
  });

  test('a DoRA folder, whose base its configuration names, with the head that was trained', async () => {
    expect(await amounts('peft/theirs-dora')).toBe(`base = vit_auto() from "../vit-grey"
head = classify(base)
adapt base.blocks[*].{attn.qkv.q, attn.qkv.v, mlp.fc2} with dora(
  rank: 3,
  alpha: 4.5
) from "./theirs-dora"
tune head from "./theirs-dora"`);
  });

  test('is said where a spec takes less of an adapter folder than there is', async () => {
    const spec = await specOfFolder(at('peft/theirs-dora'), { host });
    const text = spec.text
      .replace(/adapt [\s\S]*?with/, 'adapt base.blocks[0].attn.qkv.q with')
      .replace(/^ *tune.*$/m, '');
    const error = await loadParameters(await analyseModel({ ...spec, text }, { host })).catch((e) => e);
    const [found] = (error as EspalierError).diagnostics;
    expect(found!.code).toBe('ESP0510');
    const graft = 'adapt base.blocks[*].{attn.qkv.q, attn.qkv.v, mlp.fc2} with dora(rank: 3, alpha: 4.5) from';
    for (const line of [graft, 'tune head from']) expect(found!.help.join('\n')).toContain(`\`${line}`);
  });

  test('a LoRA folder that does not name its base', async () => {
    const { codes, text } = await failure(() => specOfFolder(at('peft/ours-lora'), { host }));
    expect(codes).toEqual(['ESP1295']);
    expect(text).toMatch(/does not say which base it is for/);
    // Ranks and scales differ: the adapter has the largest rank, and what that makes of the first scale.
    expect(await amounts('peft/ours-lora', 'vit-grey')).toBe(`base = vit_auto() from "../vit-grey"
head = classify(base)
adapt base.blocks[*].{attn.qkv.q, attn.qkv.k, attn.qkv.v, mlp.fc1},
  base.blocks[0].attn.proj with lora(
  rank: 3,
  alpha: 3.674234614174767,
  rslora: true
) from "./ours-lora"
tune head from "./ours-lora"`);
  });
});

describe('an adapter folder whose modules are called otherwise', () => {
  /** `peft/theirs-dora` with other names of its tensors, and tensors more. */
  async function renamed(rename: (name: string) => string, more: Record<string, readonly number[]> = {}) {
    const there = join(folder, `renamed-${rename('x')}-${Object.keys(more).length}`);
    cpSync(at('peft/theirs-dora'), there, { recursive: true });
    const tensors = await readTensors(join(there, 'adapter_model.safetensors'));
    const named = [...tensors].map(([name, t]) => [rename(name), t] as const);
    const extra = Object.entries(more).map(
      ([name, shape]) => [`base_model.model.${name}`, random(name, shape)] as const,
    );
    const stored = new Map([...named, ...extra].map(([name, t]) => [name, storeTensor(t)]));
    writeFileSync(join(there, 'adapter_model.safetensors'), encodeSafetensors(stored));
    return there;
  }
  const specOn = (there: string) => specOfFolder(there, { host, base: at('vit-grey') });
  const pixels = random('pixels', [1, 1, 20, 20]);

  test.each([
    ['model.', (name: string) => name.replace('base_model.model.', 'base_model.model.model.')],
    ['_orig_mod.model.', (name: string) => name.replace('base_model.model.', 'base_model.model._orig_mod.model.')],
    [undefined, (name: string) => `module.${name}`],
  ])('behind the wrapper %s: it gives what it gives without, which is said', async (prefix, rename) => {
    const spec = await specOn(await renamed(rename));
    const { warnings } = await analyseModel(spec, { host });
    expect(warnings.flatMap((w) => (w.code === 'ESP1283' ? [w.message] : []))).toEqual(
      prefix === undefined ? [] : [expect.stringContaining(`read without \`${prefix}\``)],
    );
    const plain = await resultAsWritten(await specOn(at('peft/theirs-dora')), pixels);
    expect(await resultAsWritten(spec, pixels)).toEqual(plain);
  });

  test('of another network: no spec of the base alone is made', async () => {
    const there = await renamed((name) => name.replace('base_model.model.', 'base_model.model.net.'));
    const { codes, text } = await failure(() => specOn(there));
    expect(codes).toEqual(['ESP1295']);
    expect(text).toMatch(
      /none of the modules that it adapts is one of .*vit-grey: net\.\S+, net\.\S+, net\.\S+ and \d+ more/,
    );
  });

  test('with parameters that are of no layer, and all parts of one, saved', async () => {
    const of = 'vit.encoder.layer.1.attention.attention';
    const { params } = (await analyseModel(await specOn(at('peft/theirs-dora')), { host })).elaborated.module;
    const shape = (param: string) => params.get(param)!.type.shape;
    const [rows, width] = shape('base.blocks.1.attn.qkv.weight') as [number, number];
    const more = Object.fromEntries(['query', 'key', 'value'].map((p) => [`${of}.${p}.weight`, [rows / 3, width]]));
    const tokens = {
      'vit.embeddings.cls_token': shape('base.cls_token'),
      'vit.layernorm.weight': shape('base.norm.weight'),
    };
    const there = await renamed((name) => name, { ...more, ...tokens });
    const spec = await specOn(there);
    expect(spec.text).toMatch(/tune base\.cls_token, base\.norm\.weight, head, base\.blocks\[1\]\.attn\.qkv from/);
  });
});

test('selectors say exactly the sites, in as few words as their indices allow', () => {
  const paths = (stages: readonly (readonly number[])[], ...names: string[]) =>
    stages.flatMap((blocks, s) => blocks.flatMap((b) => names.map((n) => `base.stages.${s}.blocks.${b}.${n}`)));
  const all = [
    ...paths(
      [
        [0, 1],
        [0, 1, 2, 3],
      ],
      'fc1',
      'fc2',
    ),
    'base.norm',
    'head',
  ];
  expect(
    selectorsFor(
      paths(
        [
          [0, 1],
          [0, 1, 2, 3],
        ],
        'fc1',
        'fc2',
      ),
      all,
    ),
  ).toEqual(['base.stages[*].blocks[*].{fc1, fc2}']);
  expect(
    selectorsFor(
      paths(
        [
          [0, 1],
          [0, 1, 2],
        ],
        'fc1',
      ),
      all,
    ),
  ).toEqual(['base.stages[0].blocks[*].fc1', 'base.stages[1].blocks[0..3].fc1']);
  expect(selectorsFor([...paths([[], [0, 3]], 'fc2'), 'base.norm', 'head'], all)).toEqual([
    'base.stages[1].blocks[0, 3].fc2',
    'base.norm',
    'head',
  ]);
});

describe('a folder in place of a spec', () => {
  test('is compiled as what it amounts to, which is said', async () => {
    const merged = await merge(at('peft/theirs-dora'));
    const [note] = merged.warnings;
    expect(note).toMatchObject({
      code: 'ESP1296',
      severity: 'note',
      message: expect.stringContaining('  tune head from'),
    });
    expect(merged.changed).toContain('classifier.weight');
    const { value } = await analyse(at('vit-shards'));
    expect(value?.elaborated?.labels).toHaveLength(5);
  });

  test.each<[string, RegExp, object, string | undefined]>([
    [
      'a base that is not there',
      /its base, "gone", is not there \(looked for: gone, /,
      { base_model_name_or_path: 'gone' },
      undefined,
    ],
    [
      'a base that is a repository',
      /hf:org\/base@v1/,
      { base_model_name_or_path: 'org/base', revision: 'v1' },
      undefined,
    ],
    ['an adapter folder as a base', /no config\.json/, {}, 'peft/theirs-dora'],
  ])('%s', async (name, words, changes, base) => {
    const own = join(folder, name.replace(/\W/g, '-'));
    cpSync(at('peft/theirs-dora'), own, { recursive: true });
    const config = JSON.parse(readFileSync(join(own, 'adapter_config.json'), 'utf8'));
    writeFileSync(join(own, 'adapter_config.json'), JSON.stringify({ ...config, ...changes }));
    const offline = nodeHost({ offline: true });
    const { diagnostics } = await analyse(own, { host: offline, ...(base ? { base: at(base) } : {}) });
    expect(diagnostics.map((d) => d.code)).toEqual([name.endsWith('repository') ? 'ESP1298' : 'ESP1295']);
    expect(diagnostics[0]!.message).toMatch(words);
  });

  test('a checkpoint of a family that the library lacks: its name is said', async () => {
    const own = join(folder, 'unknown-family');
    cpSync(at('vit-grey'), own, { recursive: true });
    const config = JSON.parse(readFileSync(join(own, 'config.json'), 'utf8'));
    writeFileSync(join(own, 'config.json'), JSON.stringify({ ...config, model_type: 'levit' }));
    const { codes, text } = await failure(() => specOfFolder(own, { host }));
    expect(codes).toEqual(['ESP1295']);
    expect(text).toContain('unknown-family as its checkpoint, which is of the model_type "levit"');
  });

  test('a base for what has none is refused', async () => {
    const spec = { text: 'use std\nmodel M {\n  base = vit_tiny_patch16()\n}\n', path: 'm.peft' };
    expect((await failure(() => merge(spec, { base: at('vit-grey') }))).codes).toEqual(['ESP1295']);
    expect((await failure(() => merge(at('vit-grey'), { base: at('vit-grey') }))).codes).toEqual(['ESP1295']);
  });
});

test('`init --from` writes the spec, with ways from where it stands, and over a file only with --force', async () => {
  const file = join(folder, 'theirs-dora.peft');
  expect((await cli('init', folder, '--from', at('peft/theirs-dora'))).code).toBe(0);
  expect((await cli('check', file)).code).toBe(0);
  writeFileSync(file, 'mine');
  const refused = await cli('init', folder, '--from', at('peft/theirs-dora'));
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('ESP0916')]);
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect((await cli('init', folder, '--force', '--from', at('peft/theirs-dora'))).code).toBe(0);
  expect(readFileSync(file, 'utf8')).toContain('tune head');
  expect((await cli('init', folder, '--base', 'x')).code).not.toBe(0);
  expect(existsSync(join(folder, 'starter.peft'))).toBe(false);
});

describe('a folder in place of a program', () => {
  const adapter = at('peft/ours-lora');
  const base = at('vit-grey');

  test('is compiled and run, with its base where it does not name one, as `compile` makes it', async () => {
    const run = await cli('run', adapter, PICTURE, '--base', base, '--json');
    expect(run.err).toContain('ESP1296');
    expect(run.code).toBe(0);
    const out = join(folder, 'ours');
    expect((await cli('compile', adapter, '--base', base, '-o', out)).code).toBe(0);
    const compiled = await cli('run', out, PICTURE, '--json');
    expect(JSON.parse(run.out)).toEqual(JSON.parse(compiled.out));
    expectRefused(await cli('run', out, PICTURE, '--base', base), 2, 'ESP0922');
    expectRefused(await cli('run', join(out, 'program.json'), PICTURE), 2, 'ESP0905');
    expectRefused(await cli('eval', out, join(FASHION, 'images', 'digits'), '--set', 'a=1'), 2, 'ESP0922');
  });

  test('a spec, too', async () => {
    expect((await cli('init', folder, '--force', '--from', at('peft/theirs-dora'))).code).toBe(0);
    const run = await cli('run', join(folder, 'theirs-dora.peft'), PICTURE, '--csv');
    expect(run.out.split('\n')[0]).toBe('image,rank,class,probability');
    expect(run.out.split('\n').length).toBeGreaterThan(3);
  });

  test('is refused in the words of `compile` where it amounts to none', async () => {
    const said = /does not say which base it is for/;
    for (const command of [
      ['run', adapter, PICTURE],
      ['eval', adapter, folder],
      ['count', adapter, PICTURE],
      ['check', adapter],
    ]) {
      const { out, err } = await cli(...command);
      expect(err, command[0]).toMatch(said);
      expect(err).toContain('ESP1295');
      expect(out).toBe('');
    }
    expectRefused(await cli('run', folder, PICTURE), 2, 'ESP0905');
  });
});

describe('a folder that is to be trained', () => {
  const adapter = at('peft/theirs-dora');

  test('is refused with the lines to write, which train it on from its weights', async () => {
    const out = join(folder, 'run');
    const refused = (await train(adapter, { out })
      .next()
      .catch((e) => e)) as EspalierError;
    expect(refused.diagnostics.map((d) => d.code)).toEqual(['ESP1312']);
    const text = refused.diagnostics[0]!.help.join('\n');
    expect(existsSync(out)).toBe(false);
    const [, block] = /theirs-dora\.peft: (train .*\})/.exec(text)!;
    const spec = await specOfFolder(adapter, { host });
    const { value, diagnostics } = await analyse({
      ...spec,
      text: `${spec.text}\n${block!.replaceAll('  ', '\n').replace(' }', '\n}').replace('{ ', '{\n')}\n`,
    });
    expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
    expect(value!.elaborated!.train).toMatchObject({ epochs: 10 });
    // Its adapters and its head begin with the folder's tensors.
    const trained = value!.elaborated!.train!.groups.flatMap((g) => g.params);
    const theirs = value!
      .elaborated!.sources.filter((s) => s.location.endsWith('theirs-dora'))
      .flatMap((s) => s.params);
    expect(trained.length).toBeGreaterThan(10);
    expect(trained.filter((p) => !theirs.includes(p))).toEqual([]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['openTrainer', () => openTrainer(adapter)],
    ['grad', () => grad(adapter)],
    ['sweep', () => sweep(adapter, { out: join(folder, 'sweep') }).next()],
  ])('by %s', async (_, open) => {
    expect((await failure(open)).codes).toEqual(['ESP1312']);
  });

  test.each(['train', 'sweep'])('by `%s`, with the base that the command was given', async (command) => {
    const theirs = at('peft/ours-lora');
    const out = join(folder, 'by-command');
    const refused = await cli(command, theirs, '-o', out, '--base', at('vit-grey'));
    expectRefused(refused, 1, 'ESP1312');
    expect(refused.err.replaceAll(/\s+/g, ' ')).toContain(`init --from ${theirs} --base ${at('vit-grey')}`);
    expectRefused(await cli(command, theirs, '-o', out), 1, 'ESP1295');
    expect(existsSync(out)).toBe(false);
    expectRefused(await cli(command, join(FASHION, 'lora.peft'), '-o', out, '--base', at('vit-grey')), 1, 'ESP1295');
  });
});
