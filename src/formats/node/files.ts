/** Files and folders of the local machine, read by range. Writing them is `write.ts`. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { type ByteSource, checkRange, type Folder } from '../bytes.js';

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
};

/** A system error in plain words. */
export function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code === 'string') return REASONS[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}

function cannotRead(path: string, error: unknown): EspalierError {
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

/**
 * A file for reading by range. It is open only while a range is read, so nothing needs to be closed; a file that changes between two reads is
 * noticed.
 * @throws EspalierError ESP0501
 */
export async function openFile(path: string): Promise<ByteSource> {
  const first = await statOf(path);
  if (!first) throw cannotRead(path, { code: 'ENOENT' });
  if (!first.isFile())
    throw cannotRead(path, new Error(first.isDirectory() ? 'it is a folder' : 'it is not a regular file'));
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    checkRange(path, first.size, offset, length);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_RDONLY);
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
  return { name: path, size: first.size, read };
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
