/** The syntax tree as a spec in JSON (`document.ts`). */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError, type Span } from '../../diagnostics/types.js';
import type {
  Arg,
  CallExpr,
  Comment,
  Decl,
  Expr,
  ModelStmt,
  Selector,
  SettingsDecl,
  SourceFile,
  UseDecl,
} from '../ast.js';
import { format, formatType, fragmentsOf } from '../format.js';
import { spellNumber } from '../grammar/literals.js';
import { lookup } from '../lookup.js';
import { BY, type Check, type Forms, type Setting } from '../settings.js';
import { checkOf, JSON_NUMBER, LIBRARY, SECTIONS, settingOf } from './document.js';
import { type Json, printJson, Spelled } from './print.js';

export interface WrittenJson {
  readonly text: string;
  /** Comments that JSON has no place for: those outside of code. */
  readonly lost: number;
}

/**
 * A file that was parsed without errors, as JSON.
 * @throws EspalierError ESP1309 for what an object of JSON cannot say: one setting or option twice
 */
export function writeJson(file: SourceFile): WrittenJson {
  const writer = new SpecWriter(file);
  const text = printJson(writer.document());
  if (writer.refused.length > 0) throw new EspalierError(writer.refused);
  return { text, lost: file.comments.length - writer.kept };
}

const object = (...entries: readonly (readonly [string, Json | undefined])[]): ReadonlyMap<string, Json> =>
  new Map(entries.filter((entry): entry is readonly [string, Json] => entry[1] !== undefined));

type Section = (typeof SECTIONS)[number];

const sectionOf = (decl: Decl): Section =>
  decl.kind === 'use' || decl.kind === 'model' || decl.kind === 'train' || decl.kind === 'deploy' ? decl.kind : 'code';

class SpecWriter {
  readonly refused: Diagnostic[] = [];
  /** Comments that code keeps. */
  kept = 0;
  readonly #fragments: ReturnType<typeof fragmentsOf>;

  constructor(private readonly file: SourceFile) {
    this.#fragments = fragmentsOf(file);
  }

  document(): Json {
    const sections: Map<string, Json>[] = [];
    let rank: number = SECTIONS.length;
    let model = '';
    for (const [i, decl] of this.file.decls.entries()) {
      const section = sectionOf(decl);
      const next = SECTIONS.indexOf(section);
      // `use` and `code` take several, the others one.
      if (next < rank || (next === rank && next > 1) || sections.length === 0) {
        sections.push(new Map());
        model = '';
      }
      rank = next;
      const here = sections.at(-1)!;
      if (decl.kind === 'model') model = decl.name.name;
      here.set(section, this.declaration(decl, model, here.get(section), this.file.decls[i - 1]?.span.end ?? 0));
    }
    return sections.length === 1 ? sections[0]! : sections;
  }

  private declaration(decl: Decl, model: string, before: Json | undefined, from: number): Json {
    const list = Array.isArray(before) ? (before as readonly Json[]) : [];
    switch (decl.kind) {
      case 'use':
        return [...list, useOf(decl)];
      case 'model':
        return object(
          ['name', decl.name.name],
          ['options', decl.params.length > 0 ? this.options(decl) : undefined],
          ['body', this.body(decl.body)],
        );
      case 'train':
      case 'deploy':
        return this.block(decl, model);
      default:
        return [...list, ...this.code(decl, from)];
    }
  }

  private twice(what: string, span: Span): void {
    const why = `${what} is there twice, and an object of JSON has each key once`;
    const place = { primary: { span, text: 'again' } };
    this.refused.push(diagnostic('ESP1309', { file: this.file.path, why }, place));
  }

  /** The lines of a declaration, with the comments in front of it, in it and beside its end. */
  private code(decl: Decl, from: number): string[] {
    const { text } = this.file;
    const length = text.slice(decl.span.end).search(/[\r\n]|$/);
    const ours = ({ span, ownLine }: Comment): boolean =>
      span.start < decl.span.start ? span.start >= from && ownLine : span.start <= decl.span.end + length;
    const comments = this.file.comments.filter(ours);
    this.kept += comments.length;
    return format({ ...this.file, decls: [decl], comments })
      .trimEnd()
      .split('\n');
  }

  // ---- Models

  private options({ params }: Extract<Decl, { kind: 'model' }>): Json {
    const out = new Map<string, Json>();
    for (const { name, type, default: given } of params) {
      if (out.has(name.name)) this.twice(`the option \`${name.name}\``, name.span);
      out.set(name.name, object(['type', formatType(type)], ['default', given && this.expr(given)]));
    }
    return out;
  }

  private body(statements: readonly ModelStmt[]): Json[] {
    return statements.flatMap((s) => this.statement(s) ?? []);
  }

  private statement(s: ModelStmt): Json | undefined {
    switch (s.kind) {
      case 'model_bind':
        return object(['name', s.name.name], ['value', this.expr(s.value)], ['from', s.from?.value]);
      case 'in':
        return object(['in', this.#fragments.selector(s.selector)], ['body', this.body(s.body)]);
      case 'adapt':
        return object(['adapt', this.sites(s.sites)], ['with', this.expr(s.adapter)], ['from', s.from?.value]);
      case 'prune':
        return object(
          ['prune', this.sites(s.sites)],
          ['with', this.expr(s.method)],
          ['by', s.by && this.form(s.by, BY)],
          ['from', s.from?.value],
        );
      case 'tune':
        return object(['tune', this.sites(s.sites)], ['from', s.from?.value]);
      case 'model_if':
        return object(
          ['if', this.expr(s.condition)],
          ['then', this.body(s.then)],
          ['else', s.otherwise && this.body(s.otherwise)],
        );
      case 'model_for':
        return object(
          ['for', s.generator.name.name],
          ['below', this.expr(s.generator.limit)],
          ['body', this.body(s.body)],
        );
      case 'ignore':
        return object(['ignore', s.patterns.map((p) => p.value)]);
      case 'error':
        return undefined;
    }
  }

  private sites(sites: readonly Selector[]): Json {
    return sites.map((site) => this.#fragments.selector(site));
  }

  // ---- Settings

  private block(decl: SettingsDecl, model: string): Json {
    const out = new Map<string, Json>();
    if (decl.model.name !== model) out.set('model', decl.model.name);
    for (const { name, value } of decl.settings) {
      if (out.has(name.name) || name.name === 'model') this.twice(`\`${name.name}\``, name.span);
      out.set(name.name, this.setting(value, settingOf(decl.kind, name.name)));
    }
    return out;
  }

  private setting(value: Expr, setting: Setting | undefined): Json {
    switch (setting?.is) {
      case 'value':
        return this.checked(value, setting.check);
      case 'word':
        return this.checked(value, setting.words);
      case 'form':
        return this.form(value, setting.forms);
      case 'forms':
        return value.kind === 'list'
          ? value.items.map((item) => this.form(item, setting.forms))
          : this.form(value, setting.forms);
      case 'sizes': {
        const sizes = value.kind === 'list' ? value.items : [value];
        return sizes.every((item) => item.kind === 'number') ? this.expr(value) : this.text(value);
      }
      default:
        return this.expr(value);
    }
  }

  /** A value of the table of settings; what is another expression says so. */
  private checked(value: Expr, check: Check): Json {
    if (typeof check !== 'string' && value.kind === 'none' && check.includes(value.kind)) return value.kind;
    if (typeof check !== 'string')
      return value.kind === 'name' && check.includes(value.name) ? value.name : this.text(value);
    switch (check) {
      case 'string':
        return value.kind === 'string' ? value.value : this.text(value);
      case 'bool':
        return value.kind === 'bool' ? value.value : this.text(value);
      case 'name':
        return value.kind === 'name' ? value.name : this.text(value);
      case 'pair':
      case 'shares':
        return value.kind === 'list' && value.items.every((item) => this.plain(item))
          ? this.expr(value)
          : this.text(value);
      default:
        return this.plain(value) ? this.expr(value) : this.text(value);
    }
  }

  private form(value: Expr, forms: Forms): Json {
    if (value.kind === 'none' && lookup(forms, 'none')) return 'none';
    if (value.kind === 'name' && lookup(forms, value.name)) return value.name;
    const options =
      value.kind === 'call' && value.callee.kind === 'name' ? lookup(forms, value.callee.name) : undefined;
    return (options && this.call(value as CallExpr, options)) ?? this.text(value);
  }

  // ---- Expressions

  private text(value: Expr): Json {
    return object(['$expr', this.#fragments.expr(value)]);
  }

  private expr(value: Expr): Json {
    switch (value.kind) {
      case 'number':
        return this.number(value) ?? this.#fragments.expr(value);
      case 'unary': {
        const number = value.op === '-' && value.operand.kind === 'number' ? this.number(value.operand) : undefined;
        return number ? new Spelled(`-${number.text}`) : this.#fragments.expr(value);
      }
      case 'bool':
        return value.value;
      case 'none':
        return null;
      case 'string':
        return object(['$string', value.value]);
      case 'list':
        return value.items.map((item) => this.expr(item));
      case 'call':
        return this.call(value) ?? this.#fragments.expr(value);
      default:
        return this.#fragments.expr(value);
    }
  }

  /** Whether it is a number that JSON has, or a percentage without an exponent, as the schema has it. */
  private plain(value: Expr): boolean {
    if (value.kind !== 'number' || value.unit !== undefined) return false;
    return !value.percent || /^\d+(\.\d+)?%$/.test(this.#fragments.expr(value));
  }

  /** A plain number as JSON has it; undefined for percentages and such. */
  private number(value: Extract<Expr, { kind: 'number' }>): Spelled | undefined {
    if (value.percent || value.unit !== undefined) return undefined;
    const spelled = this.#fragments.expr(value);
    const text = JSON_NUMBER.test(spelled) ? spelled : spellNumber(value);
    return JSON_NUMBER.test(text) ? new Spelled(text) : undefined;
  }

  /** Undefined for a comprehension, arguments by place behind some by name, and one name twice. */
  private call({ callee, generators, args }: CallExpr, options?: Forms[string]): Json | undefined {
    if (callee.kind !== 'name' || generators.length > 0) return undefined;
    const first = args.findIndex((a) => a.name);
    const placed = first < 0 ? args : args.slice(0, first);
    const named = first < 0 ? [] : args.slice(first);
    const names = named.map((a) => a.name?.name);
    if (names.includes(undefined) || new Set(names).size < names.length) return undefined;
    const json = ({ name, value }: Arg, i: number): Json => {
      const check = checkOf(options, name?.name ?? i);
      return check ? this.checked(value, check) : this.expr(value);
    };
    const byPlace = placed.map(json);
    if (named.length === 0) return object([callee.name, byPlace]);
    const fields = named.map((a, i) => [a.name!.name, json(a, i)] as const);
    return object([callee.name, object(['$args', byPlace.length > 0 ? byPlace : undefined], ...fields)]);
  }
}

function useOf({ path }: UseDecl): Json {
  if (!('file' in path)) return ['std', ...path.std].join('.');
  return LIBRARY.test(path.file) ? object(['file', path.file]) : path.file;
}
