/**
 * Functions of more rows than fit into memory: split into what is gathered part by part, and what is computed from it at the end. The rows are
 * those of an argument of [b, ...]: any number of them. What leaves the rows, a sum, a mean, a largest element, a product over them, is the sum or
 * the largest of what parts of the rows give.
 */
import { hasBatch, perSample } from './batch.js';
import { build } from './build.js';
import { input, make, postorder, rewriteValues, rootsOf, topological } from './graph.js';
import { type Rearranging, ruleIn } from './ops/index.js';
import { sizeOf } from './ops/shapes.js';
import type { Func, OpName, Value, ValueOf } from './types.js';

/** How what two parts of the rows give becomes what both give. */
export type Together = 'sum' | 'max';

export interface Gathered {
  /** Its arguments as before; results by name, for a part of the rows. */
  readonly each: Func;
  readonly together: ReadonlyMap<string, Together>;
  /** The arguments that are no rows, in their order; then the same results, and `ROWS`, how many rows there were, where it reads them. */
  readonly end: Func;
}

/** Why a function is not such a one. */
export interface NotGathered {
  /** The value that needs all rows at once. */
  readonly at: Value;
  /** `rows`: it leaves the rows in another way, or its result has rows. `again`: it needs the rows a second time, when what was gathered is known. */
  readonly why: 'rows' | 'again';
}

/** The argument of `end` that is the number of rows. */
export const ROWS = 'rows';

/** @param func Of one argument whose first axis is the batch, which are the rows, and others that have none. */
export function gathered(func: Func): Gathered | NotGathered {
  const roots = rootsOf(func);
  const each: { name: string; value: Value }[] = [];
  const together = new Map<string, Together>();
  const images = new Map<Value, Value>();
  const gather = (value: Value, how: Together): Value => {
    const name = `part${each.length}`;
    each.push({ name, value });
    together.set(name, how);
    return input(name, value.type);
  };
  const counted = input(ROWS, { dtype: 'f32', shape: [] });
  for (const v of topological(roots)) {
    if (v.op === 'batch_size') images.set(v, counted);
    else if (!hasBatch(v.type.shape) && v.inputs.some((x) => hasBatch(x.type.shape))) {
      const left = leaving(v, gather, counted);
      if (!left) return { at: v, why: 'rows' };
      images.set(v, left);
    }
  }
  const within = roots.find((v) => hasBatch(v.type.shape));
  if (within) return { at: within, why: 'rows' };
  // Below what is gathered nothing that was gathered is read, nor how many rows there are in all.
  const below = postorder(
    each.map((e) => e.value),
    (v) => v.inputs,
  );
  const again = below.find((v) => v.inputs.some((x) => images.has(x)));
  if (again) return { at: again, why: 'again' };
  const end = rewriteValues(
    roots,
    (v, inputs) => images.get(v) ?? (v.op === 'input' ? v : make(v.op, inputs, v.attrs, v.about)),
    (v) => (images.has(v) ? [] : v.inputs),
  );
  const results = func.results.map(({ name, value }) => ({ name, value: end(value) }));
  const own = func.inputs.filter((v) => !hasBatch(v.type.shape));
  const found = topological(results.map((r) => r.value)).filter((v) => v.op === 'input' && !own.includes(v));
  return {
    each: { name: 'each', inputs: func.inputs, results: each, updates: [] },
    together,
    end: { name: 'end', inputs: [...own, ...found], results, updates: [] },
  };
}

type Leaving<O extends OpName> = (v: ValueOf<O>, gather: Gather, rows: Value) => Value | undefined;
type Gather = (part: Value, how: Together) => Value;

/** How a value without rows comes from parts of the rows. Null: it does not, as far as is known. */
const LEAVING: { readonly [O in Rearranging]: Leaving<O> | null } & {
  readonly [O in Exclude<OpName, Rearranging>]?: Leaving<O>;
} = {
  reduce_max: (v, gather) => gather(v, 'max'),
  reduce_sum: (v, gather) => gather(v, 'sum'),
  reduce_mean: (v, gather, rows) => {
    const [x] = v.inputs;
    const total = gather(build.sum(x!, v.attrs.axes, v.attrs.keep, v.about), 'sum');
    const beside = sizeOf(v.attrs.axes.map((axis) => perSample(x!.type.shape[axis]!)));
    return build.div(total, build.mul(rows, build.constant(beside, 'f32', [])), v.about);
  },
  // Of rows with rows: the sum over them.
  matmul: (v, gather) => (v.inputs.every((x) => hasBatch(x.type.shape)) ? gather(v, 'sum') : undefined),
  argmax: null,
  reshape: null,
  transpose: null,
  gather: null,
  scatter_add: null,
  searchsorted: null,
  kron: null,
  conv2d_transpose: null,
  conv2d_weight: null,
  solve: null,
  random_bits: null,
  aux: null,
};

/** A value without rows, computed from what has some, by what parts of the rows give; undefined where it is not. */
const leaving = (v: Value, gather: Gather, rows: Value): Value | undefined =>
  ruleIn<Leaving<never>>(LEAVING, v.op)?.(v as never, gather, rows);
