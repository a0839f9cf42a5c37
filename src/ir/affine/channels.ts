/**
 * Which axes of a value are channels. A layer or a norm says it; layouts split, join and move them. Everything else is a token: something that
 * an affine form treats alike, one by one.
 */
import { topological } from '../graph.js';
import { traitsOf } from '../ops/index.js';
import type { Value } from '../types.js';
import { dependsOnInput } from './parse.js';

/** A part of a reshape that has nothing to do with the rest: these axes become those. Axes of size 1 belong to none. */
export interface Segment {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export function segments(before: readonly number[], after: readonly number[]): Segment[] {
  const wide = (shape: readonly number[]): number[] => shape.map((d, i) => (d > 1 ? i : -1)).filter((i) => i >= 0);
  const [left, right] = [wide(before), wide(after)];
  const made: Segment[] = [];
  while (left.length > 0) {
    const from = [left.shift()!];
    const to = [right.shift()!];
    let [p, q] = [before[from[0]!]!, after[to[0]!]!];
    while (p !== q) {
      const [list, rest] = p < q ? [from, left] : [to, right];
      const next = rest.shift()!;
      list.push(next);
      if (p < q) p *= before[next]!;
      else q *= after[next]!;
    }
    made.push({ from, to });
  }
  return made;
}

/** What is said of a value follows from the value alone, which never changes: it is found once, whoever asks. */
const known = new WeakMap<Value, ReadonlySet<number>>();

/** The channels' axes of a value that depends on the input, ascending. */
export function channelsOf(value: Value): number[] {
  if (!known.has(value)) {
    for (const v of topological([value])) if (dependsOnInput(v) && !known.has(v)) known.set(v, channels(v));
  }
  return [...(known.get(value) ?? [])].sort((a, b) => a - b);
}

function channels(v: Value): ReadonlySet<number> {
  const rank = v.type.shape.length;
  const last = rank - 1;
  /** Those of an operand, counted from the right as broadcasting does. */
  const of = (x: Value): number[] => [...(known.get(x) ?? [])].map((i) => i + rank - x.type.shape.length);
  const x = v.inputs[0]!;
  switch (v.op) {
    case 'input':
      return new Set([last]);
    case 'attention':
      return new Set([1, last]);
    case 'linear':
      return new Set([...of(x), last]);
    case 'matmul': {
      const right = v.inputs[1]!;
      if (!dependsOnInput(right)) return new Set([...of(x), last]);
      return dependsOnInput(x) ? new Set([last]) : new Set([...of(right), last - 1]);
    }
    case 'reshape': {
      const before = known.get(x)!;
      const found = segments(x.type.shape, v.type.shape).filter((s) => s.from.some((i) => before.has(i)));
      return new Set(found.flatMap((s) => s.to));
    }
    case 'transpose':
      return new Set(v.attrs.perm.flatMap((from, to) => (known.get(x)!.has(from) ? [to] : [])));
    case 'gather': {
      const extra = v.inputs[1]!.type.shape.length - 1;
      return new Set([...(known.get(x) ?? [])].map((i) => (i > v.attrs.axis ? i + extra : i)));
    }
    default: {
      const own = traitsOf(v).channels;
      if (own !== null) return new Set([own === 'second' ? 1 : last]);
      if ('keep' in v.attrs) {
        const { axes, keep } = v.attrs;
        const kept = [...known.get(x)!].filter((i) => !axes.includes(i));
        return new Set(keep ? kept : kept.map((i) => i - axes.filter((a) => a < i).length));
      }
      const found = new Set(v.inputs.filter(dependsOnInput).flatMap(of));
      // Along an axis on which the operands have one element a constant makes new channels.
      for (const c of v.inputs.filter((y) => !dependsOnInput(y))) {
        c.type.shape.forEach((d, i) => {
          const axis = i + rank - c.type.shape.length;
          const one = (y: Value): boolean => (y.type.shape[axis - rank + y.type.shape.length] ?? 1) === 1;
          if (d > 1 && v.inputs.filter(dependsOnInput).every(one)) found.add(axis);
        });
      }
      return found;
    }
  }
}
