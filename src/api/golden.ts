/**
 * The golden input of a program: a few rows (images), and what must come out for each, computed on the CPU in f64 from the same IR. A
 * session repeats the rows to fill each entry's batch. It is also the last check of a merge: the model as it was written and as
 * it was compiled must agree on every row, and rows that share a batch must not change one another.
 */
import type { Golden as GoldenSpec, StorageType, TensorSpec } from '../../runtime/program.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { storeTensor } from '../formats/elements.js';
import { encodeSafetensors, type StoredType } from '../formats/safetensors.js';
import { normalStream } from '../ir/init.js';
import { interpret } from '../ir/interpret.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { DType, Module, Tensor, TensorType } from '../ir/types.js';

export interface Golden {
  readonly golden: GoldenSpec;
  /** `golden.safetensors`. */
  readonly file: Uint8Array;
  /** Largest |unmerged - merged| / max |unmerged|; absent where the unmerged model was too large to run here. */
  readonly error: number | undefined;
}

interface Request {
  /** Operations for one row. */
  readonly flops: number;
  /** Largest batch size of the program. */
  readonly largest: number;
  /** The compiled module of the smallest batch size. */
  readonly compiled: { readonly batch: number; readonly module: Module };
  /** The model as it was written, at a batch size. */
  readonly written: (batch: number) => Module;
  readonly originalParams: (name: string) => Tensor;
  readonly params: (name: string) => Tensor;
  readonly weights: 'f32' | 'f16';
}

/** The interpreter does about 1 GFLOP a second: above these, waiting costs more than the check is worth. */
const RUN_ALL_FLOPS = 4e9;
const RUN_ONE_FLOPS = 64e9;
/** Rows that differ, where a batch has several: kernels go wrong by powers of two, and no such step leads from a row to its repetition. */
const ROWS = 3;

/** f32 kernels reorder sums; halves of weights lose eleven bits. */
const TOLERANCE = { f32: 1e-3, f16: 3e-2 } as const;
/** Merging itself happens in f64 and is rounded to f32 once. */
const MERGE_TOLERANCE = 1e-4;
/** The same f64 arithmetic on the same numbers. */
const SAME = 1e-9;

/** Largest |a - b| / max |a| over two tensors of equal size; NaN if either holds one. */
export function relativeError(expected: ArrayLike<number>, found: ArrayLike<number>): number {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(expected[i]! - found[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}

/**
 * Sessions split and pad what they are given along the first axis.
 * @throws EspalierError ESP0605 for an input or output that does not begin with the batch
 */
export function requireBatchFirst(batch: number, tensors: readonly TensorSpec[]): void {
  const other = tensors.find(({ shape }) => shape[0] !== batch);
  if (!other) return;
  const what = `its shape is [${other.shape.join(', ')}], which does not begin with the batch, ${batch}`;
  throw new EspalierError([diagnostic('ESP0605', { name: other.name, what })]);
}

/**
 * @returns undefined for a program too large to interpret
 * @throws EspalierError ESP0910 if the compiled model does not compute what the written one does, ESP0605 if rows of a batch change
 * one another
 */
export function goldenOf(request: Request): Golden | undefined {
  const { flops, largest, compiled } = request;
  if (flops * compiled.batch > RUN_ONE_FLOPS) return undefined;
  // Whole runs of the compiled module; where every row costs seconds, one run.
  const several = Math.ceil(Math.min(ROWS, largest) / compiled.batch) * compiled.batch;
  const rows = flops * several <= RUN_ALL_FLOPS ? several : compiled.batch;
  const inputs = inputRows(compiled.module, rows);
  const outputs = inRuns(compiled.module, compiled.batch, inputs, request.params);
  const error = flops * rows <= RUN_ALL_FLOPS ? compared(request, rows, inputs, outputs) : undefined;
  const named = (prefix: string, tensors: ReadonlyMap<string, Tensor>) =>
    [...tensors].map(
      ([name, tensor]) => [`${prefix}.${name}`, storeTensor(tensor, stored(tensor.type.dtype))] as const,
    );
  const ins = named('input', inputs);
  const outs = named('output', outputs);
  return {
    golden: {
      rows,
      inputs: ins.map(([name]) => name),
      outputs: outs.map(([name]) => name),
      tolerance: TOLERANCE[request.weights],
    },
    file: encodeSafetensors(new Map([...ins, ...outs]), { format: 'espalier.golden' }),
    error,
  };
}

/** As the program's buffers hold it: four bytes an element. */
function stored(dtype: DType): StoredType & Uppercase<StorageType> {
  return dtype === 'i32' ? 'I32' : dtype === 'u32' || dtype === 'bool' ? 'U32' : 'F32';
}

const withRows = ({ dtype, shape }: TensorType, rows: number): TensorType => ({
  dtype,
  shape: [rows, ...shape.slice(1)],
});

/** Random inputs: floats as a normalised image has them, small whole numbers for the rest. */
function inputRows(module: Module, rows: number): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  for (const value of module.funcs.get('infer')!.inputs) {
    if (value.op !== 'input') continue;
    const type = withRows(value.type, rows);
    const normal = normalStream(1, value.attrs.name);
    const whole = (): number => Math.trunc(Math.abs(normal()) * 2);
    const size = sizeOf(type.shape);
    const data =
      type.dtype === 'f32' || type.dtype === 'f16'
        ? Float32Array.from({ length: size }, normal)
        : Int32Array.from({ length: size }, type.dtype === 'bool' ? () => Math.min(1, whole()) : whole);
    inputs.set(value.attrs.name, { type, data });
  }
  return inputs;
}

/** All rows, `batch` at a time, through a module of that batch size. */
function inRuns(
  module: Module,
  batch: number,
  inputs: ReadonlyMap<string, Tensor>,
  params: (name: string) => Tensor,
): Map<string, Tensor> {
  const rows = [...inputs.values()][0]?.type.shape[0] ?? batch;
  const runs: ReadonlyMap<string, Tensor>[] = [];
  for (let at = 0; at < rows; at += batch) {
    const part = new Map([...inputs].map(([name, t]) => [name, slice(t, at, at + batch)] as const));
    runs.push(interpret(module, 'infer', { inputs: part, params }));
  }
  return new Map([...runs[0]!.keys()].map((name) => [name, joined(runs.map((run) => run.get(name)!))] as const));
}

function slice({ type, data }: Tensor, from: number, to: number): Tensor {
  const each = data.length / type.shape[0]!;
  return { type: withRows(type, to - from), data: data.subarray(from * each, to * each) };
}

function joined(parts: readonly Tensor[]): Tensor {
  const [{ type, data }] = parts as [Tensor];
  if (parts.length === 1) return { type, data };
  const all = new Float64Array(data.length * parts.length);
  parts.forEach((p, i) => {
    all.set(p.data, i * data.length);
  });
  return { type: withRows(type, type.shape[0]! * parts.length), data: all };
}

/** The error of the merge: the model as written, row by row, against what the compiled one gave. */
function compared(
  { largest, written, originalParams }: Request,
  rows: number,
  inputs: ReadonlyMap<string, Tensor>,
  outputs: ReadonlyMap<string, Tensor>,
): number {
  const alone = inRuns(written(1), 1, inputs, originalParams);
  const batch = Math.min(rows, largest);
  if (batch > 1) {
    const some = new Map([...inputs].map(([name, t]) => [name, slice(t, 0, batch)] as const));
    for (const [name, together] of inRuns(written(batch), batch, some, originalParams)) {
      const found = relativeError(slice(alone.get(name)!, 0, batch).data, together.data);
      // NaN is the next check's to report.
      if (!(found > SAME)) continue;
      const what = `in a batch of ${batch} it is off by ${found.toExponential(1)} of its largest element`;
      throw new EspalierError([diagnostic('ESP0605', { name, what })]);
    }
  }
  let error = 0;
  for (const [name, tensor] of alone) {
    const found = relativeError(tensor.data, outputs.get(name)!.data);
    if (!(found <= MERGE_TOLERANCE)) {
      throw new EspalierError([
        diagnostic('ESP0910', { what: `\`${name}\` is off by ${found.toExponential(1)} of its largest element` }),
      ]);
    }
    error = Math.max(error, found);
  }
  return error;
}
