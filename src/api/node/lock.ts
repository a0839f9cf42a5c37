/**
 * Which process writes a run's folder. A process says so by an empty file whose name says which it is: a name is there or not, so that one that is killed at
 * any instant leaves either nothing or all of it. Two that come at the same instant see one another's, and at least one of them stays out.
 */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { isAlive } from '../../formats/node/leftovers.js';

const LOCK = /^lock-(\d+)@(.+)$/;

export const isLock = (name: string): boolean => LOCK.test(name);

/** As it stands in names of files. */
const MACHINE = hostname().replaceAll(/[^\w.-]/g, '_');

/** Name of the lock of a process of this machine. */
export const lockName = (pid = process.pid): string => `lock-${pid}@${MACHINE}`;

interface Lock {
  readonly file: string;
  readonly pid: string;
  readonly machine: string;
  /** Whether its process is there still, as far as this machine can know. */
  readonly held: boolean;
}

function locksIn(folder: string): Lock[] {
  return readdirSync(folder).flatMap((name): Lock[] => {
    const [, pid, machine] = LOCK.exec(name) ?? [];
    if (pid === undefined || machine === undefined) return [];
    const file = join(folder, name);
    return [{ file, pid, machine, held: machine !== MACHINE || isHeld(file, Number(pid)) }];
  });
}

/** A lock from before this process that has its number is of another one: a machine that starts anew gives the same numbers again. */
function isHeld(file: string, pid: number): boolean {
  if (pid !== process.pid) return isAlive(pid);
  const written = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return written !== undefined && written >= Date.now() - 1000 * process.uptime();
}

/** Whether a process writes in the folder now. */
export const isLocked = (folder: string): boolean => existsSync(folder) && locksIn(folder).some((lock) => lock.held);

/** @throws EspalierError ESP1105 if a process has it; what the file system throws if nothing can be written */
export function takeLock(folder: string): void {
  const own = join(folder, lockName());
  const locks = locksIn(folder);
  for (const { file, held } of locks) if (!held) rmSync(file, { force: true });
  const refuse = ({ pid, machine, file }: Lock): never => {
    throw new EspalierError([diagnostic('ESP1105', { path: folder, pid, machine, lock: file })]);
  };
  const holder = locks.find((lock) => lock.held);
  if (holder) refuse(holder);
  writeFileSync(own, '', { flag: 'wx' });
  const other = locksIn(folder).find((lock) => lock.held && lock.file !== own);
  if (!other) return;
  rmSync(own, { force: true });
  refuse(other);
}

export const releaseLock = (folder: string): void => rmSync(join(folder, lockName()), { force: true });
