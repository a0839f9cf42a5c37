/**
 * The cache of Hugging Face's libraries, which is shared with them:
 *
 *   models--org--name/refs/main                          the commit that a branch or a tag was when it was last asked for
 *   models--org--name/snapshots/<commit>/config.json     a link to
 *   models--org--name/blobs/<hash>                       a file by its hash: SHA-256 of large ones, git's SHA-1 of others
 *   models--org--name/.no_exist/<commit>/<file>          empty: the repository has no such file
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, lstat, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type HubName, isCommit } from '../../huggingface/name.js';
import { codeOf, writeFileAtomic } from '../writing.js';
import { neededOf, PROCESSOR, shardsOf } from './needs.js';

export class HubCache {
  /** The folder of the repository. */
  readonly folder: string;

  constructor(cache: string, repository: string) {
    this.folder = join(cache, `models--${repository.replaceAll('/', '--')}`);
  }

  /** The commit that a revision was when it was last asked for; undefined where it never was. */
  commitOf(revision: string): string | undefined {
    if (isCommit(revision)) return revision;
    try {
      const commit = readFileSync(join(this.folder, 'refs', revision), 'utf8').trim();
      return isCommit(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  blob(hash: string): string {
    return join(this.folder, 'blobs', hash);
  }

  /**
   * What a commit has here of what a name means: `all` that is read, `enough` where it cannot be told whether the repository has a file that may be
   * absent, undefined where something is missing.
   */
  holds(commit: string, { path }: Pick<HubName, 'path'>): 'all' | 'enough' | undefined {
    const at = join(this.snapshot(commit), path);
    const found = statSync(at, { throwIfNoEntry: false });
    if (found?.isFile()) return 'all';
    if (!found) return undefined;
    // A link whose file is gone is no file.
    const names = new Set(readdirSync(at).filter((name) => existsSync(join(at, name))));
    const needs = neededOf(names);
    if (!needs) return undefined;
    const shards = needs.index === undefined ? [] : shardsOf(readFileSync(join(at, needs.index), 'utf8'));
    if (needs.index !== undefined && shards.length === 0) return undefined;
    if (!shards.every((shard) => names.has(shard))) return undefined;
    const known = needs.files.includes(PROCESSOR) || names.has('adapter_config.json');
    return known || existsSync(join(this.folder, '.no_exist', commit, path, PROCESSOR)) ? 'all' : 'enough';
  }

  /** Remembers that a branch or a tag is this commit. */
  async remember(revision: string, commit: string): Promise<void> {
    if (!isCommit(revision) && this.commitOf(revision) !== commit)
      await writeFileAtomic(join(this.folder, 'refs', revision), commit);
  }

  /** Remembers that a commit has no such file. */
  async absent(commit: string, file: string): Promise<void> {
    const at = join(this.folder, '.no_exist', commit, file);
    if (!existsSync(at)) await writeFileAtomic(at, '');
  }

  /** Puts a blob into the snapshot of a commit under a file's name: by a link, or as a copy where the system gives none. */
  async place(commit: string, file: string, hash: string): Promise<void> {
    const at = join(this.snapshot(commit), file);
    const blob = this.blob(hash);
    await mkdir(dirname(at), { recursive: true });
    const made = `${at}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`;
    try {
      await symlink(relative(dirname(at), blob), made);
    } catch (error) {
      if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(String(codeOf(error)))) throw error;
      await copyFile(blob, made);
    }
    // In one step, so that no reader sees the name without a file behind it.
    await rename(made, at).catch(async (error: unknown) => {
      await rm(made, { force: true });
      if (!(await lstat(at).catch(() => undefined))) throw error;
    });
  }
}
