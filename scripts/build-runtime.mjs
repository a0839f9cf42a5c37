/** Bundles the runtime that a page loads into one file, dist/runtime.js (ESM, no dependency). */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @type {(entry: string) => import('esbuild').BuildOptions & { write: false }} */
const forPages = (entry) => ({
  absWorkingDir: root,
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

/** A module and all that it imports, as one text for pages. @param entry path in the project */
export async function bundled(entry) {
  const { outputFiles } = await build(forPages(entry));
  return outputFiles[0].text;
}

/** The same in the parts that bundlers make of it: what a page loads at first, and what it imports when it is needed. @param entry path in the project */
export async function bundledInParts(entry) {
  const { outputFiles, metafile } = await build({ ...forPages(entry), splitting: true, metafile: true, outdir: root });
  const outputs = new Map(Object.entries(metafile.outputs));
  const first = new Set([...outputs].filter(([, o]) => o.entryPoint === entry).map(([path]) => path));
  // What a part imports at once goes with it; the set grows while it is walked.
  for (const path of first)
    for (const i of outputs.get(path).imports) if (i.kind === 'import-statement') first.add(i.path);
  const texts = outputFiles.map((f) => ({ first: first.has(relative(root, f.path)), text: f.text }));
  return { first: texts.filter((t) => t.first), later: texts.filter((t) => !t.first) };
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
