/** Parts that attention's meaning, its other results and its derivative are made of. */
import type { Value } from '../../types.js';
import type { Builder } from '../builder.js';

/** scale·q·kᵀ and the biases: [b, h, n, m]. */
export function attentionScores(b: Builder, [q, k, , ...bias]: readonly Value[], scale: number): Value {
  return bias.reduce((sum, t) => b.add(sum, t), b.mul(b.matmul(q!, b.matrixTranspose(k!)), scale));
}

/** log Σ e^x along an axis, which goes away. */
export function logSumExp(b: Builder, x: Value, axis: number): Value {
  const top = b.max(x, [axis], true);
  const sum = b.log(b.sum(b.exp(b.sub(x, top)), [axis], true));
  return b.reshape(
    b.add(sum, top),
    x.type.shape.filter((_, i) => i !== axis),
  );
}
