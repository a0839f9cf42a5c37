/** Puts a compiled program or a merged checkpoint into a folder: complete, or not at all. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostModule } from '../../codegen/host.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { writeFolderAtomic } from '../../formats/node/files.js';
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

/** Refuses to write into a folder that holds anything that is not of an earlier output. */
async function refuseForeign(folder: string, marker: string): Promise<void> {
  if (!existsSync(folder)) return;
  const names = await readdir(folder).catch(() => ['(a file)']);
  if (names.length > 0 && !existsSync(join(folder, marker)))
    throw new EspalierError([diagnostic('ESP0906', { path: folder })]);
}

/** @throws EspalierError if the folder is something else's or cannot be written; then nothing is changed. */
export async function writeCompiled(compiled: Compiled, folder: string): Promise<void> {
  await refuseForeign(folder, 'program.json');
  const files = new Map([
    ...compiled.files,
    ...Object.entries(hostModule(compiled.program)),
    ['runtime.js', await runtimeBundle()] as const,
  ]);
  await writeFolderAtomic(folder, files, { stale: ours });
}

/** @throws EspalierError as `writeCompiled` */
export async function writeMerged(merged: Merged, folder: string): Promise<void> {
  await refuseForeign(folder, [...merged.files.keys()][0]!);
  await writeFolderAtomic(folder, merged.files);
}
