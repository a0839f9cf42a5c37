/** Files and folders of the local machine, read by range or whole. Writing them is `writing.ts`. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { type ByteSource, checkRange, type Folder } from '../tensors/bytes.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  ENOSPC: 'no space is left on the device',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file system takes no file of this size',
  EIO: 'the device gave an error',
  ELOOP: 'its links lead in a circle',
};

/** A system error in plain words. */
export function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code === 'string') return REASONS[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}

export function cannotRead(path: string, error: unknown): EspalierError {
  return new EspalierError([diagnostic('ESP0501', { path, reason: reasonOf(error) })]);
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw cannotRead(path, error);
  }
}

/** `file`, `folder`, or undefined when nothing is there. */
export async function kindOfPath(path: string): Promise<'file' | 'folder' | undefined> {
  const s = await statOf(path);
  if (!s) return undefined;
  return s.isDirectory() ? 'folder' : 'file';
}

/** Why something that is there is not read. */
const notRegular = (found: Stats) => new Error(found.isDirectory() ? 'it is a folder' : 'it is not a regular file');

/**
 * What whoever started this process handed to it: behind `/dev/stdin`, or the shell's `<(command)`, may be a pipe, which is read to its end. By any other
 * name a pipe may never end, and opening it may never come back.
 */
export function isDescriptor(path: string): boolean {
  return /^\/(dev\/(stdin|fd\/\d+)|proc\/(self|\d+)\/fd\/\d+)$/.test(path);
}

/**
 * All bytes of a file, or of what a descriptor leads to; undefined if they are more than `limit`.
 * @throws EspalierError ESP0501
 */
export function readWhole(path: string, limit: number): Uint8Array | undefined {
  let file: number | undefined;
  try {
    const handed = isDescriptor(path);
    file = handed ? openHanded(path) : openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const found = fstatSync(file);
    if (found.isDirectory() || !(handed || found.isFile())) throw notRegular(found);
    if (found.size > limit) return undefined;
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (let last = 1; last > 0; ) {
      const piece = Buffer.allocUnsafe(Math.max(65536, found.size - size + 1));
      last = readSync(file, piece);
      size += last;
      if (size > limit) return undefined;
      pieces.push(piece.subarray(0, last));
    }
    return new Uint8Array(Buffer.concat(pieces, size));
  } catch (error) {
    throw cannotRead(path, error);
  } finally {
    if (file !== undefined && file > 2) closeSync(file);
  }
}

/** Opening it again reads a file from its start; a socket, as which Node hands standard input over, cannot be opened. */
function openHanded(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENXIO' && /stdin$|\/0$/.test(path)) return 0;
    throw error;
  }
}

/**
 * A file for reading by range. It is open only while a range is read, so nothing needs to be closed; a file that changes between two reads is
 * noticed.
 * @throws EspalierError ESP0501
 */
export async function openFile(path: string): Promise<ByteSource> {
  const first = await statOf(path);
  if (!first) throw cannotRead(path, { code: 'ENOENT' });
  if (!first.isFile()) throw cannotRead(path, notRegular(first));
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    checkRange(path, first.size, offset, length);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const now = await handle.stat();
      if (now.size !== first.size || now.mtimeMs !== first.mtimeMs || now.ino !== first.ino) {
        throw new Error('it changed while it was read');
      }
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw new Error('it became shorter while it was read');
        done += bytesRead;
      }
      return bytes;
    } catch (error) {
      throw cannotRead(path, error);
    } finally {
      await handle?.close();
    }
  };
  // Whether it may be read is said now, not when the first tensor is wanted.
  await read(0, 0);
  const beside = async (location: string): Promise<ByteSource | undefined> => {
    const folder = dirname(path);
    const other = join(folder, location);
    if (!(await statOf(other))) return undefined;
    const [inside, found] = await Promise.all([realpath(folder), realpath(other)]);
    if (!found.startsWith(inside.endsWith(sep) ? inside : inside + sep)) {
      throw cannotRead(other, new Error('a link leads out of the folder'));
    }
    return openFile(other);
  };
  return { name: path, size: first.size, read, beside };
}

/** A folder whose files are opened one at a time. @throws EspalierError ESP0501 when it is listed and cannot be. */
export function openFolder(path: string): Folder {
  return {
    name: path,
    list: async () => {
      try {
        const entries = await readdir(path, { withFileTypes: true });
        return entries.filter((e) => !e.isDirectory()).map((e) => e.name);
      } catch (error) {
        throw cannotRead(path, error);
      }
    },
    open: async (file) => ((await statOf(join(path, file))) ? openFile(join(path, file)) : undefined),
  };
}
