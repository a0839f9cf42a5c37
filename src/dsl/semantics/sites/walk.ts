/** Walks of the module tree. */
import type { LayerSite, ParamSlot, PartSite, Site } from '../evaluate/values.js';

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

/** Parameters of an adapter, those of its own layers included. */
export function graftParams(owner: { params: Map<string, ParamSlot>; children: Map<string, Site> }): string[] {
  const own = [...owner.params.values()].map((p) => p.name);
  return [...own, ...[...owner.children.values()].flatMap((c) => ownParams(c).map((p) => p.name))];
}
