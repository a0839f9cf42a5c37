/**
 * How the generators of contractions read their operands, whichever way round these lie. Multiply-adds are written for four inputs by rows of four
 * columns: of a they take single numbers, so it does not matter which four came with one load; of b they take four columns at an input, and
 * where a load gives four inputs of a column, four such loads are transposed in registers.
 */
import { isBatch } from '../../ir/batch.js';
import type { KeptList } from '../buffers/kept.js';
import { TILE_K } from '../buffers/layout.js';
import { Body } from '../kernel/body.js';
import {
  add,
  call,
  component,
  div,
  F32X4,
  fetch,
  min,
  mul,
  size,
  sub,
  U32,
  u32,
  uint,
  vector,
} from '../kernel/expr.js';
import { plus, range } from '../kernel/sugar.js';
import type { Expr, KernelFunction } from '../kernel/types.js';
import type { ContractProblem } from '../problem.js';

/** Where a turn of the loop over inputs stands: for a, and for b, whose inputs may be counted among those that are stored. */
export interface Turn {
  readonly a: Expr;
  readonly b: Expr;
}

/**
 * Does `turn` for all inputs, `kStep` at a time: of what is stored alone, where b says what that is.
 * @param strip Number of the tile's columns, TILE_N of them where b is not stored whole
 * @param from Where loops start (startTile)
 */
export function eachTurn(
  b: Body,
  p: ContractProblem,
  kStep: number,
  { strip, from }: { readonly strip: Expr; readonly from: Expr },
  turn: (at: Turn) => void,
): void {
  if (!p.kept) {
    b.for('k', from, paddedK(p, kStep), kStep, () => turn({ a: uint('k'), b: uint('k') }));
    return;
  }
  const list = (name: KeptList, at: Expr): Expr => fetch(name, U32, at);
  const first = b.named('first_tile', list('starts', strip));
  const end = b.named('end_tile', list('starts', plus(strip, 1)));
  b.for('stored', first, end, 1, () => {
    const block = b.named('block', mul(list('blocks', uint('stored')), u32(TILE_K)));
    const place = b.named('place', mul(uint('stored'), u32(TILE_K)));
    if (kStep === TILE_K) turn({ a: block, b: place });
    else
      b.for('part', from, u32(TILE_K), kStep, () => {
        turn({ a: b.named('k', add(block, uint('part'))), b: b.named('kept_k', add(place, uint('part'))) });
      });
  });
}

/** Inputs up to which a loop in steps of `kStep` runs: the last step may end behind the last input. */
function paddedK(p: ContractProblem, kStep: number): Expr {
  return isBatch(p.k) ? size(p.k) : u32(Math.ceil(p.k / kStep) * kStep);
}

/** Four of a from a row and an input on. */
export const loadA = (z: Expr, row: Expr, k: Expr): Expr => call('load_a4', F32X4, [z, row, k]);

/**
 * `weight4(z, k, column, j)`: what `load_b4` gives, for any inputs that a loop in steps of `kStep` and any columns that tiles of `columns` come to.
 * Past the last of either it repeats valid ones.
 */
export function weightFunction(p: ContractProblem, kStep: number, columns: number): KernelFunction {
  const b = new Body();
  const inside = (size: number, step: number, end: number): boolean =>
    isBatch(size) ? size % step === 0 : Math.ceil(size / step) * step <= end;
  const within = (text: string, size: number, step: number, end: number): Expr =>
    inside(size, step, end) ? uint(text) : min(uint(text), lastFour(end));
  // Of what is stored whole tiles are.
  const k = p.kept ? uint('k') : within('k', p.k, kStep, p.readable.k);
  const column = p.kept ? uint('column') : within('column', p.n, columns, p.readable.n);
  b.return(call('load_b4', F32X4, [uint('z'), k, column, uint('j')]));
  return {
    name: 'weight4',
    params: ['z', 'k', 'column', 'j'].map((n) => ({ name: n, type: U32 })),
    result: F32X4,
    body: b.stmts,
  };
}

/** The last multiple of four below an end. */
const lastFour = (end: number): Expr =>
  isBatch(end) ? mul(div(sub(size(end), u32(1)), u32(4)), u32(4)) : u32(end - 4);

/**
 * b for four inputs from `k` on and four columns, both multiples of four: `names[i]` is what the columns of input k + i are called. Where b lies along
 * the columns, each load is made when it is asked for.
 */
export function weightsOf(
  b: Body,
  p: ContractProblem,
  at: { readonly z: Expr; readonly k: Expr; readonly column: Expr },
  names: readonly string[],
): (i: number) => Expr {
  const load = (j: number): Expr => call('weight4', F32X4, [at.z, at.k, at.column, u32(j)]);
  if (p.b === 'result') return (i) => b.named(names[i]!, load(i));
  const columns = range(4).map((c) => b.named(`${names[c]!}_of`, load(c)));
  return (i) => b.named(names[i]!, vector(...columns.map((c) => component(c, i))));
}

/** Which number of which load of a stands at a row and an input of a block of `rows`, where loads are counted by `minor` and `major`. */
interface Slot {
  readonly minor: number;
  readonly major: number;
  readonly component: number;
}

/** The loads of a block of a, `rows` by `kStep`: along one axis they take the four's places, along the other each place. */
export interface Slots {
  /** Loads that lie along the rows, each of so many of them, and along the inputs. */
  readonly minors: number;
  readonly rowsEach: 1 | 4;
  readonly majors: number;
  readonly of: (row: number, input: number) => Slot;
  /** The load's row and input, from the block's first ones. */
  readonly load: (z: Expr, row: Expr, k: Expr, minor: Expr, major: Expr) => Expr;
}

export function slotsOf(p: ContractProblem, rows: number, kStep: number): Slots {
  if (p.a === 'sum') {
    return {
      minors: rows,
      rowsEach: 1,
      majors: kStep / 4,
      of: (row, input) => ({ minor: row, major: input >> 2, component: input & 3 }),
      load: (z, row, k, minor, major) => loadA(z, from(row, minor), from(k, times4(major))),
    };
  }
  return {
    minors: rows / 4,
    rowsEach: 4,
    majors: kStep,
    of: (row, input) => ({ minor: row >> 2, major: input, component: row & 3 }),
    load: (z, row, k, minor, major) => loadA(z, from(row, times4(minor)), from(k, major)),
  };
}

/** x + by, or just x. */
const from = (x: Expr, by: Expr): Expr => (by.kind === 'literal' ? plus(x, by.value) : add(x, by));
const times4 = (x: Expr): Expr => (x.kind === 'literal' ? u32(4 * x.value) : mul(u32(4), x));
