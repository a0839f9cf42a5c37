/**
 * Rules that raise what exporters take apart: several nodes that are one operator of the language, or a layer. They are data: what to look for, and what it
 * is. Each says by which algebra the two are the same.
 */
import { sizeOf } from '../../../ir/ops/shapes.js';
import { numberText } from '../numbers.js';
import { sizes } from '../operators/text.js';
import type { Layer, LayerParam, Maker, Net } from './net.js';
import {
  any,
  as,
  both,
  either,
  type Found,
  meanOfLast,
  number,
  op,
  type Pattern,
  product,
  scalar,
  weight,
} from './pattern.js';

export interface RaisingRule {
  readonly name: string;
  /** Why both are the same. */
  readonly algebra: string;
  /** The operator of the file at whose result it is tried. */
  readonly at: readonly string[];
  readonly pattern: Pattern;
  /** What it is; undefined where it is not after all. */
  readonly raise: (net: Net, maker: Maker, found: Found) => Partial<Maker> | undefined;
}

/** An expression over values that were found. */
const expression = (text: string, args: readonly string[]): Partial<Maker> => ({ code: { text, args }, inputs: args });

const found = (f: Found, name: string): string => f.values.get(name)!;

/** A call of one operand. */
const called =
  (op: string, text: string) =>
  (_: Net, __: Maker, f: Found): Partial<Maker> => ({ op, ...expression(text, [found(f, 'x')]) });

const half = number(0.5);
const one = number(1);
const erf = op('Erf', [either(op('Div', [any('x'), number(Math.SQRT2)]), both('Mul', any('x'), number(Math.SQRT1_2)))]);
const cube = either(op('Pow', [any('x'), number(3)]), product(any('x'), any('x'), any('x')));
const tanh = op('Tanh', [
  product(number(Math.sqrt(2 / Math.PI)), both('Add', any('x'), product(number(0.044715), cube))),
]);

const ACTIVATIONS: readonly RaisingRule[] = [
  {
    name: 'gelu',
    algebra: 'x Φ(x) = x (1 + erf(x / √2)) / 2',
    at: ['Mul'],
    pattern: product(any('x'), half, both('Add', erf, one)),
    raise: called('Gelu', 'gelu(arg0)'),
  },
  {
    name: 'gelu, by tanh',
    algebra: 'x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2',
    at: ['Mul'],
    pattern: product(any('x'), half, both('Add', tanh, one)),
    raise: called('Gelu', 'gelu(arg0, form: tanh)'),
  },
  {
    name: 'gelu, quick',
    algebra: 'x sigmoid(1.702 x)',
    at: ['Mul'],
    pattern: both('Mul', any('x'), op('Sigmoid', [both('Mul', any('x'), number(1.702))])),
    raise: called('Gelu', 'gelu(arg0, form: quick)'),
  },
  {
    name: 'silu',
    algebra: 'x sigmoid(x)',
    at: ['Mul'],
    pattern: both('Mul', any('x'), op('Sigmoid', [any('x')])),
    raise: called('Silu', 'silu(arg0)'),
  },
];

const centred = as('centred', op('Sub', [any('x'), meanOfLast(any('x'))]));
const square = either(op('Pow', [any('centred'), number(2)]), op('Mul', [any('centred'), any('centred')]));
const deviation = op('Sqrt', [both('Add', meanOfLast(square), scalar('eps'))]);

const inverse = either(op('Reciprocal', [deviation]), op('Div', [one, deviation]));

/** A weight as channels have it: `size` elements, all but the axis of channels of size 1. */
function perChannel(net: Net, name: string, constant: string, size: number): LayerParam | undefined {
  return sizeOf(net.shape(constant)) === size ? { name, constant, shape: [size] } : undefined;
}

function layer(
  make: string,
  params: readonly (LayerParam | undefined)[],
  op: string,
  x: string,
): Partial<Maker> | undefined {
  const all = params.filter((p): p is LayerParam => p !== undefined);
  if (all.length < params.length) return undefined;
  const made: Layer = { make, params: all };
  return { op, layer: made, inputs: [x] };
}

const eps = (x: number, otherwise: number): string => (x === otherwise ? '' : `, eps: ${numberText(x)}`);

const attribute = (maker: Maker, name: string, otherwise: number): number => {
  const a = maker.node.attributes.get(name);
  return a?.kind === 'int' || a?.kind === 'float' ? a.value : otherwise;
};

const NORMS: readonly RaisingRule[] = [
  {
    name: 'normalisation',
    algebra: '(x - mean) / √(mean((x - mean)²) + eps), over the last axis',
    at: ['Div', 'Mul'],
    pattern: either(op('Div', [centred, deviation]), both('Mul', centred, inverse)),
    raise: (_, __, f) => {
      const e = f.numbers.get('eps')!;
      return { op: 'Normalised', eps: e, ...expression(`layer_norm(arg0, eps: ${numberText(e)})`, [found(f, 'x')]) };
    },
  },
  {
    name: 'layer norm',
    algebra: 'a normalisation, times gain, plus shift',
    at: ['Add'],
    pattern: both('Add', both('Mul', as('n', op('Normalised', [any('x')])), weight('gain')), weight('shift')),
    raise: (net, _, f) => {
      const size = net.shape(found(f, 'x')).at(-1)!;
      const params = [
        perChannel(net, 'weight', found(f, 'gain'), size),
        perChannel(net, 'bias', found(f, 'shift'), size),
      ];
      const e = net.makers.get(found(f, 'n'))!.eps!;
      return layer(`LayerNorm(${size}${eps(e, 1e-5)})`, params, 'LayerNorm', found(f, 'x'));
    },
  },
  {
    name: 'layer norm, in one node',
    algebra: 'the operator itself, over the last axis',
    at: ['LayerNormalization'],
    pattern: op('LayerNormalization', [any('x'), weight('gain'), weight('shift')]),
    raise: (net, maker, f) => {
      const shape = net.shape(found(f, 'x'));
      const axis = attribute(maker, 'axis', -1);
      if (axis !== -1 && axis !== shape.length - 1) return undefined;
      const size = shape.at(-1)!;
      const params = [
        perChannel(net, 'weight', found(f, 'gain'), size),
        perChannel(net, 'bias', found(f, 'shift'), size),
      ];
      return layer(
        `LayerNorm(${size}${eps(attribute(maker, 'epsilon', 1e-5), 1e-5)})`,
        params,
        'LayerNorm',
        found(f, 'x'),
      );
    },
  },
  {
    name: 'batch norm',
    algebra: 'the operator itself, with the statistics of the file',
    at: ['BatchNormalization'],
    pattern: op('BatchNormalization', [any('x'), ...['weight', 'bias', 'running_mean', 'running_var'].map(weight)]),
    raise: (net, maker, f) => {
      const size = net.shape(found(f, 'x'))[1]!;
      if (net.shape(found(f, 'x')).length !== 4 || attribute(maker, 'training_mode', 0) !== 0) return undefined;
      const params = ['weight', 'bias', 'running_mean', 'running_var'].map((p) =>
        perChannel(net, p, found(f, p), size),
      );
      return layer(
        `BatchNorm(${size}${eps(attribute(maker, 'epsilon', 1e-5), 1e-5)})`,
        params,
        'BatchNorm',
        found(f, 'x'),
      );
    },
  },
  {
    name: 'batch norm, taken apart',
    algebra: '(x - mean) / √(variance + eps) times gain plus shift, all of them weights with one element a channel',
    at: ['Add'],
    pattern: both(
      'Add',
      both(
        'Mul',
        op('Div', [
          op('Sub', [any('x'), weight('running_mean')]),
          op('Sqrt', [both('Add', weight('running_var'), scalar('eps'))]),
        ]),
        weight('weight'),
      ),
      weight('bias'),
    ),
    raise: (net, _, f) => {
      const shape = net.shape(found(f, 'x'));
      const size = shape[1]!;
      const names = ['weight', 'bias', 'running_mean', 'running_var'];
      const lies = (s: readonly number[]) => s.length >= 3 && s.at(-3) === size && sizeOf(s) === size;
      if (shape.length !== 4 || !names.every((p) => lies(net.shape(found(f, p))))) return undefined;
      const params = names.map((p) => perChannel(net, p, found(f, p), size));
      return layer(`BatchNorm(${size}${eps(f.numbers.get('eps')!, 1e-5)})`, params, 'BatchNorm', found(f, 'x'));
    },
  },
];

/** A product with a weight [in, out], or with its transpose; a layer where nothing else reads the weight. */
function linear(net: Net, f: Found, transposed: boolean): Partial<Maker> | undefined {
  const [x, w] = [found(f, 'x'), found(f, 'weight')];
  const shape = net.shape(w);
  if (shape.length !== 2 || net.readers(w) !== 1 || net.shape(x).length < 2) return undefined;
  const [from, to] = transposed ? (shape as [number, number]) : ([shape[1]!, shape[0]!] as const);
  const bias = f.values.get('bias');
  if (bias !== undefined && net.shape(bias).at(-1) !== to) return undefined;
  const params = [
    { name: 'weight', constant: w, shape: [to, from], transposed },
    ...(bias === undefined ? [] : [perChannel(net, 'bias', bias, to)]),
  ];
  return layer(`Linear(${from} -> ${to}${bias === undefined ? ', bias: false' : ''})`, params, 'Linear', x);
}

/** Where padding is said in numbers: what follows from the size of the picture is left to the rule of the operator. */
const saysPadding = ({ node }: Maker): boolean => {
  const auto = node.attributes.get('auto_pad');
  return auto === undefined || (auto.kind === 'string' && auto.value === 'NOTSET');
};

function numbers(maker: Maker, name: string, otherwise: readonly number[]): readonly number[] {
  const a = maker.node.attributes.get(name);
  return a?.kind === 'ints' ? a.value : otherwise;
}

/** An option of a layer, one number where all are the same. */
function option(name: string, values: readonly number[], otherwise: number): string {
  if (values.every((v) => v === otherwise)) return '';
  return `, ${name}: ${values.every((v) => v === values[0]) ? values[0] : `[${values.join(', ')}]`}`;
}

function convolution(net: Net, maker: Maker, f: Found): Partial<Maker> | undefined {
  const [x, w, bias] = [found(f, 'x'), found(f, 'weight'), f.values.get('bias')];
  const shape = net.shape(w);
  if (shape.length !== 4 || net.readers(w) !== 1 || (maker.inputs[2] !== undefined && bias === undefined))
    return undefined;
  const [out, each, ...kernel] = shape as [number, number, number, number];
  const groups = attribute(maker, 'group', 1);
  const make = `Conv2d(${each * groups} -> ${out}, kernel: ${kernel[0] === kernel[1] ? kernel[0] : `[${kernel.join(', ')}]`}${option(
    'stride',
    numbers(maker, 'strides', [1, 1]),
    1,
  )}${option('padding', numbers(maker, 'pads', [0, 0, 0, 0]), 0)}${option('dilation', numbers(maker, 'dilations', [1, 1]), 1)}${
    groups === 1 ? '' : `, groups: ${groups}`
  }${bias === undefined ? ', bias: false' : ''})`;
  const params = [
    { name: 'weight', constant: w, shape },
    ...(bias === undefined ? [] : [perChannel(net, 'bias', bias, out)]),
  ];
  return layer(make, params, 'Conv2d', x);
}

const transposedWeight = op('Transpose', [weight('weight')], ({ inputs, node }, net) => {
  const perm = node.attributes.get('perm');
  return (
    net.shape(inputs[0]!).length === 2 && (perm === undefined || (perm.kind === 'ints' && perm.value.join() === '1,0'))
  );
});

const LAYERS: readonly RaisingRule[] = [
  {
    name: 'linear',
    algebra: 'x W = x (Wᵀ)ᵀ',
    at: ['MatMul'],
    pattern: op('MatMul', [any('x'), either(as('straight', weight('weight')), transposedWeight)]),
    raise: (net, _, f) => linear(net, f, f.values.has('straight')),
  },
  {
    name: 'linear, with its bias',
    algebra: 'x Wᵀ + c',
    at: ['Add'],
    pattern: both('Add', as('product', op('Linear', [any('x')])), weight('bias')),
    raise: (net, _, f) => {
      const before = net.makers.get(found(f, 'product'))!;
      const { layer: made } = before;
      const w = made?.params[0];
      if (!w || made.params.length > 1 || net.readers(found(f, 'product')) !== 1) return undefined;
      const bias = found(f, 'bias');
      const [to, from] = w.shape as [number, number];
      if (net.shape(bias).at(-1) !== to) return undefined;
      const p = perChannel(net, 'bias', bias, to);
      return p && { ...layer(`Linear(${from} -> ${to})`, [w, p], 'Linear', found(f, 'x')), node: before.node };
    },
  },
  {
    name: 'gemm',
    algebra: 'alpha x W + beta c where both are 1',
    at: ['Gemm'],
    pattern: either(op('Gemm', [any('x'), weight('weight'), weight('bias')]), op('Gemm', [any('x'), weight('weight')])),
    raise: (net, maker, f) => {
      const plain = attribute(maker, 'alpha', 1) === 1 && attribute(maker, 'beta', 1) === 1;
      if (!plain || attribute(maker, 'transA', 0) !== 0) return undefined;
      if (maker.inputs[2] !== undefined && !f.values.has('bias')) return undefined;
      return linear(net, f, attribute(maker, 'transB', 0) === 0);
    },
  },
  {
    name: 'convolution',
    algebra: 'the operator itself, in two dimensions',
    at: ['Conv'],
    pattern: either(
      op('Conv', [any('x'), weight('weight'), weight('bias')], saysPadding),
      op('Conv', [any('x'), weight('weight')], saysPadding),
    ),
    raise: convolution,
  },
];

const last = (net: Net, value: string): number => net.shape(value).length - 1;
const softmax = (scores: Pattern): Pattern =>
  op('Softmax', [scores], (maker, net) => {
    const axis = attribute(maker, 'axis', maker.node.opset >= 13 ? -1 : 1);
    return axis === -1 || axis === last(net, maker.inputs[0]!);
  });
const pairs = op('MatMul', [any('q'), any('k')]);
const scaled = either(both('Mul', pairs, scalar('scale')), op('Div', [pairs, scalar('part')]), pairs);
const scores = either(both('Add', scaled, any('bias')), scaled);

const ATTENTION: readonly RaisingRule[] = [
  {
    name: 'attention',
    algebra: 'softmax(scale q kᵀ + bias) v, for each sample and head',
    at: ['MatMul'],
    pattern: op('MatMul', [softmax(scores), any('v')]),
    raise: (net, _, f) => {
      const [q, k, v] = ['q', 'k', 'v'].map((n) => found(f, n)) as [string, string, string];
      if (![q, k, v].every((x) => net.shape(x).length === 4)) return undefined;
      const same = (axis: number) => [q, k, v].every((x) => net.shape(x)[axis] === net.shape(q)[axis]);
      if (!same(0) || !same(1)) return undefined;
      const part = f.numbers.get('part');
      const scale = f.numbers.get('scale') ?? (part === undefined ? 1 : 1 / part);
      const bias = f.values.get('bias');
      const keys = swapped(net, k);
      const args = [q, keys.value, v, ...(bias === undefined ? [] : [bias])];
      const more = bias === undefined ? '' : `, bias: ${wide(net, bias)}`;
      return {
        op: 'Attention',
        ...expression(`attention(arg0, ${keys.text}, arg2${more}, scale: ${numberText(scale)})`, args),
      };
    },
  },
];

/** The keys [b, h, n, d] from what a product takes, [b, h, d, n]: together with the transpose that made them one, or none. */
function swapped(net: Net, k: string): { readonly value: string; readonly text: string } {
  const maker = net.makers.get(k);
  const perm = maker?.op === 'Transpose' ? maker.node.attributes.get('perm') : undefined;
  const swap = [0, 1, 3, 2];
  if (perm?.kind !== 'ints') return { value: k, text: `transpose(arg1, [${swap.join(', ')}])` };
  const both = swap.map((axis) => perm.value[axis]!);
  const plain = both.every((axis, i) => axis === i);
  return { value: maker!.inputs[0]!, text: plain ? 'arg1' : `transpose(arg1, [${both.join(', ')}])` };
}

/** The bias of scores with all four axes. */
function wide(net: Net, bias: string): string {
  const shape = net.shape(bias);
  if (shape.length >= 4) return 'arg3';
  return `reshape(arg3, ${sizes([...Array(4 - shape.length).fill(1), ...shape])})`;
}

export const RAISING: readonly RaisingRule[] = [...ACTIVATIONS, ...NORMS, ...LAYERS, ...ATTENTION];
