/** The base of an adapter folder: what its configuration calls it, as a place on this machine. */
import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { OpenCheckpoint } from '../../../formats/checkpoint.js';
import { readJsonObject } from '../../../formats/huggingface/json.js';

/** What an adapter folder says of its base, and where that was looked for. */
export interface NamedBase {
  /** `base_model_name_or_path`; absent where the folder does not say it. */
  readonly name?: string;
  /** A folder or file; absent where there is none. */
  readonly found?: string;
  readonly tried: readonly string[];
}

/**
 * Finds the base by its name: a path, from the working folder, from the adapter's folder or from the one around it; or its last part, beside the adapter's folder or
 * in it. Names of repositories are the business of `repository`.
 * @param repository a location that a spec can name, for a name such as `org/model` and its revision; undefined where there is none
 */
export async function baseOf(
  folder: string,
  opened: OpenCheckpoint,
  repository: (name: string, revision: string | undefined) => string | undefined = () => undefined,
): Promise<NamedBase> {
  const source = await opened.folder?.open('adapter_config.json');
  if (!source) return { tried: [] };
  let name: unknown;
  let revision: unknown;
  try {
    ({ base_model_name_or_path: name, revision } = await readJsonObject(source));
  } finally {
    await source.close?.();
  }
  if (typeof name !== 'string' || name === '') return { tried: [] };
  const around = dirname(resolve(folder));
  const candidates = isAbsolute(name)
    ? [name, join(around, basename(name))]
    : [
        resolve(name),
        join(folder, name),
        join(around, name),
        join(around, basename(name)),
        join(folder, basename(name)),
      ];
  const tried = [...new Set(candidates.map((c) => relative('', c) || '.'))];
  const found =
    tried.find((c) => existsSync(c)) ?? repository(name, typeof revision === 'string' ? revision : undefined);
  return { name, tried, ...(found === undefined ? {} : { found }) };
}
