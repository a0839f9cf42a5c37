/** Collects diagnostics. One error stops the expression it is in and nothing else; what depends on it stays silent. */
import { type Code, diagnostic, type Place } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Label, Span } from '../../diagnostics/types.js';

/** Thrown after an error was reported; caught where work can go on. Carries nothing. */
export class Stop extends Error {
  constructor() {
    super('reported');
    this.name = 'Stop';
  }
}

/** The spec asks for more work than any real one: everything ends. Reported before it is thrown. */
export class Exhausted extends Error {}

/** A requirement of a module or adapter does not hold: the rest of its body would only echo that. */
export class Refused extends Stop {}

type Args<C extends Code> = Parameters<typeof diagnostic<C>>[1];

/** More distinct errors than anyone reads; the rest are dropped and their number is not a promise. */
const MOST = 200;

export class Report {
  readonly diagnostics: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  /** Calls that lead from the spec into what is being worked out: outermost first. */
  readonly #trail: Label[] = [];
  #failed = false;
  #errors = 0;
  #muted = 0;

  constructor(
    /** The file that is compiled; places elsewhere are explained by the place in it that led there. */
    readonly mainFile: string,
  ) {}

  /** Errors so far, repeated ones counted. */
  get errors(): number {
    return this.#errors;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Reports; the same message at the same place counts once (a block is instantiated many times). */
  add<C extends Code>(code: C, args: Args<C>, place: Place = {}): void {
    this.push(diagnostic(code, args, this.#explained(place)), place.primary?.span);
  }

  /** `at`: where it was found, if that is not where it is shown. */
  push(d: Diagnostic, at: Span | undefined = d.primary?.span): void {
    if (this.#muted > 0) return;
    if (d.severity === 'error') {
      this.#failed = true;
      this.#errors++;
    }
    const key = at ? `${d.code}|${at.file}|${at.start}|${at.end}` : `${d.code}|${d.message}`;
    if (this.#seen.has(key) || this.diagnostics.length >= MOST) return;
    this.#seen.add(key);
    this.diagnostics.push(d);
  }

  /** Reports and stops the expression. */
  stop<C extends Code>(code: C, args: Args<C>, place: Place = {}): never {
    this.add(code, args, place);
    throw new Stop();
  }

  /** Runs `work`; undefined if an error stopped it. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (e) {
      if (e instanceof Stop) return undefined;
      throw e;
    }
  }

  /** Runs `work` on guesses: what goes wrong may be the guess's fault, so nothing of it is said. */
  muted<T>(work: () => T): T {
    this.#muted++;
    try {
      return work();
    } finally {
      this.#muted--;
    }
  }

  /** Runs `work` with one more step on the way from the spec. */
  along<T>(span: Span, text: string, work: () => T): T {
    this.#trail.push({ span, text });
    try {
      return work();
    } finally {
      this.#trail.pop();
    }
  }

  /** Nobody can change the library: the step in the user's own file that led to a place there is shown first. */
  #explained(place: Place): Place {
    const first = place.primary;
    if (!first || first.span.file === this.mainFile) return place;
    const mine = this.#trail.findLast((l) => l.span.file === this.mainFile);
    if (!mine || place.secondary?.some((l) => l.span.file === this.mainFile)) return place;
    return { ...place, primary: mine, secondary: [first, ...(place.secondary ?? [])] };
  }
}
