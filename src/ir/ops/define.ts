/** What an entry of the operator table holds. `index.ts` assembles the table; the interpreter, verifier, cost model and docs read it. */
import type { ArrayOf, OpAttrs, OpName, Tensor, TensorType, Value } from '../types.js';
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

/** What reverse mode hands to the rule of one value. */
export interface Backward<V extends Value> {
  readonly b: Builder;
  readonly value: V;
  /** The cotangent of the value, of the same type. Absent where nothing that is differentiated was computed from it. */
  readonly cotangent: Value | undefined;
  /** Cotangents of the operator's other results, by name, of those that have one. */
  readonly others: Readonly<Record<string, Value>>;
  /** Whether anything that is trained reaches the operand: where not, the rule builds nothing for it. */
  readonly needed: readonly boolean[];
}

/**
 * Reverse mode: the cotangent of each operand, in operand order, of the operand's type; undefined for one that is not needed, and for one that is not
 * differentiated (indices, conditions).
 */
export type Derivative<O extends OpName> = (
  at: Backward<Extract<Value, { readonly op: O }>>,
) => readonly (Value | undefined)[];

/** A rule that serves several operators. */
export type AnyDerivative = (at: Backward<Value>) => readonly (Value | undefined)[];

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
  /**
   * A rule; that of its decomposition, which it then has; or none, for what no small change of an operand changes, has no operand, or gives whole
   * numbers or truth. There is no default.
   */
  readonly derivative: Derivative<O> | 'decompose' | 'none';
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
