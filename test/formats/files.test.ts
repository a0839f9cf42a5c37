/** Reading by range, and writing that leaves nothing half written. */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Content,
  openFile,
  openFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from '../../src/formats/node/files.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'espalier-files-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Pieces of which the second fails. */
async function* failing(): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1, 2);
  throw new Error('the source broke');
}

describe('reading', () => {
  test('by range, never past the end', async () => {
    await writeFile(join(dir, 'a'), Uint8Array.of(0, 1, 2, 3, 4));
    const file = await openFile(join(dir, 'a'));
    expect(file.size).toBe(5);
    expect([...(await file.read(1, 3))]).toEqual([1, 2, 3]);
    await expect(file.read(3, 3)).rejects.toThrow(RangeError);
    await expect(file.read(-1, 1)).rejects.toThrow(RangeError);
  });

  test('a file that changes meanwhile', async () => {
    await writeFile(join(dir, 'a'), new Uint8Array(100));
    const file = await openFile(join(dir, 'a'));
    await truncate(join(dir, 'a'), 10);
    await expect(file.read(0, 100)).rejects.toThrow(/ESP0501.*changed while it was read/);
  });

  test('what is not there, or is a folder', async () => {
    await expect(openFile(join(dir, 'none'))).rejects.toThrow(/ESP0501.*no such file/);
    await expect(openFile(dir)).rejects.toThrow(/ESP0501.*folder/);
    expect(await openFolder(dir).open('none')).toBeUndefined();
    await expect(openFolder(join(dir, 'none')).list()).rejects.toThrow('ESP0501');
  });
});

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

  test('over a folder', async () => {
    await mkdir(join(dir, 'a/b'), { recursive: true });
    await expect(writeFileAtomic(join(dir, 'a'), 'x')).rejects.toThrow('ESP0520');
    expect(await readdir(dir)).toEqual(['a']);
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
});
