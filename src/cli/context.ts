/** What every command shares: output, the options all of them take, and one way to fail. */
import { readFileSync } from 'node:fs';
import { RuntimeError } from '../../runtime/index.js';
import { libraryText } from '../api/library.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { render, toJson } from '../diagnostics/render.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { isDescriptor } from '../formats/node/files.js';
import { EXIT } from './exit.js';
import type { Output } from './output.js';

/** The text of a file that a diagnostic points into. */
export function textOf(path: string): string | undefined {
  const own = libraryText(path);
  if (own !== undefined) return own;
  // What came through a descriptor was read to its end.
  if (isDescriptor(path)) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export function showDiagnostics(diagnostics: readonly Diagnostic[], output: Output, json: boolean): void {
  if (diagnostics.length === 0) return;
  if (json) output.print(JSON.stringify({ diagnostics: toJson(diagnostics, textOf) }, null, 2));
  else output.note(render(diagnostics, { texts: textOf, color: output.colour }));
}

/** Messages about the command line itself: its options, and paths in it that are something else. */
const USAGE = [
  'ESP0901',
  'ESP0902',
  'ESP0903',
  'ESP0904',
  'ESP0905',
  'ESP0906',
  'ESP0912',
  'ESP0913',
  'ESP0916',
  'ESP0922',
];

/** The exit code for what is wrong. */
export function exitCode(diagnostics: readonly Diagnostic[]): number {
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.some((d) => d.code === 'ESP1113')) return EXIT.lost;
  return errors.length > 0 && errors.every((d) => USAGE.includes(d.code)) ? EXIT.usage : EXIT.input;
}

/** What to exit with for an error, after saying it. */
export function report(error: unknown, output: Output, json: boolean): number {
  if (error instanceof EspalierError) {
    showDiagnostics(error.diagnostics, output, json);
    return exitCode(error.diagnostics);
  }
  if (error instanceof RuntimeError) {
    if (json)
      output.print(
        JSON.stringify(
          { diagnostics: [{ code: error.code, severity: 'error', message: error.message, help: [error.help] }] },
          null,
          2,
        ),
      );
    else output.note(`error[${error.code}]: ${error.message}${error.help ? `\n  = help: ${error.help}` : ''}`);
    return EXIT.device;
  }
  const internal = diagnostic('ESP0900', {
    what: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  showDiagnostics([internal], output, json);
  return EXIT.internal;
}

/** An output that learns how the command ended. */
export interface CommandOutput extends Output {
  finish(code: number): void;
}

/** Wraps a command's body: gives the exit code, never lets an error escape unformatted. */
export function guarded<A extends unknown[]>(output: CommandOutput, body: (...args: A) => Promise<number | undefined>) {
  return async (...args: A): Promise<void> => {
    const options = args.find(
      (a): a is A[number] & { json?: boolean } => typeof a === 'object' && a !== null && !Array.isArray(a),
    );
    try {
      output.finish((await body(...args)) ?? EXIT.ok);
    } catch (error) {
      output.finish(report(error, output, options?.json === true));
    }
  };
}

/** `--set a=1 --set b=2` as a record. */
export function collectSet(text: string, soFar: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at <= 0) throw new EspalierError([diagnostic('ESP0903', { text })]);
  return { ...soFar, [text.slice(0, at).trim()]: text.slice(at + 1).trim() };
}

/** A number within bounds. @throws EspalierError ESP0912 */
export function numberFor(option: string, text: string, range: { from: number; to: number; whole: boolean }): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const right = value >= range.from && value <= range.to && (!range.whole || Number.isInteger(value));
  if (!right) {
    const bounds = `${range.from} to ${range.to}`;
    const allowed = [range.whole ? `whole numbers from ${bounds}` : `numbers from ${bounds}`];
    throw new EspalierError([diagnostic('ESP0912', { option, value: text, allowed })]);
  }
  return value;
}

/** Refuses a value that an option does not take. */
export function oneOf<T extends string>(
  option: string,
  value: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw new EspalierError([diagnostic('ESP0912', { option, value, allowed })]);
  return found;
}
