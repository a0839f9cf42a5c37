/** A sweep over VTAB-1k's tasks: the benchmark's two means of what its runs give, which papers report under one name. */
import { VTAB, type VtabMeans, vtabMeans, vtabTask } from '../../data/vtab.js';

/** Of a sweep's row: the options' values, how many of its runs have ended, and what they gave. */
interface Row {
  readonly set: Readonly<Record<string, string>>;
  readonly runs: number;
  readonly of: number;
  readonly figure: string;
  readonly test?: { readonly mean: number };
}

export interface SweptVtab {
  /** The other options, which hold for all tasks. */
  readonly set: Readonly<Record<string, string>>;
  /** Of test accuracies in percent, over the seeds of each task; absent as long as some are missing. */
  readonly means?: VtabMeans;
  /** Tasks that have no test accuracy. */
  readonly missing: readonly string[];
}

/** For each combination of the other options, where an option's values are all VTAB's tasks, as names or as paths that end in them; otherwise none. */
export function vtabOf(rows: readonly Row[]): SweptVtab[] {
  const option = Object.keys(rows[0]?.set ?? {}).find((name) => {
    const tasks = rows.map((r) => vtabTask(r.set[name]!));
    return !tasks.includes(undefined) && new Set(tasks).size > 1;
  });
  if (option === undefined) return [];
  const restOf = ({ set: { [option]: _, ...rest } }: Row): Record<string, string> => rest;
  return [...new Set(rows.map((r) => JSON.stringify(restOf(r))))].map((key): SweptVtab => {
    const found: Record<string, number> = {};
    for (const row of rows.filter((r) => JSON.stringify(restOf(r)) === key))
      if (row.figure === 'accuracy' && row.test && row.runs === row.of)
        found[vtabTask(row.set[option]!)!] = 100 * row.test.mean;
    const missing = Object.values(VTAB)
      .flatMap(Object.keys)
      .filter((task) => found[task] === undefined);
    return { set: JSON.parse(key), missing, ...(missing.length > 0 ? {} : { means: vtabMeans(found) }) };
  });
}
