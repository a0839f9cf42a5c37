/**
 * To which adapters a value belongs. Elaboration says it in fields: `scope` for what an adapter computes, `inside` for a layer that it was
 * called with another weight. Passes keep that true: of two equal values one is left, which belongs to the adapters of both, and what a pass
 * makes in the place of several adapters belongs to those that it is not only the layer's weight of.
 */
import { dependsOnInput } from '../ir/affine/parse.js';
import { rewriteValues, topological, withInputs } from '../ir/graph.js';
import type { Origin, Value } from '../ir/types.js';
import { isAdapterParam, reorigin, unscoped } from './values.js';

/** Scopes of the adapters, none for a value of the model itself. */
export const adaptersOf = (origin: Origin | undefined): readonly string[] =>
  origin?.scope === undefined ? [] : [origin.scope, ...(origin.also ?? [])];

/** The origin as one of these adapters'. */
export function belonging(origin: Origin | undefined, [scope, ...also]: readonly string[]): Origin {
  const own = unscoped(origin) ?? {};
  return scope === undefined ? own : { ...own, scope, ...(also.length > 0 ? { also } : {}) };
}

/** Notes which values turned out to be equal to one that is there, for `Interner`. */
export class Equals {
  readonly #origins = new Map<Value, Set<Origin | undefined>>();

  readonly note = (known: Value, origin: Origin | undefined): void => {
    if (!dependsOnInput(known) || adaptersOf(known.origin).join() === adaptersOf(origin).join()) return;
    if (!this.#origins.has(known)) this.#origins.set(known, new Set([known.origin]));
    this.#origins.get(known)!.add(origin);
  };

  /** The values with every value that stands for several the adapters' of all: the model's, if one of them is. */
  settled(results: readonly Value[]): readonly Value[] {
    if (this.#origins.size === 0) return results;
    const image = rewriteValues(results, (v, inputs) => {
      const copy = withInputs(v, inputs);
      const origins = [...(this.#origins.get(v) ?? [])].map(adaptersOf);
      if (origins.length === 0) return copy;
      return reorigin(
        copy,
        belonging(v.origin, origins.some((o) => o.length === 0) ? [] : [...new Set(origins.flat())]),
      );
    });
    return results.map(image);
  }
}

/** `base.blocks.0@adaptformer.down.weight` belongs to `base.blocks.0@adaptformer`. A shared one has a prefix that is no adapter's scope. */
const ownerOf = (param: string): string => param.slice(0, param.indexOf('.', param.indexOf('@')));

/** Adapters whose parameters the values read, by the names of the parameters. */
export function ownersIn(values: readonly Value[]): ReadonlySet<string> {
  const params = topological(values).filter((v) => v.op === 'param' && isAdapterParam(v.attrs.name));
  return new Set(params.map((v) => (v.op === 'param' ? ownerOf(v.attrs.name) : '')));
}

/**
 * Which of some adapters are left beside the layers: all but those whose parameters are in the layers' weights and nowhere else. One that
 * has shared parameters alone goes by these.
 * @param taken Weights of layers. @param beside What else is computed with parameters.
 */
export function leftOf(among: readonly string[], taken: readonly Value[], beside: readonly Value[]): readonly string[] {
  const [inLayers, outside] = [ownersIn(taken), ownersIn(beside)];
  const shared = (owners: ReadonlySet<string>): boolean => [...owners].some((o) => !among.includes(o));
  return among.filter((scope) => {
    if (inLayers.has(scope) || outside.has(scope)) return outside.has(scope);
    return !shared(inLayers) || shared(outside);
  });
}
