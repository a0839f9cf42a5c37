/** Two halves of a table of methods, side by side, and what may be said of their differences: within the spread of the seeds it is nothing. */
import { deviation, mean, pooled } from '../statistics.js';
import type { Run } from './settings.js';

export interface Row {
  readonly method: string;
  readonly seeds: number;
  /** Mean of the seeds' accuracies. */
  readonly accuracy: number;
  /** Standard deviation of the seeds' accuracies; absent for one seed. */
  readonly spread?: number;
  readonly parameters: number;
  readonly cpuSecondsPerStep: number;
  readonly peakBytes: number;
}

/** One row for each method, in the order in which methods first come. */
export function rowsOf(runs: readonly Run[]): Row[] {
  return [...new Set(runs.map((r) => r.method))].map((method) => {
    const own = runs.filter((r) => r.method === method);
    const accuracies = own.map((r) => r.accuracy);
    return {
      method,
      seeds: own.length,
      accuracy: mean(accuracies),
      ...(own.length > 1 ? { spread: deviation(accuracies) } : {}),
      parameters: own[0]!.parameters,
      cpuSecondsPerStep: mean(own.map((r) => r.cpu_seconds_per_step)),
      peakBytes: Math.max(...own.map((r) => r.peak_bytes)),
    };
  });
}

/** What two rows' spreads make together. Absent where one has none. */
export function spreadOf(a: Row, b: Row): number | undefined {
  return a.spread === undefined || b.spread === undefined ? undefined : pooled(a.spread, b.spread);
}

const points = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(2)}`;

/** a's mean beside b's, in points. That one is better is never said: of three seeds, nobody knows. */
export function differenceText(a: Row, b: Row): string {
  const difference = a.accuracy - b.accuracy;
  if (difference === 0) return 'equal';
  const spread = spreadOf(a, b);
  if (spread === undefined) return `${points(difference)}, spread unknown`;
  return Math.abs(difference) <= spread
    ? `${points(difference)}, within the spread`
    : `${points(difference)}, spread ${(100 * spread).toFixed(2)}`;
}

const percent = ({ accuracy, spread }: Row): string =>
  `${(100 * accuracy).toFixed(2)}${spread === undefined ? '' : ` ± ${(100 * spread).toFixed(2)}`}`;
const MIB = 2 ** 20;

/** The largest difference of a step's loss to the same step's there, as a share of that. */
export function lossDifference(own: readonly Run[], others: readonly Run[]): number {
  const shares = own.flatMap(({ method, seed, losses }) => {
    const there = others.find((r) => r.method === method && r.seed === seed);
    return there ? losses.map((loss, i) => Math.abs(loss - there.losses[i]!) / there.losses[i]!) : [];
  });
  return Math.max(...shares);
}

/** Both halves as Markdown; PyTorch's of the runs that ours has. */
export function markdown(runs: readonly Run[], pytorch: readonly Run[]): string {
  const there = pytorch.filter((p) => runs.some((r) => r.method === p.method && r.seed === p.seed));
  const others = new Map(rowsOf(there).map((row) => [row.method, row]));
  const own = rowsOf(runs);
  const lines = own.map((row) => {
    const other = others.get(row.method)!;
    const loss = lossDifference(
      runs.filter((r) => r.method === row.method),
      there,
    );
    const both = (show: (r: Row) => string): string => `${show(row)} / ${show(other)}`;
    return [
      row.method,
      row.seeds,
      percent(row),
      percent(other),
      differenceText(row, other),
      loss.toExponential(1),
      row.parameters === other.parameters ? row.parameters : both((r) => String(r.parameters)),
      both((r) => r.cpuSecondsPerStep.toFixed(2)),
      both((r) => (r.peakBytes / MIB).toFixed(1)),
    ];
  });
  const header = [
    'method',
    'seeds',
    'Espalier, %',
    'PyTorch, %',
    'difference, points',
    'largest difference of a loss',
    'trained',
    'processor s a step',
    'peak, MiB',
  ];
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Pairs of methods of one half whose means differ by less than their spread: that one of them is better cannot be said. */
export function indistinct(runs: readonly Run[]): string[] {
  const rows = rowsOf(runs);
  return rows.flatMap((a, i) =>
    rows.slice(i + 1).flatMap((b) => {
      const spread = spreadOf(a, b);
      return spread !== undefined && Math.abs(a.accuracy - b.accuracy) <= spread ? [`${a.method} and ${b.method}`] : [];
    }),
  );
}
