/** Files of features: what is read of them, and what is no such file and is made again. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureFiles } from '../../../src/api/node/feature-file.js';
import type { FeatureRow } from '../../../src/api/train/features.js';
import { openFile } from '../../../src/formats/node/files.js';
import { openSafetensors } from '../../../src/formats/tensors/store.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-features-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const shape = (key: string) => ({ key: key.repeat(64), items: 5, width: 3 });
const rowOf = (item: number): Float32Array => Float32Array.of(item, item + 0.25, item + 0.5);

/** Items 1 and 4 have none. */
async function* rows(failure?: Error): AsyncGenerator<FeatureRow> {
  yield { item: 0, row: rowOf(0) };
  yield { item: 2, row: rowOf(2) };
  if (failure) throw failure;
  yield { item: 3, row: rowOf(3) };
}

describe('a file of features', () => {
  it('holds the row of each item that has one, in any order, and is a safetensors file', async () => {
    const file = await featureFiles(folder, true).make(shape('a'), rows());
    expect([0, 1, 2, 3, 4].map((i) => file.has(i))).toEqual([true, false, true, true, false]);
    expect(await file.rows([3, 0, 3])).toEqual(Float32Array.of(3, 3.25, 3.5, 0, 0.25, 0.5, 3, 3.25, 3.5));
    const { tensors } = await openSafetensors(await openFile(file.path));
    expect(tensors.get('rows')!.shape).toEqual([5, 3]);
    await file.close(true);
    const again = await featureFiles(folder, true).find(shape('a'));
    expect(await again!.rows([2])).toEqual(rowOf(2));
    await again!.close(false);
  });

  it('is read to the end, whoever takes its name meanwhile', async () => {
    const files = featureFiles(folder, true);
    const first = await files.make(shape('a'), rows());
    const second = await files.make(shape('a'), rows());
    rmSync(second.path);
    expect(await first.rows([2])).toEqual(rowOf(2));
    expect(await second.rows([3])).toEqual(rowOf(3));
    await Promise.all([first.close(true), second.close(true)]);
  });

  it('is gone at the end of a run whose own it was, and there as long as the run goes on', async () => {
    const files = featureFiles(folder, false);
    await (await files.make(shape('a'), rows())).close(false);
    expect(readdirSync(folder)).toHaveLength(1);
    await (await files.find(shape('a')))!.close(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves nothing behind when what it is made of fails, and says why', async () => {
    const lost = new Error('the device is lost');
    await expect(featureFiles(folder, true).make(shape('a'), rows(lost))).rejects.toBe(lost);
    expect(readdirSync(folder)).toEqual([]);
    await expect(featureFiles(join(folder, 'x\0'), true).make(shape('a'), rows())).rejects.toThrow('ESP0520');
  });

  it('is none with another key, of other sizes, cut off, or with other bytes', async () => {
    const files = featureFiles(folder, true);
    const { path, close } = await files.make(shape('a'), rows());
    await close(false);
    expect(await files.find(shape('b'))).toBeUndefined();
    copyFileSync(path, path.replaceAll('a'.repeat(32), 'b'.repeat(32)));
    expect(await files.find(shape('b'))).toBeUndefined();
    expect(await files.find({ ...shape('a'), width: 2 })).toBeUndefined();
    const bytes = readFileSync(path);
    const at = bytes.length - 32 - 5 - 4;
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
    expect(await files.find(shape('a'))).toBeUndefined();
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
    await (await files.find(shape('a')))!.close(false);
    truncateSync(path, bytes.length - 1);
    expect(await files.find(shape('a'))).toBeUndefined();
    writeFileSync(path, 'not one');
    expect(await files.find(shape('a'))).toBeUndefined();
  });
});
