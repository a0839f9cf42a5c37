/**
 * The golden input of a program: a few random rows (images), and what the model as it was written gives for each. A session runs them and
 * refuses a GPU that gives something else. It is also the last check of a compilation: the compiled model has to agree on every row, one by one
 * and in passes.
 *
 * Where the reference comes from depends on what the model costs: from the f64 interpreter where that is quick; otherwise from the
 * portable kernels of the unmerged model on this machine's GPU, one block of it compared with f64; otherwise, without a GPU, from f64 in
 * workers. The program says which.
 */
import { showPath } from '../../ir/path.js';
import { RuntimeError } from '../../../runtime/errors.js';
import type { GoldenOrigin, Golden as GoldenSpec, Program, StorageType } from '../../../runtime/program/program.js';
import type { GenerateOptions } from '../../codegen/generate.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { storeTensor } from '../../formats/tensors/elements.js';
import { encodeSafetensors, type StoredType } from '../../formats/tensors/safetensors.js';
import { BATCH, hasBatch } from '../../ir/batch.js';
import { interpret } from '../../ir/run/interpret.js';
import { showShape } from '../../ir/ops/shapes.js';
import type { DType, Module, Tensor } from '../../ir/types.js';
import type { Host, InterpretJob } from '../host.js';
import { compiledOnGpu, type RunError, referenceOnGpu } from './on-gpu.js';
import type { Progress } from '../host.js';
import { joinRows, type Rows, randomRows, repeatRows, rowOf, rowsOf, sliceRows, worstOutput } from './rows.js';

type Params = (name: string) => Tensor;

export interface GoldenRequest {
  readonly host: Host;
  /** The model as it was written. */
  readonly written: Module;
  readonly originalParams: Params;
  /** The compiled module. */
  readonly module: Module;
  /** The most rows of one pass: as it was asked for, and as many as the compiled program takes. */
  readonly asked: number;
  readonly samples: number;
  /** What the compiled module reads, as it is stored; asked for once, and only where it is interpreted. */
  readonly params: () => Params;
  readonly generate: GenerateOptions;
  /** Operations of one row through the compiled model. */
  readonly flops: number;
  /** `auto`: by what it costs. */
  readonly how: 'auto' | 'f64' | 'gpu';
  readonly progress?: Progress | undefined;
}

/** The reference for some rows, and how it came about. */
export interface Golden {
  readonly inputs: Rows;
  readonly outputs: Rows;
  readonly spec: GoldenSpec;
  /** `golden.safetensors`. */
  readonly file: Uint8Array;
  /** Why it was not computed on a GPU, where that was tried. */
  readonly without?: string;
}

/** The compiled model against the golden output. */
export interface ModelCheck {
  /** f64: its IR was interpreted, kernels were not run. gpu: it ran as a load runs it. */
  readonly by: 'f64' | 'gpu';
  readonly device?: string;
  /** Largest difference, relative to the largest result, over all runs. */
  readonly difference: number;
  /** How many rows were run at a time. */
  readonly rows: readonly number[];
}

/** The interpreter does about 1 GFLOP a second: up to these in all, it is quicker than compiling kernels. */
const QUICK_FLOPS = 6e9;
/** A block that is compared in f64, beside a GPU's reference. */
const BLOCK_FLOPS = 3e9;
/** The most that the compiled program computes on the GPU to be checked; one row is run in any case. */
const CHECK_FLOPS = 160e9;
/** Rows that differ, where a batch has several: kernels go wrong by powers of two, and no such step leads from a row to its repetition. */
const ROWS = 3;
/** The same where rows are dear: two show that rows of a batch do not change one another. */
const DEAR_ROWS = 2;

/** f32 kernels reorder sums; halves of weights lose eleven bits. */
const TOLERANCE = { f32: 1e-3, f16: 3e-2 } as const;
/** Merging itself happens in f64 and is rounded to f32 once. */
const MERGE_TOLERANCE = { f32: 1e-4, f16: TOLERANCE.f16 } as const;
/** A GPU whose portable kernels are further from f64 than this is no reference. */
const BLOCK_TOLERANCE = 1e-4;
/** The same f64 arithmetic on the same numbers. */
const SAME = 1e-9;

/** Shapes of a model's inputs and results. */
function shapesOf(written: Module): { readonly name: string; readonly shape: readonly number[] }[] {
  const { inputs, results } = written.funcs.get('infer')!;
  return [
    ...inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', shape: v.type.shape })),
    ...results.map((r) => ({ name: r.name, shape: r.value.type.shape })),
  ];
}

/**
 * Sessions split what they are given along the first axis; what has no batch is one for all rows.
 * @throws EspalierError ESP0605 for an input or output that has the batch elsewhere
 */
export function requireBatchFirst(written: Module): void {
  const other = shapesOf(written).find(({ shape }) => hasBatch(shape) && shape[0] !== BATCH);
  if (!other) return;
  const what = `its shape is ${showShape(other.shape)}, which does not begin with the batch, b`;
  throw new EspalierError([diagnostic('ESP0605', { name: other.name, what })]);
}

/** A tensor that is one for all rows is tried with one: what several would make of it is theirs together. */
const isWhole = ({ written }: GoldenRequest): boolean => shapesOf(written).some(({ shape }) => !hasBatch(shape));

const rowsFor = (request: GoldenRequest, most: number): number =>
  isWhole(request) ? 1 : Math.min(most, request.asked);

/** Operations of everything that the quick way interprets: each row as written, the compiled model, and the rows together. */
function quickFlops(request: GoldenRequest): number {
  const rows = rowsFor(request, ROWS);
  return request.flops * (2 * rows + (rows > 1 ? rows : 0));
}

const isQuick = (request: GoldenRequest): boolean => request.how !== 'gpu' && quickFlops(request) <= QUICK_FLOPS;

/**
 * @throws EspalierError ESP0605 if rows of a batch change one another (looked for here where interpreting is quick; a dear model's compiled
 * program is compared row by row); RuntimeError if a GPU was asked for and there is none, or it fails
 */
export async function goldenOf(request: GoldenRequest): Promise<Golden> {
  const { written, originalParams, host } = request;
  const infer = written.funcs.get('infer')!;
  if (isQuick(request)) {
    request.progress?.('running the golden input');
    const inputs = randomRows(infer, rowsFor(request, ROWS));
    const outputs = oneByOne(written, request, inputs, originalParams);
    requireIndependentRows(request, inputs, outputs);
    return goldenFrom(request, inputs, outputs, { by: 'f64' });
  }
  const inputs = randomRows(infer, rowsFor(request, DEAR_ROWS));
  let without: string | undefined;
  if (request.how !== 'f64') {
    request.progress?.('running the golden input on the GPU');
    try {
      const found = await referenceOnGpu({
        host,
        module: written,
        inputs,
        params: originalParams,
        options: request.generate,
        blockFlops: BLOCK_FLOPS,
      });
      const { outputs, device, block } = found;
      if (!block || block.difference <= BLOCK_TOLERANCE) {
        return goldenFrom(request, inputs, outputs, { by: 'gpu', device, ...(block ? { block } : {}) });
      }
      throw new RuntimeError(
        'ESP0706',
        `the portable kernels on ${device} are ${block.difference.toExponential(1)} off f64 at ${showPath(block.site) || 'a part of the model'}`,
        "this GPU's driver computes something wrong: update it, or have the golden output computed in f64",
      );
    } catch (error) {
      if (request.how === 'gpu' || !(error instanceof RuntimeError || error instanceof EspalierError)) throw error;
      without = error.message;
    }
  }
  const jobs = jobsOf(written, request, inputs, originalParams);
  const outputs = joinRows(await interpretAll(request, 'running the golden input in f64', jobs));
  return { ...goldenFrom(request, inputs, outputs, { by: 'f64' }), ...(without === undefined ? {} : { without }) };
}

/**
 * Runs the compiled model on the golden rows: in f64 where that is quick or there is no GPU, otherwise on the GPU.
 * @throws EspalierError ESP0910 if it does not compute what the written one does
 */
export async function compareCompiled(
  request: GoldenRequest,
  golden: Golden,
  program: Program,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<ModelCheck> {
  const { module, generate } = request;
  if (golden.spec.from.by === 'gpu') {
    request.progress?.('running the compiled program');
    const runs = affordable(request);
    const { device, errors } = await compiledOnGpu(request.host, program, files, golden, runs, isWhole(request) ? (rows) => rows : repeatRows);
    return judged(errors, generate.weights, { by: 'gpu', device }, TOLERANCE);
  }
  const params = request.params();
  const found = isQuick(request)
    ? oneByOne(module, request, golden.inputs, params)
    : joinRows(
        await interpretAll(request, 'checking the compiled model in f64', jobsOf(module, request, golden.inputs, params)),
      );
  const { name: output, error } = worstOutput(golden.outputs, found);
  return judged([{ rows: 1, output, error }], generate.weights, { by: 'f64' }, MERGE_TOLERANCE);
}

/** How many rows to run at a time: one, a number that divides no tile, and more than one pass takes; the larger ones if they cost little. */
function affordable(request: GoldenRequest): number[] {
  const { samples, flops } = request;
  let left = CHECK_FLOPS;
  const wanted = samples === 1 || isWhole(request) ? [1] : [...new Set([1, Math.min(3, samples), samples + 1])];
  return wanted.filter((rows, i) => {
    left -= flops * rows;
    return i === 0 || left >= 0;
  });
}

function judged(
  errors: readonly RunError[],
  weights: 'f32' | 'f16',
  how: Pick<ModelCheck, 'by' | 'device'>,
  tolerance: Readonly<Record<'f32' | 'f16', number>>,
): ModelCheck {
  const wrong = errors.find(({ error }) => !(error <= tolerance[weights]));
  if (wrong) {
    const what = `\`${wrong.output}\` is off by ${wrong.error.toExponential(1)} of its largest element`;
    const where = how.device === undefined ? '' : ` for ${wrong.rows} at a time on ${how.device}`;
    throw new EspalierError([diagnostic('ESP0910', { what: what + where })]);
  }
  return { ...how, difference: Math.max(...errors.map((e) => e.error)), rows: errors.map((e) => e.rows) };
}

function goldenFrom(request: GoldenRequest, inputs: Rows, outputs: Rows, from: GoldenOrigin): Golden {
  const named = (prefix: string, tensors: Rows) =>
    [...tensors].map(
      ([name, tensor]) => [`${prefix}.${name}`, storeTensor(tensor, stored(tensor.type.dtype))] as const,
    );
  const ins = named('input', inputs);
  const outs = named('output', outputs);
  const spec = {
    rows: isWhole(request) ? 1 : rowsOf(inputs),
    inputs: ins.map(([name]) => name),
    outputs: outs.map(([name]) => name),
    tolerance: TOLERANCE[request.generate.weights],
    from,
  };
  return { inputs, outputs, spec, file: encodeSafetensors(new Map([...ins, ...outs]), { format: 'espalier.golden' }) };
}

/** As the program's buffers hold it: four bytes an element. */
function stored(dtype: DType): StoredType & Uppercase<StorageType> {
  return dtype === 'i32' ? 'I32' : dtype === 'u32' || dtype === 'bool' ? 'U32' : 'F32';
}

/** Each row by itself. */
function jobsOf(module: Module, request: GoldenRequest, inputs: Rows, params: Params): InterpretJob[] {
  if (isWhole(request)) return [{ module, inputs, params }];
  return Array.from({ length: rowsOf(inputs) }, (_, i) => ({ module, inputs: sliceRows(inputs, i, i + 1), params }));
}

function oneByOne(module: Module, request: GoldenRequest, inputs: Rows, params: Params): Rows {
  return joinRows(jobsOf(module, request, inputs, params).map((job) => interpret(module, 'infer', job)));
}

async function interpretAll(
  { host, progress }: GoldenRequest,
  what: string,
  jobs: readonly InterpretJob[],
): Promise<readonly Rows[]> {
  progress?.(what);
  if (host.interpretAll) return host.interpretAll(jobs, (n) => progress?.(what, n / jobs.length));
  return jobs.map((job, i) => {
    progress?.(what, i / jobs.length);
    return interpret(job.module, 'infer', job);
  });
}

/** What a row gives must not depend on what shares its pass: how many images are in one depends on how many are given. */
function requireIndependentRows(request: GoldenRequest, inputs: Rows, alone: Rows): void {
  const { written, originalParams } = request;
  const infer = written.funcs.get('infer')!;
  // What is one for all rows is computed of all of them in one pass.
  if (infer.results.some((r) => !hasBatch(r.value.type.shape)) || request.asked === 1) return;
  let [given, expected] = [inputs, alone];
  if (isWhole(request)) {
    given = randomRows(infer, 2);
    expected = joinRows([0, 1].map((i) => interpret(written, 'infer', { inputs: rowOf(infer, given, i), params: originalParams })));
  }
  const rows = infer.inputs.some((v) => hasBatch(v.type.shape)) ? (isWhole(request) ? 2 : rowsOf(inputs)) : 1;
  if (rows === 1) return;
  const { name, error } = worstOutput(expected, interpret(written, 'infer', { inputs: given, params: originalParams }));
  // NaN is the next check's to report.
  if (!(error > SAME)) return;
  const what = `in a batch of ${rows} it is off by ${error.toExponential(1)} of its largest element`;
  throw new EspalierError([diagnostic('ESP0605', { name, what })]);
}
