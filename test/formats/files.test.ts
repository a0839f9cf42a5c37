/** Reading files by range. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFile, openFolder } from '../../src/formats/node/files.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'espalier-files-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

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
