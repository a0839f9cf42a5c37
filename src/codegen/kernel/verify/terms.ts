/** What the terms of an address say by themselves: what its variables may be, what it divides, and how far it reaches. */
import { constIndex, type Index, scale, sum } from '../../read/indexing.js';
import { type Atom, Facts, formOf, type Range } from './ranges.js';

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
