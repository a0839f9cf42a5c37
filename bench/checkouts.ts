/** The two versions that are compared: this checkout as it is, and a commit of it or another checkout. */
import { execFileSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from './arguments.js';

export interface Checkout {
  /** As a person named it, and its commit. */
  readonly name: string;
  readonly folder: string;
}

const HERE = fileURLToPath(new URL('..', import.meta.url));

/** Its command line. */
export const cliOf = ({ folder }: Checkout): string => join(folder, 'dist/src/cli/main.js');

const git = (folder: string, ...args: readonly string[]): string =>
  execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

const build = (folder: string): void => {
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
};

/** The commit that a checkout is at, and whether files differ from it; nothing where git knows none. */
function stateOf(folder: string): string {
  try {
    const changed = git(folder, 'status', '--porcelain', '--untracked-files=no') !== '';
    return ` (${git(folder, 'rev-parse', '--short', 'HEAD')}${changed ? ', with changes' : ''})`;
  } catch {
    return '';
  }
}

/** This checkout, built as it is. */
export function thisCheckout(): Checkout {
  build(HERE);
  return { name: `this checkout${stateOf(HERE)}`, folder: HERE };
}

/**
 * A checkout that is built already, if `text` is a folder with a package.json; else that commit of this repository, in `empty` (a folder, which is
 * the caller's to remove), with the packages of this checkout.
 * @throws UsageError for what is neither, and for a commit that does not build
 */
export function otherCheckout(text: string, empty: string): Checkout {
  const folder = resolve(text);
  if (existsSync(join(folder, 'package.json'))) {
    const found = { name: `${text}${stateOf(folder)}`, folder };
    if (!existsSync(cliOf(found))) throw new UsageError(`${text} is not built: run \`npm run build\` there`);
    return found;
  }
  const commit = commitOf(text);
  // A clone that shares this repository's objects leaves nothing in it, however the benchmark ends.
  git(HERE, 'clone', '--quiet', '--shared', '--no-checkout', '.', empty);
  git(empty, 'checkout', '--quiet', '--detach', commit);
  symlinkSync(join(HERE, 'node_modules'), join(empty, 'node_modules'), 'junction');
  try {
    build(empty);
  } catch {
    throw new UsageError(
      `${text} does not build with this checkout's packages: build a checkout of it with its own, and name that folder`,
    );
  }
  return { name: `${text} (${commit.slice(0, 7)})`, folder: empty };
}

function commitOf(text: string): string {
  try {
    return git(HERE, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${text}^{commit}`);
  } catch {
    throw new UsageError(`--against ${text} is neither a commit of this repository nor a folder with a checkout`);
  }
}
