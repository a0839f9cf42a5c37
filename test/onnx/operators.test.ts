/**
 * Operators that none of ONNX's own cases in scope is of, since theirs are of versions before 9 or after 21, or are of another domain: beside onnxruntime. With those of the bundle they
 * are all operators that are read.
 */
import { describe, expect, test } from 'vitest';
import { tensor } from '../../src/ir/run/tensor.js';
import { FOLDS, RULES } from '../../src/onnx/import/operators/index.js';
import { readBundle } from './conformance/bundle.js';
import { caseOf } from './conformance/cases.js';
import { runOnnx } from './runtime.js';
import { type Attributes, expectNear, fileOf, float, given, type Inputs, int, ints, text, waves } from './single.js';

const x = waves([2, 3, 4], 0.37);
const inside = tensor(
  [2, 3, 4],
  Float32Array.from(x.data, (v) => v / 2.001),
);
const image = waves([2, 3, 7, 6], 0.37);
const truth = (step: number) =>
  tensor(
    [2, 4],
    Uint8Array.from({ length: 8 }, (_, i) => ((i * step) % 3) & 1),
    'bool',
  );
const channels = (step: number) => waves([3], step);
const window = [ints('kernel_shape', [3, 2]), ints('strides', [2, 1]), ints('pads', [1, 0, 1, 1])];

const CASES: readonly (readonly [op: string, inputs: Inputs, attributes: Attributes, opset?: number])[] = [
  ['Sin', { x }, []],
  ['Tan', { x: inside }, []],
  ['Asin', { x: inside }, []],
  ['Acos', { x: inside }, []],
  ['Atan', { x }, []],
  ['Selu', { x }, []],
  ['Selu', { x }, [float('alpha', 1.5), float('gamma', 0.9)]],
  ['Mish', { x }, [], 18],
  ['Softplus', { x }, []],
  ['Softsign', { x }, []],
  ['com.microsoft.Gelu', { x }, []],
  ['com.microsoft.FastGelu', { x }, []],
  ['com.microsoft.FastGelu', { x, bias: waves([4], 0.9) }, []],
  ['com.microsoft.QuickGelu', { x }, [float('alpha', 1.3)]],
  ['Not', { x: truth(1) }, []],
  ['And', { x: truth(1), z: truth(2) }, []],
  ['Xor', { x: truth(1), z: truth(2) }, []],
  ['LpPool', { x: image }, [...window, int('p', 1)], 18],
  ['LpPool', { x: image }, [...window, int('p', 3)], 18],
  ['LpPool', { x: image }, [ints('kernel_shape', [2, 2]), text('auto_pad', 'SAME_UPPER')], 11],
  ['GlobalMaxPool', { x: image }, []],
  ['GlobalAveragePool', { x: image }, []],
  ['GlobalLpPool', { x: image }, [int('p', 2)]],
  ['GlobalLpPool', { x: image }, [int('p', 3)]],
  ['InstanceNormalization', { x: image, scale: channels(0.6), bias: channels(1.1) }, [float('epsilon', 1e-3)]],
  ['LpNormalization', { x }, [int('p', 1), int('axis', 1)]],
  ['LpNormalization', { x }, []],
];

describe('gives what onnxruntime gives', () => {
  test.each(CASES.map(([op, inputs, attributes, opset = 17]) => [op, inputs, attributes, opset] as const))(
    '%s %#',
    async (op, inputs, attributes, opset) => {
      const bytes = fileOf(op, inputs, attributes, opset);
      const y = given(bytes, inputs);
      const reference = (await runOnnx(bytes, new Map(Object.entries(inputs)))).get('y')!;
      expect(y.type.shape).toEqual(reference.shape);
      expectNear(y.data, reference.data);
    },
  );
});

test('each operator that is read has a case', () => {
  const bundle = [...readBundle()].flatMap(([name, files]) => caseOf(name, files).model.graph.nodes.map((n) => n.op));
  const tried = new Set([...bundle, ...CASES.map(([op]) => op)]);
  expect(Object.keys({ ...RULES, ...FOLDS }).filter((op) => !tried.has(op))).toEqual([]);
});
