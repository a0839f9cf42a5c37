/** Diagnostics for programs: the stable form that `--json` prints. Fields may be added to it, never changed. */
import { Lines } from './text.js';
import type { Diagnostic, Severity, Span } from './types.js';

export interface PositionJson {
  /** UTF-16 units from the beginning of the text, from 0. */
  readonly offset: number;
  /** From 1; 0 if the text of the file is not known. */
  readonly line: number;
  /** Code points from the beginning of the line, from 1; 0 if the text of the file is not known. */
  readonly column: number;
}
export interface RangeJson {
  readonly file: string;
  readonly start: PositionJson;
  /** The first position that is not part of it. */
  readonly end: PositionJson;
}
export interface LabelJson extends RangeJson {
  readonly text: string;
}
export interface DiagnosticJson {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** Absent for what has no place in a text. */
  readonly primary?: LabelJson;
  readonly secondary: readonly LabelJson[];
  readonly help: readonly string[];
  /** Putting `text` in this place would cure it. */
  readonly fix?: LabelJson;
}

/** Diagnostics as plain data, with lines and columns from `texts`. */
export function toJson(
  diagnostics: readonly Diagnostic[],
  texts: (file: string) => string | undefined,
): DiagnosticJson[] {
  const known = new Map<string, Lines | undefined>();
  const linesOf = (file: string): Lines | undefined => {
    if (!known.has(file)) {
      const text = texts(file);
      known.set(file, text === undefined ? undefined : new Lines(text));
    }
    return known.get(file);
  };
  const place = (span: Span, text: string): LabelJson => {
    const lines = linesOf(span.file);
    const at = (offset: number): PositionJson => ({ offset, ...(lines?.position(offset) ?? { line: 0, column: 0 }) });
    return { file: span.file, start: at(span.start), end: at(span.end), text };
  };
  return diagnostics.map((d) => ({
    code: d.code,
    severity: d.severity,
    message: d.message,
    ...(d.primary ? { primary: place(d.primary.span, d.primary.text) } : {}),
    secondary: d.secondary.map((label) => place(label.span, label.text)),
    help: d.help,
    ...(d.fix ? { fix: place(d.fix.span, d.fix.text) } : {}),
  }));
}
