/** Why the samples of a program are run one by one, and where in the spec the reason is. */
import { type ArgsOf, diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import { isBatch } from '../../ir/batch.js';
import { showShape, sizeOf } from '../../ir/ops/shapes.js';
import type { Value } from '../../ir/types.js';
import type { Inside } from '../kernel/inside.js';
import { placeOf } from '../place.js';
import { type Group, valuesOf } from './group.js';

/** The samples of a group have to be run one by one. */
export class OneByOne extends Error {
  constructor(readonly why: Diagnostic) {
    super('samples have to be run one by one');
  }
}

/** How many turns of other axes are outside the batch. */
function outside(shape: readonly number[]): number {
  const axis = shape.findIndex(isBatch);
  return axis < 0 ? 1 : sizeOf(shape.slice(0, axis));
}

/** The warning about a group in whose kernel the batch came to stand where only a number can. */
export function whereInside({ anchor, stores, reads }: Group, inside: Inside): Diagnostic {
  if (inside !== 'address') return warning(anchor, inside);
  // In memory the batch lies outermost. What moves it past another axis makes it a factor; else it is a sum with it that is divided.
  const bound = new Set(reads);
  const within = valuesOf({ stores, reads });
  const shapes = (v: Value): readonly [number, number] => [outside(v.inputs[0]!.type.shape), outside(v.type.shape)];
  const at = within.find((v) => {
    if (v.op !== 'reshape' || bound.has(v)) return false;
    const [from, to] = shapes(v);
    return from !== to;
  });
  if (!at) return warning(anchor, 'divided');
  const [from, to] = shapes(at);
  return warning(at, from > to ? 'joined' : 'split');
}

function warning(v: Value, inside: ArgsOf<'ESP0607'>['inside']): Diagnostic {
  const from = v.inputs.map((x) => showShape(x.type.shape));
  return diagnostic('ESP0607', { operator: v.op, inside, from, to: showShape(v.type.shape) }, placeOf(v));
}
