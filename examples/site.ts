/** What pages of the examples have in common: a folder that any web server can serve, with a page that esbuild bundled and that loads nothing from elsewhere. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';

/**
 * Makes the folder anew, with the bundles of `entries` and the files of `copied`, both by their paths below `from`; gives what esbuild says of the bundles.
 */
export async function bundleSite(
  folder: string,
  { from, entries, copied }: { readonly from: string; readonly entries: string[]; readonly copied: readonly string[] },
): Promise<Metafile> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: from,
    entryPoints: entries,
    entryNames: '[name]',
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
  });
  for (const file of copied) await cp(join(from, file), join(folder, file.split('/').at(-1)!));
  return metafile;
}
