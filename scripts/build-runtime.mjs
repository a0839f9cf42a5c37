/** Bundles the runtime that a page loads into one file, dist/runtime.js (ESM, no dependency). */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export async function buildRuntime() {
  const root = fileURLToPath(new URL('..', import.meta.url));
  await build({
    absWorkingDir: root,
    entryPoints: ['runtime/index.ts'],
    outfile: 'dist/runtime.js',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    external: ['node:*'],
    legalComments: 'none',
    logLevel: 'warning',
  });
  return new URL('../dist/runtime.js', import.meta.url);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(fileURLToPath(await buildRuntime()));
