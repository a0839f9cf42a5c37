/** The JSON schema (draft 2020-12) of specs as JSON; `json-read.ts` checks the same form and says more when it is broken. */

const NAME = { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' } as const;
const SELECTORS = { type: 'array', minItems: 1, items: { $ref: '#/$defs/selector' } } as const;
const VALUE = { $ref: '#/$defs/value' } as const;
const BODY = { type: 'array', items: { $ref: '#/$defs/statement' } } as const;
const FROM = { type: 'string', description: 'A file or folder, relative to the spec.' } as const;

const record = (properties: Readonly<Record<string, unknown>>, required: readonly string[]) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const settings = (kind: 'train' | 'deploy') =>
  record(
    { [kind]: NAME, settings: { type: 'array', items: record({ name: NAME, value: VALUE }, ['name', 'value']) } },
    [kind, 'settings'],
  );
const METHOD = { oneOf: [{ $ref: '#/$defs/call' }, { $ref: '#/$defs/expr' }] } as const;

export const SPEC_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'An Espalier spec',
  ...record({ espalier: { const: 1 }, declarations: { type: 'array', items: { $ref: '#/$defs/declaration' } } }, [
    'espalier',
    'declarations',
  ]),
  $defs: {
    declaration: {
      oneOf: [
        record(
          {
            use: {
              oneOf: [
                record({ std: { type: 'array', items: NAME } }, ['std']),
                record({ file: { type: 'string' } }, ['file']),
              ],
            },
          },
          ['use'],
        ),
        record({ model: NAME, options: { type: 'array', items: { $ref: '#/$defs/option' } }, body: BODY }, [
          'model',
          'body',
        ]),
        settings('train'),
        settings('deploy'),
      ],
    },
    option: record(
      {
        name: NAME,
        type: { type: 'string', description: 'int, float, bool, string, [int], none | scalar, ...' },
        default: VALUE,
      },
      ['name', 'type'],
    ),
    statement: {
      oneOf: [
        record({ bind: NAME, value: VALUE, from: FROM }, ['bind', 'value']),
        record({ in: { $ref: '#/$defs/selector' }, do: BODY }, ['in', 'do']),
        record({ adapt: SELECTORS, with: METHOD, from: FROM }, ['adapt', 'with']),
        record({ prune: SELECTORS, with: METHOD, from: FROM }, ['prune', 'with']),
        record({ tune: SELECTORS, from: FROM }, ['tune']),
        record({ if: VALUE, then: BODY, else: BODY }, ['if', 'then']),
        record({ for: NAME, below: VALUE, do: BODY }, ['for', 'below', 'do']),
      ],
    },
    selector: { type: 'string', description: 'base.blocks[0..6].{attn.*, mlp.fc1}' },
    call: record(
      {
        call: NAME,
        args: { type: 'array', items: VALUE },
        options: { type: 'object', propertyNames: NAME, additionalProperties: VALUE },
      },
      ['call'],
    ),
    expr: record({ expr: { type: 'string', description: 'An expression in the language: 4 * dim' } }, ['expr']),
    value: {
      oneOf: [
        { type: ['number', 'string', 'boolean', 'null'] },
        { type: 'array', items: VALUE },
        record(
          {
            number: { type: 'number', minimum: 0 },
            percent: { const: true },
            float: { const: true },
            unit: { type: 'string', pattern: '^[a-z]+$' },
          },
          ['number'],
        ),
        record({ ratio: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 2, maxItems: 2 } }, [
          'ratio',
        ]),
        record({ name: NAME }, ['name']),
        { $ref: '#/$defs/call' },
        { $ref: '#/$defs/expr' },
      ],
    },
  },
} as const;
