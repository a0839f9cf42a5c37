/** What the terminal is: colour only on one, progress only on one and only for what takes a while, data on standard output. */
import type { Progress } from '../api/host.js';

export { bytes, count, scaled } from '../api/report/numbers.js';

export interface Output {
  /** Whether notes may have colour; results never have any. */
  readonly colour: boolean;
  /** Whether anybody still takes results: `espalier run ... | head` stops reading. */
  readonly open: () => boolean;
  /** Results; goes to standard output. */
  print(text: string): void;
  /** Everything that is not a result; goes to standard error. */
  note(text: string): void;
}

export interface Terminal extends Output {
  /** Waits until all that was printed is out. Gives the error that ended standard output, if one did. */
  flush(): Promise<NodeJS.ErrnoException | undefined>;
}

export function terminalOutput(): Terminal {
  const { stdout, stderr } = process;
  let ended: NodeJS.ErrnoException | undefined;
  const end = (error: NodeJS.ErrnoException) => {
    ended ??= error;
  };
  stdout.on('error', end);
  // There is nowhere left to say that nothing can be said.
  stderr.on('error', () => {});
  const write = (stream: NodeJS.WriteStream, text: string, failed: (error: NodeJS.ErrnoException) => void) => {
    try {
      stream.write(text.endsWith('\n') ? text : `${text}\n`);
    } catch (error) {
      // Files and devices are written at once, and fail at once.
      failed(error as NodeJS.ErrnoException);
    }
  };
  // Notes are what is coloured, so it is standard error that has to be a terminal. An empty NO_COLOR is none, by its convention.
  const colour = stderr.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  return {
    colour,
    open: () => ended === undefined,
    print: (text) => {
      if (!ended) write(stdout, text, end);
    },
    note: (text) => write(stderr, text, () => {}),
    async flush() {
      if (!ended) await new Promise<void>((done) => stdout.write('', () => done()));
      // The error of a write that failed is told after its callback.
      await new Promise(setImmediate);
      return ended;
    },
  };
}

/** A line that is redrawn at most ten times a second, from one second after the start, and erased at the end. */
export function startProgress(): { report: Progress; done: () => void } {
  const live = process.stderr.isTTY === true;
  const begun = Date.now();
  let last = 0;
  let drawn = false;
  return {
    report(what, fraction) {
      const now = Date.now();
      if (!live || now - begun < 1000 || now - last < 100) return;
      last = now;
      drawn = true;
      const bar =
        fraction === undefined
          ? ''
          : ` ${'█'.repeat(Math.round(fraction * 24)).padEnd(24, '░')} ${Math.round(fraction * 100)}%`;
      // A line that wraps could not be erased.
      process.stderr.write(`\r\x1b[K${`${what}${bar}`.slice(0, Math.max(8, (process.stderr.columns ?? 80) - 1))}`);
    },
    done() {
      if (drawn) process.stderr.write('\r\x1b[K');
    },
  };
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[], heading?: readonly string[]): string {
  const all = heading ? [heading, ...rows] : rows;
  const widths: number[] = [];
  for (const row of all)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, String(cell).length);
    });
  const numeric = widths.map((_, i) =>
    rows.every((row) => typeof row[i] === 'number' || /^([-+]?[\d,.]+%?|-)$/.test(String(row[i] ?? ''))),
  );
  return all
    .map((row) =>
      row
        .map((cell, i) => (numeric[i] ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One CSV line; quotes where the format asks for them, nothing where a number is not known. */
export function csvLine(cells: readonly (string | number)[]): string {
  return cells
    .map((cell) => (Number.isNaN(cell) ? '' : cell))
    .map((cell) => (/[",\n\r]/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell)))
    .join(',');
}
