/** The JSON Schema (draft 2020-12) of a spec in JSON, made of the table of settings that the checker reads by. */
import {
  BY,
  type Check,
  FEATURE,
  type Forms,
  KINDS,
  type Kind,
  neededOf,
  SETTINGS,
  type Setting,
} from '../settings.js';
import { LIBRARY, NAME, STATEMENTS } from './document.js';

type Schema = Readonly<Record<string, unknown>>;

const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` });
const any = (...of: readonly Schema[]): Schema => (of.length === 1 ? of[0]! : { anyOf: of });
const list = (items: Schema): Schema => ({ type: 'array', items });
const many = (of: Schema): Schema => any(of, list(of));
const strict = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  ...(required.length > 0 ? { required } : {}),
  additionalProperties: false,
});
const numbers = (range: Schema): Schema => ({ type: 'number', ...range });
const wholes = (minimum: number): Schema => ({ type: 'integer', minimum });
/** `50%`: of any size, more than none, below all, or all at the most. */
const percents = (pattern: string): Schema => ({ type: 'string', pattern });
const PERCENT = percents('^\\d+(\\.\\d+)?%$');
const SOME_PERCENT = percents('^(?!0+(\\.0+)?%)\\d+(\\.\\d+)?%$');
const BELOW_ALL = percents('^0*\\d{1,2}(\\.\\d+)?%$');
const UP_TO_ALL = percents('^0*(\\d{1,2}(\\.\\d+)?|100(\\.0+)?)%$');

/** A value of a kind, or an expression that says so. */
const valueSchema = (check: Check): Schema =>
  typeof check === 'string' ? ref(check) : any({ enum: check }, ref('text'));

function kindSchema(kind: Kind): Schema {
  switch (kind) {
    case 'positive':
      return any(numbers({ exclusiveMinimum: 0 }), SOME_PERCENT);
    case 'count':
      return wholes(1);
    case 'whole':
      return wholes(0);
    case 'share':
      return any(numbers({ minimum: 0, exclusiveMaximum: 1 }), BELOW_ALL);
    case 'part':
      return any(numbers({ minimum: 0, maximum: 1 }), UP_TO_ALL);
    case 'number':
      return any(numbers({ minimum: 0 }), PERCENT);
    case 'bool':
      return { type: 'boolean' };
    case 'string':
      return { type: 'string' };
    case 'pair':
      return { ...list(any({ type: 'number' }, PERCENT)), minItems: 2, maxItems: 2 };
    case 'shares':
      return { ...list(any(numbers({ minimum: 0, exclusiveMaximum: 1 }), BELOW_ALL)), minItems: 1 };
    case 'name':
      return { pattern: NAME.source, type: 'string' };
  }
}

/**
 * A call of one of the forms, or the name of one that needs nothing.
 * @param needed options that have to be given, of the forms that have them
 * @param named what may be given by its name alone
 */
function callSchemas(forms: Forms, needed: readonly string[], named: Readonly<Record<string, Schema>> = {}): Schema[] {
  // `none` is a word of the language, which nothing is called.
  const callable = Object.entries(forms).filter(([name]) => name !== 'none');
  return callable.map(([name, options]) => {
    const all = Object.keys(options);
    const checks = Object.values(options).map(valueSchema);
    const must = needed.filter((option) => all.includes(option));
    // Of those that come first by their order, as many as reach the last of these.
    const least = Math.max(0, ...must.map((option) => all.indexOf(option) + 1));
    const placed = (minItems: number): Schema => ({
      type: 'array',
      ...(checks.length > 0 ? { prefixItems: checks, items: false } : { maxItems: 0 }),
      ...(minItems > 0 ? { minItems } : {}),
    });
    const fields = Object.fromEntries(all.map((option, i) => [option, checks[i]!]));
    const byName = (required: readonly string[], first: Schema): Schema =>
      strict({ ...fields, ...named, $args: first }, required);
    const calls = [placed(least), byName(must, placed(0)), ...(least > 0 ? [byName(['$args'], placed(least))] : [])];
    return strict({ [name]: any(...calls) }, [name]);
  });
}

function formSchema(setting: string, forms: Forms): Schema {
  const needed = neededOf(setting);
  const alone = Object.entries(forms).flatMap(([name, options]) => (needed.some((n) => n in options) ? [] : [name]));
  const words: readonly Schema[] = alone.length > 0 ? [{ enum: alone }] : [];
  return any(...words, ...callSchemas(forms, needed), ref('text'));
}

function settingSchema(name: string, setting: Setting): Schema {
  switch (setting.is) {
    case 'value':
      return valueSchema(setting.check);
    case 'word':
      return any({ enum: setting.words }, ref('text'));
    case 'form':
      return ref(`form.${name}`);
    case 'forms':
      return many(ref(`form.${name}`));
    case 'call':
      return any(ref('call'), ref('identifier'), ref('text'));
    case 'formula':
      return ref('expression');
    case 'groups':
      return any(ref('call'), ref('text'), list(any(ref('call'), ref('text'))));
    case 'sizes':
      return any(wholes(1), { ...list(wholes(1)), minItems: 1 }, ref('text'));
  }
}

const block = (settings: Readonly<Record<string, Setting>>): Schema =>
  strict({
    model: { ...ref('identifier'), description: 'the model that it is of, if it is not the one beside it' },
    ...Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, settingSchema(name, setting)])),
  });

/** What each key of a statement holds. */
const PARTS: Readonly<Record<string, Schema>> = {
  name: ref('identifier'),
  value: ref('expression'),
  from: { type: 'string' },
  in: ref('selector'),
  body: list(ref('statement')),
  adapt: ref('selectors'),
  prune: ref('selectors'),
  tune: ref('selectors'),
  ignore: any({ type: 'string' }, { ...list({ type: 'string' }), minItems: 1 }),
  with: ref('method'),
  by: ref('search'),
  if: ref('expression'),
  then: list(ref('statement')),
  else: list(ref('statement')),
  for: ref('identifier'),
  below: ref('expression'),
};

const statement: Schema = {
  anyOf: Object.entries(STATEMENTS).map(([kind, { needs, may }]) => {
    const keys = [kind, ...needs, ...may];
    return strict(Object.fromEntries(keys.map((key) => [key, PARTS[key]!])), [kind, ...needs]);
  }),
};

/** Forms of each setting, under names of their own: no two blocks have a setting of one name with other forms. */
function formDefs(): Readonly<Record<string, Schema>> {
  const settings = Object.values(SETTINGS).flatMap((table) => Object.entries<Setting>(table));
  return Object.fromEntries(
    settings.flatMap(([name, setting]) =>
      'forms' in setting ? [[`form.${name}`, formSchema(name, setting.forms)]] : [],
    ),
  );
}

/** The schema, as JSON. */
export function specSchema(): Schema {
  const word = NAME.source.slice(1, -1);
  const section = strict({
    $schema: { type: 'string' },
    use: many(
      any({ type: 'string', minLength: 1 }, strict({ file: { type: 'string', pattern: LIBRARY.source } }, ['file'])),
    ),
    code: { ...many({ type: 'string' }), description: 'lines of declarations that are code, as in a .peft file' },
    model: strict(
      {
        name: ref('identifier'),
        options: { type: 'object', propertyNames: ref('identifier'), additionalProperties: ref('option') },
        body: list(ref('statement')),
      },
      ['name', 'body'],
    ),
    train: block(SETTINGS.train),
    deploy: block(SETTINGS.deploy),
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A spec of Espalier',
    description: 'What a .peft file says, as JSON.',
    anyOf: [ref('section'), list(ref('section'))],
    $defs: {
      section,
      identifier: { type: 'string', pattern: NAME.source },
      option: strict({ type: { type: 'string', minLength: 1 }, default: ref('expression') }, ['type']),
      statement,
      selector: { type: 'string', minLength: 1 },
      selectors: any(ref('selector'), { ...list(ref('selector')), minItems: 1 }),
      method: any(ref('call'), { type: 'string', minLength: 1 }, ref('text')),
      search: any(...callSchemas(BY, neededOf('by'), { [FEATURE]: ref('site') }), ref('text')),
      site: any({ type: 'string', minLength: 1, description: 'a site, such as base.neck, or `output`' }, ref('text')),
      ...Object.fromEntries(KINDS.map((kind) => [kind, any(kindSchema(kind), ref('text'))])),
      ...formDefs(),
      text: {
        ...strict({ $expr: { type: 'string', minLength: 1 } }, ['$expr']),
        description: 'an expression as in a .peft file',
      },
      literal: { ...strict({ $string: { type: 'string' } }, ['$string']), description: 'a string of the language' },
      expression: any(
        { type: ['number', 'boolean', 'null'] },
        { type: 'string', minLength: 1, description: 'an expression as in a .peft file' },
        list(ref('expression')),
        ref('text'),
        ref('literal'),
        ref('call'),
      ),
      call: {
        type: 'object',
        description: 'one key: what is called',
        propertyNames: { pattern: NAME.source },
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: ref('arguments'),
      },
      arguments: any(list(ref('expression')), {
        type: 'object',
        properties: { $args: list(ref('expression')) },
        patternProperties: { [`^${word}$`]: ref('expression') },
        additionalProperties: false,
      }),
    },
  };
}
