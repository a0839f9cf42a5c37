/** Convolutions: two axes are the language's own, one is two of which one is 1 long, three are sums over the first of the kernel's axes. */
import type { OnnxNode, Operand, Rule, Rules } from '../../rule.js';
import { range, rankOf, sizes } from '../text.js';
import { perAxis, type Window, windowOf } from './window.js';

const optional = (n: OnnxNode, input: number): string => (n.has(input) ? `, ${n.in(input).text}` : '');

/** What differs from a plain convolution. */
function options(said: Readonly<Record<string, readonly number[] | number>>): string {
  return Object.entries(said)
    .flatMap(([name, value]) => {
      if (typeof value === 'number') return value === 1 ? [] : [`, ${name}: ${value}`];
      const plain = value.every((v) => v === (name.includes('padding') ? 0 : 1));
      return plain ? [] : [`, ${name}: ${value.every((v) => v === value[0]) ? value[0] : sizes(value)}`];
    })
    .join('');
}

/** The kernel's axes: an attribute, or what the weight has. */
export function kernelOf(n: OnnxNode, weight: Operand): readonly number[] {
  const kernel = weight.type.shape.slice(2);
  const said = n.ints('kernel_shape', kernel);
  return said.length === kernel.length && said.every((k, i) => k === kernel[i])
    ? kernel
    : n.fail(`says that its kernel is ${sizes(said)}, and its weight is ${sizes(weight.type.shape)}`);
}

const needPlaces = (n: OnnxNode, x: Operand): number => {
  const places = rankOf(x) - 2;
  return places >= 1 && places <= 3 ? places : n.fail(`goes over ${places} axes, where one to three are known`);
};

const conv: Rule = (n) => {
  const [x, weight] = [n.in(0), n.in(1)];
  const places = needPlaces(n, x);
  const w = windowOf(n, x.type.shape.slice(2), kernelOf(n, weight));
  const said = { stride: w.stride, padding: [...w.low, ...w.high], dilation: w.dilation, groups: n.int('group', 1) };
  const name = places === 2 ? 'conv2d' : `onnx_conv${places}d`;
  if (places === 2) return `${name}(${x.text}, ${weight.text}${optional(n, 2)}${options(said)})`;
  const bias = n.has(2) ? `, bias: ${n.in(2).text}` : '';
  const lists = `stride: ${sizes(w.stride)}, padding: ${sizes(said.padding)}, dilation: ${sizes(w.dilation)}`;
  const out = places === 3 ? `, out: ${w.out[0]}` : '';
  return `${name}(${x.text}, ${weight.text}${bias}, ${lists}, groups: ${said.groups}${out})`;
};

/** Paddings of the transpose: said, or such that the result has the shape that is said. */
function transposeWindow(
  n: OnnxNode,
  size: readonly number[],
  kernel: readonly number[],
): Omit<Window, 'out'> & { readonly more: readonly number[] } {
  const rank = size.length;
  const stride = perAxis(n, 'strides', rank);
  const dilation = perAxis(n, 'dilations', rank);
  const more = n.ints(
    'output_padding',
    range(rank).map(() => 0),
  );
  const auto = n.text('auto_pad', 'NOTSET');
  const pads = n.ints(
    'pads',
    range(2 * rank).map(() => 0),
  );
  const same = auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  if (!same && auto !== 'NOTSET' && auto !== 'VALID') n.fail(`pads by \`${auto}\``);
  const shape = n.ints('output_shape', same ? size.map((d, i) => d * stride[i]!) : []).slice(-rank);
  const low: number[] = [];
  const high: number[] = [];
  size.forEach((d, i) => {
    const whole = stride[i]! * (d - 1) + more[i]! + (kernel[i]! - 1) * dilation[i]! + 1;
    if (shape.length > 0) {
      const cut = whole - shape[i]!;
      const half = auto === 'SAME_UPPER' ? Math.floor(cut / 2) : cut - Math.floor(cut / 2);
      const first = cut < 0 ? 0 : auto === 'SAME_UPPER' ? half : auto === 'SAME_LOWER' ? half : Math.floor(cut / 2);
      low.push(first);
      high.push(cut - first);
    } else {
      low.push(auto === 'VALID' ? 0 : pads[i]!);
      high.push(auto === 'VALID' ? 0 : pads[rank + i]!);
    }
  });
  return { kernel, stride, dilation, low, high, more };
}

const convTranspose: Rule = (n) => {
  const [x, weight] = [n.in(0), n.in(1)];
  const places = needPlaces(n, x);
  const w = transposeWindow(n, x.type.shape.slice(2), kernelOf(n, weight));
  // What is put on behind takes back what is cut off there; what is left of it are zeros and the bias.
  const high = w.high.map((p, i) => p - w.more[i]!);
  const simple = high.every((p) => p >= 0) && w.low.every((p) => p >= 0);
  const groups = n.int('group', 1);
  const bias = n.has(2) ? `, bias: ${n.in(2).text}` : '';
  if (
    places === 2 &&
    (simple || (w.more.every((m, i) => m < w.stride[i]!) && [...w.low, ...w.high].every((p) => p >= 0)))
  ) {
    const [cut, on] = simple ? [high, [0, 0]] : [w.high, w.more];
    const said = { stride: w.stride, padding: [...w.low, ...cut], dilation: w.dilation, groups };
    const put = on.some((m) => m > 0) ? `, output_padding: ${sizes(on)}` : '';
    return `conv2d_transpose(${x.text}, ${weight.text}${optional(n, 2)}${transposeOptions(said)}${put})`;
  }
  const lists = `stride: ${sizes(w.stride)}, dilation: ${sizes(w.dilation)}, low: ${sizes(w.low)}, high: ${sizes(high)}`;
  return `onnx_conv_transpose(${x.text}, ${weight.text}${bias}, ${lists}, groups: ${groups})`;
};

/** As `options`, with every list written out: the operator takes no number for one. */
function transposeOptions(said: Readonly<Record<string, readonly number[] | number>>): string {
  return Object.entries(said)
    .flatMap(([name, value]) => {
      if (typeof value === 'number') return value === 1 ? [] : [`, ${name}: ${value}`];
      return value.every((v) => v === (name === 'padding' ? 0 : 1)) ? [] : [`, ${name}: ${sizes(value)}`];
    })
    .join('');
}

export const CONVOLUTIONS: Rules = { Conv: conv, ConvTranspose: convTranspose };
