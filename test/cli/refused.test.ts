/** What the command line refuses before it works: for each check a call that only this check refuses (`npm run checks`). */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { report } from '../../src/cli/context.js';
import { EXIT } from '../../src/cli/exit.js';
import { adapted, scratch, vitSpec } from '../api/support.js';
import { cli, expectRefused, FASHION } from './support.js';

const folder = scratch();
let made = 0;
/** A path that no earlier test left anything at. */
const fresh = (name: string): string => join(folder, `${made++}-${name}`);
const put = (name: string, text: string): string => {
  const path = fresh(name);
  writeFileSync(path, text);
  return path;
};
const filled = (): string => {
  const path = fresh('strangers');
  mkdirSync(path);
  writeFileSync(join(path, 'letter.txt'), 'dear all');
  return path;
};

/** A folder with something of the starter's name in it: a file or a folder. */
const started = (inFolder: boolean): string => {
  const path = fresh('started');
  mkdirSync(join(path, inFolder ? 'starter.peft' : ''), { recursive: true });
  if (!inFolder) writeFileSync(join(path, 'starter.peft'), '');
  return path;
};

const MODEL = `model M(rank: int = 2) {
  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)
  head = classify(base, classes: 2)
  adapt base.blocks[*].mlp.fc1 with lora(rank: rank)
}
`;
const spec = put('spec.peft', `use std\n${MODEL}`);
const two = put('two.peft', `use std\n${MODEL}${MODEL.replace('model M', 'model N')}`);
const library = put('library.peft', 'criterion mine(weight) = abs(weight)\n');
const onto = await adapted(folder, 'vit-shards', 'base.blocks[*].mlp.fc1 with lora(rank: 2)');
const merging = put('merging.peft', onto.text);
const huge = put('huge.peft', '');
truncateSync(huge, 64 * 2 ** 20 + 1);
const program = join(FASHION, 'images');

describe('refuses', () => {
  test.each<[code: string, exit: number, words: RegExp, () => string[]]>([
    ['ESP0901', 2, /nowhere\.peft/, () => ['check', 'nowhere.peft']],
    ['ESP0901', 2, /nowhere\.peft/, () => ['fmt', 'nowhere.peft']],
    ['ESP0901', 2, /nowhere\.peft/, () => ['inspect', 'nowhere.peft']],
    ['ESP0901', 2, /nowhere\.peft/, () => ['fmt', '--check', 'nowhere.peft']],
    ['ESP0902', 2, /M, N/, () => ['check', two]],
    ['ESP0902', 2, /M, N/, () => ['compile', two, '-o', fresh('out')]],
    ['ESP0903', 2, /rank/, () => ['check', spec, '--set', 'rank']],
    ['ESP0903', 2, /=3/, () => ['compile', spec, '-o', fresh('out'), '--set', '=3']],
    ['ESP0904', 2, /lunch/, () => ['inspect', spec, '--emit', 'after:lunch']],
    ['ESP0904', 2, /magic/, () => ['compile', spec, '-o', fresh('out'), '--emit', 'after:magic']],
    ['ESP0905', 2, /no such folder/, () => ['run', join(folder, 'nowhere'), 'a.png']],
    ['ESP0905', 2, /no program\.json/, () => ['eval', program, program]],
    ['ESP0906', 2, /strangers/, () => ['compile', spec, '-o', filled()]],
    ['ESP0906', 2, /strangers/, () => ['merge', merging, '-o', filled()]],
    ['ESP0912', 2, /--adapters[\s\S]*merged/, () => ['compile', spec, '-o', fresh('out'), '--adapters', 'melted']],
    ['ESP0912', 2, /--golden[\s\S]*f64/, () => ['compile', spec, '-o', fresh('out'), '--golden', 'cpu']],
    ['ESP0912', 2, /--batch/, () => ['compile', spec, '-o', fresh('out'), '--batch', '1.5']],
    ['ESP0912', 2, /--top/, () => ['run', program, 'a.png', '--top', '0']],
    ['ESP0913', 2, /ESP0299.*|ESP02/, () => ['explain', 'ESP0299']],
    ['ESP0913', 2, /HELP/i, () => ['explain', 'help']],
    ['ESP0914', 1, /library\.peft/, () => ['inspect', library]],
    ['ESP0914', 1, /library\.peft/, () => ['compile', library, '-o', fresh('out')]],
    ['ESP0916', 2, /starter\.peft/, () => ['init', started(false)]],
    ['ESP0916', 2, /starter\.peft/, () => ['init', started(true)]],
    ['ESP0917', 1, /huge\.peft/, () => ['check', huge]],
    ['ESP0917', 1, /huge\.peft/, () => ['check', put('uses.peft', `use "${huge}"\n${MODEL}`)]],
    ['ESP0918', 1, /M/, () => ['merge', spec, '-o', fresh('out')]],
    ['ESP0918', 1, /N/, () => ['merge', two, '--model', 'N', '-o', fresh('out')]],
  ])('%#: %s', async (code, exit, words, args) => {
    const ended = await cli(...args());
    expectRefused(ended, exit, code);
    expect(ended.err).toMatch(words);
  });
});

test.each([new Error('seven'), new TypeError('seven'), 'seven'])(
  'what nobody expects is an internal error: %s',
  (thrown) => {
    const said: string[] = [];
    const output = { colour: false, open: () => true, print: () => {}, note: (text: string) => said.push(text) };
    expect(report(thrown, output, false)).toBe(EXIT.internal);
    expect(said.join('')).toMatch(/ESP0900.*seven/);
  },
);

/** A model whose weights come from no file starts anew, which nobody wants in silence. */
describe('warns', () => {
  const said = async (text: string): Promise<string[]> => {
    const ended = await cli('compile', put('spec.peft', text), '-o', fresh('out'), '--no-golden', '--json');
    expect(ended.code, ended.err).toBe(0);
    const { diagnostics } = JSON.parse(ended.out) as {
      diagnostics: { code: string; severity: string; message: string }[];
    };
    return diagnostics.map((d) => `${d.severity} ${d.code} ${d.message}`);
  };
  test('of a backbone, a head and adapters', async () => {
    expect(await said(`use std\n${MODEL.replace('  adapt', '  tune head\n  adapt')}`)).toEqual([
      expect.stringMatching(/^warning ESP0907 .*base/),
      expect.stringMatching(/^warning ESP0908 .*head/),
      expect.stringMatching(/^warning ESP0908 .*lora/),
    ]);
  });
  test('of a backbone alone', async () => {
    const bare = MODEL.replace(/ {2}adapt.*\n/, '').replace(/ {2}head.*\n/, '');
    expect(await said(`use std\n${bare}`)).toEqual([expect.stringMatching(/^warning ESP0907 .*base/)]);
  });
  test('of adapters alone', async () => {
    const { text } = vitSpec(
      'vit-shards',
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  adapt base.blocks[1].mlp.fc1 with lora(rank: 2)',
    );
    expect(await said(text)).toEqual([expect.stringMatching(/^warning ESP0908 .*lora/)]);
  });
});
