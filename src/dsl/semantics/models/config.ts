/**
 * What the files beside a checkpoint's weights mean for a variant: its `config` block makes options, class names and what an export says
 * of a configuration.
 */
import { nearest } from '../../../diagnostics/suggest.js';
import { matches } from '../../../ir/glob.js';
import type { ConfigEntry, Span, TypeExpr, VariantDecl } from '../../ast.js';
import type { ExportField, Fact, JsonFile, SourceFacts } from '../../elaborated.js';
import { formatType } from '../../format.js';
import type { Engine } from '../evaluate/engine.js';
import { Scope, type Val } from '../evaluate/values.js';
import { alternatives, backboneOf, pathsOf, type Reader, readingOf } from '../names/readings.js';
import { Stop } from '../report.js';
import { type Config, configsOf, entriesOf, filledIn, identifying, isFor, type Of, publishedOf } from './blocks.js';
import { type Field, fieldAt, firstField, jsonOf, valOf } from './fields.js';
import { literal, matchHolds } from './matching.js';
import { headTensors } from './names.js';
import { variantChain } from './variants.js';

/** A file that is read for a variant, and where the spec names it. */
export interface Reading {
  readonly engine: Engine;
  readonly file: JsonFile;
  readonly variant: VariantDecl;
  readonly span: Span;
}

/** What a source says, with what the variant makes of the configuration beside it. */
export function readFacts(engine: Engine, variant: VariantDecl, found: SourceFacts, span: Span): SourceFacts {
  const configs = configsOf(engine, variant);
  if (!found.config || configs.length === 0) return found;
  const r: Reading = { engine, file: found.config, variant, span };
  const { report } = engine;
  const read = report.attempt(() => {
    const config = configs.find((c) => isFor(c, r.file)) ?? notIts(r, configs);
    for (const entry of entriesOf(config, 'match').slice(1)) mustMatch(r, entry);
    for (const entry of entriesOf(config, 'only')) nothingElse(r, config, entry);
    return { config, published: publishedFor(r, config) };
  });
  if (!read) throw new Stop();
  const { config, published } = read;
  const before = report.errors;
  const options = { ...found.options, ...published, ...optionsOf(r, config) };
  const classes = found.labels ? undefined : report.attempt(() => classesOf(r, config, found.tensors ?? new Set()));
  if (report.errors > before) throw new Stop();
  const labels = found.labels ?? classes?.labels;
  const several = labels !== undefined && isSeveral(found.config, config);
  return {
    ...found,
    options,
    ...(labels ? { labels } : {}),
    ...(classes?.count ? { classes: classes.count } : {}),
    ...(several ? { several } : {}),
  };
}

/** Whether a variant, or one that it builds on, says what a configuration means. */
export const readsConfigs = (engine: Engine, variant: VariantDecl): boolean => configsOf(engine, variant).length > 0;

/** The configuration that a file is for; of an export without one, the nearest. */
const configFor = (engine: Engine, variant: VariantDecl, file: JsonFile | undefined): Config | undefined => {
  const configs = configsOf(engine, variant);
  return (file && configs.find((c) => isFor(c, file))) ?? configs[0];
};

// ---- What a file must say ------------------------------------------------------------------------------------------

function mustMatch(r: Reading, entry: Of<'match'>): void {
  const { holds, found } = matchHolds(r.file, entry);
  if (holds) return;
  const texts = entry.values.filter((v) => v.kind !== 'none').map((v) => JSON.stringify(literal(v)));
  const why = `is not what \`${r.variant.name.name}\` computes, which is ${texts.join(' or ')}`;
  const [path] = pathsOf(entry.field)!;
  refuse(r, 'ESP0509', found ?? { path: path!, value: null }, why);
}

/** The file is of none of the kinds that the variant reads: which variant does read it, if one does. */
function notIts({ engine, file, variant, span }: Reading, configs: readonly Config[]): never {
  const firsts = configs.flatMap((c) => entriesOf(c, 'match').slice(0, 1));
  const found = firsts.map((m) => matchHolds(file, m).found).find((f) => f !== undefined);
  const type = typeof found?.value === 'string' ? found.value : found ? JSON.stringify(found.value) : '';
  const reads = configs.flatMap(identifying);
  const others = engine.library.variants(span.file).filter((v) => v !== variant);
  const own = others.filter(saysOfConfigs);
  const best = readerOf(engine, file, own);
  // A published size of a family says no more than which files are its own.
  const families = own.filter((v) =>
    v.configs.some((c) => c.kind === 'config' && c.entries.some((e) => e.kind !== 'match')),
  );
  const known = [variant, ...families].map(
    (v) => `${configsOf(engine, v).flatMap(identifying).join(', ')} (${v.name.name})`,
  );
  const help = best ? readsIt(best) : `The variants in reach read: ${[...new Set(known)].join(', ')}.`;
  return engine.report.stop(
    'ESP0508',
    { file: file.file, type, variant: variant.name.name, reads },
    { primary: { span, text: 'named here' }, help: [help] },
  );
}

const saysOfConfigs = (v: VariantDecl): boolean => v.configs.some((c) => c.kind === 'config');

/** Of some variants the one that reads a file, by a layout of which it says something itself. */
function readerOf(engine: Engine, file: JsonFile, among: readonly VariantDecl[]): VariantDecl | undefined {
  const layouts = (v: VariantDecl) => v.configs.flatMap((c) => (c.kind === 'config' ? [c.layout.name] : []));
  const fits = among.filter((v) =>
    configsOf(engine, v).some(
      (c) => layouts(v).includes(c.layout) && entriesOf(c, 'match').length > 0 && isFor(c, file),
    ),
  );
  // Of a family and one of its sizes, the size says more.
  const depth = (v: VariantDecl): number => variantChain(engine, v).length;
  return fits.toSorted((a, b) => depth(b) - depth(a))[0];
}

const readsIt = (v: VariantDecl): string => `\`${v.name.name}\` reads it: write \`${v.name.name}()\`.`;

/** Of an object that describes the model, every field that is set has to be one that is read, or one that changes nothing here. */
function nothingElse(r: Reading, config: Config, entry: Of<'only'>): void {
  const [path] = pathsOf(entry.field) ?? [];
  const found = path === undefined ? undefined : fieldAt(r.file, path);
  if (!found || typeof found.value !== 'object') return;
  const read = new Set(config.entries.flatMap(fieldsReadBy));
  const harmless = entry.values.map(literal).filter((v) => typeof v === 'string');
  for (const [name, value] of Object.entries(found.value as object)) {
    const field = `${path}.${name}`;
    if (value === null || read.has(field) || harmless.some((p) => matches(p, name))) continue;
    refuse(r, 'ESP0509', { path: field, value }, `is not something that \`${r.variant.name.name}\` has an option for`);
  }
}

/** The paths of the fields that an entry asks for. */
function fieldsReadBy(e: ConfigEntry): string[] {
  const read = e.kind === 'bind' ? e.value : 'values' in e || e.kind === 'labels' ? e.field : undefined;
  return read ? alternatives(read).flatMap((a) => readingOf(a)?.path ?? []) : [];
}

/** Options of the variant, among those that build on this one, that the file is for: a published size by its name. */
function publishedFor(r: Reading, config: Config): Readonly<Record<string, Fact>> {
  const { engine, file, variant, span } = r;
  const [by] = entriesOf(config, 'sizes');
  const sizes = by ? publishedOf(engine, variant, config.layout) : [];
  if (!by || sizes.length === 0) return {};
  const own = (v: VariantDecl): Config | undefined => configsOf(engine, v).find((c) => c.layout === config.layout);
  // The one that builds on the others says the most.
  const depth = (v: VariantDecl): number => variantChain(engine, v).length;
  const [one] = sizes
    .filter((v) => own(v) !== undefined && isFor(own(v)!, file))
    .toSorted((a, b) => depth(b) - depth(a));
  if (one) return filledIn(engine, one, variant);
  const found = firstField(file, pathsOf(by.field) ?? []);
  const name = String(found?.value);
  const known = sizes.flatMap((v) => identifying(own(v)!)).map((text) => JSON.parse(text) as string);
  const near = nearest(name, known);
  // A pattern of names may take in those of another family.
  const others = engine.library.variants(span.file).filter((v) => !variantChain(engine, v).includes(variant));
  const other = readerOf(engine, file, others.filter(saysOfConfigs));
  return engine.report.stop(
    'ESP0540',
    { file: file.file, field: found?.path ?? '', name, variant: variant.name.name },
    {
      primary: { span, text: 'named here' },
      help: [
        ...(other ? [readsIt(other)] : []),
        ...(near === undefined ? [] : [`The nearest that it knows is "${near}".`]),
        `If it is a \`${variant.name.name}\`, say which: variant mine = ${variant.name.name}(...) { config ${config.layout} { match "${found?.path}" = "${name}" } }`,
      ],
    },
  );
}

export function refuse(r: Reading, code: 'ESP0507' | 'ESP0509', { path, value }: Field, why: string): never {
  const place = { primary: { span: r.span, text: 'named here' } };
  const text = JSON.stringify(value);
  if (code === 'ESP0509') {
    return r.engine.report.stop('ESP0509', { file: r.file.file, field: path, value: text, why }, place);
  }
  return r.engine.report.stop('ESP0507', { file: r.file.file, problem: `${path} = ${text} ${why}` }, place);
}

// ---- Options -------------------------------------------------------------------------------------------------------

function optionsOf(r: Reading, block: Config): Record<string, Fact> {
  const decl = backboneOf((e) => r.engine.meanings.declared(e), r.variant);
  const out: Record<string, Fact> = {};
  if (!decl) return out;
  const scope = new Scope();
  for (const entry of entriesOf(block, 'bind')) {
    r.engine.report.attempt(() => {
      const option = decl.params.find((p) => p.name.name === entry.name.name);
      // Names of no option were reported with the other names.
      if (!option) throw new Stop();
      const value = optionOf(r, entry, option.type, scope);
      if (value === undefined) return;
      const json = jsonOf(value);
      scope.set(entry.name.name, value);
      out[entry.name.name] = json as Fact;
    });
  }
  return out;
}

/** The first alternative that the file has, or that is no field; undefined if there is none. */
function optionOf(r: Reading, { value }: Of<'bind'>, type: TypeExpr, scope: Scope): Val | undefined {
  for (const e of alternatives(value)) {
    const reading = readingOf(e);
    if (!reading) return r.engine.evaluate(e, scope);
    const field = fieldAt(r.file, reading.path);
    if (!field) continue;
    if (reading.words)
      return plain(r, { ...field, value: reading.words.get(String(field.value)) ?? field.value }, type);
    return reading.reader ? valOf(read(r, reading.reader, field)) : plain(r, field, type);
  }
  return undefined;
}

const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 1;

export function read(r: Reading, reader: Reader, field: Field): number {
  const { value } = field;
  if (reader === 'square' && Array.isArray(value)) {
    // Height and width, after channels where these are said too.
    const [a, b] = (value as unknown[]).slice(-2);
    const sides = value.length === 2 || value.length === 3;
    return sides && a === b && isCount(a) ? a : refuse(r, 'ESP0509', field, 'is not a square');
  }
  if (reader !== 'amount')
    return isCount(value) ? value : refuse(r, 'ESP0507', field, 'is not a positive whole number');
  if (typeof value !== 'number' || !Number.isFinite(value)) return refuse(r, 'ESP0507', field, 'is not a number');
  return value < 0 ? refuse(r, 'ESP0507', field, 'is negative') : value;
}

/** A field as its option's type takes it. */
function plain(r: Reading, field: Field, type: TypeExpr): Val {
  const v = typed(field.value, type);
  if (v) return v;
  if (type.kind === 'type_enum' && typeof field.value === 'string') {
    const words = type.options.map((o) => o.name).join(', ');
    return refuse(r, 'ESP0509', field, `is not one of what \`${r.variant.name.name}\` has: ${words}`);
  }
  return refuse(r, 'ESP0507', field, `is not ${EXPECTED[formatType(type)] ?? `of the type ${formatType(type)}`}`);
}

const EXPECTED: Readonly<Record<string, string>> = {
  int: 'a whole number',
  float: 'a number',
  bool: 'true or false',
  string: 'a string',
  '[int]': 'a list of whole numbers',
  '[float]': 'a list of numbers',
  '[string]': 'a list of strings',
};

function typed(json: unknown, type: TypeExpr): Val | undefined {
  switch (type.kind) {
    case 'type_union':
      return type.items.map((t) => typed(json, t)).find((v) => v !== undefined);
    case 'type_list': {
      const items = Array.isArray(json) ? json.map((item) => typed(item, type.item)) : [undefined];
      return items.every((v) => v !== undefined) ? { kind: 'list', items } : undefined;
    }
    case 'type_enum':
      return type.options.some((o) => o.name === json) ? { kind: 'word', name: json as string } : undefined;
    case 'type_name': {
      const fits =
        type.name === 'int'
          ? Number.isSafeInteger(json)
          : type.name === 'float'
            ? Number.isFinite(json)
            : type.name === 'bool'
              ? typeof json === 'boolean'
              : type.name === 'string' && typeof json === 'string';
      return fits ? valOf(json) : undefined;
    }
  }
}

// ---- Classes -------------------------------------------------------------------------------------------------------

/**
 * The classes of the head that the checkpoint has. Their names: a list, or an object with the numbers from 0 as keys. Or how many there are. What is no field is
 * taken where the file says nothing.
 */
function classesOf(
  r: Reading,
  block: Config,
  tensors: ReadonlySet<string>,
): { readonly labels?: string[]; readonly count?: number } | undefined {
  const [entry] = entriesOf(block, 'labels');
  const heads = headTensors(r.engine, r.variant, block.layout);
  const headed = [...tensors].some((t) => heads.some((p) => matches(p, t)));
  for (const e of entry && headed ? alternatives(entry.field) : []) {
    const reading = readingOf(e);
    const field = reading && fieldAt(r.file, reading.path);
    if (field) return reading.reader ? { count: read(r, reading.reader, field) } : namesIn(r, field);
    if (!reading) return namesIn(r, { path: 'labels', value: jsonOf(r.engine.evaluate(e, new Scope())) });
  }
  return undefined;
}

/** Names may be numbers, or true and false: their text is the label. */
function namesIn(r: Reading, field: Field): { readonly labels?: string[] } | undefined {
  const map = field.value;
  if (typeof map !== 'object' || map === null) return refuse(r, 'ESP0507', field, 'is not an object');
  const count = Object.keys(map).length;
  const labels: string[] = [];
  for (let i = 0; i < count; i++) {
    const label = (map as Readonly<Record<string, unknown>>)[String(i)];
    if (!['string', 'number', 'boolean'].includes(typeof label)) {
      const problem = `${field.path} has ${count} entries but no name for class ${i}`;
      const place = { primary: { span: r.span, text: 'named here' } };
      return r.engine.report.stop('ESP0507', { file: r.file.file, problem }, place);
    }
    labels.push(String(label));
  }
  return count > 0 ? { labels } : undefined;
}

/** Whether the file says, by a field that it has, that its labels are no choice among all. */
const isSeveral = (file: JsonFile, block: Config): boolean =>
  entriesOf(block, 'several').some((entry) => {
    const { holds, found } = matchHolds(file, entry);
    return holds && found !== undefined;
  });

/** What an exported configuration says of other classes. */
export function exportsOf(engine: Engine, variant: VariantDecl, file: JsonFile | undefined): ExportField[] {
  const block = configFor(engine, variant, file);
  return (block ? entriesOf(block, 'set') : []).flatMap(({ field, value }): ExportField[] => {
    if (value.kind === 'name')
      return [{ field: field.value, classes: value.name as NonNullable<ExportField['classes']> }];
    const json = engine.report.attempt(() => jsonOf(engine.evaluate(value, new Scope())));
    return json === undefined ? [] : [{ field: field.value, ...(json === null ? {} : { value: json }) }];
  });
}
