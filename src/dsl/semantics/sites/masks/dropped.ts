/**
 * Dropout under a mask over the sum of a layer and its adapters. What such a mask covers is a sum of matrices, so what an adapter computes by way of
 * a dropout is taken apart from the rest: y = (M * W) x + (M * D) dropout(x) + c, where D is what lies on the way through the dropout, without
 * it. The dropout then acts on what the layer reads: for one at an adapter's input that is what the adapter says, and for `drop_path`, which drops
 * samples as a whole, it is the same wherever it stands; one between an adapter's own factors drops elements of the layer's input instead.
 * Where a model infers, all dropouts are identities, and y = (M * (W + D)) x + c.
 */
import { build } from '../../../../ir/build.js';
import { constant, make, postorder, rewriteValues, topological, withInputs } from '../../../../ir/graph.js';
import { type Drop, isDrop } from '../../../../ir/ops/index.js';
import type { Value } from '../../../../ir/types.js';

/** A summand of y: what x goes through first, the first one first, and y as if nothing else were added. */
export interface Summand {
  readonly through: readonly Drop[];
  readonly y: Value;
}

/** y with dropouts as identities. */
export const undropped = (y: Value): Value => image(y, (v, inputs) => (isDrop(v) ? inputs[0]! : withInputs(v, inputs)));

/** What y is a sum of, up to what does not depend on x: first what no dropout lies on, then what comes through each one that y reads. */
export function summands(y: Value, x: Value): Summand[] {
  const drops = outermost(y);
  const none = (v: Value): Value => build.broadcast(constant(0, [], v.type.dtype), v.type.shape);
  const direct = image(y, (v, inputs) => (isDrop(v) ? none(v) : withInputs(v, inputs)), drops);
  const others = drops.map((drop): Summand => {
    const operand = drop.inputs[0]!;
    const rule = (v: Value, inputs: readonly Value[]) =>
      v === drop ? undropped(operand) : isDrop(v) ? none(v) : v === x ? none(x) : withInputs(v, inputs);
    return { through: [...topological([operand])].filter(isDrop).concat(drop), y: image(y, rule, drops) };
  });
  return [{ through: [], y: direct }, ...others];
}

/** x as it goes into a summand; each call draws for itself. */
export const dropped = (x: Value, through: readonly Drop[], stream: () => number): Value =>
  through.reduce((v, { op, attrs, about }) => make(op, [v], { rate: attrs.rate, stream: stream() }, about), x);

/** Dropouts that y reads other than through another one. */
function outermost(y: Value): Drop[] {
  const found = new Set<Drop>();
  for (const v of postorder<Value>([y], (w) => (isDrop(w) ? [] : w.inputs))) if (isDrop(v)) found.add(v);
  return [...found];
}

/** y by a rule; what is below `ends` is left as it is. */
function image(y: Value, rule: (v: Value, inputs: readonly Value[]) => Value, ends: readonly Value[] = []): Value {
  const cut = new Set(ends);
  return rewriteValues([y], rule, (v) => (cut.has(v) ? [] : v.inputs))(y);
}
