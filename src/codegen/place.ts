/** Where a value came from, for diagnostics and labels. */
import type { Place } from '../diagnostics/catalogue.js';
import type { Value } from '../ir/types.js';

/** The stretch of the spec that made the value, or of the nearest operand that has one. */
export function placeOf(v: Value): Place {
  const at = v.about?.at;
  if (at) return { primary: { span: at, text: `this is \`${v.op}\`` } };
  return {};
}

/** Path of the module that made the value, or the operator where nobody knows. */
export function labelOf(values: readonly Value[]): string {
  for (const v of values) if (v.about?.site) return v.about.site;
  return values[0]?.op ?? '';
}
