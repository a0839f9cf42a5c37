/**
 * Of what parameters alone compute, equal parts are computed once: a broadcast moves out of what reads it, f(broadcast(x)) is broadcast(f(x)).
 * So prompts that are normalised for each image of a batch are normalised once, stored once, and do not depend on the batch size.
 */
import { dependsOnInput } from '../ir/affine/parse.js';
import { mixedAxes, type Rearranging, ruleIn, traitsOf } from '../ir/ops/index.js';
import { sameShape, sizeOf, tryBroadcast } from '../ir/ops/shapes.js';
import type { OpName, Value, ValueOf } from '../ir/types.js';
import type { Tools } from './values.js';

/** The value over what is repeated, and then repeated; undefined where nothing is. */
export function lifted(v: Value, t: Tools): Value | undefined {
  if (v.inputs.length === 0 || dependsOnInput(v)) return undefined;
  const made = overThin(v, t);
  return made && sizeOf(made.type.shape) < sizeOf(v.type.shape) ? t.b.broadcast(made, v.type.shape) : undefined;
}

function overThin(v: Value, t: Tools): Value | undefined {
  const x = v.inputs[0]!;
  if (traitsOf(v).pointwise) {
    const cores = v.inputs.map((y) => core(y, t));
    return cores.some((c, i) => c !== v.inputs[i]) && broadcastable(cores) ? t.make(v.op, cores, v.attrs) : undefined;
  }
  if (v.op === 'concat') return concatenated(v, t);
  if (x.op !== 'broadcast') return undefined;
  const thin = thinned(x, t);
  const repeated = (axis: number): boolean => thin.type.shape[axis] !== x.type.shape[axis];
  const rule = ruleIn<Rule<never>>(RULES, v.op);
  if (rule) return rule(v as never, thin, repeated, t);
  // Axes that the operator leaves apart.
  const mixed = mixedAxes(v);
  if (!mixed || mixed.some(repeated) || x.type.shape.length !== v.type.shape.length) return undefined;
  return t.make(v.op, [thin, ...v.inputs.slice(1)], v.attrs);
}

/** @param thin what the first operand repeats, of its rank; `repeated`: along which axes */
type Rule<O extends OpName> = (
  v: ValueOf<O>,
  thin: Value,
  repeated: (axis: number) => boolean,
  t: Tools,
) => Value | undefined;

/** Null: what has other axes than its first operand, and is computed as often as it stands there; or by the axes that it leaves apart, where it does. */
const RULES: { readonly [O in Rearranging]: Rule<O> | null } & {
  readonly [O in Exclude<OpName, Rearranging>]?: Rule<O>;
} = {
  broadcast: () => undefined,
  transpose: (v, thin, _repeated, t) => t.make(v.op, [thin], v.attrs),
  slice: (v, thin, repeated, t) => {
    const { start, end } = v.attrs;
    const cut = (list: readonly number[], one: number): number[] => list.map((n, i) => (repeated(i) ? one : n));
    return t.b.slice(thin, cut(start, 0), cut(end, 1));
  },
  reshape: (v, thin, repeated, t) => {
    // Axes in front that the reshape leaves alone.
    const { shape } = v.inputs[0]!.type;
    let kept = 0;
    while (kept < shape.length && shape[kept] === v.type.shape[kept]) kept++;
    if (shape.some((_, axis) => axis >= kept && repeated(axis))) return undefined;
    return t.b.reshape(thin, [...thin.type.shape.slice(0, kept), ...v.type.shape.slice(kept)]);
  },
  reduce_sum: null,
  reduce_mean: null,
  reduce_max: null,
  gather: null,
  scatter_add: null,
  searchsorted: null,
  argmax: null,
  kron: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  solve: null,
  random_bits: null,
  aux: null,
};

/** What a value repeats; a constant repeats one number. */
function core(x: Value, t: Tools): Value {
  if (x.op === 'broadcast') return x.inputs[0]!;
  return x.op === 'constant' && x.type.shape.length > 0 ? t.b.constant(x.attrs.value, x.attrs.dtype) : x;
}

function broadcastable(values: readonly Value[]): boolean {
  let shape: readonly number[] | undefined = [];
  for (const v of values) shape = shape && tryBroadcast(shape, v.type.shape);
  return shape !== undefined;
}

/** What a broadcast repeats, of its rank: 1 along the axes on which it does. */
function thinned(x: Value, t: Tools): Value {
  const from = x.op === 'broadcast' ? x.inputs[0]! : x;
  const front = x.type.shape.length - from.type.shape.length;
  return front === 0 ? from : t.b.reshape(from, [...new Array<number>(front).fill(1), ...from.type.shape]);
}

/** Parts that all repeat along the same other axes are joined once. */
function concatenated(v: Extract<Value, { op: 'concat' }>, t: Tools): Value | undefined {
  const thin = v.inputs.map((x) => thinned(x, t));
  const shape = v.type.shape.map((d, axis) =>
    axis !== v.attrs.axis && thin.every((x) => x.type.shape[axis] === 1) ? 1 : d,
  );
  if (sameShape(shape, v.type.shape)) return undefined;
  const parts = thin.map((x, i) =>
    t.b.broadcast(
      x,
      shape.map((d, axis) => (axis === v.attrs.axis ? v.inputs[i]!.type.shape[axis]! : d)),
    ),
  );
  return t.make('concat', parts, v.attrs);
}
