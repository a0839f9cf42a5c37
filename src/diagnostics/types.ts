/** What a diagnostic is, as data. Imported by everything that can meet bad input; imports nothing. */

/** Offsets into the text of `file`, half open. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

export type Severity = 'error' | 'warning' | 'note';

export interface Label {
  readonly span: Span;
  readonly text: string;
}

export interface Diagnostic {
  /** `ESP0101`; a key of the catalogue. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** Where it is; absent for what has no place in a text (a weights file, a device). */
  readonly primary?: Label;
  readonly secondary: readonly Label[];
  /** What to do: whole sentences. */
  readonly help: readonly string[];
  /** A replacement that would cure it. */
  readonly fix?: { readonly span: Span; readonly text: string };
}

/** Thrown at the API's edge, and inside for what cannot go on. Never holds an empty list. */
export class EspalierError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map((d) => `${d.code}: ${d.message}`).join('\n'));
    this.name = 'EspalierError';
    this.diagnostics = diagnostics;
  }
}

/** Never throws for bad input: `value` is absent when there is an error. */
export interface Checked<T> {
  readonly value?: T;
  readonly diagnostics: readonly Diagnostic[];
}
