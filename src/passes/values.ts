/** Small questions that several passes ask about values. */

import { dependsOnInput } from '../ir/affine/parse.js';
import { isRuled } from '../ir/affine/rules.js';
import { make, postorder } from '../ir/graph.js';
import type { Interner } from '../ir/intern.js';
import { type Builder, type Make, makeBuilder } from '../ir/ops/builder.js';
import { OPS, traitsOf } from '../ir/ops/index.js';
import type { About, Value } from '../ir/types.js';

/** Whether an adapter or a mask made the value, or made a weight that it reads. */
export function isTouched(v: Value): boolean {
  return v.about?.owner !== undefined || v.inputs.some((x) => !dependsOnInput(x) && x.readsGrafted);
}

/** Whether it is a layer of the model: its weight holds parameters of the model. */
export const isLayer = (v: Value): boolean => traitsOf(v).holds === 'layer' && v.inputs[1]!.readsBase;

/** Whether it is an operator between layers that has a rule and does something to numbers: a sum, a factor, a mean. */
export const isStep = (v: Value): boolean =>
  isRuled(v) && (traitsOf(v).pointwise || OPS[v.op].family === 'reduction') && dependsOnInput(v);

/** Values that depend on the input, from `roots` down to (not including) what `stop` holds; operands first. Roots are always taken. */
export function stretch(roots: readonly Value[], stop: (v: Value) => boolean): Value[] {
  const inside = (v: Value): boolean => dependsOnInput(v) && v.op !== 'input' && !stop(v);
  return postorder(roots.filter(dependsOnInput), (v) => v.inputs.filter(inside));
}

export interface Tools {
  readonly b: Builder;
  readonly make: Make;
}

/** Tools of whose new values this is known. */
export function withAbout(interner: Interner, about: About | undefined): Tools {
  const make: Make = (op, inputs, attrs, own) => interner.make(op, inputs, attrs, own ?? about);
  return { b: makeBuilder(make), make };
}

/** The same operator and operands, of which something else is known. */
export function reowned(v: Value, about: About | undefined): Value {
  return make(v.op, v.inputs, v.attrs, about);
}
