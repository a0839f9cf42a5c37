/** The gradients of a function's result: another function, which gives them beside everything that the first gives. */
import { topological } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import type { Func, Value } from '../../ir/types.js';
import { cotangents, cutBetween, decomposed } from './reverse.js';

/** Gradients of a scalar, by the names of the parameters that they are of. */
export interface Gradients {
  /** The function's results and updates, rewritten so that the gradients share what they can with them. */
  readonly func: Func;
  /** Those that the backward pass comes to first, first: whoever uses them in this order holds the fewest values. */
  readonly of: ReadonlyMap<string, Value>;
  /** The same of arguments, by theirs: those that the result depends on. */
  readonly ofInputs: ReadonlyMap<string, Value>;
  /** Parameters that get none, and what cuts them off: the operator through which the result depends on them, or nothing, where it does not. */
  readonly without: ReadonlyMap<string, Value | undefined>;
}

/**
 * @param result Name of the result that is differentiated, an f32 scalar.
 * @param params Names of parameters: what is not among them is frozen, and costs nothing.
 * @param inputs Names of arguments.
 * @throws RangeError for a result that is not there or is not a scalar.
 */
export function gradientsOf(
  func: Func,
  result: string,
  params: readonly string[],
  inputs: readonly string[] = [],
): Gradients {
  const at = func.results.findIndex((r) => r.name === result);
  const scalar = func.results[at]?.value.type;
  if (scalar?.dtype !== 'f32' || scalar.shape.length > 0)
    throw new RangeError(`${func.name} has no scalar result ${result}`);
  const interner = new Interner();
  const roots = decomposed(
    interner,
    [...func.results, ...func.updates].map((r) => r.value),
  );
  const loss = roots[at]!;
  const wanted = new Map<string, Value>();
  const asked = new Set(params);
  // One value reads each parameter: equal ones became one.
  for (const v of topological([loss])) if (v.op === 'param' && asked.has(v.attrs.name)) wanted.set(v.attrs.name, v);
  const given = new Map<string, Value>();
  for (const v of topological([loss]))
    if (v.op === 'input' && inputs.includes(v.attrs.name)) given.set(v.attrs.name, v);
  const one = interner.build.constant(1);
  const latest = [...wanted].reverse();
  const by = [...latest, ...given];
  const found = cotangents(
    interner,
    [{ value: loss, cotangent: one }],
    by.map(([, value]) => value),
  );
  const gradients = by.map(([name], i) => [name, found[i]] as const);
  const there = (list: typeof gradients): Map<string, Value> =>
    new Map(list.flatMap(([name, gradient]) => (gradient ? [[name, gradient] as const] : [])));
  const of = there(gradients.slice(0, latest.length));
  const ofInputs = there(gradients.slice(latest.length));
  const missing = params.filter((name) => !of.has(name));
  return {
    func: {
      ...func,
      results: func.results.map(({ name }, i) => ({ name, value: roots[i]! })),
      updates: func.updates.map(({ state }, i) => ({ state, value: roots[func.results.length + i]! })),
    },
    of,
    ofInputs,
    without: new Map(
      missing.map((name) => {
        const param = wanted.get(name);
        return [name, param && cutBetween(loss, param)];
      }),
    ),
  };
}
