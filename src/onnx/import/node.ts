/** A node as its rule sees it: operands as text with their types, attributes, and what is known. */
import type { OnnxAttribute } from '../../formats/onnx/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { TensorType } from '../../ir/types.js';
import type { GraphNode } from './graph.js';
import { numberText } from './numbers.js';
import type { Known, OnnxNode, OnnxType, Operand } from './rule.js';

/** A value that is the number of the sample times `times`, plus `index` where there is one. */
export interface Rows {
  readonly index?: string;
  readonly times: number;
}

/** An expression for one value: in its text `arg0` stands for the first of `args`. */
export interface Code {
  readonly text: string;
  readonly args: readonly string[];
}

/** What is known of a value of the graph. */
export interface Value {
  readonly name: string;
  readonly type: TensorType;
  readonly onnx: OnnxType;
  /** Its elements, if they are known; read when they are asked for. */
  readonly known?: () => Known;
  /** It is a constant of the file whose elements lie in another one, and are too many to be read with the graph. */
  readonly beside?: boolean;
  /** It is the number of the sample, or a place that follows from that: it has no text (rows.ts). */
  readonly rows?: Rows;
}

/** Thrown by rules; caught where the node's name is put to it. */
export class Unsuitable extends Error {}

/** Names of operands in the text that a rule gives: `arg0` is the node's first input. */
export const argument = (i: number): string => `arg${i}`;
export const ARGUMENT = /\barg(\d+)\b/g;

export class NodeView implements OnnxNode {
  readonly op: string;
  readonly opset: number;
  readonly inputs: number;
  readonly wanted: readonly boolean[];
  /** Tables that the rule made, named as arguments after the inputs. */
  readonly tables: Known[] = [];

  constructor(
    private readonly node: GraphNode,
    private readonly operands: readonly (Value | undefined)[],
    wanted: (output: string) => boolean,
  ) {
    this.op = node.op;
    this.opset = node.opset;
    this.inputs = operands.length;
    this.wanted = node.outputs.map((o) => o !== undefined && wanted(o));
  }

  has(input: number): boolean {
    return this.operands[input] !== undefined;
  }

  in(input: number): Operand {
    const value = this.operands[input];
    if (!value) return this.fail(`lacks its input ${input}`);
    const { type, onnx, known } = value;
    const read = known && once(known);
    return {
      type,
      onnx,
      get text() {
        return literal(value) ?? argument(input);
      },
      get known() {
        return read?.();
      },
    } as Operand;
  }

  whole(input: number): readonly number[] {
    const { known } = this.in(input);
    if (!known) {
      return this.fail(
        this.operands[input]!.beside
          ? `has an input ${input} that lies in another file, ${sizeOf(this.operands[input]!.type.shape)} elements that are read only when weights are`
          : `has an input ${input} that is not known before it runs`,
      );
    }
    const numbers = Array.from(known.data);
    if (!numbers.every((n) => Number.isInteger(n)))
      return this.fail(`has an input ${input} that is not of whole numbers`);
    return numbers;
  }

  private attribute<K extends OnnxAttribute['kind']>(name: string, kind: K, otherwise?: unknown) {
    const found = this.node.attributes.get(name);
    if (found === undefined) {
      return otherwise === undefined ? this.fail(`lacks its attribute \`${name}\``) : otherwise;
    }
    return found.kind === kind
      ? found.value
      : this.fail(`has an attribute \`${name}\` that is not of the kind ${kind}`);
  }
  hasAttribute(name: string): boolean {
    return this.node.attributes.has(name);
  }
  int(name: string, otherwise?: number): number {
    return this.attribute(name, 'int', otherwise) as number;
  }
  ints(name: string, otherwise?: readonly number[]): readonly number[] {
    return this.attribute(name, 'ints', otherwise) as readonly number[];
  }
  float(name: string, otherwise?: number): number {
    return this.attribute(name, 'float', otherwise) as number;
  }
  floats(name: string, otherwise?: readonly number[]): readonly number[] {
    return this.attribute(name, 'floats', otherwise) as readonly number[];
  }
  text(name: string, otherwise?: string): string {
    return this.attribute(name, 'string', otherwise) as string;
  }
  texts(name: string, otherwise?: readonly string[]): readonly string[] {
    return this.attribute(name, 'strings', otherwise) as readonly string[];
  }
  tensor(name: string): Known | undefined {
    const found = this.node.attributes.get(name);
    if (found === undefined) return undefined;
    if (found.kind !== 'tensor') return this.fail(`has an attribute \`${name}\` that is not a tensor`);
    const { dtype, shape } = found.value;
    return { dtype, shape, data: found.value.read() };
  }
  constant(value: Known): string {
    this.tables.push(value);
    return argument(this.inputs + this.tables.length - 1);
  }
  fail(reason: string): never {
    throw new Unsuitable(reason);
  }
}

function once<T>(work: () => T): () => T {
  let done: { readonly value: T } | undefined;
  return () => {
    done ??= { value: work() };
    return done.value;
  };
}

/** A number that is known, and one number, is written out. */
function literal({ type, known }: Value): string | undefined {
  if (!known || type.shape.length > 0) return undefined;
  const [x] = [known().data[0]!];
  if (type.dtype === 'bool') return x ? 'true' : 'false';
  if (!Number.isFinite(x)) return undefined;
  return x < 0 ? `(${numberText(x)})` : numberText(x);
}
