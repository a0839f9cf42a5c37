/** Specs as JSON: nothing is lost on the way there and back, and wrong JSON gets a place and a reason. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { render } from '../../../src/diagnostics/render.js';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { toJsonSpec } from '../../../src/dsl/json.js';
import { fromJsonSpec, parseJsonSpec } from '../../../src/dsl/json-read.js';
import { SPEC_SCHEMA } from '../../../src/dsl/json-schema.js';
import { expectGolden } from '../../golden.js';
import { bare, parseClean, plainSpecs } from './support.js';

const sketch = readFileSync(new URL('./fixtures/sketch.peft', import.meta.url), 'utf8');
const user = sketch.slice(sketch.indexOf('use std'));

type Schema = Readonly<Record<string, unknown>>;
/** As much of a JSON schema validator as `SPEC_SCHEMA` uses. */
function valid(schema: Schema, value: unknown): boolean {
  const s = schema as {
    $ref?: string;
    oneOf?: Schema[];
    type?: string | string[];
    const?: unknown;
    pattern?: string;
    minimum?: number;
    items?: Schema;
    minItems?: number;
    maxItems?: number;
    properties?: Record<string, Schema>;
    required?: string[];
    additionalProperties?: boolean | Schema;
    propertyNames?: Schema;
  };
  if (s.$ref) return valid((SPEC_SCHEMA.$defs as unknown as Record<string, Schema>)[s.$ref.split('/').at(-1)!]!, value);
  if (s.oneOf) return s.oneOf.filter((option) => valid(option, value)).length === 1;
  if ('const' in s) return value === s.const;
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const types = s.type === undefined ? [] : [s.type].flat();
  if (types.length > 0 && !types.includes(kind) && !(types.includes('integer') && Number.isInteger(value)))
    return false;
  if (s.pattern && !new RegExp(s.pattern).test(value as string)) return false;
  if (s.minimum !== undefined && (value as number) < s.minimum) return false;
  if (Array.isArray(value)) {
    if (value.length < (s.minItems ?? 0) || value.length > (s.maxItems ?? Number.POSITIVE_INFINITY)) return false;
    return value.every((item) => !s.items || valid(s.items, item));
  }
  if (kind !== 'object') return true;
  const object = value as Record<string, unknown>;
  if (s.required?.some((key) => !Object.hasOwn(object, key))) return false;
  return Object.entries(object).every(([key, item]) => {
    if (s.propertyNames && !valid(s.propertyNames, key)) return false;
    const own = s.properties?.[key];
    if (own) return valid(own, item);
    return typeof s.additionalProperties === 'object'
      ? valid(s.additionalProperties, item)
      : s.additionalProperties !== false;
  });
}

function roundTrip(text: string): unknown {
  const file = parseClean(text);
  const json: unknown = JSON.parse(JSON.stringify(toJsonSpec(file)));
  const back = fromJsonSpec(json);
  expect(back.diagnostics, render(back.diagnostics, { texts: () => back.file.text, color: false })).toEqual([]);
  expect(bare(back.file.decls)).toEqual(bare(file.decls));
  expect(valid(SPEC_SCHEMA as Schema, json)).toBe(true);
  return json;
}

describe('specs as JSON', () => {
  test('the specs of the sketch', () => {
    expectGolden('sketch.json', JSON.stringify(roundTrip(user), undefined, 2));
  });

  test('come back as they were', () => {
    fc.assert(
      fc.property(plainSpecs, (text) => void roundTrip(text)),
      { numRuns: 500 },
    );
  });

  test('definitions have no JSON form', () => {
    const file = parseClean('module M() { }');
    expect(() => toJsonSpec(file)).toThrow(EspalierError);
    expect(() => toJsonSpec(file)).toThrow('ESP0134: the module `M` has no JSON form');
  });

  test('JSON may hold negative numbers', () => {
    const json = { espalier: 1, declarations: [{ train: 'M', settings: [{ name: 'lr', value: -0.5 }] }] };
    expect(fromJsonSpec(json).file.text).toBe('train M {\n  lr = -0.5\n}\n');
  });

  const wrong = (declarations: unknown): string[] =>
    fromJsonSpec({ espalier: 1, declarations }).diagnostics.map((d) => `${d.code} ${d.message}`);

  test('says where it is wrong, and all that is wrong', () => {
    expect(fromJsonSpec(3).diagnostics.map((d) => d.message)).toEqual(['at /: expected an object, found the number 3']);
    expect(fromJsonSpec({ espalier: 2, declarations: [] }).diagnostics.map((d) => d.message)).toEqual([
      'at /espalier: expected the version 1, found the number 2',
    ]);
    expect(
      wrong([
        { deploy: 'M', settings: [{ name: 'weights', value: { expr: '1 +' } }], extra: 1 },
        {
          model: 'not a name',
          body: [{ adapt: [], with: { call: 'lora' } }, { tune: ['a..b'] }, { prune: ['x'], with: 3 }, {}],
        },
        { model: 'M', options: [{ name: 'a', type: 'int) {} module N(b: int' }], body: 'x' },
        {
          train: 'M',
          settings: [
            { name: 'x', value: { ratio: [1, -2] } },
            { name: 'y', value: { call: 'f', options: { 'a b': 1 } } },
          ],
        },
        { use: { std: ['a.b'] } },
      ]),
    ).toEqual([
      'ESP0132 at /declarations/0: unknown key "extra"',
      'ESP0133 at /declarations/0/settings/0/value/expr: "1 +" is not an expression',
      'ESP0133 at /declarations/1/model: "not a name" is not a name',
      'ESP0131 at /declarations/1/body/0/adapt: expected at least one selector, found an empty array',
      'ESP0133 at /declarations/1/body/1/tune/0: "a..b" is not a selector',
      'ESP0131 at /declarations/1/body/2/with: expected a call, found the number 3',
      'ESP0131 at /declarations/1/body/3: expected an object with one of the keys bind, in, adapt, prune, tune, if, for, found an empty object',
      'ESP0133 at /declarations/2/options/0/type: "int) {} module N(b: int" is not a type',
      'ESP0131 at /declarations/2/body: expected an array, found the string "x"',
      'ESP0131 at /declarations/3/settings/0/value/ratio/1: expected a whole number, found the number -2',
      'ESP0133 at /declarations/3/settings/1/value/options/a b: "a b" is not a name',
      'ESP0133 at /declarations/4/use/std/0: "a.b" is not a name',
    ]);
  });

  test('text that is not JSON', () => {
    expect(parseJsonSpec('s.json', '{').diagnostics.map((d) => d.code)).toEqual(['ESP0130']);
    expect(parseJsonSpec('s.json', '{"espalier": 1, "declarations": []}').diagnostics).toEqual([]);
  });

  test('survives any JSON', () => {
    const keys = fc.constantFrom(
      'espalier',
      'declarations',
      'model',
      'body',
      'call',
      'args',
      'options',
      'expr',
      'name',
      'value',
      'if',
      'then',
    );
    const { json } = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 6, withCrossShrink: true },
        fc.constantFrom<unknown>(null, true, 1, -0, 1e300, '', 'x', '}', '"', 'a\nb', '__proto__'),
        fc.array(tie('json'), { maxLength: 3 }),
        fc.dictionary(keys, tie('json'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(json, (value) => {
        fromJsonSpec(value);
        fromJsonSpec({
          espalier: 1,
          declarations: [value, { model: 'M', body: [value] }, { train: 'M', settings: [{ name: 'x', value }] }],
        });
      }),
      { numRuns: 1500 },
    );
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(fromJsonSpec(deep).diagnostics.map((d) => d.code)).toEqual(['ESP0109']);
  });
});
