/** Whether a field of a file is one of the values that a variant's block expects. */
import { matches } from '../../../ir/glob.js';
import type { ConfigEntry, Expr } from '../../ast.js';
import type { JsonFile } from '../../elaborated.js';
import { pathsOf } from '../names/readings.js';
import { type Field, firstField } from './fields.js';

/** What a literal of the language is in JSON; undefined for what is none. */
export const literal = (e: Expr): unknown =>
  e.kind === 'string' || e.kind === 'number' || e.kind === 'bool' ? e.value : undefined;

/** Whether a field is one of the values; where it is absent, whether `none` is among them. In texts `*` stands for any characters. */
export function matchHolds(
  file: JsonFile,
  { field, values }: Pick<ConfigEntry & { kind: 'match' }, 'field' | 'values'>,
): { readonly holds: boolean; readonly found?: Field } {
  const found = firstField(file, pathsOf(field) ?? []);
  if (!found) return { holds: values.some((v) => v.kind === 'none') };
  const { value } = found;
  const holds = values.some((v) => {
    const l = literal(v);
    return typeof l === 'string' && typeof value === 'string' ? matches(l, value) : l !== undefined && l === value;
  });
  return { holds, found };
}
