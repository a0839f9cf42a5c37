/** What is taken for the constants of an operator that exporters take apart: what they write, and nothing near it. */
import { describe, expect, test } from 'vitest';
import { readOnnx } from '../../src/formats/onnx/read.js';
import { importOnnx } from '../../src/onnx/import/index.js';
import { bytesOf, floatTensor, relu, value } from '../formats/onnx/support.js';

const node = (op_type: string, input: readonly string[], output: string) => ({ op_type, input, output: [output] });

/** What `x (1 + erf(x / root)) / 2` is taken for. */
function geluBy(root: number): Readonly<Record<string, number>> {
  const graph = {
    node: [
      node('Div', ['x', 'root'], 'scaled'),
      node('Erf', ['scaled'], 'erf'),
      node('Add', ['erf', 'one'], 'sum'),
      node('Mul', ['x', 'sum'], 'product'),
      node('Mul', ['product', 'half'], 'y'),
    ],
    input: [value('x', ['n', 4])],
    output: [value('y', ['n', 4])],
    initializer: [floatTensor('root', [], [root]), floatTensor('one', [], [1]), floatTensor('half', [], [0.5])],
  };
  return Object.fromEntries(importOnnx(readOnnx('m.onnx', bytesOf(relu(graph))), { name: 'm' }).raised);
}

describe('a layer norm as `export --onnx` takes it apart before opset 17', () => {
  const graph = (by: string) => ({
    node: [
      { op_type: 'ReduceMean', input: ['x'], output: ['mean'], attribute: [{ name: 'axes', type: 7, ints: [-1] }] },
      node('Sub', ['x', 'mean'], 'd'),
      node('Mul', ['d', 'd'], 'squares'),
      {
        op_type: 'ReduceMean',
        input: ['squares'],
        output: ['variance'],
        attribute: [{ name: 'axes', type: 7, ints: [-1] }],
      },
      node('Add', ['variance', 'eps'], 'more'),
      node('Sqrt', ['more'], 'deviation'),
      ...(by === 'Reciprocal'
        ? [node('Reciprocal', ['deviation'], 'inverse')]
        : [node('Div', ['one', 'deviation'], 'inverse')]),
      node('Mul', ['d', 'inverse'], 'n'),
      node('Mul', ['n', 'gain'], 'g'),
      node('Add', ['g', 'shift'], 'y'),
    ],
    input: [value('x', ['n', 4])],
    output: [value('y', ['n', 4])],
    initializer: [
      floatTensor('eps', [], [1e-5]),
      floatTensor('one', [], [1]),
      floatTensor('gain', [4], [1, 2, 3, 4]),
      floatTensor('shift', [4], [0, 1, 0, 1]),
    ],
  });
  test.each(['Reciprocal', 'Div'])('by %s', (by) => {
    const model = readOnnx('m.onnx', bytesOf(relu(graph(by))));
    expect(Object.fromEntries(importOnnx(model, { name: 'm' }).raised)).toEqual({ LayerNorm: 1 });
  });
});

describe('the root of a gelu', () => {
  test.each([
    ['as an f32', Math.SQRT2],
    ['in seven digits', Number(Math.SQRT2.toPrecision(7))],
    ['as an f16, or a bf16', 1.4140625],
  ])('%s', (_, root) => {
    expect(geluBy(root)).toEqual({ Gelu: 1 });
  });

  // Within a thousandth, which f16 alone would explain; but no f16 is these numbers.
  test.each([Number(Math.SQRT2.toPrecision(5)), 1.4141, 1.415, 1.4135])('%s is another function', (root) => {
    expect(geluBy(root)).toEqual({});
  });
});
