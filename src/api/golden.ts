/**
 * The golden input of a program: one input, and what must come out, computed on the CPU in f64 from the same IR. It is also the
 * last check of a merge: the model as it was written and as it was compiled must agree on it.
 */
import type { Golden as GoldenSpec } from '../../runtime/program.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { storeTensor } from '../formats/elements.js';
import { encodeSafetensors } from '../formats/safetensors.js';
import { normalStream } from '../ir/init.js';
import { interpret } from '../ir/interpret.js';
import type { Module, Tensor } from '../ir/types.js';

export interface Golden {
  readonly golden: GoldenSpec;
  /** `golden.safetensors`. */
  readonly file: Uint8Array;
  /** Largest |unmerged - merged| / max |unmerged|; absent where the unmerged model was too large to run here. */
  readonly error: number | undefined;
}

interface Request {
  readonly batch: number;
  readonly flops: number;
  readonly original: Module;
  readonly optimised: Module;
  readonly originalParams: (name: string) => Tensor;
  readonly params: (name: string) => Tensor;
  readonly weights: 'f32' | 'f16';
}

/** The interpreter does about 1 GFLOP a second: above these, waiting costs more than the check is worth. */
const RUN_BOTH_FLOPS = 4e9;
const RUN_ONE_FLOPS = 64e9;

/** f32 kernels reorder sums; halves of weights lose eleven bits. */
const TOLERANCE = { f32: 1e-3, f16: 3e-2 } as const;
/** Merging itself happens in f64 and is rounded to f32 once. */
const MERGE_TOLERANCE = 1e-4;

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
 * @returns undefined for a program too large to interpret
 * @throws EspalierError if the compiled model does not compute what the written one does
 */
export function goldenOf(request: Request): Golden | undefined {
  if (request.flops > RUN_ONE_FLOPS) return undefined;
  const inputs = new Map<string, Tensor>();
  for (const value of request.optimised.funcs.get('infer')!.inputs) {
    if (value.op !== 'input') continue;
    const next = normalStream(1, value.attrs.name);
    const data = Float32Array.from({ length: value.type.shape.reduce((a, b) => a * b, 1) }, next);
    inputs.set(value.attrs.name, { type: value.type, data });
  }
  const outputs = interpret(request.optimised, 'infer', { inputs, params: request.params });
  let error: number | undefined;
  if (request.flops <= RUN_BOTH_FLOPS) {
    error = 0;
    for (const [name, tensor] of interpret(request.original, 'infer', { inputs, params: request.originalParams })) {
      const found = relativeError(tensor.data, outputs.get(name)!.data);
      if (!(found <= MERGE_TOLERANCE)) {
        throw new EspalierError([
          diagnostic('ESP0910', { what: `\`${name}\` is off by ${found.toExponential(1)} of its largest element` }),
        ]);
      }
      error = Math.max(error, found);
    }
  }
  const named = (prefix: string, tensors: ReadonlyMap<string, Tensor>) =>
    [...tensors].map(([name, tensor]) => [`${prefix}.${name}`, storeTensor(tensor)] as const);
  const ins = named('input', inputs);
  const outs = named('output', outputs);
  return {
    golden: {
      batch: request.batch,
      inputs: ins.map(([name]) => name),
      outputs: outs.map(([name]) => name),
      tolerance: TOLERANCE[request.weights],
    },
    file: encodeSafetensors(new Map([...ins, ...outs]), { format: 'espalier.golden' }),
    error,
  };
}
