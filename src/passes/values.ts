/** Small questions that several passes ask about values. */

import { dependsOnInput } from '../ir/affine/parse.js';
import { isRuled } from '../ir/affine/rules.js';
import { perSample } from '../ir/batch.js';
import { make, postorder, topological } from '../ir/graph.js';
import type { Interner } from '../ir/intern.js';
import { type Builder, type Make, makeBuilder } from '../ir/ops/builder.js';
import { costOf } from '../ir/ops/cost.js';
import { OPS, traitsOf } from '../ir/ops/index.js';
import { bytesOf } from '../ir/ops/shapes.js';
import type { Origin, Value } from '../ir/types.js';

/** Parameters of adapters have an `@` in their names; those of the model have none. */
export const isAdapterParam = (name: string): boolean => name.includes('@');

/** Whether the parameter was put there by a graft: an adapter's, or a mask. */
const isGrafted = (name: string): boolean => isAdapterParam(name) || name.endsWith('#mask');

/** Whether a value reads a parameter whose name has a property; remembered for every value on the way. */
export function reads(property: (name: string) => boolean): (value: Value) => boolean {
  const known = new WeakMap<Value, boolean>();
  return (value) => {
    if (!known.has(value)) {
      for (const v of topological([value])) {
        if (known.has(v)) continue;
        known.set(v, v.op === 'param' ? property(v.attrs.name) : v.inputs.some((x) => known.get(x)));
      }
    }
    return known.get(value) ?? false;
  };
}

/** Whether a value computed from parameters reads one of the model's own. */
export const readsBase = reads((name) => !isGrafted(name));

const readsGrafted = reads(isGrafted);

/** Whether an adapter or a mask made the value, or made a weight that it reads. */
export function isTouched(v: Value): boolean {
  return v.origin?.scope !== undefined || v.inputs.some((x) => !dependsOnInput(x) && readsGrafted(x));
}

/** Whether it is a layer of the model: its weight holds parameters of the model. */
export const isLayer = (v: Value): boolean => traitsOf(v).holds === 'layer' && readsBase(v.inputs[1]!);

/** Whether it is an operator between layers that has a rule and does something to numbers: a sum, a factor, a mean. */
export const isStep = (v: Value): boolean =>
  isRuled(v) && (traitsOf(v).pointwise || OPS[v.op].family === 'reduction') && dependsOnInput(v);

/**
 * One number to compare graphs by: operations, and bytes of what depends on the input, for one sample.
 */
export function weightOfCost(v: Value): number {
  if (!dependsOnInput(v) || v.op === 'input' || traitsOf(v).moves !== null) return 0;
  const moved = [v, ...v.inputs.filter(dependsOnInput)].reduce((n, x) => n + perSample(bytesOf(x.type)), 0);
  return costOf(v).flops + moved;
}

/** Values that depend on the input, from `roots` down to (not including) what `stop` holds; operands first. Roots are always taken. */
export function stretch(roots: readonly Value[], stop: (v: Value) => boolean): Value[] {
  const inside = (v: Value): boolean => dependsOnInput(v) && v.op !== 'input' && !stop(v);
  return postorder(roots.filter(dependsOnInput), (v) => v.inputs.filter(inside));
}

export interface Tools {
  readonly b: Builder;
  readonly make: Make;
}

/** Tools whose new values have this origin. */
export function withOrigin(interner: Interner, origin: Origin | undefined): Tools {
  const make: Make = (op, inputs, attrs, own) => interner.make(op, inputs, attrs, own ?? origin);
  return { b: makeBuilder(make), make };
}

/** The origin without the adapter that put the value there. */
export function unscoped(origin: Origin | undefined): Origin | undefined {
  if (!origin?.scope) return origin;
  const { scope: _, also: __, ...rest } = origin;
  return rest;
}

/** The same operator and operands with another origin. */
export function reorigin(v: Value, origin: Origin | undefined): Value {
  return make(v.op, v.inputs, v.attrs, origin);
}
