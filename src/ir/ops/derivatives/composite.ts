/** Reverse mode for composites whose derivative is shorter, or needs less memory, than that of what they decompose to. */
import type { Value } from '../../types.js';
import { attentionScores } from '../decompose/attention.js';
import type { Derivative } from '../define.js';
import { meanOf } from './reduce.js';
import { along, ofValue, sumOf, sumTo, wanted } from './rule.js';

/** y(dy - Σ dy·y), and y times what the log-sum-exp got. */
export const softmax: Derivative<'softmax'> = ({ b, value: y, cotangent: dy, others, needed }) => {
  const { axis } = y.attrs;
  return wanted(y, needed, [
    () => {
      const lse = others.lse && along(b, others.lse, axis);
      if (!dy) return lse && b.mul(y, lse);
      const common = b.sum(b.mul(dy, y), [axis], true);
      return b.mul(y, b.sub(dy, lse ? b.sub(common, lse) : common));
    },
  ]);
};

/** With x̂ = (x - mean)·rstd and g = dy·gain: rstd(g - mean g - x̂·mean(g·x̂)). The statistics are those of the norm's own kernel. */
export const layer_norm: Derivative<'layer_norm'> = ({ b, value, cotangent: dy, others, needed }) => {
  const [x, gain, shift] = value.inputs as readonly [Value, Value?, Value?];
  const axis = x.type.shape.length - 1;
  const width = x.type.shape[axis]!;
  const column = (v: Value): Value => along(b, v, axis);
  const rstd = column(b.aux(value, 'rstd'));
  const normal = b.mul(b.sub(x, column(b.aux(value, 'mean'))), rstd);
  const mean = (v: Value): Value => b.mean(v, [axis], true);
  return wanted(value, needed, [
    () => {
      const g = dy && gain ? b.mul(dy, gain) : dy;
      return sumOf(b, [
        g && b.mul(rstd, b.sub(b.sub(g, mean(g)), b.mul(normal, mean(b.mul(g, normal))))),
        others.mean && b.broadcast(column(meanOf(b, others.mean, width)), x.type.shape),
        others.rstd && b.neg(b.mul(normal, b.mul(column(meanOf(b, others.rstd, width)), b.mul(rstd, rstd)))),
      ]);
    },
    () => dy && sumTo(b, b.mul(dy, normal), gain!.type.shape),
    () => dy && sumTo(b, dy, shift!.type.shape),
  ]);
};

/**
 * From q, k, v, the result and its log-sum-exp, as in FlashAttention: the weights p = e^(scores - lse) are computed again, not kept from the
 * forward pass. With D = Σ dy·y, what the scores get is p(dy·vᵀ - D), and what lse got added to the bracket.
 */
export const attention: Derivative<'attention'> = ({ b, value, cotangent: dy, others, needed }) => {
  const [q, k, v, ...bias] = value.inputs as readonly [Value, Value, Value, ...Value[]];
  const { scale } = value.attrs;
  const scores = attentionScores(b, value.inputs, scale);
  const p = b.exp(b.sub(scores, along(b, b.aux(value, 'lse'), 3)));
  const lse = others.lse && along(b, others.lse, 3);
  const bracket = dy
    ? b.sub(b.matmul(dy, b.matrixTranspose(v)), sumOf(b, [b.sum(b.mul(dy, value), [3], true), lse && b.neg(lse)])!)
    : lse;
  const ds = bracket && b.mul(p, bracket);
  return wanted(value, needed, [
    () => ds && b.mul(b.matmul(ds, k), scale),
    () => ds && b.mul(b.matmul(b.matrixTranspose(ds), q), scale),
    () => dy && b.matmul(b.matrixTranspose(p), dy),
    ...bias.map((t) => () => ds && sumTo(b, ds, t.type.shape)),
  ]);
};

/** a·x = b: db solves with aᵀ, and da = -db·xᵀ. */
export const solve = ofValue<'solve'>((b, x, dx) => {
  const db = (): Value => b.solve(b.transpose(x.inputs[0]!), dx);
  return [() => b.neg(b.matmul(db(), b.transpose(x))), db];
});
