/** Reverse mode by the rules of the operator table, as far as testing them takes: no choice of what is saved, no owners, no passes. */
import { build } from '../../../src/ir/build.js';
import { rewriteValues, topological, withInputs } from '../../../src/ir/graph.js';
import type { AnyDerivative, OpDef } from '../../../src/ir/ops/define.js';
import { auxOf, OPS } from '../../../src/ir/ops/index.js';
import { isFloat, sameType } from '../../../src/ir/ops/shapes.js';
import type { OpName, Value } from '../../../src/ir/types.js';

const entryOf = (v: Value): OpDef<OpName> => OPS[v.op] as unknown as OpDef<OpName>;

/** The values with every operator whose derivative is that of its decomposition replaced by it; `same` keeps one. */
function decomposed(roots: readonly Value[]): Value[] {
  let now = [...roots];
  for (;;) {
    const owner = (v: Value): Value | undefined => (v.op === 'aux' ? v.inputs[0] : undefined);
    const others = rewriteValues(now, (v, inputs) => {
      const of = owner(v);
      if (!of || entryOf(of).derivative !== 'decompose') return withInputs(v, inputs);
      const image = inputs[0]!;
      return auxOf(image, (v as Extract<Value, { op: 'aux' }>).attrs.output)!.decompose!(
        build,
        image.inputs,
        image.attrs,
      );
    });
    const next = now.map(others);
    const image = rewriteValues(next, (v, inputs) =>
      entryOf(v).derivative === 'decompose' ? entryOf(v).decompose!(build, inputs, v.attrs) : withInputs(v, inputs),
    );
    const found = next.map(image);
    if (found.every((v, i) => v === now[i])) return found;
    now = found;
  }
}

export interface Seed {
  readonly value: Value;
  /** Of the value's type. */
  readonly cotangent: Value;
}

/** The cotangents of some arguments, given those of some values; undefined for one that these do not depend on. */
export function cotangents(seeds: readonly Seed[], wanted: readonly Value[]): (Value | undefined)[] {
  const roots = decomposed(seeds.map((s) => s.value));
  const order = topological(roots);
  const reached = new Set<Value>(wanted);
  for (const v of order) if (v.inputs.some((x) => reached.has(x)) && isFloat(v.type.dtype)) reached.add(v);
  const found = new Map<Value, Value>();
  const others = new Map<Value, Record<string, Value>>();
  const give = (v: Value, part: Value): void => {
    if (!sameType(v.type, part.type)) throw new Error(`a cotangent of ${v.op} has another type than it`);
    if (v.op === 'aux') {
      const owner = v.inputs[0]!;
      const known = others.get(owner) ?? {};
      const before = known[v.attrs.output];
      others.set(owner, { ...known, [v.attrs.output]: before ? build.add(before, part) : part });
      return;
    }
    const before = found.get(v);
    found.set(v, before ? build.add(before, part) : part);
  };
  roots.forEach((v, i) => {
    give(v, seeds[i]!.cotangent);
  });
  for (const v of order.reverse()) {
    if (v.op === 'aux' || (!found.has(v) && !others.has(v))) continue;
    const { derivative } = entryOf(v);
    if (derivative === 'none') continue;
    if (derivative === 'decompose') throw new Error(`${v.op} was not decomposed`);
    const needed = v.inputs.map((x) => reached.has(x));
    const parts = (derivative as unknown as AnyDerivative)({
      b: build,
      value: v,
      cotangent: found.get(v),
      others: others.get(v) ?? {},
      needed,
    });
    if (parts.length !== v.inputs.length) throw new Error(`${v.op} has ${v.inputs.length} operands`);
    parts.forEach((part, i) => {
      if (part && !needed[i]) throw new Error(`${v.op} builds what nobody needs`);
      if (part) give(v.inputs[i]!, part);
    });
  }
  return wanted.map((v) => found.get(v));
}
