/** Writing that leaves nothing half written, whatever stands in its way. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeFolderAtomic } from '../../src/formats/node/folder.js';
import { type Content, requireWritable, writeFileAtomic } from '../../src/formats/node/writing.js';

import { needs } from '../needs.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'espalier-writing-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Pieces of which the second fails. */
async function* failing(error: Error = new Error('the source broke')): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1, 2);
  throw error;
}

describe('writing a file', () => {
  test('text, bytes and pieces; folders are made', async () => {
    await writeFileAtomic(join(dir, 'x/y/a.txt'), 'text');
    await writeFileAtomic(join(dir, 'b'), [Uint8Array.of(1), Uint8Array.of(2, 3)]);
    expect(await readFile(join(dir, 'x/y/a.txt'), 'utf8')).toBe('text');
    expect([...(await readFile(join(dir, 'b')))]).toEqual([1, 2, 3]);
  });

  test('a failure leaves what was there before, and nothing else', async () => {
    await writeFileAtomic(join(dir, 'a'), 'before');
    await expect(writeFileAtomic(join(dir, 'a'), failing())).rejects.toThrow(/ESP0520.*broke/);
    expect(await readFile(join(dir, 'a'), 'utf8')).toBe('before');
    expect(await readdir(dir)).toEqual(['a']);
  });

  test('over a folder, or below a file', async () => {
    await mkdir(join(dir, 'a/b'), { recursive: true });
    await expect(writeFileAtomic(join(dir, 'a'), 'x')).rejects.toThrow(/ESP0520.*it is a folder/);
    await writeFile(join(dir, 'f'), '');
    await expect(writeFileAtomic(join(dir, 'f/x/y'), 'x')).rejects.toThrow(/ESP0520.*part of the path is a file/);
    expect((await readdir(dir)).sort()).toEqual(['a', 'f']);
  });

  test('a failure removes the folders that it made', async () => {
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    await expect(writeFileAtomic(join(dir, 'x/y/a'), failing(full))).rejects.toThrow(/ESP0520.*no space is left/);
    expect(await readdir(dir)).toEqual([]);
  });

  test('through a link, with the permissions that the file had', async () => {
    await writeFile(join(dir, 'real'), 'before');
    await chmod(join(dir, 'real'), 0o640);
    await symlink('real', join(dir, 'link'));
    await writeFileAtomic(join(dir, 'link'), 'after');
    expect(await readlink(join(dir, 'link'))).toBe('real');
    expect(await readFile(join(dir, 'real'), 'utf8')).toBe('after');
    expect((await stat(join(dir, 'real'))).mode & 0o777).toBe(0o640);
  });

  test('where the system makes no folders: an error, not an endless wait', async (context) => {
    needs(context, 'linux', process.platform === 'linux');
    // Node's recursive mkdir never comes back from this one.
    await expect(writeFileAtomic('/proc/none/x/a', 'x')).rejects.toThrow(/ESP0520: cannot write \/proc\/none\/x\/a/);
    await expect(writeFolderAtomic('/proc/none/x', new Map([['a', 'x']]))).rejects.toThrow('ESP0520');
    await writeFileAtomic('/dev/null', 'nothing is renamed over a device');
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  test('in a folder that cannot be written', async (context) => {
    needs(context, 'unix', process.seteuid !== undefined);
    await mkdir(join(dir, 'locked'), { mode: 0o555 });
    // Root may write everywhere, so it becomes nobody for as long as this takes.
    const isRoot = process.geteuid!() === 0;
    await chmod(dir, 0o755);
    if (isRoot) process.seteuid!(65534);
    try {
      await expect(writeFileAtomic(join(dir, 'locked/a'), 'x')).rejects.toThrow(/ESP0520.*permission denied/);
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  });

  test('in a folder that cannot be written, before the work', async (context) => {
    needs(context, 'user', process.getuid?.() !== 0, 'root may write everywhere');
    await mkdir(join(dir, 'locked'), { mode: 0o555 });
    await expect(requireWritable(join(dir, 'locked/out'))).rejects.toThrow(/ESP0520.*permission denied/);
  });
});

describe('writing a folder', () => {
  const files = new Map<string, string>([
    ['program.json', '{}'],
    ['k.wgsl', 'fn'],
  ]);

  test('that is new', async () => {
    await writeFolderAtomic(join(dir, 'out/deep'), files);
    expect((await readdir(join(dir, 'out/deep'))).sort()).toEqual(['k.wgsl', 'program.json']);
  });

  test('a failure leaves no folder', async () => {
    await expect(
      writeFolderAtomic(join(dir, 'out'), new Map<string, Content>([...files, ['w', failing()]])),
    ).rejects.toThrow('ESP0520');
    expect(await readdir(dir)).toEqual([]);
  });

  test('that exists: what is not ours stays, what is stale goes', async () => {
    await mkdir(join(dir, 'out'));
    for (const name of ['notes.txt', 'old.wgsl', 'k.wgsl']) await writeFile(join(dir, 'out', name), 'old');
    await writeFolderAtomic(join(dir, 'out'), files, { stale: (n) => n.endsWith('.wgsl') });
    expect((await readdir(join(dir, 'out'))).sort()).toEqual(['k.wgsl', 'notes.txt', 'program.json']);
    expect(await readFile(join(dir, 'out/k.wgsl'), 'utf8')).toBe('fn');
  });

  test('that exists: a failure changes nothing', async () => {
    await mkdir(join(dir, 'out'));
    await writeFile(join(dir, 'out/k.wgsl'), 'old');
    const broken = new Map<string, Content>([...files, ['w', failing()]]);
    await expect(writeFolderAtomic(join(dir, 'out'), broken, { stale: () => true })).rejects.toThrow('ESP0520');
    expect(await readdir(join(dir, 'out'))).toEqual(['k.wgsl']);
    expect(await readFile(join(dir, 'out/k.wgsl'), 'utf8')).toBe('old');
  });

  test('never outside itself, and not over a file', async () => {
    await expect(writeFolderAtomic(join(dir, 'out'), new Map([['../evil', 'x']]))).rejects.toThrow('ESP0520');
    await writeFile(join(dir, 'file'), 'x');
    await expect(writeFolderAtomic(join(dir, 'file'), files)).rejects.toThrow(/ESP0520.*file is in its place/);
    expect(await readdir(dir)).toEqual(['file']);
  });

  test('not over a folder of the same name, of which nothing is changed', async () => {
    await mkdir(join(dir, 'out/k.wgsl'), { recursive: true });
    await expect(writeFolderAtomic(join(dir, 'out'), files)).rejects.toThrow(/ESP0520.*k\.wgsl is a folder/);
    expect(await readdir(join(dir, 'out'))).toEqual(['k.wgsl']);
  });
});

test('what cannot be written is said before the work for it is done', async () => {
  await writeFile(join(dir, 'file'), 'x');
  await requireWritable(join(dir, 'a/b/c'));
  await requireWritable(dir);
  await expect(requireWritable(join(dir, 'file/out'))).rejects.toThrow(/ESP0520.*part of the path is a file/);
  expect(await readdir(dir)).toEqual(['file']);
});

/** Starts writing what never ends, in a process of its own, and ends it with a signal when half is there. */
async function interrupted(existing: boolean, signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
  const script = `
    import { writeFolderAtomic } from './src/formats/node/folder.ts';
    async function* endless() {
      yield Uint8Array.of(1);
      console.log('half');
      await new Promise(() => setInterval(() => {}, 1000));
    }
    await writeFolderAtomic(process.argv.at(-1), new Map([['k.wgsl', 'new'], ['w', endless()]]), { stale: () => true });`;
  if (existing) {
    await mkdir(join(dir, 'out'));
    await writeFile(join(dir, 'out/k.wgsl'), 'old');
  }
  const args = ['--import', 'tsx', '--input-type=module', '-e', script, join(dir, 'out')];
  const process_ = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  process_.stdout.once('data', () => process_.kill(signal));
  return new Promise((done) => process_.on('close', (_, by) => done(by)));
}

test('Ctrl-C leaves nothing of a new folder', async () => {
  expect(await interrupted(false, 'SIGINT')).toBe('SIGINT');
  expect(await readdir(dir)).toEqual([]);
});

test('Ctrl-C leaves an existing folder as it was', async () => {
  expect(await interrupted(true, 'SIGTERM')).toBe('SIGTERM');
  expect(await readdir(join(dir, 'out'))).toEqual(['k.wgsl']);
  expect(await readFile(join(dir, 'out/k.wgsl'), 'utf8')).toBe('old');
});
