/** Names of models on Hugging Face as specs write them: `hf:org/name@revision`. What they lead to is found by whoever has a disk and a network. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';

export interface HubName {
  /** `org/name` */
  readonly repository: string;
  /** A branch, a tag or a commit; `main` where the name has none. */
  readonly revision: string;
  /** A folder or a file of the repository; empty for its root. */
  readonly path: string;
}

/** What a `from` or a command line names when it names a repository: which of them, at which commit. */
export interface HubOrigin extends HubName {
  /** The commit that the revision was: 40 hexadecimal digits. */
  readonly commit: string;
}

const PREFIX = /^hf:(\/\/)?/;
const COMMIT = /^[0-9a-f]{40}$/;

export const isHubName = (location: string): boolean => PREFIX.test(location);
export const isCommit = (revision: string): boolean => COMMIT.test(revision);

/** A segment of a path that stays where it is: neither `..` nor what begins with a dash or a dot. */
const SEGMENT = /^[A-Za-z0-9_][\w.+-]*$/;
const isPath = (text: string): boolean =>
  text.length <= 512 && text.split('/').every((part) => SEGMENT.test(part) && !part.includes('..'));

/** Whether the name of a file of a repository can be the name of one here. */
export const isRepositoryFile = (name: string): boolean =>
  name.length <= 512 && name.split('/').every((part) => /^[^\\\0:]+$/.test(part) && part !== '.' && part !== '..');

/**
 * `hf:org/name`, `hf:org/name@revision`, `hf:org/name/folder/file.safetensors@revision`.
 * @throws EspalierError ESP1297 for what is no such name
 */
export function parseHubName(location: string): HubName {
  const wrong = (why: string): EspalierError => new EspalierError([diagnostic('ESP1297', { name: location, why })]);
  const text = location.replace(PREFIX, '');
  const at = text.indexOf('@');
  const [place, revision] = at < 0 ? [text, 'main'] : [text.slice(0, at), text.slice(at + 1)];
  const [org, name, ...rest] = place.split('/');
  if (!org || !name) throw wrong('a name has two parts, as in hf:org/name');
  for (const part of [org, name]) {
    if (!isPath(part) || part.includes('--') || part.length > 96 || part.endsWith('.'))
      throw wrong(`"${part}" is not a name that a repository can have`);
  }
  if (!isPath(revision)) throw wrong(`"${revision}" is not the name of a branch, a tag or a commit`);
  const path = rest.join('/');
  if (rest.length > 0 && !isPath(path)) throw wrong(`"${path}" is not a path of a repository`);
  return { repository: `${org}/${name}`, revision, path };
}

/** A name with its revision written out, as messages and records have it. */
export const hubText = ({ repository, revision, path }: HubName): string =>
  `hf:${repository}${path === '' ? '' : `/${path}`}@${revision}`;

/** The same place at a commit, whatever its branch has become since. */
export const atCommit = (location: string, commit: string): string =>
  hubText({ ...parseHubName(location), revision: commit });
