/** Whole numbers that stand for others by a scale and a zero point, and products of them. */
import type { OnnxNode, OnnxType, Operand, Rule, Rules } from '../rule.js';
import { matmulOf } from './contract.js';
import { asFloat, asWhole, axisOf, isFloat, narrow, range, rankOf, reshaped, sizes, typeOfCode } from './text.js';
import { kernelOf } from './windows/convolution.js';
import { windowOf } from './windows/window.js';

/** A scale or zero point beside a tensor: one for all, one for each place of an axis, or one for each block of it. */
function beside(n: OnnxNode, x: Operand, of: Operand, text: string): string {
  const count = of.type.shape;
  if (count.length === 0 || (count.length === 1 && count[0] === 1)) return reshaped(text, count, []);
  const rank = rankOf(x);
  const axis = axisOf(n, n.int('axis', 1), rank);
  const block = n.int('block_size', 0);
  if (block === 0)
    return reshaped(
      text,
      count,
      range(rank).map((i) => (i === axis ? count[0]! : 1)),
    );
  const wide = [...count.slice(0, axis + 1), block, ...count.slice(axis + 1)];
  const one = [...count.slice(0, axis + 1), 1, ...count.slice(axis + 1)];
  const to = count.map((d, i) => (i === axis ? d * block : d));
  return `reshape(broadcast(reshape(${text}, ${sizes(one)}), ${sizes(wide)}), ${sizes(to)})`;
}

/** Least and most that a quantised element is. */
function bounds(n: OnnxNode, type: OnnxType): { readonly least: number; readonly most: number } {
  return narrow(type) ?? n.fail(`quantises to ${type}`);
}

export function quantisedType(n: OnnxNode): OnnxType {
  if (n.has(2)) return n.in(2).onnx;
  const code = n.int('output_dtype', 0);
  return code === 0 ? 'uint8' : typeOfCode(n, code);
}

const quantizeLinear: Rule = (n) => {
  const [x, scale] = [n.in(0), n.in(1)];
  const { least, most } = bounds(n, quantisedType(n));
  const zero = n.has(2) ? beside(n, x, n.in(2), asWhole(n.in(2))) : '0';
  return `onnx_quantize(${asFloat(x)}, ${beside(n, x, scale, scale.text)}, ${zero}, ${least}, ${most})`;
};

const dequantizeLinear: Rule = (n) => {
  const [x, scale] = [n.in(0), n.in(1)];
  if (isFloat(x.onnx)) return n.fail('reads quantised elements that are floats');
  const whole = asWhole(x);
  const moved = n.has(2) ? `(${whole} - ${beside(n, x, n.in(2), asWhole(n.in(2)))})` : whole;
  return `cast(${moved}, f32) * ${beside(n, x, scale, scale.text)}`;
};

/** An operand minus its zero point, as whole numbers; one for each row stands on the axis `rows` from the end. */
function moved(n: OnnxNode, input: number, zero: number, onRows: boolean): string {
  const x = n.in(input);
  if (!n.has(zero)) return asWhole(x);
  const z = n.in(zero);
  const { shape } = z.type;
  const single = shape.length === 0 || (shape.length === 1 && shape[0] === 1);
  const placed = single
    ? reshaped(asWhole(z), shape, [])
    : onRows && shape.length === 1
      ? reshaped(asWhole(z), shape, [shape[0]!, 1])
      : asWhole(z);
  return `(${asWhole(x)} - ${placed})`;
}

const wholeProduct = (n: OnnxNode, a: string, b: string, first: number, second: number): string =>
  matmulOf({ ...n.in(first), text: a }, { ...n.in(second), text: b }, (x, y) => `onnx_whole_matmul(${x}, ${y})`);

const matmulInteger: Rule = (n) => wholeProduct(n, moved(n, 0, 2, true), moved(n, 1, 3, false), 0, 1);

const single = (x: Operand): string =>
  reshaped(x.text, x.type.shape, x.type.shape.length === 1 && x.type.shape[0] === 1 ? [] : x.type.shape);

const qLinearMatMul: Rule = (n) => {
  const made = wholeProduct(n, moved(n, 0, 2, true), moved(n, 3, 5, false), 0, 3);
  const { least, most } = bounds(n, n.in(7).onnx);
  const column = n.in(1).type.shape;
  const left =
    column.length === 1 && column[0] !== 1 ? reshaped(n.in(1).text, column, [column[0]!, 1]) : single(n.in(1));
  const zero = reshaped(
    asWhole(n.in(7)),
    n.in(7).type.shape,
    single(n.in(7)) === n.in(7).text ? n.in(7).type.shape : [],
  );
  return `onnx_requantize(${made}, ${left} * ${single(n.in(4))}, ${single(n.in(6))}, ${zero}, ${least}, ${most})`;
};

/** A convolution of whole numbers; paddings are zeros after the zero point is taken away. */
function wholeConv(
  n: OnnxNode,
  x: number,
  xZero: number,
  weight: number,
  wZero: number,
  bias: string | undefined,
): string {
  const w = n.in(weight);
  if (rankOf(n.in(x)) !== 4) return n.fail('convolves whole numbers over other than two axes');
  const win = windowOf(n, n.in(x).type.shape.slice(2), kernelOf(n, w));
  const zeros = n.has(wZero) ? n.in(wZero) : undefined;
  const perRow = zeros && zeros.type.shape.length === 1 && zeros.type.shape[0]! > 1;
  const kernel = perRow
    ? `(${asWhole(w)} - ${reshaped(asWhole(zeros), zeros.type.shape, [zeros.type.shape[0]!, 1, 1, 1])})`
    : moved(n, weight, wZero, false);
  const made = `onnx_whole_conv(${moved(n, x, xZero, false)}, ${kernel}, out: ${sizes(win.out)}, stride: ${sizes(win.stride)}, dilation: ${sizes(win.dilation)}, low: ${sizes(win.low)}, high: ${sizes(win.high)}, groups: ${n.int('group', 1)})`;
  return bias === undefined ? made : `(${made} + reshape(${bias}, [${w.type.shape[0]}, 1, 1]))`;
}

const qLinearConv: Rule = (n) => {
  const made = wholeConv(n, 0, 2, 3, 5, n.has(8) ? asWhole(n.in(8)) : undefined);
  const { least, most } = bounds(n, n.in(7).onnx);
  const scale = n.in(4);
  const count = scale.type.shape;
  const rows = count.length === 1 && count[0]! > 1 ? reshaped(scale.text, count, [count[0]!, 1, 1]) : single(scale);
  const zero = reshaped(asWhole(n.in(7)), n.in(7).type.shape, []);
  return `onnx_requantize(${made}, ${single(n.in(1))} * ${rows}, ${single(n.in(6))}, ${zero}, ${least}, ${most})`;
};

const dynamicQuantizeLinear: Rule = (n) => {
  const x = n.in(0).text;
  return [`onnx_dynamic_quantize(${x})[0]`, `onnx_dynamic_quantize(${x})[1]`, `onnx_dynamic_quantize(${x})[2]`];
};

export const QUANTISED: Rules = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  MatMulInteger: matmulInteger,
  QLinearMatMul: qLinearMatMul,
  ConvInteger: (n) => wholeConv(n, 0, 2, 1, 3, undefined),
  QLinearConv: qLinearConv,
};
