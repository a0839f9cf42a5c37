/** What the language may not hold: for each check input that only this check refuses (`npm run checks`). */
import { describe, expect, test } from 'vitest';
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
