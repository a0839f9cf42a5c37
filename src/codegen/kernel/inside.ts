/**
 * What no kernel for any number of samples may hold: the number that stands for the batch, where only a number can be. Sizes that hold the
 * batch are `size` expressions and bounds of conditions; it is a factor, a divisor or a literal nowhere, and nothing was divided that it is in.
 */
import { isBatch } from '../../ir/batch.js';
import type { Index } from '../read/indexing.js';
import type { Condition, Expr, Kernel, Stmt } from './types.js';
import { eachExpr, eachStmt } from './walk.js';

/** Where the batch came to stand though only a number can: a factor of an address, the columns of a product, an axis of attention. */
export type Inside = 'address' | 'columns' | 'rows' | 'keys' | 'headDim' | 'valueDim';

/** No kernel for any number of samples can be written like that. Whoever builds the kernel names the operator (one-by-one.ts). */
export class BatchInside extends Error {
  constructor(readonly inside: Inside) {
    super(`the batch is inside: ${inside}`);
  }
}

/** @throws BatchInside for variants of a kernel for any number of samples that hold the batch as a number */
export function refuseInside(variants: readonly Kernel[]): void {
  const lists = new Set(variants.flatMap((k) => [k.main, ...k.functions.map((f) => f.body)]));
  const refuse = (holds: boolean): void => {
    if (holds) throw new BatchInside('address');
  };
  const condition = (c: Condition): void => refuse(isInside(c.index) || isBatch(c.below + 1));
  const expr = (e: Expr): void => {
    if (e.kind === 'literal') refuse(e.ofBatch === true);
    else if (e.kind === 'address') refuse(isInside(e.index));
    else if (e.kind === 'load') refuse(isInside(e.at));
    else if (e.kind === 'below') condition(e);
  };
  const stmt = (s: Stmt): void => {
    if (s.kind === 'store') {
      refuse(isInside(s.at));
      s.when.forEach(condition);
    }
    eachExpr(s, expr);
  };
  for (const list of lists) eachStmt(list, stmt);
}

/** Whether the batch is a factor or a divisor, or was divided. */
const isInside = ({ terms, divided }: Index): boolean =>
  divided ||
  terms.some(({ atom, coeff }) => isBatch(coeff) || (atom.kind !== 'var' && (isBatch(atom.by) || isInside(atom.of))));
