/** Operators that move elements, and leaves, as nodes. */
import { isBatch } from '../../ir/batch.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { type Emitter, END, int, ints } from './emitter.js';
import type { ExportRules } from './rule.js';

/** A constant repeated to a shape. */
function filled(e: Emitter, x: string, shape: readonly number[]): string {
  return sizeOf(shape) === 1 && shape.length === 0 ? x : e.node('Expand', [x, e.sizes(shape)]);
}

export const layout = {
  constant: (e, { attrs: { value, dtype, shape } }) => filled(e, e.scalar(dtype, value), shape),

  iota(e, { attrs: { axis, dtype, shape } }) {
    const size = shape[axis]!;
    const flat = shape.map((_, i) => (i === axis ? -1 : 1));
    const to = isBatch(size) ? e.node('Squeeze', [e.sizes([size]), e.list([0])]) : e.constant('int64', [], [size]);
    const range = e.node('Range', [e.constant('int64', [], [0]), to, e.constant('int64', [], [1])]);
    const row = e.node('Reshape', [e.cast(range, dtype), e.list(flat)]);
    return shape.every((d, i) => i === axis || d === 1) ? row : e.node('Expand', [row, e.sizes(shape)]);
  },

  batch_size: (e) => e.cast(e.node('Squeeze', [e.batch(), e.list([0])]), 'f32'),

  reshape: (e, v, [x]) => e.reshape(x!, v.type),
  transpose: (e, v, x) => e.node('Transpose', x, { perm: ints(v.attrs.perm) }),
  broadcast: (e, v, [x]) => e.node('Expand', [x!, e.sizes(v.attrs.shape)]),

  slice(e, v, [x]) {
    const { start, end } = v.attrs;
    const from = v.inputs[0]!.type.shape;
    const axes = [...from.keys()].filter((i) => start[i] !== 0 || end[i] !== from[i]);
    if (axes.length === 0) return x;
    return e.node('Slice', [x!, e.sizes(axes.map((i) => start[i]!)), e.sizes(axes.map((i) => end[i]!)), e.list(axes)]);
  },

  concat: (e, v, x) => (x.length === 1 ? x[0] : e.node('Concat', x, { axis: int(v.attrs.axis) })),

  pad(e, v, [x]) {
    const { low, high, value } = v.attrs;
    return e.node('Pad', [x!, e.list([...low, ...high]), e.scalar(v.type.dtype, value)]);
  },

  roll: 'decompose',

  reverse(e, v, [x]) {
    const { axes } = v.attrs;
    const each = (n: number) => e.list(axes.map(() => n));
    // From the last one to before the first.
    return axes.length === 0 ? x : e.node('Slice', [x!, each(-1), each(-END), e.list(axes), each(-1)]);
  },

  gather(e, v, [x, indices]) {
    const at = v.inputs[1]!.type.dtype === 'u32' ? e.wide(indices!) : indices!;
    return e.node('Gather', [x!, at], { axis: int(v.attrs.axis) });
  },
} satisfies ExportRules;
