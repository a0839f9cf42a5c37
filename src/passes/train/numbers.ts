/**
 * What a function computes from scalar arguments alone is taken out of it: another function computes it, for the host to interpret in f64, and its results
 * come in as one argument. 1 - beta^t loses three digits in f32 when t is small, and a GPU computes a power less well than that.
 */
import { build } from '../../ir/build.js';
import { input, mapRoots, rewriteValues, rootsOf, topological, withInputs } from '../../ir/graph.js';
import type { Func, Value } from '../../ir/types.js';

export interface HostNumbers {
  /** Of the new argument. */
  readonly name: string;
  /** Without scalar arguments; with one more, f32[n], if any of them was read. */
  readonly func: Func;
  /** The scalar arguments -> `0`, `1`, ...: what the new argument holds, in order. */
  readonly host: Func;
}

/** @param name of the argument that takes their place */
export function hostNumbers(func: Func, name: string): HostNumbers {
  const scalar = new Set<Value>(func.inputs.filter((v) => v.type.dtype === 'f32' && v.type.shape.length === 0));
  const own = new Set(scalar);
  const order = topological(rootsOf(func));
  for (const v of order) {
    const computed =
      v.inputs.length > 0 && v.inputs.every((x) => scalar.has(x) || (x.op === 'constant' && isScalar(x)));
    if (computed && isScalar(v) && v.inputs.some((x) => scalar.has(x))) scalar.add(v);
  }
  // What others read, or is a root: nothing below it is needed beside it.
  const taken = new Set<Value>();
  for (const v of order) if (!scalar.has(v)) for (const x of v.inputs) if (scalar.has(x)) taken.add(x);
  for (const v of rootsOf(func)) if (scalar.has(v)) taken.add(v);
  const list = [...taken];
  const host: Func = {
    name,
    inputs: func.inputs.filter((v) => own.has(v)),
    results: list.map((value, i) => ({ name: String(i), value })),
    updates: [],
  };
  const inputs = func.inputs.filter((v) => !own.has(v));
  if (list.length === 0) return { name, func: { ...func, inputs }, host };
  const all = input(name, { dtype: 'f32', shape: [list.length] });
  const at = new Map(list.map((v, i) => [v, build.reshape(build.sliceAxis(all, 0, i, i + 1), [])]));
  const image = rewriteValues(
    rootsOf(func),
    (v, operands) => at.get(v) ?? (operands.length === 0 ? v : withInputs(v, operands)),
    (v) => (at.has(v) ? [] : v.inputs),
  );
  return { name, func: { ...mapRoots(func, image), inputs: [...inputs, all] }, host };
}

const isScalar = (v: Value): boolean => v.type.dtype === 'f32' && v.type.shape.length === 0;
