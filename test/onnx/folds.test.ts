/** What is worked out when a graph is imported: sizes, in which the batch may stand as a size like any other; exact, in range, or refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { FOLDS } from '../../src/onnx/import/operators/index.js';
import type { Known, OnnxType } from '../../src/onnx/import/rule.js';
import { type Attributes, nodeOf } from './node.js';

function fold(
  op: string,
  inputs: readonly (Known | undefined)[],
  attributes: Attributes = {},
  { opset = 17, outputs = 1 } = {},
): readonly Known[] {
  return FOLDS[op]!(nodeOf(op, inputs, attributes, { opset, outputs }), inputs);
}

const list = (data: readonly number[], dtype: OnnxType = 'int64'): Known => ({ dtype, shape: [data.length], data });
const one = (x: number, dtype: OnnxType = 'int64'): Known => ({ dtype, shape: [], data: [x] });
const numbers = (found: readonly Known[]): unknown => found.map((k) => [k.shape, Array.from(k.data)]);

describe('the batch goes through what moves and counts', () => {
  const shape = list([BATCH, 197, 768]);
  test.each<[string, readonly (Known | undefined)[], Attributes, unknown]>([
    ['Gather', [shape, one(0)], {}, [[[], [BATCH]]]],
    ['Gather', [shape, list([-1, 0])], {}, [[[2], [768, BATCH]]]],
    ['Concat', [list([BATCH]), list([12, -1])], { axis: 0 }, [[[3], [BATCH, 12, -1]]]],
    ['Slice', [shape, list([0]), list([2 ** 63])], {}, [[[3], [BATCH, 197, 768]]]],
    ['Slice', [shape, list([-1]), list([-(2 ** 63)]), list([0]), list([-1])], {}, [[[3], [768, 197, BATCH]]]],
    ['Unsqueeze', [one(BATCH), list([0])], {}, [[[1], [BATCH]]]],
    ['Squeeze', [list([BATCH])], {}, [[[], [BATCH]]]],
    ['Cast', [shape], { to: 1 }, [[[3], [BATCH, 197, 768]]]],
    ['Mul', [one(BATCH), one(197)], {}, [[[], [197 * BATCH]]]],
    ['Div', [one(197 * BATCH), one(197)], {}, [[[], [BATCH]]]],
    ['Div', [one(197 * BATCH), one(BATCH)], {}, [[[], [197]]]],
    ['Sub', [one(3 * BATCH), one(BATCH)], {}, [[[], [2 * BATCH]]]],
    ['Add', [one(BATCH), one(0)], {}, [[[], [BATCH]]]],
    ['Mod', [one(12 * BATCH), one(4)], {}, [[[], [0]]]],
    ['Equal', [shape, one(-1)], {}, [[[3], [0, 0, 0]]]],
    ['Greater', [one(BATCH), one(0)], {}, [[[], [1]]]],
    ['Max', [one(BATCH), one(1)], {}, [[[], [BATCH]]]],
    ['Where', [list([1, 0, 0], 'bool'), shape, list([1, 2, 3])], {}, [[[3], [BATCH, 2, 3]]]],
    ['ReduceProd', [list([BATCH, 3, 4])], { keepdims: 0 }, [[[], [12 * BATCH]]]],
    ['Floor', [one(BATCH, 'float')], {}, [[[], [BATCH]]]],
    [
      'Transpose',
      [{ ...shape, shape: [1, 3] }],
      {},
      [
        [
          [3, 1],
          [BATCH, 197, 768],
        ],
      ],
    ],
    ['Expand', [one(BATCH), list([2])], {}, [[[2], [BATCH, BATCH]]]],
  ])('%s %#', (op, inputs, attributes, wanted) => {
    expect(numbers(fold(op, inputs, attributes))).toEqual(wanted);
  });

  test('Split', () => {
    expect(numbers(fold('Split', [list([BATCH, 1, 2]), list([1, 2])], {}, { outputs: 2 }))).toEqual([
      [[1], [BATCH]],
      [[2], [1, 2]],
    ]);
  });

  test('what would be as long as the batch is the program’s', () => {
    expect(fold('ConstantOfShape', [list([BATCH, 3])])).toEqual([]);
  });
});

describe('what is not known for every batch is refused', () => {
  test.each<[string, readonly Known[]]>([
    ['Add', [one(BATCH), one(1)]],
    ['Sub', [one(BATCH), one(1)]],
    ['Sub', [one(BATCH), one(2 * BATCH)]],
    ['Mul', [one(BATCH), one(BATCH)]],
    ['Mul', [one(BATCH, 'float'), one(0.5, 'float')]],
    ['Div', [one(BATCH), one(2)]],
    ['Div', [one(12), one(BATCH)]],
    ['Mod', [one(BATCH), one(2)]],
    ['Pow', [one(BATCH), one(2)]],
    ['Equal', [one(BATCH), one(1)]],
    ['Less', [one(BATCH), one(8)]],
    ['Min', [one(BATCH), one(8)]],
    ['Neg', [one(BATCH)]],
    ['Sqrt', [one(BATCH, 'float')]],
    ['ReduceSum', [list([BATCH, 1])]],
    ['ReduceProd', [list([BATCH, BATCH])]],
    ['Range', [one(0), one(BATCH), one(1)]],
  ])('%s %#', (op, inputs) => {
    expect(() => fold(op, inputs)).toThrow('the number of samples, which is not known');
  });
});

describe('what leaves its type or is not exact is refused', () => {
  test.each<[string, readonly Known[], RegExp, Attributes?]>([
    ['Mul', [one(2 ** 40), one(2 ** 40)], /comes to 1\.2\d+e\+24, which is no int64/],
    ['Mul', [one(2 ** 30), one(2 ** 30)], /beyond what is exact/],
    ['Add', [one(2 ** 31 - 1, 'int32'), one(1, 'int32')], /no int32/],
    ['Sub', [one(3, 'uint8'), one(4, 'uint8')], /no uint8/],
    ['Cast', [one(300)], /no uint8/, { to: 2 }],
    ['Div', [one(1), one(0)], /divides a whole number by 0/],
    ['Gather', [list([1, 2]), one(2)], /place 2 of an axis of 2/],
    ['Range', [one(0), one(2 ** 30), one(1)], /counts 1073741824 numbers/],
  ])('%s %#', (op, inputs, message, attributes) => {
    expect(() => fold(op, inputs, attributes)).toThrow(message);
  });
});

test('whole numbers divide towards 0 and have remainders as they are said', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e6, max: 1e6 }),
      fc.integer({ min: -1e3, max: 1e3 }).filter((n) => n !== 0),
      (a, b) => {
        const of = (op: string, attributes: Attributes = {}) => fold(op, [one(a), one(b)], attributes)[0]!.data[0]!;
        expect(of('Div') + 0).toBe(Math.trunc(a / b) + 0);
        expect(of('Mod', { fmod: 1 }) + 0).toBe((a % b) + 0);
        const rest = of('Mod') + 0;
        expect(Math.abs(rest)).toBeLessThan(Math.abs(b));
        expect(rest === 0 || rest < 0 === b < 0).toBe(true);
        expect(Number.isInteger((a - rest) / b)).toBe(true);
      },
    ),
  );
});

test('floats are those of 32 bits, and round their halves to even', () => {
  expect(fold('Mul', [one(0.1, 'float'), one(3, 'float')])[0]!.data[0]).toBe(Math.fround(0.1 * 3));
  expect(numbers(fold('Round', [list([0.5, 1.5, 2.5, -0.5, -1.5, 2.4], 'float')]))).toEqual([
    [[6], [0, 2, 2, 0, -2, 2]],
  ]);
});
