/**
 * How much a spec may ask for. What is asked is counted before it is done, so that a slip in a number is said at once and never by running
 * out of time or memory. Real models stay far below: ViT-L with adapters on all its layers takes some 50,000
 * expressions; one whose adapter builds a table for each site (OFT) a million.
 */
import { valuesMade } from '../../../ir/graph.js';
import type { Span } from '../../ast.js';
import { Exhausted, type Report } from '../report.js';

/** Turns of one `repeat`, `for` or generator. */
export const MOST_TURNS = 10_000;
/** Turns of loops inside of one another, and elements of one table or comprehension. */
export const MOST_ELEMENTS = 1 << 20;

const MOST = {
  expressions: 5_000_000,
  'modules and parameters': 50_000,
  operators: 250_000,
} as const;
type Counted = keyof typeof MOST;

export class Budget {
  readonly #report: Report;
  readonly #spent: Record<Counted, number> = { expressions: 0, 'modules and parameters': 0, operators: 0 };
  readonly #valuesBefore = valuesMade();
  /** Turns that the loops around take together. */
  #turns = 1;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Counts one more expression, or module or parameter. @throws Exhausted, reported at `span` */
  spend(what: Exclude<Counted, 'operators'>, span: Span): void {
    if (++this.#spent[what] > MOST[what]) this.#exhausted(what, span);
  }

  /** Counts the values that were made since this model was begun. @throws Exhausted */
  spendValues(span: Span): void {
    if (valuesMade() - this.#valuesBefore > MOST.operators) this.#exhausted('operators', span);
  }

  /** Runs a loop of `n` turns, unless all loops around it together would turn too often. @throws Exhausted, before the first turn */
  loop<T>(n: number, span: Span, work: () => T): T {
    const before = this.#turns;
    this.#turns = before * Math.max(1, n);
    try {
      if (this.#turns > MOST_ELEMENTS) {
        this.#report.add(
          'ESP0310',
          { what: 'the turns of loops in loops', limit: MOST_ELEMENTS, found: this.#turns },
          { primary: { span, text: `${n} turns in each of ${before}` } },
        );
        throw new Exhausted();
      }
      return work();
    } finally {
      this.#turns = before;
    }
  }

  #exhausted(what: Counted, span: Span): never {
    this.#report.add('ESP0315', { what, limit: MOST[what] }, { primary: { span, text: 'the limit is reached here' } });
    throw new Exhausted();
  }
}
