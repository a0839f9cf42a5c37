/** What is searched and summed in sorted order, by a loop at each place of the result. */
import type { Value } from '../../ir/types.js';
import {
  add,
  address,
  binary,
  builtin,
  convert,
  div,
  last,
  literal,
  lt,
  min,
  splat,
  sub,
  U32,
  u32,
} from '../kernel/expr.js';
import type { Expr } from '../kernel/types.js';
import { type Index, shift, variable } from './indexing.js';
import { type InlineRule, type Reader, scalarOf, typeAt } from './reader.js';

const le = (a: Expr, b: Expr): Expr => binary('<=', a, b);

/**
 * How many of the places from `low` to before `high` come before what is looked for, where those that do come first: by halves.
 * @param most no less than high - low
 */
function bisect(r: Reader, low: Expr, high: Expr, most: number, before: (middle: Expr) => Expr): Expr {
  const from = r.b.var(r.b.fresh('v'), U32, low);
  const to = r.b.var(r.b.fresh('v'), U32, high);
  const turns = Math.ceil(Math.log2(most + 1));
  r.b.loop(turns, () => {
    r.b.if(lt(from, to), () => {
      const middle = r.b.let(div(add(from, to), u32(2)));
      r.b.choose([{ when: before(middle), body: () => r.b.assign(from, add(middle, u32(1))) }], () =>
        r.b.assign(to, middle),
      );
    });
  });
  return from;
}

/** An address that is computed, inside an axis of `size`. */
const at = (r: Reader, place: Expr, size: number): Index =>
  r.b.index(r.b.fresh('g'), builtin('min', convert(place, 'u32'), last(size)), size);

/**
 * The place at which both runs together are cut so that k of their elements lie before it: `bisect` finds how many of the first run. An element
 * of the first run comes before an equal one of the second.
 */
const merge_order: InlineRule<'merge_order'> = (r, v, coords) =>
  r.perLane(coords, (one) => {
    const [x, order] = v.inputs as readonly [Value, Value];
    const { run } = v.attrs;
    const width = v.type.shape.at(-1)!;
    const row = one.slice(0, -1);
    const place = address(one.at(-1)!);
    const held = (p: Expr): Expr => r.read(order, [...row, at(r, p, width)]);
    const key = (p: Expr): Expr => r.read(x, [...row, at(r, held(p), width)]);
    const k = r.b.let(binary('%', place, u32(2 * run)));
    const start = r.b.let(sub(place, k));
    const middle = r.b.let(min(add(start, u32(run)), u32(width)));
    const end = r.b.let(min(add(start, u32(2 * run)), u32(width)));
    const seconds = r.b.let(sub(end, middle));
    const low = r.b.let(sub(builtin('max', k, seconds), seconds));
    const firsts = bisect(r, low, builtin('min', k, u32(run)), run, (m) =>
      le(key(add(start, m)), key(add(middle, sub(sub(k, u32(1)), m)))),
    );
    const i = r.b.let(add(start, firsts));
    const j = r.b.let(add(middle, sub(k, firsts)));
    const found = r.b.var(r.b.fresh('v'), U32, j);
    r.b.if(lt(i, middle), () => {
      r.b.choose([{ when: binary('>=', j, end), body: () => r.b.assign(found, i) }], () =>
        r.b.if(le(key(i), key(j)), () => r.b.assign(found, i)),
      );
    });
    return held(found);
  });

const searchsorted: InlineRule<'searchsorted'> = (r, v, coords) =>
  r.perLane(coords, (one) => {
    const [sorted, values] = v.inputs as readonly [Value, Value];
    const size = sorted.type.shape[0]!;
    const value = r.read(values, one);
    const found = bisect(r, u32(0), u32(size), size, (m) => {
      const other = r.read(sorted, [at(r, m, size)]);
      return v.attrs.right ? le(other, value) : lt(other, value);
    });
    return r.b.let(convert(found, 'i32'));
  });

const segment_sum: InlineRule<'segment_sum'> = (r, v, coords) => {
  const [x, starts] = v.inputs as readonly [Value, Value];
  const { axis } = v.attrs;
  const segment = coords[axis]!;
  if (r.isWide([segment])) return r.perLane(coords, (one) => segment_sum(r, v, one));
  const count = x.type.shape[axis]!;
  const type = typeAt(scalarOf(v.type.dtype), r.isWide(coords));
  const sum = r.b.var(r.b.fresh('v'), type, splat(literal(0, type.scalar), type.lanes));
  const bound = (place: Index): Expr => r.b.let(convert(r.read(starts, [place]), 'u32'));
  const turn = r.b.fresh('n');
  r.b.for(turn, bound(segment), min(bound(shift(segment, 1)), u32(count)), 1, () => {
    const one = coords.map((c, i) => (i === axis ? variable(turn, count) : c));
    r.b.assign(sum, add(sum, splat(r.read(x, one), type.lanes)));
  });
  return sum;
};

export const SORTED = { merge_order, searchsorted, segment_sum };
