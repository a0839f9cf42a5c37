/** Bundles the runtime that a page loads into one file, dist/runtime.js (ESM, no dependency). */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** A module and all that it imports, as one text for pages. @param entry path in the project */
export async function bundled(entry) {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
    entryPoints: [entry],
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    legalComments: 'none',
    logLevel: 'warning',
  });
  return outputFiles[0].text;
}

/** The runtime's text. */
export async function bundleRuntime() {
  const text = await bundled('runtime/index.ts');
  // What is imported in Node alone goes by a name that bundlers must not look for, nor warn of; esbuild drops the comments that say so.
  return text.replaceAll(/\bimport\((?=\w)/g, 'import(/* webpackIgnore: true */ /* @vite-ignore */ ');
}

/** Writes the bundle and gives its path. Others may be reading it, so it appears at once. */
export async function buildRuntime() {
  const path = fileURLToPath(new URL('../dist/runtime.js', import.meta.url));
  await mkdir(fileURLToPath(new URL('../dist', import.meta.url)), { recursive: true });
  const unfinished = `${path}.${process.pid}.tmp`;
  await writeFile(unfinished, await bundleRuntime());
  await rename(unfinished, path);
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await buildRuntime());
