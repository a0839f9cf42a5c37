/**
 * Runs a module's `prepare`, on the CPU in f64, one tensor at a time, or by kernels on this machine's GPU, and checks on the way that what merged computes
 * what it replaces: the layers before and after are compared, in f64, on the very tensors that ship. What is not a number is refused.
 */

import { type GenerateOptions, generate } from '../codegen/generate.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { rewriteValues, withInputs } from '../ir/graph.js';
import { Interner } from '../ir/intern.js';
import { interpretEach } from '../ir/run/interpret.js';
import type { Func, Module, Tensor, Value } from '../ir/types.js';
import { PREPARE, type Region, RegionChecks } from '../passes/index.js';
import { loadGenerated, tensorsOf, withSession } from './gpu.js';
import type { Host, Progress } from './host.js';

/** First index whose element is NaN or infinite; -1 if all are finite. */
export function firstNonFinite(data: ArrayLike<number>): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return i;
  return -1;
}

export interface PrepareRequest {
  readonly module: Module;
  /** What merged: each is compared with what it replaces. */
  readonly regions: readonly Region[];
  readonly params: (name: string) => Tensor;
  /** Prepared tensors by name, if they are known (`preparedOnGpu`; default: they are computed here). */
  readonly given?: ReadonlyMap<string, Tensor> | undefined;
  /** Gets each prepared tensor, f32 or of an integer type, under every name that it has; and as it was computed. Nothing is kept here. */
  readonly take: (name: string, tensor: Tensor, exact: Tensor) => void;
  readonly progress?: Progress | undefined;
}

/** What was compared layer by layer. */
export interface LayersCheck {
  /** Merged layers that were compared. */
  readonly layers: number;
  /** Random tokens that each was compared on. */
  readonly tokens: number;
  /** The largest difference, relative to each layer's largest result; 0 where nothing merged. */
  readonly difference: number;
}

const TOKENS = 2;

/**
 * @throws EspalierError ESP0919 if a prepared tensor holds NaN or infinity, ESP0403 and ESP0404 for every merged layer that differs or is
 * not finite. What `take` got by then must not be written.
 */
export function prepareParameters({ module, regions, params, given, take, progress }: PrepareRequest): LayersCheck {
  const interner = new Interner();
  const checks = new RegionChecks(regions, interner, params, { precision: 'f32', tokens: TOKENS, seed: 1 });
  const results = module.funcs.get('prepare')?.results ?? [];
  const image = rewriteValues(
    results.map((r) => r.value),
    (v, inputs) => interner.seed(withInputs(v, inputs)),
  );
  const names = new Map<Value, string[]>();
  for (const { name, value } of results) names.set(image(value), [...(names.get(image(value)) ?? []), name]);
  // The check's order: what a region needs dies before the next one starts.
  const roots = [...new Set([...checks.roots, ...names.keys()])];
  let done = 0;
  const taken = (root: Value, tensor: Tensor): void => {
    progress?.('preparing weights', done++ / roots.length);
    const prepared = names.get(root);
    const stored = prepared ? asStored(tensor, prepared[0]!) : tensor;
    checks.take(root, stored);
    for (const name of prepared ?? []) take(name, stored, tensor);
  };
  const known = (root: Value): Tensor | undefined => given?.get(names.get(root)?.[0] ?? '');
  for (const root of roots) if (known(root)) taken(root, known(root)!);
  const unknown = roots.filter((root) => !known(root));
  interpretEach(unknown, { inputs: checks.inputs, params }, (root, tensor) => {
    taken(root, tensor);
    return 'done';
  });
  const refused: Diagnostic[] = checks.results.flatMap((r) => r.diagnostic ?? []);
  if (refused.length > 0) throw new EspalierError(refused);
  const difference = Math.max(0, ...checks.results.map((r) => r.difference));
  return { layers: checks.results.length, tokens: TOKENS, difference };
}

/**
 * What a module's `prepare` gives, by kernels in f32 on the host's GPU, all at once.
 * @throws EspalierError ESP0610 where no kernel computes an operator; RuntimeError where there is no GPU or it fails
 */
export async function preparedOnGpu(
  host: Host,
  module: Module,
  params: (name: string) => Tensor,
  options: GenerateOptions,
): Promise<ReadonlyMap<string, Tensor>> {
  const prepare = module.funcs.get(PREPARE);
  if (!prepare || prepare.results.length === 0) return new Map();
  // A function as any other, so that what it gives comes back. A load would call one that is called `prepare`.
  const merge: Func = { ...prepare, name: 'merge' };
  const alone: Module = { ...module, funcs: new Map([[merge.name, merge]]) };
  const generated = generate(alone, {
    ...options,
    weights: 'f32',
    entries: [merge.name],
    prepares: true,
    limits: await host.deviceLimits(),
  });
  return withSession(
    host,
    (o) => loadGenerated(generated, params, o),
    async (session) => tensorsOf(await session.call(merge.name)),
  );
}

/** As a program and a checkpoint hold it. @throws EspalierError ESP0919; what holds NaN or infinity is never written. */
function asStored({ type, data }: Tensor, name: string): Tensor {
  const stored = type.dtype === 'f32' || type.dtype === 'f16' ? new Float32Array(data) : data.slice();
  const at = firstNonFinite(stored);
  if (at >= 0) throw new EspalierError([diagnostic('ESP0919', { name, value: String(stored[at]) })]);
  return { type, data: stored };
}
