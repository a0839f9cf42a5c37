/**
 * A transposed convolution as a convolution: by sub-pixels, so that no zeros between the elements of x are ever multiplied.
 *
 * Along one axis y[o] = Σ x[i]·w[k] over o + low = i·s + k·d. With o + low = q·s + r, for each r in 0..s-1 only the places k with k·d mod s = r take
 * part. Where d is 1 these are k = m·s + r, so i = q - m: one convolution with stride 1 gives all s results of a q as channels, and putting these
 * beside each other is a change of layout. Where s is 1 it is a convolution of the mirrored kernel, dilated as it is. Where neither is 1, the zeros
 * of the dilated kernel are written out.
 */
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';
import type { Decomposition } from '../define.js';

/** One axis of the convolution that comes in its place. */
interface Axis {
  /** Places of the kernel for each sub-pixel, and how far apart they are. */
  readonly taps: number;
  readonly dilation: number;
  /** Elements of x that are read, from the first on; the padding around them. */
  readonly read: number;
  readonly low: number;
  readonly high: number;
  /** Where the result begins among the sub-pixels. */
  readonly from: number;
}

function axisOf(length: number, size: number, kernel: number, stride: number, dilation: number, cut: number): Axis {
  const spaced = stride === 1 ? dilation : 1;
  const taps = stride === 1 ? kernel : Math.ceil((dilation * (kernel - 1) + 1) / stride);
  const span = spaced * (taps - 1);
  // Of the groups of sub-pixels the first ones may be cut off whole.
  const skipped = Math.min(Math.floor(cut / stride), span);
  const end = Math.floor((size - 1 + cut) / stride) + 1;
  const read = Math.min(length, end);
  return { taps, dilation: spaced, read, low: span - skipped, high: end - read, from: cut - skipped * stride };
}

/** The kernel's axis `at` as [taps, stride]: place k·dilation = tap·stride + sub-pixel. */
function inTaps(b: Builder, w: Value, at: number, { taps }: Axis, stride: number, dilation: number): Value {
  const { shape } = w.type;
  const kernel = shape[at]!;
  const only = (v: Value, n: number): number[] => v.type.shape.map((_, i) => (i === at ? n : 0));
  const none = (v: Value): number[] => v.type.shape.map(() => 0);
  let wide = w;
  if (stride > 1 && dilation > 1) {
    const zeros = b.reshape(w, [...shape.slice(0, at + 1), 1, ...shape.slice(at + 1)]);
    const spread = b.pad(
      zeros,
      none(zeros),
      only(zeros, 0).map((_, i) => (i === at + 1 ? dilation - 1 : 0)),
    );
    const joined = b.reshape(spread, [...shape.slice(0, at), kernel * dilation, ...shape.slice(at + 1)]);
    wide = b.sliceAxis(joined, at, 0, dilation * (kernel - 1) + 1);
  }
  const whole = b.pad(wide, none(wide), only(wide, taps * stride - wide.type.shape[at]!));
  return b.reshape(whole, [...shape.slice(0, at), taps, stride, ...shape.slice(at + 1)]);
}

export const decomposeConv2dTranspose: Decomposition<'conv2d_transpose'> = (b, [x, weight, bias], attrs) => {
  const { stride, padding, dilation, groups, output_padding: put } = attrs;
  const [batch, ins, h, w] = x!.type.shape as [number, number, number, number];
  const [, perGroup, kh, kw] = weight!.type.shape as [number, number, number, number];
  const sizeOf = (length: number, k: number, i: 0 | 1): number =>
    (length - 1) * stride[i] + dilation[i] * (k - 1) + 1 - padding[i] - padding[i + 2]! + put[i];
  const [oh, ow] = [sizeOf(h, kh, 0), sizeOf(w, kw, 1)];
  const rows = axisOf(h, oh, kh, stride[0], dilation[0], padding[0]);
  const columns = axisOf(w, ow, kw, stride[1], dilation[1], padding[1]);
  const [s, t] = stride;

  const taps = inTaps(b, inTaps(b, weight!, 2, rows, s, dilation[0]), 4, columns, t, dilation[1]);
  const grouped = b.reshape(taps, [groups, ins / groups, perGroup, rows.taps, s, columns.taps, t]);
  // [groups, out, sub-pixels, in, taps]: from the last tap to the first.
  const turned = b.transpose(b.reverse(grouped, [3, 5]), [0, 2, 4, 6, 1, 3, 5]);
  const kernel = b.reshape(turned, [groups * perGroup * s * t, ins / groups, rows.taps, columns.taps]);
  const read = b.slice(x!, [0, 0, 0, 0], [batch, ins, rows.read, columns.read]);
  const pixels = b.conv2d(read, kernel, undefined, {
    stride: [1, 1],
    padding: [rows.low, columns.low, rows.high, columns.high],
    dilation: [rows.dilation, columns.dilation],
    groups,
  });
  const outs = groups * perGroup;
  const [, , p, q] = pixels.type.shape as [number, number, number, number];
  const apart = b.transpose(b.reshape(pixels, [batch, outs, s, t, p, q]), [0, 1, 4, 2, 5, 3]);
  const y = b.slice(
    b.reshape(apart, [batch, outs, p * s, q * t]),
    [0, 0, rows.from, columns.from],
    [batch, outs, rows.from + oh, columns.from + ow],
  );
  return bias ? b.add(y, b.reshape(bias, [outs, 1, 1])) : y;
};
