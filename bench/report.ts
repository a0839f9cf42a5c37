/** What a comparison found, as a line of text and as JSON. */
import type { Subject } from './arguments.js';
import { median, ratios, type Spread, type Verdict, verdict } from './statistics.js';

export interface Line {
  readonly name: string;
  /** Runs in one measurement, which is their mean. */
  readonly runs: number;
  /** Seconds of each round. `again` is `old` a second time; without another version, `old` and `again` are both this one. */
  readonly seconds: {
    readonly old: readonly number[];
    readonly again: readonly number[];
    readonly new?: readonly number[];
  };
  readonly median: { readonly old: number; readonly new?: number };
  /** again/old: what a ratio says of the same thing twice. */
  readonly same: Spread;
  /** new/old */
  readonly change?: Spread;
  readonly verdict?: Verdict;
  /** Largest difference of outputs, of the largest output. */
  readonly difference?: number;
}

/** @param times Of old, again and, where there is one, new. */
export function lineOf(
  subject: Pick<Subject, 'name'>,
  runs: number,
  times: readonly (readonly number[])[],
  difference?: number,
): Line {
  const [old, again, newer] = times as [readonly number[], readonly number[], (readonly number[])?];
  const same = ratios(again, old);
  const change = newer && ratios(newer, old);
  return {
    name: subject.name,
    runs,
    seconds: { old, again, ...(newer ? { new: newer } : {}) },
    median: { old: median(old), ...(newer ? { new: median(newer) } : {}) },
    same,
    ...(change ? { change, verdict: verdict(change, same) } : {}),
    ...(difference === undefined ? {} : { difference }),
  };
}

const WIDTHS = [16, 12, 12, 26, 26];

const row = (cells: readonly string[]): string =>
  cells
    .map((c, i) => c.padEnd(WIDTHS[i] ?? 0))
    .join('')
    .trimEnd();

export const header = (compares: boolean): string =>
  row(compares ? ['', 'old', 'new', 'new/old', 'old/old (A/A)', 'new is'] : ['', 'this', '', '', 'this/this (A/A)']);

export function textOf(line: Line): string {
  const { old, new: newer } = line.median;
  const time = (s: number | undefined): string => (s === undefined ? '' : `${(1000 * s).toPrecision(4)} ms`);
  const ratio = (s: Spread | undefined): string =>
    s ? `${s.median.toFixed(3)} (${s.lower.toFixed(3)} to ${s.upper.toFixed(3)})` : '';
  // Rounding differs between kernels; anything more, and it is not the same that was timed.
  const apart = (line.difference ?? 0) > 1e-4 ? `; OUTPUTS DIFFER by ${line.difference!.toExponential(1)}` : '';
  return row([
    line.name,
    time(old),
    time(newer),
    ratio(line.change),
    ratio(line.same),
    `${line.verdict ?? ''}${apart}`,
  ]);
}
