/** How kernels that compute a tile of results finish it. */
import type { Body } from './kernel/body.js';
import { add, div, item, mul, rem, u32, uint } from './kernel/expr.js';
import type { Expr } from './kernel/types.js';

/** Where a thread's results begin: batch, first row, first column. Loops over them start at `from` (startTile). */
export interface TilePlace {
  readonly from: Expr;
  readonly z: Expr;
  readonly row: Expr;
  readonly column: Expr;
}

/**
 * Calls `store4` for each of the values: rows one after another and `vectors` of each row, whose columns are `apart`.
 * @param inside About the row `r` and the column `c`; nothing is stored where it does not hold.
 */
export function storeTile(
  b: Body,
  values: readonly Expr[],
  vectors: number,
  at: TilePlace & { readonly apart: number },
  inside: Expr | undefined,
): void {
  b.comment('One copy of the epilogue in the code: compilers are slow where it is written out for every row.');
  const type = b.array('results', values);
  b.for('i', at.from, u32(values.length), 1, () => {
    const i = uint('i');
    const r = b.named('r', add(at.row, vectors === 1 ? i : div(i, u32(vectors))));
    const c = b.named('c', vectors === 1 ? at.column : add(at.column, mul(rem(i, u32(vectors)), u32(at.apart))));
    b.where(inside, () => b.do('store4', at.z, r, c, item('results', type, i)));
  });
}
