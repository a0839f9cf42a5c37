/** The page as a folder that any web server can serve: the page, both programs, and the coins. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleSite } from '../site.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Writes the site into a folder, in place of what is there. @param programs the folder with the compiled `encoder` and `decoder` */
export async function buildSite(folder: string, programs: string): Promise<void> {
  await bundleSite(folder, {
    from: HERE,
    entries: ['page/page.ts', 'page/page.css'],
    copied: ['page/index.html', 'coins.png'],
  });
  for (const program of ['encoder', 'decoder'])
    await cp(join(programs, program), join(folder, program), { recursive: true });
}
