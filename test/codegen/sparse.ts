/** Products whose weight has whole tiles of zeros, for the simulator and for drivers. */
import { TILE_K, TILE_N } from '../../src/codegen/buffers/layout.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import { type Model, random } from './harness.js';

/** A matrix [outputs, inputs] of random numbers in [-1, 1] in which a share of the tiles is zero. */
export function blocky([outputs, inputs]: readonly [number, number], zeros: number, seed = 1): Tensor {
  const next = random(seed);
  const [strips, depth] = [Math.ceil(outputs / TILE_N), Math.ceil(inputs / TILE_K)];
  const kept = Array.from({ length: strips * depth }, () => (next() + 1) / 2 >= zeros);
  const data = Float32Array.from({ length: outputs * inputs }, (_, i) => {
    const [row, column] = [Math.floor(i / inputs), i % inputs];
    // A half holds it as it is.
    const value = Math.round(next() * 64) / 64;
    return kept[Math.floor(row / TILE_N) * depth + Math.floor(column / TILE_K)] ? value : 0;
  });
  return tensor([outputs, inputs], data);
}

/** What a model's parameters hold. */
export const holding = (m: Model) => (name: string) =>
  Uint8Array.from(m.data.get(name)!.data, (x) => (x === 0 ? 0 : 1));

/** Products by their shapes: what no tile divides, what tiles divide, one token, more tokens than a tile has rows. */
export const SPARSE_PRODUCTS: Readonly<Record<string, (m: Model) => Value>> = {
  'odd sizes': (m) => build.linear(m.input([BATCH, 13, 70]), m.param([100, 70], blocky([100, 70], 0.6))),
  'sizes of whole tiles': (m) => build.linear(m.input([BATCH, 40, 64]), m.param([128, 64], blocky([128, 64], 0.75))),
  'one row': (m) => build.linear(m.input([1, 48]), m.param([33, 48], blocky([33, 48], 0.5))),
  'nothing but zeros': (m) =>
    build.linear(m.input([BATCH, 5, 40]), m.param([64, 40], tensor([64, 40], new Float32Array(2560)))),
  'a strip without tiles': (m) => {
    const w = blocky([96, 48], 0.3);
    (w.data as Float32Array).fill(0, 32 * 48, 64 * 48);
    return build.linear(m.input([BATCH, 9, 48]), m.param([96, 48], w), m.param([96]));
  },
  'by a matrix that is not transposed': (m) =>
    build.matmul(m.input([BATCH, 7, 64]), build.transpose(m.param([80, 64], blocky([80, 64], 0.6)), [1, 0])),
  'a bias, an activation and a residual': (m) => {
    const x = m.input([BATCH, 13, 64]);
    const h = build.gelu(build.linear(x, m.param([96, 64], blocky([96, 64], 0.6)), m.param([96])));
    return build.add(x, build.linear(h, m.param([64, 96], blocky([64, 96], 0.7, 2)), m.param([64])));
  },
  'a convolution': (m) => {
    const w = blocky([64, 16 * 9], 0.6);
    const attrs = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
    return m.op('conv2d', [m.input([BATCH, 16, 6, 6]), m.param([64, 16, 3, 3], tensor([64, 16, 3, 3], w.data))], attrs);
  },
};
