/** Standard output that takes nothing (a full disk, a closed pipe), and files that are none (devices, pipes, folders), for every command. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { scratch } from '../api/support.js';
import { command } from '../command.js';
import { cli, type Ended, expectRefused, FASHION, ROOT } from './support.js';

const folder = scratch();
const spec = join(FASHION, 'lora.peft');
const program = join(folder, 'program');
const image = join(FASHION, 'images/digits/7', readdirSync(join(FASHION, 'images/digits/7'))[0]!);
beforeAll(async () => {
  expect((await cli('compile', spec, '-o', program, '--batch', '1', '--no-golden')).code).toBe(0);
  cpSync(spec, join(folder, 'spec.peft'));
});

/** A real process with these as its standard input and output. */
async function child(
  args: readonly string[],
  { stdin = 'ignore', stdout = 'pipe' as 'pipe' | number, close = false } = {},
): Promise<Ended> {
  const process_ = spawn(process.execPath, [...(await command()), ...args], {
    cwd: ROOT,
    stdio: [stdin === 'ignore' ? 'ignore' : 'pipe', stdout, 'pipe'],
  });
  if (stdin !== 'ignore') process_.stdin!.end(stdin);
  if (close) process_.stdout!.destroy();
  let [out, err] = ['', ''];
  process_.stdout?.on('data', (data) => (out += data));
  process_.stderr!.on('data', (data) => (err += data));
  return new Promise((done) => process_.on('close', (code) => done({ code: code ?? -1, out, err })));
}

const commands: [string, string[]][] = [
  ['help', ['--help']],
  ['version', ['--version']],
  ['check', ['check', spec]],
  ['check --json', ['check', spec, '--json']],
  ['fmt', ['fmt', '--stdout', spec]],
  ['inspect', ['inspect', spec]],
  ['compile', ['compile', spec, '-o', join(folder, 'again'), '--batch', '1', '--no-golden', '--emit', 'after:split']],
  ['run', ['run', program, image]],
  ['run --json', ['run', program, image, '--json']],
  ['eval', ['eval', program, join(FASHION, 'images/digits')]],
  ['merge', ['merge', spec, '-o', join(folder, 'merged')]],
  ['doctor', ['doctor']],
  ['explain', ['explain']],
  ['init', ['init', join(folder, 'fresh')]],
];

describe.skipIf(process.platform !== 'linux')('standard output', () => {
  test.each(commands)('%s on a full disk: a message and exit 1, no stack', async (_, args) => {
    const full = openSync('/dev/full', 'w');
    const { code, err } = await child(args, { stdout: full });
    closeSync(full);
    expect(err).toContain('error[ESP0520]: cannot write standard output: no space is left on the device');
    expect(err).not.toMatch(/\n\s+at |ESP0900/);
    expect(code).toBe(1);
  });

  test.each(commands.filter(([name]) => ['compile', 'run', 'eval', 'explain'].includes(name)))(
    '%s into a closed pipe: quiet, and its work is done',
    async (_, args) => {
      const { code, err } = await child(args, { close: true });
      expect(err.replaceAll(/^Warning: maxDynamic.*\n/gm, '')).toBe('');
      expect(code).toBe(0);
      if (args[0] === 'compile') expect(readdirSync(join(folder, 'again'))).toContain('program.json');
    },
  );

  test('errors that cannot be said either still have their exit code', async () => {
    const words = (await command()).join(' ');
    const ended = await new Promise((done) => {
      const process_ = spawn('sh', ['-c', `${process.execPath} ${words} check /nowhere 2>/dev/full`], { cwd: ROOT });
      process_.on('close', done);
    });
    expect(ended).toBe(2);
  });
});

describe.skipIf(process.platform === 'win32')('files that are none', () => {
  const special = (): [string, RegExp][] => {
    execFileSync('mkfifo', [join(folder, `pipe-${Math.random()}.peft`)]);
    const pipe = join(folder, readdirSync(folder).findLast((n) => n.startsWith('pipe-'))!);
    return [
      ['/dev/zero', /cannot read \/dev\/zero: it is not a regular file/],
      [pipe, /it is not a regular file/],
      [folder, /it is a folder/],
    ];
  };

  test('are refused as a spec by every command, without being opened', async () => {
    for (const [path, why] of special()) {
      for (const args of [
        ['check'],
        ['fmt'],
        ['inspect'],
        ['compile', '-o', join(folder, 'none')],
        ['merge', '-o', join(folder, 'none')],
      ]) {
        const ended = await cli(args[0]!, path, ...args.slice(1));
        expectRefused(ended, 1, 'ESP0501');
        expect(ended.err).toMatch(why);
      }
    }
  });

  test('are refused by `use` with one message, at the statement', async () => {
    for (const [path, why] of special()) {
      const text = `use "${path}"\n\nmodel M {\n  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n}\n`;
      writeFileSync(join(folder, 'uses.peft'), text);
      const ended = await cli('check', join(folder, 'uses.peft'));
      expectRefused(ended, 1, 'ESP0501');
      expect(ended.err).toMatch(why);
      expect(ended.err.match(/error\[/g)).toHaveLength(1);
      expect(ended.err).toMatch(/uses\.peft:1:1/);
    }
  });

  test('are refused as program.json', async () => {
    for (const [i, [path]] of special().entries()) {
      const damaged = join(folder, `damaged-${i}`);
      mkdirSync(damaged);
      symlinkSync(path, join(damaged, 'program.json'));
      const ended = await cli('run', damaged, image);
      expectRefused(ended, 3, 'ESP0707');
      expect(ended.err).toMatch(/program\.json: is (not a regular file|a folder)/);
    }
  });

  test('but /dev/stdin is read, to its end and no further than a spec can be', async () => {
    const text = `use std\nmodel M {\n  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n  head = classify(base, classes: 2)\n}\n`;
    const good = await child(['check', '/dev/stdin'], { stdin: text });
    expect(good).toMatchObject({ code: 0, out: expect.stringMatching(/M is well formed/) as unknown });
    const bad = await child(['check', '/dev/stdin'], { stdin: text.replace('vit(', 'vitt(') });
    expect(bad).toMatchObject({ code: 1, err: expect.stringMatching(/ESP0202.*`vitt`[\s\S]*\/dev\/stdin/) as unknown });
    const shell = `${process.execPath} ${(await command()).join(' ')} check /dev/stdin < /dev/zero`;
    const endless = await new Promise<Ended>((done) => {
      const process_ = spawn('sh', ['-c', shell], { cwd: ROOT });
      let err = '';
      process_.stderr.on('data', (data) => (err += data));
      process_.on('close', (code) => done({ code: code ?? -1, out: '', err }));
    });
    expectRefused(endless, 1, 'ESP0917');
  });
});
