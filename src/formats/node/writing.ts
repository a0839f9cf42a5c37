/** Writing files so that nothing is ever half written: under a temporary name first, which ends by its own name or not at all. */
import type { Stats } from 'node:fs';
import {
  access,
  chmod,
  constants,
  type FileHandle,
  mkdir,
  open,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { reasonOf } from './files.js';
import { removeOnInterrupt } from './interrupt.js';
import { removeLeftovers, temporary } from './leftovers.js';

/** What is written to a file: text, bytes, or pieces that are never in memory together. */
export type Content = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeTo(path: string, content: Content, flags = 'wx'): Promise<void> {
  const handle = await open(path, flags);
  try {
    if (typeof content === 'string') await handle.writeFile(content);
    else if (content instanceof Uint8Array) await writeBytes(handle, content);
    else for await (const piece of content) await writeBytes(handle, piece);
    // A pipe or a terminal has nothing to flush.
    if (flags === 'wx') await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeBytes(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) done += (await handle.write(bytes, done, bytes.byteLength - done)).bytesWritten;
}

export function cannotWrite(path: string, error: unknown): EspalierError {
  if (error instanceof EspalierError) return error;
  // Where a folder takes no entries, the system says that it is not found.
  const reason = codeOf(error) === 'ENOENT' ? 'no file or folder can be made there' : reasonOf(error);
  return new EspalierError([diagnostic('ESP0520', { path, reason })]);
}

/**
 * The folders that lead to `path`, outermost first, of which the first is not there. Node's own recursive mkdir is not used: where a folder
 * takes no entries and says "not found" (below /proc), it tries forever.
 */
async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const found = await statOf(at);
    if (found?.isDirectory()) return missing;
    if (found) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    missing.unshift(at);
  }
}

/** Makes the folders that lead to `path`; gives those that were not there, innermost first. */
export async function makeFolders(path: string): Promise<string[]> {
  const made: string[] = [];
  try {
    for (const folder of await missingFolders(path)) {
      try {
        await mkdir(folder);
        made.unshift(folder);
      } catch (error) {
        // Somebody else may have made it meanwhile.
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    }
    return made;
  } catch (error) {
    await removeFolders(made);
    throw error;
  }
}

/** Removes folders that this made, unless somebody else put something into them. */
export async function removeFolders(made: readonly string[]): Promise<void> {
  for (const folder of made) await rmdir(folder).catch(() => {});
}

/**
 * Says early what writing a folder would say at the end: that nothing can be written at `path`.
 * @throws EspalierError ESP0520
 */
export async function requireWritable(path: string): Promise<void> {
  try {
    const target = resolve(path);
    const existing = await statOf(target);
    if (existing && !existing.isDirectory()) throw new Error('a file is in its place');
    const folder = existing ? target : dirname(target);
    const [missing] = await missingFolders(folder);
    await access(missing === undefined ? folder : dirname(missing), constants.W_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/**
 * Writes files that belong together, of which the last one names the others: where they are several, it is gone from when the first of them takes its
 * place until all have, so that it never stands beside what it does not name.
 * @throws EspalierError ESP0520; until the first takes its place, nothing is changed then.
 */
export async function writeFilesAtomic(files: readonly (readonly [path: string, content: Content])[]): Promise<void> {
  const [leading] = files.at(-1)!;
  const temps: string[] = [];
  const ends: (() => void)[] = [];
  let made: string[] = [];
  try {
    if (files.length === 1) return await writeFileAtomic(...files[0]!);
    for (const [path] of files) {
      const existing = await statOf(path);
      if (existing?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
      if (existing && !existing.isFile()) throw new Error('something that is no file is in its place');
    }
    made = await makeFolders(dirname(leading));
    for (const [path, content] of files) {
      removeLeftovers(path);
      const temp = temporary(path);
      temps.push(temp);
      ends.push(removeOnInterrupt(temp));
      await writeTo(temp, content);
    }
    await rm(leading, { force: true });
    for (const [i, [path]] of files.entries()) await rename(temps[i]!, path);
  } catch (error) {
    for (const temp of temps) await rm(temp, { force: true }).catch(() => {});
    await removeFolders(made);
    throw cannotWrite(leading, error);
  } finally {
    for (const end of ends) end();
  }
}

/**
 * Writes a file so that `path` holds either what it held before or all of `content`; makes the folders that lead to it. A link stays a link
 * and a file keeps its permissions. What is no file (a pipe, a terminal) is written to directly.
 * @throws EspalierError ESP0520; nothing is left behind then.
 */
export async function writeFileAtomic(path: string, content: Content): Promise<void> {
  let made: string[] = [];
  let temp: string | undefined;
  let done = () => {};
  try {
    const existing = await statOf(path);
    if (existing?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (existing && !existing.isFile()) return await writeTo(path, content, 'w');
    const target = existing ? await realpath(path) : path;
    made = await makeFolders(dirname(target));
    removeLeftovers(target);
    temp = temporary(target);
    done = removeOnInterrupt(temp);
    await writeTo(temp, content);
    if (existing) await chmod(temp, existing.mode);
    await rename(temp, target);
  } catch (error) {
    if (temp !== undefined) await rm(temp, { force: true }).catch(() => {});
    await removeFolders(made);
    throw cannotWrite(path, error);
  } finally {
    done();
  }
}
