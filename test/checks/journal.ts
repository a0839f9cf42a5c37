/** What the runner writes down, a line each, and what it comes to. */
import { readFileSync } from 'node:fs';

export type Entry =
  /** A test, the checks that it reaches, and how long it takes, in ms. */
  | { readonly kind: 'test'; readonly name: string; readonly checks: readonly number[]; readonly ms: number }
  /** A test that failed when it was run again; where it did twice, nothing can be said (once may be the doing of another file's test). */
  | { readonly kind: 'once'; readonly name: string }
  | { readonly kind: 'begin'; readonly name: string; readonly check: number }
  /** `passed`: the check was reached again (what a file works out once is not). */
  | {
      readonly kind: 'end';
      readonly name: string;
      readonly check: number;
      readonly noticed: boolean;
      readonly passed: boolean;
    };

export interface Findings {
  /** By check: the tests that reach it, and those of them that fail without it. */
  readonly reached: ReadonlyMap<number, ReadonlySet<string>>;
  readonly noticed: ReadonlyMap<number, ReadonlySet<string>>;
  /** By test: the checks that are to be switched off next. */
  readonly pending: ReadonlyMap<string, readonly number[]>;
  readonly ms: ReadonlyMap<string, number>;
  /** Runs of a test without a check. */
  readonly runs: number;
  /** Tests that cannot be run twice, and tests that are too slow. */
  readonly once: readonly string[];
  readonly slow: readonly string[];
}

/** Once so many tests fail without a check, it is not tried with more; the quickest come first. */
const ENOUGH = 2;
/** A test that takes longer, in ms, is not run without a check. */
const SLOW = 5_000;

export const read = (path: string): Entry[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);

export function findings(entries: readonly Entry[]): Findings {
  const reached = new Map<number, Set<string>>();
  const noticed = new Map<number, Set<string>>();
  const add = (map: Map<number, Set<string>>, check: number, name: string) =>
    map.set(check, (map.get(check) ?? new Set()).add(name));
  const tried = new Set<string>();
  const begun = new Map<string, { check: number; name: string }>();
  const again = new Map<string, number>();
  const ms = new Map<string, number>();
  for (const entry of entries) {
    const { name } = entry;
    if (entry.kind === 'once') again.set(name, (again.get(name) ?? 0) + 1);
    else if (entry.kind === 'test') {
      for (const check of entry.checks) add(reached, check, name);
      ms.set(name, entry.ms);
    } else {
      const pair = `${entry.check} ${name}`;
      tried.add(pair);
      if (entry.kind === 'begin') begun.set(pair, { check: entry.check, name });
      else begun.delete(pair);
      if (entry.kind === 'end' && entry.noticed && entry.passed) add(noticed, entry.check, name);
    }
  }
  const once = new Set([...again].filter(([, times]) => times > 1).map(([name]) => name));
  // A test that takes the whole process with it, or that does not end, has failed.
  for (const { check, name } of begun.values()) add(noticed, check, name);
  const pending = new Map<string, number[]>();
  const slow = new Set<string>();
  for (const [check, names] of reached) {
    const missing = ENOUGH - (noticed.get(check)?.size ?? 0);
    if (missing <= 0) continue;
    const left = [...names].filter((name) => !tried.has(`${check} ${name}`) && !once.has(name));
    // The more have not missed it, the more are tried at once.
    const most = missing + names.size - left.length;
    for (const name of left) if (ms.get(name)! > SLOW) slow.add(name);
    const next = left.filter((name) => !slow.has(name)).sort((a, b) => ms.get(a)! - ms.get(b)!);
    for (const name of next.slice(0, most)) pending.set(name, [...(pending.get(name) ?? []), check]);
  }
  return { reached, noticed, pending, ms, runs: tried.size, once: [...once], slow: [...slow] };
}
