/** Specs in JSON on the command line and in the API: wherever a spec is taken. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { analyse, compile, defineModel, merge } from '../../src/api/index.js';
import { convertSpec } from '../../src/dsl/json/index.js';
import { FIXTURES, host, scratch, vitSpec } from '../api/support.js';
import { cli, expectRefused } from './support.js';

const folder = scratch();
const tiny = vitSpec('vit-grey', 'adapt base.blocks[*].mlp.fc1 with lora(rank: 2)');
const json = { text: convertSpec(tiny.path, tiny.text, 'json').text, path: 'tiny.json' };

test('compile and merge give what they give for `.peft`, to the byte', async () => {
  const [a, b] = [await compile(tiny, { host, golden: false }), await compile(json, { host, golden: false })];
  expect(b.program.digest).toBe(a.program.digest);
  const [c, d] = [await merge(tiny, { host }), await merge(json, { host })];
  expect(d.files).toEqual(c.files);
});

test('defineModel gives what these take, with settings of training', async () => {
  const spec = defineModel(
    {
      use: 'std',
      model: {
        name: 'Tiny',
        body: [
          { name: 'base', value: { vit_auto: [] }, from: join(FIXTURES, 'vit-grey') },
          { name: 'head', value: { classify: { $args: ['base'], pool: 'cls' } } },
          { adapt: 'base.blocks[*].mlp.fc1', with: { lora: { rank: 2 } } },
        ],
      },
      train: {
        data: { images: { path: './nowhere', limit: 10 } },
        optimizer: { adamw: { lr: 1e-3 } },
        schedule: { cosine: { epochs: 2 } },
        batch: 4,
      },
    },
    'tiny.json',
  );
  const { elaborated } = await analyseModel(spec, { host });
  expect(elaborated.train).toMatchObject({
    batch: 4,
    epochs: 2,
    data: { form: 'images', options: { path: './nowhere', limit: 10 } },
  });
  const [a, b] = [await compile(tiny, { host, golden: false }), await compile(spec, { host, golden: false })];
  expect(b.program.digest).toBe(a.program.digest);
});

test('a host that reads no JSON says so', async () => {
  const { parse: _, ...page } = host;
  const { diagnostics } = await analyse(json, { host: page });
  expect(diagnostics.map((d) => d.code)).toEqual(['ESP1309']);
  expect((await analyse(tiny, { host: page })).diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
});

test('check, inspect and fmt take files of both kinds', async () => {
  const peft = join(folder, 'a.peft');
  const spec = join(folder, 'a.json');
  writeFileSync(peft, `// a comment\n${tiny.text}`);
  const made = await cli('fmt', '--to', 'json', peft);
  expect(made).toMatchObject({ code: 0, err: `${peft}: 1 comment is not in the JSON\n` });
  expect(made.out).toBe(json.text);
  writeFileSync(spec, JSON.stringify(JSON.parse(made.out)));
  expect((await cli('check', spec)).out).toContain('Tiny is well formed');
  expect((await cli('inspect', spec)).out).toBe((await cli('inspect', peft)).out);
  expect(await cli('fmt', '--check', spec)).toMatchObject({ code: 4 });
  expect(await cli('fmt', spec)).toMatchObject({ code: 0, err: '1 checked, 1 formatted\n' });
  expect(readFileSync(spec, 'utf8')).toBe(json.text);
  expect(await cli('fmt', '--check', spec)).toMatchObject({ code: 0 });
  expect((await cli('fmt', '--to', 'peft', spec)).out).toBe(convertSpec(spec, json.text, 'peft').text);
  expectRefused(await cli('fmt', '--to', 'yaml', spec), 2, 'ESP0912');

  writeFileSync(spec, json.text.replace('"lora"', '"lorra"'));
  const wrong = await cli('check', spec);
  expect(wrong.code).toBe(1);
  const line = json.text.split('\n').findIndex((text) => text.includes('"lora"'));
  const column = json.text.split('\n')[line]!.indexOf('lora');
  expect(wrong.err).toContain(`${spec}:${line + 1}:${column + 1}`);
});
