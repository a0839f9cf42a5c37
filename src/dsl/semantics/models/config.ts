/**
 * What the files beside a checkpoint's weights mean for a variant: its `config` block makes options, class names and what an export says
 * of a configuration, its `processor` blocks the preprocessing.
 */
import type { PreprocessStep } from '../../../../runtime/program/program.js';
import { EspalierError } from '../../../diagnostics/types.js';
import { matches } from '../../../ir/glob.js';
import type { ConfigBlock, ConfigEntry, Expr, Span, TypeExpr, VariantDecl } from '../../ast.js';
import type { ExportField, Fact, JsonFile, SourceFacts } from '../../elaborated.js';
import { formatType } from '../../format.js';
import type { Engine } from '../evaluate/engine.js';
import { Scope, type Val } from '../evaluate/values.js';
import { alternatives, backboneOf, pathsOf, type Reader, readingOf } from '../names/readings.js';
import { Stop } from '../report.js';
import { type Field, fieldAt, firstField, jsonOf, valOf } from './fields.js';
import { headTensors } from './names.js';
import { variantChain } from './variants.js';

type Of<K extends ConfigEntry['kind']> = ConfigEntry & { readonly kind: K };
const entries = <K extends ConfigEntry['kind']>(block: ConfigBlock, kind: K): Of<K>[] =>
  block.entries.filter((e): e is Of<K> => e.kind === kind);

/** A file that is read for a variant, and where the spec names it. */
interface Reading {
  readonly engine: Engine;
  readonly file: JsonFile;
  readonly variant: VariantDecl;
  readonly span: Span;
}

/** What a source says, with what the variant makes of the configuration beside it. */
export function readFacts(engine: Engine, variant: VariantDecl, found: SourceFacts, span: Span): SourceFacts {
  const block = configOf(engine, variant);
  if (!found.config || !block) return found;
  const r: Reading = { engine, file: found.config, variant, span };
  const matched = engine.report.attempt(() => {
    for (const [i, entry] of entries(block, 'match').entries()) mustMatch(r, entry, i === 0);
    return true;
  });
  if (!matched) throw new Stop();
  const { report } = engine;
  const before = report.errors;
  const options = { ...found.options, ...optionsOf(r, block) };
  const labels = found.labels ?? report.attempt(() => labelsOf(r, block, found.tensors ?? new Set()));
  if (report.errors > before) throw new Stop();
  return { ...found, options, ...(labels ? { labels } : {}) };
}

/** The nearest configuration of a variant and of those it builds on. */
export const configOf = (engine: Engine, variant: VariantDecl): ConfigBlock | undefined =>
  variantChain(engine, variant)
    .flatMap((v) => v.configs)
    .find((c) => c.kind === 'config');

// ---- What a file must say ------------------------------------------------------------------------------------------

const literal = (e: Expr): unknown =>
  e.kind === 'string' || e.kind === 'number' || e.kind === 'bool' ? e.value : undefined;

/** Whether a field is one of the values; where it is absent, whether `none` is among them. */
function isOne(file: JsonFile, { field, values }: Of<'match'> | Of<'several'>): { holds: boolean; found?: Field } {
  const found = firstField(file, pathsOf(field) ?? []);
  if (!found) return { holds: values.some((v) => v.kind === 'none') };
  const { value } = found;
  const holds = values.some((v) => {
    const l = literal(v);
    return typeof l === 'string' && typeof value === 'string' ? matches(l, value) : l !== undefined && l === value;
  });
  return { holds, found };
}

function mustMatch(r: Reading, entry: Of<'match'>, identifies: boolean): void {
  const { holds, found } = isOne(r.file, entry);
  if (holds) return;
  const { engine, file, variant, span } = r;
  const texts = entry.values.filter((v) => v.kind !== 'none').map((v) => JSON.stringify(literal(v)));
  if (!identifies) {
    const why = `is not what \`${variant.name.name}\` computes, which is ${texts.join(' or ')}`;
    const [path] = pathsOf(entry.field)!;
    refuse(r, 'ESP0509', found ?? { path: path!, value: null }, why);
  }
  const type = typeof found?.value === 'string' ? found.value : found ? JSON.stringify(found.value) : '';
  const others = engine.library.variants(span.file).filter((v) => v !== variant);
  const reads = new Map<string, string[]>();
  for (const v of others) {
    const own = v.configs.find((c) => c.kind === 'config');
    const [first] = own ? entries(own, 'match') : [];
    if (!own || !first) continue;
    if (isOne(file, first).holds) {
      engine.report.stop(
        'ESP0508',
        { file: file.file, type, variant: variant.name.name, reads: texts },
        { primary: { span, text: 'named here' }, help: [`\`${v.name.name}\` reads it: write \`${v.name.name}()\`.`] },
      );
    }
    reads.set(
      v.name.name,
      first.values.filter((x) => x.kind !== 'none').map((x) => JSON.stringify(literal(x))),
    );
  }
  const known = [[variant.name.name, texts] as const, ...reads].map(([name, types]) => `${types.join(', ')} (${name})`);
  engine.report.stop(
    'ESP0508',
    { file: file.file, type, variant: variant.name.name, reads: texts },
    { primary: { span, text: 'named here' }, help: [`The variants in reach read: ${known.join(', ')}.`] },
  );
}

function refuse(r: Reading, code: 'ESP0507' | 'ESP0509', { path, value }: Field, why: string): never {
  const place = { primary: { span: r.span, text: 'named here' } };
  const text = JSON.stringify(value);
  if (code === 'ESP0509') {
    return r.engine.report.stop('ESP0509', { file: r.file.file, field: path, value: text, why }, place);
  }
  return r.engine.report.stop('ESP0507', { file: r.file.file, problem: `${path} = ${text} ${why}` }, place);
}

// ---- Options -------------------------------------------------------------------------------------------------------

function optionsOf(r: Reading, block: ConfigBlock): Record<string, Fact> {
  const decl = backboneOf((e) => r.engine.meanings.declared(e), r.variant);
  const out: Record<string, Fact> = {};
  if (!decl) return out;
  const scope = new Scope();
  for (const entry of entries(block, 'bind')) {
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
    return reading.reader ? valOf(read(r, reading.reader, field)) : plain(r, field, type);
  }
  return undefined;
}

const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 1;

function read(r: Reading, reader: Reader, field: Field): number {
  const { value } = field;
  if (reader === 'square' && Array.isArray(value)) {
    const [a, b] = value as unknown[];
    return value.length === 2 && a === b && isCount(a) ? a : refuse(r, 'ESP0509', field, 'is not a square');
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

/** Names of the classes of the head that the checkpoint has: a list, or an object with the numbers from 0 as keys. */
function labelsOf(r: Reading, block: ConfigBlock, tensors: ReadonlySet<string>): string[] | undefined {
  const [entry] = entries(block, 'labels');
  const heads = headTensors(r.engine, r.variant, block.layout.name);
  const headed = [...tensors].some((t) => heads.some((p) => matches(p, t)));
  const field = entry && headed ? firstField(r.file, pathsOf(entry.field) ?? []) : undefined;
  if (!field) return undefined;
  const map = field.value;
  if (typeof map !== 'object' || map === null) return refuse(r, 'ESP0507', field, 'is not an object');
  const count = Object.keys(map).length;
  const labels: string[] = [];
  for (let i = 0; i < count; i++) {
    const label = (map as Readonly<Record<string, unknown>>)[String(i)];
    if (typeof label !== 'string') {
      const problem = `${field.path} has ${count} entries but no name for class ${i}`;
      const place = { primary: { span: r.span, text: 'named here' } };
      return r.engine.report.stop('ESP0507', { file: r.file.file, problem }, place);
    }
    labels.push(label);
  }
  for (const several of count > 0 ? entries(block, 'several') : []) {
    const { holds, found } = isOne(r.file, several);
    if (!holds || !found) continue;
    r.engine.report.add(
      'ESP0521',
      { file: r.file.file, field: found.path, value: String(found.value) },
      { primary: { span: r.span, text: 'named here' } },
    );
  }
  return count > 0 ? labels : undefined;
}

/** What an exported configuration says of other classes. */
export function exportsOf(engine: Engine, variant: VariantDecl): ExportField[] {
  const block = configOf(engine, variant);
  return (block ? entries(block, 'set') : []).flatMap(({ field, value }): ExportField[] => {
    if (value.kind === 'name') return [{ field: field.value, classes: value.name as 'names' | 'places' }];
    const json = engine.report.attempt(() => jsonOf(engine.evaluate(value, new Scope())));
    return json === undefined ? [] : [{ field: field.value, ...(json === null ? {} : { value: json }) }];
  });
}

// ---- Preprocessing -------------------------------------------------------------------------------------------------

/** The steps that a preprocessing file means, with what the variant knows of its family. */
export function stepsOf(
  engine: Engine,
  variant: VariantDecl | undefined,
  processor: NonNullable<SourceFacts['processor']>,
  span: Span,
  channels: number,
  size: readonly [number, number],
): readonly PreprocessStep[] | undefined {
  const place = { primary: { span, text: 'named here' } };
  const file = engine.report.attempt(() => (variant ? completed(engine, variant, processor, span) : processor));
  if (!file) return undefined;
  try {
    const { value, diagnostics } = processor.steps(file, channels, size);
    for (const d of diagnostics) engine.report.push({ ...d, ...place });
    return value;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    for (const d of error.diagnostics) engine.report.push({ ...d, ...place });
    return undefined;
  }
}

/** The file with the defaults of its family, by the first block that is for it. */
function completed(engine: Engine, variant: VariantDecl, file: JsonFile, span: Span): JsonFile {
  const blocks = variantChain(engine, variant).flatMap((v) => v.configs.filter((c) => c.kind === 'processor'));
  const block = blocks.find((b) => entries(b, 'match').every((m) => isOne(file, m).holds));
  if (!block) return file;
  const r: Reading = { engine, file, variant, span };
  const scope = new Scope();
  const json: Record<string, unknown> = { ...file.json };
  for (const entry of block.entries) {
    if (entry.kind === 'bind') {
      const value = alternatives(entry.value)
        .map((e) => {
          const reading = readingOf(e);
          if (!reading) return engine.evaluate(e, scope);
          const field = fieldAt(file, reading.path);
          return field && valOf(reading.reader ? read(r, reading.reader, field) : field.value);
        })
        .find((v) => v !== undefined);
      if (value) scope.set(entry.name.name, value);
    } else if (entry.kind === 'set' || (entry.kind === 'default' && !fieldAt(file, entry.field.value))) {
      json[entry.field.value] = jsonOf(engine.evaluate(entry.value, scope));
    }
  }
  return { file: file.file, json };
}
