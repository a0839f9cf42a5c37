/** `check`, `fmt`, `explain`, `init`, and command lines that are wrong. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/diagnostics/catalogue.js';
import { scratch } from '../api/support.js';
import { child, cli, expectRefused, FASHION } from './support.js';

const folder = scratch();
const file = (name: string, text: string | Uint8Array) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const MODEL =
  'use std\n\nmodel M(rank: int = 2) {\n  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n  head = classify(base, classes: 2)\n  adapt base.blocks[*].mlp.fc1 with lora(rank: rank)\n}\n';

test('a real process gives the exit codes, results and messages', async () => {
  const good = await child('check', join(FASHION, 'karst.peft'));
  expect(good).toMatchObject({ code: 0, err: '' });
  expect(good.out).toMatch(/Digits is well formed \(16 adapters/);
  const bad = await child('check', join(folder, 'nothing.peft'));
  expectRefused(bad, 2, 'ESP0901');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour is only for terminals
  expect(bad.err).not.toMatch(/\x1b/);
});

describe('check', () => {
  test('gives diagnostics as JSON', async () => {
    const path = file(
      'wrong.peft',
      MODEL.replace('lora(rank: rank)', 'lorra(rank: rank)').replace('classes: 2', 'clases: 2'),
    );
    const { code, out, err } = await cli('check', path, '--json');
    expect([code, err]).toEqual([1, '']);
    const { ok, diagnostics } = JSON.parse(out) as { ok: boolean; diagnostics: Record<string, unknown>[] };
    expect(ok).toBe(false);
    expect(diagnostics.length).toBeGreaterThanOrEqual(2);
    for (const d of diagnostics)
      expect(d).toMatchObject({
        code: expect.stringMatching(/^ESP\d{4}$/),
        severity: 'error',
        primary: { file: path },
      });
    expect(JSON.stringify(diagnostics)).toMatch(/lora/);
  });

  test('takes options of the model, and refuses others', async () => {
    const path = file('model.peft', MODEL);
    expect(await cli('check', path, '--set', 'rank=3')).toMatchObject({ code: 0, err: '' });
    expectRefused(await cli('check', path, '--set', 'rank=0'), 1, 'ESP0223');
    expect((await cli('check', path, '--set', 'rnk=3')).err).toMatch(/error\[ESP\d{4}\].*rnk[\s\S]*rank/);
    expectRefused(await cli('check', path, '--set', 'rank'), 2, 'ESP0903');
    expectRefused(await cli('check', path, '--model', 'N'), 1, 'ESP0238');
  });

  test('asks which model, and accepts a file of declarations', async () => {
    const two = file('two.peft', `${MODEL}\n${MODEL.replace('use std\n', '').replace('model M', 'model N')}`);
    expectRefused(await cli('check', two), 2, 'ESP0902');
    expect(await cli('check', two, '--model', 'N')).toMatchObject({ code: 0, err: '' });
    const library = file(
      'library.peft',
      'module Twice(dim: int) {\n  fc = Linear(dim -> dim)\n  forward(x: [b, dim]) { fc(fc(x)) }\n}\n',
    );
    expect(await cli('check', library)).toEqual({ code: 0, out: `${library}: well formed\n`, err: '' });
    expectRefused(await cli('inspect', library), 1, 'ESP0914');
  });
});

test('fmt formats in place, and --check only says', async () => {
  const messy = MODEL.replaceAll('  ', ' ').replace('rank: rank', 'rank:rank');
  const path = file('messy.peft', messy);
  expect(await cli('fmt', '--check', path)).toMatchObject({
    code: 4,
    err: expect.stringContaining('is not formatted'),
  });
  expect(readFileSync(path, 'utf8')).toBe(messy);
  expect((await cli('fmt', '--stdout', path)).out).toBe(MODEL);
  expect((await cli('fmt', path)).code).toBe(0);
  expect(readFileSync(path, 'utf8')).toBe(MODEL);
  expect(await cli('fmt', '--check', path)).toMatchObject({ code: 0 });
  const broken = file('broken.peft', 'model {{{ "');
  expect((await cli('fmt', path, broken)).code).toBe(1);
  expect(readFileSync(broken, 'utf8')).toBe('model {{{ "');
});

test('explain has a page for every code, and finds the nearest', async () => {
  const all = (await cli('explain')).out.trim().split('\n');
  expect(all).toHaveLength(Object.keys(CATALOGUE).length);
  for (const code of Object.keys(CATALOGUE)) expect((await cli('explain', code)).out, code).toContain(code);
  const unknown = await cli('explain', 'ESP0299');
  expectRefused(unknown, 2, 'ESP0913');
  expect(unknown.err).toMatch(/Did you mean ESP02\d\d\?/);
});

test('init writes a spec that is well formed, formatted and compiles, once', async () => {
  const target = join(folder, 'new');
  mkdirSync(target);
  const first = await cli('init', target);
  expect(first.code).toBe(0);
  const spec = join(target, 'starter.peft');
  expect(await cli('fmt', '--check', spec)).toMatchObject({ code: 0 });
  expect((await cli('check', spec)).err).toBe('');
  const compiled = await cli('compile', spec, '-o', join(target, 'out'), '--no-golden', '--set', 'rank=2', '--json');
  expect(compiled.code).toBe(0);
  // It starts without weights, and says so.
  const { diagnostics } = JSON.parse(compiled.out) as { diagnostics: { code: string; severity: string }[] };
  expect(diagnostics.map((d) => `${d.severity} ${d.code}`)).toEqual([
    'warning ESP0907',
    'warning ESP0908',
    'warning ESP0908',
  ]);
  const before = readFileSync(spec, 'utf8');
  expectRefused(await cli('init', target), 2, 'ESP0916');
  expect(readFileSync(spec, 'utf8')).toBe(before);
});

describe('a wrong command line', () => {
  test.each<[string[], RegExp]>([
    [['check'], /missing required argument 'spec'/],
    [['chek', 'x.peft'], /unknown command 'chek'; Did you mean check\?/],
    [['check', 'x.peft', '--jsno'], /unknown option '--jsno'; Did you mean --json\?/],
    [['compile', 'x.peft'], /required option '-o, --out <dir>' not specified/],
    [['check', 'a.peft', 'b.peft'], /too many arguments/],
    [['fmt', 'a.peft', '--check', '--stdout'], /'--stdout' cannot be used with option '--check'/],
  ])('%j', async (args, message) => {
    const ended = await cli(...args);
    expectRefused(ended, 2, 'ESP0922');
    expect(ended.err).toMatch(message);
  });

  test('is JSON where JSON was asked for', async () => {
    for (const both of [
      ['run', 'dir', 'image', '--csv', '--json'],
      ['inspect', 'x.peft', '--emit', 'after:split', '--json'],
    ]) {
      const clash = await cli(...both);
      expect(clash.code).toBe(2);
      expect(clash.out).toMatch(/cannot be used with option '--json'/);
    }
    const { code, out } = await cli('compile', 'x.peft', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({
      diagnostics: [{ code: 'ESP0922', help: [expect.stringContaining('help compile')] }],
    });
  });

  test('help and version are not errors; no command is', async () => {
    const help = await cli('help');
    expect(help.code).toBe(0);
    for (const name of ['check', 'fmt', 'compile', 'run', 'eval', 'merge', 'inspect', 'doctor', 'explain', 'init']) {
      expect(help.out).toMatch(new RegExp(`^ +${name} `, 'm'));
    }
    expect(help.out).toMatch(/Exit codes: 0 done, 1 /);
    expect((await cli('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await cli()).code).toBe(2);
  });
});
