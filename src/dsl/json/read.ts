/** A spec in JSON (`document.ts`) as the syntax tree, with places in the JSON file. */
import { nearest } from '../../diagnostics/suggest.js';
import type { Diagnostic, Span } from '../../diagnostics/types.js';
import type {
  Decl,
  Ident,
  ModelDecl,
  ModelStmt,
  OptionParam,
  SettingsDecl,
  SourceFile,
  StringLit,
  UseDecl,
} from '../ast.js';
import { format } from '../format.js';
import { type Parsed, parse, refuse } from '../parse.js';
import { BY } from '../settings.js';
import { LIBRARY, SECTIONS, STATEMENTS, settingOf } from './document.js';
import { ExpressionReader, type Field } from './expressions.js';
import { insideOf, type JsonNode, placesOf, spanOf, treeOf } from './tree.js';

/** A declaration, or the text of some. */
type Piece = Decl | { readonly kind: 'code'; readonly text: string };

interface ReadSpec extends Parsed {
  /** What the file is made of, in its order. */
  readonly pieces: readonly Piece[];
}

/**
 * Reads a spec in JSON. Never throws for bad input; where there is an error, the file has no declarations.
 * Diagnostics are ESP1307 for what is no JSON, ESP1308 for what is no form of a spec, and those of `parse` for texts in it.
 */
export function readJson(path: string, text: string): ReadSpec {
  const none = (diagnostics: Diagnostic[]): ReadSpec => ({
    file: { path, text, decls: [], comments: [], damage: { lines: [], names: [] } },
    diagnostics,
    pieces: [],
  });
  const unreadable = refuse(path, text);
  if (unreadable) return none([unreadable]);
  const { root, diagnostics } = treeOf(path, text);
  if (!root) return none(diagnostics);
  const reader = new SpecReader(path, text);
  reader.document(root);
  if (reader.diagnostics.some((d) => d.severity === 'error')) return none(reader.diagnostics);
  return {
    file: { path, text, decls: reader.decls, comments: [] },
    diagnostics: reader.diagnostics,
    pieces: reader.pieces,
  };
}

/** The `.peft` text of what `readJson` read without an error. */
export function peftOf({ file, pieces }: ReadSpec): string {
  const runs: (Decl[] | string)[] = [];
  for (const piece of pieces) {
    const last = runs.at(-1);
    if (piece.kind === 'code') runs.push(piece.text);
    else if (Array.isArray(last)) last.push(piece);
    else runs.push([piece]);
  }
  const bare: SourceFile = { path: file.path, text: '', decls: [], comments: [] };
  const parts = runs.map((run) => (typeof run === 'string' ? run : format({ ...bare, decls: run }, file.text)));
  // Code has comments, and stands apart from what is around it as everything does: the whole is formatted once more.
  const whole = parts.join('\n');
  return runs.some((run) => typeof run === 'string') ? format(parse(file.path, whole).file) : whole;
}

class SpecReader extends ExpressionReader {
  readonly decls: Decl[] = [];
  readonly pieces: Piece[] = [];

  document(root: JsonNode): void {
    if (root.type === 'array') for (const section of root.children ?? []) this.section(section);
    else this.section(root);
  }

  private section(node: JsonNode): void {
    const fields = this.fields(node, 'a spec', { may: ['$schema', ...SECTIONS] });
    if (!fields) return;
    for (const use of this.many(fields.get('use'))) this.keep(this.use(use));
    const code = fields.get('code');
    if (code) this.code(code);
    const model = fields.get('model');
    const made = model && this.model(model);
    this.keep(made);
    for (const kind of ['train', 'deploy'] as const) {
      const block = fields.get(kind);
      if (block) this.keep(this.block(kind, block, made?.name));
    }
  }

  private keep(decl: Decl | undefined): void {
    if (!decl) return;
    this.decls.push(decl);
    this.pieces.push(decl);
  }

  private use(node: JsonNode): UseDecl | undefined {
    const span = spanOf(this.path, node);
    if (node.type === 'object') {
      const file = this.fields(node, 'a `use`', { needs: ['file'] })?.get('file');
      const path = file && this.string(file.value, 'a path');
      return path === undefined ? undefined : { kind: 'use', path: { file: path }, span };
    }
    const path = this.string(node, 'a `use`');
    if (path === undefined) return undefined;
    const library = LIBRARY.test(path);
    return { kind: 'use', path: library ? { std: path.split('.').slice(1) } : { file: path }, span };
  }

  /** The declarations of lines, with the place of each character in the JSON file. */
  private code(field: Field): void {
    const lines = this.many(field);
    const places: number[] = [];
    const texts: string[] = [];
    for (const line of lines) {
      const text = this.string(line, 'a line of `code`');
      if (text === undefined) return;
      if (texts.length > 0) places.push(places.pop()!);
      places.push(...placesOf(this.text, line));
      texts.push(text);
    }
    if (texts.length === 0) return;
    const text = texts.join('\n');
    const { file, diagnostics } = parse(this.path, text);
    const end = places.at(-1)!;
    const move = (span: Span): Span => ({
      file: this.path,
      start: places[span.start] ?? end,
      end: places[span.end] ?? end,
    });
    this.take(diagnostics, move);
    const misplaced = file.decls.find((d) => ['use', 'model', 'train', 'deploy'].includes(d.kind));
    if (misplaced) {
      const problem = `\`code\` holds declarations that are code, and a \`${misplaced.kind}\` has a key of its own`;
      this.say(problem, move(misplaced.span));
    }
    this.decls.push(...this.moved(file.decls, move));
    this.pieces.push({ kind: 'code', text });
  }

  // ---- Models

  private model({ value: node }: Field): ModelDecl | undefined {
    const fields = this.fields(node, 'a `model`', { needs: ['name', 'body'], may: ['options'] });
    const name = fields && this.name(fields.get('name'), 'the name of a model');
    if (!fields || !name) return undefined;
    const params = this.options(fields.get('options'));
    const body = this.body(fields.get('body'));
    return { kind: 'model', name, params, body, span: spanOf(this.path, node) };
  }

  private options(field: Field | undefined): OptionParam[] {
    if (!field) return [];
    return this.entries(field.value, '`options`').flatMap(({ key, value }): OptionParam[] => {
      const name = this.nameIn(key, 'the name of an option');
      const fields = this.fields(value, 'an option', { needs: ['type'], may: ['default'] });
      const type = fields && this.type(fields.get('type')!.value);
      const given = fields?.get('default');
      const fallback = given && this.expr(given.value);
      if (!name || !type || (given && !fallback)) return [];
      const span = { file: this.path, start: key.offset, end: value.offset + value.length };
      return [{ name, type, ...(fallback ? { default: fallback } : {}), span }];
    });
  }

  private body(field: Field | undefined): ModelStmt[] {
    if (!field) return [];
    const items = this.list(field.value, `\`${field.key.value}\``);
    return (items ?? []).flatMap((item) => this.statement(item) ?? []);
  }

  private statement(node: JsonNode): ModelStmt | undefined {
    const kinds = Object.keys(STATEMENTS) as (keyof typeof STATEMENTS)[];
    const entries = this.entries(node, 'a statement');
    const kind = kinds.find((k) => entries.some((e) => e.key.value === k));
    if (node.type !== 'object') return undefined;
    if (!kind) {
      const found = entries.map((e) => String(e.key.value));
      const near = found.flatMap((k) => nearest(k, kinds) ?? [])[0];
      this.say(`a statement has one of the keys ${kinds.join(', ')}`, spanOf(this.path, node), near);
      return undefined;
    }
    const { needs, may } = STATEMENTS[kind];
    const fields = this.fields(node, `a statement with \`${kind}\``, { needs: [kind, ...needs], may });
    if (!fields) return undefined;
    const span = spanOf(this.path, node);
    const first = fields.get(kind)!;
    const from = this.origin(fields.get('from'));
    switch (kind) {
      case 'name': {
        const name = this.name(first, 'what is bound');
        const value = this.expr(fields.get('value')!.value);
        return name && value && { kind: 'model_bind', name, value, ...from, span };
      }
      case 'in': {
        const selector = this.selector(first.value);
        const body = this.body(fields.get('body'));
        return selector && { kind: 'in', selector, body, span };
      }
      case 'adapt': {
        const sites = this.selectors(first);
        const adapter = this.method(fields.get('with')!);
        return adapter && { kind: 'adapt', sites, adapter, ...from, span };
      }
      case 'prune': {
        const sites = this.selectors(first);
        const method = this.method(fields.get('with')!);
        const search = fields.get('by');
        const by = search && this.method(search, BY);
        return method && { kind: 'prune', sites, method, ...(by ? { by } : {}), ...from, span };
      }
      case 'tune':
        return { kind: 'tune', sites: this.selectors(first), ...from, span };
      case 'ignore': {
        const patterns = this.many(first).flatMap((item): StringLit[] => {
          const value = this.string(item, 'a name of a tensor');
          return value === undefined ? [] : [{ kind: 'string', value, span: spanOf(this.path, item) }];
        });
        if (patterns.length === 0) this.say('`ignore` names nothing', spanOf(this.path, first.value));
        return { kind: 'ignore', patterns, span };
      }
      case 'if': {
        const condition = this.expr(first.value);
        const then = this.body(fields.get('then'));
        const rest = fields.get('else');
        const otherwise = rest ? { otherwise: this.body(rest) } : {};
        return condition && { kind: 'model_if', condition, then, ...otherwise, span };
      }
      case 'for': {
        const name = this.name(first, 'what counts');
        const below = fields.get('below')!;
        const limit = this.expr(below.value);
        const body = this.body(fields.get('body'));
        if (!name || !limit) return undefined;
        const place = { file: this.path, start: first.key.offset, end: below.value.offset + below.value.length };
        return { kind: 'model_for', generator: { name, limit, span: place }, body, span };
      }
    }
  }

  // ---- Settings

  private block(kind: SettingsDecl['kind'], { key, value: node }: Field, beside: Ident | undefined) {
    if (node.type !== 'object') {
      this.expected(node, `\`${kind}\``, 'an object');
      return undefined;
    }
    const entries = this.entries(node, `\`${kind}\``);
    const named = entries.find((e) => e.key.value === 'model');
    const model = named ? this.name(named, 'the name of a model') : beside;
    if (!model) {
      if (!named)
        this.say(
          `\`${kind}\` is of no model: there is none beside it, and it has no \`model\``,
          spanOf(this.path, key),
        );
      return undefined;
    }
    const settings = entries.flatMap((entry) => {
      if (entry === named) return [];
      const name = this.nameIn(entry.key, 'the name of a setting');
      const value = name && this.setting(entry.value, settingOf(kind, name.name));
      const span = { file: this.path, start: entry.key.offset, end: entry.value.offset + entry.value.length };
      return name && value ? [{ name, value, span }] : [];
    });
    // The model beside it is named where the block begins, for messages about the block.
    const own = named ? model : { name: model.name, span: insideOf(this.path, key) };
    return { kind, model: own, settings, span: spanOf(this.path, node) } satisfies SettingsDecl;
  }
}
