/** What an entry of the operator table holds. `index.ts` assembles the table; the interpreter, verifier, cost model and docs read it. */
import type { ArrayOf, OpAttrs, OpName, Tensor, TensorType, Value, ValueOf } from '../types.js';
import type { Attr } from './attrs.js';
import type { Builder } from './builder.js';
import { sizeOf, tensorBytes } from './shapes.js';

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

/**
 * How an operator that computes nothing gives the elements of its first operand: each to at most one place (`once`), some to several
 * (`repeats`), beside constants (`fills`), where another operand says (`picks`), beside those of other operands (`joins`).
 */
export type Moves = 'once' | 'repeats' | 'fills' | 'picks' | 'joins';

/**
 * What passes ask of an operator. Every entry says all of them, for no pass keeps a list of operators of its own: a pass that has rules
 * for some of them has a table over those of a trait (`OpsWith` in index.ts). test/ir/traits.test.ts tries each in the interpreter.
 */
export interface Traits {
  /** Each element of the result depends on the elements of the operands at the same (broadcast) place only. */
  readonly pointwise: boolean;
  /** When a value without operands is known: when compiling, with the weights, when the function is called. Null with operands. */
  readonly known: 'compile' | 'load' | 'call' | null;
  /** Null for what computes. */
  readonly moves: Moves | null;
  /**
   * Operands in which the result is linear, but for something added: in all of them together (`jointly`), in each while the others
   * stay (`each`), or in these together. Null where in none.
   */
  readonly linear: 'jointly' | 'each' | readonly number[] | null;
  /** The axis of the result along which the operator says that channels lie: it makes them, or normalises them. */
  readonly channels: 'last' | 'second' | null;
  /** What the operands from the second on are: a layer's weight and bias, or a norm's gain and shift, one number for each channel. */
  readonly holds: 'layer' | 'norm' | null;
  /** It is there for training alone: when inferring it is its operand. */
  readonly erased: boolean;
}

/** How specs call an operator: by its name, with its operands and then its attributes. */
export interface InSpecs<O extends OpName> {
  /** What attributes are where a call leaves them out; those that are not here have to be given. An axis below 0 counts from the end. */
  readonly defaults?: Partial<OpAttrs[O]>;
  /** It takes numbers while compiling too, and gives whole ones: always, of whole ones, or never. Absent: tensors alone. */
  readonly numbers?: 'whole' | 'kept' | 'real';
}

export interface OpDef<O extends OpName> {
  readonly family: Family;
  /** One sentence for the operator reference. */
  readonly doc: string;
  readonly operands: readonly Operand[];
  /** What the text form, the verifier and the operator reference know of its attributes; their types follow from it. */
  readonly attrs: { readonly [K in keyof OpAttrs[O]]: Attr<OpAttrs[O][K]> };
  readonly traits: Traits;
  /**
   * Axes of the result along which places differ or are mixed. Along every other axis the operator makes of each place of its first operand,
   * one by one, the same, whatever the other operands hold (if it is pointwise, along all of them those operands are read at the same place
   * too). Null where the result has other axes than the first operand, or there is none.
   */
  readonly mixes: (v: ValueOf<O>) => readonly number[] | null;
  /** The result's type. Refuses (see errors.ts) what does not fit. Null for leaves whose type is declared elsewhere. */
  readonly type: ((inputs: readonly Value[], attrs: OpAttrs[O]) => TensorType) | null;
  /** Null where the interpreter supplies the value: parameters, arguments, and `aux`, which its owner's entry computes. */
  readonly reference: Reference<O> | null;
  readonly aux?: Readonly<Record<string, AuxDef<O>>>;
  readonly cost: (inputs: readonly TensorType[], attrs: OpAttrs[O], result: TensorType) => Cost;
  readonly decompose: Decomposition<O> | null;
  /** Element by element, from operands and other results: the cheap way to it a second time, where those are kept. Absent where there is none. */
  readonly elementwise?: (b: Builder, v: ValueOf<O>) => Value;
  /**
   * A rule; that of its decomposition, which it then has; or none, for what no small change of an operand changes, has no operand, or gives whole
   * numbers or truth. There is no default.
   */
  readonly derivative: Derivative<O> | 'decompose' | 'none';
  /** Absent for what specs have in another form (`a + b`, `x.T`), or not at all. */
  readonly inSpecs?: InSpecs<O> | undefined;
}

/** Bytes of all operands and the result. */
export function traffic(inputs: readonly TensorType[], result: TensorType): number {
  let bytes = tensorBytes(result);
  for (const t of inputs) bytes += tensorBytes(t);
  return bytes;
}

/** Reads and writes everything once and does `perElement` operations for each element of the result. */
export const costEach =
  (perElement: number) =>
  (inputs: readonly TensorType[], _attrs: unknown, result: TensorType): Cost => ({
    flops: perElement * sizeOf(result.shape),
    bytes: traffic(inputs, result),
  });

/** `mixes` of what treats every place of its operands alike, and of what mixes the last axis. */
export const nothing = (): readonly number[] => [];
export const lastAxis = ({ type }: Value): readonly number[] => [type.shape.length - 1];

/** The axes of a type for which something holds. */
export const axesWhere = ({ shape }: TensorType, holds: (axis: number) => boolean): readonly number[] =>
  [...shape.keys()].filter(holds);

/** A view: nothing moves. */
export const costFree = (): Cost => ({ flops: 0, bytes: 0 });
