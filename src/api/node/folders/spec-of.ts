/** The spec that a folder on this machine amounts to. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join, parse, relative, resolve } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';
import type { OpenCheckpoint } from '../../../formats/checkpoint.js';
import { isHubName, parseHubName } from '../../../formats/huggingface/name.js';
import type { Spec } from '../../analyse.js';
import { specText } from '../../folders/amounts.js';
import type { Host } from '../../host.js';
import { baseOf } from './base.js';

/** Whether a path leads to a folder of a checkpoint or of an adapter, or names a repository, which is no spec and amounts to one. */
export const isModelFolder = (path: string): boolean =>
  isHubName(path) ||
  (existsSync(path) &&
    statSync(path).isDirectory() &&
    ['adapter_config.json', 'config.json'].some((file) => existsSync(join(path, file))));

/** What the spec of a folder is called. */
export const nameOfFolder = (folder: string): string =>
  isHubName(folder)
    ? parseHubName(folder).repository.replace(/^.*\//, '')
    : basename(resolve(folder)).replace(/\.[a-z]+$/, '');

export interface FolderSpec {
  readonly text: string;
  /** Where it would be: beside the folder, unless it is asked for elsewhere. */
  readonly path: string;
}

/**
 * @param folder of a checkpoint, or of an adapter of `peft`; or a file of weights
 * @param options.base the base of an adapter, where its configuration does not lead to it
 * @param options.at where the spec is to be
 * @throws EspalierError ESP1295, and what opening files throws
 */
export async function specOfFolder(
  folder: string,
  options: { readonly host: Host; readonly base?: string | undefined; readonly at?: string | undefined },
): Promise<FolderSpec> {
  const { host, at } = options;
  const name = nameOfFolder(folder);
  const path = at ?? join(isHubName(folder) ? '.' : dirname(folder), `${name}.peft`);
  const open: OpenCheckpoint[] = [];
  const opened = async (location: string): Promise<OpenCheckpoint> => {
    const one = await host.openCheckpoint(location);
    open.push(one);
    return one;
  };
  /** As the spec names it. */
  const named = (location: string): string => {
    if (isHubName(location)) return location;
    const there = resolve(location);
    const way = relative(dirname(resolve(path)), there);
    // A way that leads through the root is no way from here to there.
    if (resolve(dirname(resolve(path)), way.replace(/[^./].*$/, '')) === parse(there).root) return there;
    return way.startsWith('.') ? way : `./${way}`;
  };
  try {
    const first = await opened(folder);
    if (first.kind !== 'peft') {
      if (options.base !== undefined)
        throw new EspalierError([
          diagnostic('ESP1295', { folder, why: '--base is for the folder of an adapter, and this is none' }),
        ]);
      if (first.kind === 'adapter' || first.kind === 'mask' || first.kind === 'onnx')
        throw new EspalierError([
          diagnostic('ESP1295', { folder, why: 'it is neither a checkpoint nor an adapter folder of `peft`' }),
        ]);
      const text = await specText({ base: { location: named(folder), opened: first }, name, path }, { host });
      return { text, path };
    }
    const base = options.base ?? (await foundBase(folder, first));
    const request = {
      base: { location: named(base), opened: await opened(base) },
      adapter: { location: named(folder), opened: first },
      name,
      path,
    };
    return { text: await specText(request, { host }), path };
  } finally {
    await Promise.all(open.map((o) => o.close()));
  }
}

/** A name with two parts that is no folder here is that of a repository. */
const repositoryOf = (name: string, revision: string | undefined): string | undefined =>
  /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) ? `hf:${name}${revision === undefined ? '' : `@${revision}`}` : undefined;

async function foundBase(folder: string, opened: OpenCheckpoint): Promise<string> {
  const { name, found, tried } = await baseOf(folder, opened, repositoryOf);
  if (found !== undefined) return found;
  const why =
    name === undefined
      ? 'its adapter_config.json does not say which base it is for'
      : `its base, ${JSON.stringify(name)}, is not there (looked for: ${tried.join(', ')})`;
  throw new EspalierError([diagnostic('ESP1295', { folder, why })]);
}

/**
 * Refuses a folder where it is to be trained: it says what is adapted, and nothing of data, rates and epochs.
 * @throws EspalierError ESP1312 with the lines to write; ESP1295 where the folder amounts to no spec
 */
export async function requireSpec(
  spec: Spec,
  { host, base }: { readonly host: Host; readonly base?: string | undefined },
): Promise<void> {
  if (typeof spec !== 'string' || !isModelFolder(spec)) {
    if (base === undefined) return;
    const why = 'it is no folder of an adapter, whose base --base names';
    throw new EspalierError([diagnostic('ESP1295', { folder: typeof spec === 'string' ? spec : spec.path, why })]);
  }
  const { text } = await specOfFolder(spec, { host, base });
  const model = /^model (\w+)/m.exec(text)?.[1] ?? 'M';
  throw new EspalierError([
    diagnostic('ESP1312', {
      folder: spec,
      file: `${nameOfFolder(spec)}.peft`,
      model,
      ...(base === undefined ? {} : { base }),
    }),
  ]);
}
