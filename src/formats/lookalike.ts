/** Which known checkpoint a file looks like, by the names and shapes of its tensors. */
import type { TensorType } from '../ir/types.js';
import { storedShape } from './spellings.js';
import type { TensorStore } from './tensors/store.js';
import type { NamedTensor } from './types.js';

interface Known {
  readonly variant: string;
  readonly names: readonly NamedTensor[];
  readonly types: ReadonlyMap<string, TensorType>;
}

/** Of all that a file holds and that a variant would have, so much has to be the same. Heads and tables of positions may differ. */
const LIKE = 0.85;

/** The variants that a file fits best, if it fits any well: several where nothing tells them apart. */
export function looksLike(store: TensorStore, known: readonly Known[]): string[] {
  let best = LIKE;
  let found: string[] = [];
  for (const { variant, names, types } of known) {
    const fit = names.filter((n) => {
      const type = types.get(n.param);
      const entry = [n.tensor, ...(n.also ?? [])].map((name) => store.tensors.get(name)).find((e) => e !== undefined);
      return type && entry && String(entry.shape) === String(storedShape(n, type));
    }).length;
    const share = fit / Math.max(names.length, store.tensors.size);
    if (share < best) continue;
    if (share > best) found = [];
    best = share;
    if (!found.includes(variant)) found.push(variant);
  }
  return found;
}
