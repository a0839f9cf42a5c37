/** For each operator a random graph of it, or why there is none. */
import { isBatch } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import type { OpAttrs, OpName, Value } from '../../../src/ir/types.js';
import { Arguments } from './arguments.js';
import { cotangents } from './reverse.js';

/** What is differentiated: values of which at least one is the operator's, or another result of it. */
export type Case = (a: Arguments) => Value | readonly Value[];

type Number = (x: number) => number;

const unary =
  (op: OpName, f?: Number): Case =>
  (a) =>
    a.op(op, [a.float([a.lead, ...a.shape()], f)], {} as never);

const binary =
  (op: OpName, left?: Number, right?: Number): Case =>
  (a) => {
    const shape = [a.lead, ...a.shape()];
    const sides = a.flag() ? [shape, a.narrower(shape)] : [a.narrower(shape), shape];
    return a.op(op, [a.float(sides[0]!, left), a.float(sides[1]!, right)], {} as never);
  };

const away: Number = (x) => 0.3 + Math.abs(x) * 2;

const reduction =
  (op: 'reduce_sum' | 'reduce_mean' | 'reduce_max'): Case =>
  (a) => {
    const shape = [a.lead, ...a.shape()];
    const axes = a.order(shape.length).slice(0, a.size(1, shape.length));
    return a.op(op, [a.float(shape)], { axes, keep: a.flag() });
  };

/** The first `given` of the operands, at random at least `least`. */
const some = (a: Arguments, least: number, ...operands: readonly Value[]): readonly Value[] =>
  operands.slice(0, a.size(least, operands.length));

/** The value, other results of its operator, or all of them. */
const withOthers = (a: Arguments, y: Value, ...names: readonly string[]): readonly Value[] => {
  const others = names.map((name) => build.aux(y, name));
  return a.pick<readonly Value[]>([y], [y, ...others], others, others.slice(0, 1));
};

const norm = (a: Arguments, op: 'batch_norm' | 'group_norm'): Value => {
  const groups = a.size(1, 3);
  const channels = groups * a.size(1, 2);
  const x = a.float([a.lead, channels, ...a.shape(a.size(1, 2))], (v) => 2 * v);
  const vector = (): Value => a.float([channels]);
  if (op === 'batch_norm') return a.op(op, [x, vector(), vector(), vector(), a.positive([channels])], { eps: 1e-3 });
  return a.op(op, some(a, 1, x, vector(), vector()), { groups, eps: 1e-3 });
};

export function convAttrs(a: Arguments): OpAttrs['conv2d'] {
  const two = (to: number): [number, number] => [a.size(1, to), a.size(1, to)];
  const [p, q] = [a.below(3), a.below(3)];
  return { stride: two(3), padding: [p, q, a.below(3), a.below(3)], dilation: two(2), groups: a.size(1, 3) };
}

export const CASES: { readonly [O in Exclude<OpName, 'aux'>]: Case | 'none' } = {
  param: 'none',
  input: 'none',
  constant: 'none',
  iota: 'none',
  random_bits: 'none',
  batch_size: 'none',
  neg: unary('neg'),
  abs: unary('abs'),
  sign: 'none',
  floor: 'none',
  exp: unary('exp'),
  log: unary('log', away),
  sqrt: unary('sqrt', away),
  rsqrt: unary('rsqrt', away),
  reciprocal: unary('reciprocal', away),
  sin: unary('sin', (x) => 4 * x),
  cos: unary('cos', (x) => 4 * x),
  tanh: unary('tanh'),
  erf: unary('erf'),
  sigmoid: unary('sigmoid', (x) => 3 * x),
  relu: unary('relu'),
  silu: unary('silu', (x) => 3 * x),
  gelu: (a) => a.op('gelu', [a.float([a.lead, ...a.shape()], (x) => 3 * x)], { form: a.pick('none', 'tanh', 'quick') }),
  not: 'none',
  cast: (a) => a.op('cast', [a.float([a.lead, ...a.shape()])], { dtype: a.pick('f16', 'f32') }),
  stop_gradient: 'none',
  again: unary('again'),
  dropout: (a) => a.op('dropout', [a.float([a.lead, ...a.shape()])], { rate: 0.25, stream: 1 }),
  drop_path: (a) => a.op('drop_path', [a.float([a.lead, ...a.shape()])], { rate: 0.25, stream: 1 }),
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div', undefined, away),
  pow: (a) => {
    const shape = [a.lead, ...a.shape()];
    if (a.flag()) return binary('pow', away)(a);
    // Whole exponents that are constants, of numbers of any sign.
    return a.op('pow', [a.float(shape), build.constant(a.below(4))], {});
  },
  maximum: binary('maximum'),
  minimum: binary('minimum'),
  // Whole times far from where they change.
  mod: binary(
    'mod',
    (x) => Math.round(4 * x) * 2 + 0.7 + x / 5,
    () => 2,
  ),
  lt: 'none',
  le: 'none',
  eq: 'none',
  and: 'none',
  or: 'none',
  xor: 'none',
  shift_left: 'none',
  shift_right: 'none',
  floor_div: 'none',
  select: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('select', [a.bool(a.narrower(shape)), a.float(shape), a.float(a.narrower(shape))], {});
  },
  reshape: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('reshape', [a.float(shape)], { shape: [shape[0]!, shape.slice(1).reduce((n, d) => n * d, 1), 1] });
  },
  transpose: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('transpose', [a.float(shape)], { perm: a.order(shape.length) });
  },
  broadcast: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('broadcast', [a.float(a.narrower(shape))], { shape });
  },
  slice: (a) => {
    const shape = [2 * a.lead, ...a.shape()];
    const start = shape.map((d) => (isBatch(d) ? a.pick(0, d / 2) : a.below(d)));
    const end = shape.map((d, i) => (isBatch(d) ? start[i]! + d / 2 : a.size(start[i]! + 1, d)));
    return a.op('slice', [a.float(shape)], { start, end });
  },
  concat: (a) => {
    const shape = [a.lead, ...a.shape()];
    const axis = a.below(shape.length);
    const parts = Array.from({ length: a.size(1, 3) }, () =>
      a.float(shape.map((d, i) => (i === axis && !isBatch(d) ? a.size() : d))),
    );
    return a.op('concat', parts, { axis });
  },
  pad: (a) => {
    const shape = [a.lead, ...a.shape()];
    const sides = (): number[] => shape.map((d) => (isBatch(d) ? 0 : a.below(3)));
    return a.op('pad', [a.float(shape)], { low: sides(), high: sides(), value: a.below(2) });
  },
  roll: (a) => {
    const shape = [a.lead, ...a.shape()];
    const axes = a.order(shape.length).filter((i) => !isBatch(shape[i]!));
    return a.op('roll', [a.float(shape)], { axes, shifts: axes.map(() => a.below(9) - 4) });
  },
  reverse: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('reverse', [a.float(shape)], { axes: a.order(shape.length).filter((i) => !isBatch(shape[i]!)) });
  },
  gather: (a) => {
    const shape = [a.lead, ...a.shape()];
    // Indices of a table for each sample, of the axes of each sample, and over the samples.
    if (a.below(3) === 0) {
      const table = a.shape(2);
      return a.op('gather', [a.float(table), a.indices([a.lead, ...a.shape(a.below(2))], table[0]!)], { axis: 0 });
    }
    if (a.below(4) === 0) return a.op('gather', [a.float(shape), a.indices(a.shape(1), 1)], { axis: 0 });
    const axis = a.size(1, shape.length - 1);
    return a.op('gather', [a.float(shape), a.indices(a.shape(a.below(3)), shape[axis]!)], { axis });
  },
  argsort: 'none',
  merge_order: 'none',
  searchsorted: 'none',
  segment_sum: (a) => {
    const shape = [a.lead, ...a.shape(), a.size()];
    const axis = a.size(1, shape.length - 1);
    const size = shape[axis]!;
    const inside = Array.from({ length: a.below(4) }, () => a.below(size + 1)).sort((x, y) => x - y);
    return a.op('segment_sum', [a.float(shape), a.given([0, ...inside, size])], { axis });
  },
  scatter_add: (a) => {
    const own = a.shape(a.below(3));
    const size = a.size(1, 5);
    if (a.flag()) {
      const indices = [a.lead, ...own];
      return a.op('scatter_add', [a.float([...indices, a.size()]), a.indices(indices, size)], { axis: 0, size });
    }
    const updates = a.float([a.lead, a.size(), ...own, ...a.shape(a.below(2))]);
    return a.op('scatter_add', [updates, a.indices(own, size)], { axis: 2, size });
  },
  reduce_sum: reduction('reduce_sum'),
  reduce_mean: reduction('reduce_mean'),
  reduce_max: reduction('reduce_max'),
  argmax: 'none',
  top_k: (a) => {
    const shape = [a.lead, ...a.shape()];
    return a.op('top_k', [a.float(shape)], { k: a.size(1, shape.at(-1)!) });
  },
  matmul: (a) => {
    const [m, k, n] = [a.size(), a.size(), a.size()];
    const lead = [a.lead, ...a.shape(a.below(2))];
    const sides = a.flag() ? [lead, a.narrower(lead)] : [a.narrower(lead), lead];
    return a.op('matmul', [a.float([...sides[0]!, m, k]), a.float([...sides[1]!, k, n])], {});
  },
  linear: (a) => {
    const [k, n] = [a.size(), a.size()];
    return a.op('linear', some(a, 2, a.float([a.lead, ...a.shape(a.below(3)), k]), a.float([n, k]), a.float([n])), {});
  },
  conv2d: (a) => {
    const attrs = convAttrs(a);
    const [kh, kw, each, outs] = [a.size(1, 3), a.size(1, 3), a.size(1, 2), attrs.groups * a.size(1, 2)];
    const x = a.float([a.lead, attrs.groups * each, a.size(5, 8), a.size(5, 8)]);
    return a.op('conv2d', some(a, 2, x, a.float([outs, each, kh, kw]), a.float([outs])), attrs);
  },
  conv2d_transpose: (a) => {
    const attrs = convAttrs(a);
    const [kh, kw, each, ins] = [a.size(1, 3), a.size(1, 3), a.size(1, 2), attrs.groups * a.size(1, 2)];
    const put = attrs.stride.map((s) => a.below(s)) as [number, number];
    const x = a.float([a.lead, ins, a.size(5, 6), a.size(5, 6)]);
    const inputs = some(a, 2, x, a.float([ins, each, kh, kw]), a.float([attrs.groups * each]));
    return a.op('conv2d_transpose', inputs, { ...attrs, output_padding: put });
  },
  conv2d_weight: (a) => {
    const attrs = convAttrs(a);
    const kernel = [a.size(1, 3), a.size(1, 3)] as const;
    const [ins, outs] = [attrs.groups * a.size(1, 2), attrs.groups * a.size(1, 2)];
    const x = [a.lead, ins, a.size(5, 8), a.size(5, 8)];
    const [oh, ow] = [0, 1].map((i) => {
      const room = x[2 + i]! + attrs.padding[i]! + attrs.padding[i + 2]! - attrs.dilation[i]! * (kernel[i]! - 1) - 1;
      return Math.floor(room / attrs.stride[i]!) + 1;
    }) as [number, number];
    return a.op('conv2d_weight', [a.float(x), a.float([a.lead, outs, oh, ow])], { ...attrs, kernel });
  },
  kron: (a) => a.op('kron', [a.float(a.shape(2)), a.float(a.shape(2))], {}),
  softmax: (a) => {
    const shape = [a.lead, ...a.shape()];
    return withOthers(a, a.op('softmax', [a.float(shape, (x) => 3 * x)], { axis: a.size(1, shape.length - 1) }), 'lse');
  },
  layer_norm: (a) => {
    const d = a.size(2, 4);
    const x = a.float([a.lead, ...a.shape(a.below(2)), d], (v) => 2 * v);
    return withOthers(a, a.op('layer_norm', some(a, 1, x, a.float([d]), a.float([d])), { eps: 1e-3 }), 'mean', 'rstd');
  },
  batch_norm: (a) => norm(a, 'batch_norm'),
  group_norm: (a) => withOthers(a, norm(a, 'group_norm'), 'mean', 'rstd'),
  attention: (a) => {
    const [h, n, m, d, e] = [a.size(1, 2), a.size(), a.size(), a.size(), a.size()];
    const heads = (rows: number, width: number): Value => a.float([a.lead, h, rows, width]);
    const bias = Array.from({ length: a.below(3) }, () => a.float(a.narrower([a.lead, h, n, m])));
    return withOthers(a, a.op('attention', [heads(n, d), heads(m, d), heads(m, e), ...bias], { scale: 0.7 }), 'lse');
  },
  resize: (a) => {
    const mode = a.pick('nearest', 'bilinear', 'bicubic');
    return a.op('resize', [a.float([a.lead, ...a.shape(3)])], {
      size: [a.size(1, 6), a.size(1, 6)],
      mode,
      antialias: mode !== 'nearest' && a.flag(),
    });
  },
  solve: (a) => {
    const n = a.size();
    // Far from singular.
    const eye = build.cast(build.eq(build.iota([n, n], 0), build.iota([n, n], 1)), 'f32');
    return a.op(
      'solve',
      [
        build.add(
          a.float([n, n], (x) => x / 4),
          build.mul(eye, 2),
        ),
        a.float([n, a.size()]),
      ],
      {},
    );
  },
};

/** A random graph of a case, a number that all of its results go into, and the cotangents of its arguments; undefined for one without. */
export function differentiated(
  make: Case,
  seed: number,
): Pick<Arguments, 'model' | 'floats'> & { readonly loss: Value; readonly gradients: readonly (Value | undefined)[] } {
  const a = new Arguments(seed);
  const made = make(a);
  const results = 'id' in made ? [made] : made;
  const weights = results.map((v) => a.weight(v.type.shape));
  const seeds = results.map((value, i) => ({ value, cotangent: build.cast(weights[i]!, value.type.dtype) }));
  const parts = results.map((v, i) => build.mul(build.cast(v, 'f32'), weights[i]!));
  const sums = parts.map((v) => build.sum(v, [...v.type.shape.keys()]));
  const { model, floats } = a;
  return { model, floats, loss: sums.reduce((x, y) => build.add(x, y)), gradients: cotangents(seeds, floats) };
}
