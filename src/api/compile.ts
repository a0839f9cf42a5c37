/**
 * `compile`: the whole way from a spec to a program. Each stage is a function of its own elsewhere; this file is their order.
 *
 *   analyse -> load parameters, find masks -> optimise (merge) -> generate -> prepare, check layers, pack -> golden input -> check the model
 */

import { fileEntry, seal } from '../../runtime/program/digest.js';
import type { FileEntry, HalfRounding, Program, Unsealed } from '../../runtime/program/program.js';
import type { Generated, GenerateOptions } from '../codegen/generate.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { DeploySettings, Elaborated } from '../dsl/elaborated.js';
import { usedParams, weightsOf } from '../ir/graph.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { fromHalf, toHalf } from '../ir/run/half.js';
import { printModule } from '../ir/text/print.js';
import type { Module, Tensor } from '../ir/types.js';
import { type MergeReport, optimize, PASSES, supportsIn } from '../passes/index.js';
import { HalfCost, placeOfWeight } from './adapters/halves.js';
import { type PrunedWays, prunedWays } from './adapters/pruned.js';
import { analyseModel, commitsOf, type Spec, type SpecOptions } from './analyse.js';
import { sayDataErrors } from './data-error.js';
import {
  compareCompiled,
  type Golden,
  type GoldenRequest,
  goldenOf,
  type ModelCheck,
  requireBatchFirst,
} from './golden/golden.js';
import type { Progress } from './host.js';
import { generateWithin } from './limits.js';
import { type Files, loadParameters } from './parameters.js';
import { type LayersCheck, preparedOnGpu, prepareParameters } from './prepare.js';
import { version } from './version.js';
import { WeightFiles } from './weight-files.js';
import { ZeroCounter } from './zeros.js';

export interface CompileOptions extends SpecOptions {
  /** Instead of what the spec's `deploy` says. */
  readonly adapters?: DeploySettings['adapters'];
  readonly weights?: DeploySettings['weights'];
  readonly prepare?: DeploySettings['prepare'];
  readonly batch?: readonly number[];
  /** `stage` is `after:<pass>`; `print` gets the program's text at that point. */
  readonly emit?: { readonly stage: string; readonly print: (text: string) => void };
  /**
   * Where the golden output comes from (default true): `f64` interprets the model whatever its size, `gpu` runs it on this machine's GPU
   * whatever its size, true does what costs less; false leaves it out.
   */
  readonly golden?: boolean | 'f64' | 'gpu';
  /** Products leave out whole tiles of zeros where that pays (default true). */
  readonly skipZeros?: boolean;
  readonly progress?: Progress;
}

export interface Compiled {
  readonly program: Program;
  /** The folder: program.json, kernels, weights, golden. `writeCompiled` adds the host module and writes it. */
  readonly files: Files;
  readonly elaborated: Elaborated;
  /** What became of each adapter. */
  readonly report: MergeReport['adapters'];
  /** What devices the form of adapters that are kept beside their layers was chosen for; absent where there is none. */
  readonly priced?: MergeReport['priced'];
  /** Where the merge has filled zeros in: what each way to put adapters and pruned layers together has of zeros and operations. */
  readonly ways?: PrunedWays;
  /** With `weights = f16`: what that did to the weights that are stored in halves, beside f32. As `program.summary` has it. */
  readonly rounding?: HalfRounding;
  readonly check: CheckReport;
  readonly warnings: readonly Diagnostic[];
  /** The optimised module, for those who look inside. */
  readonly module: Module;
}

/** What was compared, on what, and how far apart it was. What is absent was not compared. */
export interface CheckReport {
  /** Each merged layer before and after, on random tokens in f64, with its weights as they ship. */
  readonly layers: LayersCheck;
  /** Sites that merged without a change of their layer: the spec itself computes its weight, and that is what ships. Nothing to compare. */
  readonly unchanged: number;
  /** The whole compiled model against the model as written, on the golden rows; absent without a golden input. */
  readonly model?: ModelCheck;
  /** Why a golden output that is too large to interpret quickly did not come from a GPU. */
  readonly without?: string;
}

/** What `after:<stage>` can name, in order. */
export const STAGES = ['elaborate', ...PASSES.map((p) => p.name)];

/** The pass that `after:<pass>` names. */
export function stageName(stage: string): string {
  const name = stage.replace(/^after:/, '');
  if (!STAGES.includes(name)) throw new EspalierError([diagnostic('ESP0904', { pass: name, passes: STAGES })]);
  return name;
}

/** A prepared or loaded parameter as kernels get to see it: halves of weights lose eleven bits. */
function shippedParams(generated: Generated, get: (name: string) => Tensor): (name: string) => Tensor {
  const halves = new Set(generated.weights.flatMap((r) => (r.entry.dtype === 'f16' ? [r.param] : [])));
  return (name) => {
    const tensor = get(name);
    return halves.has(name) ? { ...tensor, data: Float32Array.from(tensor.data, (x) => fromHalf(toHalf(x))) } : tensor;
  };
}

/** A table of the program. */
function tableOf({ params }: Module, name: string): Tensor | undefined {
  const param = params.get(name);
  return param?.data && { type: param.type, data: param.data };
}

/** @throws EspalierError with everything that is wrong with the spec, its files or the merge. */
export function compile(spec: Spec, options: CompileOptions): Promise<Compiled> {
  return sayDataErrors(() => compileSpec(spec, options));
}

async function compileSpec(spec: Spec, options: CompileOptions): Promise<Compiled> {
  const stage = options.emit && stageName(options.emit.stage);
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  const deploy = {
    ...elaborated.deploy,
    ...(options.adapters ? { adapters: options.adapters } : {}),
    ...(options.weights ? { weights: options.weights } : {}),
    ...(options.prepare ? { prepare: options.prepare } : {}),
    ...(options.batch ? { batch: options.batch } : {}),
  };
  const wrong = deploy.batch.find((b) => !Number.isInteger(b) || b < 1 || b > 4096);
  if (wrong !== undefined || deploy.batch.length === 0) {
    throw new EspalierError([
      diagnostic('ESP0912', {
        option: '--batch',
        value: String(wrong ?? 'empty'),
        allowed: ['whole numbers from 1 to 4096'],
      }),
    ]);
  }
  const loaded = await loadParameters(analysis, options.progress);

  options.progress?.('optimising');
  if (stage === 'elaborate') options.emit!.print(printModule(elaborated.module));
  const { module, report } = optimize(elaborated.module, {
    adapters: deploy.adapters,
    verify: true,
    ...(stage ? { after: (pass, m) => (pass === stage ? options.emit!.print(printModule(m)) : undefined) } : {}),
  });
  requireBatchFirst(elaborated.module);

  options.progress?.('generating kernels');
  const read = (name: string): Tensor => tableOf(module, name) ?? loaded.get(name);
  const samples = Math.max(...deploy.batch);
  const generateOptions: GenerateOptions = {
    name: elaborated.name,
    compiler: version,
    weights: deploy.weights,
    samples,
    ...(deploy.prepare === 'load' ? { prepare: true } : {}),
  };
  const skipping = options.skipZeros === false ? {} : { mayHold: supportsIn(module, read) };
  const generated = await generateWithin(module, { ...generateOptions, ...skipping }, deploy.limits, options.host);

  const compared = new Set(report.regions.flatMap((r) => r.adapters));
  const unchanged = report.adapters.filter((a) => a.state === 'merged' && !compared.has(a.id)).length;
  const zeros = new ZeroCounter(elaborated, module, loaded.get);
  // Where a load prepares, the files hold weights as well that no kernel of `infer` reads: these multiply nothing.
  const multiplied = new Set(usedParams(module.funcs.get('infer')!));
  const halves = new HalfCost();
  const weights = new WeightFiles(
    generated,
    ({ param, entry }, tensor) => {
      if (multiplied.has(param)) zeros.take(param, tensor, entry.dtype);
      halves.take(param, tensor, entry.dtype);
    },
    (param) => placeOfWeight(elaborated, param),
  );
  if (deploy.prepare === 'gpu') options.progress?.('merging on the GPU');
  const given = deploy.prepare === 'gpu' ? await preparedOnGpu(options.host, module, read, generateOptions) : undefined;
  const prepare = (regions: MergeReport['regions'], take: (name: string, tensor: Tensor) => void) =>
    prepareParameters({ module, regions, params: loaded.get, given, take, progress: options.progress });
  const layers = prepare(report.regions, (name, tensor) => weights.put(name, tensor));
  for (const name of weights.missing()) weights.put(name, read(name));
  const counted = zeros.result();
  const rounding = halves.figures();
  const ways = prunedWays(elaborated.module, module, counted);

  const request: GoldenRequest = {
    host: options.host,
    written: elaborated.module,
    originalParams: loaded.get,
    module,
    asked: samples,
    samples: generated.program.entries[0]!.samples,
    params: () => {
      // A second time, now all at once: only small models are interpreted, and large ones where there is no GPU.
      const prepared = new Map<string, Tensor>();
      prepare([], (name, tensor) => prepared.set(name, tensor));
      return shippedParams(generated, (name) => prepared.get(name) ?? loaded.get(name));
    },
    generate: generateOptions,
    flops: generated.program.summary.flops,
    how: options.golden === 'f64' || options.golden === 'gpu' ? options.golden : 'auto',
    progress: options.progress,
  };
  const golden: Golden | undefined = options.golden === false ? undefined : await goldenOf(request);

  const trainable = [...elaborated.module.params.values()].filter((p) => p.role === 'trainable');
  const size = (ps: Iterable<{ type: { shape: readonly number[] } }>) =>
    [...ps].reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  const own = weightsOf(elaborated.module);
  const sources = Object.entries(commitsOf(analysis)).map(([location, commit]) => ({ location, commit }));
  const unsealed: Unsealed = {
    ...generated.program,
    weightFiles: [...weights.files.keys()],
    ...(elaborated.preprocess ? { preprocess: elaborated.preprocess } : {}),
    ...(elaborated.labels ? { labels: elaborated.labels } : {}),
    ...(elaborated.labels && elaborated.several ? { several: true as const } : {}),
    ...(golden ? { golden: golden.spec } : {}),
    ...(sources.length > 0 ? { sources } : {}),
    summary: {
      ...generated.program.summary,
      parameters: { total: size(own), trainable: size(trainable), frozen: size(own) - size(trainable) },
      ...(counted ? { zeros: counted } : {}),
      ...(rounding ? { rounding } : {}),
      ...(report.share > 0 ? { adapterShare: report.share } : {}),
    },
  };
  const files = new Map<string, string | Uint8Array>([
    ...generated.files,
    ...weights.files,
    ...(golden ? [['golden.safetensors', golden.file] as const] : []),
  ]);
  // One after another: hashing takes a copy, and all weights twice would be the most memory of a compile.
  const entries: FileEntry[] = [];
  for (const [name, content] of files) entries.push(await fileEntry(name, content));
  const program = await seal(unsealed, entries);
  const model = golden && (await compareCompiled(request, golden, program, files));
  files.set('program.json', `${JSON.stringify(program, null, 1)}\n`);
  return {
    program,
    files,
    elaborated,
    report: report.adapters,
    ...(report.priced ? { priced: report.priced } : {}),
    ...(ways ? { ways } : {}),
    ...(rounding ? { rounding } : {}),
    check: { layers, unchanged, ...(model ? { model } : {}), ...(golden?.without ? { without: golden.without } : {}) },
    warnings: [
      ...analysis.warnings,
      ...loaded.warnings,
      ...report.diagnostics,
      ...halves.warnings(elaborated),
      // Who says `merged` has chosen.
      ...(ways && deploy.adapters === 'auto' ? [diagnostic('ESP0407', { zeros: counted!.filled })] : []),
      ...(generated.oneByOne && samples > 1 ? [generated.oneByOne] : []),
    ],
    module,
  };
}
