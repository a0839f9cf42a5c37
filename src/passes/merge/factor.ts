/**
 * Adapters kept as factors: weights that are sums of a layer's own and an adapter's are taken apart, `W + D` becomes `x·Wᵀ + x·Dᵀ`, and
 * the adapter's part is applied factor by factor. Of a Kronecker product nothing of its size is ever made.
 */
import { adaptersOf, ownedBy } from '../../ir/about.js';
import { apply, applyCost, materialise } from '../../ir/affine/apply.js';
import {
  cols,
  diagonal,
  holdsKron,
  type Matrix,
  product,
  rows,
  somePart,
  sum,
  transposed,
  zero,
} from '../../ir/affine/matrix.js';
import { dependsOnInput, matrixOf } from '../../ir/affine/parse.js';
import { mapRoots, rewriteValues, rootsOf, withInputs } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import type { Builder } from '../../ir/ops/builder.js';
import type { Func, Value } from '../../ir/types.js';
import { leftOf, ownersIn } from '../owners.js';
import { overFunc, type Pass } from '../pass.js';
import { withAbout } from '../values.js';

export const factor: Pass = {
  name: 'factor',
  doc: 'With `adapters: factored`, adapters stay beside their layers and Kronecker products are applied by their factors.',
  run: overFunc((func, _, ctx) => (ctx.adapters === 'factored' ? factored(func) : func)),
};

function factored(func: Func): Func {
  const interner = new Interner();
  const image = rewriteValues(rootsOf(func), (v, inputs) => {
    const kept = interner.seed(withInputs(v, inputs));
    if (!dependsOnInput(kept)) return kept;
    return apart(interner, kept) ?? kept;
  });
  return mapRoots(func, image);
}

/** A layer's result as that of its own weight plus that of the adapter's factors. */
function apart(interner: Interner, v: Value): Value | undefined {
  if (v.op !== 'linear' && v.op !== 'matmul') return undefined;
  const [x, weight, bias] = v.inputs as [Value, Value, Value | undefined];
  if (dependsOnInput(weight) || !dependsOnInput(x) || weight.type.shape.length !== 2) return undefined;
  const owners = ownersIn([weight]);
  if (owners.size === 0) return undefined;
  const among = [adaptersOf(v.about), v.about?.inside ?? [], [...owners]].find((a) => a.length > 0)!;
  const constants = withAbout(interner, ownedBy(v.about, among)).b;
  const read = matrixOf(constants, weight);
  const whole = v.op === 'linear' ? read : transposed(constants, read);
  // A scale of the rows that an adapter brought stays outside: inside it would be multiplied into the model's weight.
  const scaled = whole.kind === 'product' && whole.left.kind === 'diagonal' && whole.left.scale.op !== 'constant';
  const [own, added] = split(constants, scaled ? whole.right : whole);
  if (added.kind === 'zero') return undefined;
  const beside = [materialise(constants, added), ...(scaled ? [whole.left.scale] : [])];
  const left = leftOf(among, own.kind === 'zero' ? [] : [materialise(constants, own)], beside);
  const { b } = withAbout(interner, ownedBy(v.about, left));
  const followed = holdsKron(added) || applyCost(added) < added.out * added.in;
  const delta = followed ? apply(b, added, x) : b.linear(x, materialise(b, added));
  if (own.kind === 'zero' && !followed) return undefined;
  const base = (withBias: Value | undefined): Value | undefined =>
    own.kind === 'zero' ? undefined : withAbout(interner, v.about).b.linear(x, materialise(b, own), withBias);
  if (!scaled) {
    const layer = base(bias);
    return layer ? b.add(layer, delta) : bias ? b.add(delta, bias) : delta;
  }
  const layer = base(undefined);
  const y = b.mul(layer ? b.add(layer, delta) : delta, whole.left.scale);
  return bias ? b.add(y, bias) : y;
}

/** The model's own part and the adapter's. What mixes them otherwise than by sums counts as the model's own. */
function split(b: Builder, m: Matrix): [own: Matrix, added: Matrix] {
  const none = zero(m.out, m.in);
  const pairs = (list: readonly Matrix[]): [Matrix[], Matrix[]] => {
    const both = list.map((x) => split(b, x));
    return [both.map((p) => p[0]), both.map((p) => p[1])];
  };
  switch (m.kind) {
    case 'sum': {
      const [own, added] = pairs(m.terms);
      return [added.every((x) => x.kind === 'zero') ? m : sum(b, own), sum(b, added)];
    }
    case 'rows':
    case 'cols': {
      const [own, added] = pairs(m.parts);
      if (added.every((x) => x.kind === 'zero')) return [m, none];
      return m.kind === 'rows' ? [rows(b, own), rows(b, added)] : [cols(own), cols(added)];
    }
    case 'product': {
      if (m.left.kind === 'diagonal') {
        const scale = m.left.scale;
        const [own, added] = split(b, m.right);
        if (own.kind === 'zero') return [none, m];
        // A scale that the adapter brought must not be multiplied into the model's weight: that would be merging.
        if (added.kind === 'zero' || scale.op !== 'constant') return [m, none];
        return [product(b, diagonal(m.out, scale), own), product(b, diagonal(m.out, scale), added)];
      }
      return readsOwn(m) ? [m, none] : [none, m];
    }
    default:
      return readsOwn(m) ? [m, none] : [none, m];
  }
}

/** Whether it holds a parameter of the model itself. */
const readsOwn = (m: Matrix): boolean =>
  somePart(m, (x) => (x.kind === 'dense' && x.value.readsBase) || (x.kind === 'diagonal' && x.scale.readsBase));
