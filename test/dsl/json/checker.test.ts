/** What the schema takes of settings, of forms and of what searches, beside what the checker takes: values of every kind for every option. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import type { Expr, SourceFile } from '../../../src/dsl/ast.js';
import { defineModel, parseSpec, specSchema } from '../../../src/dsl/json/index.js';
import { BUILTINS } from '../../../src/dsl/semantics/builtins/builtins.js';
import { Scope } from '../../../src/dsl/semantics/evaluate/values.js';
import { makeEngine } from '../../../src/dsl/semantics/make-engine.js';
import { Library } from '../../../src/dsl/semantics/names/library.js';
import { resolveNames } from '../../../src/dsl/semantics/names/resolve.js';
import { Report, Stop } from '../../../src/dsl/semantics/report.js';
import { checked, formOf } from '../../../src/dsl/semantics/train/forms.js';
import { BY, type Check, type Forms, neededOf, type Options, type Setting, TRAIN } from '../../../src/dsl/settings.js';

const validate = new Ajv2020({ strict: true, strictTuples: false, allowUnionTypes: true }).compile(specSchema());

type Value = unknown;

/** As JSON has values; a word of each table is added to them. What is an expression, `$expr`, the schema leaves to the checker. */
const VALUES: readonly Value[] = [
  -1,
  -0.5,
  0,
  0.5,
  1,
  1.5,
  3,
  1e6,
  true,
  null,
  'nothing_of_this_name',
  '0%',
  '0.0%',
  '50%',
  '99.9%',
  '100%',
  '100.0%',
  '0100%',
  '101%',
  '1000%',
  [],
  [0.5],
  [0.1, '20%'],
  [0.1, 1],
  [0.5, -1],
  [1, 2, 3],
  [true],
];

type Checker = (engine: ReturnType<typeof makeEngine>, e: Expr) => unknown;

/** What a file has of settings and of what searches. */
const valuesOf = ({ decls }: SourceFile): Expr[] =>
  decls.flatMap((d): Expr[] => {
    if (d.kind === 'train') return d.settings.map((s) => s.value);
    return d.kind === 'model' ? d.body.flatMap((s) => (s.kind === 'prune' && s.by ? [s.by] : [])) : [];
  });

/** As many sections as one file is made of: more errors than so many are not counted. */
const CHUNK = 100;

/** Whether the checker takes what each section holds: it is read, and its names are found as of any spec. Many are sections of one file, which is quicker. */
function taken(sections: readonly object[], check: Checker): boolean[] {
  if (sections.length > CHUNK)
    return [...taken(sections.slice(0, CHUNK), check), ...taken(sections.slice(CHUNK), check)];
  const readable = sections.map((s) => parseSpec('a.json', JSON.stringify(s)).diagnostics.length === 0);
  const all = sections.filter((_, i) => readable[i]);
  const { file } = parseSpec('a.json', JSON.stringify(all));
  const report = new Report(file.path);
  const none = { readFile: () => undefined, facts: () => undefined };
  const library = new Library(file, report, none);
  const engine = makeEngine(report, library, resolveNames(library, report, BUILTINS), none);
  const values = valuesOf(file);
  expect(values).toHaveLength(all.length);
  return readable.map((read) => {
    if (!read) return false;
    const before = report.errors;
    try {
      check(engine, values.shift()!);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
    return report.errors === before;
  });
}

const wordsOf = (check: Check): readonly Value[] => (typeof check === 'string' ? [] : [check.at(-1), `${check[0]}_`]);

/** A value of each kind, for options that have to be there. */
const FINE: Readonly<Record<string, Value>> = { path: './x', steps: 3, memory: 100, rate: 0.5, rates: [0.5] };

const training = (name: string, value: Value) => ({ train: { model: 'M', [name]: value } });
const searching = (by: Value) => ({ model: { name: 'M', body: [{ prune: 'a', with: { m: [] }, by }] } });

/** Calls of the forms: each option by its name with every value, and by its place; names alone; what is not given, or too much. */
function* calls(forms: Forms, needed: readonly string[]): Iterable<Value> {
  for (const [form, options] of Object.entries(forms)) {
    const names = Object.keys(options);
    const must = Object.fromEntries(needed.filter((n) => names.includes(n)).map((n) => [n, FINE[n]]));
    yield { [form]: [] };
    yield { [form]: must };
    yield { [form]: { ...must, [`${names[0] ?? 'x'}_`]: 1 } };
    yield { [`${form}_`]: must };
    yield { [form]: names.map(() => 1).concat(1) };
    for (const [option, check] of Object.entries(options)) {
      // `null` is another spelling of the word `none`.
      const spelled = VALUES.filter((v) => v !== null || typeof check === 'string' || !check.includes('none'));
      for (const value of [...spelled, ...wordsOf(check)]) {
        yield { [form]: { ...must, [option]: value } };
        if (option === names[0]) {
          yield { [form]: [value] };
          yield { [form]: { $args: [value] } };
        }
      }
    }
  }
}

/** Each section beside whether it fits. */
function compare(sections: readonly object[], check: Checker): boolean[] {
  const fit = sections.map((s) => validate(s));
  const said = (which: readonly boolean[]) => sections.map((s, i) => `${which[i]} ${JSON.stringify(s)}`);
  expect(said(taken(sections, check))).toEqual(said(fit));
  return fit;
}

describe('what fits the schema is what the checker takes', () => {
  test.each(Object.entries<Options>(BY))('of `by %s`', (name, options) => {
    const forms = { [name]: options };
    const fit = compare([...calls(forms, neededOf('by'))].map(searching), (engine, e) =>
      formOf(engine, 'by', e, forms, new Scope(), neededOf('by')),
    );
    // Neither takes, or refuses, everything.
    expect(fit.filter(Boolean).length).toBeGreaterThan(30);
    expect(fit.filter((fits) => !fits).length).toBeGreaterThan(100);
  });

  const settings = Object.entries<Setting>(TRAIN);
  const forms = settings.flatMap(([name, s]) => ('forms' in s ? [[name, s.forms] as const] : []));
  test.each(forms)('of the forms of `%s`', (name, table) => {
    const all = [...calls(table, neededOf(name)), ...Object.keys(table), 'nothing_of_this_name'];
    compare(
      all.map((call) => training(name, call)),
      (engine, e) => formOf(engine, name, e, table, new Scope(), neededOf(name)),
    );
  });

  const values = settings.flatMap(([name, s]) => (s.is === 'value' ? [[name, s.check] as const] : []));
  test.each(values)('of `%s`', (name, check) => {
    compare(
      [...VALUES, ...wordsOf(check)].map((value) => training(name, value)),
      (engine, e) => checked(engine, name, e, check, new Scope()),
    );
  });
});

describe('`feature`, a site that is compared', () => {
  test('stands beside the options of every search, by its name alone', () => {
    for (const form of Object.keys(BY)) {
      const must = { rate: 0.5, rates: [0.5] };
      const named = Object.fromEntries(Object.entries(must).filter(([name]) => name in BY[form as keyof typeof BY]));
      expect(validate(searching({ [form]: { ...named, feature: 'base.neck' } })), form).toBe(true);
      expect(validate(searching({ [form]: { ...named, feature: { $expr: 'output' } } })), form).toBe(true);
      expect(validate(searching({ [form]: { ...named, feature: 3 } })), form).toBe(false);
    }
  });

  test('is read and written as a site', () => {
    const text = JSON.stringify(searching({ bisection: { threshold: 0.9, feature: 'base.neck' } }));
    const { file, diagnostics } = parseSpec('a.json', text);
    expect(diagnostics).toEqual([]);
    expect(file.decls[0]).toMatchObject({
      body: [{ by: { args: [{ name: { name: 'threshold' } }, { value: { kind: 'member' } }] } }],
    });
  });
});

test('types of `defineModel` refuse what the checker refuses of a search', () => {
  const by = (search: Parameters<typeof searched>[0]) => searched(search);
  by({ bisection: [] });
  by({ bisection: { threshold: 0.9, similarity: 'cosine', feature: 'base.neck', most: 9 } });
  by({ grid: [[0.1, '20%'], 0.9] });
  by({ fixed: { $args: ['30%'], after: 2 } });
  by({ recoverability: { candidates: 'random', threshold: { $expr: 't' } } });
  by({ $expr: 'fixed(rate: r)' });
  // Each of these lines has to be a mistake, or the test does not compile.
  // @ts-expect-error nothing of this name searches
  by({ bisect: [] });
  // @ts-expect-error an option of another search
  by({ bisection: { explore: 3 } });
  // @ts-expect-error a number
  by({ bisection: { threshold: true } });
  // @ts-expect-error one of two words
  by({ recoverability: { candidates: 'both' } });
  // @ts-expect-error a rate has to be given
  by({ fixed: { after: 2 } });
  // @ts-expect-error by its place too
  by({ amc: [] });
  // @ts-expect-error rates are a list
  by({ grid: { rates: 0.5 } });
  // @ts-expect-error of one at least
  by({ grid: { rates: [] } });
  // @ts-expect-error a site is named
  by({ bisection: { feature: 3 } });
  // @ts-expect-error one search
  by({ bisection: [], fixed: { rate: 0.5 } });
  // @ts-expect-error a call, not a name alone: `by bisection` is none
  by('bisection');
  expect(by({ amc: { rate: 0.5 } }).text).toContain('"amc"');
});

type Search = Extract<
  NonNullable<Extract<Parameters<typeof defineModel>[0], { readonly model?: unknown }>['model']>['body'][number],
  { readonly prune: unknown }
>['by'];

const searched = (by: NonNullable<Search>) => {
  try {
    return defineModel({ model: { name: 'M', body: [{ prune: 'a', with: 'm()', by }] } });
  } catch {
    return { text: '' };
  }
};

test('types of `defineModel` refuse what the checker refuses of other settings and statements', () => {
  const model = { name: 'M', body: [] };
  const lists = () => [
    // @ts-expect-error a pair is of two
    defineModel({ model, train: { augment: [{ crop: { scale: [0.5, 1, 2] } }] } }),
    // @ts-expect-error a path has to be given
    defineModel({ model, train: { data: { images: { limit: 3 } } } }),
    // @ts-expect-error so `images` alone is none
    defineModel({ model, train: { data: 'images' } }),
    // @ts-expect-error an optimizer is a call
    defineModel({ model, train: { optimizer: 3 } }),
    // @ts-expect-error groups are calls
    defineModel({ model, train: { groups: ['head'] } }),
    // @ts-expect-error a batch at least
    defineModel({ model, deploy: { batch: [] } }),
    // @ts-expect-error a statement of two kinds
    defineModel({ model: { name: 'M', body: [{ tune: 'a', adapt: 'b', with: 'c()' }] } }),
    // @ts-expect-error `tune` has no `with`
    defineModel({ model: { name: 'M', body: [{ tune: 'a', with: 'c()' }] } }),
  ];
  // What reading sees is said there; the rest is the checker's.
  expect(lists).toThrow();
  defineModel({
    model,
    train: { data: { images: ['./x'] }, save: { every: [10] }, cache: 'none', optimizer: 'adamw' },
  });
});
