/** From what a spec or a command names to a place on this disk: a path as it is, or a repository's files in the cache, fetched where they are not there. */
import { join } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../../diagnostics/types.js';
import { type HubName, type HubOrigin, hubText, isCommit, isHubName, parseHubName } from '../../huggingface/name.js';
import { readAll } from '../../tensors/bytes.js';
import { openFile } from '../files.js';
import { HubCache } from './cache.js';
import { HubClient } from './client.js';
import { fetchBlob } from './download.js';
import { neededOf, nothingNeeded, PROCESSOR, shardsOf } from './needs.js';
import { type HubOptions, type HubSettings, hubSettings } from './settings.js';

export interface Located {
  /** A file or a folder of this machine; whether it is there, whoever opens it finds out. */
  readonly path: string;
  /** Which repository's it is, and at which commit. */
  readonly hub?: HubOrigin;
  /** What is to be said of how it was found. */
  readonly warnings: readonly Diagnostic[];
}

/**
 * Where the files are that a name means: those of a path, or of `hf:org/name@revision`, which is taken from the cache of Hugging Face's libraries, and
 * fetched into it where it is not there. A branch or a tag is asked for each time, unless `offline`; a commit never changes.
 * @throws EspalierError ESP1297 (no such name), ESP1298 (offline, and not in the cache), ESP1300 (no access), ESP1301 (network), ESP1302 (wrong bytes),
 * ESP0506 (nothing in it that is read), ESP0520 (disk)
 */
export async function locate(location: string, options: HubOptions = {}): Promise<Located> {
  if (!isHubName(location)) return { path: location, warnings: [] };
  const name = parseHubName(location);
  const settings = hubSettings(options);
  const cache = new HubCache(settings.cache, name.repository);
  const cached = cache.commitOf(name.revision);
  const holds = cached === undefined ? undefined : cache.holds(cached, name);
  const found = (commit: string, warnings: readonly Diagnostic[] = []): Located => ({
    path: join(cache.snapshot(commit), name.path),
    hub: { ...name, commit },
    warnings,
  });
  if (cached !== undefined && (holds === 'all' || (holds === 'enough' && settings.offline))) {
    if (settings.offline || isCommit(name.revision)) return found(cached);
  }
  if (settings.offline)
    throw new EspalierError([
      diagnostic('ESP1298', { name: hubText(name), cache: settings.cache, part: cached !== undefined }),
    ]);
  const client = await HubClient.open(settings);
  try {
    return found(await fetched(name, cache, client, settings));
  } catch (error) {
    const [first] = error instanceof EspalierError ? error.diagnostics : [];
    // What was fetched before is as good as ever where only the way to the server is closed.
    if (cached === undefined || holds === undefined || !['ESP1300', 'ESP1301'].includes(first?.code ?? '')) throw error;
    return found(cached, [diagnostic('ESP1299', { name: hubText(name), commit: cached, why: first!.message })]);
  } finally {
    await client.close();
  }
}

/** Fetches what is not there of what a name means now. Gives the commit. */
async function fetched(name: HubName, cache: HubCache, client: HubClient, settings: HubSettings): Promise<string> {
  settings.progress(`asking for ${hubText(name)}`);
  const { commit, files } = await client.list(name);
  const take = async (file: string): Promise<void> => {
    const remote = await client.describe(name, commit, file);
    await fetchBlob(name, remote, cache, client, settings);
    await cache.place(commit, file, remote.hash);
  };
  if (cache.holds(commit, name) !== 'all') {
    if (files.has(name.path)) await take(name.path);
    else await takeFolder(name, commit, files, cache, take);
  }
  // Last, so that a branch leads to what is whole.
  await cache.remember(name.revision, commit);
  return commit;
}

async function takeFolder(
  name: HubName,
  commit: string,
  files: ReadonlySet<string>,
  cache: HubCache,
  take: (file: string) => Promise<void>,
): Promise<void> {
  const start = name.path === '' ? '' : `${name.path}/`;
  const names = new Set([...files].filter((f) => f.startsWith(start)).map((f) => f.slice(start.length)));
  if (names.size === 0 && start !== '')
    throw new EspalierError([
      diagnostic('ESP1297', { name: hubText(name), why: `the repository has no "${name.path}"` }),
    ]);
  const needs = neededOf(names);
  if (!needs) throw nothingNeeded(hubText(name), names);
  // Small ones first: what is wrong with a configuration is found before its weights are fetched by who asks again.
  for (const file of needs.files) await take(start + file);
  if (needs.index !== undefined) {
    const index = await openFile(join(cache.snapshot(commit), start + needs.index));
    for (const shard of shardsOf(new TextDecoder().decode(await readAll(index)))) {
      // One that is not there is said where the index is read.
      if (names.has(shard)) await take(start + shard);
    }
  }
  if (!needs.files.includes(PROCESSOR) && !names.has('adapter_config.json'))
    await cache.absent(commit, start + PROCESSOR);
}
