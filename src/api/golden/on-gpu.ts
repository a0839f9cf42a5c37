/** Runs programs on the GPU of the machine that compiles: what a model gives as it was written, and whether the compiled one gives the same. */
import type { Session, TensorData, TensorSpec } from '../../../runtime/index.js';
import type { Program } from '../../../runtime/program/program.js';
import { type LoadOptions, load } from '../../../runtime/session.js';
import { type GenerateOptions, generate } from '../../codegen/generate.js';
import { build } from '../../ir/build.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { interpretFunc, interpretValues } from '../../ir/run/interpret.js';
import { moduleAt } from '../../ir/run/samples.js';
import { toFloat32 } from '../../ir/run/tensor.js';
import type { Func, Module, Tensor } from '../../ir/types.js';
import { asWritten, bindingTimes } from '../../passes/index.js';
import { loadGenerated, tensorsOf, withSession } from '../gpu.js';
import type { Host } from '../host.js';
import { type Block, blockOf } from './block.js';
import { type Rows, worstOutput } from './rows.js';

type Params = (name: string) => Tensor;

/** What a stretch of the model gives in f64, against what the GPU gave for it. */
export interface BlockCheck {
  readonly site: string;
  /** Relative to the largest result. */
  readonly difference: number;
}

export interface GpuReference {
  readonly outputs: Rows;
  /** The GPU, as its driver names it. */
  readonly device: string;
  readonly block?: BlockCheck;
}

/**
 * The model's outputs for some rows by the portable kernels of the model as it was written: nothing merged, nothing narrowed. Its
 * weights are made one at a time while they are uploaded. One block is computed in f64 beside it, from what the GPU fed it.
 * @param module The model as it was written.
 * @param blockFlops A block of at most this many operations is compared; none if the smallest is more than four times as large.
 * @throws RuntimeError where there is no GPU or it fails; EspalierError where no kernel computes an operator, or a tensor is too large
 */
export async function referenceOnGpu(request: {
  readonly host: Host;
  readonly module: Module;
  readonly inputs: Rows;
  readonly params: Params;
  readonly options: GenerateOptions;
  readonly blockFlops: number;
}): Promise<GpuReference> {
  const { inputs, params } = request;
  const written = asWritten(moduleAt(request.module, 1));
  const infer = written.funcs.get('infer')!;
  const found = blockOf(infer, request.blockFlops);
  const block = found && found.flops <= 4 * request.blockFlops ? found : undefined;
  const module = { ...written, funcs: new Map(written.funcs).set('infer', observed(infer, block)) };
  return runPortable({ host: request.host, module, params, options: request.options }, async (run, device) => {
    const all = await run(inputs);
    const outputs = new Map(infer.results.map(({ name }) => [name, all.get(name)!] as const));
    if (!block) return { outputs, device };
    return { outputs, device, block: blockCheck(block, all, inputs, params) };
  });
}

/**
 * A module by portable kernels on this machine's GPU, for this run alone: nothing is merged, and weights are made one at a time while they are
 * uploaded. `body` gets how to run it on rows, and the GPU's name.
 * @throws RuntimeError where there is no GPU or it fails; EspalierError where no kernel computes an operator, or a tensor is too large
 */
export async function runPortable<T>(
  what: { readonly host: Host; readonly module: Module; readonly params: Params; readonly options: GenerateOptions },
  body: (run: (rows: Rows) => Promise<Rows>, device: string) => Promise<T>,
): Promise<T> {
  const module = bindingTimes(what.module);
  // It runs here alone, so it may be made for this device.
  const limits = await what.host.deviceLimits();
  const generated = generate(module, { ...what.options, weights: 'f32', limits });
  const open = (o: LoadOptions) =>
    loadGenerated(generated, lazyParams(module, what.params), { ...o, portable: true });
  return onGpu(what.host, open, body);
}

const observedName = (which: 'in' | 'out', i: number): string => `block.${which}${i}`;

/** The function with what goes into the block and what comes out as results, each with the batch in front. */
function observed(func: Func, block: Block | undefined): Func {
  if (!block) return func;
  const result = (which: 'in' | 'out') => (value: Func['inputs'][number], i: number) => ({
    name: observedName(which, i),
    value: build.reshape(value, [1, ...value.type.shape]),
  });
  // An argument of the model is known already.
  const inner = block.inputs.flatMap((v, i) => (v.op === 'input' ? [] : [result('in')(v, i)]));
  return { ...func, results: [...func.results, ...inner, ...block.outputs.map(result('out'))] };
}

/** Of the first row, which comes first in what was seen of several. */
function blockCheck({ site, func, inputs }: Block, seen: Rows, rows: Rows, params: Params): BlockCheck {
  const args = inputs.map((v, i) => {
    const { data } = v.op === 'input' ? rows.get(v.attrs.name)! : seen.get(observedName('in', i))!;
    return [`in${i}`, { type: v.type, data: data.subarray(0, sizeOf(v.type.shape)) }] as const;
  });
  const expected = interpretFunc(func, { inputs: new Map(args), params });
  const found = new Map(func.results.map(({ name }, i) => [name, seen.get(observedName('out', i))!] as const));
  return { site, difference: worstOutput(expected, found).error };
}

/** A module's parameters, prepared ones computed when asked for. */
function lazyParams(module: Module, params: Params): Params {
  const prepared = new Map((module.funcs.get('prepare')?.results ?? []).map((r) => [r.name, r.value] as const));
  return (name) => {
    const value = prepared.get(name);
    if (!value) return module.params.get(name)?.data ? constantOf(module, name) : params(name);
    const [tensor] = interpretValues([value], {
      params: (p) => (module.params.get(p)?.data ? constantOf(module, p) : params(p)),
    });
    return tensor!.type.dtype === 'f32' ? { type: tensor!.type, data: toFloat32(tensor!) } : tensor!;
  };
}

function constantOf({ params }: Module, name: string): Tensor {
  const { type, data } = params.get(name)!;
  return { type, data: data! };
}

/** How far a compiled program is from its golden output, run on so many rows. */
export interface RunError {
  readonly rows: number;
  readonly output: string;
  readonly error: number;
}

/**
 * The compiled program on this machine's GPU, with the kernels that a `load` picks here.
 * @param runs How many rows to run at a time; the golden rows are repeated to be as many.
 * @throws RuntimeError where the GPU fails
 */
export function compiledOnGpu(
  host: Host,
  program: Program,
  files: ReadonlyMap<string, Uint8Array | string>,
  golden: { readonly inputs: Rows; readonly outputs: Rows },
  runs: readonly number[],
  repeat: (rows: Rows, count: number) => Rows,
): Promise<{ readonly device: string; readonly errors: readonly RunError[] }> {
  return onGpu(
    host,
    (o) => load({ program, files }, o),
    async (run, device) => {
      const errors: RunError[] = [];
      for (const rows of runs) {
        const found = await run(repeat(golden.inputs, rows));
        const { name: output, error } = worstOutput(repeat(golden.outputs, rows), found);
        errors.push({ rows, output, error });
      }
      return { device, errors };
    },
  );
}

/** Loads a program on the host's GPU, hands over how to run it on rows, and frees everything. */
function onGpu<T>(
  host: Host,
  open: (options: LoadOptions) => Promise<Session>,
  body: (run: (rows: Rows) => Promise<Rows>, device: string) => Promise<T>,
): Promise<T> {
  return withSession(host, open, (session, device) => {
    const { inputs } = session.program.entries[0]!;
    const run = async (rows: Rows): Promise<Rows> => {
      const tensors = Object.fromEntries(inputs.map((spec) => [spec.name, asInput(spec, rows.get(spec.name)!)]));
      return tensorsOf(await session.run({ tensors }));
    };
    return body(run, device);
  });
}

function asInput({ dtype }: TensorSpec, { data }: Tensor): TensorData {
  if (dtype === 'i32') return Int32Array.from(data);
  return dtype === 'u32' ? Uint32Array.from(data) : new Float32Array(data);
}
