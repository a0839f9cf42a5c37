/**
 * Temporary names beside what is written. They say whose they are, so that the next run can tell what a killed process left behind from what
 * another one is still writing:
 *
 *   .out.<machine>-<process>-<random>.tmp   not yet complete, or about to be removed
 *   .out.<machine>-<process>-<random>.old   the whole folder that `out` was, while a new one takes its place
 */
import { createHash, randomBytes } from 'node:crypto';
import { type Dirent, existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
/** Another machine's processes cannot be asked for, and the number of one that ended is given to others: nothing is written for this long. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** Names that this process is using. */
const ours = new Set<string>();

export function temporary(path: string, kind: 'tmp' | 'old' = 'tmp'): string {
  const name = `.${basename(path)}.${MACHINE}-${process.pid}-${randomBytes(6).toString('hex')}.${kind}`;
  const made = join(dirname(path), name);
  ours.add(made);
  return made;
}

/** Whether a process of this machine is running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ESRCH';
  }
}

function isAbandoned(path: string, machine: string, pid: number): boolean {
  const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (changed === undefined) return false;
  if (Date.now() - changed > ABANDONED_MS) return true;
  if (machine !== MACHINE) return false;
  return pid === process.pid ? !ours.has(path) : !isAlive(pid);
}

/** What killed processes left beside `path`, newest first. */
function abandoned(path: string): { readonly path: string; readonly kind: string }[] {
  const start = `.${basename(path)}.`;
  let names: string[];
  try {
    names = readdirSync(dirname(path));
  } catch {
    return [];
  }
  return names
    .flatMap((name) => {
      const [, machine, pid, kind] = /^([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.(tmp|old)$/.exec(
        name.startsWith(start) ? name.slice(start.length) : '',
      ) ?? [undefined];
      const at = join(dirname(path), name);
      return kind && isAbandoned(at, machine!, Number(pid)) ? [{ path: at, kind }] : [];
    })
    .sort(
      (a, b) =>
        (statSync(b.path, { throwIfNoEntry: false })?.mtimeMs ?? 0) -
        (statSync(a.path, { throwIfNoEntry: false })?.mtimeMs ?? 0),
    );
}

/**
 * Puts the folder at `path` back where a process was killed at the one instant at which it has no name: after the old one was moved away, before the
 * new one was moved in. Readers and writers call it before they look.
 */
export function restoreFolder(path: string): void {
  const target = resolve(path);
  if (existsSync(target)) return;
  const old = abandoned(target).find(({ kind }) => kind === 'old');
  try {
    if (old) renameSync(old.path, target);
  } catch {
    // Another process was faster.
  }
}

/** An output is files alone: a folder of such a name is somebody else's. */
export const isStale = (entry: Dirent, stale: (name: string) => boolean): boolean =>
  !entry.isDirectory() && stale(entry.name);

/** Moves what is not of an earlier output from the folder that was replaced into the one in its place. */
export function carryOver(old: string, target: string, stale: (name: string) => boolean): void {
  for (const entry of readdirSync(old, { withFileTypes: true })) {
    const to = join(target, entry.name);
    if (!isStale(entry, stale) && !existsSync(to)) renameSync(join(old, entry.name), to);
  }
}

/** Removes what killed processes left beside `path`, except for what belongs into the folder there. */
export function removeLeftovers(path: string, stale: (name: string) => boolean = () => true): void {
  restoreFolder(path);
  for (const { path: left, kind } of abandoned(resolve(path))) {
    try {
      if (kind === 'old') carryOver(left, resolve(path), stale);
      rmSync(left, { recursive: true, force: true });
    } catch {
      // It is somebody else's, or another process removes it just now.
    }
  }
}
