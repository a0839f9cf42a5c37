/**
 * What is known of the integers of a program. An integer is a linear form (an `Index`, indexing.ts) over symbols: numbers that are
 * fixed but unknown, such as a thread's place. Two integers with one form are equal. Facts are bounds of forms that a guard gives.
 *
 * Forms are integers of any size. A u32 or i32 has the form of its exact value, so whatever may wrap gets a symbol of its own
 * (verify/integers.ts). The variable `lane` stands for each of 0..3: what is said of a form that holds it, is said of all four.
 */
import { constIndex, div, type Index, mod, scale, shift, substitute, sum, variable } from '../../read/indexing.js';

import { type Atom, formOf, grows, inParts, type Loose, leftOf, looseOf, multiples, quotientsOf } from './terms.js';

/** Both ends included. */
export interface Range {
  readonly lo: number;
  readonly hi: number;
}

/** lo <= form <= hi */
export interface Fact {
  readonly form: Index;
  readonly lo: number;
  readonly hi: number;
}

/** Who has one and the same value: 0 perhaps nobody, 1 the threads of a subgroup, 2 the threads of a workgroup. */
export type Level = 0 | 1 | 2;

/** What is alike for all that have each of these alike. */
export const lower = (...levels: readonly Level[]): Level => Math.min(2, ...levels) as Level;

/** Numbers of a thread within its workgroup. */
export type Local = 'index' | 'x' | 'y' | 'z' | 'subgroup';

export interface SymbolInfo {
  readonly level: Level;
  readonly local?: Local;
  /** Counts up; what was made in a loop differs from turn to turn. */
  readonly born: number;
}

export class Symbols {
  private readonly infos = new Map<string, SymbolInfo>();
  private readonly computed = new Map<string, Index>();

  get count(): number {
    return this.infos.size;
  }

  info(name: string): SymbolInfo {
    return this.infos.get(name)!;
  }

  fresh({ lo, hi }: Range, level: Level, local?: Local): Index {
    const born = this.infos.size;
    const name = `s${born}`;
    this.infos.set(name, { level, born, ...(local ? { local } : {}) });
    // A range is empty only where contradicting guards are not yet known to.
    return shift(variable(name, Math.max(1, hi - lo + 1)), lo);
  }

  /** The same symbol whenever `key` says the same computation of the same forms; the range is part of that, since guards narrow it. */
  same(key: string, range: Range, level: Level): Index {
    const whole = `${key} ${range.lo} ${range.hi} ${level}`;
    let x = this.computed.get(whole);
    if (!x) {
      x = this.fresh(range, level);
      this.computed.set(whole, x);
    }
    return x;
  }
}

/** Variables of a form, those inside of quotients and remainders too. */
export function namesIn(x: Index, into = new Set<string>()): Set<string> {
  for (const { atom } of x.terms) {
    if (atom.kind === 'var') into.add(atom.name);
    else namesIn(atom.of, into);
  }
  return into;
}

/** x with every variable replaced at once. */
export function replace(x: Index, by: (name: string, hi: number) => Index): Index {
  const parts = x.terms.map(({ atom, coeff }) => {
    if (atom.kind === 'var') return scale(by(atom.name, atom.hi), coeff);
    const of = replace(atom.of, by);
    return scale(atom.kind === 'div' ? div(of, atom.by) : mod(of, atom.by), coeff);
  });
  return sum(constIndex(x.constant), ...parts);
}

/** x - (x mod n) is n·(x div n): said so, where it makes the form shorter, its range shows that it is not negative. */
export function shortened(x: Index): Index {
  for (const { atom, coeff } of x.terms) {
    if (atom.kind !== 'mod') continue;
    const without = sum(x, scale(formOf(atom), -coeff));
    const other = sum(without, scale(atom.of, coeff), scale(div(atom.of, atom.by), -coeff * atom.by));
    if (other.terms.length < x.terms.length) return shortened(other);
  }
  return x;
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

export function within(r: Range, lo: number, hi: number): boolean {
  return r.lo >= lo && r.hi <= hi;
}

export function meet(a: Range, b: Range): Range {
  return { lo: Math.max(a.lo, b.lo), hi: Math.min(a.hi, b.hi) };
}

export function hull(...all: readonly Range[]): Range {
  return { lo: Math.min(...all.map((r) => r.lo)), hi: Math.max(...all.map((r) => r.hi)) };
}

const times = ({ lo, hi }: Range, by: number): Range =>
  by === 0 ? { lo: 0, hi: 0 } : by > 0 ? { lo: lo * by, hi: hi * by } : { lo: hi * by, hi: lo * by };

const plus = (a: Range, b: Range): Range => ({ lo: a.lo + b.lo, hi: a.hi + b.hi });

/** Facts that are put together to bound one number: the guards of four axes. */
const MOST_FACTS = 4;

/** Bounds that hold at a place of the program. Symbols never change, so a fact holds until its branch ends. */
export class Facts {
  /** The facts contradict each other: the place is never reached. */
  impossible = false;
  private readonly known: Map<string, Fact>;

  constructor(from?: Facts) {
    this.known = new Map(from?.known);
    this.impossible = from?.impossible ?? false;
  }

  with(facts: readonly Fact[] | undefined): Facts {
    const more = new Facts(this);
    more.add(facts);
    return more;
  }

  add(facts: readonly Fact[] | undefined): void {
    for (const f of facts ?? []) this.assume(f.form, f.lo, f.hi);
  }

  all(): Iterable<Fact> {
    return this.known.values();
  }

  /** Whether lo <= x <= hi. Mostly the terms show it, and the longer way need not be gone. */
  within(x: Index, lo: number, hi: number): boolean {
    return within(this.termwise(x), lo, hi) || within(this.range(x), lo, hi);
  }

  /** The least and the greatest that x can be. */
  range(x: Index): Range {
    const atoms = new Map(x.terms.map(({ atom }) => [atom.key, this.atom(atom, true)]));
    const loose = looseOf(x);
    const facts = [...this.known.values(), ...this.quotients(x)];
    return meet(this.loosely(loose, atoms), this.byFacts(loose, facts, MOST_FACTS, atoms));
  }

  /** Bounds of whole quotients, of which x holds what is left: of 64·t + u over 54, that is t + (10·t + u) div 54. */
  private quotients(x: Index): Fact[] {
    const found: Fact[] = [];
    for (const { atom } of x.terms) {
      if (atom.kind !== 'div') continue;
      const { of, by } = atom;
      for (const f of this.known.values()) {
        for (const m of multiples(of.terms, f.form.terms)) {
          // m·f + constant = by·whole + of
          const whole = sum(scale(f.form, m), shift(scale(of, -1), of.constant));
          if (whole.terms.length === 0 || whole.terms.some((t) => t.coeff % by !== 0)) continue;
          const quotient = sum(formOf(atom), scale(whole, 1 / by));
          const { lo, hi } = times(f, m);
          found.push({
            form: quotient,
            lo: Math.floor((lo + of.constant) / by),
            hi: Math.floor((hi + of.constant) / by),
          });
        }
      }
    }
    return found;
  }

  /**
   * Bounds of x from facts that share terms with it. Without them nothing would be known of 4·(64·group + thread) + lane from a guard on
   * 64·group + thread, nor of 14·row + column from guards on a row and a column that are sums themselves.
   * @param atoms what is known of some atoms
   */
  private byFacts(x: Loose, facts: readonly Fact[], uses: number, atoms: ReadonlyMap<string, Range>): Range {
    let best: Range = { lo: -Infinity, hi: Infinity };
    facts.forEach((f, i) => {
      if (f.form.terms.length < 2) return;
      // In a row and a column of one number q, q itself is all that is left of them: 56·(q div 56) + q mod 56. Or it is there beside them.
      const apart = f.form.terms.reduce((y, { atom }) => (atom.kind === 'var' ? y : inParts(y, atom)), x);
      for (const own of apart === x ? [x] : [x, apart]) {
        for (const by of multiples([...own.terms.values()], f.form.terms)) {
          for (const rest of leftOf(own, f.form, by)) {
            let r = this.loosely(rest, atoms);
            // What follows may use the facts after this one, in whatever order they are used.
            if (uses > 1 && rest.terms.size < own.terms.size)
              r = meet(r, this.byFacts(rest, facts.slice(i + 1), uses - 1, atoms));
            best = meet(best, plus(r, times(f, by)));
          }
        }
      }
    });
    return best;
  }

  private loosely(x: Loose, atoms: ReadonlyMap<string, Range>): Range {
    let r: Range = { lo: x.constant, hi: x.constant };
    for (const { atom, coeff } of x.terms.values()) {
      r = plus(r, times(atoms.get(atom.key) ?? this.atom(atom, false), coeff));
    }
    return r;
  }

  private termwise(x: Index): Range {
    return this.loosely(looseOf(x), new Map());
  }

  /** `deep`: of quotients and remainders, by all facts. A fact may hold one of the very sum that it is used for, so not within `byFacts`. */
  private atom(a: Atom, deep: boolean): Range {
    let r: Range = { lo: 0, hi: a.hi };
    if (a.kind !== 'var') {
      const of = deep ? this.range(a.of) : this.termwise(a.of);
      const [first, last] = [Math.floor(of.lo / a.by), Math.floor(of.hi / a.by)];
      if (a.kind === 'div') r = { lo: first, hi: last };
      else {
        r = first === last ? { lo: of.lo - first * a.by, hi: of.hi - first * a.by } : { lo: 0, hi: a.by - 1 };
        // z mod 16 < 8 says that (z div 2) mod 8 < 4.
        for (const { by, of: z } of quotientsOf(a.of)) {
          const known = this.known.get(mod(z, by * a.by).key);
          if (known) r = meet(r, { lo: Math.floor(known.lo / by), hi: Math.floor(known.hi / by) });
        }
      }
    }
    const own = this.known.get(`${a.key}+0`);
    if (own) r = meet(r, own);
    return a.kind === 'var' ? this.byRemainders(a.key, r) : r;
  }

  /** A number up to 63 whose remainder by 16 is at most 7 is at most 55. */
  private byRemainders(key: string, r: Range): Range {
    let { lo, hi } = r;
    for (const f of this.known.values()) {
      const only = f.form.terms.length === 1 ? f.form.terms[0]!.atom : undefined;
      if (only?.kind !== 'mod' || only.of.key !== `${key}+0`) continue;
      hi = Math.min(hi, Math.floor(hi / only.by) * only.by + f.hi);
      lo = Math.max(lo, Math.floor(lo / only.by) * only.by + f.lo);
    }
    return { lo, hi };
  }

  /** Takes lo <= x <= hi to hold, and what follows for each of the terms of x. */
  assume(x: Index, lo: number, hi: number): void {
    if (this.impossible) return;
    if (x.terms.length === 0) {
      if (x.constant < lo || x.constant > hi) this.impossible = true;
      return;
    }
    // One form for all multiples: 4q <= 9 says q <= 2.
    const divisor = x.terms.reduce((g, t) => gcd(g, t.coeff), 0) * Math.sign(x.terms[0]!.coeff);
    const form = sum(...x.terms.map((t) => scale(formOf(t.atom), t.coeff / divisor)));
    const ends = [(lo - x.constant) / divisor, (hi - x.constant) / divisor];
    const old = this.range(form);
    const now = meet(old, { lo: Math.ceil(Math.min(...ends)), hi: Math.floor(Math.max(...ends)) });
    if (now.lo > now.hi) {
      this.impossible = true;
      return;
    }
    if (now.lo === old.lo && now.hi === old.hi) return;
    this.known.set(form.key, { form, ...now });
    for (const { by, of } of quotientsOf(form)) this.assume(of, now.lo * by, now.hi * by + by - 1);
    this.narrowCongruent(form, now);
    const only = form.terms.length === 1 ? form.terms[0]!.atom : undefined;
    if (!only) {
      this.narrowTerms(form, now);
      this.narrowGrowing(form, now);
    } else if (only.kind === 'mod') {
      const of = this.range(only.of);
      const block = Math.floor(of.lo / only.by);
      if (block === Math.floor(of.hi / only.by))
        this.assume(only.of, block * only.by + now.lo, block * only.by + now.hi);
      for (const { by, of } of quotientsOf(only.of))
        this.assume(mod(of, by * only.by), now.lo * by, now.hi * by + by - 1);
    }
  }

  /** A sum up to 143 whose remainder by 12 is at most 5 is at most 137. Of two such facts either may be the later one. */
  private narrowCongruent(form: Index, now: Range): void {
    for (const f of [...this.known.values()]) {
      this.byRemainder(form, now, f);
      this.byRemainder(f.form, f, { form, ...now });
    }
  }

  private byRemainder(sum_: Index, { lo, hi }: Range, f: Fact): void {
    const only = f.form.terms.length === 1 ? f.form.terms[0]!.atom : undefined;
    if (only?.kind !== 'mod' || sum_.terms.length < 2 || this.impossible) return;
    const apart = sum(sum_, scale(only.of, -1));
    if ([apart.constant, ...apart.terms.map((t) => t.coeff)].some((n) => n % only.by !== 0)) return;
    const most = Math.floor(hi / only.by) * only.by + f.hi;
    const least = Math.floor(lo / only.by) * only.by + f.lo;
    if (most < hi || least > lo) this.assume(sum_, Math.max(lo, least), Math.min(hi, most));
  }

  /** q / 3 + q < 2 says q < 2: of a variable in several terms, which all grow with it, the ends are searched. */
  private narrowGrowing(form: Index, { lo, hi }: Range): void {
    for (const name of namesIn(form)) {
      if (form.terms.filter((t) => namesIn(formOf(t.atom)).has(name)).length < 2 || !grows(form, name)) continue;
      const own = form.terms.find((t) => t.atom.kind === 'var' && t.atom.name === name)?.atom;
      if (!own || name === 'lane' || this.impossible) continue;
      const known = this.atom(own, false);
      const at = (value: number): Range => this.termwise(substitute(form, name, constIndex(value)));
      const first = search(known.lo, known.hi + 1, (v) => at(v).hi >= lo);
      const past = search(first, known.hi + 1, (v) => at(v).lo > hi);
      this.assume(formOf(own), first, past - 1);
    }
  }

  private narrowTerms(form: Index, { lo, hi }: Range): void {
    for (const { atom, coeff } of form.terms) {
      if (atom.key === 'lane') continue;
      let [least, most] = [0, 0];
      for (const other of form.terms) {
        if (other.atom === atom) continue;
        const r = times(this.atom(other.atom, false), other.coeff);
        // The bound holds for each lane, so also for the one that leaves the least room.
        const all = other.atom.key === 'lane';
        least += all ? r.hi : r.lo;
        most += all ? r.lo : r.hi;
      }
      const ends = [(lo - most) / coeff, (hi - least) / coeff];
      this.assume(formOf(atom), Math.ceil(Math.min(...ends)), Math.floor(Math.max(...ends)));
    }
  }
}

/**
 * The range of x by its own terms, where it is often closer than that of what its variables stand for: of q % 22 + 16·(q / 22) with a guard on
 * q % 22, quotient and remainder are bounded apart, while those of a sum that q is part as the sum does.
 */
export function named(x: Index, of: (y: Index) => Range): Range {
  const facts = new Facts();
  const bound = (atom: Atom): void => {
    if (atom.kind !== 'var') for (const t of atom.of.terms) bound(t.atom);
    if (atom.key === 'lane') return;
    const y = formOf(atom);
    const { lo, hi } = of(y);
    facts.assume(y, lo, hi);
  };
  for (const t of x.terms) bound(t.atom);
  return facts.range(sum(constIndex(x.constant), ...x.terms.map((t) => scale(formOf(t.atom), t.coeff))));
}

/** The first number from `from` on for which a condition holds that goes on holding; `to` if there is none before it. */
function search(from: number, to: number, holds: (value: number) => boolean): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
