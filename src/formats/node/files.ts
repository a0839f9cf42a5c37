/** Files and folders of the local machine: reading by range, and writing that leaves nothing half written. */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
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
};

/** A system error in plain words. */
function reasonOf(error: unknown): string {
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

/** What is written to a file: text, bytes, or pieces that are never in memory together. */
export type Content = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

const temporary = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);

async function writeTo(path: string, content: Content): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    if (typeof content === 'string') await handle.writeFile(content);
    else if (content instanceof Uint8Array) await writeBytes(handle, content);
    else for await (const piece of content) await writeBytes(handle, piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeBytes(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) done += (await handle.write(bytes, done, bytes.byteLength - done)).bytesWritten;
}

function cannotWrite(path: string, error: unknown): EspalierError {
  if (error instanceof EspalierError) return error;
  return new EspalierError([diagnostic('ESP0520', { path, reason: reasonOf(error) })]);
}

/**
 * Writes a file so that `path` holds either what it held before or all of `content`; makes the folders that lead to it.
 * @throws EspalierError ESP0520; nothing is left behind then.
 */
export async function writeFileAtomic(path: string, content: Content): Promise<void> {
  const temp = temporary(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeTo(temp, content);
    await rename(temp, path);
  } catch (error) {
    // Where a part of the path is a file, removing fails like writing did.
    await rm(temp, { force: true }).catch(() => {});
    throw cannotWrite(path, error);
  }
}

export interface FolderOptions {
  /** Files of an earlier output that are removed when the new one does not have them. Default: none. */
  readonly stale?: (name: string) => boolean;
}

/**
 * Writes the files of a folder. A new folder appears complete or not at all. In a folder that exists, all files are written under temporary
 * names before the first is renamed, files that are not named stay, and those that `stale` names are removed last.
 * @throws EspalierError ESP0520; nothing is left behind then.
 */
export async function writeFolderAtomic(
  path: string,
  files: ReadonlyMap<string, Content>,
  options: FolderOptions = {},
): Promise<void> {
  const target = resolve(path);
  const existing = await statOf(target);
  if (existing && !existing.isDirectory()) throw cannotWrite(path, new Error('a file is in its place'));
  const made: string[] = [];
  const work = existing ? target : temporary(target);
  try {
    if (!existing) {
      await mkdir(dirname(target), { recursive: true });
      await mkdir(work);
    }
    const renames: [string, string][] = [];
    for (const [name, content] of files) {
      const to = join(work, name);
      if (dirname(to) !== work) throw new RangeError(`"${name}" is not the name of a file`);
      const temp = existing ? temporary(to) : to;
      made.push(temp);
      await writeTo(temp, content);
      if (existing) renames.push([temp, to]);
    }
    for (const [from, to] of renames) await rename(from, to);
    if (!existing) await rename(work, target);
    else if (options.stale) {
      for (const name of await readdir(target))
        if (!files.has(name) && options.stale(name)) await rm(join(target, name));
    }
  } catch (error) {
    for (const file of made) await rm(file, { force: true });
    if (!existing) await rm(work, { recursive: true, force: true });
    throw cannotWrite(path, error);
  }
}
