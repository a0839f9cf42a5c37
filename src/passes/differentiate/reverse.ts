/**
 * Reverse mode on the graph: cotangents of some values, given those of others, by the rules of the operator table. Only what a wanted value reaches
 * through differentiable operators is looked at, and a rule builds nothing for an operand that none of them reaches: what is frozen has no
 * cotangent, and nothing is computed that only such a one would need.
 */
import { postorder, rewriteValues, topological, withInputs } from '../../ir/graph.js';
import type { Interner } from '../../ir/intern.js';
import type { AnyDerivative, OpDef } from '../../ir/ops/define.js';
import { auxOf, OPS } from '../../ir/ops/index.js';
import { isFloat, sameType } from '../../ir/ops/shapes.js';
import type { About, OpName, Value } from '../../ir/types.js';
import { withAbout } from '../values.js';

/** Where differentiation starts: a value, and a cotangent of its type. */
export interface Seed {
  readonly value: Value;
  readonly cotangent: Value;
}

const entryOf = (v: Value): OpDef<OpName> => OPS[v.op] as unknown as OpDef<OpName>;

/** What is known of a value of the backward pass: where in the model it belongs. It is nobody's adapter: nothing of it could merge. */
const backward = ({ site, at }: About = {}): About => ({ ...(site ? { site } : {}), ...(at ? { at } : {}) });

/**
 * The values with every operator whose derivative is that of its decomposition replaced by it. Everything that is to be computed beside the
 * cotangents has to be among them, so that it shares what they share.
 */
export function decomposed(interner: Interner, roots: readonly Value[]): Value[] {
  const decomposes = (v: Value): boolean => entryOf(v).derivative === 'decompose';
  let now = [...roots];
  while (topological(now).some(decomposes)) {
    // Other results first, while their owners are there.
    const others = rewriteValues(now, (v, inputs) => {
      const owner = inputs[0];
      if (v.op !== 'aux' || !owner || !decomposes(owner)) return interner.seed(withInputs(v, inputs));
      return auxOf(owner, v.attrs.output)!.decompose!(withAbout(interner, v.about).b, owner.inputs, owner.attrs);
    });
    now = now.map(others);
    const owners = rewriteValues(now, (v, inputs) => {
      if (!decomposes(v)) return interner.seed(withInputs(v, inputs));
      return entryOf(v).decompose!(withAbout(interner, v.about).b, inputs, v.attrs);
    });
    now = now.map(owners);
  }
  return now;
}

/** Whether a cotangent goes from the value to its operand: numbers on both sides, and an operator that has a derivative. */
export const passesOn = (v: Value, operand: Value): boolean =>
  entryOf(v).derivative !== 'none' && isFloat(v.type.dtype) && isFloat(operand.type.dtype);

/** Of the values below `roots`, those from which a wanted one is reached by what passes cotangents on. */
function reaching(order: readonly Value[], wanted: readonly Value[]): ReadonlySet<Value> {
  const reached = new Set<Value>(wanted);
  for (const v of order) {
    if (
      v.op === 'aux'
        ? reached.has(v.inputs[0]!) && isFloat(v.type.dtype)
        : v.inputs.some((x) => reached.has(x) && passesOn(v, x))
    )
      reached.add(v);
  }
  return reached;
}

/**
 * The cotangents of `wanted`, in their order; undefined for one that no seed's value depends on.
 * @param seeds of values that `decomposed` gave
 */
export function cotangents(
  interner: Interner,
  seeds: readonly Seed[],
  wanted: readonly Value[],
): (Value | undefined)[] {
  const order = topological(seeds.map((s) => s.value));
  const reached = reaching(order, wanted);
  const own = new Map<Value, Value>();
  const others = new Map<Value, Record<string, Value>>();
  const sum = (v: Value, before: Value | undefined, part: Value): Value =>
    before ? withAbout(interner, backward(v.about)).b.add(before, part) : part;
  const give = (v: Value, part: Value): void => {
    if (!sameType(v.type, part.type)) throw new Error(`the cotangent of ${v.op} is of another type than it`);
    if (v.op === 'aux') {
      const owner = v.inputs[0]!;
      const known = others.get(owner) ?? {};
      const { output } = v.attrs;
      others.set(owner, { ...known, [output]: sum(owner, known[output], part) });
    } else own.set(v, sum(v, own.get(v), part));
  };
  for (const { value, cotangent } of seeds) if (reached.has(value)) give(value, cotangent);
  for (const v of order.reverse()) {
    if (v.op === 'aux' || v.inputs.length === 0 || (!own.has(v) && !others.has(v))) continue;
    const { derivative } = entryOf(v);
    if (derivative === 'none') continue;
    if (derivative === 'decompose') throw new Error(`${v.op} was not decomposed`);
    const parts = (derivative as unknown as AnyDerivative)({
      b: withAbout(interner, backward(v.about)).b,
      value: v,
      cotangent: own.get(v),
      others: others.get(v) ?? {},
      needed: v.inputs.map((x) => reached.has(x) && passesOn(v, x)),
    });
    parts.forEach((part, i) => {
      if (part) give(v.inputs[i]!, part);
    });
    // What is not asked for again is let go: a deep model has many.
    if (!wanted.includes(v)) own.delete(v);
  }
  return wanted.map((v) => own.get(v));
}

/**
 * What stands between a value and one that it is computed from: the lowest operator that passes no cotangent on to what it reads of that;
 * undefined where the value does not depend on it, or gives it one.
 */
export function cutBetween(value: Value, wanted: Value): Value | undefined {
  const reached = new Set([wanted]);
  for (const v of postorder([value], (x) => x.inputs)) {
    if (!v.inputs.some((x) => reached.has(x))) continue;
    if (v.op !== 'aux' && !v.inputs.some((x) => reached.has(x) && passesOn(v, x))) return v;
    reached.add(v);
  }
  return undefined;
}
