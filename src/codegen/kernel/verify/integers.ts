/** Arithmetic on the verifier's integers: the form and the range of what WGSL computes from u32 and i32. */
import { constIndex, div, type Index, mod, scale, sum } from '../../read/indexing.js';
import type { BinaryOp, Scalar } from '../types.js';
import { type Fact, type Facts, hull, type Level, type Range, type Symbols, shortened, within } from './ranges.js';

export function isInteger(scalar: Scalar): scalar is 'u32' | 'i32' {
  return scalar === 'u32' || scalar === 'i32';
}

export function rangeOfType(scalar: 'u32' | 'i32'): Range {
  return scalar === 'u32' ? { lo: 0, hi: 2 ** 32 - 1 } : { lo: -(2 ** 31), hi: 2 ** 31 - 1 };
}

/** Facts of a comparison that came out true, and of one that came out false. */
export interface Outcome {
  readonly yes: readonly Fact[];
  readonly no: readonly Fact[];
}

/** A fact that is never true. */
export const NEVER: Fact = { form: constIndex(1), lo: 0, hi: 0 };

export class Integers {
  constructor(private readonly symbols: Symbols) {}

  /** Any number of the type. */
  any(scalar: 'u32' | 'i32', level: Level): Index {
    return this.symbols.fresh(rangeOfType(scalar), level);
  }

  /** x as a value of the type: itself where it surely fits, and else any number, for it may have wrapped. */
  fit(scalar: 'u32' | 'i32', x: Index, facts: Facts, level: Level): Index {
    const { lo, hi } = rangeOfType(scalar);
    return facts.within(x, lo, hi) ? x : this.any(scalar, level);
  }

  /** One symbol for one computation on given forms. */
  private computed(op: string, args: readonly Index[], range: Range, level: Level): Index {
    return this.symbols.same(`${op}(${args.map((a) => a.key).join(', ')})`, range, level);
  }

  negative(x: Index, facts: Facts, level: Level): Index {
    return this.fit('i32', scale(x, -1), facts, level);
  }

  /** a op b, of an operator that gives a number. */
  binary(op: BinaryOp, scalar: 'u32' | 'i32', a: Index, b: Index, facts: Facts, level: Level): Index {
    switch (op) {
      case '+':
        return this.fit(scalar, shortened(sum(a, b)), facts, level);
      case '-':
        return this.fit(scalar, shortened(sum(a, scale(b, -1))), facts, level);
      case '*':
        if (b.terms.length === 0) return this.fit(scalar, scale(a, b.constant), facts, level);
        if (a.terms.length === 0) return this.fit(scalar, scale(b, a.constant), facts, level);
        return this.product(scalar, a, b, facts, level);
      case '/':
      case '%':
        return this.quotient(op, scalar, a, b, facts, level);
      case '<<':
        if (b.terms.length === 0 && b.constant < 32) return this.fit(scalar, scale(a, 2 ** b.constant), facts, level);
        break;
      case '>>':
        // Of a negative number it rounds down too, as `div` does.
        if (b.terms.length === 0 && b.constant < 32) return div(a, 2 ** b.constant);
        break;
      case '&':
      case '|':
      case '^':
        return this.bits(op, scalar, a, b, facts, level);
    }
    return this.any(scalar, level);
  }

  private product(scalar: 'u32' | 'i32', a: Index, b: Index, facts: Facts, level: Level): Index {
    const [x, y] = [facts.range(a), facts.range(b)];
    const ends = [x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi];
    const range = { lo: Math.min(...ends), hi: Math.max(...ends) };
    const { lo, hi } = rangeOfType(scalar);
    return within(range, lo, hi) ? this.computed('*', [a, b], range, level) : this.any(scalar, level);
  }

  private quotient(op: '/' | '%', scalar: 'u32' | 'i32', a: Index, b: Index, facts: Facts, level: Level): Index {
    const [x, y] = [facts.range(a), facts.range(b)];
    // WGSL rounds towards zero, an Index down: they agree on what is not negative.
    if (x.lo < 0 || y.lo < 0) return this.any(scalar, level);
    if (b.terms.length === 0 && b.constant > 0) return op === '/' ? div(a, b.constant) : mod(a, b.constant);
    // By zero, WGSL gives x / 0 = x and x % 0 = 0.
    if (op === '%') return this.computed(op, [a, b], { lo: 0, hi: Math.min(x.hi, Math.max(0, y.hi - 1)) }, level);
    const range = { lo: y.lo > 0 ? Math.floor(x.lo / y.hi) : 0, hi: Math.floor(x.hi / Math.max(1, y.lo)) };
    return this.computed(op, [a, b], range, level);
  }

  private bits(op: '&' | '|' | '^', scalar: 'u32' | 'i32', a: Index, b: Index, facts: Facts, level: Level): Index {
    const [x, y] = [facts.range(a), facts.range(b)];
    if (x.lo < 0 || y.lo < 0) return this.any(scalar, level);
    const most = Math.max(x.hi, y.hi);
    const hi = op === '&' ? Math.min(x.hi, y.hi) : 2 ** Math.ceil(Math.log2(most + 1)) - 1;
    return this.computed(op, [a, b], { lo: 0, hi }, level);
  }

  /** min or max. */
  extreme(fn: 'min' | 'max', a: Index, b: Index, facts: Facts, level: Level): Index {
    const [x, y] = [facts.range(a), facts.range(b)];
    const [small, large] = fn === 'min' ? [a, b] : [b, a];
    if (x.hi <= y.lo) return small;
    if (y.hi <= x.lo) return large;
    const range = { lo: Math[fn](x.lo, y.lo), hi: Math[fn](x.hi, y.hi) };
    return this.computed(fn, [a, b], range, level);
  }

  /** One of two, each known to come from where its own facts hold. */
  either(a: Index, fromA: Facts, b: Index, fromB: Facts, level: Level): Index {
    if (a.key === b.key || fromB.impossible) return a;
    if (fromA.impossible) return b;
    return this.symbols.fresh(hull(fromA.range(a), fromB.range(b)), level);
  }

  /** What a op b says of the two, of an operator that compares. */
  compare(op: BinaryOp, a: Index, b: Index, facts: Facts): Outcome {
    const form = sum(a, scale(b, -1));
    const upTo = (hi: number): Fact => ({ form, lo: -Infinity, hi });
    const from = (lo: number): Fact => ({ form, lo, hi: Infinity });
    switch (op) {
      case '<':
        return { yes: [upTo(-1)], no: [from(0)] };
      case '<=':
        return { yes: [upTo(0)], no: [from(1)] };
      case '>':
        return { yes: [from(1)], no: [upTo(0)] };
      case '>=':
        return { yes: [from(0)], no: [upTo(-1)] };
      case '==':
      case '!=': {
        const same: Fact[] = [{ form, lo: 0, hi: 0 }];
        const { lo, hi } = facts.range(form);
        const other: Fact[] = lo > 0 || hi < 0 ? [] : lo === 0 && hi === 0 ? [NEVER] : lo === 0 ? [from(1)] : [];
        if (hi === 0 && lo < 0) other.push(upTo(-1));
        return op === '==' ? { yes: same, no: other } : { yes: other, no: same };
      }
      default:
        return { yes: [], no: [] };
    }
  }

  /**
   * What `x < below` says, compared as unsigned numbers: a negative x is too large, as long as it is not so far below zero
   * that it comes out small again.
   */
  compareUnsigned(x: Index, below: number, facts: Facts): Outcome {
    const { lo, hi } = facts.range(x);
    if (lo < below - 2 ** 32 || hi >= 2 ** 32) return { yes: [], no: [] };
    const no: Fact[] = lo >= 0 ? [{ form: x, lo: below, hi: Infinity }] : [];
    return { yes: [{ form: x, lo: 0, hi: below - 1 }], no };
  }
}
