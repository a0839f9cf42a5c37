/** Graphs of one node, as files and imported: for operators that ONNX's own cases in scope do not have. */
import { expect } from 'vitest';
import { elaborate } from '../../src/dsl/elaborate.js';
import { parse } from '../../src/dsl/parse.js';
import { readOnnx } from '../../src/formats/onnx/read.js';
import type { GraphProto } from '../../src/formats/onnx/schema.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { importOnnx } from '../../src/onnx/import/index.js';
import { bytesOf, FLOAT, relu, value } from '../formats/onnx/support.js';

export type Attributes = NonNullable<NonNullable<GraphProto['node']>[number]['attribute']>;
export const ints = (name: string, ints: readonly number[]): Attributes[number] => ({ name, type: 7, ints });
export const int = (name: string, i: number): Attributes[number] => ({ name, type: 2, i });
export const float = (name: string, f: number): Attributes[number] => ({ name, type: 1, f });
export const text = (name: string, s: string): Attributes[number] => ({
  name,
  type: 3,
  s: new TextEncoder().encode(s),
});

export const waves = (shape: readonly number[], step: number): Tensor =>
  tensor(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1 + i * step) * 2),
  );

export type Inputs = Readonly<Record<string, Tensor>>;

/** The file of one node; whole numbers are constants of it. */
export function fileOf(op: string, inputs: Inputs, attribute: Attributes, opset: number): Uint8Array {
  const [name, ...domain] = op.split('.').reverse();
  const all = Object.entries(inputs);
  const truth = all.every(([, t]) => t.type.dtype === 'bool');
  const graph: GraphProto = {
    node: [
      { op_type: name!, domain: domain.reverse().join('.'), input: Object.keys(inputs), output: ['y'], attribute },
    ],
    input: all
      .filter(([, t]) => t.type.dtype !== 'i32')
      .map(([name, { type }]) => value(name, type.shape, type.dtype === 'bool' ? 9 : FLOAT)),
    output: [{ name: 'y', type: { tensor_type: { elem_type: truth ? 9 : FLOAT } } }],
    initializer: all
      .filter(([, t]) => t.type.dtype === 'i32')
      .map(([name, { type, data }]) => ({
        name,
        dims: type.shape,
        data_type: 7,
        raw_data: new Uint8Array(BigInt64Array.from(data, BigInt).buffer),
      })),
  };
  return bytesOf(
    relu(graph, {
      opset_import: [{ version: opset }, ...(domain.length > 0 ? [{ domain: domain.join('.'), version: 1 }] : [])],
    }),
  );
}

/** What its import gives. */
export function given(bytes: Uint8Array, inputs: Inputs): Tensor {
  const model = readOnnx('m.onnx', bytes);
  const { source, params } = importOnnx(model, { name: 'graph' });
  const spec = parse('m.peft', `${source}\nmodel M {\n  base = graph()\n}\n`);
  const { value: made, diagnostics } = elaborate(spec.file, { readFile: () => undefined });
  expect(diagnostics).toEqual([]);
  const constants = new Map(params.map((p) => [`base.${p.name}`, inputs[p.tensor!]!]));
  const found = interpret(made!.module, 'infer', {
    inputs: new Map(Object.entries(inputs)),
    params: (name) => constants.get(name)!,
  });
  return found.get('y')!;
}

export function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) expect(Math.abs(found[i]! - wanted[i]!), `element ${i}`).toBeLessThan(1e-5);
}
