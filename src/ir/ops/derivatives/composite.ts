/** Reverse mode for composites whose derivative is shorter, or needs less memory, than that of what they decompose to. */
import type { Value } from '../../types.js';
import { ofValue } from './rule.js';

export const softmax = ofValue<'softmax'>((b, y, dy) => [
  () => {
    const { axis } = y.attrs;
    return b.mul(y, b.sub(dy, b.sum(b.mul(dy, y), [axis], true)));
  },
]);

/** a·x = b: db solves with aᵀ, and da = -db·xᵀ. */
export const solve = ofValue<'solve'>((b, x, dx) => {
  const db = (): Value => b.solve(b.transpose(x.inputs[0]!), dx);
  return [() => b.neg(b.matmul(db(), b.transpose(x))), db];
});
