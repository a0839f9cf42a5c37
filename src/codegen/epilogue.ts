/**
 * The end of a kernel: from an element of the anchor to the elements that are stored, of the result and of what is computed from it. Layout
 * operators of the path move the coordinates forward; pointwise ones compute.
 */
import type { OpsWith } from '../ir/ops/index.js';
import type { OpName, Value, ValueOf } from '../ir/types.js';
import { elementAt } from './buffers/layout.js';
import { convert, splat } from './kernel/expr.js';
import type { Buffer, Condition, Expr } from './kernel/types.js';
import type { Ends } from './kernel.js';
import { constIndex, dependsOn, type Index, mod, reshaped, shift } from './read/indexing.js';
import { reversed } from './read/layout.js';
import type { Reader } from './read/reader.js';

type Forward<O extends OpName> = (v: ValueOf<O>, coords: readonly Index[], guards: Condition[]) => readonly Index[];

/** Where an element of the operand goes, of operators that give each at most one place. */
const FORWARD: { readonly [O in OpsWith<'moves', 'once'>]: Forward<O> } = {
  reshape: (v, coords) => reshaped(coords, v.inputs[0]!.type.shape, v.type.shape),
  transpose: (v, coords) => v.attrs.perm.map((p) => coords[p]!),
  slice: (v, coords, guards) =>
    coords.map((c, i) => {
      const moved = shift(c, -v.attrs.start[i]!);
      if (v.type.shape[i] !== v.inputs[0]!.type.shape[i]) guards.push({ index: moved, below: v.type.shape[i]! });
      return v.type.shape[i] === 1 ? constIndex(0) : moved;
    }),
  roll: (v, coords) => {
    const to = [...coords];
    v.attrs.axes.forEach((axis, i) => {
      const size = v.type.shape[axis]!;
      to[axis] = mod(shift(to[axis]!, ((v.attrs.shifts[i]! % size) + size) % size), size);
    });
    return to;
  },
  reverse: (v, coords) => reversed(v, coords),
};

export const movesForward = (v: Value): v is Extract<Value, { op: keyof typeof FORWARD }> =>
  Object.hasOwn(FORWARD, v.op);

/** Finishes `value`, the anchor's element at `coords`, and stores what is to be stored. Nothing is where a guard fails. */
export function finish(
  r: Reader,
  { anchor, path, result, stores }: Ends,
  value: Expr,
  coords: readonly Index[],
  guards: readonly Condition[] = [],
): void {
  const when = [...guards];
  let at = coords;
  let e = value;
  // What is not stored may be read from outside its tensor.
  const read = (v: Value): Expr => (when.length > 0 ? r.speculating(() => r.read(v, at)) : r.read(v, at));
  r.give(anchor, e);
  for (const step of path) {
    if (movesForward(step)) at = (FORWARD[step.op] as Forward<typeof step.op>)(step as never, at, when);
    else e = read(step);
    r.give(step, e);
  }
  for (const { value: v, buffer } of stores) {
    const x = v === result ? e : read(v);
    r.give(v, x);
    store(r, buffer, elementAt(buffer, at, v.type.shape), x, when);
  }
}

/** Writes one element, or four where `flat` holds LANE. Truth lies in a buffer as 1 and 0. */
export function store(r: Reader, buffer: Buffer, flat: Index, value: Expr, guards: readonly Condition[]): void {
  const stored = value.scalar === 'bool' ? convert(value, 'u32') : value;
  const lanes = [flat, ...guards.map((g) => g.index)].some((x) => dependsOn(x, 'lane')) ? 4 : 1;
  r.b.store(buffer.name, flat, splat(stored, lanes), guards);
}
