/**
 * Writing a folder so that it is the old one or the new one at every instant, whatever ends the process. The new folder is completed under a
 * temporary name beside the old one, and takes its place by two renames:
 *
 *   killed before the first    the old folder; the new one's temporary name is left, and removed by the next run
 *   killed between the two     neither has its name; the next run that looks for it, reading or writing, puts the old one back
 *   killed after the second    the new folder; what was not ours is moved over from the old one now, or by the next run
 *
 * A folder that cannot be moved (a mount, the current folder, one whose parent is read-only) gets its files one by one instead.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { access, chmod, constants, mkdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { removeOnInterrupt } from './interrupt.js';
import { carryOver, isStale, removeLeftovers, restoreFolder, temporary } from './leftovers.js';
import { type Content, cannotWrite, codeOf, makeFolders, removeFolders, statOf, writeTo } from './writing.js';

/** Which output a folder holds, by the file that an output of its kind always has: each one that is written has another state. */
export interface OutputState {
  readonly key: string;
  readonly state: string;
}

export function outputState(folder: string, key: string): OutputState {
  const found = statSync(join(folder, key), { throwIfNoEntry: false });
  return { key, state: found ? [found.dev, found.ino, found.mtimeMs, found.size].join() : 'none' };
}

export interface FolderOptions {
  /** Files of an earlier output that are not kept when the new one does not have them. Default: none. */
  readonly stale?: (name: string) => boolean;
  /** What the folder held when the work for it began. */
  readonly since?: OutputState;
}

/**
 * Writes the files of a folder: all of them, or none. Other files and folders in it stay, but for those that `stale` names. Removes what killed
 * processes left beside it.
 * @throws EspalierError ESP0520 if it cannot be written, ESP0927 if another process wrote it since `since`; nothing is changed then.
 */
export async function writeFolderAtomic(
  path: string,
  files: ReadonlyMap<string, Content>,
  { stale = () => false, since }: FolderOptions = {},
): Promise<void> {
  let made: string[] = [];
  let work: string | undefined;
  let done = () => {};
  try {
    restoreFolder(path);
    const existing = await statOf(resolve(path));
    if (existing && !existing.isDirectory()) throw new Error('a file is in its place');
    const target = existing ? await realpath(path) : resolve(path);
    for (const name of files.keys()) {
      if (basename(name) !== name || name === '..' || name === '.')
        throw new RangeError(`"${name}" is not the name of a file`);
      if (existing && (await statOf(join(target, name)))?.isDirectory()) throw new Error(`${name} is a folder`);
    }
    made = await makeFolders(dirname(target));
    const inside = join(target, 'new');
    for (const place of [target, inside]) removeLeftovers(place, stale);
    const isStill = (folder: string) => !since || outputState(folder, since.key).state === since.state;
    const movable = !existing || (await isMovable(target));
    work = temporary(movable ? target : inside);
    done = removeOnInterrupt(work);
    await mkdir(work);
    if (existing) await chmod(work, existing.mode);
    for (const [name, content] of files) await writeTo(join(work, name), content);

    // From here to the end in one go: a signal is heard before or after.
    if (!isStill(target)) throw overtaken(path);
    if (!existsSync(target)) moveNew(work, target, path);
    else if (!movable || !swap(work, target, path, isStill, stale)) moveFiles(work, target, files, stale);
  } catch (error) {
    if (work !== undefined) await rm(work, { recursive: true, force: true }).catch(() => {});
    await removeFolders(made);
    throw cannotWrite(path, error);
  } finally {
    done();
  }
}

function overtaken(path: string): EspalierError {
  return new EspalierError([diagnostic('ESP0927', { path })]);
}

/** Whether a folder can be given another name: its parent is writable, and it is not where somebody stands. */
async function isMovable(target: string): Promise<boolean> {
  const below = relative(target, process.cwd());
  if (!below.startsWith('..')) return false;
  return access(dirname(target), constants.W_OK).then(
    () => true,
    () => false,
  );
}

function moveNew(work: string, target: string, path: string): void {
  try {
    renameSync(work, target);
  } catch (error) {
    // Something appeared there since it was looked at.
    if (['ENOTEMPTY', 'EEXIST'].includes(String(codeOf(error)))) throw overtaken(path);
    throw error;
  }
}

/** False, and nothing is changed, where the system does not let the old folder be moved. */
function swap(
  work: string,
  target: string,
  path: string,
  isStill: (folder: string) => boolean,
  stale: (name: string) => boolean,
): boolean {
  const old = temporary(target, 'old');
  try {
    renameSync(target, old);
  } catch (error) {
    if (['EBUSY', 'EXDEV', 'EPERM', 'EACCES'].includes(String(codeOf(error)))) return false;
    throw codeOf(error) === 'ENOENT' ? overtaken(path) : error;
  }
  try {
    // Another process may have come in between the look and the rename.
    if (!isStill(old)) throw overtaken(path);
    moveNew(work, target, path);
  } catch (error) {
    renameSync(old, target);
    throw error;
  }
  carryOver(old, target, stale);
  // Under another name before it is incomplete: one that ends in `.old` may have to be put back.
  const rest = temporary(target);
  renameSync(old, rest);
  rmSync(rest, { recursive: true, force: true });
  return true;
}

/** One by one. Programs name the digests of their files, so that a mixture is refused when it is loaded. */
function moveFiles(
  work: string,
  target: string,
  files: ReadonlyMap<string, Content>,
  stale: (name: string) => boolean,
): void {
  for (const name of files.keys()) renameSync(join(work, name), join(target, name));
  for (const entry of readdirSync(target, { withFileTypes: true })) {
    if (!files.has(entry.name) && isStale(entry, stale)) rmSync(join(target, entry.name), { force: true });
  }
  rmSync(work, { recursive: true, force: true });
}
