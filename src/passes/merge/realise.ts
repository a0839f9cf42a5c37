/**
 * From an affine form back to operators: each term becomes one layer, or keeps its factors where those are cheaper, or is read as it
 * is; the shift becomes a layer's bias where it can.
 */
import { apply, materialise } from '../../ir/affine/apply.js';
import { type Form, fullShift, type Term } from '../../ir/affine/form.js';
import { holdsKron, type Matrix, sum } from '../../ir/affine/matrix.js';
import type { Builder } from '../../ir/ops/builder.js';
import type { Value } from '../../ir/types.js';
import type { AdapterMode } from '../pass.js';
import type { Tools } from '../values.js';

export interface Realised {
  readonly value: Value;
  /** Every operator that an adapter brought went into a layer of the model. */
  readonly clean: boolean;
}

type Price = (value: Value, x: Value) => number;

interface Part {
  readonly term: Term;
  readonly m: Matrix;
  readonly how: 'copy' | 'scale' | 'layer' | 'factors';
}

/**
 * The form as operators, or undefined where no operator can apply it (a mixing of channels on an axis that no layer reads).
 * `foreign` says whether a constant holds an adapter's parameters, `price` what a value costs that is computed from x. With `auto`, a term that no
 * layer of the model takes in keeps its factors where applying them costs less than one dense layer; `merged` multiplies Kronecker products out.
 */
export function realise(
  tools: Tools,
  form: Form,
  shape: readonly number[],
  axis: number,
  foreign: (constant: Value) => boolean,
  adapters: AdapterMode,
  price: Price,
): Realised | undefined {
  const { b } = tools;
  const last = axis === shape.length - 1;
  const image = axis === 1 && shape.length === 4;
  const parts = form.terms.flatMap((t) => partsOf(b, t, (m) => last && (adapters === 'auto' || !holdsKron(m)), price));
  if (parts.some((p) => p.how === 'layer' && !last && !image)) return undefined;

  const layers = parts.filter((p) => p.how === 'layer');
  const home = form.c?.kind === 'channel' ? (layers.find((p) => p.term.base) ?? layers[0]) : undefined;
  let clean = parts.every((p) => p.how === 'copy' || (p.how === 'layer' && p.term.base));
  const along = (v: Value): Value =>
    v.type.shape.length === 0
      ? v
      : b.reshape(v, [v.type.shape[0]!, ...new Array<number>(shape.length - axis - 1).fill(1)]);

  const values = parts.map((p): Value => {
    const { x } = p.term;
    const bias = p === home ? form.c?.value : undefined;
    switch (p.how) {
      case 'copy':
        return x;
      case 'scale':
        return p.m.kind === 'diagonal' ? b.mul(x, along(p.m.scale)) : x;
      case 'factors':
        return apply(b, p.m, x);
      default:
        return layer(tools, p, x, bias, last);
    }
  });
  let value = values.length > 0 ? values.reduce((p, q) => b.add(p, q)) : undefined;
  if (form.c && !home) {
    const shift = fullShift(b, form.c, shape, axis);
    if (foreign(shift)) clean = false;
    const thin = form.c.kind === 'channel' ? along(form.c.value) : shift;
    value = value ? b.add(value, thin) : b.broadcast(shift, shape);
  }
  return { value: value ?? b.constant(0, 'f32', shape), clean };
}

function partsOf(b: Builder, term: Term, mayFollow: (m: Matrix) => boolean, price: Price): Part[] {
  if (term.patches) return [{ term, m: term.m, how: 'layer' }];
  const all = term.m.kind === 'sum' ? term.m.terms : [term.m];
  const simple = all.filter((m) => m.kind === 'identity' || m.kind === 'diagonal');
  const rest = all.filter((m) => m.kind !== 'identity' && m.kind !== 'diagonal');
  const parts: Part[] = simple.map((m) => ({ term, m, how: m.kind === 'identity' ? 'copy' : 'scale' }));
  if (rest.length > 0) {
    // With nothing split off, the matrix itself: it may know a value that it already is.
    const m = simple.length === 0 ? term.m : sum(b, rest);
    parts.push({ term, m, how: mayFollow(m) && factorsCostLess(b, m, term.x, price) ? 'factors' : 'layer' });
  }
  return parts;
}

function factorsCostLess(b: Builder, m: Matrix, x: Value, price: Price): boolean {
  if (m.kind === 'dense') return false;
  // What the weight is computed from does not matter here: a layer of its size costs the same whatever it holds.
  const whole = b.linear(x, b.constant(0, x.type.dtype, [m.out, m.in]));
  return price(apply(b, m, x), x) < price(whole, x);
}

function layer({ b, make }: Tools, p: Part, x: Value, bias: Value | undefined, last: boolean): Value {
  const w = materialise(b, p.m);
  const operands = (weight: Value): Value[] => (bias ? [x, weight, bias] : [x, weight]);
  if (p.term.patches) {
    const { attrs, kernel } = p.term.patches;
    const width = p.m.in / (kernel[0] * kernel[1]);
    return make('conv2d', operands(b.reshape(w, [p.m.out, width, ...kernel])), attrs);
  }
  if (last) return b.linear(x, w, bias);
  return make('conv2d', operands(b.reshape(w, [p.m.out, p.m.in, 1, 1])), {
    stride: [1, 1],
    padding: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 1,
  });
}
