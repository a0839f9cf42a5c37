/** JSON -> spec: checks the form, writes the spec as text and reads that, so that later messages can show it. */
import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import type { SourceFile } from './ast.js';
import { format, formatExpr, formatSelector } from './format.js';
import { numberOf, spellNumber, spellString } from './grammar/literals.js';
import { parse, parseExpression, parseSelector } from './parse.js';

type Fields = Readonly<Record<string, unknown>>;
/** Levels of a JSON value; deeper ones are refused before anything walks them. */
const MAX_LEVELS = 200;

class Reader {
  readonly diagnostics: Diagnostic[] = [];

  private wrong(at: string, expected: string, found: unknown): string {
    this.diagnostics.push(diagnostic('ESP0131', { at: at || '/', expected, found: kindOf(found) }));
    return '';
  }

  /** An object with the required fields, no others than the known ones; undefined if it is not. */
  private fields(
    at: string,
    value: unknown,
    required: readonly string[],
    optional: readonly string[] = [],
  ): Fields | undefined {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.wrong(at, 'an object', value);
      return undefined;
    }
    for (const key of Object.keys(value)) {
      if (!required.includes(key) && !optional.includes(key)) {
        this.diagnostics.push(diagnostic('ESP0132', { at: at || '/', key }));
      }
    }
    const missing = required.filter((key) => !Object.hasOwn(value, key));
    for (const key of missing) this.wrong(at, `the key "${key}"`, value);
    return missing.length > 0 ? undefined : (value as Fields);
  }

  private list(at: string, value: unknown, read: (at: string, item: unknown) => string): string[] {
    if (!Array.isArray(value)) return [this.wrong(at, 'an array', value)];
    return value.map((item, i) => read(`${at}/${i}`, item));
  }

  private text(at: string, value: unknown): string {
    return typeof value === 'string' ? value : this.wrong(at, 'a string', value);
  }

  private name(at: string, value: unknown): string {
    const text = this.text(at, value);
    const node = text === '' ? undefined : parseExpression(text);
    if (node?.kind === 'name' && node.name === text) return text;
    if (typeof value === 'string') this.unparsed(at, 'a name', value);
    return '';
  }

  private unparsed(at: string, what: string, text: string): string {
    this.diagnostics.push(
      diagnostic('ESP0133', { at, what, text: text.length > 80 ? `${text.slice(0, 77)}...` : text }),
    );
    return '';
  }

  spec(value: unknown): string {
    const spec = this.fields('', value, ['espalier', 'declarations']);
    if (!spec) return '';
    if (spec.espalier !== 1) this.wrong('/espalier', 'the version 1', spec.espalier);
    return this.list('/declarations', spec.declarations, (at, item) => this.declaration(at, item)).join('\n');
  }

  /** The one of `keys` that an object has; it says what the object is. */
  private which(at: string, value: unknown, keys: readonly string[]): string | undefined {
    const has = typeof value === 'object' && value !== null && !Array.isArray(value);
    const found = has ? keys.filter((key) => Object.hasOwn(value, key)) : [];
    if (found.length === 1) return found[0];
    this.wrong(at, `an object with one of the keys ${keys.join(', ')}`, value);
    return undefined;
  }

  private declaration(at: string, value: unknown): string {
    const kind = this.which(at, value, ['use', 'model', 'train', 'deploy']);
    if (kind === 'use') return this.use(at, value);
    if (kind === 'model') {
      const f = this.fields(at, value, ['model', 'body'], ['options']);
      if (!f) return '';
      const options =
        f.options === undefined ? [] : this.list(`${at}/options`, f.options, (a, item) => this.option(a, item));
      const head = `model ${this.name(`${at}/model`, f.model)}${options.length > 0 ? `(${options.join(', ')})` : ''}`;
      return `${head} {\n${this.body(`${at}/body`, f.body)}\n}`;
    }
    if (kind === undefined) return '';
    const f = this.fields(at, value, [kind, 'settings']);
    if (!f) return '';
    const lines = this.list(`${at}/settings`, f.settings, (a, item) => {
      const s = this.fields(a, item, ['name', 'value']);
      return s ? `${this.name(`${a}/name`, s.name)} = ${this.value(`${a}/value`, s.value)}` : '';
    });
    return `${kind} ${this.name(`${at}/${kind}`, f[kind])} {\n${lines.join('\n')}\n}`;
  }

  private use(at: string, value: unknown): string {
    const path = this.fields(at, value, ['use'])?.use;
    const kind = path === undefined ? undefined : this.which(`${at}/use`, path, ['std', 'file']);
    const f = kind && this.fields(`${at}/use`, path, [kind]);
    if (!f) return '';
    if (kind === 'file') return `use ${spellString(this.text(`${at}/use/file`, f.file))}`;
    return `use ${['std', ...this.list(`${at}/use/std`, f.std, (a, item) => this.name(a, item))].join('.')}`;
  }

  private option(at: string, value: unknown): string {
    const f = this.fields(at, value, ['name', 'type'], ['default']);
    if (!f) return '';
    const type = this.text(`${at}/type`, f.type);
    // Read in its place, so that nothing else can slip in.
    const tried = parse('', `module M(a: ${type}) {}`).file.decls[0];
    const [param] = tried?.kind === 'module' ? tried.params : [];
    if (!param || /[\n\r(){}/"=,]/.test(type)) this.unparsed(`${at}/type`, 'a type', type);
    const fallback = f.default === undefined ? '' : ` = ${this.value(`${at}/default`, f.default)}`;
    return `${this.name(`${at}/name`, f.name)}: ${type}${fallback}`;
  }

  private body(at: string, value: unknown): string {
    return this.list(at, value, (a, item) => this.statement(a, item)).join('\n');
  }

  private selector(at: string, value: unknown): string {
    const text = this.text(at, value);
    const node = text === '' ? undefined : parseSelector(text);
    if (node) return formatSelector(node);
    return typeof value === 'string' ? this.unparsed(at, 'a selector', value) : '';
  }

  private selectors(at: string, value: unknown): string {
    if (Array.isArray(value) && value.length === 0) return this.wrong(at, 'at least one selector', value);
    return this.list(at, value, (a, item) => this.selector(a, item)).join(', ');
  }

  private from(at: string, value: unknown): string {
    return value === undefined ? '' : ` from ${spellString(this.text(`${at}/from`, value))}`;
  }

  private statement(at: string, value: unknown): string {
    const kind = this.which(at, value, ['bind', 'in', 'adapt', 'prune', 'tune', 'if', 'for']);
    switch (kind) {
      case 'bind': {
        const f = this.fields(at, value, ['bind', 'value'], ['from']);
        return f
          ? `${this.name(`${at}/bind`, f.bind)} = ${this.value(`${at}/value`, f.value)}${this.from(at, f.from)}`
          : '';
      }
      case 'in': {
        const f = this.fields(at, value, ['in', 'do']);
        return f ? `in ${this.selector(`${at}/in`, f.in)} {\n${this.body(`${at}/do`, f.do)}\n}` : '';
      }
      case 'adapt':
      case 'prune': {
        const f = this.fields(at, value, [kind, 'with'], ['from']);
        if (!f) return '';
        return `${kind} ${this.selectors(`${at}/${kind}`, f[kind])} with ${this.method(`${at}/with`, f.with)}${this.from(at, f.from)}`;
      }
      case 'tune': {
        const f = this.fields(at, value, ['tune'], ['from']);
        return f ? `tune ${this.selectors(`${at}/tune`, f.tune)}${this.from(at, f.from)}` : '';
      }
      case 'if': {
        const f = this.fields(at, value, ['if', 'then'], ['else']);
        if (!f) return '';
        const rest = f.else === undefined ? '' : ` else {\n${this.body(`${at}/else`, f.else)}\n}`;
        return `if (${this.value(`${at}/if`, f.if)}) {\n${this.body(`${at}/then`, f.then)}\n}${rest}`;
      }
      case 'for': {
        const f = this.fields(at, value, ['for', 'below', 'do']);
        if (!f) return '';
        const head = `for ${this.name(`${at}/for`, f.for)} < ${this.value(`${at}/below`, f.below)}`;
        return `${head} {\n${this.body(`${at}/do`, f.do)}\n}`;
      }
      default:
        return '';
    }
  }

  /** What follows `with`: a call by name. */
  private method(at: string, value: unknown): string {
    const text = this.value(at, value);
    const node = text === '' ? undefined : parseExpression(text);
    if (node?.kind === 'call' && node.callee.kind === 'name') return text;
    return text === '' ? '' : this.wrong(at, 'a call', value);
  }

  private value(at: string, value: unknown): string {
    if (value === null) return 'none';
    if (typeof value === 'boolean') return String(value);
    if (typeof value === 'string') return spellString(value);
    if (typeof value === 'number') return this.number(at, value, Number.isInteger(value), false);
    if (Array.isArray(value)) return `[${this.list(at, value, (a, item) => this.value(a, item)).join(', ')}]`;
    const kind = this.which(at, value, ['number', 'ratio', 'name', 'call', 'expr']);
    switch (kind) {
      case 'number': {
        const f = this.fields(at, value, ['number'], ['percent', 'float', 'unit']);
        if (!f) return '';
        if (typeof f.number !== 'number') return this.wrong(`${at}/number`, 'a number', f.number);
        const { percent, float, unit } = f;
        if (percent !== undefined && percent !== true) this.wrong(`${at}/percent`, 'true', percent);
        if (float !== undefined && float !== true) this.wrong(`${at}/float`, 'true', float);
        if (unit !== undefined && !(typeof unit === 'string' && /^[a-z]+$/.test(unit)))
          this.wrong(`${at}/unit`, 'a word', unit);
        if (percent !== undefined && float !== undefined) this.wrong(at, 'one of percent and float', value);
        const integer = percent !== true && float !== true && Number.isInteger(f.number);
        return `${this.number(`${at}/number`, f.number, integer, percent === true)}${unit === undefined ? '' : ` ${String(unit)}`}`;
      }
      case 'ratio': {
        const f = this.fields(at, value, ['ratio']);
        const parts = Array.isArray(f?.ratio) ? f.ratio : [];
        if (parts.length !== 2) return this.wrong(`${at}/ratio`, 'two whole numbers', f?.ratio);
        return parts.map((part, i) => this.whole(`${at}/ratio/${i}`, part)).join(':');
      }
      case 'name':
        return this.name(`${at}/name`, this.fields(at, value, ['name'])?.name);
      case 'call':
        return this.call(at, value);
      case 'expr': {
        const text = this.text(`${at}/expr`, this.fields(at, value, ['expr'])?.expr);
        const node = text === '' ? undefined : parseExpression(text);
        if (!node) return this.unparsed(`${at}/expr`, 'an expression', text);
        const written = formatExpr(node);
        // Alone it may be several words of an operation; among others it must stay one operand.
        return node.kind === 'binary' || node.kind === 'unary' || node.kind === 'arrow' || node.kind === 'if'
          ? `(${written})`
          : written;
      }
      default:
        return '';
    }
  }

  private whole(at: string, value: unknown): string {
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? String(value)
      : this.wrong(at, 'a whole number', value);
  }

  /** JSON has negative numbers; the language has a sign before a number. */
  private number(at: string, value: number, integer: boolean, percent: boolean): string {
    const text = spellNumber({ value: Math.abs(value), integer, percent });
    const read = numberOf(text);
    if (read.why || read.value !== Math.abs(value)) return this.wrong(at, 'a number in range', value);
    return value < 0 || Object.is(value, -0) ? `-${text}` : text;
  }

  private call(at: string, value: unknown): string {
    const f = this.fields(at, value, ['call'], ['args', 'options']);
    if (!f) return '';
    const args = f.args === undefined ? [] : this.list(`${at}/args`, f.args, (a, item) => this.value(a, item));
    if (f.options !== undefined) {
      if (typeof f.options !== 'object' || f.options === null || Array.isArray(f.options)) {
        this.wrong(`${at}/options`, 'an object', f.options);
      } else {
        for (const [key, item] of Object.entries(f.options)) {
          const place = `${at}/options/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
          if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) this.unparsed(place, 'a name', key);
          args.push(`${key}: ${this.value(place, item)}`);
        }
      }
    }
    return `${this.name(`${at}/call`, f.call)}(${args.join(', ')})`;
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (typeof value === 'object') {
    const keys = Object.keys(value);
    const shown = keys.slice(0, 5).map((key) => `"${key.slice(0, 30)}"`);
    return keys.length === 0
      ? 'an empty object'
      : `an object with ${shown.join(', ')}${keys.length > 5 ? ', ...' : ''}`;
  }
  return typeof value === 'string'
    ? `the string ${JSON.stringify(value.slice(0, 40))}`
    : `the ${typeof value} ${String(value)}`;
}

/** Whether a JSON value is at most `levels` deep. Does not recurse. */
function isShallow(value: unknown, levels: number): boolean {
  let layer: unknown[] = [value];
  for (let level = 0; layer.length > 0; level++) {
    if (level > levels) return false;
    layer = layer.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return true;
}

/**
 * Reads a spec from parsed JSON. The file that comes back has the text that the spec is in the language, and spans into it.
 * @param path names it in messages.
 */
export function fromJsonSpec(
  json: unknown,
  path = 'spec.json',
): { readonly file: SourceFile; readonly diagnostics: Diagnostic[] } {
  const empty: SourceFile = { path, text: '', decls: [], comments: [] };
  if (!isShallow(json, MAX_LEVELS)) return { file: empty, diagnostics: [diagnostic('ESP0109', { limit: MAX_LEVELS })] };
  const reader = new Reader();
  const text = reader.spec(json);
  if (reader.diagnostics.length > 0) return { file: empty, diagnostics: reader.diagnostics };
  const first = parse(path, text);
  return first.diagnostics.length > 0 ? first : parse(path, format(first.file));
}

/** Reads a spec from the text of a JSON file. */
export function parseJsonSpec(
  path: string,
  text: string,
): { readonly file: SourceFile; readonly diagnostics: Diagnostic[] } {
  try {
    return fromJsonSpec(JSON.parse(text), path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const file: SourceFile = { path, text, decls: [], comments: [] };
    const primary = { span: { file: path, start: 0, end: 0 }, text: '' };
    return { file, diagnostics: [diagnostic('ESP0130', { why: error.message }, { primary })] };
  }
}
