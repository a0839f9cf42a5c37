/** The file of runs that are done. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../arguments.js';
import type { OwnRun } from './run.js';
import type { Settings } from './settings.js';

export interface Kept {
  readonly settings: Settings;
  readonly runs: OwnRun[];
}

/** What is done already. @throws UsageError for what was done otherwise */
export function keptIn(file: string, settings: Settings): Kept {
  if (!existsSync(file)) return { settings, runs: [] };
  const kept = JSON.parse(readFileSync(file, 'utf8')) as Kept;
  if (JSON.stringify(kept.settings) !== JSON.stringify(settings))
    throw new UsageError(`${file} was made with ${JSON.stringify(kept.settings)}: give another file by --json`);
  return kept;
}

/** Whole or not at all, whenever this process ends. */
export function keep(file: string, kept: Kept): void {
  mkdirSync(dirname(file), { recursive: true });
  const text = JSON.stringify(kept, undefined, 1).replace(
    /("losses": )(\[[^\]]*\])/g,
    (_, name, list) => name + list.replace(/\s+/g, ''),
  );
  writeFileSync(`${file}.part`, `${text}\n`);
  renameSync(`${file}.part`, file);
}
