/**
 * `compile`: the whole way from a spec to a program. Each stage is a function of its own elsewhere; this file is their order.
 *
 *   analyse -> load parameters, find masks -> optimise (merge) -> prepare -> generate -> golden input -> files
 */
import { fileEntry, seal } from '../../runtime/digest.js';
import type { Program, Unsealed } from '../../runtime/program.js';
import type { Generated } from '../codegen/generate.js';
import { HalfOverflow } from '../codegen/pack.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { DeploySettings, Elaborated } from '../dsl/elaborated.js';
import { encodeSafetensors, type StoredTensor } from '../formats/safetensors.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { printFunc, printModule } from '../ir/text.js';
import type { Module, Tensor } from '../ir/types.js';
import { type MergeReport, optimize, PASSES } from '../passes/index.js';
import { analyseModel, type Spec, type SpecOptions } from './analyse.js';
import { requireEqualRegions } from './check.js';
import { type Golden, goldenOf, requireBatchFirst } from './golden.js';
import { generateWithin } from './limits.js';
import { type Files, loadParameters, type Progress } from './parameters.js';
import { prepareParameters } from './prepare.js';
import { version } from './version.js';
import { ZeroCounter } from './zeros.js';

export interface CompileOptions extends SpecOptions {
  /** Instead of what the spec's `deploy` says. */
  readonly adapters?: DeploySettings['adapters'];
  readonly weights?: DeploySettings['weights'];
  readonly batch?: readonly number[];
  /** `stage` is `after:<pass>`; `print` gets the program's text at that point. */
  readonly emit?: { readonly stage: string; readonly print: (text: string) => void };
  /** Leave out the golden input and output (default: false). */
  readonly golden?: boolean;
  readonly progress?: Progress;
}

export interface Compiled {
  readonly program: Program;
  /** The folder: program.json, kernels, weights, golden. `writeCompiled` adds the host module and writes it. */
  readonly files: Files;
  readonly elaborated: Elaborated;
  /** What became of each adapter. */
  readonly report: MergeReport['adapters'];
  /** Merged against unmerged in f64: the whole model on the golden input, or layer by layer where it is too large for that. */
  readonly check: { readonly error: number; readonly whole: boolean };
  readonly warnings: readonly Diagnostic[];
  /** Prepared modules by batch size, for those who look inside. */
  readonly modules: ReadonlyMap<number, Module>;
}

/** Largest file of weights, so that a web server and its caches take it. */
const SHARD_BYTES = 24 * 2 ** 20;

/** What `after:<stage>` can name, in order. */
export const STAGES = ['elaborate', ...PASSES.map((p) => p.name)];

/** The pass that `after:<pass>` names. */
export function stageName(stage: string): string {
  const name = stage.replace(/^after:/, '');
  if (!STAGES.includes(name)) throw new EspalierError([diagnostic('ESP0904', { pass: name, passes: STAGES })]);
  return name;
}

function packed(recipe: Generated['weights'][number], tensor: Tensor): Uint8Array {
  try {
    return recipe.pack(tensor);
  } catch (error) {
    if (!(error instanceof HalfOverflow)) throw error;
    const { row, column, value } = error;
    throw new EspalierError([diagnostic('ESP0925', { name: recipe.param, row, column, value })]);
  }
}

/** Shards of at most `SHARD_BYTES` (a larger tensor has one of its own), in program order. */
function weightFiles(generated: Generated, get: (name: string) => Tensor, zeros: ZeroCounter): Map<string, Uint8Array> {
  const shards: Map<string, StoredTensor>[] = [new Map()];
  let size = 0;
  for (const recipe of generated.weights) {
    const tensor = get(recipe.param);
    zeros.take(recipe.param, tensor, recipe.entry.dtype);
    const data = packed(recipe, tensor);
    if (size > 0 && size + data.byteLength > SHARD_BYTES) {
      shards.push(new Map());
      size = 0;
    }
    shards.at(-1)!.set(recipe.entry.name, { dtype: 'U8', shape: [data.byteLength], data });
    size += data.byteLength;
  }
  const name = (i: number) =>
    shards.length === 1
      ? 'weights.safetensors'
      : `weights-${String(i + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`;
  return new Map(shards.map((tensors, i) => [name(i), encodeSafetensors(tensors, { format: 'espalier.weights' })]));
}

/** @throws EspalierError with everything that is wrong with the spec, its files or the merge. */
export async function compile(spec: Spec, options: CompileOptions): Promise<Compiled> {
  const stage = options.emit && stageName(options.emit.stage);
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  const deploy = {
    ...elaborated.deploy,
    ...(options.adapters ? { adapters: options.adapters } : {}),
    ...(options.weights ? { weights: options.weights } : {}),
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
  const modules = new Map<number, Module>();
  let report: MergeReport | undefined;
  for (const batch of deploy.batch) {
    const source = batch === 1 ? elaborated : analysis.again({ batch });
    const optimised = optimize(source.module, {
      adapters: deploy.adapters,
      verify: true,
      ...(report === undefined && stage
        ? { after: (pass, m) => (pass === stage ? options.emit!.print(printModule(m)) : undefined) }
        : {}),
    });
    report ??= optimised.report;
    modules.set(batch, optimised.module);
  }
  const [first, ...others] = [...modules.values()];
  const prepareText = (m: Module) => (m.funcs.has('prepare') ? printFunc(m.funcs.get('prepare')!) : '');
  for (const other of others) {
    if (prepareText(other) !== prepareText(first!)) throw new Error('batch sizes disagree on what is prepared');
  }

  options.progress?.('preparing weights');
  const prepared = prepareParameters(first!, loaded.get);
  const get = (name: string): Tensor => prepared.get(name) ?? loaded.get(name);

  options.progress?.('generating kernels');
  const generated = await generateWithin(
    [...modules].map(([batch, module]) => ({ batch, module })),
    {
      name: elaborated.name,
      compiler: version,
      weights: deploy.weights,
    },
    deploy.limits,
    options.host,
  );
  for (const { batch, inputs, outputs } of generated.program.entries) requireBatchFirst(batch, [...inputs, ...outputs]);
  let golden: Golden | undefined;
  if (options.golden !== false) {
    options.progress?.('running the golden input');
    const batch = Math.min(...modules.keys());
    const entry = generated.program.entries.find((e) => e.batch === batch)!;
    golden = goldenOf({
      flops: entry.dispatches.reduce((sum, d) => sum + d.flops, 0) / batch,
      largest: Math.max(...modules.keys()),
      compiled: { batch, module: modules.get(batch)! },
      written: (b) => (b === 1 ? elaborated : analysis.again({ batch: b })).module,
      originalParams: loaded.get,
      params: get,
      weights: deploy.weights,
    });
  }

  // The whole model was compared where it is small enough; layer by layer otherwise.
  const error = golden?.error ?? requireEqualRegions(report!, loaded.get, options.progress);

  const zeros = new ZeroCounter(elaborated, first!, loaded.get);
  const shards = weightFiles(generated, get, zeros);
  const counted = zeros.result();
  const trainable = [...elaborated.module.params.values()].filter((p) => p.role === 'trainable');
  const size = (ps: Iterable<{ type: { shape: readonly number[] } }>) =>
    [...ps].reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  const own = [...elaborated.module.params.values()].filter((p) => p.role === 'frozen' || p.role === 'trainable');
  const unsealed: Unsealed = {
    ...generated.program,
    weightFiles: [...shards.keys()],
    ...(elaborated.preprocess ? { preprocess: elaborated.preprocess } : {}),
    ...(elaborated.labels ? { labels: elaborated.labels } : {}),
    ...(golden ? { golden: golden.golden } : {}),
    summary: {
      ...generated.program.summary,
      parameters: { total: size(own), trainable: size(trainable), frozen: size(own) - size(trainable) },
      ...(counted ? { zeros: counted } : {}),
      ...(report!.share > 0 ? { adapterShare: report!.share } : {}),
    },
  };
  const files = new Map<string, string | Uint8Array>([
    ...generated.files,
    ...shards,
    ...(golden ? [['golden.safetensors', golden.file] as const] : []),
  ]);
  const program = await seal(
    unsealed,
    await Promise.all([...files].map(([name, content]) => fileEntry(name, content))),
  );
  files.set('program.json', `${JSON.stringify(program, null, 1)}\n`);
  return {
    program,
    files,
    elaborated,
    // Of one that changes nothing no value is left to report on.
    report: elaborated.adapters.map(
      ({ scope }) => report!.adapters.find((a) => a.scope === scope) ?? { scope, state: 'merged' as const },
    ),
    check: { error, whole: golden?.error !== undefined },
    warnings: [...analysis.warnings, ...loaded.warnings, ...report!.diagnostics],
    modules,
  };
}
