/** Operators that move elements and compute nothing. */
import { isBatch, showSize } from '../batch.js';
import { allocate } from '../run/tensor.js';
import { type AttrsOfEach, axis, number, numbers, resultShape } from './attrs.js';
import type { OpDef } from './define.js';
import { axesWhere, costEach, costFree } from './define.js';
import * as derive from './derivatives/layout.js';
import { DataError, refuse, refuseType } from './errors.js';
import { expand, written } from './reference/elementwise.js';
import { copyBlock, strided } from './reference/strided.js';
import {
  needAxes,
  needAxis,
  needKnown,
  needSizes,
  oneDType,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
  tryBroadcast,
} from './shapes.js';

const ATTRS = {
  reshape: { shape: resultShape },
  transpose: { perm: numbers },
  broadcast: { shape: resultShape },
  slice: { start: numbers, end: numbers },
  concat: { axis },
  pad: { low: numbers, high: numbers, value: number },
  roll: { shifts: numbers, axes: numbers },
  reverse: { axes: numbers },
  gather: { axis },
};

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

export const reshape = {
  family: 'layout',
  doc: 'The same elements in row-major order under another shape.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.reshape,
  traits: {
    pointwise: false,
    known: null,
    moves: 'once',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: () => null,
  type: ([x], { shape }) => {
    needSizes(shape);
    const from = x!.type.shape;
    if (sizeOf(shape) !== sizeOf(from)) {
      refuse(
        `${showShape(from)} has ${showSize(sizeOf(from))} elements and ${showShape(shape)} has ${showSize(sizeOf(shape))}`,
        0,
      );
    }
    return { dtype: x!.type.dtype, shape };
  },
  reference: ([x], _attrs, type) => ({ type, data: x!.data }),
  cost: costFree,
  decompose: null,
  derivative: derive.reshape,
} satisfies OpDef<'reshape'>;

export const transpose = {
  family: 'layout',
  doc: 'Axis i of the result is axis perm[i] of x.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.transpose,
  traits: {
    pointwise: false,
    known: null,
    moves: 'once',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: () => null,
  type: ([x], { perm }) => {
    const from = x!.type.shape;
    if (perm.length !== from.length) refuse(`the permutation ${showShape(perm)} does not fit ${showShape(from)}`, 0);
    needAxes(perm, from);
    return { dtype: x!.type.dtype, shape: perm.map((p) => from[p]!) };
  },
  reference: ([x], { perm }, type) => {
    const strides = stridesOf(x!.type.shape);
    return strided(
      x!,
      type,
      0,
      perm.map((p) => strides[p]!),
    );
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.transpose,
} satisfies OpDef<'transpose'>;

export const broadcast = {
  family: 'layout',
  doc: 'x repeated to `shape` by NumPy’s rule.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.broadcast,
  traits: {
    pointwise: false,
    known: null,
    moves: 'repeats',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: () => [],
  type: ([x], { shape }) => {
    needSizes(shape);
    const both = tryBroadcast(x!.type.shape, shape);
    if (!both || !sameShape(both, shape)) {
      refuse(`${showShape(x!.type.shape)} does not broadcast to ${showShape(shape)}`, 0);
    }
    return { dtype: x!.type.dtype, shape };
  },
  reference: ([x], _attrs, type) => ({ type, data: expand(x!, type.shape) }),
  cost: costFree,
  decompose: null,
  derivative: derive.broadcast,
} satisfies OpDef<'broadcast'>;

export const slice = {
  family: 'layout',
  doc: 'The elements with start[i] <= index < end[i] on every axis i.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.slice,
  traits: {
    pointwise: false,
    known: null,
    moves: 'once',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: ({ inputs, attrs, type }) =>
    axesWhere(type, (i) => attrs.end[i]! - attrs.start[i]! !== inputs[0]!.type.shape[i]),
  type: ([x], { start, end }) => {
    const from = x!.type.shape;
    if (start.length !== from.length || end.length !== from.length) {
      refuse(`${showShape(from)} cannot be cut from ${showShape(start)} to ${showShape(end)}`, 0);
    }
    from.forEach((d, i) => {
      const [s, e] = [start[i]!, end[i]!];
      if (!Number.isInteger(s) || !Number.isInteger(e) || s < 0 || e > d || s >= e) {
        refuse(`${showSize(s)}..${showSize(e)} is not within axis ${i} of ${showShape(from)}`, 0);
      }
      if (!((s === 0 || isBatch(s)) && isBatch(e))) needKnown(i, from);
    });
    return { dtype: x!.type.dtype, shape: from.map((_, i) => end[i]! - start[i]!) };
  },
  reference: ([x], { start }, type) => {
    const strides = stridesOf(x!.type.shape);
    const offset = start.reduce((sum, s, i) => sum + s * strides[i]!, 0);
    return strided(x!, type, offset, strides);
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.slice,
} satisfies OpDef<'slice'>;

export const concat = {
  family: 'layout',
  doc: 'The operands one after another along `axis`.',
  operands: [{ name: 'x', kind: 'variadic' }],
  attrs: ATTRS.concat,
  traits: {
    pointwise: false,
    known: null,
    moves: 'joins',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: ({ attrs }) => [attrs.axis],
  type: (inputs, { axis }) => {
    const first = inputs[0]!.type.shape;
    needAxis(axis, first);
    const dtype = oneDType(inputs, () => true, 'anything');
    let total = 0;
    inputs.forEach((v, i) => {
      const shape = v.type.shape;
      const fits = shape.length === first.length && shape.every((d, a) => a === axis || d === first[a]);
      if (!fits) refuse(`${showShape(first)} and ${showShape(shape)} differ on an axis other than ${axis}`, 0, i);
      total += shape[axis]!;
    });
    const batches = inputs.filter((v) => isBatch(v.type.shape[axis]!)).length;
    if (batches > 0 && batches < inputs.length) {
      refuse(`along axis ${axis} some operands are as long as the batch and others have a length of their own`);
    }
    return { dtype, shape: first.map((d, a) => (a === axis ? total : d)) };
  },
  reference: (inputs, { axis }, type, array) => {
    const out = written(type.dtype, sizeOf(type.shape), array);
    const inner = sizeOf(type.shape.slice(axis + 1));
    const outer = sizeOf(type.shape.slice(0, axis));
    const row = type.shape[axis]! * inner;
    let at = 0;
    for (const t of inputs) {
      const width = t.type.shape[axis]! * inner;
      for (let o = 0; o < outer; o++) out.set(t.data.subarray(o * width, (o + 1) * width), o * row + at);
      at += width;
    }
    return { type, data: out };
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.concat,
} satisfies OpDef<'concat'>;

export const pad = {
  family: 'layout',
  doc: '`low` and `high` elements equal to `value` before and after x on each axis.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.pad,
  traits: {
    pointwise: false,
    known: null,
    moves: 'fills',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: ({ attrs, type }) => axesWhere(type, (i) => attrs.low[i] !== 0 || attrs.high[i] !== 0),
  type: ([x], { low, high, value }) => {
    const from = x!.type.shape;
    if (low.length !== from.length || high.length !== from.length) {
      refuse(`padding ${showShape(low)}, ${showShape(high)} does not fit ${showShape(from)}`, 0);
    }
    for (const p of [...low, ...high]) if (!Number.isInteger(p) || p < 0) refuse(`padding of ${p} elements`);
    const dtype = x!.type.dtype;
    if (dtype === 'bool' && value !== 0 && value !== 1) refuse(`${value} is not a bool (0 or 1)`);
    const at = from.findIndex((d, i) => isBatch(d) && low[i]! + high[i]! > 0);
    if (at >= 0) refuse(`axis ${at} of ${showShape(from)} is the batch, to which nothing is added`, 0);
    return { dtype, shape: from.map((d, i) => low[i]! + d + high[i]!) };
  },
  reference: ([x], { low, value }, type) => {
    const out = allocate(type.dtype, sizeOf(type.shape));
    if (value !== 0) out.fill(value);
    const strides = stridesOf(type.shape);
    copyBlock(
      x!,
      out,
      low.reduce((sum, p, i) => sum + p * strides[i]!, 0),
      strides,
    );
    return { type, data: out };
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.pad,
} satisfies OpDef<'pad'>;

export const roll = {
  family: 'layout',
  doc: 'A circular shift: element i of axes[j] goes to i + shifts[j].',
  operands: [{ name: 'x' }],
  attrs: ATTRS.roll,
  traits: {
    pointwise: false,
    known: null,
    moves: 'once',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: ({ attrs }) => attrs.axes,
  type: ([x], { shifts, axes }) => {
    if (shifts.length !== axes.length) refuse(`${shifts.length} shifts for ${axes.length} axes`);
    needAxes(axes, x!.type.shape);
    for (const axis of axes) needKnown(axis, x!.type.shape);
    for (const s of shifts) if (!Number.isInteger(s)) refuse(`a shift of ${s}`);
    return x!.type;
  },
  reference: ([x], { shifts, axes }, type) => {
    let data = x!.data;
    axes.forEach((axis, j) => {
      const d = type.shape[axis]!;
      const shift = ((shifts[j]! % d) + d) % d;
      if (shift === 0) return;
      const inner = sizeOf(type.shape.slice(axis + 1));
      const out = data.slice();
      const block = d * inner;
      const cut = (d - shift) * inner;
      for (let at = 0; at < data.length; at += block) {
        out.set(data.subarray(at + cut, at + block), at);
        out.set(data.subarray(at, at + cut), at + block - cut);
      }
      data = out;
    });
    return { type, data };
  },
  cost: costEach(0),
  decompose: (b, [x], { shifts, axes }) => {
    let y = x!;
    axes.forEach((axis, j) => {
      const d = y.type.shape[axis]!;
      const shift = ((shifts[j]! % d) + d) % d;
      if (shift > 0) y = b.concat([b.sliceAxis(y, axis, d - shift, d), b.sliceAxis(y, axis, 0, d - shift)], axis);
    });
    return y;
  },
  derivative: derive.roll,
} satisfies OpDef<'roll'>;

export const reverse = {
  family: 'layout',
  doc: 'The elements of each of `axes` from the last to the first.',
  operands: [{ name: 'x' }],
  attrs: ATTRS.reverse,
  traits: {
    pointwise: false,
    known: null,
    moves: 'once',
    linear: 'jointly',
    channels: null,
    holds: null,
    erased: false,
  },
  mixes: ({ attrs }) => attrs.axes,
  type: ([x], { axes }) => {
    needAxes(axes, x!.type.shape);
    for (const axis of axes) needKnown(axis, x!.type.shape);
    return x!.type;
  },
  reference: ([x], { axes }, type) => {
    const strides = stridesOf(type.shape);
    const last = axes.reduce((sum, axis) => sum + (type.shape[axis]! - 1) * strides[axis]!, 0);
    return strided(
      x!,
      type,
      last,
      strides.map((d, axis) => (axes.includes(axis) ? -d : d)),
    );
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.reverse,
  inSpecs: {},
} satisfies OpDef<'reverse'>;

export const gather = {
  family: 'layout',
  doc: 'x at the given indices of `axis`; the indices’ shape takes the axis’ place. An index out of range is an error.',
  operands: [{ name: 'x' }, { name: 'indices' }],
  attrs: ATTRS.gather,
  traits: { pointwise: false, known: null, moves: 'picks', linear: [0], channels: null, holds: null, erased: false },
  mixes: ({ inputs, attrs }) => (inputs[1]!.type.shape.length === 1 ? [attrs.axis] : null),
  type: ([x, indices], { axis }) => {
    const from = x!.type.shape;
    needAxis(axis, from);
    const t = indices!.type.dtype;
    if (t !== 'i32' && t !== 'u32') refuseType(`the indices are ${t}, where i32 or u32 is wanted`, 1);
    return { dtype: x!.type.dtype, shape: [...from.slice(0, axis), ...indices!.type.shape, ...from.slice(axis + 1)] };
  },
  reference: ([x, indices], { axis }, type) => {
    const from = x!.type.shape;
    const size = from[axis]!;
    const inner = sizeOf(from.slice(axis + 1));
    const outer = sizeOf(from.slice(0, axis));
    const out = allocate(type.dtype, sizeOf(type.shape));
    const at = indices!.data;
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < at.length; i++) {
        const index = at[i]!;
        if (index < 0 || index >= size) throw new DataError('gather', `index ${index} is outside an axis of ${size}`);
        const begin = (o * size + index) * inner;
        out.set(x!.data.subarray(begin, begin + inner), to);
        to += inner;
      }
    }
    return { type, data: out };
  },
  cost: costEach(0),
  decompose: null,
  derivative: derive.gather,
  inSpecs: { defaults: { axis: 0 } },
} satisfies OpDef<'gather'>;
