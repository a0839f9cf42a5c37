/** What an entry of the operator table holds. `index.ts` assembles the table; the interpreter, verifier, cost model and docs read it. */
import type { ArrayOf, OpAttrs, OpName, Tensor, TensorType, Value, ValueOf } from '../types.js';
import type { Builder } from './builder.js';
import { bytesOf, sizeOf } from './shapes.js';

export interface Operand {
  readonly name: string;
  /** `optional`: the input list may be shorter. `variadic`: the last operand, any number of times (at least `least`, default 1). */
  readonly kind?: 'optional' | 'variadic';
  readonly least?: number;
}

export interface Cost {
  /** Floating-point operations; a multiply-add is two, a transcendental one. */
  readonly flops: number;
  /** Bytes read and written when the operator runs alone, unfused. */
  readonly bytes: number;
}

/**
 * Floats are computed in f64 and never rounded to their dtype: rounding belongs to a target, not to the meaning.
 * @param array Where to get an array of doubles that the reference writes in full; large models are prepared through these references.
 */
export type Reference<O extends OpName> = (
  inputs: readonly Tensor[],
  attrs: OpAttrs[O],
  type: TensorType,
  array?: ArrayOf,
) => Tensor;

/** The same value from other operators, nearer to the primitives. A composite's decomposition is its meaning. */
export type Decomposition<O extends OpName> = (b: Builder, inputs: readonly Value[], attrs: OpAttrs[O]) => Value;

/**
 * Reverse mode: given the cotangent of the result (same type as the value), the cotangent of each operand, in operand order.
 * `needed[i]` says whether any trainable parameter structurally reaches operand i; where it is false the rule must build nothing
 * and give undefined. Also undefined for an operand that has no derivative (indices, conditions).
 */
export type Derivative<O extends OpName> = (
  b: Builder,
  value: ValueOf<O>,
  cotangent: Value,
  needed: readonly boolean[],
) => readonly (Value | undefined)[];

/** Another result of an operator, read by `aux`. */
export interface AuxDef<O extends OpName> {
  readonly doc: string;
  readonly type: (inputs: readonly Value[], attrs: OpAttrs[O]) => TensorType;
  readonly reference: Reference<O>;
  /** Needed where the owner decomposes; replaced before its owner is. */
  readonly decompose: Decomposition<O> | null;
}

export type Family = 'leaf' | 'pointwise' | 'layout' | 'reduction' | 'contraction' | 'composite';

export interface OpDef<O extends OpName> {
  readonly family: Family;
  /** One sentence for the operator reference. */
  readonly doc: string;
  readonly operands: readonly Operand[];
  /** Each element of the result depends on the elements of the operands at the same (broadcast) place only. */
  readonly pointwise: boolean;
  /** The result's type. Refuses (see errors.ts) what does not fit. Null for leaves whose type is declared elsewhere. */
  readonly type: ((inputs: readonly Value[], attrs: OpAttrs[O]) => TensorType) | null;
  /** Null where the interpreter supplies the value: parameters, arguments, and `aux`, which its owner's entry computes. */
  readonly reference: Reference<O> | null;
  readonly aux?: Readonly<Record<string, AuxDef<O>>>;
  readonly cost: (inputs: readonly TensorType[], attrs: OpAttrs[O], result: TensorType) => Cost;
  readonly decompose: Decomposition<O> | null;
  /** Null until reverse mode fills it (the next step of the project), and for what has no derivative. */
  readonly derivative: Derivative<O> | null;
}

/** Bytes of all operands and the result. */
export function traffic(inputs: readonly TensorType[], result: TensorType): number {
  let bytes = bytesOf(result);
  for (const t of inputs) bytes += bytesOf(t);
  return bytes;
}

/** Reads and writes everything once and does `perElement` operations for each element of the result. */
export const costEach =
  (perElement: number) =>
  (inputs: readonly TensorType[], _attrs: unknown, result: TensorType): Cost => ({
    flops: perElement * sizeOf(result.shape),
    bytes: traffic(inputs, result),
  });

/** A view: nothing moves. */
export const costFree = (): Cost => ({ flops: 0, bytes: 0 });
