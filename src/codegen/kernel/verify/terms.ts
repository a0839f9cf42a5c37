/** Terms of integers: what those of an address claim and divide, and how sums are taken apart where one is bounded by others. */
import { dependsOn, div, type Index, mod, scale, sum, type Term } from '../../read/indexing.js';

export type Atom = Term['atom'];

/** The variables of an address, LANE aside, with the greatest value that all places of the address allow. */
export function claims(x: Index, into = new Map<string, number>()): Map<string, number> {
  for (const { atom } of x.terms) {
    if (atom.kind !== 'var') claims(atom.of, into);
    else if (atom.name !== 'lane') into.set(atom.name, Math.min(atom.hi, into.get(atom.name) ?? Infinity));
  }
  return into;
}

/** What an address divides. */
export function divided(x: Index): Index[] {
  return x.terms.flatMap(({ atom }) => (atom.kind === 'var' ? [] : [atom.of, ...divided(atom.of)]));
}

/** The atom as a form of its own. */
export function formOf(atom: Atom): Index {
  const key = `${atom.key}+0`;
  const divided = atom.kind !== 'var' && atom.of.divided;
  return { terms: [{ atom, coeff: 1 }], constant: 0, key, lo: 0, hi: atom.hi, divided };
}

/** A sum whose quotients and remainders are not joined, as those of an Index are. */
export interface Loose {
  readonly terms: ReadonlyMap<string, Term>;
  readonly constant: number;
}

export function looseOf(x: Index): Loose {
  return { terms: new Map(x.terms.map((t) => [t.atom.key, t])), constant: x.constant };
}

export function plusTimes(x: Loose, y: Index, by: number): Loose {
  const terms = new Map(x.terms);
  for (const { atom, coeff } of y.terms) {
    const now = (terms.get(atom.key)?.coeff ?? 0) + coeff * by;
    if (now === 0) terms.delete(atom.key);
    else terms.set(atom.key, { atom, coeff: now });
  }
  return { terms, constant: x.constant + y.constant * by };
}

/** x with a multiple of what the atom divides, if it holds one, as quotient and remainder. */
export function inParts(x: Loose, atom: Exclude<Atom, { kind: 'var' }>): Loose {
  const [first] = atom.of.terms;
  const times = (x.terms.get(first!.atom.key)?.coeff ?? 0) / first!.coeff;
  const holds = atom.of.terms.every((t) => x.terms.get(t.atom.key)?.coeff === t.coeff * times);
  if (!Number.isInteger(times) || times === 0 || !holds) return x;
  const without = plusTimes(x, atom.of, -times);
  return plusTimes(plusTimes(without, div(atom.of, atom.by), times * atom.by), mod(atom.of, atom.by), times);
}

/** What is left of x without a multiple of a form; where the form alone holds the lane, any one will do: the first and the last. */
export function leftOf(x: Loose, form: Index, by: number): Loose[] {
  const rest = plusTimes(x, form, -by);
  const lane = x.terms.has('lane') ? undefined : rest.terms.get('lane');
  if (!lane) return [rest];
  const terms = new Map([...rest.terms].filter(([key]) => key !== 'lane'));
  return [0, lane.atom.hi].map((n) => ({ terms, constant: rest.constant + lane.coeff * n }));
}

/** By what some terms may be multiples of others: what a term that both hold says. */
export function multiples(of: readonly Term[], terms: readonly Term[]): Set<number> {
  const found = new Set<number>();
  for (const t of terms) {
    const coeff = of.find((o) => o.atom.key === t.atom.key)?.coeff ?? 0;
    if (coeff !== 0 && coeff % t.coeff === 0) found.add(coeff / t.coeff);
  }
  return found;
}

/** Of what the form is the quotient: 5·t + (4·t + u) div 12 is (64·t + u) div 12. */
export function quotientsOf(form: Index): { readonly by: number; readonly of: Index }[] {
  return form.terms.flatMap(({ atom, coeff }) => {
    if (atom.kind !== 'div' || coeff !== 1) return [];
    const rest = sum(form, scale(formOf(atom), -1));
    return [{ by: atom.by, of: sum(scale(rest, atom.by), atom.of) }];
  });
}

/** Whether x never falls when the variable grows, as far as its form shows. */
export function grows(x: Index, name: string): boolean {
  return x.terms.every(({ atom, coeff }) => {
    if (atom.kind === 'var') return atom.name !== name || coeff > 0;
    return !dependsOn(atom.of, name) || (coeff > 0 && atom.kind === 'div' && grows(atom.of, name));
  });
}
