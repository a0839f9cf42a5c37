/** "Did you mean": the nearest of some names. */

/** Edits (insert, remove, replace, swap neighbours) from `a` to `b`, ignoring case; `limit + 1` if there are more than `limit`. */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  const s = a.toLowerCase();
  const t = b.toLowerCase();
  if (Math.abs(s.length - t.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: t.length + 1 }, (_, j) => j);
  for (let i = 1; i <= s.length; i++) {
    const row = [i];
    for (let j = 1; j <= t.length; j++) {
      const same = s[i - 1] === t[j - 1];
      let best = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && s[i - 1] === t[j - 2] && s[i - 2] === t[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    if (Math.min(...row) > limit) return limit + 1;
    before = previous;
    previous = row;
  }
  return Math.min(previous[t.length]!, limit + 1);
}

/** Edits that a name of this length may be away from what was meant: short names leave no room for guesses. */
function tolerance(length: number): number {
  if (length <= 2) return 0;
  if (length <= 4) return 1;
  return Math.min(3, Math.floor(length / 3));
}

/** Names longer than this are not compared: no one misspells a name by a few letters of hundreds, and time matters. */
const LONGEST = 200;

/**
 * The candidate that `name` most likely stands for, or undefined. A difference in case only is always near; ties go to the
 * first candidate.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate === name) continue;
    const limit = Math.min(tolerance(Math.max(name.length, candidate.length)), least - 1);
    const distance = editDistance(name, candidate, Math.max(0, limit));
    if (distance <= limit && distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}
