/** What is wrong on the benchmark's command line is said before anything is built. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseArguments, shapeOf, UsageError } from '../../bench/arguments.js';
import { otherCheckout } from '../../bench/checkouts.js';
import { contest } from '../../bench/contest.js';
import { header, lineOf, textOf } from '../../bench/report.js';
import { differenceOf } from '../../bench/subjects.js';
import { ROOT } from '../cli/support.js';

const temporary = mkdtempSync(join(tmpdir(), 'espalier-bench-test-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

test('everything, unless less is asked for', () => {
  const all = parseArguments([]);
  expect(all).toMatchObject({ rounds: 15, time: 'wall' });
  expect(all.subjects.map((s) => s.name)).toEqual([
    '768x768x768',
    '197x768x3072',
    '50x128x512',
    'vit-s',
    'vit-b',
    'compile',
  ]);
  const some = parseArguments('--against main --rounds 3 --time cpu --json out.json vit-s 2x3x4 vit-s'.split(' '));
  expect(some).toMatchObject({ against: 'main', rounds: 3, time: 'cpu', json: 'out.json' });
  expect(some.subjects).toEqual([
    parseArguments(['vit-s']).subjects[0],
    { name: '2x3x4', does: 'forward', spec: 'product.peft', set: { m: 2, n: 3, k: 4 }, input: { name: 'x', size: 8 } },
  ]);
});

test.each([
  [['--rounds', '0'], '--rounds 0 is not a positive integer'],
  [['--rounds', '1.5'], '--rounds 1.5 is not a positive integer'],
  [['--rounds', ''], '--rounds  is not a positive integer'],
  [['--time', 'gpu'], '--time is wall or cpu, not gpu'],
  [['--against', ''], '--against is a commit or a folder, not nothing'],
  [['--against'], "Option '--against <value>' argument missing"],
  [['--agianst', 'main'], "Unknown option '--agianst'"],
  [['vit-x'], 'what is measured is vit-s or vit-b or compile or MxNxK, not vit-x'],
  [['toString'], 'what is measured is vit-s or vit-b or compile or MxNxK, not toString'],
])('%j', (args, says) => {
  expect(() => parseArguments(args)).toThrow(UsageError);
  expect(() => parseArguments(args)).toThrow(says);
});

test.each(['0x1x1', '1x1', '1x1x1x1', '1x1x', '-1x1x1', '1x1x1e3', ' 1x1x1'])('%j is no shape', (text) => {
  expect(() => shapeOf(text)).toThrow(`what is measured is MxNxK, not ${text}`);
});

test('what is no version is said so', () => {
  const empty = join(temporary, 'checkout');
  expect(() => otherCheckout('no-such-branch', empty)).toThrow(
    '--against no-such-branch is neither a commit of this repository nor a folder with a checkout',
  );
  // An option of git's would be one all the same.
  expect(() => otherCheckout('--all', empty)).toThrow(UsageError);
  writeFileSync(join(temporary, 'package.json'), '{}');
  expect(() => otherCheckout(temporary, empty)).toThrow(`${temporary} is not built: run \`npm run build\` there`);
});

test('the command says it, and leaves nothing behind', () => {
  const args = ['--import', 'tsx', 'bench/main.ts', '--against', 'no-such-branch'];
  const env = { ...process.env, TMPDIR: temporary };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', env });
  expect(stderr).toBe('--against no-such-branch is neither a commit of this repository nor a folder with a checkout\n');
  expect([status, stdout]).toEqual([2, '']);
  expect(readdirSync(temporary).filter((name) => name.startsWith('espalier-bench-'))).toEqual([]);
}, 60_000);

test('contestants take turns', async () => {
  const ran: string[] = [];
  const contestants = ['a', 'b', 'c'].map((name, i) => ({
    measure: async () => {
      ran.push(name);
      return i + ran.length / 100;
    },
  }));
  const times = await contest(contestants, 2);
  expect(ran.join('')).toBe('abccba');
  expect(times).toEqual([
    [0.01, 0.06],
    [1.02, 1.05],
    [2.03, 2.04],
  ]);
});

test('lines of the report', () => {
  const subject = parseArguments(['vit-s']).subjects[0]!;
  const old = [1, 2, 4];
  const line = lineOf(subject, 1, [old, old, [2, 4, 8]], 1e-7);
  expect(line).toMatchObject({ median: { old: 2, new: 4 }, verdict: 'slower', seconds: { new: [2, 4, 8] } });
  const same = '1.000 (1.000 to 1.000)    ';
  expect(textOf(line)).toBe(`vit-s           2000 ms     4000 ms     2.000 (2.000 to 2.000)    ${same}slower`);
  expect(header(true).indexOf('new is')).toBe(textOf(line).indexOf('slower'));
  expect(textOf(lineOf(subject, 1, [old, old, old], 0.5))).toContain('within the A/A spread; OUTPUTS DIFFER by 5.0e-1');
  const alone = lineOf(subject, 1, [old, old]);
  expect(alone.verdict).toBeUndefined();
  expect(textOf(alone)).toBe(`vit-s           2000 ms${' '.repeat(43)}${same.trim()}`);
});

test('outputs are of the same numbers', () => {
  expect(differenceOf([[1, -4]])).toBe(0);
  expect(
    differenceOf([
      [1, -4],
      [1, -4],
      [2, -4],
    ]),
  ).toBe(0.25);
  expect(() => differenceOf([[1, 2], [1]])).toThrow('an output has 1 numbers, of 2');
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => differenceOf([[1], [bad]])).toThrow();
  expect(() => differenceOf([[0], [0]])).toThrow('all zeros');
  expect(differenceOf([new Float32Array(1e6).fill(1)])).toBe(0);
});
