/**
 * Text -> syntax tree. Whatever the text is, this neither throws nor hangs: it returns what could be read and diagnostics for
 * the rest. Source: lexer in `tokens.ts`, line ends and keywords in `layout.ts`, rules in `grammar/`.
 */
import { type IToken, tokenMatcher } from 'chevrotain';
import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic, Span } from '../diagnostics/types.js';
import type { Comment, Damage, Decl, SourceFile } from './ast.js';
import { MAX_ERRORS, StopParsing } from './grammar/base.js';
import { Grammar } from './grammar/declarations.js';
import { Messages } from './grammar/messages.js';
import { arrange } from './layout.js';
import { BlockComment, DeclarationWord, LEXER, OpenStr } from './tokens.js';
import { MAX_DEPTH, tooDeep } from './walk.js';

/** Largest spec that is read, in UTF-16 code units. */
export const MAX_FILE_SIZE = 2 * 1024 * 1024;

export interface Parsed {
  readonly file: SourceFile;
  readonly diagnostics: Diagnostic[];
}

let grammar: Grammar | undefined;
/** One parser serves all files: building it costs far more than reading a spec. */
function theGrammar(): Grammar {
  grammar ??= new Grammar();
  return grammar;
}

/** Reads a `.peft` file. `path` only names it, in spans and messages. */
export function parse(path: string, text: string): Parsed {
  const unreadable = refuse(path, text);
  if (unreadable)
    return {
      file: { path, text, decls: [], comments: [], damage: { lines: [], names: [] } },
      diagnostics: [unreadable],
    };

  const lexed = LEXER.tokenize(text);
  const found: Diagnostic[] = [];
  let lineEnd = -1;
  for (const error of lexed.errors) {
    if (error.offset < lineEnd) continue;
    const end = text.indexOf('\n', error.offset);
    lineEnd = end < 0 ? text.length : end;
    if (found.length > MAX_ERRORS) break;
    found.push(unknownCharacters({ file: path, start: error.offset, end: error.offset + error.length }, text));
  }
  const layout = arrange(lexed.tokens);
  const messages = new Messages(path, text, layout);
  for (const token of layout.tokens) {
    if (token.tokenType === OpenStr) {
      found.push(diagnostic('ESP0105', {}, { primary: messages.label(token, 'opened here') }));
    } else if (token.tokenType === BlockComment) {
      found.push(diagnostic('ESP0120', {}, { primary: messages.label(token, 'not a comment') }));
    }
    if (found.length > MAX_ERRORS) break;
  }
  // What the parser says about a line that the lexer could not read is only an echo.
  const garbled = new Set(found.map((d) => lineStart(text, d.primary!.span.start)));

  const decls: Decl[] = [];
  const parser = theGrammar();
  let stopped: StopParsing | undefined;
  try {
    parser.readFile(path, layout.tokens, text, decls);
  } catch (error) {
    if (!(error instanceof StopParsing)) throw error;
    stopped = error;
  }
  const { errors, notes } = parser.taken;
  const parsed = [
    // A parser that was stopped also says what it did not read.
    ...errors.filter((error) => error.name !== 'NotAllInputParsedException').map((error) => messages.unexpected(error)),
    ...notes.map((note) => messages.fromNote(note)),
  ];
  const seen = new Set<number>();
  for (const d of parsed.sort(byPlace)) {
    const start = d.primary!.span.start;
    if (seen.has(start) || garbled.has(lineStart(text, start))) continue;
    seen.add(start);
    found.push(d);
  }
  found.sort(byPlace);
  if (stopped?.reason === 'nesting') {
    found.push(
      diagnostic(
        'ESP0109',
        { limit: stopped.limit },
        { primary: messages.label(stopped.token, 'too deep from here on') },
      ),
    );
  }
  if (stopped?.reason === 'errors' || found.length > MAX_ERRORS) {
    found.length = Math.min(found.length, MAX_ERRORS);
    found.push(diagnostic('ESP0117', { limit: MAX_ERRORS }));
  }
  const kept = decls.filter((decl) => {
    const deep = tooDeep(decl);
    if (deep) found.push(diagnostic('ESP0109', { limit: MAX_DEPTH }, { primary: { span: deep, text: 'too deep' } }));
    return !deep;
  });
  const comments = commentsOf(path, text, lexed.groups.comments ?? []);
  const damage = found.length > 0 ? { damage: damageOf(text, found, layout.tokens, kept) } : {};
  return { file: { path, text, decls: kept, comments, ...damage }, diagnostics: found };
}

/** The lines of the errors, and the declarations that begin in the text and are not among those that were read. */
function damageOf(
  text: string,
  found: readonly Diagnostic[],
  tokens: readonly IToken[],
  kept: readonly Decl[],
): Damage {
  const lines = found.flatMap((d): [number, number][] => {
    if (!d.primary) return [];
    const start = lineStart(text, d.primary.span.start);
    const length = text.slice(start).search(/[\r\n]|$/);
    return [[start, start + length]];
  });
  const read = new Set(kept.flatMap((d) => ('name' in d ? [d.name.name] : [])));
  const names = tokens.flatMap((token, i) => {
    const name = tokenMatcher(token, DeclarationWord) ? tokens[i + 1]?.image : undefined;
    return name === undefined || read.has(name) ? [] : [name];
  });
  return { lines, names };
}

function byPlace(a: Diagnostic, b: Diagnostic): number {
  return (a.primary?.span.start ?? 0) - (b.primary?.span.start ?? 0);
}

function lineStart(text: string, offset: number): number {
  let start = offset;
  while (start > 0 && text[start - 1] !== '\n' && text[start - 1] !== '\r') start--;
  return start;
}

/** What is said of a text that is no text, or too large to be a spec; undefined for one that can be read. */
export function refuse(path: string, text: string): Diagnostic | undefined {
  const primary = { span: { file: path, start: 0, end: 0 }, text: '' };
  if (text.length > MAX_FILE_SIZE) {
    const size = `${(text.length / 1048576).toFixed(1)} MiB`;
    return diagnostic('ESP0110', { size, limit: `${MAX_FILE_SIZE / 1048576} MiB` }, { primary });
  }
  const zero = text.indexOf('\0');
  if (zero >= 0) return diagnostic('ESP0111', { why: `it holds a zero byte (at ${zero})` }, { primary });
  let odd = 0;
  for (let i = 0; i < Math.min(text.length, 4096); i++) {
    const c = text.charCodeAt(i);
    if (c === 0xfffd || (c < 32 && c !== 9 && c !== 10 && c !== 12 && c !== 13)) odd++;
  }
  if (odd > 8 && odd > Math.min(text.length, 4096) / 50) {
    return diagnostic('ESP0111', { why: 'many of its characters are control characters or not UTF-8' }, { primary });
  }
  return undefined;
}

const LOOKALIKES: Readonly<Record<string, string>> = {
  "'": 'Strings stand in double quotes.',
  '`': 'Strings stand in double quotes.',
  '“': 'Use the straight quote `"`.',
  '”': 'Use the straight quote `"`.',
  '–': 'Use the ASCII minus `-`.',
  '−': 'Use the ASCII minus `-`.',
  '×': 'Use `*`.',
  '→': 'Write `->`.',
  '#': 'Comments start with `//`.',
  '&': 'Write `and`.',
  '!': 'Write `not`.',
  '\\': 'A statement goes on in the next line inside parentheses, or after an operator or comma.',
};

function unknownCharacters(span: Span, text: string): Diagnostic {
  const characters = [...text.slice(span.start, span.end)];
  const shown = characters
    .slice(0, 8)
    .map((c) =>
      /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(c)
        ? `\`${c}\``
        : `U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`,
    )
    .join(' ');
  const help = LOOKALIKES[characters[0] ?? ''];
  return diagnostic(
    'ESP0104',
    { text: characters.length > 8 ? `${shown} ...` : shown, count: characters.length },
    { primary: { span, text: 'not part of the language' }, help: help ? [help] : [] },
  );
}

function commentsOf(path: string, text: string, tokens: readonly IToken[]): Comment[] {
  return tokens.map((token) => {
    const start = token.startOffset;
    const ownLine = text.slice(lineStart(text, start), start).trim() === '';
    const shown = token.image.trimEnd();
    return { text: shown, span: { file: path, start, end: start + shown.length }, ownLine };
  });
}
