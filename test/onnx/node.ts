/** A node as rules and folds of ONNX operators see it, made by hand. */
import type { Known, OnnxNode, Operand } from '../../src/onnx/import/rule.js';

export type Attributes = Readonly<Record<string, unknown>>;

/** @param inputs what is known of them, or the operands themselves */
export function nodeOf(
  op: string,
  inputs: readonly (Known | Operand | undefined)[],
  attributes: Attributes = {},
  { opset = 17, outputs = 1 } = {},
): OnnxNode {
  const read = (name: string, otherwise?: unknown): never => {
    const value = attributes[name] ?? otherwise;
    if (value === undefined) throw new Error(`this node lacks \`${name}\``);
    return value as never;
  };
  const operand = (i: number): Operand => {
    const given = inputs[i]!;
    return 'text' in given ? given : ({ onnx: given.dtype, known: given } as never);
  };
  const fail = (reason: string): never => {
    throw new Error(`this node ${reason}`);
  };
  return {
    op,
    opset,
    inputs: inputs.length,
    wanted: Array.from({ length: outputs }, () => true),
    has: (i) => inputs[i] !== undefined,
    in: operand,
    whole: (i) => Array.from(operand(i).known?.data ?? fail('does not know')),
    int: read,
    ints: read,
    float: read,
    floats: read,
    text: read,
    texts: read,
    tensor: (name) => attributes[name] as never,
    hasAttribute: (name) => name in attributes,
    constant: ({ shape }) => `table${shape.join('x')}`,
    fail,
  };
}
