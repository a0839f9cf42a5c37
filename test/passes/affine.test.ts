/** The affine form, rule by rule: what a value is in another, in numbers, and what stands in the way. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affineOf, biasOf, isObstacle, weightOf } from '../../src/ir/affine/affine.js';
import { build as b } from '../../src/ir/build.js';
import { input, make, paramRef } from '../../src/ir/graph.js';
import { interpretFunc } from '../../src/ir/run/interpret.js';
import type { OpAttrs, Tensor, Value } from '../../src/ir/types.js';
import { random, relative } from './models.js';

const p = (name: string, ...shape: number[]): Value =>
  paramRef({ name, type: { dtype: 'f32', shape }, role: name.includes('@') ? 'trainable' : 'frozen' });
const arg = (...shape: number[]): Value => input('x', { dtype: 'f32', shape });
const CONV: OpAttrs['conv2d'] = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
const conv = (x: Value, w: Value, attrs: Partial<OpAttrs['conv2d']> = {}, bias?: Value): Value =>
  make('conv2d', bias ? [x, w, bias] : [x, w], { ...CONV, ...attrs });

function evaluate(y: Value): Tensor {
  const named = new Map<string, Tensor>();
  const inputs = new Map<string, Tensor>();
  const walk = (v: Value): void => {
    if (v.op === 'param')
      named.set(v.attrs.name, random(v.type.shape, v.attrs.name.length * 31 + v.attrs.name.charCodeAt(0)));
    if (v.op === 'input') inputs.set(v.attrs.name, random(v.type.shape, 5));
    v.inputs.forEach(walk);
  };
  walk(y);
  return interpretFunc(
    { name: 'f', inputs: [], results: [{ name: 'y', value: y }], updates: [] },
    { inputs, params: (name) => named.get(name)! },
  ).get('y')!;
}

/** y rebuilt from its affine form. */
function rebuilt(y: Value, x: Value): Value {
  const a = affineOf(y, x);
  if (isObstacle(a)) throw new Error(`${a.op}: ${a.reason}`);
  const c = biasOf(a);
  const w = weightOf(a);
  let mx: Value;
  if (a.patches) mx = make('conv2d', [a.x, w], a.patches.attrs);
  else if (a.axis === y.type.shape.length - 1) mx = b.linear(a.x, w);
  else {
    const last = y.type.shape.length - 1;
    const swap = y.type.shape.map((_, i) => (i === a.axis ? last : i === last ? a.axis : i));
    mx = b.transpose(b.linear(b.transpose(a.x, swap), w), swap);
  }
  if (!c) return mx;
  return b.add(
    mx,
    a.c?.kind === 'channel'
      ? b.reshape(
          c,
          y.type.shape.map((d, i) => (i === a.axis ? d : 1)),
        )
      : c,
  );
}

function agrees(y: Value, x: Value): void {
  const form = rebuilt(y, x);
  expect(form.type.shape).toEqual(y.type.shape);
  const [want, found] = [evaluate(y), evaluate(form)];
  // What is centred may cancel to nothing, which nothing is relative to.
  if (want.data.every((v) => Math.abs(v) < 1e-12)) expect(found.data.every((v) => Math.abs(v) < 1e-12)).toBe(true);
  else expect(relative(want, found)).toBeLessThan(1e-11);
}

function stands(y: Value, x: Value): string {
  const a = affineOf(y, x);
  if (!isObstacle(a)) throw new Error('there is an affine form');
  return `${a.op}: ${a.reason}`;
}

describe('linear maps', () => {
  const x = arg(2, 5, 6);
  const w = p('W', 8, 6);
  it('linear composes', () => agrees(b.linear(b.linear(x, w, p('b', 8)), p('V', 4, 8), p('c', 4)), x));
  it('a product with a constant matrix on the right is a linear map', () => agrees(b.matmul(x, p('M', 6, 3)), x));
  it('sums, differences, negation', () =>
    agrees(b.sub(b.neg(b.linear(x, w, p('b', 8))), b.add(b.linear(x, p('U', 8, 6)), p('t', 8))), x));
  it('scales and shifts: scalar, per channel, division', () =>
    agrees(b.div(b.add(b.mul(b.linear(x, w, p('b', 8)), p('s', 8)), p('t', 1)), b.exp(p('r', 8))), x));
  it('x + f(x) and scales of x alone', () => agrees(b.add(b.mul(x, 2), b.linear(x, p('Q', 6, 6))), x));
  it('a shift that varies over tokens keeps its axes', () => {
    const y = b.linear(b.add(x, p('pos', 1, 5, 6)), w, p('b', 8));
    agrees(y, x);
    const a = affineOf(y, x);
    if (isObstacle(a)) throw new Error();
    expect(a.c?.kind).toBe('full');
    expect(biasOf(a)!.type.shape).toEqual([1, 5, 8]);
  });
  it('no shift is structurally zero', () => {
    const a = affineOf(b.linear(b.mul(x, p('s', 6)), w), x);
    if (isObstacle(a)) throw new Error();
    expect(biasOf(a)).toBeUndefined();
  });
  it('joined layers are stacked rows, a slice is a row range', () => {
    const whole = b.linear(x, w, p('b', 8));
    const joined = b.concat(
      [b.add(b.sliceAxis(whole, 2, 0, 4), b.linear(x, p('D', 4, 6))), b.sliceAxis(whole, 2, 4, 8)],
      2,
    );
    agrees(joined, x);
    agrees(b.sliceAxis(joined, 2, 2, 7), x);
  });
  it('one part with a shift and one without', () =>
    agrees(b.concat([b.linear(x, p('D', 4, 6), p('d', 4)), b.linear(x, p('E', 3, 6))], 2), x));
  it('weights of every structure', () => {
    const kron = b.kron(p('C', 4, 2), b.matmul(p('A', 2, 1), p('B', 1, 3)));
    const mask = b.mul(w, p('W#mask', 8, 6));
    const rowwise = b.mul(b.add(mask, kron), p('g', 8, 1));
    agrees(b.linear(x, b.sub(b.mul(rowwise, p('h', 6)), b.concat([p('D', 4, 6), p('E', 4, 6)], 0)), p('b', 8)), x);
    agrees(b.matmul(x, b.transpose(b.neg(b.div(kron, 3)))), x);
  });
});

describe('layouts', () => {
  const x = arg(2, 4, 4, 6);
  const w = p('W', 8, 6);
  const rearranged: [string, (y: Value) => Value][] = [
    ['reshape of other axes', (y) => b.reshape(y, [2, 16, y.type.shape[3]!])],
    ['transpose', (y) => b.transpose(y, [0, 2, 1, 3])],
    ['roll', (y) => b.roll(y, [1, -1], [1, 2])],
    ['slice of other axes', (y) => b.slice(y, [0, 1, 0, 0], [2, 3, 4, y.type.shape[3]!])],
    ['gather of other axes', (y) => b.gather(y, b.iota([3], 0), 1)],
    ['broadcast', (y) => b.broadcast(b.reshape(y, [1, ...y.type.shape]), [3, ...y.type.shape])],
    ['windows', (y) => b.transpose(b.reshape(y, [2, 2, 2, 2, 2, y.type.shape[3]!]), [0, 1, 3, 2, 4, 5])],
  ];
  for (const [name, move] of rearranged) {
    it(`${name} commutes`, () => {
      agrees(b.linear(move(b.linear(x, w, p('b', 8))), p('V', 4, 8)), x);
      agrees(move(b.add(b.linear(x, w), p('pos', 4, 1, 8))), x);
    });
  }
  it('the channels may move to another axis', () => agrees(b.transpose(b.linear(x, w, p('b', 8)), [0, 3, 1, 2]), x));

  const pad = (y: Value, value = 0): Value => b.pad(y, [0, 0, 0, 0], [0, 1, 1, 0], value);
  it('zero padding commutes without a shift', () => agrees(b.linear(pad(b.linear(x, w)), p('V', 4, 8), p('c', 4)), x));
  it('zero padding does not let a shift across', () =>
    expect(stands(b.linear(pad(b.linear(x, w, p('b', 8))), p('V', 4, 8)), x)).toBe(
      'pad: it pads with zeros, and a shift must not reach the padding',
    ));
  it('padding with something else does not commute', () =>
    expect(stands(pad(b.linear(x, w), 1), x)).toContain('pads with 1'));
  it('splitting the channels does not commute', () =>
    expect(stands(b.linear(b.reshape(b.linear(x, w), [2, 4, 4, 2, 4]), p('V', 3, 4)), x)).toContain(
      'splits or joins the channels',
    ));
  it('rolling the channels is a permutation of them', () =>
    agrees(b.linear(b.roll(b.linear(x, w, p('b', 8)), [3, 1], [3, 1]), p('V', 3, 8)), x));
});

describe('convolutions', () => {
  const x = arg(2, 3, 6, 6);
  const w = p('W', 4, 3, 3, 3);
  const padding = [1, 1, 1, 1] as const;
  const perChannel = (name: string, n: number): Value => p(name, n, 1, 1);
  it('scale and shift after a padded convolution', () =>
    agrees(b.add(b.mul(conv(x, w, { padding }, p('b', 4)), perChannel('s', 4)), perChannel('t', 4)), x));
  it('a sum with equal attributes', () =>
    agrees(b.add(conv(x, w, { padding }), conv(x, p('V', 4, 3, 3, 3), { padding }, p('b', 4))), x));
  it('a sum with other patches has no form', () => {
    const other = conv(x, p('V', 4, 3, 3, 3), { padding: [2, 2, 2, 2], dilation: [2, 2] });
    expect(stands(b.add(conv(x, w, { padding }), other), x)).toContain('differently arranged');
    const grouped = conv(x, p('G', 3, 1, 3, 3), { padding, groups: 3 });
    expect(stands(b.add(grouped, conv(x, p('V', 3, 3, 1, 1))), x)).toContain('differently arranged');
    const strided = conv(arg(2, 3, 7, 7), p('W', 4, 3, 3, 3), { stride: [2, 2] });
    const input = strided.inputs[0]!;
    const even = conv(b.slice(input, [0, 0, 0, 0], [2, 3, 3, 3]), p('V', 4, 3, 1, 1));
    expect(stands(b.add(strided, even), input)).toContain('differently arranged');
  });
  it('a 1x1 convolution beside it is one of its patches with zeros around (property)', () => {
    const side = fc.record({
      kernel: fc.integer({ min: 1, max: 4 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      stride: fc.integer({ min: 1, max: 2 }),
    });
    fc.assert(
      fc.property(side, side, fc.nat(3), fc.nat(3), fc.boolean(), (v, h, row, column, first) => {
        const [i, j] = [row % v.kernel, column % h.kernel];
        // The pixel of the 1x1 convolution is that at [i, j] of the patch.
        const low = [i * v.dilation, j * h.dilation] as const;
        const high = [(v.kernel - 1 - i) * v.dilation, (h.kernel - 1 - j) * h.dilation] as const;
        const large = conv(
          x,
          p('W', 4, 3, v.kernel, h.kernel),
          { padding: [...low, ...high], dilation: [v.dilation, h.dilation], stride: [v.stride, h.stride] },
          p('b', 4),
        );
        const small = conv(b.mul(x, perChannel('s', 3)), p('V', 4, 3, 1, 1), { stride: [v.stride, h.stride] });
        agrees(first ? b.add(large, small) : b.sub(small, large), x);
      }),
    );
  });
  it('a 1x1 convolution after it', () =>
    agrees(conv(conv(x, w, { stride: [2, 2] }, p('b', 4)), p('V', 5, 4, 1, 1), {}, p('c', 5)), x));
  it('a 1x1 convolution before it, nothing padded', () =>
    agrees(conv(conv(x, p('V', 3, 3, 1, 1), {}, p('v', 3)), w, { stride: [2, 2] }, p('b', 4)), x));
  it('a 1x1 convolution without bias before padding', () =>
    agrees(conv(conv(x, p('V', 3, 3, 1, 1)), w, { padding }, p('b', 4)), x));
  it('low rank before padding', () =>
    agrees(conv(b.add(x, conv(conv(x, p('A', 1, 3, 1, 1)), p('B', 3, 1, 1, 1))), w, { padding }), x));
  it('a shift before padding has no form', () =>
    expect(stands(conv(b.add(x, perChannel('t', 3)), w, { padding }), x)).toBe(
      'add: the convolution pads with zeros, and a shift must not reach the padding',
    ));
  it('two larger convolutions have no form', () =>
    expect(stands(conv(conv(x, w), p('V', 4, 4, 3, 3)), x)).toContain('the product of two convolutions'));
  it('a depthwise convolution takes a diagonal, on either side', () => {
    const depthwise = p('D', 3, 1, 3, 3);
    agrees(
      b.mul(conv(b.mul(x, perChannel('s', 3)), depthwise, { padding, groups: 3 }, p('b', 3)), perChannel('g', 3)),
      x,
    );
    agrees(conv(b.add(b.mul(x, perChannel('s', 3)), perChannel('t', 3)), depthwise, { groups: 3 }, p('b', 3)), x);
    expect(stands(conv(conv(x, p('V', 3, 3, 1, 1)), depthwise, { padding, groups: 3 }), x)).toContain(
      'a scale for each channel only',
    );
    expect(stands(conv(conv(x, depthwise, { padding, groups: 3 }), p('V', 5, 3, 1, 1)), x)).toContain(
      'a scale for each channel only',
    );
  });
  it('grouped convolutions take a diagonal', () => {
    const y = arg(1, 4, 5, 5);
    const grouped = p('G', 6, 2, 3, 3);
    agrees(conv(b.add(b.mul(y, perChannel('s', 4)), perChannel('t', 4)), grouped, { groups: 2 }, p('b', 6)), y);
  });
  it('BatchNorm that infers is a scale and a shift', () => {
    const norm = make('batch_norm', [conv(x, w), p('g', 4), p('h', 4), p('mean', 4), b.exp(p('var', 4))], {
      eps: 1e-5,
    });
    agrees(norm, x);
  });
});

describe('operators that mix channels', () => {
  it('mean, centring and a dot product', () => {
    const x = arg(2, 5, 6);
    agrees(b.linear(b.sub(x, b.mean(x, [2], true)), p('W', 8, 6), p('b', 8)), x);
    agrees(b.mul(b.sum(b.mul(x, p('w', 6)), [2], true), p('u', 3)), x);
    agrees(b.mean(b.add(b.linear(x, p('W', 8, 6)), p('pos', 5, 1)), [2], true), x);
  });
  it('multiplied and summed', () => {
    const x = arg(2, 5, 6);
    agrees(b.sum(b.mul(b.reshape(x, [2, 5, 1, 6]), p('W', 4, 6)), [3]), x);
    agrees(b.sum(b.mul(b.reshape(x, [2, 5, 6, 1]), p('W', 6, 4)), [2]), x);
  });
  it('padded, cut, picked and joined', () => {
    const x = arg(2, 5, 6);
    agrees(b.pad(b.linear(x, p('W', 4, 6), p('b', 4)), [0, 0, 2], [0, 0, 1]), x);
    agrees(b.linear(b.sliceAxis(x, 2, 1, 4), p('W', 4, 3)), x);
    agrees(b.gather(b.add(x, p('t', 6)), b.mul(b.iota([3], 0), b.constant(2, 'i32')), 2), x);
    agrees(b.concat([b.sliceAxis(x, 2, 3, 6), b.mul(x, 2), b.constant(1, 'f32', [2, 5, 2])], 2), x);
  });
  it('images: channels split into groups', () => {
    const x = arg(2, 6, 4, 4);
    const y = b.mul(b.reshape(conv(x, p('V', 6, 6, 1, 1), {}, p('v', 6)), [2, 2, 3, 4, 4]), p('g', 2, 1, 1, 1));
    agrees(b.reshape(b.transpose(y, [0, 2, 1, 3, 4]), [2, 6, 4, 4]), x);
  });
  it('what mixes tokens has no form', () => {
    const x = arg(2, 5, 6);
    expect(stands(b.add(x, b.mean(x, [1], true)), x)).toBe('reduce_mean: it mixes tokens');
    expect(stands(b.sum(b.reshape(x, [2, 5, 2, 3]), [1, 3]), x)).toBe('reduce_sum: it mixes tokens');
    expect(stands(b.matmul(p('T', 5, 5), x), x)).toBe('matmul: it mixes tokens');
    expect(stands(b.matmul(b.reshape(x, [2, 5, 1, 6]), p('E', 5, 6, 6)), x)).toContain('a different map for each');
    expect(stands(b.linear(b.reshape(x, [2, 6, 5]), p('W', 4, 5)), x)).toContain('splits or joins the channels');
    expect(stands(b.roll(b.reshape(x, [2, 30]), [1], [1]), x)).toBe('reshape: it splits or joins the channels');
  });
  it('zero padding of tokens does not let a shift across, whatever is done to the channels', () => {
    const x = arg(2, 5, 6);
    const split = (y: Value): Value =>
      b.mul(b.pad(b.reshape(y, [2, 5, 2, 3]), [0, 0, 0, 0], [0, 1, 1, 0]), p('g', 3, 1));
    agrees(b.reshape(split(x), [2, 6, 9]), x);
    expect(stands(b.reshape(split(b.add(x, p('t', 6))), [2, 6, 9]), x)).toContain('a shift must not reach the padding');
  });

  /** A step on a value [2, 3, k, i] (tokens 2 and 3) that leaves one of this rank. */
  const steps: Record<string, (v: Value, name: string) => Value> = {
    exchange: (v) => b.transpose(v, [0, 1, 3, 2]),
    'tokens exchanged': (v) => b.transpose(b.transpose(v, [1, 2, 3, 0]), [3, 0, 1, 2]),
    'batch of blocks': (v, name) => {
      const [, , k, i] = v.type.shape as [number, number, number, number];
      const blocks = b.matmul(b.reshape(b.transpose(v, [2, 0, 1, 3]), [k, 6, i]), p(`${name}L`, k, i, 2));
      return b.transpose(b.reshape(blocks, [k, 2, 3, 2]), [1, 2, 0, 3]);
    },
    'blocks in place': (v, name) => {
      const [, , k, i] = v.type.shape as [number, number, number, number];
      return b.reshape(b.matmul(b.reshape(v, [2, 3, k, 1, i]), p(`${name}R`, k, i, 3)), [2, 3, k, 3]);
    },
    'from the left': (v, name) => b.matmul(p(`${name}C`, 2, v.type.shape[2]!), v),
    'layer over the last': (v, name) => b.linear(v, p(`${name}D`, 3, v.type.shape[3]!), p(`${name}d`, 3)),
    'factor of rows': (v, name) => b.mul(v, p(`${name}g`, v.type.shape[2]!, 1)),
    'factor of all': (v, name) => b.div(v, b.exp(p(`${name}h`, v.type.shape[2]!, v.type.shape[3]!))),
    shift: (v, name) => b.sub(v, p(`${name}s`, v.type.shape[3]!)),
    'shift of tokens': (v, name) => b.add(v, p(`${name}t`, 3, 1, v.type.shape[3]!)),
    centre: (v) => b.sub(v, b.mean(v, [2, 3], true)),
    'sum of rows beside it': (v) => b.add(b.neg(v), b.sum(v, [2], true)),
    roll: (v) => b.roll(v, [1, -1], [3, 1]),
    pad: (v) => b.pad(v, [0, 0, 1, 0], [0, 0, 0, 1]),
    cut: (v) => b.slice(v, [0, 0, 0, 0], [2, 3, Math.max(2, v.type.shape[2]! - 1), v.type.shape[3]!]),
    pick: (v) => b.gather(v, b.iota([Math.max(2, v.type.shape[3]! - 1)], 0), 3),
    twice: (v) => b.concat([v, b.mul(v, 2)], 3),
    merged: (v) => {
      const [, , k, i] = v.type.shape as [number, number, number, number];
      return b.reshape(b.reshape(v, [2, 3, k * i]), [2, 3, i, k]);
    },
  };
  it('in any order (property)', () => {
    const chain = fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 5 });
    const size = fc.integer({ min: 2, max: 3 });
    fc.assert(
      fc.property(chain, size, size, fc.boolean(), (names, k, i, layer) => {
        const x = arg(2, 3, k * i);
        let v = b.reshape(layer ? b.linear(x, p('W', k * i, k * i), p('b', k * i)) : x, [2, 3, k, i]);
        names.forEach((name, n) => {
          v = steps[name]!(v, `p${n}`);
        });
        agrees(b.reshape(v, [2, 3, v.type.shape[2]! * v.type.shape[3]!]), x);
      }),
      { numRuns: 300 },
    );
  });
  it('axes of one element may hide whose they are: then there is no form, and never a wrong one (property)', () => {
    const chain = fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(chain, fc.integer({ min: 1, max: 3 }), fc.constantFrom(1, 1, 2), (names, k, i) => {
        const x = arg(2, 3, k * i);
        let v = b.sliceAxis(b.reshape(x, [2, 3, k, i]), 2, 0, 1);
        names.forEach((name, n) => {
          if (!['cut', 'pick'].includes(name)) v = steps[name]!(v, `p${n}`);
        });
        const y = b.reshape(v, [2, 3, v.type.shape[2]! * v.type.shape[3]!]);
        if (!isObstacle(affineOf(y, x))) agrees(y, x);
      }),
      { numRuns: 300 },
    );
  });
});

describe('obstacles', () => {
  const x = arg(2, 5, 6);
  it('names the operator that ends the form, below what is asked', () => {
    const bottleneck = b.linear(b.relu(b.linear(x, p('D', 2, 6))), p('U', 6, 2));
    expect(stands(b.add(x, bottleneck), x)).toBe('relu: it is not affine');
  });
  it('a product of two values of the input', () => expect(stands(b.mul(x, x), x)).toContain('both of its factors'));
  it('a gate: what makes the factor, not the product', () => {
    const gate = b.sigmoid(b.linear(x, p('G', 6, 6)));
    expect(stands(b.mul(x, b.mul(gate, 2)), x)).toBe(
      'sigmoid: it is not affine, and what it gives is a factor of the result',
    );
    expect(stands(b.div(x, b.add(b.exp(x), 1)), x)).toContain('exp: it is not affine');
    expect(stands(b.matmul(b.softmax(b.matmul(x, b.matrixTranspose(x))), x), x)).toContain('softmax: it is not affine');
  });
  it('a factor that varies over tokens', () =>
    expect(stands(b.mul(x, p('m', 5, 1)), x)).toContain('varies along other axes'));
  it('joined tokens', () =>
    expect(stands(b.concat([x, b.broadcast(p('P', 1, 2, 6), [2, 2, 6])], 1), x)).toContain('joins tokens'));
  it('another input', () => {
    const other = input('other', x.type);
    expect(stands(b.add(x, other), x)).toContain('another input');
  });
  it('a dropout, which training needs', () =>
    expect(stands(make('dropout', [x], { rate: 0.1, stream: 0 }), x)).toContain('dropout'));
});
