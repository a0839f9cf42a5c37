/** The compiler on this machine's files: what works on a spec, with Node as its host unless another is given. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Checked, EspalierError } from '../../diagnostics/types.js';
import { type ExportedAdapters, type ExportOptions, exportAdapters as exportOn } from '../adapters/export.js';
import { type Analysis, analyse as analyseOn, type Spec, type SpecOptions } from '../analyse.js';
import { type Compiled, type CompileOptions, compile as compileOn } from '../compile.js';
import type { Host } from '../host.js';
import { type Inspected, type InspectOptions, inspect as inspectOn } from '../inspect/inspect.js';
import { type Merged, type MergeOptions, merge as mergeOn } from '../merge.js';
import { type ExportedOnnx, exportOnnx as exportOnnxOn, type OnnxExportOptions } from '../onnx/export.js';
import { type GradientOptions, type GradientProgram, grad as gradOn } from '../train/gradient.js';
import { openTrainer as openTrainerOn, type SpecTrainer, type TrainerOptions } from '../train/open.js';
import { isModelFolder, requireSpec, specOfFolder } from './folders/spec-of.js';
import { nodeHost } from './host.js';
import { isRunFolder, runSpec } from './run-folder.js';

/** Options of which the host may be left out. */
export type OnNode<T extends { readonly host: Host }> = Omit<T, 'host'> & {
  readonly host?: Host;
  /** Where the spec is the folder of an adapter: that of its base, if its configuration does not lead there. */
  readonly base?: string | undefined;
};

const withHost = <T>(options: T): T & { readonly host: Host } => ({ host: nodeHost(), ...options });

/**
 * The spec of a run's folder, with its options and what it trained; the one that the folder of a checkpoint or of an adapter amounts to; anything else is a spec
 * as it is.
 */
async function ofFolder<T extends SpecOptions & { readonly base?: string | undefined }>(
  spec: Spec,
  options: T,
): Promise<readonly [Spec, T]> {
  const { host, base } = options;
  if (typeof spec === 'string' && !isRunFolder(spec) && isModelFolder(spec)) {
    const made = await specOfFolder(spec, { host, base });
    const note = diagnostic('ESP1296', { folder: spec, text: made.text });
    return [made, { ...options, notes: [...(options.notes ?? []), note] }];
  }
  if (base !== undefined) {
    const why = 'it is no folder of an adapter, whose base --base names';
    throw new EspalierError([diagnostic('ESP1295', { folder: typeof spec === 'string' ? spec : spec.path, why })]);
  }
  if (typeof spec !== 'string' || !isRunFolder(spec)) return [spec, options];
  const { spec: begunWith, set, model, ...trained } = await runSpec(spec);
  return [begunWith, { model, ...options, ...trained, set: { ...set, ...options.set } }];
}

/**
 * Checks a spec: names, options, shapes, selectors. Opens the weights that it names, and reads none.
 * @param spec a path, or `{ text, path }`: text, and the path that locations in it are relative to
 * @returns `value` unless there is an error, and all diagnostics, warnings included. Never throws for bad input.
 */
export async function analyse(
  spec: Spec,
  options: OnNode<SpecOptions> & { readonly library?: boolean } = {},
): Promise<Checked<Analysis>> {
  try {
    return await analyseOn(...(await ofFolder(spec, withHost(options))));
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return { diagnostics: error.diagnostics };
  }
}

/**
 * Compiles a spec into a program in memory: `writeCompiled` puts it into a folder, `load` runs it as it is.
 * @param spec a path, `{ text, path }`, or a folder: of a run, of a checkpoint, of an adapter of `peft`
 * @throws EspalierError with everything that is wrong with the spec, its files or the merge; RuntimeError where `limits = device` finds no device
 */
export async function compile(spec: Spec, options: OnNode<CompileOptions> = {}): Promise<Compiled> {
  return compileOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * Looks at a spec without compiling it: a tree with shapes and checkpoint names, a picture, the program after any pass.
 * @param spec a path, `{ text, path }`, or a folder: of a run, of a checkpoint, of an adapter of `peft`
 * @throws EspalierError with everything that is wrong with the spec
 */
export async function inspect(spec: Spec, options: OnNode<InspectOptions> = {}): Promise<Inspected> {
  return inspectOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * Merges a spec's adapters into the checkpoint of its backbone; `writeMerged` puts the result into a folder.
 * @param spec a path, `{ text, path }`, or a folder: of a run, of a checkpoint, of an adapter of `peft`
 * @throws EspalierError when the spec, the weights or the layout stand in the way
 */
export async function merge(spec: Spec, options: OnNode<MergeOptions> = {}): Promise<Merged> {
  return mergeOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * The adapters of a spec as a folder of the Python library `peft`; `writeAdapters` puts it somewhere.
 * @param spec a path, `{ text, path }`, or a folder: of a run, of a checkpoint, of an adapter of `peft`
 * @throws EspalierError with everything that such a folder cannot say, and as `merge`
 */
export async function exportAdapters(spec: Spec, options: OnNode<ExportOptions> = {}): Promise<ExportedAdapters> {
  return exportOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * A spec's model as ONNX: plain, merged, with its adapters beside their layers, masked; `writeOnnx` makes files of it.
 * @param spec a path, `{ text, path }`, or a folder: of a run, of a checkpoint, of an adapter of `peft`
 * @throws EspalierError with everything that is wrong with the spec, its files or the merge, and with what ONNX cannot say
 */
export async function exportOnnx(spec: Spec, options: OnNode<OnnxExportOptions> = {}): Promise<ExportedOnnx> {
  return exportOnnxOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * Derives the step of a spec's training and puts it on this machine's GPU, for a loop of your own.
 * @param spec a path, `{ text, path }`, or the folder of a run, whose weights it then begins with
 * @throws EspalierError ESP1312 for another folder, and with everything that is wrong with the spec and its files; RuntimeError where there is no GPU
 */
export async function openTrainer(spec: Spec, options: OnNode<TrainerOptions> = {}): Promise<SpecTrainer> {
  await requireSpec(spec, withHost(options));
  return openTrainerOn(...(await ofFolder(spec, withHost(options))));
}

/**
 * The loss of a spec's training as a program whose outputs are gradients: by what is trained, or by parameters and inputs of your choice.
 * @param spec a path, `{ text, path }`, or the folder of a run, whose weights it then begins with
 * @throws EspalierError ESP1312 for another folder, and with everything that is wrong with the spec and its files; RuntimeError where there is no GPU
 */
export async function grad(spec: Spec, options: OnNode<GradientOptions> = {}): Promise<GradientProgram> {
  await requireSpec(spec, withHost(options));
  return gradOn(...(await ofFolder(spec, withHost(options))));
}
