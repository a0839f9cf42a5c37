/**
 * Index arithmetic: integer expressions over loop variables, kept as linear sums so that reshapes, transposes and slices cancel
 * against each other before any WGSL is written.
 *
 * An `Index` is `constant + Σ coefficient·atom`; an atom is a variable with a known range, or the quotient or remainder of another
 * Index by a constant. Quotients are floored. Atoms are never negative; a sum can be (inside a padding that a guard excludes), and
 * then wraps as u32 does, which the guard's unsigned comparison relies on.
 *
 * Sizes that hold the batch are multiples of the prime that stands for it, and all here computes with them as with any number. That is right
 * for every number of samples but where the quotient of such a number is taken by what does not divide it: an Index says so (`divided`), and a
 * kernel that is for any number of samples has none of these (kernel/inside.ts). One that is not for a batch may: there a large number is just that.
 *
 * Vectors need no rules of their own: `LANE` is a variable with range 0..3, and an access is a vec4 access exactly when its offset
 * comes out as 4·(something) + LANE (see `laneForm`).
 */

import { isBatch, parted } from '../../ir/batch.js';

export type Atom =
  | { readonly kind: 'var'; readonly name: string; readonly hi: number; readonly key: string }
  | {
      readonly kind: 'div' | 'mod';
      readonly of: Index;
      readonly by: number;
      readonly hi: number;
      readonly key: string;
    };

export interface Term {
  readonly atom: Atom;
  readonly coeff: number;
}

export interface Index {
  /** Sorted by the atoms' keys; no coefficient is 0. */
  readonly terms: readonly Term[];
  readonly constant: number;
  /** Equal keys, equal indices (within one kernel, where variable names are unique). */
  readonly key: string;
  /** Range, both ends included. */
  readonly lo: number;
  readonly hi: number;
  /** If large numbers in it are multiples of the batch, it is right for the number that stands for the batch alone. */
  readonly divided: boolean;
}

function build(terms: readonly Term[], constant: number, fromDivided: boolean): Index {
  let divided = fromDivided;
  let lo = constant;
  let hi = constant;
  let key = '';
  for (const { atom, coeff } of terms) {
    if (coeff > 0) hi += coeff * atom.hi;
    else lo += coeff * atom.hi;
    if (atom.kind !== 'var' && atom.of.divided) divided = true;
    key += coeff === 1 ? `${atom.key}+` : `${coeff}*${atom.key}+`;
  }
  return { terms, constant, key: key + constant, lo, hi, divided };
}

export function constIndex(value: number): Index {
  return build([], value, false);
}

export const ZERO = constIndex(0);

/** A variable with values 0 <= name < extent. An extent of 1 is the constant 0. */
export function variable(name: string, extent: number): Index {
  if (extent === 1) return ZERO;
  return build([{ atom: { kind: 'var', name, hi: extent - 1, key: name }, coeff: 1 }], 0, false);
}

/** Position within a vec4. */
export const LANE: Index = variable('lane', 4);

/** Collects terms, then joins c·k·(x div c) + k·(x mod c) to k·x. */
function normalise(input: readonly Term[], constant: number, divided: boolean): Index {
  const map = new Map<string, { atom: Atom; coeff: number }>();
  for (const { atom, coeff } of input) {
    const old = map.get(atom.key);
    if (old) old.coeff += coeff;
    else map.set(atom.key, { atom, coeff });
  }
  for (const [key, t] of map) if (t.coeff === 0) map.delete(key);
  for (const { atom, coeff } of map.values()) {
    if (atom.kind !== 'mod') continue;
    const quotient = div(atom.of, atom.by);
    const only = quotient.terms[0];
    if (quotient.constant !== 0 || quotient.terms.length !== 1 || only!.coeff !== 1) continue;
    if (map.get(only!.atom.key)?.coeff !== coeff * atom.by) continue;
    map.delete(atom.key);
    map.delete(only!.atom.key);
    const rest = [...map.values(), ...atom.of.terms.map((t) => ({ atom: t.atom, coeff: t.coeff * coeff }))];
    return normalise(rest, constant + atom.of.constant * coeff, divided || atom.of.divided);
  }
  const terms = [...map.values()].sort((a, b) => (a.atom.key < b.atom.key ? -1 : 1));
  return build(terms, constant, divided);
}

export function sum(...parts: readonly Index[]): Index {
  let constant = 0;
  const terms: Term[] = [];
  for (const p of parts) {
    constant += p.constant;
    terms.push(...p.terms);
  }
  return normalise(
    terms,
    constant,
    parts.some((p) => p.divided),
  );
}

export function scale(x: Index, by: number): Index {
  if (by === 0) return ZERO;
  return build(
    x.terms.map((t) => ({ atom: t.atom, coeff: t.coeff * by })),
    x.constant * by,
    x.divided,
  );
}

export function shift(x: Index, by: number): Index {
  return by === 0 ? x : build(x.terms, x.constant + by, x.divided);
}

/** Whether floor(x / by), taken at the number that stands for the batch, is the quotient for every number of samples. */
function holdsForAny(x: number, by: number): boolean {
  const { times, rest } = parted(x);
  if (!isBatch(by)) return times % by === 0;
  return times === 0 ? x >= 0 : rest === 0;
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** x = by·whole + rest, where every coefficient of rest lies in 0 <= c < by. */
function split(x: Index, by: number): { whole: Index; rest: Index } {
  const whole: Term[] = [];
  const rest: Term[] = [];
  let divided = x.divided || !holdsForAny(x.constant, by);
  for (const { atom, coeff } of x.terms) {
    const q = Math.floor(coeff / by);
    const r = coeff - q * by;
    if (q !== 0) whole.push({ atom, coeff: q });
    if (r !== 0) rest.push({ atom, coeff: r });
    divided ||= !holdsForAny(coeff, by);
  }
  const q = Math.floor(x.constant / by);
  return { whole: build(whole, q, divided), rest: normalise(rest, x.constant - q * by, divided) };
}

/**
 * rest = g·coarse + fine with 0 <= fine < g, for some g > 1 that divides `by`: then rest div by = coarse div (by/g), and what is
 * fine only touches the remainder.
 */
function factor(rest: Index, by: number): { g: number; coarse: Index; fine: Index } | undefined {
  const candidates = [...new Set(rest.terms.map((t) => gcd(t.coeff, by)))].filter((g) => g > 1).sort((a, b) => b - a);
  for (const g of candidates) {
    const coarse: Term[] = [];
    const fine: Term[] = [];
    for (const t of rest.terms) {
      if (t.coeff % g === 0) coarse.push({ atom: t.atom, coeff: t.coeff / g });
      else fine.push(t);
    }
    const q = Math.floor(rest.constant / g);
    const divided = rest.divided || !holdsForAny(rest.constant, g);
    const f = build(fine, rest.constant - q * g, divided);
    if (f.lo >= 0 && f.hi < g) return { g, coarse: build(coarse, q, divided), fine: f };
  }
  return undefined;
}

function quotientAtom(of: Index, by: number): Index {
  const only = of.terms.length === 1 && of.terms[0]!.coeff === 1 ? of.terms[0]!.atom : undefined;
  // ((x div a) + c) div b = (x + a·c) div (a·b)
  if (only?.kind === 'div') return div(shift(only.of, only.by * of.constant), only.by * by);
  // (x mod a) div b = (x div b) mod (a/b)
  if (only?.kind === 'mod' && of.constant === 0 && only.by % by === 0) return mod(div(only.of, by), only.by / by);
  const atom: Atom = { kind: 'div', of, by, hi: Math.floor(of.hi / by), key: `(${of.key})/${by}` };
  return build([{ atom, coeff: 1 }], 0, false);
}

function remainderAtom(of: Index, by: number): Index {
  const only = of.terms.length === 1 && of.terms[0]!.coeff === 1 ? of.terms[0]!.atom : undefined;
  if (only?.kind === 'mod' && only.by % by === 0) {
    const { terms, constant, divided } = mod(shift(only.of, of.constant), by);
    return build(terms, constant, divided || of.divided);
  }
  const atom: Atom = { kind: 'mod', of, by, hi: Math.min(by - 1, of.hi), key: `(${of.key})%${by}` };
  return build([{ atom, coeff: 1 }], 0, false);
}

/** Floor of x / by. */
export function div(x: Index, by: number): Index {
  if (by === 1) return x;
  const { whole, rest } = split(x, by);
  if (rest.hi < by) return whole;
  const f = factor(rest, by);
  if (f) return sum(whole, div(f.coarse, by / f.g));
  return sum(whole, quotientAtom(rest, by));
}

/** x - by·floor(x / by). */
export function mod(x: Index, by: number): Index {
  if (by === 1) return ZERO;
  const { rest } = split(x, by);
  if (rest.hi < by) return rest;
  const f = factor(rest, by);
  if (f) return sum(scale(mod(f.coarse, by / f.g), f.g), f.fine);
  return remainderAtom(rest, by);
}

/** Whether the variable occurs anywhere in x. */
export function dependsOn(x: Index, name: string): boolean {
  return x.terms.some((t) => (t.atom.kind === 'var' ? t.atom.name === name : dependsOn(t.atom.of, name)));
}

/** x with the variable replaced. */
export function substitute(x: Index, name: string, by: Index): Index {
  if (!dependsOn(x, name)) return x;
  const parts = x.terms.map(({ atom, coeff }) => {
    if (atom.kind === 'var') return atom.name === name ? scale(by, coeff) : build([{ atom, coeff }], 0, false);
    const of = substitute(atom.of, name, by);
    return scale(atom.kind === 'div' ? div(of, atom.by) : mod(of, atom.by), coeff);
  });
  return sum(build([], x.constant, x.divided), ...parts);
}

/**
 * How x depends on LANE: not at all, as 4·quad + LANE (so four neighbours from a multiple of four), or in some other way, where
 * `at(lane)` gives each lane's index.
 */
export type LaneForm =
  | { readonly kind: 'uniform' }
  | { readonly kind: 'quad'; readonly quad: Index }
  | { readonly kind: 'scattered'; readonly at: (lane: number) => Index };

export function laneForm(x: Index): LaneForm {
  if (!dependsOn(x, 'lane')) return { kind: 'uniform' };
  let own = 0;
  const rest: Term[] = [];
  for (const t of x.terms) {
    if (t.atom.kind === 'var' && t.atom.name === 'lane') own = t.coeff;
    else rest.push(t);
  }
  const base = build(rest, x.constant, x.divided);
  const aligned = base.constant % 4 === 0 && rest.every((t) => t.coeff % 4 === 0);
  if (own === 1 && aligned && !dependsOn(base, 'lane')) {
    return {
      kind: 'quad',
      quad: build(
        rest.map((t) => ({ atom: t.atom, coeff: t.coeff / 4 })),
        base.constant / 4,
        base.divided,
      ),
    };
  }
  return { kind: 'scattered', at: (lane) => substitute(x, 'lane', constIndex(lane)) };
}

/** Row-major position of coordinates in a shape. */
export function flatten(coords: readonly Index[], shape: readonly number[]): Index {
  let step = 1;
  const parts: Index[] = [];
  for (let i = shape.length - 1; i >= 0; i--) {
    parts.push(scale(coords[i]!, step));
    step *= shape[i]!;
  }
  return sum(...parts);
}

/** Whether the axis is the batch, with nothing but axes of 1 before it. */
const outermost = (shape: readonly number[], axis: number): boolean =>
  isBatch(shape[axis]!) && shape.every((d, i) => i >= axis || d === 1);

/** Coordinates of a row-major position. */
export function unflatten(flat: Index, shape: readonly number[]): Index[] {
  const coords = new Array<Index>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const d = shape[i]!;
    // The first axis needs no remainder: a position lies inside the tensor. By the batch there is none.
    coords[i] = d === 1 ? ZERO : i === 0 || outermost(shape, i) ? div(flat, step) : mod(div(flat, step), d);
    step *= d;
  }
  return coords;
}

/**
 * Coordinates of the same element in a tensor of another shape. Axes that both shapes have, from the front or between others, keep theirs, so
 * that no more is divided than has to be, and a multiple of the batch parts into the batch and the rest wherever it stands.
 */
export function reshaped(coords: readonly Index[], from: readonly number[], to: readonly number[]): Index[] {
  const found: Index[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const [first, start] = [i, j];
    let [p, q] = [from[i++] ?? 1, to[j++] ?? 1];
    while (p !== q) {
      if (p < q) p *= from[i++]!;
      else q *= to[j++]!;
    }
    found.push(...unflatten(flatten(coords.slice(first, i), from.slice(first, i)), to.slice(start, j)));
  }
  return found;
}

/** Axes in the order in which a tensor lies in memory: the batch outermost, the others as they come. */
function storedOrder(shape: readonly number[]): number[] {
  const batch = shape.findIndex(isBatch);
  const others = shape.map((_, i) => i).filter((i) => i !== batch);
  return batch < 0 ? others : [batch, ...others];
}

/** Where coordinates lie in a tensor's memory. */
export function flattenStored(coords: readonly Index[], shape: readonly number[]): Index {
  const order = storedOrder(shape);
  return flatten(
    order.map((i) => coords[i]!),
    order.map((i) => shape[i]!),
  );
}

/** Coordinates of a place in a tensor's memory; also how a loop over several axes counts: samples outermost. */
export function unflattenStored(flat: Index, shape: readonly number[]): Index[] {
  const order = storedOrder(shape);
  const found = unflatten(
    flat,
    order.map((i) => shape[i]!),
  );
  return shape.map((_, i) => found[order.indexOf(i)]!);
}

/** The number that x is for given variables. For tests and for views that are evaluated while packing. */
export function evaluate(x: Index, values: Readonly<Record<string, number>>): number {
  let total = x.constant;
  for (const { atom, coeff } of x.terms) {
    if (atom.kind === 'var') {
      const v = values[atom.name];
      if (v === undefined) throw new RangeError(`no value for ${atom.name}`);
      total += coeff * v;
    } else {
      const of = evaluate(atom.of, values);
      total += coeff * (atom.kind === 'div' ? Math.floor(of / atom.by) : of - atom.by * Math.floor(of / atom.by));
    }
  }
  return total;
}
