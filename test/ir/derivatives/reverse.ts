/** Cotangents as tests ask for them: of arguments, given those of some values, all in one graph. */
import { Interner } from '../../../src/ir/intern.js';
import type { Value } from '../../../src/ir/types.js';
import { decomposed, cotangents as reverse, type Seed } from '../../../src/passes/differentiate/reverse.js';

/** Undefined for one that the values do not depend on. */
export function cotangents(seeds: readonly Seed[], wanted: readonly Value[]): (Value | undefined)[] {
  const interner = new Interner();
  const images = decomposed(interner, [...seeds.map((s) => s.value), ...wanted]);
  const given = seeds.map(({ cotangent }, i) => ({ value: images[i]!, cotangent }));
  return reverse(interner, given, images.slice(seeds.length));
}
