/** How an entry of the catalogue is written. One file of entries for each area stands beside this one. */
import type { Severity } from '../types.js';

export interface Entry<A> {
  /** A few words; the heading of its `explain` page. */
  readonly title: string;
  readonly severity?: Severity;
  readonly message: (args: A) => string;
  readonly help?: (args: A) => readonly string[];
  /** The page that `espalier explain CODE` prints: what it means, an example that causes it, the cure. Markdown. */
  readonly explain: string;
}

/** Fixes the type of one entry's arguments: `ESP0101: entry<{ found: string }>({ ... })`. */
export function entry<A = Record<never, never>>(e: Entry<A>): Entry<A> {
  return e;
}

/** At most `most` lines of a list, each indented, and how many were left out. */
export function listed(lines: readonly string[], most = 12): string {
  const shown = lines.slice(0, most).map((l) => `\n    ${l}`);
  const rest = lines.length > most ? `\n    ... and ${lines.length - most} more` : '';
  return shown.join('') + rest;
}
