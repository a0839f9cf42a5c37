/**
 * Which elements of a parameter can be anything but 0: what masks, and zeros of the checkpoint, leave of it. An element is known to be zero by its structure,
 * a product with a zero of a mask, and not because two numbers happen to cancel: so what is known holds for whatever else the parameters are.
 *
 * Zeros are those of masks and of what is frozen. They are followed through what moves elements and what works element by element, by the operators' references on numbers that stand for "perhaps not 0".
 * Whatever else an operator does, a sum over products say, is taken to fill everything: a merge of factors has no zeros that it could keep.
 */

import type { Reference } from '../ir/ops/define.js';
import { OPS, traitsOf } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { Module, OpName, Tensor, Value } from '../ir/types.js';
import { PREPARE } from './split.js';

/** Nonzero where an element can be anything; undefined where all of them can. */
type Support = Uint8Array | undefined;

/**
 * @param module An optimised one
 * @param read The elements of a parameter that files hold, a mask or a table
 * @returns of a parameter, the elements that can be anything but 0, as 1; undefined where all can
 */
export function supportsIn(module: Module, read: (param: string) => Tensor): (param: string) => Support {
  const prepared = new Map(module.funcs.get(PREPARE)?.results.map(({ name, value }) => [name, value]));
  // Zeros of what is trained are where it started.
  const held = (name: string): Support =>
    module.params.get(name)!.role === 'trainable' ? undefined : nonzero(read(name).data);
  return (param) => {
    const value = prepared.get(param);
    if (!value) return held(param);
    // Nothing is kept from one parameter to the next: the masks of a whole model are as many bytes as it has weights.
    const known = new Map<Value, Support>();
    const of = (v: Value): Support => {
      if (!known.has(v)) known.set(v, v.op === 'param' ? held(v.attrs.name) : supportOf(v, of));
      return known.get(v);
    };
    return of(value);
  };
}

function nonzero(data: ArrayLike<number>): Support {
  // Most weights have no zero, which is found out without an array for them.
  let first = 0;
  while (first < data.length && data[first] !== 0) first++;
  if (first === data.length) return undefined;
  const found = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) found[i] = 1;
  return found;
}

function supportOf(v: Value, of: (operand: Value) => Support): Support {
  const { pointwise, moves, linear } = traitsOf(v);
  const follows = moves === null ? pointwise && linear !== null : moves !== 'picks';
  if (!follows || v.inputs.length === 0) return undefined;
  // Of several operands in which an operator is linear together, one that can be anything fills the result.
  const together = moves === null && linear === 'jointly';
  const supports: Support[] = [];
  for (const [i, x] of v.inputs.entries()) {
    const looked =
      moves !== null || linear === 'jointly' || linear === 'each' || (linear!.length === 1 && linear!.includes(i));
    const own = looked ? of(x) : undefined;
    if (!own && together) return undefined;
    supports.push(own);
  }
  if (supports.every((s) => s === undefined)) return undefined;
  const inputs = v.inputs.map((x, i) => standIn(x, supports[i], i));
  return nonzero((OPS[v.op].reference as Reference<OpName>)(inputs, v.attrs, v.type).data);
}

/** Numbers for an operand: no two operands have the same, so that none cancels another. */
function standIn({ type }: Value, support: Support, operand: number): Tensor {
  const number = 1 + operand * Math.SQRT2;
  const data = new Float64Array(sizeOf(type.shape)).fill(number);
  if (support) for (let i = 0; i < data.length; i++) if (support[i] === 0) data[i] = 0;
  return { type, data };
}
