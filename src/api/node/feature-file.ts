/**
 * Features in a file (../train/features.ts), where memory does not hold them: a safetensors file `features-<key>.safetensors` of
 *
 *   rows     f32 [items, width]   each item's row; zeros where there is none
 *   present  u8 [items]           1 where there is one
 *   sha256   u8 [32]              of all bytes of `rows`, then of `present`
 *
 * The key is a hash of all that the rows depend on, in the name and in the metadata. The file comes to its name when it is whole, so a process that is killed
 * leaves none, and runs that make the same one side by side do not meet; who reads one has it open, whatever takes its name. A file with another
 * key, or other bytes than it was written with, is not read but made again.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cannotWrite, codeOf, writeFileAtomic } from '../../formats/node/writing.js';
import { type ByteSource, checkRange } from '../../formats/tensors/bytes.js';
import { readHeader, safetensorsFront, type TensorInfo } from '../../formats/tensors/safetensors.js';
import type { FeatureRow } from '../train/features.js';
import type { FeatureFile, FeatureFiles, FileShape } from '../train/kept.js';

const FORMAT = 'espalier.features';
const PIECE = 1 << 24;

const featurePath = (folder: string, { key }: FileShape): string =>
  join(folder, `features-${key.slice(0, 32)}.safetensors`);

const metadataOf = ({ key }: FileShape): Readonly<Record<string, string>> => ({ format: FORMAT, version: '1', key });

/** @param shared whether other runs may use the files: those that are a run's own are removed at its end */
export function featureFiles(folder: string, shared: boolean): FeatureFiles {
  const find = (shape: FileShape): Promise<FeatureFile | undefined> =>
    openFeatures(featurePath(folder, shape), shape, shared);
  return {
    find,
    async make(shape, rows) {
      const path = featurePath(folder, shape);
      await writeFeatures(path, shape, rows);
      const file = await find(shape);
      if (!file) throw cannotWrite(path, new Error('other bytes are read than were written'));
      return file;
    },
  };
}

async function openFeatures(path: string, shape: FileShape, shared: boolean): Promise<FeatureFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const file = await opened(path, handle, shape, shared);
    if (!file) await handle.close();
    return file;
  } catch {
    // It is no file of features, or was cut off.
    await handle.close();
    return undefined;
  }
}

async function opened(
  path: string,
  handle: FileHandle,
  shape: FileShape,
  shared: boolean,
): Promise<FeatureFile | undefined> {
  const { size } = await handle.stat();
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    checkRange(path, size, offset, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
      if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
      done += bytesRead;
    }
    return bytes;
  };
  const source: ByteSource = { name: path, size, read };
  const { tensors, metadata } = await readHeader(source);
  const [rows, present, digest] = ['rows', 'present', 'sha256'].map((name) => tensors.get(name));
  const fits = Object.entries(metadataOf(shape)).every(([name, value]) => metadata[name] === value);
  if (!fits || !rows || !present || !digest || rows.bytes !== shape.items * shape.width * 4) return undefined;
  if (present.bytes !== shape.items || digest.bytes !== 32) return undefined;
  const there = await read(present.offset, present.bytes);
  const found = await hashOf(read, rows, there);
  if (!found.equals(await read(digest.offset, digest.bytes))) return undefined;
  const each = shape.width * 4;
  return {
    path,
    has: (item) => there[item] === 1,
    async rows(items) {
      const all = new Uint8Array(items.length * each);
      await Promise.all(
        Array.from(items, async (item, i) => all.set(await read(rows.offset + item * each, each), i * each)),
      );
      return new Float32Array(all.buffer);
    },
    async close(ended) {
      await handle.close();
      if (ended && !shared) await rm(path, { force: true });
    },
  };
}

async function hashOf(read: ByteSource['read'], rows: TensorInfo, present: Uint8Array): Promise<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < rows.bytes; at += PIECE) {
    hash.update(await read(rows.offset + at, Math.min(PIECE, rows.bytes - at)));
  }
  return hash.update(present).digest();
}

async function writeFeatures(path: string, shape: FileShape, rows: AsyncIterable<FeatureRow>): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  async function* content(): AsyncGenerator<Uint8Array> {
    try {
      yield* contentOf(shape, rows);
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  try {
    await writeFileAtomic(path, content());
  } catch (error) {
    throw failure ? failure.error : error;
  }
}

async function* contentOf(shape: FileShape, rows: AsyncIterable<FeatureRow>): AsyncGenerator<Uint8Array> {
  const { items, width } = shape;
  const tensors = new Map([
    ['rows', { dtype: 'F32' as const, shape: [items, width] }],
    ['present', { dtype: 'U8' as const, shape: [items] }],
    ['sha256', { dtype: 'U8' as const, shape: [32] }],
  ]);
  yield* safetensorsFront(tensors, metadataOf(shape));
  const hash = createHash('sha256');
  const hashed = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  const present = new Uint8Array(items);
  const none = new Uint8Array(width * 4);
  let next = 0;
  for await (const { item, row } of rows) {
    for (; next < item; next++) yield hashed(none);
    present[item] = 1;
    next = item + 1;
    yield hashed(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
  }
  for (; next < items; next++) yield hashed(none);
  yield hashed(present);
  yield hash.digest();
}
