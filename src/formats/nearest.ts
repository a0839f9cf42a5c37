/** Names that look like another: for tensors that a checkpoint does not have. */

/**
 * At most two candidates that share most dotted segments with `name`, best first; empty when none is near.
 * Names of tensors are long and differ in a segment, so segments are compared, not letters.
 */
export function nearestNames(name: string, candidates: readonly string[]): string[] {
  const parts = name.split('.');
  const scored: [number, string][] = [];
  for (const candidate of candidates) {
    const theirs = candidate.split('.');
    const common = new Set(theirs);
    let score = parts.reduce((n, p) => n + (common.has(p) ? 1 : 0), 0) / Math.max(parts.length, theirs.length);
    // The same leaf (weight, bias) of the same block is nearer than another's.
    if (parts.at(-1) !== theirs.at(-1)) score -= 0.3;
    if (parts.find((p) => /^\d+$/.test(p)) !== theirs.find((p) => /^\d+$/.test(p))) score -= 0.3;
    if (score >= 0.4) scored.push([score, candidate]);
  }
  scored.sort(([a, x], [b, y]) => b - a || (x < y ? -1 : 1));
  return scored.slice(0, 2).map(([, candidate]) => candidate);
}
