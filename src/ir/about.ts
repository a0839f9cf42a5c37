/** Questions about what is known of a value besides what it computes, and the same with another answer. */
import type { About, Owner } from './types.js';

/** Ids of the adapters that a value or parameter belongs to; none for the model's own, and for a mask. */
export const adaptersOf = (about: About | undefined): readonly string[] =>
  about?.owner?.kind === 'adapter' ? about.owner.ids : [];

/** Whether an adapter computes it, or has it as a parameter. */
export const isAdapters = (of: { readonly about?: About }): boolean => of.about?.owner?.kind === 'adapter';

/** The same as one of these adapters', or as the model's own where there is none; undefined if nothing else is known. */
export function ownedBy(about: About | undefined, ids: readonly string[]): About | undefined {
  const { owner: _, ...rest } = about ?? {};
  if (ids.length > 0) return { ...rest, owner: { kind: 'adapter', ids } };
  return Object.keys(rest).length > 0 ? rest : undefined;
}

/** What is known of a parameter that a value becomes. */
export function asParam(about: About | undefined): About | undefined {
  const { inside: _, ...rest } = about ?? {};
  return Object.keys(rest).length > 0 ? rest : undefined;
}

const ownerKey = (owner: Owner | undefined): string =>
  owner === undefined ? '' : owner.kind === 'mask' ? `mask\n${owner.of}` : `adapter\n${owner.ids.join('\n')}`;

/** Whether all of it is the same, except the place in a text. */
export const sameAbout = (a: About | undefined, b: About | undefined): boolean =>
  ownerKey(a?.owner) === ownerKey(b?.owner) && a?.inside?.join('\n') === b?.inside?.join('\n') && a?.site === b?.site;
