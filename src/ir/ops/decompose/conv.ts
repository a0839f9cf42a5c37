/** conv2d as what it means: padded, cut into one strided slice for each kernel place, and multiplied. */
import type { Value } from '../../types.js';
import type { Decomposition } from '../define.js';

/**
 * Patches of a padded image: for each kernel place (ky, kx) the image shifted by it, thinned by the stride with `gather`; then a
 * matrix product over [channels of the group · kernel places].
 */
export const decomposeConv2d: Decomposition<'conv2d'> = (b, [x, weight, bias], attrs) => {
  const { stride, padding, dilation, groups } = attrs;
  const [batch, , h, w] = x!.type.shape as [number, number, number, number];
  const [outs, perGroup, kh, kw] = weight!.type.shape as [number, number, number, number];
  const [top, left, bottom, right] = padding;
  const padded = b.pad(x!, [0, 0, top, left], [0, 0, bottom, right]);
  const oh = Math.floor((h + top + bottom - dilation[0] * (kh - 1) - 1) / stride[0]) + 1;
  const ow = Math.floor((w + left + right - dilation[1] * (kw - 1) - 1) / stride[1]) + 1;
  /** Elements from, from + step, ... (count of them) of one axis. */
  const thin = (v: Value, axis: number, from: number, step: number, count: number): Value => {
    if (step === 1) return b.sliceAxis(v, axis, from, from + count);
    return b.gather(v, b.add(b.mul(b.iota([count], 0), step), from), axis);
  };
  const places: Value[] = [];
  for (let ky = 0; ky < kh; ky++) {
    const rows = thin(padded, 2, ky * dilation[0], stride[0], oh);
    for (let kx = 0; kx < kw; kx++) {
      const at = thin(rows, 3, kx * dilation[1], stride[1], ow);
      places.push(b.reshape(at, [batch, groups, perGroup, 1, oh * ow]));
    }
  }
  const patches = b.reshape(b.concat(places, 3), [batch, groups, perGroup * kh * kw, oh * ow]);
  const kernel = b.reshape(weight!, [groups, outs / groups, perGroup * kh * kw]);
  const y = b.reshape(b.matmul(kernel, patches), [batch, outs, oh, ow]);
  return bias ? b.add(y, b.reshape(bias, [outs, 1, 1])) : y;
};
