/** One name in two files: of the user's, of the library, or one of each; and what `use` reads. */
import { describe, expect, test, vi } from 'vitest';
import { convertSpec, parseSpec } from '../../../src/dsl/json/index.js';
import { codes, wrongs } from './helper.js';

// Two more files of the library, which declare one name.
vi.mock('../../../src/dsl/std.generated.js', () => ({
  STD: {
    one: 'criterion score(weight) = abs(weight)\n\nadapter own(rank: int) on base: Linear(in -> out) {\n  forward(x) { base(x) }\n}\n',
    two: 'criterion score(weight) = 2 * abs(weight)\n',
    three: 'criterion other(weight) = weight\n',
  },
}));

describe('two files of the library', () => {
  test.each(['use std\n', 'use std.one\nuse std.two\n', 'use std.three\n'])('%j', (use) => {
    const [first, ...others] = wrongs(`${use}model M {\n}\n`).filter((d) => d.code === 'ESP1310');
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      severity: 'error',
      message: '`score` is declared in std/one.peft and in std/two.peft',
      primary: { span: { file: 'std/two.peft' } },
      secondary: expect.arrayContaining([
        expect.objectContaining({ span: expect.objectContaining({ file: 'std/one.peft' }) }),
      ]),
    });
  });
});

describe("the user's files", () => {
  const one = 'criterion mine(weight) = weight\n';
  const model = 'model M {\n}\n';

  test('that declare one name', () => {
    const files = { 'a.peft': one, 'sub/b.json': convertSpec('b.peft', one, 'json').text };
    const text = `use "./a.peft"\nuse "./sub/b.json"\n${model}`;
    expect(codes(text, { files, parseFile: parseSpec })).toContain('ESP1310');
    const [found] = wrongs(text, { files, parseFile: parseSpec }).filter((d) => d.code === 'ESP1310');
    expect(found!.message).toBe('`mine` is declared in a.peft and in sub/b.json');
    expect(found!.help.join()).toContain('Rename one');
    // The place is that of the name in the JSON file.
    const { start, end } = found!.primary!.span;
    expect(files['sub/b.json'].slice(start, end)).toBe('mine');
    expect(codes(text, { files: { ...files, 'sub/b.json': '{}' }, parseFile: parseSpec })).not.toContain('ESP1310');
  });

  test('one file that two use is no clash', () => {
    const files = { 'c.peft': one, 'a.peft': 'use "./c.peft"\n', 'b.peft': 'use "./c.peft"\n' };
    const uses = 'use "./a.peft"\nuse "./b.peft"\nuse "./c.peft"\nuse "./c.peft"\n';
    expect(codes(`${uses}${model}`, { files })).not.toContain('ESP1310');
  });

  test('that take a name of the library stand for it, which is said once', () => {
    const files = { 'a.peft': 'use std.one\n\ncriterion score(weight) = 3 * weight\n' };
    const found = wrongs(`use std.one\nuse "./a.peft"\n${model}`, { files }).filter((d) => d.code === 'ESP1311');
    expect(found).toMatchObject([
      { severity: 'note', primary: { span: { file: 'a.peft' } }, message: expect.stringContaining('std/one.peft') },
    ]);
    expect(
      codes(`use std.three\nuse "./a.peft"\n${model}`, { files: { 'a.peft': 'criterion score(w) = w\n' } }),
    ).not.toContain('ESP1311');
  });
});

describe('a JSON file that is used', () => {
  const text = (call: string) =>
    `use "./mine.json"\nmodule N() {\n  fc = Linear(4 -> 4)\n  forward(x: [k, 4]) { ${call} }\n}\nmodel M {\n  base = N()\n}\n`;
  const mine = JSON.stringify({ code: ['function twice(x: tensor) =', '  2 * x'] });
  const quiet = (spec: string, files: Record<string, string>, setup: object = { parseFile: parseSpec }) =>
    codes(spec, { files, ...setup }).filter((c) => c !== 'ESP1310');

  test('declares what its `code` does', () => {
    expect(quiet(text('twice(fc(x))'), { 'mine.json': mine })).toEqual([]);
    expect(quiet(text('thrice(fc(x))'), { 'mine.json': mine })).toEqual(['ESP0202']);
  });

  test('may use others, of either form', () => {
    const files = {
      'mine.json': JSON.stringify({ use: './more.peft', code: 'function twice(x: tensor) = 2 * same(x)' }),
      'more.peft': 'use "./last.json"\nfunction same(x: tensor) = last(x)\n',
      'last.json': JSON.stringify([{ code: 'function last(x: tensor) = x' }]),
    };
    expect(quiet(text('twice(fc(x))'), files)).toEqual([]);
  });

  test('that is no spec is said at its place, and nothing is an echo of it', () => {
    expect(quiet(text('twice(fc(x))'), { 'mine.json': '{"kode": []}' })).toEqual(['ESP1308']);
    expect(quiet(text('twice(fc(x))'), { 'mine.json': '{' })).toEqual(['ESP1307']);
  });
});
