/** Reductions, products and composites as nodes. */
import type { OpAttrs, Value } from '../../ir/types.js';
import { type Emitter, END, float, int, ints, text } from './emitter.js';
import type { ExportRules } from './rule.js';

const rankOf = (v: Value): number => v.type.shape.length;

/** A vector of one number for each channel of the operand. */
const channelsOf = (v: Value): number => v.inputs[0]!.type.shape.at(-1)!;

const window = ({ stride, padding, dilation, groups }: OpAttrs['conv2d']) => ({
  strides: ints(stride),
  pads: ints(padding),
  dilations: ints(dilation),
  group: int(groups),
});

/** Places (i32) of the last axis, and what is there, from the largest or the smallest on; of equal ones the first comes first. */
function sorted(e: Emitter, x: string, count: number, largest: boolean): { values: string; places: string } {
  const [values, places] = e.several(2, 'TopK', [x, e.list([count])], { axis: int(-1), largest: int(largest ? 1 : 0) });
  return { values: values!, places: e.cast(places!, 'i32') };
}

/**
 * Zeros, `size` of them on an axis, to which updates are added at their indices, which stand in the place of that axis.
 * @param own how many axes the indices have
 */
function scattered(
  e: Emitter,
  v: Pick<Value, 'type' | 'inputs'>,
  updates: string,
  indices: string,
  axis: number,
  own: number,
  size: number,
): string | undefined {
  // Before it, an index that stands twice counted once.
  if (e.opset < 16) return undefined;
  const rank = v.inputs[0]!.type.shape.length;
  const places = [...Array(rank).keys()];
  const order = [...places.slice(axis, axis + own), ...places.slice(0, axis), ...places.slice(axis + own)];
  const result = [...v.type.shape.keys()];
  const rows = [size, ...v.type.shape.filter((_, i) => i !== axis)];
  const zeros = e.node('Expand', [e.scalar(v.type.dtype, 0), e.sizes(rows)]);
  const first = e.node('Transpose', [updates], { perm: ints(order) });
  const at = e.node('Unsqueeze', [e.wide(indices), e.list([-1])]);
  const sums = e.node('ScatterND', [zeros, at, first], { reduction: text('add') });
  const back = [...result.slice(1, axis + 1), 0, ...result.slice(axis + 1)];
  return e.node('Transpose', [sums], { perm: ints(back) });
}

export const compute = {
  reduce_sum: (e, v, [x]) => e.reduce('ReduceSum', x!, v.attrs.axes, v.attrs.keep, 13),
  reduce_mean: (e, v, [x]) => e.reduce('ReduceMean', x!, v.attrs.axes, v.attrs.keep, 18),
  reduce_max(e, v, [x]) {
    const { axes, keep } = v.attrs;
    if (v.type.dtype !== 'u32') return e.reduce('ReduceMax', x!, axes, keep, 18);
    return e.cast(e.reduce('ReduceMax', e.wide(x!), axes, keep, 18), 'u32');
  },
  argmax: (e, v, x) => e.cast(e.node('ArgMax', x, { axis: int(v.attrs.axis), keepdims: int(0) }), 'i32'),
  top_k(e, v, [x]) {
    const { values, places } = sorted(e, x!, v.attrs.k, true);
    e.others(v, { indices: places });
    return values;
  },
  argsort(e, v, [x]) {
    return sorted(e, e.wide(x!), v.type.shape.at(-1)!, false).places;
  },
  searchsorted(e, v, [row, values]) {
    const column = e.node('Unsqueeze', [values!, e.list([-1])]);
    const below = e.node(v.attrs.right ? 'LessOrEqual' : 'Less', [row!, column]);
    return e.reduce('ReduceSum', e.cast(below, 'i32'), [rankOf(v)], false, 13);
  },
  scatter_add(e, v, [updates, indices]) {
    const { axis, size } = v.attrs;
    return scattered(e, v, updates!, indices!, axis, v.inputs[1]!.type.shape.length, size);
  },
  merge_order: { cannot: 'ONNX has no operator for one turn of a sort' },
  segment_sum(e, v, [x, starts]) {
    const { axis } = v.attrs;
    const from = v.inputs[0]!.type.shape[axis]!;
    // The segment of a place is how many segments end before it or there.
    const ends = e.node('Slice', [starts!, e.list([1]), e.list([END]), e.list([0])]);
    const places = e.constant('int32', [from, 1], [...Array(from).keys()]);
    const ended = e.cast(e.node('LessOrEqual', [ends, places]), 'i32');
    return scattered(e, v, x!, e.reduce('ReduceSum', ended, [1], false, 13), axis, 1, v.type.shape[axis]!);
  },
  random_bits: { cannot: 'ONNX has no random numbers by counter' },

  matmul: (e, _v, x) => e.node('MatMul', x),
  linear(e, v, [x, weight, ...bias]) {
    if (rankOf(v) === 2) return e.node('Gemm', [x!, weight!, ...bias], { transB: int(1) });
    const product = e.node('MatMul', [x!, e.node('Transpose', [weight!], { perm: ints([1, 0]) })]);
    return bias.length > 0 ? e.node('Add', [product, ...bias]) : product;
  },
  conv2d: (e, v, x) => e.node('Conv', x, window(v.attrs)),
  conv2d_transpose: (e, v, x) =>
    e.node('ConvTranspose', x, { ...window(v.attrs), output_padding: ints(v.attrs.output_padding) }),
  conv2d_weight: { cannot: 'ONNX has no derivative of a convolution' },
  kron: 'decompose',
  solve: { cannot: 'ONNX solves no systems of equations' },

  softmax: (e, v, x) => e.node('Softmax', x, { axis: int(v.attrs.axis) }),
  layer_norm(e, v, [x, gain, ...shift]) {
    if (e.opset < 17) return undefined;
    const channels = channelsOf(v);
    const scale = gain ?? e.node('Expand', [e.scalar(v.type.dtype, 1), e.list([channels])]);
    return e.node('LayerNormalization', [x!, scale, ...shift], { axis: int(-1), epsilon: float(v.attrs.eps) });
  },
  batch_norm: (e, v, x) => e.node('BatchNormalization', x, { epsilon: float(v.attrs.eps) }),
  // Before version 21, gains were those of groups.
  group_norm(e, v, [x, gain, shift]) {
    if (e.opset < 21 || !gain || !shift) return undefined;
    return e.node('GroupNormalization', [x!, gain, shift], {
      epsilon: float(v.attrs.eps),
      num_groups: int(v.attrs.groups),
    });
  },
  attention: 'decompose',
  resize(e, v, [x]) {
    const { size, mode, antialias } = v.attrs;
    // Runtimes do not agree on what an antialiased one is; as two products it is one thing.
    if (antialias) return undefined;
    const sizes = e.sizes([...v.type.shape.slice(0, 2), ...size]);
    return e.node('Resize', [x!, '', '', sizes], {
      mode: text({ nearest: 'nearest', bilinear: 'linear', bicubic: 'cubic' }[mode]),
      coordinate_transformation_mode: text(mode === 'nearest' ? 'asymmetric' : 'half_pixel'),
      ...(mode === 'nearest' ? { nearest_mode: text('floor') } : {}),
    });
  },
} satisfies ExportRules;
