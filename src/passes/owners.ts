/**
 * To which adapters a value belongs (`About`: `owner` for what an adapter computes, `inside` for a layer that it called with another weight).
 * Passes keep that true: of two equal values one is left, which belongs to the adapters of both, and what a pass makes in the place of several
 * adapters belongs to those that it is not only the layer's weight of.
 */
import { adaptersOf, ownedBy } from '../ir/about.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { rewriteValues, topological, withInputs } from '../ir/graph.js';
import type { About, Value } from '../ir/types.js';
import { reowned } from './values.js';

/** Notes which values turned out to be equal to one that is there, for `Interner`. */
export class Equals {
  readonly #known = new Map<Value, Set<About | undefined>>();

  readonly note = (known: Value, about: About | undefined): void => {
    if (!dependsOnInput(known) || adaptersOf(known.about).join() === adaptersOf(about).join()) return;
    if (!this.#known.has(known)) this.#known.set(known, new Set([known.about]));
    this.#known.get(known)!.add(about);
  };

  /** The values with every value that stands for several the adapters' of all: the model's, if one of them is. */
  settled(results: readonly Value[]): readonly Value[] {
    if (this.#known.size === 0) return results;
    const image = rewriteValues(results, (v, inputs) => {
      const copy = withInputs(v, inputs);
      const abouts = [...(this.#known.get(v) ?? [])].map(adaptersOf);
      if (abouts.length === 0) return copy;
      return reowned(copy, ownedBy(v.about, abouts.some((o) => o.length === 0) ? [] : [...new Set(abouts.flat())]));
    });
    return results.map(image);
  }
}

/** Adapters whose parameters the values read. What the sites of a statement share counts as an adapter of its own. */
export function ownersIn(values: readonly Value[]): ReadonlySet<string> {
  return new Set(topological(values).flatMap((v) => (v.op === 'param' ? adaptersOf(v.about) : [])));
}

/**
 * Which of some adapters are left beside the layers: all but those whose parameters are in the layers' weights and nowhere else. One that
 * has shared parameters alone goes by these.
 * @param taken Weights of layers. @param beside What else is computed with parameters.
 */
export function leftOf(among: readonly string[], taken: readonly Value[], beside: readonly Value[]): readonly string[] {
  const [inLayers, outside] = [ownersIn(taken), ownersIn(beside)];
  const shared = (owners: ReadonlySet<string>): boolean => [...owners].some((o) => !among.includes(o));
  return among.filter((id) => {
    if (inLayers.has(id) || outside.has(id)) return outside.has(id);
    return !shared(inLayers) || shared(outside);
  });
}
