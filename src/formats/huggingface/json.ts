/** Reading the JSON files that stand beside weights, with errors that name the file and the field. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { type ByteSource, readAll } from '../tensors/bytes.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Configurations are small; an index of shards has a line for each tensor. */
const MAX_BYTES = 64 << 20;

export function configError(file: string, problem: string): EspalierError {
  return new EspalierError([diagnostic('ESP0507', { file, problem })]);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws EspalierError ESP0507 unless the file is a JSON object. */
export function readJsonObject(source: ByteSource): Promise<JsonObject> {
  return parsed(source, (text) => text);
}

/** What JSON.stringify would write otherwise: `1.0`, which Python's libraries tell from `1`. */
const NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const KEPT = /"\\u0000(-?[\d.eE+-]+)"/g;

/**
 * A configuration with other fields, as text: numbers that stay are written as they were.
 * @throws EspalierError ESP0507 unless the file is a JSON object.
 */
export async function withOtherFields(source: ByteSource, change: (json: JsonObject) => JsonObject): Promise<string> {
  const keep = (token: string): string =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"\\u0000${token}"`;
  const json = await parsed(source, (text) => text.replace(NUMBERS, keep));
  return `${JSON.stringify(change(json), null, 2).replace(KEPT, '$1')}\n`;
}

async function parsed(source: ByteSource, prepare: (text: string) => string): Promise<JsonObject> {
  if (source.size > MAX_BYTES)
    throw configError(source.name, `is ${source.size} bytes long, which no configuration is`);
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readAll(source));
    value = JSON.parse(prepare(text));
  } catch (error) {
    throw configError(source.name, `is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isObject(value)) throw configError(source.name, 'is not a JSON object');
  return value;
}

/** Typed access to the fields of one JSON file; a field of another type is an ESP0507. Absent and null are the fallback. */
export class Fields {
  constructor(
    readonly file: string,
    readonly json: JsonObject,
  ) {}

  has(field: string): boolean {
    return this.json[field] !== undefined && this.json[field] !== null;
  }

  private get<T>(field: string, fallback: T, what: string, is: (value: unknown) => value is T): T {
    const value = this.json[field];
    if (value === undefined || value === null) return fallback;
    if (!is(value)) throw configError(this.file, `${field} = ${JSON.stringify(value)} is not ${what}`);
    return value;
  }

  bool(field: string, fallback: boolean): boolean {
    return this.get(field, fallback, 'true or false', (v) => typeof v === 'boolean');
  }

  number(field: string, fallback: number): number {
    return this.get(field, fallback, 'a number', (v): v is number => typeof v === 'number' && Number.isFinite(v));
  }

  /** A whole number of at least 1. */
  count(field: string, fallback: number): number {
    return this.get(
      field,
      fallback,
      'a positive whole number',
      (v): v is number => Number.isSafeInteger(v) && (v as number) >= 1,
    );
  }

  text(field: string, fallback: string): string {
    return this.get(field, fallback, 'a string', (v) => typeof v === 'string');
  }

  /** A list of strings; empty when absent. */
  texts(field: string): readonly string[] {
    return this.get(
      field,
      [],
      'a list of strings',
      (v): v is string[] => Array.isArray(v) && v.every((x) => typeof x === 'string'),
    );
  }

  object(field: string): JsonObject {
    return this.get(field, {}, 'an object', isObject);
  }
}
