/** Collects diagnostics. One error stops the expression it is in and nothing else; what depends on it stays silent. */
import { type Code, diagnostic, type Place } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Label, Span } from '../../diagnostics/types.js';
import type { Damage, SourceFile } from '../ast.js';

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

/** On the way from the spec into what is being worked out. */
interface Step extends Label {
  readonly statement: boolean;
}

/** More distinct errors than anyone reads; the rest are dropped and their number is not a promise. */
const MOST = 200;

export class Report {
  readonly diagnostics: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  /** Calls that lead from the spec into what is being worked out: outermost first. */
  readonly #trail: Step[] = [];
  #failed = false;
  #errors = 0;
  #muted = 0;
  readonly #damaged = new Map<string, Damage['lines']>();

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
    const at = place.primary?.span;
    this.#push(diagnostic(code, args, this.#explained(place)), [at, at && this.#led(at)?.span]);
  }

  push(d: Diagnostic): void {
    this.#push(d, [d.primary?.span]);
  }

  /** `found`: where it was found, and what led there; two statements that go wrong in one line of the library are two errors. */
  #push(d: Diagnostic, found: readonly (Span | undefined)[]): void {
    if (this.#muted > 0) return;
    if (d.severity === 'error') {
      this.#failed = true;
      this.#errors++;
    }
    // Whatever else is found where something is wrong already would only echo that.
    const at = found.flatMap((l) => (l ? [l.file, l.start, l.end] : []));
    const key = found[0] ? [d.severity, ...at].join('|') : `${d.code}|${d.message}`;
    // What was found without any use of it (an unknown name in an adapter) is not found again by each use.
    const alone = found[0] && [d.severity, ...at.slice(0, 3)].join('|');
    // Where it is shown: what one statement of the user's own meets many times in the library is one thing.
    const foreign = d.primary && found[0] && !same(d.primary.span, found[0]);
    const what = foreign ? d.code : `${d.code}|${d.message}`;
    const shown = d.primary && [what, d.primary.span.file, d.primary.span.start, d.primary.span.end].join('|');
    if (this.#isEcho(d.primary?.span) || found.some((s) => this.#isEcho(s))) return;
    const known = [key, alone, shown].some((k) => k !== undefined && this.#seen.has(k));
    this.#seen.add(key);
    if (shown !== undefined) this.#seen.add(shown);
    if (!known && this.diagnostics.length < MOST) this.diagnostics.push(d);
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

  /** A file with errors of syntax: what is said about their lines would only echo that. */
  damaged(file: SourceFile): void {
    if (file.damage) this.#damaged.set(file.path, file.damage.lines);
  }

  #isEcho(span: Span | undefined): boolean {
    const lines = span && this.#damaged.get(span.file);
    return lines?.some(([start, end]) => start <= span!.start && span!.start <= end) ?? false;
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
    return this.#step({ span, text, statement: false }, work);
  }

  /** As `along`, for a statement of a model that uses an adapter or a criterion: what it uses means something else at each site. */
  onBehalfOf<T>(statement: Span, text: string, work: () => T): T {
    return this.#step({ span: statement, text, statement: true }, work);
  }

  #step<T>(step: Step, work: () => T): T {
    this.#trail.push(step);
    try {
      return work();
    } finally {
      this.#trail.pop();
    }
  }

  /**
   * With the step in the user's own file that led there. It comes first where the place is in the library, which nobody can change; where
   * the place is in an adapter of the user's own, it says which use of it is meant.
   */
  #explained(place: Place): Place {
    const first = place.primary;
    const mine = first && this.#led(first.span);
    if (!first || !mine) return place;
    const others = place.secondary ?? [];
    const known = others.find((l) => same(l.span, mine.span));
    const rest = others.filter((l) => l !== known);
    if (first.span.file !== this.mainFile) return { ...place, primary: known ?? mine, secondary: [first, ...rest] };
    return known ? place : { ...place, secondary: [...others, mine] };
  }

  #led(to: Span): Step | undefined {
    const foreign = to.file !== this.mainFile;
    const last = this.#trail.findLast((s) => s.span.file === this.mainFile && (foreign || s.statement));
    // What is written there is the first of all that it stands for: a variant, not the backbone that it fills in.
    return last && this.#trail.find((s) => same(s.span, last.span));
  }
}

const same = (a: Span, b: Span): boolean => a.file === b.file && a.start === b.start && a.end === b.end;
