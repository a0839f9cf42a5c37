/**
 * What an ONNX operator is, said in the language: a rule gives for a node the text of an expression (or of one for each of its outputs), made of
 * operators of the language and of functions of `std/onnx.peft`. Types are not the rules' to know: each expression is elaborated as it is made, and
 * the operator table says what comes out.
 */
import type { OnnxType } from '../../formats/onnx/types.js';
import type { TensorType } from '../../ir/types.js';

export type { OnnxType };

/** A tensor whose elements are known when the graph is imported. Whole numbers beyond 2^53 are not exact; whoever needs one checks. */
export interface Known {
  readonly dtype: OnnxType;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** An input of a node. */
export interface Operand {
  /** An expression that is a tensor, and can be indexed: a name. Of a scalar that is known it may be the number. */
  readonly text: string;
  /** In the language. The batch stands in the shape as in the IR (`ir/batch.ts`). */
  readonly type: TensorType;
  readonly onnx: OnnxType;
  /** Shapes, axes, lengths: all that follows from what is known when importing. */
  readonly known?: Known;
}

/** A node, as a rule sees it. All that fails names the node. */
export interface OnnxNode {
  /** Its operator: `Conv`. */
  readonly op: string;
  /** Version of the operator set that it is of. */
  readonly opset: number;
  /** How many inputs it has; some of them can be absent. */
  readonly inputs: number;
  /** Which of its outputs anybody reads. */
  readonly wanted: readonly boolean[];
  has(input: number): boolean;
  in(input: number): Operand;
  /** The whole numbers that an input is known to hold; fails where it is not known. */
  whole(input: number): readonly number[];
  int(attribute: string, otherwise?: number): number;
  ints(attribute: string, otherwise?: readonly number[]): readonly number[];
  float(attribute: string, otherwise?: number): number;
  floats(attribute: string, otherwise?: readonly number[]): readonly number[];
  text(attribute: string, otherwise?: string): string;
  texts(attribute: string, otherwise?: readonly string[]): readonly string[];
  tensor(attribute: string): Known | undefined;
  hasAttribute(attribute: string): boolean;
  /** The name of a constant of the program that holds these elements, of the language's type for theirs: for tables that are too long to write out. */
  constant(value: Known): string;
  /** Stops: the node is something that this cannot say; `reason` goes on "this node ...". */
  fail(reason: string): never;
}

/** The expression of the first output, or those of all. */
export type Rule = (node: OnnxNode) => string | readonly string[];

/** Rules by operator, of the default domain or with it: `com.microsoft.Gelu`. */
export type Rules = Readonly<Record<string, Rule>>;

/**
 * What a node gives where all its inputs are known: computed at once, exactly, and never a part of the program. Nothing, an empty list, where
 * that is the program's to make: what is as long as the batch, or very long.
 */
export type Fold = (node: OnnxNode, inputs: readonly (Known | undefined)[]) => readonly Known[];
export type Folds = Readonly<Record<string, Fold>>;
