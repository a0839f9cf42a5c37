/** What the rules of reverse mode share: how one is written, and the transpose of broadcasting. */
import type { OpName, Value } from '../../types.js';
import type { Builder } from '../builder.js';
import type { AnyDerivative, Derivative } from '../define.js';
import { sameShape } from '../shapes.js';

/** The cotangent of one operand, built only where it is wanted. */
export type Term = () => Value | undefined;

/** For each operand, in order, how its cotangent is built; undefined for one that has none. Shorter lists leave out the last operands. */
export type Terms<O extends OpName> = (
  b: Builder,
  value: Extract<Value, { readonly op: O }>,
  cotangent: Value,
) => readonly (Term | undefined)[];

/** What of the terms is wanted, one for each operand. */
export function wanted(
  value: { readonly inputs: readonly Value[] },
  needed: readonly boolean[],
  terms: readonly (Term | undefined)[],
): (Value | undefined)[] {
  return value.inputs.map((_, i) => (needed[i] ? terms[i]?.() : undefined));
}

/** The rule of an operator of which only the value itself has a cotangent. */
export const ofValue =
  <O extends OpName>(terms: Terms<O>): Derivative<O> =>
  ({ b, value, cotangent, needed }) =>
    wanted(value, needed, cotangent ? terms(b, value, cotangent) : []);

/** The same for a rule that serves several operators. */
export const ofAny = (terms: Terms<OpName>): AnyDerivative => ofValue<OpName>(terms);

/** The transpose of broadcasting: what an operand of this shape gets of a cotangent that it was broadcast to, the sum over where it was repeated. */
export function sumTo(b: Builder, cotangent: Value, shape: readonly number[]): Value {
  const from = cotangent.type.shape;
  if (sameShape(from, shape)) return cotangent;
  const lead = from.length - shape.length;
  const axes = from.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return b.reshape(b.sum(cotangent, axes), shape);
}

/** A sum of what there is. */
export const sumOf = (b: Builder, parts: readonly (Value | undefined)[]): Value | undefined =>
  parts.reduce((sum, part) => (sum && part ? b.add(sum, part) : (sum ?? part)), undefined);

/** A value without the axis, with one of 1 in its place. */
export const along = (b: Builder, v: Value, axis: number): Value =>
  b.reshape(v, [...v.type.shape.slice(0, axis), 1, ...v.type.shape.slice(axis)]);
