/** What the verifier assumes of the variables of a loop: levels, and ranges that are widened until no turn leaves them. */
import { rangeOfType } from './integers.js';
import { type Facts, hull, lower, type Range, within } from './ranges.js';
import type { Value } from './state.js';

/** What is assumed of a variable at the start of each turn of a loop. */
export interface Head {
  readonly value: Value;
  readonly ranges?: readonly Range[];
}

export function headOf(value: Value, facts: Facts): Head {
  return { value, ...(value.parts ? { ranges: value.parts.map((p) => facts.range(p)) } : {}) };
}

/** What holds of both; the first one itself if that is all that it says. */
export function widened(a: Head, b: Head, toAll: boolean): Head {
  const level = lower(a.value.level, b.value.level);
  const speculative = a.value.speculative || b.value.speculative;
  const ranges = a.ranges?.map((r, i) => {
    const both = hull(r, b.ranges![i]!);
    return within(both, r.lo, r.hi) ? r : toAll ? rangeOfType(a.value.scalar as 'u32' | 'i32') : both;
  });
  const { inside, ...value } = a.value;
  const told = inside === b.value.inside ? inside : undefined;
  const same = level === value.level && speculative === value.speculative && told === inside;
  if (same && (ranges ?? []).every((r, i) => r === a.ranges![i])) return a;
  return { value: { ...value, level, speculative, ...(told ? { inside: told } : {}) }, ...(ranges ? { ranges } : {}) };
}

/**
 * Taken to be any number, a variable may still end each turn within bounds: what it was before the loop or is after a turn, which then
 * has to be tried. `now` itself if that is no less.
 */
export function narrowedTo(before: Head, after: Head, now: Head): Head {
  const ranges = before.ranges?.map((r, i) => hull(r, after.ranges![i]!));
  if ((ranges ?? []).every((r, i) => r.lo === now.ranges![i]!.lo && r.hi === now.ranges![i]!.hi)) return now;
  return { value: now.value, ...(ranges ? { ranges } : {}) };
}
