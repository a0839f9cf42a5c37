/** Operators without operands: parameters, arguments, constants, counting. Bits are drawn by a key of whole numbers, which has no derivative. */

import { isBatch } from '../batch.js';
import { counterOf, philox } from '../run/philox.js';
import { full, zeros } from '../run/tensor.js';
import { type AttrsOfEach, axis, name, number, resultDType, resultShape } from './attrs.js';
import type { OpDef } from './define.js';
import { costFree, traffic } from './define.js';
import { refuse } from './errors.js';
import { needAxis, needSizes, needStream, sameShape, showType, sizeOf, stridesOf } from './shapes.js';

const ATTRS = {
  param: { name },
  input: { name },
  constant: { value: number, dtype: resultDType, shape: resultShape },
  iota: { axis, dtype: resultDType, shape: resultShape },
  random_bits: { stream: number, shape: resultShape },
  batch_size: {},
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

export const param = {
  family: 'leaf',
  doc: 'A parameter of the module; its type is the declaration’s.',
  operands: [],
  attrs: ATTRS.param,
  traits: { pointwise: false, known: 'load', moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: null,
  reference: null,
  cost: costFree,
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'param'>;

export const input = {
  family: 'leaf',
  doc: 'An argument of the function; its type is the declaration’s.',
  operands: [],
  attrs: ATTRS.input,
  traits: { pointwise: false, known: 'call', moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: null,
  reference: null,
  cost: costFree,
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'input'>;

export const constant = {
  family: 'leaf',
  doc: 'A tensor whose elements are all `value`.',
  operands: [],
  attrs: ATTRS.constant,
  traits: { pointwise: true, known: 'compile', moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: (_inputs, { value, dtype, shape }) => {
    if (dtype === 'bool' && value !== 0 && value !== 1) refuse(`${value} is not a bool (0 or 1)`);
    if ((dtype === 'i32' || dtype === 'u32') && !Number.isInteger(value)) refuse(`${value} is not an ${dtype}`);
    if (dtype === 'u32' && value < 0) refuse(`${value} is not a u32`);
    return { dtype, shape: needSizes(shape) };
  },
  reference: (_inputs, { value, dtype, shape }) => full(shape, value, dtype),
  cost: costFree,
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'constant'>;

export const iota = {
  family: 'leaf',
  doc: '0, 1, 2, ... along `axis`, the same at every place of the other axes.',
  operands: [],
  attrs: ATTRS.iota,
  traits: { pointwise: false, known: 'compile', moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: (_inputs, { axis, dtype, shape }) => {
    if (dtype === 'bool') refuse('bool does not count');
    needSizes(shape);
    needAxis(axis, shape);
    return { dtype, shape };
  },
  reference: (_inputs, { axis, dtype, shape }) => {
    const out = zeros(shape, dtype);
    const stride = stridesOf(shape)[axis]!;
    const size = shape[axis]!;
    const n = sizeOf(shape);
    for (let i = 0; i < n; i++) out.data[i] = Math.floor(i / stride) % size;
    return out;
  },
  cost: (inputs, _attrs, result) => ({ flops: 0, bytes: traffic(inputs, result) }),
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'iota'>;

export const random_bits = {
  family: 'leaf',
  doc: 'Random u32 of a stream, by Philox 4x32-10: the same for the same key and stream.',
  operands: [{ name: 'key' }],
  attrs: ATTRS.random_bits,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: ([key], { stream, shape }) => {
    needStream(stream);
    if (key!.type.dtype !== 'u32' || !sameShape(key!.type.shape, [2])) {
      refuse(`${showType(key!.type)} is given where a key is wanted, u32[2]`, 0);
    }
    needSizes(shape);
    if (shape.slice(1).some(isBatch)) refuse('the batch has to be the first axis, or bits would differ with it');
    return { dtype: 'u32', shape };
  },
  reference: ([key], { stream, shape }, type) => {
    const [k, l] = key!.data as Uint32Array;
    const data = new Uint32Array(sizeOf(shape));
    for (let i = 0; i < data.length; i += 4) {
      data.set(philox(counterOf(i / 4, stream), [k!, l!]).slice(0, data.length - i), i);
    }
    return { type, data };
  },
  // Ten rounds of about fourteen integer operations make four numbers.
  cost: (inputs, _attrs, result) => ({ flops: 35 * sizeOf(result.shape), bytes: traffic(inputs, result) }),
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'random_bits'>;

export const batch_size = {
  family: 'leaf',
  doc: 'How many samples the function is called with, as an f32 scalar.',
  operands: [],
  attrs: ATTRS.batch_size,
  traits: { pointwise: false, known: 'call', moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: () => ({ dtype: 'f32', shape: [] }),
  // Where the number is known, it has become a constant (samples.ts).
  reference: null,
  cost: costFree,
  decompose: null,
  derivative: 'none', // nothing below it
} satisfies OpDef<'batch_size'>;
