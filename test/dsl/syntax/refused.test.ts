/** What the language and its JSON form may not hold: for each check input that only this check refuses (`npm run checks`). */
import { describe, expect, test } from 'vitest';
import { toJsonSpec } from '../../../src/dsl/json.js';
import { fromJsonSpec, parseJsonSpec } from '../../../src/dsl/json-read.js';
import { parse } from '../../../src/dsl/parse.js';
import { expectOne } from '../marked.js';

const module = (...lines: string[]) => `module M(dim: int) {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
const model = (...lines: string[]) => `model M {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
const deep = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

describe('a text', () => {
  test.each<[string, RegExp, string]>([
    ['ESP0101', /expected an expression/, module('y = 3 +«»')],
    ['ESP0101', /expected a name/, 'model «{» }\n'],
    ['ESP0101', /expected a name after `model`/, 'model «3» {\n}\n'],
    ['ESP0101', /`,` or `\)`/, module('y = f(a «b»)')],
    ['ESP0102', /`\(` is never closed/, module('y = f(a«»', 'z = 3')],
    ['ESP0102', /`\{` is never closed/, 'model M {\n  tune head\n'],
    ['ESP0103', /`\)` closes nothing/, module('y = 3«)»')],
    ['ESP0103', /`\}` closes nothing/, 'use std\n«}»\n'],
    ['ESP0103', /`\]` closes nothing/, module('y = f(a, «]»)')],
    ['ESP0104', /character `#`/, module('y = 3 «#» three')],
    ['ESP0104', /U\+200B/, module('y = «\u200b»3')],
    ['ESP0105', /never closed/, model('base = vit() from «"./weights»')],
    ['ESP0105', /never closed/, 'use «"./a.peft»\n'],
    ['ESP0106', /`\\w`/, model('base = vit() from "a«\\w»eights"')],
    ['ESP0106', /`\\x`/, 'use "a«\\x».peft"\n'],
    ['ESP0107', /99999999999999999999/, module('y = «99999999999999999999»')],
    ['ESP0107', /1e999/, module('y = «1e999»')],
    ['ESP0108', /needs an `else`/, module('y = «if dim == 3 { 1 }»')],
    ['ESP0108', /needs an `else`/, module('y = f(«if dim == 3 { 1 }»)')],
    ['ESP0109', /more than \d+ levels/, module(`y = ${deep('(', ')', 150)}`)],
    ['ESP0109', /more than \d+ levels/, module(`y = ${'-'.repeat(600)}1`)],
    ['ESP0109', /more than \d+ levels/, module(`y = 1${' + 1'.repeat(400)}`)],
    // Neither brackets nor chains are many, but together they are deep.
    ['ESP0109', /more than 600 levels/, module(`y = ${'('.repeat(90)}1${`${' + 1'.repeat(20)})`.repeat(90)}`)],
    ['ESP0109', /more than 600 levels/, module(`y = ${'f('.repeat(80)}1${`${'.a'.repeat(20)})`.repeat(80)}`)],
    ['ESP0110', /2\.5 MiB/, ' '.repeat(2.5 * 2 ** 20)],
    ['ESP0110', /at most 2 MiB/, `${'// a\n'.repeat(500_000)}`],
    ['ESP0111', /a zero byte \(at 3\)/, 'use\0std'],
    ['ESP0111', /control characters/, `use std // ${'\u0001'.repeat(20)}`],
    ['ESP0111', /not UTF-8/, '\ufffd'.repeat(100)],
    ['ESP0112', /`modle`.*`model`/, '«modle» M {\n}\n'],
    ['ESP0112', /`wiht`.*`with`/, model('adapt x «wiht» lora(rank: 4)')],
    ['ESP0113', /`patch`/, model('base = vit(patch «=» 16)')],
    ['ESP0113', /`q`/, module('y = {q «=» 3}')],
    ['ESP0114', /`base`/, model('base«:» vit()')],
    ['ESP0114', /`batch`/, 'deploy M {\n  batch«:» 8\n}\n'],
    ['ESP0114', /`y`/, module('y«:» 3')],
    ['ESP0115', /`torch`/, 'use «torch».nn\n'],
    ['ESP0115', /`stdlib`/, 'use «stdlib»\n'],
    ['ESP0116', /`<` and then `<`/, module('y = 0 < dim «<» 64')],
    ['ESP0116', /`==` and then `>`/, module('y = 0 == dim «>» 64')],
    ['ESP0118', /a range is written/, module('y = x[«2:4»]')],
    ['ESP0118', /a range is written/, module('y = x[:, «1:3»]')],
    ['ESP0119', /the end of the line/, module('a = 1 «b» = 2')],
    ['ESP0119', /the end of the line/, model('tune head «head»')],
    ['ESP0120', /no block comments/, '«/*» about */\nuse std\n'],
    ['ESP0120', /no block comments/, module('y = 3 «/*» three */')],
    [
      'ESP0121',
      /preprocess|layout|given twice/,
      'variant v = vit() {\n  preprocess = crop(3)\n  «preprocess = crop(4)»\n}\n',
    ],
    ['ESP0121', /given twice/, 'adapter a() on base: Linear(in -> out) {\n  p = shared «shared» param [in] zeros\n}\n'],
    ['ESP0122', /`if`/, module('«if» = 3')],
    ['ESP0122', /`else`/, module('«else» = 3')],
    ['ESP0122', /`true`/, module('a, «true» = y')],
    ['ESP0122', /`true`/, 'deploy M {\n  «true» = 3\n}\n'],
    ['ESP0122', /`none`/, module('y = «none» = 3')],
    ['ESP0122', /`true`/, module('f(x)', 'y = «true» = z')],
    ['ESP0123', /all_but_last/, 'criterion c(weight) = norm(weight, axes: «all but last»)\n'],
    ['ESP0123', /all_but_last/, module('y = mean(x, «all but last»)')],
  ])('%#: %s %s', (code, words, source) => {
    expectOne(source, code, words, 'x.peft', (text) => parse('x.peft', text).diagnostics);
  });
});

/** Only so many errors are said, whoever finds them. */
test.each(['y = )\n', 'y = # 3\n'])('ESP0117 after 300 lines of %j', (line) => {
  const found = parse('x.peft', `module M() {\n${line.repeat(300)}}\n`).diagnostics.map((d) => d.code);
  expect(found.length).toBeLessThan(120);
  expect(found.filter((code) => code === 'ESP0117')).toEqual(['ESP0117']);
  expect(found.at(-1)).toBe('ESP0117');
});

describe('JSON', () => {
  const spec = (...declarations: unknown[]) => ({ espalier: 1, declarations });
  const body = (...statements: unknown[]) => spec({ model: 'M', body: statements });
  const bound = (value: unknown) => body({ bind: 'a', value });
  const option = (type: unknown) => spec({ model: 'M', options: [{ name: 'n', type }], body: [] });
  let levels: unknown = 3;
  for (let i = 0; i < 300; i++) levels = [levels];

  test.each<[string, unknown]>([
    ['ESP0131 at /: expected an object, found the number 3', 3],
    ['ESP0131 at /: expected an object, found an array', [spec()]],
    ['ESP0131 at /: expected the key "declarations", found an object with "espalier"', { espalier: 1 }],
    ['ESP0131 at /espalier: expected the version 1, found the number 2', { espalier: 2, declarations: [] }],
    ['ESP0131 at /declarations: expected an array, found nothing', { espalier: 1, declarations: undefined }],
    [
      'ESP0131 at /declarations/0: expected an object with one of the keys use, model, train, deploy, found null',
      spec(null),
    ],
    [
      'ESP0131 at /declarations/0/use: expected an object with one of the keys std, file, found the string "std"',
      spec({ use: 'std' }),
    ],
    ['ESP0131 at /declarations/0/use/file: expected a string, found the number 3', spec({ use: { file: 3 } })],
    [
      'ESP0131 at /declarations/0/body/0/adapt: expected at least one selector',
      body({ adapt: [], with: { call: 'a' } }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/with: expected a call, found an object with "expr"',
      body({ adapt: ['a'], with: { expr: '1 + 1' } }),
    ],
    ['ESP0131 at /declarations/0/body/0/value/number: expected a number, found the string "3"', bound({ number: '3' })],
    [
      'ESP0131 at /declarations/0/body/0/value/percent: expected true, found the boolean false',
      bound({ number: 3, percent: false }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/value/float: expected true, found the number 1',
      bound({ number: 3, float: 1 }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/value/unit: expected a word, found the string "K B"',
      bound({ number: 3, unit: 'K B' }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/value: expected one of percent and float',
      bound({ number: 3, percent: true, float: true }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/value/ratio: expected two whole numbers, found an array',
      bound({ ratio: [1, 2, 3] }),
    ],
    [
      'ESP0131 at /declarations/0/body/0/value/ratio/1: expected a whole number, found the number 1.5',
      bound({ ratio: [2, 1.5] }),
    ],
    ['ESP0131 at /declarations/0/body/0/value: expected a number in range', bound(1e300 * 1e300)],
    [
      'ESP0131 at /declarations/0/body/0/value/options: expected an object, found an empty array',
      bound({ call: 'f', options: [] }),
    ],
    ['ESP0132 at /declarations/0: unknown key "boddy"', spec({ model: 'M', body: [], boddy: [] })],
    ['ESP0132 at /declarations/0/body/0/value: unknown key "arg"', bound({ call: 'f', arg: [] })],
    ['ESP0133 at /declarations/0/model: "a b" is not a name', spec({ model: 'a b', body: [] })],
    ['ESP0133 at /declarations/0/options/0/type: "int = 3" is not a type', option('int = 3')],
    ['ESP0133 at /declarations/0/options/0/type: "" is not a type', option('')],
    ['ESP0133 at /declarations/0/body/0/tune/0: "a..b" is not a selector', body({ tune: ['a..b'] })],
    ['ESP0133 at /declarations/0/body/0/value/expr: "1 +" is not an expression', bound({ expr: '1 +' })],
    [
      'ESP0133 at /declarations/0/body/0/value/options/a~1b: "a/b" is not a name',
      bound({ call: 'f', options: { 'a/b': 1 } }),
    ],
    ['ESP0109 nested more than 200 levels deep', levels],
    ['ESP0109 nested more than 200 levels deep', bound({ a: levels })],
  ])('%#: %s', (said, json) => {
    const found = fromJsonSpec(json).diagnostics.map((d) => `${d.code} ${d.message}`);
    expect(found).toEqual([expect.stringContaining(said)]);
  });

  test.each(['{', '', '{"espalier": 1,}'])('ESP0130: %j', (text) => {
    const [first, ...others] = parseJsonSpec('s.json', text).diagnostics;
    expect(first).toMatchObject({ code: 'ESP0130', severity: 'error', primary: { span: { file: 's.json' } } });
    expect(others).toEqual([]);
  });

  test.each([
    ['the module `M`', module('y = 3')],
    ['the criterion `c`', 'criterion c(weight) = abs(weight)\n'],
    ['what did not parse', model('tune')],
  ])('%s has no JSON form', (what, text) => {
    expect(() => toJsonSpec(parse('x.peft', text).file)).toThrow(`ESP0134: ${what} has no JSON form`);
  });
});
