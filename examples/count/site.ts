/** The page as a folder that any web server can serve: the page, bundled by esbuild, both programs, and the coins. It loads nothing from elsewhere. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Writes the site into a folder, in place of what is there. @param programs the folder with the compiled `encoder` and `decoder` */
export async function buildSite(folder: string, programs: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build({
    absWorkingDir: HERE,
    entryPoints: ['page/page.ts', 'page/page.css'],
    entryNames: '[name]',
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
  });
  await cp(join(HERE, 'page/index.html'), join(folder, 'index.html'));
  await cp(join(HERE, 'coins.png'), join(folder, 'coins.png'));
  for (const program of ['encoder', 'decoder'])
    await cp(join(programs, program), join(folder, program), { recursive: true });
}
