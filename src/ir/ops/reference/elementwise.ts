/** Loops over broadcast operands that the pointwise references share. */
import { allocate } from '../../run/tensor.js';
import type { ArrayOf, DType, Elements, Tensor, TensorType } from '../../types.js';
import { sameShape, sizeOf, stridesOf } from '../shapes.js';

/**
 * For each element of `shape` in order, its offset in an operand that broadcasts to it. Undefined when the offset is the index
 * itself.
 */
export function broadcastOffsets(from: readonly number[], shape: readonly number[]): Int32Array | undefined {
  if (sameShape(from, shape)) return undefined;
  const own = stridesOf(from);
  const lead = shape.length - from.length;
  const size = sizeOf(shape);
  const offsets = new Int32Array(size);
  // Filled from the innermost axis outwards: each axis repeats what is there, shifted by its stride.
  let filled = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const d = shape[axis]!;
    const stride = axis < lead || from[axis - lead] === 1 ? 0 : own[axis - lead]!;
    for (let i = 1; i < d; i++) {
      const shift = i * stride;
      const at = i * filled;
      for (let j = 0; j < filled; j++) offsets[at + j] = offsets[j]! + shift;
    }
    filled *= d;
  }
  return offsets;
}

/** An array for a result of which every element will be written. */
export function written(dtype: DType, size: number, array: ArrayOf | undefined): Elements {
  const float = dtype === 'f32' || dtype === 'f16';
  return float && array ? array(size) : allocate(dtype, size);
}

/** y[i] = f(x[i]). */
export function map(x: Tensor, type: TensorType, f: (a: number) => number, array?: ArrayOf): Tensor {
  const out = written(type.dtype, x.data.length, array);
  const from = x.data;
  for (let i = 0; i < out.length; i++) out[i] = f(from[i]!);
  return { type, data: out };
}

/** out[o + i] = f(a[p + i·sa], b[q + i·sb]) for i < n. */
export type Run = (
  out: Elements,
  o: number,
  a: Elements,
  p: number,
  sa: number,
  b: Elements,
  q: number,
  sb: number,
  n: number,
) => void;

/** A run that calls `f`. The commonest operators have runs of their own, because a call an element costs four times the sum. */
export const calling =
  (f: (a: number, b: number) => number): Run =>
  (out, o, a, p, sa, b, q, sb, n) => {
    for (let i = 0; i < n; i++) out[o + i] = f(a[p + i * sa]!, b[q + i * sb]!);
  };

/**
 * The commonest operators over doubles whose operands step by one or stand still: no call, no multiplication and one type of array in
 * the loop, which V8 then compiles to the sum and little else. `general` does the rest.
 */
const direct = (loops: Loops, general: Run): Run => {
  return (out, o, a, p, sa, b, q, sb, n) => {
    const doubles = out instanceof Float64Array && a instanceof Float64Array && b instanceof Float64Array;
    if (doubles && sa === 1 && sb === 1) loops.both(out, o, a, p, b, q, n);
    else if (doubles && sa === 1 && sb === 0) loops.byScalar(out, o, a, p, b[q]!, n);
    else general(out, o, a, p, sa, b, q, sb, n);
  };
};

interface Loops {
  readonly both: (
    o: Float64Array,
    at: number,
    a: Float64Array,
    p: number,
    b: Float64Array,
    q: number,
    n: number,
  ) => void;
  readonly byScalar: (o: Float64Array, at: number, a: Float64Array, p: number, b: number, n: number) => void;
}

export const RUNS = {
  add: direct(
    {
      both: (out, o, a, p, b, q, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! + b[q + i]!;
      },
      byScalar: (out, o, a, p, b, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! + b;
      },
    },
    (out, o, a, p, sa, b, q, sb, n) => {
      for (let i = 0; i < n; i++) out[o + i] = a[p + i * sa]! + b[q + i * sb]!;
    },
  ),
  sub: direct(
    {
      both: (out, o, a, p, b, q, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! - b[q + i]!;
      },
      byScalar: (out, o, a, p, b, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! - b;
      },
    },
    (out, o, a, p, sa, b, q, sb, n) => {
      for (let i = 0; i < n; i++) out[o + i] = a[p + i * sa]! - b[q + i * sb]!;
    },
  ),
  mul: direct(
    {
      both: (out, o, a, p, b, q, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! * b[q + i]!;
      },
      byScalar: (out, o, a, p, b, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! * b;
      },
    },
    (out, o, a, p, sa, b, q, sb, n) => {
      for (let i = 0; i < n; i++) out[o + i] = a[p + i * sa]! * b[q + i * sb]!;
    },
  ),
  div: direct(
    {
      both: (out, o, a, p, b, q, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! / b[q + i]!;
      },
      byScalar: (out, o, a, p, b, n) => {
        for (let i = 0; i < n; i++) out[o + i] = a[p + i]! / b;
      },
    },
    calling((x, y) => x / y),
  ),
};

/** Axes of a broadcast pair with neighbours joined where both operands step evenly: size, stride of a, stride of b. */
function joinedAxes(a: readonly number[], b: readonly number[], shape: readonly number[]): [number, number, number][] {
  const stride = (from: readonly number[], own: readonly number[], axis: number): number => {
    const i = axis - (shape.length - from.length);
    return i < 0 || from[i] === 1 ? 0 : own[i]!;
  };
  const ownA = stridesOf(a);
  const ownB = stridesOf(b);
  const axes: [number, number, number][] = [];
  shape.forEach((d, axis) => {
    if (d === 1) return;
    const sa = stride(a, ownA, axis);
    const sb = stride(b, ownB, axis);
    const outer = axes.at(-1);
    if (outer && outer[1] === sa * d && outer[2] === sb * d) axes.splice(-1, 1, [outer[0] * d, sa, sb]);
    else axes.push([d, sa, sb]);
  });
  return axes;
}

/** y[i] = f(a[i], b[i]) with NumPy broadcasting. */
export function zip(a: Tensor, b: Tensor, type: TensorType, run: Run, array?: ArrayOf): Tensor {
  const size = sizeOf(type.shape);
  const out = written(type.dtype, size, array);
  const axes = joinedAxes(a.type.shape, b.type.shape, type.shape);
  const [width, sa, sb] = axes.pop() ?? [1, 0, 0];
  const index = new Array<number>(axes.length).fill(0);
  let p = 0;
  let q = 0;
  for (let o = 0; o < size; o += width) {
    run(out, o, a.data, p, sa, b.data, q, sb, width);
    for (let i = axes.length - 1; i >= 0; i--) {
      const [d, ta, tb] = axes[i]!;
      index[i]!++;
      p += ta;
      q += tb;
      if (index[i]! < d) break;
      index[i] = 0;
      p -= d * ta;
      q -= d * tb;
    }
  }
  return { type, data: out };
}

/** The operand's elements laid out over `shape`; shared when nothing changes. */
export function expand(x: Tensor, shape: readonly number[]): Elements {
  const offsets = broadcastOffsets(x.type.shape, shape);
  if (!offsets) return x.data;
  const out = allocate(x.type.dtype, offsets.length);
  const from = x.data;
  for (let i = 0; i < offsets.length; i++) out[i] = from[offsets[i]!]!;
  return out;
}

/** erf to double precision: a Maclaurin series near 0, a continued fraction (Lentz) for its complement beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(a)) return a;
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 80; n++) {
      term *= (-a * a) / n;
      const add = term / (2 * n + 1);
      sum += add;
      if (Math.abs(add) < 1e-17 * Math.abs(sum)) break;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  // erfc(a) = exp(-a²)/√π · 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + ...)))), evaluated from the tail.
  let f = a;
  for (let n = 60; n >= 1; n--) f = a + n / 2 / f;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * f));
}
