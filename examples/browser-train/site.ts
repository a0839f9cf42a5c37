/**
 * The page as a folder that any web server can serve: the page and its worker, with the compiler in the worker; the model; and digits
 * of MNIST's training images to begin with.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Metafile } from 'esbuild';
import sharp from 'sharp';
import { trainingDigits } from '../fashion/mnist.js';
import { bundleSite } from '../site.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** How many of each digit. */
const SAMPLES = 20;

/** Writes the site into a folder, in place of what is there; gives what esbuild says of the bundles. */
export async function buildSite(folder: string): Promise<Metafile> {
  const metafile = await bundleSite(folder, {
    from: HERE,
    entries: ['page/page.ts', 'page/worker.ts', 'page.css'],
    copied: ['index.html', 'icon.svg', 'drawings.peft'],
  });
  await mkdir(join(folder, 'samples'));
  await cp(join(HERE, '../fashion/vit-fashion'), join(folder, 'models/vit-fashion'), { recursive: true });
  await writeSamples(join(folder, 'samples'));
  return metafile;
}

/** Of each digit a row of pictures, as one PNG. */
async function writeSamples(folder: string): Promise<void> {
  const { count, image, labels } = await trainingDigits();
  for (let digit = 0; digit < 10; digit++) {
    const chosen = Array.from({ length: count }, (_, i) => i)
      .filter((i) => labels[i] === digit)
      .slice(0, SAMPLES)
      .map(image);
    const [{ width, height }] = chosen as [ReturnType<typeof image>];
    const sheet = new Uint8Array(SAMPLES * width * height);
    for (const [i, { data }] of chosen.entries())
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) sheet[y * SAMPLES * width + i * width + x] = data[4 * (y * width + x)]!;
    const raw = { width: SAMPLES * width, height, channels: 1 } as const;
    await writeFile(join(folder, `${digit}.png`), await sharp(sheet, { raw }).png().toBuffer());
  }
}
