/** From what the parser noticed to diagnostics that say what was expected, why, and what to do. */
import { EOF as EndOfFile, type IRecognitionException, type IToken } from 'chevrotain';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { nearest } from '../../diagnostics/suggest.js';
import type { Diagnostic, Label, Span } from '../../diagnostics/types.js';
import type { Layout } from '../layout.js';
import { lookup } from '../lookup.js';
import * as T from '../tokens.js';
import type { Note } from './base.js';

/** What a rule reads, for people. */
const NOUNS: Readonly<Record<string, string>> = {
  statement: 'a statement',
  modelStatement: 'a statement of a model',
  declaration: 'a declaration',
  variantPart: '`preprocess` or `names`',
  step: 'a site',
  indexStep: 'an index',
  indices: 'an index',
  type: 'a type',
  argument: 'an argument',
  sitePattern: 'what the adapter goes on, `Linear(in -> out)` or `(x: [b, n, dim])`',
  use: '`std`, or a file in quotes',
  nameEntry: "a tensor's name in quotes",
};
/** What stands between the brackets that a rule reads. */
const ITEMS: Readonly<Record<string, string>> = {
  args: 'an argument',
  list: 'an item',
  record: 'a field',
  indices: 'an index',
  tensorParams: 'a parameter',
  optionParams: 'an option',
};
const WORDS: Readonly<Record<string, readonly string[]>> = {
  // `modle` is as near to `module` as to `model`, which people write more often.
  declaration: ['model', ...Object.keys(T.DECLARATIONS)],
  modelStatement: ['in', 'adapt', 'prune', 'tune', 'ignore', 'if', 'for'],
  variantPart: ['names', 'config', 'processor', 'preprocess'],
  nameEntry: ['prefix', 'ignore', 'head', 'unseen', 'bypassed', 'optional'],
  configEntry: ['match', 'only', 'sizes', 'labels', 'several', 'set'],
  statement: ['forward', 'site', 'for', 'if', 'else', 'param', 'shared', 'frozen', 'state', 'repeat'],
};
/** Keywords of other languages. */
const FOREIGN: Readonly<Record<string, string>> = {
  let: 'A name is bound with `name = value`.',
  const: 'A name is bound with `name = value`.',
  var: 'A name is bound with `name = value`.',
  def: 'Functions stand outside of modules: `function name(n: int) = 2 * n`; what a module computes is its `forward(x) { ... }`.',
  fn: 'Functions stand outside of modules: `function name(n: int) = 2 * n`; what a module computes is its `forward(x) { ... }`.',
  function:
    'Functions stand outside of modules: `function name(n: int) = 2 * n`; what a module computes is its `forward(x) { ... }`.',
  return: 'The last expression of a block is its value; there is no `return`.',
  import: 'Libraries and files are taken in with `use`.',
  class: 'A part of a network is declared with `module Name(options) { ... }`.',
  while: 'There are no open loops; `for i < n { ... }` runs when compiling.',
};
const OPEN_OF: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

const EOF: IToken = { image: '', startOffset: Number.NaN, tokenType: EndOfFile, tokenTypeIdx: EndOfFile.tokenTypeIdx! };
const LINE_END: IToken = { ...EOF, startOffset: 0, tokenType: T.Newline, tokenTypeIdx: T.Newline.tokenTypeIdx! };
function isEnd(token: IToken): boolean {
  return Number.isNaN(token.startOffset);
}
function typeIs(token: IToken, ...types: readonly { name: string }[]): boolean {
  return types.some((type) => token.tokenType === type);
}

/** `\`dim\``, `the number \`4\``, `the end of the line` */
export function describe(token: IToken): string {
  if (isEnd(token)) return 'the end of the file';
  if (typeIs(token, T.Newline)) return 'the end of the line';
  if (typeIs(token, T.Str, T.OpenStr)) return 'a string';
  const image = token.image.length > 40 ? `${token.image.slice(0, 37)}...` : token.image;
  return typeIs(token, T.Num, T.Percent) ? `the number \`${image}\`` : `\`${image}\``;
}

export class Messages {
  private places: Map<IToken, number> | undefined;

  constructor(
    private readonly file: string,
    private readonly text: string,
    private readonly layout: Layout,
  ) {}

  /** The position of a token among all; undefined for the end of the file. */
  private indexOf(token: IToken): number | undefined {
    this.places ??= new Map(this.layout.tokens.map((token, i) => [token, i]));
    return this.places.get(token);
  }

  span(token: IToken): Span {
    return { file: this.file, start: token.startOffset, end: token.startOffset + token.image.length };
  }
  label(token: IToken, text: string): Label {
    return { span: this.span(token), text };
  }

  /** Where `found` is reported: for the end of a line or file just behind the token before it. */
  private place(token: IToken, before: IToken | undefined): Span {
    const found = this.met(token, before);
    if (!isEnd(found) && !typeIs(found, T.Newline)) return this.span(found);
    const last = before && !isEnd(before) ? before : this.layout.tokens.at(-1);
    const at = last ? last.startOffset + last.image.length : this.text.length;
    return { file: this.file, start: at, end: at };
  }

  /** In `16 dim: 3` and `1 b = 2` the word was read as a unit, but it is the name of what comes next. */
  private culprit(found: IToken): IToken {
    const before = typeIs(found, T.Colon, T.Eq) ? this.before(found) : undefined;
    return before && typeIs(before, T.Unit) ? before : found;
  }

  /** What people see was found: the line end before a `}`, though `layout.ts` leaves it out. */
  private met(found: IToken, before: IToken | undefined): IToken {
    if (!before || !typeIs(found, T.RCurly) || typeIs(before, T.LCurly)) return found;
    const gap = this.text.slice(before.startOffset + before.image.length, found.startOffset);
    return /[\r\n]/.test(gap) ? LINE_END : found;
  }

  private before(token: IToken): IToken | undefined {
    const i = this.indexOf(token);
    return i === undefined ? this.layout.tokens.at(-1) : this.layout.tokens[i - 1];
  }

  /** The innermost bracket of this kind that is open at `token`. */
  private opener(token: IToken, open: string, close: string): IToken | undefined {
    let level = 0;
    for (let i = (this.indexOf(token) ?? this.layout.tokens.length) - 1; i >= 0; i--) {
      const { image } = this.layout.tokens[i]!;
      if (image === close) level++;
      else if (image === open && level-- === 0) return this.layout.tokens[i];
    }
    return undefined;
  }

  /** The word that `token` was probably meant to be, as a diagnostic. */
  private misspelt(token: IToken | undefined, words: readonly string[] | undefined): Diagnostic | undefined {
    if (!token || !words || !typeIs(token, T.Word)) return undefined;
    const meant = nearest(token.image, words);
    if (meant === undefined) return undefined;
    return diagnostic(
      'ESP0112',
      { found: token.image, meant },
      { primary: this.label(token, `did you mean \`${meant}\`?`), fix: { span: this.span(token), text: meant } },
    );
  }

  private hints(found: IToken, first: IToken | undefined): string[] {
    const hints: string[] = [];
    for (const token of [first, found]) {
      const hint = token && lookup(FOREIGN, token.image);
      if (hint !== undefined) hints.push(hint);
    }
    if (found.image === 'from') hints.push('A file or folder stands in quotes: `from "./file"`.');
    if (typeIs(found, T.Semicolon)) hints.push('One statement stands on a line; there is no `;`.');
    if (typeIs(found, T.Pipe)) hints.push('Logic is written with words: `and`, `or`, `not`.');
    if (typeIs(found, T.StarStar)) hints.push('There is no operator for powers; `**` belongs to selectors.');
    return [...new Set(hints)];
  }

  /** A token stood where the grammar has no use for it. */
  unexpected(error: IRecognitionException): Diagnostic {
    const found = this.culprit(error.token);
    const before = this.before(found);
    const rule = error.context.ruleStack.at(-1) ?? '';
    const label = error.message;
    const own = this.special(found, before, rule, label);
    if (own) return own;
    const close = /^`([)\]}])`$/.exec(label)?.[1];
    if (close) return this.unclosed(found, before, rule, close);
    const expected = label === '' || label === 'a declaration' ? (NOUNS[rule] ?? 'an expression') : label;
    return diagnostic(
      'ESP0101',
      { expected, found: describe(this.met(found, before)) },
      {
        primary: { span: this.place(found, before), text: `expected ${expected}` },
        help: [...this.hints(found, before), ...this.ruleHelp(error.context.ruleStack, found, label)],
      },
    );
  }

  private ruleHelp(rules: readonly string[], found: IToken, label: string): string[] {
    const rule = rules.at(-1) ?? '';
    if (rule === 'declaration') return [`A file is made of ${Object.keys(T.DECLARATIONS).join(', ')}.`];
    if (rule === 'modelStatement' && label === '')
      return ['A model holds `name = value`, `in`, `adapt`, `prune`, `tune`, `if` and `for`.'];
    if (rule === 'optionParam' && label === '`:`') return ['An option has a type: `rank: int = 8`.'];
    if (rule === 'args' && label === '`(`')
      return ['Adapters and criteria are called, options or not: `with lora(rank: 4)`.'];
    if (rule === 'generator' && typeIs(found, T.POSITIONAL.in, T.Word))
      return ['Loops are written `for i < n { ... }`; i runs from 0 to n - 1.'];
    if (rules.at(-3) === 'param') return ['A parameter has a shape and an initial value: `param [rank, in] zeros`.'];
    return [];
  }

  /** Mistakes that are common enough for words of their own. */
  private special(found: IToken, before: IToken | undefined, rule: string, label: string): Diagnostic | undefined {
    const next = this.layout.tokens[(this.indexOf(found) ?? Number.NaN) + 1];
    const bound = rule === 'statement' && next !== undefined && typeIs(next, T.Eq);
    if ((label === 'a name' || bound) && Object.hasOwn(T.RESERVED, found.image)) {
      return diagnostic('ESP0122', { word: found.image }, { primary: this.label(found, 'a keyword') });
    }
    if (this.closesNothing(found)) return this.stray(found);
    if (rule === 'declaration' && Object.hasOwn(T.DECLARATIONS, found.image)) {
      const expected = `a name after \`${found.image}\``;
      const rest = next ?? EOF;
      const primary = { span: this.place(rest, found), text: `expected ${expected}` };
      return diagnostic('ESP0101', { expected, found: describe(rest) }, { primary });
    }
    if (
      typeIs(found, T.Eq) &&
      before &&
      typeIs(before, T.Word) &&
      (rule === 'args' || (rule === 'record' && label === '`:`'))
    ) {
      return diagnostic(
        'ESP0113',
        { name: before.image },
        { primary: this.label(found, 'write `:` here'), fix: { span: this.span(found), text: ':' } },
      );
    }
    if (typeIs(found, T.Colon) && before && label === '`=`' && (rule === 'modelStatement' || rule === 'setting')) {
      return this.bindsWith(before, found);
    }
    const keyword = /^`([a-z]+)`$/.exec(label)?.[1];
    if (keyword) {
      const meant = this.misspelt(found, [keyword]);
      if (meant) return meant;
    }
    if (label === '' || rule === 'declaration') return this.misspelt(found, WORDS[rule]);
    return rule === 'modelStatement' ? this.misspelt(before, WORDS[rule]) : undefined;
  }

  private closesNothing(found: IToken): boolean {
    return typeIs(found, T.RCurly, T.RParen, T.RSquare) && !this.opener(found, OPEN_OF[found.image]!, found.image);
  }
  private stray(found: IToken): Diagnostic {
    return diagnostic('ESP0103', { close: found.image }, { primary: this.label(found, 'nothing is open here') });
  }

  private bindsWith(name: IToken, found: IToken): Diagnostic {
    return diagnostic(
      'ESP0114',
      { name: name.image },
      { primary: this.label(found, 'write `=` here'), fix: { span: this.span(found), text: '=' } },
    );
  }

  /** A closing bracket was due. */
  private unclosed(found: IToken, before: IToken | undefined, rule: string, close: string): Diagnostic {
    const open = this.opener(found, OPEN_OF[close]!, close);
    const place = this.place(found, before);
    if (open && this.layout.unclosed.has(open)) {
      const due = typeIs(found, T.Newline, T.RCurly) || isEnd(found);
      if (due) {
        return diagnostic(
          'ESP0102',
          { open: open.image, close, found: describe(this.met(found, before)) },
          { primary: { span: place, text: `expected \`${close}\`` }, secondary: [this.label(open, 'opened here')] },
        );
      }
    }
    const item = ITEMS[rule];
    const afterComma = before !== undefined && typeIs(before, T.Comma);
    const expected =
      item === undefined
        ? `\`${close}\``
        : afterComma
          ? item
          : before === open
            ? `${item} or \`${close}\``
            : `\`,\` or \`${close}\``;
    return diagnostic(
      'ESP0101',
      { expected, found: describe(this.met(found, before)) },
      {
        primary: { span: place, text: `expected ${expected}` },
        secondary: open ? [this.label(open, 'opened here')] : [],
        help: [
          ...this.hints(found, undefined),
          ...(rule === 'indices' && typeIs(found, T.Colon) ? ['A range is written `a..b`.'] : []),
        ],
      },
    );
  }

  private blockUnclosed(open: IToken, found: IToken): Diagnostic {
    const culprit = this.layout.suspicious.find((pair) => pair.open.startOffset > open.startOffset);
    const secondary = [this.label(open, 'opened here')];
    if (culprit) {
      secondary.push(this.label(culprit.open, 'this may be the one: it is closed'));
      secondary.push(this.label(culprit.close, '... here, at another indentation'));
    }
    return diagnostic(
      'ESP0102',
      { open: '{', close: '}', found: describe(found) },
      { primary: { span: this.place(found, this.before(found)), text: 'expected `}`' }, secondary },
    );
  }

  private afterStatement(first: IToken, stopped: IToken): Diagnostic {
    const found = this.culprit(stopped);
    const before = this.before(found);
    if (typeIs(found, T.Colon) && before === first && typeIs(first, T.Word)) return this.bindsWith(first, found);
    if (this.closesNothing(found)) return this.stray(found);
    if (typeIs(found, T.Eq) && before && Object.hasOwn(T.RESERVED, before.image)) {
      return diagnostic('ESP0122', { word: before.image }, { primary: this.label(before, 'a keyword') });
    }
    if (before === first || typeIs(found, T.LCurly)) {
      const meant = this.misspelt(first, WORDS.statement);
      if (meant) return meant;
    }
    const meant = this.misspelt(found, ['else', 'from']);
    if (meant && before && typeIs(before, T.RCurly, T.RParen)) return meant;
    return diagnostic(
      'ESP0119',
      { found: describe(found) },
      {
        primary: { span: this.place(found, before), text: 'expected the end of the line' },
        help: this.hints(found, first),
      },
    );
  }

  fromNote(note: Note): Diagnostic {
    switch (note.kind) {
      case 'unclosed':
        return this.blockUnclosed(note.open, note.found);
      case 'after_statement':
        return this.afterStatement(note.first, note.found);
      case 'if_without_else':
        return diagnostic('ESP0108', {}, { primary: { span: note.span, text: 'no value if the condition is false' } });
      case 'chained_comparison':
        return diagnostic(
          'ESP0116',
          { first: note.first.image, second: note.second.image },
          { primary: this.label(note.second, 'a second comparison'), secondary: [this.label(note.first, 'the first')] },
        );
      case 'ratio_as_index':
        return diagnostic(
          'ESP0118',
          { text: note.text },
          { primary: { span: note.span, text: 'a ratio' }, fix: { span: note.span, text: note.text } },
        );
      case 'bad_number':
        return diagnostic(
          'ESP0107',
          {
            text: note.token.image.length > 40 ? `${note.token.image.slice(0, 37)}...` : note.token.image,
            why: note.why,
          },
          { primary: this.label(note.token, 'out of range') },
        );
      case 'bad_escape':
        return diagnostic('ESP0106', { escape: note.escape }, { primary: { span: note.span, text: 'unknown' } });
      case 'unknown_use':
        return diagnostic('ESP0115', { name: note.name }, { primary: { span: note.span, text: 'not a library' } });
      case 'twice':
        return diagnostic(
          'ESP0121',
          { what: note.what },
          { primary: { span: note.second, text: 'again here' }, secondary: [{ span: note.first, text: 'first here' }] },
        );
    }
  }
}
