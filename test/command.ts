/**
 * The command line as a process of its own. Translating the sources anew takes each process longer than most of what tests have it do, so in a run of
 * Vitest the first that starts one translates them for all, file by file; elsewhere it runs from the sources.
 */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleRuntime } from '../scripts/build-runtime.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const OUT = join(ROOT, 'out');

/** The environment variable that says where the translated sources of this run lie, or will. */
const FOLDER = 'ESPALIER_TRANSLATED';

/** What follows `node` to run the command line, in the checkout's folder. */
export async function command(): Promise<readonly string[]> {
  const folder = process.env[FOLDER];
  if (!folder) return ['--import', 'tsx', 'src/cli/main.ts'];
  if (!existsSync(folder)) await translate(folder);
  return [join(relative(ROOT, folder), 'src/cli/main.js')];
}

/** Appears at once: another worker may look for it, or make it as well. */
async function translate(folder: string): Promise<void> {
  const unfinished = await mkdtemp(`${folder}-`);
  const sources = ['src', 'runtime'].flatMap((name) =>
    readdirSync(join(ROOT, name), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(ROOT, name, file)),
  );
  await build({
    entryPoints: sources,
    outdir: unfinished,
    outbase: ROOT,
    bundle: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  // As the package has it beside its folders.
  await writeFile(join(unfinished, 'runtime.js'), await bundleRuntime());
  try {
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}

/** Of a whole run of Vitest: where workers translate to, and that nothing of it is left. */
export default async function setup(): Promise<() => Promise<void>> {
  await mkdir(OUT, { recursive: true });
  const folder = join(OUT, `translated-${process.pid}`);
  process.env[FOLDER] = folder;
  return async () => {
    const left = readdirSync(OUT).filter((name) => join(OUT, name).startsWith(folder));
    await Promise.all(left.map((name) => rm(join(OUT, name), { recursive: true, force: true })));
  };
}
