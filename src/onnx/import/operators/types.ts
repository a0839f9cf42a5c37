/** Element types of what nodes give: the language knows i32 where ONNX has six, and what wraps or saturates depends on which. */
import type { TensorType } from '../../../ir/types.js';
import type { OnnxNode, OnnxType } from '../rule.js';
import { constantOf } from './made.js';
import { quantisedType } from './quantised.js';
import { dtypeOf, range, typeOfCode } from './text.js';

type Typing = (n: OnnxNode) => readonly (OnnxType | undefined)[];

const ofInput =
  (input: number): Typing =>
  (n) => [n.in(input).onnx];

const TYPES: Readonly<Record<string, Typing>> = {
  Cast: (n) => [typeOfCode(n, n.int('to'))],
  CastLike: ofInput(1),
  Constant: (n) => [constantOf(n).dtype],
  ConstantOfShape: (n) => [n.tensor('value')?.dtype ?? 'float'],
  EyeLike: (n) => [n.hasAttribute('dtype') ? typeOfCode(n, n.int('dtype')) : n.in(0).onnx],
  QuantizeLinear: (n) => [quantisedType(n)],
  DequantizeLinear: ofInput(1),
  DynamicQuantizeLinear: () => ['uint8', 'float', 'uint8'],
  MatMulInteger: () => ['int32'],
  ConvInteger: () => ['int32'],
  QLinearMatMul: ofInput(7),
  QLinearConv: ofInput(7),
  ArgMax: () => ['int64'],
  ArgMin: () => ['int64'],
  TopK: (n) => [n.in(0).onnx, 'int64'],
  MaxPool: (n) => [n.in(0).onnx, 'int64'],
  OneHot: ofInput(2),
  Where: ofInput(1),
  Shape: () => ['int64'],
  Size: () => ['int64'],
  NonZero: () => ['int64'],
};

/** What stands for an element type of the language where nothing says more. */
const PLAIN = { f32: 'float', f16: 'float16', i32: 'int64', u32: 'uint32', bool: 'bool' } as const;

/** The element types of a node's outputs, which have these in the language: what its operator says, or those of its operands. */
export function onnxTypes(n: OnnxNode, outputs: readonly TensorType[]): OnnxType[] {
  const said = TYPES[n.op]?.(n) ?? [];
  return outputs.map(({ dtype }, i) => {
    const own = said[i];
    if (own !== undefined && dtypeOf(own) === dtype) return own;
    const like = range(n.inputs)
      .filter((input) => n.has(input))
      .map((input) => n.in(input).onnx)
      .find((type) => dtypeOf(type) === dtype);
    return like ?? PLAIN[dtype];
  });
}
