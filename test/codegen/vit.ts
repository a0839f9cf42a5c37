/** A small vision transformer as IR, in the shape in which the standard library writes it. */
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import type { Model } from './harness.js';

export interface VitSize {
  readonly batch: number;
  readonly image: number;
  readonly patch: number;
  readonly dim: number;
  readonly heads: number;
  readonly depth: number;
  readonly hidden: number;
  readonly classes: number;
}

export const TINY: VitSize = { batch: 1, image: 16, patch: 8, dim: 16, heads: 2, depth: 2, hidden: 32, classes: 10 };

const linear = (m: Model, x: Value, out: number): Value =>
  build.linear(x, m.param([out, x.type.shape.at(-1)!]), m.param([out]));

const norm = (m: Model, x: Value): Value => {
  const d = x.type.shape.at(-1)!;
  return build.layerNorm(x, m.param([d]), m.param([d]), 1e-6);
};

/** qkv as one linear, its parts sliced out, heads split and joined by layout operators. */
export function block(m: Model, x: Value, heads: number, hidden: number): Value {
  const [b, n, d] = x.type.shape as [number, number, number];
  const qkv = linear(m, norm(m, x), 3 * d);
  const [q, k, v] = [0, 1, 2].map((i) => {
    const part = build.sliceAxis(qkv, 2, i * d, (i + 1) * d);
    return build.transpose(build.reshape(part, [b, n, heads, d / heads]), [0, 2, 1, 3]);
  }) as [Value, Value, Value];
  const a = build.attention(q, k, v, (d / heads) ** -0.5);
  const joined = build.reshape(build.transpose(a, [0, 2, 1, 3]), [b, n, d]);
  const y = build.add(x, linear(m, joined, d));
  return build.add(y, linear(m, build.gelu(linear(m, norm(m, y), hidden)), d));
}

export function vit(m: Model, s: VitSize): Value {
  const image = m.input([s.batch, 3, s.image, s.image]);
  const side = s.image / s.patch;
  const patches = m.op('conv2d', [image, m.param([s.dim, 3, s.patch, s.patch]), m.param([s.dim])], {
    stride: [s.patch, s.patch],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
  });
  const tokens = build.transpose(build.reshape(patches, [s.batch, s.dim, side * side]), [0, 2, 1]);
  const cls = build.broadcast(m.param([1, 1, s.dim]), [s.batch, 1, s.dim]);
  let x = build.add(build.concat([cls, tokens], 1), m.param([1, side * side + 1, s.dim]));
  for (let i = 0; i < s.depth; i++) x = block(m, x, s.heads, s.hidden);
  const first = build.reshape(build.sliceAxis(norm(m, x), 1, 0, 1), [s.batch, s.dim]);
  return linear(m, first, s.classes);
}
