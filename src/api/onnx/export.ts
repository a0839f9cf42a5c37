/**
 * A spec as an ONNX file: the model as it is written, adapters merged or beside their layers, under the names that its weights come with. The first half
 * of `compile`, and the graph in place of kernels.
 */
import type { PreprocessStep, Zeros } from '../../../runtime/program/program.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { DeploySettings, Elaborated } from '../../dsl/elaborated.js';
import { chooseLayout } from '../../formats/checkpoint.js';
import { LABELS, PREPROCESS } from '../../formats/onnx/facts.js';
import type { OnnxModel } from '../../formats/onnx/types.js';
import { usedParams } from '../../ir/graph.js';
import type { Module, Tensor } from '../../ir/types.js';
import { WRITTEN } from '../../onnx/export/graph.js';
import { onnxModelOf } from '../../onnx/export/model.js';
import { EXPORTED, type MergeReport, optimize, standsFor } from '../../passes/index.js';
import { type Analysis, analyseModel, type Spec, type SpecOptions } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { Progress } from '../host.js';
import { loadParameters } from '../parameters.js';
import { type LayersCheck, prepareParameters } from '../prepare.js';
import { version } from '../version.js';
import { ZeroCounter } from '../zeros.js';
import { type Picture, pictureInput } from './picture.js';

export interface OnnxExportOptions extends SpecOptions {
  /** Version of ONNX's operators, from 13 to 21 (default 17). */
  readonly opset?: number;
  /** Instead of what the spec's `deploy` says. */
  readonly adapters?: DeploySettings['adapters'];
  /** Preprocessing becomes a part of the graph, which then takes pictures of 8 bits and this size; absent: it takes what the model takes. */
  readonly picture?: Picture;
  readonly progress?: Progress;
}

export interface ExportedOnnx {
  /** `writeOnnx` makes files of it. */
  readonly model: Omit<OnnxModel, 'file'>;
  /** What became of each adapter. */
  readonly report: MergeReport['adapters'];
  /** Each merged layer before and after, on random tokens in f64. */
  readonly check: LayersCheck;
  /** Of weights that a mask covers or that arrived sparse; absent where there is none. */
  readonly zeros?: Zeros;
  readonly warnings: readonly Diagnostic[];
}

const DEFAULT_OPSET = 17;

/**
 * @throws EspalierError with everything that is wrong with the spec, its files or the merge; ESP1240 for what ONNX cannot say, ESP1241 for
 * preprocessing that does not fit a picture of that size, ESP0912 for a version that is not written
 */
export function exportOnnx(spec: Spec, options: OnnxExportOptions): Promise<ExportedOnnx> {
  return sayDataErrors(() => exportSpec(spec, options));
}

async function exportSpec(spec: Spec, options: OnnxExportOptions): Promise<ExportedOnnx> {
  const opset = options.opset ?? DEFAULT_OPSET;
  if (!Number.isInteger(opset) || opset < WRITTEN.first || opset > WRITTEN.last) {
    const allowed = [`whole numbers from ${WRITTEN.first} to ${WRITTEN.last}`];
    throw new EspalierError([diagnostic('ESP0912', { option: '--opset', value: String(opset), allowed })]);
  }
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  const loaded = await loadParameters(analysis, options.progress);
  options.progress?.('optimising');
  const adapters = options.adapters ?? elaborated.deploy.adapters;
  const { module, report } = optimize(elaborated.module, { adapters, passes: EXPORTED });
  const prepared = new Map<string, Tensor>();
  const check = prepareParameters({
    module,
    regions: report.regions,
    params: loaded.get,
    take: (name, tensor) => prepared.set(name, tensor),
    progress: options.progress,
  });
  const params = (name: string): Tensor => prepared.get(name) ?? loaded.get(name);
  const zeros = new ZeroCounter(elaborated, module, loaded.get);
  const read = usedParams(module.funcs.get('infer')!);
  for (const name of read) if (!module.params.get(name)!.data) zeros.take(name, params(name), 'f32');
  const counted = zeros.result();
  const { picture } = options;
  const model = onnxModelOf(module, {
    opset,
    params,
    names: namesOf(analysis, module),
    producer: `espalier ${version}`,
    metadata: metadataOf(elaborated, picture ? undefined : elaborated.preprocess),
    ...(picture ? { replaced: pictureInput(elaborated, picture) } : {}),
  });
  return {
    model,
    report: report.adapters,
    check,
    ...(counted ? { zeros: counted } : {}),
    warnings: [...analysis.warnings, ...loaded.warnings, ...report.diagnostics],
  };
}

/** What a file says beside its graph, so that it is known again: names of classes, and what is to be done to pictures first. */
function metadataOf({ labels }: Elaborated, preprocess: readonly PreprocessStep[] | undefined): Record<string, string> {
  return {
    ...(labels ? { [LABELS]: JSON.stringify(labels) } : {}),
    ...(preprocess ? { [PREPROCESS]: JSON.stringify(preprocess) } : {}),
  };
}

/**
 * Names in the file: those of the checkpoint, where it has the very tensor under one; otherwise the parameter's own. What is prepared in a
 * parameter's place has its name.
 */
function namesOf(analysis: Analysis & { readonly elaborated: Elaborated }, module: Module): Map<string, string> {
  const stored = new Map<string, string>();
  for (const source of analysis.elaborated.sources) {
    const checkpoint = analysis.checkpoints.get(source.location);
    if (!checkpoint || checkpoint.peft) continue;
    for (const { param, tensor, rows, stored: form } of chooseLayout(source, checkpoint.store).names) {
      if (!rows && !form) stored.set(param, checkpoint.store.tensors.get(tensor)?.original ?? tensor);
    }
  }
  const read = usedParams(module.funcs.get('infer')!);
  const names = new Map<string, string>();
  const taken = new Set<string>();
  // Those that keep their own first: what stands for a parameter beside it has to be called otherwise.
  for (const prepares of [false, true]) {
    for (const param of read) {
      if ((module.params.get(param)!.role === 'prepared') !== prepares) continue;
      const own = prepares ? standsFor(param) : param;
      const first = [stored.get(own) ?? own, own, param].find((name) => !taken.has(name)) ?? param;
      names.set(param, first);
      taken.add(first);
    }
  }
  return names;
}
