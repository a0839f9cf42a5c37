/** Puts a compiled program or a merged checkpoint into a folder: complete, or not at all. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostModule } from '../../codegen/host.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { isExported } from '../../formats/export.js';
import { openFile } from '../../formats/node/files.js';
import { requireWritable, writeFolderAtomic } from '../../formats/node/writing.js';
import { openSafetensors } from '../../formats/store.js';
import type { Compiled } from '../compile.js';
import type { Merged } from '../merge.js';

/** What an earlier compilation may have left in the folder. */
const ours = (name: string) =>
  /^program\.json$|\.wgsl$|^(weights|golden).*\.safetensors$|^(index|runtime)\.(js|d\.ts)$/.test(name);

/** The bundled runtime, from the installed package or from a checkout that was built. */
async function runtimeBundle(): Promise<string> {
  for (const place of ['../../../runtime.js', '../../../dist/runtime.js']) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return readFile(path, 'utf8');
  }
  throw new Error('the runtime bundle is missing: run `npm run build`');
}

/** Whether what is in a folder says that it is an earlier output of ours. A base model's folder looks like a merged one but for its metadata. */
const IS_OURS = {
  program: async (folder: string) => existsSync(join(folder, 'program.json')),
  checkpoint: async (folder: string) => {
    const file = join(folder, 'model.safetensors');
    if (!existsSync(file)) return false;
    try {
      return isExported(await openSafetensors(await openFile(file)));
    } catch {
      return false;
    }
  },
} as const;

/**
 * Refuses an output folder before the work for it is done: one that holds anything that is not of an earlier output, a file in its place,
 * a place where nothing can be written. Changes nothing.
 * @throws EspalierError ESP0906, ESP0520
 */
export async function requireOutput(folder: string, kind: keyof typeof IS_OURS): Promise<void> {
  await requireWritable(folder);
  const names = existsSync(folder) ? await readdir(folder) : [];
  if (names.length > 0 && !(await IS_OURS[kind](folder)))
    throw new EspalierError([diagnostic('ESP0906', { path: folder })]);
}

/**
 * Writes `program.json`, the kernels, the weights, the golden input, the typed module (`index.js`, `index.d.ts`) and the runtime. Replaces an
 * earlier compilation; other files in the folder stay.
 * @throws EspalierError ESP0906 if the folder is something else's, ESP0520 if it cannot be written; then nothing is changed.
 */
export async function writeCompiled(compiled: Compiled, folder: string): Promise<void> {
  await requireOutput(folder, 'program');
  const files = new Map([
    ...compiled.files,
    ...Object.entries(hostModule(compiled.program)),
    ['runtime.js', await runtimeBundle()] as const,
  ]);
  await writeFolderAtomic(folder, files, { stale: ours });
}

/**
 * Writes the merged checkpoint, in the layout of the base.
 * @throws EspalierError as `writeCompiled`
 */
export async function writeMerged(merged: Merged, folder: string): Promise<void> {
  await requireOutput(folder, 'checkpoint');
  await writeFolderAtomic(folder, merged.files);
}
