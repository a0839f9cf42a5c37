/** Puts a compiled program or a merged checkpoint into a folder: the old one or the new one, at every instant. */
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { isExported } from '../../formats/export.js';
import { kindOfPath, openFile } from '../../formats/node/files.js';
import { type OutputState, outputState, writeFolderAtomic } from '../../formats/node/folder.js';
import { restoreFolder } from '../../formats/node/leftovers.js';
import { requireWritable, writeFilesAtomic } from '../../formats/node/writing.js';
import { openOnnx } from '../../formats/onnx/read.js';
import type { OnnxModel } from '../../formats/onnx/types.js';
import { onnxFiles } from '../../formats/onnx/write.js';
import { openSafetensors } from '../../formats/tensors/store.js';
import type { ExportedAdapters } from '../adapters/export.js';
import type { Compiled } from '../compile.js';
import type { Merged } from '../merge.js';
import type { ExportedOnnx } from '../onnx/export.js';

let bundle: Promise<string> | undefined;

/** The bundled runtime: of the package as it was built, or made of the sources of the checkout that this runs in, whatever was built there. */
function runtimeBundle(): Promise<string> {
  const built = fileURLToPath(new URL('../../../runtime.js', import.meta.url));
  if (existsSync(built)) return readFile(built, 'utf8');
  // Not a literal: the package that is built from here has no such file.
  const script = new URL('../../../scripts/build-runtime.mjs', import.meta.url).href;
  bundle ??= import(script).then(({ bundleRuntime }: { bundleRuntime: () => Promise<string> }) => bundleRuntime());
  return bundle;
}

async function isWrittenHere(file: string): Promise<boolean> {
  try {
    return isExported(await openSafetensors(await openFile(file)));
  } catch {
    return false;
  }
}

/**
 * Kinds of output: the file that says which a folder holds, and names of files that an earlier one may have left. A base model's folder looks like a
 * merged one but for its metadata.
 */
const KINDS = {
  program: {
    key: 'program.json',
    isOurs: async () => true,
    stale: (name: string) =>
      /^program\.json$|\.wgsl$|^(weights|golden).*\.safetensors$|^(index|runtime)\.(js|d\.ts)$/.test(name),
  },
  checkpoint: {
    key: 'model.safetensors',
    isOurs: isWrittenHere,
    stale: (name: string) => /^(model\.safetensors|(preprocessor_)?config\.json)$/.test(name),
  },
  adapters: {
    key: 'adapter_model.safetensors',
    isOurs: isWrittenHere,
    stale: (name: string) => /^adapter_(model\.safetensors|config\.json)$/.test(name),
  },
} as const;

/**
 * Refuses an output folder before the work for it is done: one that holds anything that is not of an earlier output, a file in its place,
 * a place where nothing can be written. Changes nothing.
 * @returns what the folder holds now; given to `writeCompiled` or `writeMerged`, an output that another process puts there meanwhile is kept
 * @throws EspalierError ESP0906, ESP0520
 */
export async function requireOutput(folder: string, kind: keyof typeof KINDS): Promise<OutputState> {
  restoreFolder(folder);
  await requireWritable(folder);
  const { key, isOurs } = KINDS[kind];
  const names = existsSync(folder) ? await readdir(folder) : [];
  const file = join(folder, key);
  if (names.length > 0 && !(existsSync(file) && (await isOurs(file))))
    throw new EspalierError([diagnostic('ESP0906', { path: folder })]);
  return outputState(folder, key);
}

/**
 * Writes `program.json`, the kernels, the weights, the golden input, the typed module (`index.js`, `index.d.ts`) and the runtime. Replaces an
 * earlier compilation; other files in the folder stay.
 * @param since from `requireOutput`, before the work for it began; default: now
 * @throws EspalierError ESP0906 if the folder is something else's, ESP0520 if it cannot be written, ESP0927 if another process wrote it since;
 * then nothing is changed.
 */
export async function writeCompiled(compiled: Compiled, folder: string, since?: OutputState): Promise<void> {
  const now = await requireOutput(folder, 'program');
  // TypeScript's compiler comes with it: half a second of every start of a command that writes no program.
  const { hostModule } = await import('../../codegen/host.js');
  const files = new Map([
    ...compiled.files,
    ...Object.entries(hostModule(compiled.program)),
    ['runtime.js', await runtimeBundle()] as const,
  ]);
  await writeFolderAtomic(folder, files, { stale: KINDS.program.stale, since: since ?? now });
}

/**
 * Writes the merged checkpoint, in the layout of the base.
 * @throws EspalierError as `writeCompiled`
 */
export async function writeMerged(merged: Merged, folder: string, since?: OutputState): Promise<void> {
  const now = await requireOutput(folder, 'checkpoint');
  await writeFolderAtomic(folder, merged.files, { stale: KINDS.checkpoint.stale, since: since ?? now });
}

/**
 * Writes an adapter folder.
 * @throws EspalierError as `writeCompiled`
 */
export async function writeAdapters(exported: ExportedAdapters, folder: string, since?: OutputState): Promise<void> {
  const now = await requireOutput(folder, 'adapters');
  await writeFolderAtomic(folder, exported.files, { stale: KINDS.adapters.stale, since: since ?? now });
}

/** What an ONNX file says of whoever wrote it, where that was done here. */
const isOwnOnnx = ({ producer }: OnnxModel): boolean => /^espalier /.test(producer);

/**
 * Refuses a file to write before the work for it is done: one that holds anything but an earlier export, a place where nothing can be written, a name by
 * which it would not be known.
 * @throws EspalierError ESP0906, ESP0520, ESP0912
 */
export async function requireOnnxOutput(file: string): Promise<void> {
  if (!file.endsWith('.onnx')) {
    const allowed = ['a path that ends in .onnx'];
    throw new EspalierError([diagnostic('ESP0912', { option: '--onnx', value: file, allowed })]);
  }
  await requireWritable(dirname(file));
  if ((await kindOfPath(file)) === undefined) return;
  let own = false;
  try {
    own = isOwnOnnx(await openOnnx(await openFile(file)));
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
  }
  if (!own) throw new EspalierError([diagnostic('ESP0906', { path: file, kind: 'file' })]);
}

export interface WriteOnnxOptions {
  /** Weights go into a file beside the model's, `FILE.data` (default: where they are more than 2 GB, which one file cannot hold). */
  readonly external?: boolean;
}

/**
 * Writes an exported model, whole or not at all. Replaces an earlier export.
 * @param file its path, which has to end in `.onnx`
 * @returns the paths of what was written, the model's own last
 * @throws EspalierError ESP0906 if something else is in its place, ESP0520 if it cannot be written, ESP0912 for another ending
 */
export async function writeOnnx(
  exported: Pick<ExportedOnnx, 'model'>,
  file: string,
  options: WriteOnnxOptions = {},
): Promise<readonly string[]> {
  await requireOnnxOutput(file);
  const files = await onnxFiles(basename(file), exported.model, options);
  const placed = [...files].map(([name, pieces]) => [join(dirname(file), name), pieces] as const);
  await writeFilesAtomic(placed);
  // What an earlier export kept apart is nobody's now.
  if (placed.length === 1) await rm(`${file}.data`, { force: true });
  return placed.map(([path]) => path);
}
