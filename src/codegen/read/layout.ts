/** Layout operators as coordinates: where in the operand an element of the result comes from. */
import type { ValueOf } from '../../ir/types.js';
import {
  add,
  address,
  builtin,
  component,
  convert,
  LANES,
  last,
  mul,
  SAMPLES,
  splat,
  uint,
  vector,
} from '../kernel/expr.js';
import type { Condition, Expr } from '../kernel/types.js';
import { uniformCondition } from '../kernel/uses.js';
import {
  constIndex,
  dependsOn,
  div,
  flatten,
  type Index,
  laneForm,
  mod,
  reshaped,
  scale,
  shift,
  substitute,
  unflatten,
  ZERO,
} from './indexing.js';
import { type InlineRule, scalarOf, typeAt } from './reader.js';

const reshape: InlineRule<'reshape'> = (r, v, coords) =>
  r.read(v.inputs[0]!, reshaped(coords, v.type.shape, v.inputs[0]!.type.shape));

const transpose: InlineRule<'transpose'> = (r, v, coords) => {
  const from = new Array<Index>(coords.length);
  v.attrs.perm.forEach((p, i) => {
    from[p] = coords[i]!;
  });
  return r.read(v.inputs[0]!, from);
};

const broadcast: InlineRule<'broadcast'> = (r, v, coords) => r.operand(v.inputs[0]!, coords);

const slice: InlineRule<'slice'> = (r, v, coords) =>
  r.read(
    v.inputs[0]!,
    coords.map((c, i) => shift(c, v.attrs.start[i]!)),
  );

/** Element i of the operand goes to i + shift, so the result at c comes from c - shift, modulo the size. */
const roll: InlineRule<'roll'> = (r, v, coords) => {
  const from = [...coords];
  v.attrs.axes.forEach((axis, i) => {
    const size = v.type.shape[axis]!;
    const by = (((-v.attrs.shifts[i]! % size) + size) % size) as number;
    from[axis] = mod(shift(from[axis]!, by), size);
  });
  return r.read(v.inputs[0]!, from);
};

/** Where an element comes from, and where it goes. */
export const reversed = (v: ValueOf<'reverse'>, coords: readonly Index[]): readonly Index[] =>
  coords.map((c, i) => (v.attrs.axes.includes(i) ? shift(scale(c, -1), v.type.shape[i]! - 1) : c));

const reverse: InlineRule<'reverse'> = (r, v, coords) => r.read(v.inputs[0]!, reversed(v, coords));

const concat: InlineRule<'concat'> = (r, v, coords) => {
  const axis = v.attrs.axis;
  const along = coords[axis]!;
  const ends: number[] = [];
  let end = 0;
  for (const x of v.inputs) {
    end += x.type.shape[axis]!;
    ends.push(end);
  }
  const conditions = ends.slice(0, -1).map((below): Condition => ({ index: along, below }));
  if (!conditions.every(uniformCondition)) return r.perLane(coords, (one) => concat(r, v, one));
  const readPart = (i: number): Expr => {
    const start = ends[i]! - v.inputs[i]!.type.shape[axis]!;
    return r.read(
      v.inputs[i]!,
      coords.map((c, a) => (a !== axis ? c : v.inputs[i]!.type.shape[axis] === 1 ? ZERO : shift(c, -start))),
    );
  };
  // A part that lies wholly before the range of the coordinate is never read.
  const first = ends.findIndex((e) => along.lo < e);
  const cases = conditions.map((when, i) => ({ when: [when], read: () => readPart(i) })).slice(Math.max(0, first));
  return r.choose(
    typeAt(scalarOf(v.type.dtype), r.isWide(coords)),
    cases,
    () => readPart(v.inputs.length - 1),
    v.inputs.every((x) => r.isLoad(x)),
  );
};

const pad: InlineRule<'pad'> = (r, v, coords) => {
  const shape = v.inputs[0]!.type.shape;
  const from = coords.map((c, i) => shift(c, -v.attrs.low[i]!));
  const conditions = from.map((index, i): Condition => ({ index, below: shape[i]! }));
  if (!conditions.every(uniformCondition)) return r.perLane(coords, (one) => pad(r, v, one));
  const inside = from.map((c, i) => (shape[i] === 1 ? ZERO : c));
  return r.choose(
    typeAt(scalarOf(v.type.dtype), r.isWide(coords)),
    [{ when: conditions, read: () => r.read(v.inputs[0]!, inside) }],
    () => r.constant(v.attrs.value, v.type.dtype),
    r.isLoad(v.inputs[0]!),
  );
};

/** An index that is out of range reads some element: WebGPU confines every access to its buffer. */
const gather: InlineRule<'gather'> = (r, v, coords) => {
  const [x, indices] = [v.inputs[0]!, v.inputs[1]!];
  const axis = v.attrs.axis;
  const rank = indices.type.shape.length;
  const inner = coords.slice(axis, axis + rank);
  if (r.isWide(inner)) return r.perLane(coords, (one) => gather(r, v, one));
  const found = r.read(indices, inner);
  const size = x.type.shape[axis]!;
  const key = `gather ${indices.id}[${inner.map((c) => c.key).join(',')}] ${size}`;
  const at = r.b.memo(key, () => r.b.index(r.b.fresh('g'), builtin('min', convert(found, 'u32'), last(size)), size));
  return r.read(x, [...coords.slice(0, axis), at, ...coords.slice(axis + rank)]);
};

const kron: InlineRule<'kron'> = (r, v, coords) => {
  const [p, q] = v.inputs[1]!.type.shape as [number, number];
  const [m, n] = v.inputs[0]!.type.shape as [number, number];
  const [i, j] = [unflatten(coords[0]!, [m, p]), unflatten(coords[1]!, [n, q])];
  const a = r.read(v.inputs[0]!, [i[0]!, j[0]!]);
  const b = r.read(v.inputs[1]!, [i[1]!, j[1]!]);
  return r.b.let(mul(a, b));
};

const random_bits: InlineRule<'random_bits'> = (r, v, coords) => {
  const { stream } = v.attrs;
  const words = [0, 1].map((i) => r.read(v.inputs[0]!, [constIndex(i)])) as [Expr, Expr];
  const flat = flatten(coords, v.attrs.shape);
  const form = laneForm(flat);
  if (form.kind === 'quad') return r.b.let(r.library.philox(address(form.quad), stream, words));
  return r.perLane([flat], ([at]) => {
    const block = r.b.let(r.library.philox(address(div(at!, 4)), stream, words));
    return r.b.let(component(block, address(mod(at!, 4))));
  });
};

/** A number of the run, which no kernel is built for. */
const batch_size: InlineRule<'batch_size'> = (r) => r.b.let(convert(uint(SAMPLES), 'f32'));

const constant: InlineRule<'constant'> = (r, v) => r.constant(v.attrs.value, v.attrs.dtype);

const iota: InlineRule<'iota'> = (r, v, coords) => {
  const type = scalarOf(v.attrs.dtype);
  const c = coords[v.attrs.axis]!;
  if (!dependsOn(c, 'lane')) return r.b.let(convert(address(c), type));
  const base = substitute(c, 'lane', ZERO);
  const lanes = [0, 1, 2, 3].map((lane) => substitute(c, 'lane', constIndex(lane)));
  if (lanes.every((l, i) => l.key === shift(base, i).key)) {
    return r.b.let(convert(add(splat(address(base), 4), LANES), type));
  }
  return r.b.let(vector(...lanes.map((l) => convert(address(l), type))));
};

/** Coordinates and constants. */
export const PLACES = { reshape, transpose, broadcast, slice, roll, reverse, pad, constant, iota };

/** What chooses among buffers, or reads one to know where to read another. */
export const CHOICES = { concat, gather };

export const NUMBERS = { kron, batch_size };

export const BITS = { random_bits };
