/** Reference semantics of conv2d's transposes: its triples of places, read the other ways. */
import type { OpAttrs, Tensor } from '../../types.js';
import type { Reference } from '../define.js';

type Window = Pick<OpAttrs['conv2d'], 'stride' | 'padding' | 'dilation' | 'groups'>;

/**
 * Visits what a convolution multiplies: flat places in the image (x of conv2d), in the kernel and in what it gives.
 * @param image [b, in, h, w]; kernel [out, in/groups, kh, kw]; made [b, out, oh, ow]
 */
function eachProduct(
  image: readonly number[],
  kernel: readonly number[],
  made: readonly number[],
  { stride, padding, dilation, groups }: Window,
  visit: (image: number, kernel: number, made: number) => void,
): void {
  const [batch, channels, h, w] = image as [number, number, number, number];
  const [outs, perGroup, kh, kw] = kernel as [number, number, number, number];
  const [, , oh, ow] = made as [number, number, number, number];
  for (let b = 0; b < batch; b++) {
    for (let o = 0; o < outs; o++) {
      const first = Math.floor(o / (outs / groups)) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const place = ((o * perGroup + c) * kh + ky) * kw + kx;
            for (let oy = 0; oy < oh; oy++) {
              const y = oy * stride[0] + ky * dilation[0] - padding[0];
              if (y < 0 || y >= h) continue;
              for (let ox = 0; ox < ow; ox++) {
                const x = ox * stride[1] + kx * dilation[1] - padding[1];
                if (x < 0 || x >= w) continue;
                visit(((b * channels + first + c) * h + y) * w + x, place, ((b * outs + o) * oh + oy) * ow + ox);
              }
            }
          }
        }
      }
    }
  }
}

/** The operator's result is what the convolution would have read. */
export const conv2dTransposeReference: Reference<'conv2d_transpose'> = ([x, weight, bias], attrs, type) => {
  const [, outs, h, w] = type.shape as [number, number, number, number];
  const out = new Float64Array(type.shape.reduce((n, d) => n * d, 1));
  if (bias) for (let i = 0; i < out.length; i++) out[i] = bias.data[Math.floor(i / (h * w)) % outs]!;
  eachProduct(type.shape, weight!.type.shape, x!.type.shape, attrs, (image, kernel, made) => {
    out[image]! += x!.data[made]! * weight!.data[kernel]!;
  });
  return { type, data: out };
};

export const conv2dWeightReference: Reference<'conv2d_weight'> = ([x, dy], attrs, type): Tensor => {
  const out = new Float64Array(type.shape.reduce((n, d) => n * d, 1));
  eachProduct(x!.type.shape, type.shape, dy!.type.shape, attrs, (image, kernel, made) => {
    out[kernel]! += x!.data[image]! * dy!.data[made]!;
  });
  return { type, data: out };
};
