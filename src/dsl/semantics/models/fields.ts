/** Fields of a JSON file as `config` and `processor` blocks read them, and values of the language as JSON. */
import type { JsonFile } from '../../elaborated.js';
import { NONE, num, type Val } from '../evaluate/values.js';

/** A field that a file has. */
export interface Field {
  readonly path: string;
  readonly value: unknown;
}

const isObject = (v: unknown): v is Readonly<Record<string, unknown>> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/** The field at a path such as `size.shortest_edge`, or `input_size.0` in a list; absent and null are nothing. */
export function fieldAt({ json }: JsonFile, path: string): Field | undefined {
  let value: unknown = json;
  for (const key of path.split('.')) {
    const has = (isObject(value) || (Array.isArray(value) && /^\d+$/.test(key))) && Object.hasOwn(value, key);
    value = has ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
  }
  return value === undefined || value === null ? undefined : { path, value };
}

/** The first of the fields that the file has. */
export function firstField(file: JsonFile, paths: readonly string[]): Field | undefined {
  for (const path of paths) {
    const found = fieldAt(file, path);
    if (found) return found;
  }
  return undefined;
}

/** JSON as a value of the language. */
export function valOf(json: unknown): Val {
  if (typeof json === 'number') return num(json);
  if (typeof json === 'boolean') return { kind: 'bool', value: json };
  if (typeof json === 'string') return { kind: 'str', value: json };
  if (Array.isArray(json)) return { kind: 'list', items: json.map(valOf) };
  if (isObject(json)) return { kind: 'record', fields: Object.entries(json).map(([k, v]) => [k, valOf(v)]) };
  return NONE;
}

/** A value of the language as JSON; undefined for what has none. `none` is null. */
export function jsonOf(v: Val): unknown {
  switch (v.kind) {
    case 'num':
    case 'str':
    case 'bool':
      return v.value;
    case 'word':
      return v.name === 'none' ? null : v.name;
    case 'list': {
      const items = v.items.map(jsonOf);
      return items.includes(undefined) ? undefined : items;
    }
    case 'record': {
      const fields = v.fields.map(([name, value]) => [name, jsonOf(value)] as const);
      return fields.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(fields);
    }
    default:
      return undefined;
  }
}
