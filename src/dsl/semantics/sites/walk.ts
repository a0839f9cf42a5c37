/** Walks of the module tree. */
import type { LayerSite, Owner, ParamSlot, PartSite, Site } from '../evaluate/values.js';

/** The site and everything below it, depth first. Labels are left out: what they run belongs to their owner. */
export function* below(site: Site): Generator<Site> {
  yield site;
  for (const child of site.children.values()) yield* below(child);
}

/** Parameters of a site and of everything below it, adapters left out. */
export function ownParams(site: Site): ParamSlot[] {
  return [...below(site)].flatMap((s) => [...s.params.values()]);
}

export function layerSizes(site: Site): { in: number; out: number } | undefined {
  if (site.kind === 'layer') return { in: site.layer.in, out: site.layer.out };
  if (site.kind === 'part') return { in: site.whole.layer.in, out: site.rows[1] - site.rows[0] };
  return undefined;
}

export const isLayer = (site: Site): site is LayerSite | PartSite => site.kind === 'layer' || site.kind === 'part';

/** Parameters of an adapter, by their names in it: `A`, `down.weight`. */
export function graftParams(owner: Pick<Owner, 'params' | 'children'>): Map<string, string> {
  const found = new Map([...owner.params].map(([short, p]) => [short, p.name]));
  for (const [short, child] of owner.children) {
    for (const [inner, name] of graftParams(child)) found.set(`${short}.${inner}`, name);
  }
  return found;
}
