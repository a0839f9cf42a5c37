/** Reference semantics of the contractions, over the one dense product in gemm.ts. */
import { toFloat64 } from '../../run/tensor.js';
import type { Reference } from '../define.js';
import { sizeOf } from '../shapes.js';
import { broadcastOffsets } from './elementwise.js';
import { gemmTransposed, transposed } from './gemm.js';

export const matmulReference: Reference<'matmul'> = ([a, b], _attrs, type) => {
  const [m, n] = type.shape.slice(-2) as [number, number];
  const k = a!.type.shape.at(-1)!;
  const lead = type.shape.slice(0, -2);
  const batch = sizeOf(lead);
  const aShape = a!.type.shape.slice(0, -2);
  const bShape = b!.type.shape.slice(0, -2);
  const x = toFloat64(a!);
  const y = toFloat64(b!);
  const out = new Float64Array(batch * m * n);
  const aIndex = broadcastOffsets(aShape, lead);
  const bIndex = broadcastOffsets(bShape, lead);
  // One b for all: rows of a are then simply more rows.
  if (sizeOf(bShape) === 1 && !aIndex) {
    gemmTransposed(batch * m, n, k, x, 0, transposed(y, 0, k, n), 0, out, 0);
    return { type, data: out };
  }
  let shown = -1;
  let yt = y;
  for (let z = 0; z < batch; z++) {
    const bz = bIndex ? bIndex[z]! : z;
    if (bz !== shown) yt = transposed(y, bz * k * n, k, n);
    shown = bz;
    gemmTransposed(m, n, k, x, (aIndex ? aIndex[z]! : z) * m * k, yt, 0, out, z * m * n);
  }
  return { type, data: out };
};

export const linearReference: Reference<'linear'> = ([x, weight, bias], _attrs, type) => {
  const [n, k] = weight!.type.shape as [number, number];
  const m = sizeOf(x!.type.shape) / k;
  const out = new Float64Array(m * n);
  if (bias) for (let i = 0; i < m; i++) out.set(bias.data, i * n);
  gemmTransposed(m, n, k, toFloat64(x!), 0, toFloat64(weight!), 0, out, 0);
  return { type, data: out };
};

/** Gathers the patches of each output place (zeros outside) and multiplies them with the weight, group by group. */
export const conv2dReference: Reference<'conv2d'> = ([x, weight, bias], attrs, type) => {
  const [batch, channels, h, w] = x!.type.shape as [number, number, number, number];
  const [outs, perGroup, kh, kw] = weight!.type.shape as [number, number, number, number];
  const [, , oh, ow] = type.shape as [number, number, number, number];
  const { stride, padding, dilation, groups } = attrs;
  const places = oh * ow;
  const depth = perGroup * kh * kw;
  const perOut = outs / groups;
  const image = x!.data;
  const kernel = toFloat64(weight!);
  const out = new Float64Array(batch * outs * places);
  const patches = new Float64Array(places * depth);
  for (let b = 0; b < batch; b++) {
    for (let g = 0; g < groups; g++) {
      patches.fill(0);
      for (let c = 0; c < perGroup; c++) {
        const plane = (b * channels + g * perGroup + c) * h * w;
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const column = (c * kh + ky) * kw + kx;
            for (let oy = 0; oy < oh; oy++) {
              const y = oy * stride[0] + ky * dilation[0] - padding[0];
              if (y < 0 || y >= h) continue;
              for (let ox = 0; ox < ow; ox++) {
                const at = ox * stride[1] + kx * dilation[1] - padding[1];
                if (at >= 0 && at < w) patches[(oy * ow + ox) * depth + column] = image[plane + y * w + at]!;
              }
            }
          }
        }
      }
      const first = g * perOut;
      const to = (b * outs + first) * places;
      if (bias)
        for (let o = 0; o < perOut; o++) out.fill(bias.data[first + o]!, to + o * places, to + (o + 1) * places);
      gemmTransposed(perOut, places, depth, kernel, first * depth, patches, 0, out, to);
    }
  }
  return { type, data: out };
};

export const kronReference: Reference<'kron'> = ([a, b], _attrs, type, array = (size) => new Float64Array(size)) => {
  const [m, n] = a!.type.shape as [number, number];
  const [p, q] = b!.type.shape as [number, number];
  const out = array(sizeOf(type.shape));
  const x = toFloat64(a!);
  const y = toFloat64(b!);
  let to = 0;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < p; j++) {
      for (let k = 0; k < n; k++) {
        const scale = x[i * n + k]!;
        for (let l = 0; l < q; l++) out[to + l] = scale * y[j * q + l]!;
        to += q;
      }
    }
  }
  return { type, data: out };
};
