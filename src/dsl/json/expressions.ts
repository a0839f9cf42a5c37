/** Expressions, selectors and types of a spec in JSON, and how its objects are taken apart. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { nearest } from '../../diagnostics/suggest.js';
import type { Diagnostic, Span } from '../../diagnostics/types.js';
import type { Arg, CallExpr, Expr, Ident, Selector, SourceFile, StringLit, TypeExpr } from '../ast.js';
import { numberOf } from '../grammar/literals.js';
import { lookup } from '../lookup.js';
import { parse } from '../parse.js';
import type { Check, Forms, Setting } from '../settings.js';
import * as T from '../tokens.js';
import { checkOf, NAME } from './document.js';
import { described, insideOf, type JsonNode, placesOf, spanOf } from './tree.js';

/** A key and what stands behind it. */
export interface Field {
  readonly key: JsonNode;
  readonly value: JsonNode;
}

export abstract class ExpressionReader {
  readonly diagnostics: Diagnostic[] = [];

  constructor(
    protected readonly path: string,
    protected readonly text: string,
  ) {}

  // ---- Messages

  /** @param near what was meant, if that can be guessed */
  protected say(problem: string, span: Span, near?: string): void {
    const help = near === undefined ? [] : [`Did you mean \`${near}\`?`];
    this.diagnostics.push(diagnostic('ESP1308', { problem }, { primary: { span, text: 'here' }, help }));
  }

  protected expected(node: JsonNode, what: string, expected: string): void {
    this.say(`${what} is ${expected}, not ${described(node)}`, spanOf(this.path, node));
  }

  /** Diagnostics of a text inside of the file, at their places in it. */
  protected take(diagnostics: readonly Diagnostic[], move: (span: Span) => Span): void {
    for (const { fix: _, ...d } of diagnostics) this.diagnostics.push(this.moved(d, move));
  }

  /** A tree, or what has places in it, with each of them moved. */
  protected moved<T>(node: T, move: (span: Span) => Span): T {
    if (Array.isArray(node)) return node.map((item) => this.moved(item, move)) as T;
    if (typeof node !== 'object' || node === null) return node;
    const entries = Object.entries(node).map(([key, value]) => [
      key,
      key === 'span' ? move(value as Span) : this.moved(value, move),
    ]);
    return Object.fromEntries(entries) as T;
  }

  // ---- Objects and lists

  protected entries(node: JsonNode, what: string): Field[] {
    if (node.type !== 'object') {
      this.expected(node, what, 'an object');
      return [];
    }
    const seen = new Set<string>();
    return (node.children ?? []).flatMap((property): Field[] => {
      const [key, value] = property.children ?? [];
      if (!key || !value) return [];
      const name = String(key.value);
      if (seen.has(name)) {
        this.say(`\`${name}\` is there twice`, spanOf(this.path, key));
        return [];
      }
      seen.add(name);
      return [{ key, value }];
    });
  }

  /** The fields of an object; undefined, and said, where it is none or one that it needs is missing. What it may not have is said. */
  protected fields(
    node: JsonNode,
    what: string,
    { needs = [], may = [] }: { readonly needs?: readonly string[]; readonly may?: readonly string[] },
  ): Map<string, Field> | undefined {
    const known = [...needs, ...may];
    const found = new Map<string, Field>();
    for (const field of this.entries(node, what)) {
      const name = String(field.key.value);
      if (known.includes(name)) found.set(name, field);
      else this.say(`${what} has no \`${name}\``, spanOf(this.path, field.key), nearest(name, known));
    }
    if (node.type !== 'object') return undefined;
    const missing = needs.filter((name) => !found.has(name));
    if (missing.length === 0) return found;
    this.say(`${what} needs ${missing.map((m) => `\`${m}\``).join(' and ')}`, spanOf(this.path, node));
    return undefined;
  }

  protected list(node: JsonNode, what: string): readonly JsonNode[] | undefined {
    if (node.type === 'array') return node.children ?? [];
    this.expected(node, what, 'a list');
    return undefined;
  }

  /** The items of a list, or one thing alone. */
  protected many(field: Field | undefined): readonly JsonNode[] {
    if (!field) return [];
    return field.value.type === 'array' ? (field.value.children ?? []) : [field.value];
  }

  // ---- Strings and names

  protected string(node: JsonNode, what: string): string | undefined {
    if (node.type === 'string') return node.value as string;
    this.expected(node, what, 'a string');
    return undefined;
  }

  protected origin(field: Field | undefined): { readonly from?: StringLit } {
    const value = field && this.string(field.value, '`from`');
    return field && value !== undefined
      ? { from: { kind: 'string', value, span: spanOf(this.path, field.value) } }
      : {};
  }

  protected name(field: Field | undefined, what: string): Ident | undefined {
    return field && this.nameIn(field.value, what);
  }

  protected nameIn(node: JsonNode, what: string): Ident | undefined {
    const name = this.string(node, what);
    if (name === undefined) return undefined;
    if (NAME.test(name)) return { name, span: insideOf(this.path, node) };
    this.say(`${what} is made of letters, digits and \`_\`, which \`${name}\` is not`, spanOf(this.path, node));
    return undefined;
  }

  // ---- Texts of the language

  /** What `pick` finds in a text between two others, as if it were in a file; undefined, and said, where it is not one such thing. */
  private fragment<R>(
    node: JsonNode,
    what: string,
    [before, after]: readonly [string, string],
    pick: (file: SourceFile) => R | undefined,
  ): R | undefined {
    const text = this.string(node, what);
    if (text === undefined) return undefined;
    if (text.trim() === '') {
      this.say(`${what} is empty`, spanOf(this.path, node));
      return undefined;
    }
    const places = placesOf(this.text, node);
    const place = (at: number): number => places[Math.max(0, Math.min(at - before.length, places.length - 1))]!;
    const move = (span: Span): Span => ({ file: this.path, start: place(span.start), end: place(span.end) });
    const { file, diagnostics } = parse(this.path, `${before}${text}${after}`);
    this.take(diagnostics, move);
    if (diagnostics.some((d) => d.severity === 'error')) return undefined;
    const found = file.decls.length === 1 && staysInside(text) ? pick(file) : undefined;
    if (found === undefined) this.say(`this is not ${what} and nothing else`, spanOf(this.path, node));
    return found && this.moved(found, move);
  }

  private exprText(node: JsonNode): Expr | undefined {
    return this.fragment(node, 'an expression', ['function f() = (', '\n)'], ({ decls: [decl] }) =>
      decl?.kind === 'function' ? decl.value : undefined,
    );
  }

  protected selector(node: JsonNode): Selector | undefined {
    return this.fragment(node, 'a selector', ['model M {\ntune ', '\n}'], ({ decls: [decl] }) => {
      const [only, ...others] = decl?.kind === 'model' ? decl.body : [];
      const alone = only?.kind === 'tune' && !only.from && only.sites.length === 1 && others.length === 0;
      return alone ? only.sites[0] : undefined;
    });
  }

  protected selectors(field: Field): Selector[] {
    const nodes = this.many(field);
    if (nodes.length === 0) this.say(`\`${field.key.value}\` selects nothing`, spanOf(this.path, field.value));
    return nodes.flatMap((node) => this.selector(node) ?? []);
  }

  protected type(node: JsonNode): TypeExpr | undefined {
    return this.fragment(node, 'a type', ['function f(x: ', '\n) = x'], ({ decls: [decl] }) => {
      const [only, ...others] = decl?.kind === 'function' ? decl.params : [];
      return only && !only.default && others.length === 0 ? only.type : undefined;
    });
  }

  // ---- Expressions

  /** @param check what the table of settings asks for there: where that is a string, a string is one */
  protected expr(node: JsonNode, check?: Check): Expr | undefined {
    const span = spanOf(this.path, node);
    switch (node.type) {
      case 'number':
        return this.number(node);
      case 'string':
        return check === 'string' ? { kind: 'string', value: node.value as string, span } : this.exprText(node);
      case 'boolean':
        return { kind: 'bool', value: node.value as boolean, span };
      case 'null':
        return { kind: 'none', span };
      case 'array': {
        const items = (node.children ?? []).map((item) => this.expr(item));
        return items.every((item) => item !== undefined) ? { kind: 'list', items, span } : undefined;
      }
      default:
        return this.object(node);
    }
  }

  private number(node: JsonNode): Expr | undefined {
    const span = spanOf(this.path, node);
    const raw = this.text.slice(span.start, span.end);
    const negative = raw.startsWith('-');
    const { value, integer, why } = numberOf(negative ? raw.slice(1) : raw);
    if (why) {
      this.say(`${raw} ${why}`, span);
      return undefined;
    }
    const inner = negative ? { ...span, start: span.start + 1 } : span;
    const number: Expr = { kind: 'number', value, integer, percent: false, span: inner };
    return negative ? { kind: 'unary', op: '-', operand: number, span } : number;
  }

  private object(node: JsonNode, forms?: Forms): Expr | undefined {
    const entries = this.entries(node, 'an expression');
    const [only, ...others] = entries;
    if (!only || others.length > 0) {
      this.say(
        'an expression that is an object has one key: what is called, `$string` or `$expr`',
        spanOf(this.path, node),
      );
      return undefined;
    }
    const { key, value } = only;
    if (key.value === '$expr') return this.exprText(value);
    if (key.value === '$string') {
      const text = this.string(value, '`$string`');
      return text === undefined ? undefined : { kind: 'string', value: text, span: spanOf(this.path, node) };
    }
    return this.call(node, only, forms);
  }

  private call(node: JsonNode, { key, value }: Field, forms?: Forms): CallExpr | undefined {
    const callee = this.nameIn(key, 'what is called');
    if (callee && lookup(T.RESERVED, callee.name)) {
      this.say(`\`${callee.name}\` cannot be called`, spanOf(this.path, key));
      return undefined;
    }
    const before = this.diagnostics.length;
    const args = this.args(value, callee && forms ? lookup(forms, callee.name) : undefined);
    if (callee && !args && forms && !lookup(forms, callee.name)) {
      // As with options: what it is given cannot be told from the table, and a message about that would mislead.
      this.diagnostics.length = before;
      const known = Object.keys(forms);
      const problem = `there is no \`${callee.name}\` here, but ${known.join(', ')}`;
      this.say(problem, spanOf(this.path, key), nearest(callee.name, known));
    }
    if (!callee || !args) return undefined;
    const name = { kind: 'name' as const, name: callee.name, span: callee.span };
    return { kind: 'call', callee: name, generators: [], args, span: spanOf(this.path, node) };
  }

  private args(node: JsonNode, options: Forms[string] | undefined): Arg[] | undefined {
    const placed = (nodes: readonly JsonNode[]): (Arg | undefined)[] =>
      nodes.map((item, i) => {
        const value = this.expr(item, checkOf(options, i));
        return value && { value, span: value.span };
      });
    let args: (Arg | undefined)[];
    if (node.type === 'array') args = placed(node.children ?? []);
    else if (node.type === 'object') {
      const [first, rest] = [[] as (Arg | undefined)[], [] as (Arg | undefined)[]];
      for (const { key, value } of this.entries(node, 'arguments')) {
        if (key.value === '$args') first.push(...placed(this.list(value, '`$args`') ?? []));
        else {
          const name = this.nameIn(key, 'the name of an argument');
          const given = this.option(key, value, options);
          const span = { file: this.path, start: key.offset, end: value.offset + value.length };
          rest.push(name && given ? { name, value: given, span } : undefined);
        }
      }
      args = [...first, ...rest];
    } else {
      this.expected(node, 'what a call is given', 'a list or an object');
      return undefined;
    }
    return args.every((a) => a !== undefined) ? args : undefined;
  }

  /** An option by its name. One that its form does not have is the checker's to refuse, unless its value is none of the language. */
  private option(key: JsonNode, value: JsonNode, options: Forms[string] | undefined): Expr | undefined {
    const name = String(key.value);
    const before = this.diagnostics.length;
    const found = this.expr(value, checkOf(options, name));
    if (found || !options || lookup(options, name)) return found;
    this.diagnostics.length = before;
    const known = Object.keys(options);
    this.say(`there is no option \`${name}\`, but ${known.join(', ')}`, spanOf(this.path, key), nearest(name, known));
    return undefined;
  }

  /** `{ "karst": { "rank": 4 } }`, or the same as a text. */
  protected method({ key, value }: Field, forms?: Forms): CallExpr | undefined {
    const found = value.type === 'object' ? this.object(value, forms) : this.expr(value);
    if (!found || (found.kind === 'call' && found.callee.kind === 'name')) return found as CallExpr | undefined;
    this.say(`\`${key.value}\` is a call, such as { "lora": { "rank": 4 } }`, spanOf(this.path, value));
    return undefined;
  }

  /** The value of a setting; one that the table does not have is any expression, and the checker says that there is none. */
  protected setting(node: JsonNode, setting: Setting | undefined): Expr | undefined {
    const forms = setting?.is === 'form' || setting?.is === 'forms' ? setting.forms : undefined;
    if (node.type === 'object') return this.object(node, forms);
    if (forms && node.type === 'array') {
      const items = (node.children ?? []).map((item) =>
        item.type === 'object' ? this.object(item, forms) : this.expr(item),
      );
      const span = spanOf(this.path, node);
      return items.every((item) => item !== undefined) ? { kind: 'list', items, span } : undefined;
    }
    return this.expr(node, setting?.is === 'value' ? setting.check : undefined);
  }
}

/** Whether a text closes no bracket that it has not opened: between brackets it would otherwise be read as two. */
function staysInside(text: string): boolean {
  let open = 0;
  for (const { tokenType } of T.LEXER.tokenize(text).tokens) {
    if ([T.LParen, T.LSquare, T.LCurly].includes(tokenType)) open++;
    else if ([T.RParen, T.RSquare, T.RCurly].includes(tokenType)) open--;
    if (open < 0) return false;
  }
  return true;
}
