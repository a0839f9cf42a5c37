/**
 * What every part of the grammar stands on: spans, the limit on nesting, and recovery. An error inside a statement costs that
 * statement: the parser skips to the end of its line or block, by the brace depth that `layout.ts` left on each token.
 */
import {
  EmbeddedActionsParser,
  type IParserErrorMessageProvider,
  type IToken,
  isRecognitionException,
  type ParserMethod,
  type TokenType,
  tokenLabel,
  tokenMatcher,
} from 'chevrotain';
import type { ErrorStmt, Ident, Span } from '../ast.js';
import * as T from '../tokens.js';

export type Rule<R> = ParserMethod<[], R>;

/** Bracket and block levels that may be open at once. Protects the call stack, here and in everything that walks the tree. */
export const MAX_NESTING = 100;
/** Operators in one run, calls and members in one run, arms of one `if`. */
const MAX_CHAIN = 400;
/** Errors after which the rest of a file is not worth reading. */
export const MAX_ERRORS = 50;

/** Thrown through all rules: the rest of the file is left unread. */
export class StopParsing extends Error {
  constructor(
    readonly reason: 'nesting' | 'errors',
    readonly token: IToken,
    readonly limit: number,
  ) {
    super(reason);
    this.name = 'StopParsing';
  }
}

/** Something wrong that the grammar can read past; `messages.ts` turns it into a diagnostic. */
export type Note =
  | { readonly kind: 'unclosed'; readonly open: IToken; readonly found: IToken }
  | { readonly kind: 'after_statement'; readonly first: IToken; readonly found: IToken }
  | { readonly kind: 'if_without_else'; readonly span: Span }
  | { readonly kind: 'chained_comparison'; readonly first: IToken; readonly second: IToken }
  | { readonly kind: 'ratio_as_index'; readonly span: Span; readonly text: string }
  | { readonly kind: 'bad_number'; readonly token: IToken; readonly why: string }
  | { readonly kind: 'bad_escape'; readonly span: Span; readonly escape: string }
  | { readonly kind: 'unknown_use'; readonly span: Span; readonly name: string }
  | { readonly kind: 'twice'; readonly what: string; readonly first: Span; readonly second: Span };

/** Only the expectation: the whole message is made in `messages.ts`, which knows more. */
const EXPECTATIONS: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected }) => tokenLabel(expected),
  buildNotAllInputParsedMessage: () => 'the end of the file',
  buildNoViableAltMessage: () => '',
  buildEarlyExitMessage: () => '',
};

export abstract class BaseParser extends EmbeddedActionsParser {
  protected file = '';
  private text = '';
  protected notes: Note[] = [];
  private nesting = 0;
  /** A ratio cannot be a generator's limit: in `sum(i < 2: 4 * i)` the colon ends the limit. */
  protected noRatio = false;

  /** @param validate look for ambiguities in the grammar, which takes as long as all else: a test does. */
  constructor(validate = false) {
    super(T.TOKENS, {
      maxLookahead: 2,
      recoveryEnabled: false,
      skipValidations: !validate,
      errorMessageProvider: EXPECTATIONS,
      traceInitPerf: false,
    });
  }

  protected begin(file: string, tokens: IToken[], text: string): void {
    this.input = tokens;
    this.file = file;
    this.text = text;
    this.notes = [];
    this.nesting = 0;
    this.noRatio = false;
  }

  // ---- Spans

  /** From a token to the last one that was read. */
  protected since(first: IToken): Span {
    return this.spanFrom(first.startOffset);
  }
  protected spanFrom(start: number): Span {
    const last = this.LA(0);
    return { file: this.file, start, end: last.startOffset + last.image.length };
  }
  protected spanOf(token: IToken): Span {
    return { file: this.file, start: token.startOffset, end: token.startOffset + token.image.length };
  }
  protected ident(token: IToken): Ident {
    return { name: token.image, span: this.spanOf(token) };
  }
  protected note(note: Note): void {
    this.notes.push(note);
  }

  // ---- Looking ahead

  protected at(type: TokenType, steps = 1): boolean {
    return tokenMatcher(this.LA(steps), type);
  }
  protected atEnd(): boolean {
    return Number.isNaN(this.LA(1).startOffset);
  }

  /** Any number of items with commas between them, and one after the last if you like. */
  protected separated<R>(item: () => R): R[] {
    const items: R[] = [];
    let more = true;
    this.MANY({
      GATE: () => more,
      DEF: () => {
        items.push(item());
        more = false;
        this.OPTION9(() => {
          this.CONSUME9(T.Comma);
          more = true;
        });
      },
    });
    return items;
  }

  // ---- Nesting and recovery

  protected enter(): void {
    if (this.RECORDING_PHASE) return;
    if (++this.nesting > MAX_NESTING) throw new StopParsing('nesting', this.LA(1), MAX_NESTING);
  }
  protected leave(): void {
    this.nesting--;
  }
  /** For what nests in the tree though not in the text: `1 + 1 + ...`, `f(a)(b)...`, `else if` after `else if`. */
  protected limitChain(links: number): void {
    if (links > MAX_CHAIN) throw new StopParsing('nesting', this.LA(1), MAX_CHAIN);
  }

  /**
   * Reads items, each on lines of its own, until `end`. What cannot be read is replaced by `failed`, and reading goes on with
   * the next line at this depth, or at the next declaration.
   */
  protected lines<R>(item: () => R, failed: (span: Span) => R, depth: number, end: () => boolean): R[] {
    const items: R[] = [];
    for (;;) {
      while (this.at(T.Newline)) this.skip();
      if (this.atEnd() || end()) return items;
      const first = this.LA(1);
      const { nesting, noRatio } = this;
      try {
        items.push(item());
        if (!(this.at(T.Newline) || this.atEnd() || this.at(T.DeclarationWord) || end())) {
          this.note({ kind: 'after_statement', first, found: this.LA(1) });
          this.recover(depth, end);
        }
      } catch (error) {
        if (!isRecognitionException(error as Error)) throw error;
        this.nesting = nesting;
        this.noRatio = noRatio;
        // Never stand still: a token that no item can start with is given up.
        if (this.LA(1) === first) this.skip();
        this.recover(depth, end);
        items.push(failed(this.since(first)));
      }
      if (this.errors.length + this.notes.length > MAX_ERRORS) throw new StopParsing('errors', this.LA(1), MAX_ERRORS);
    }
  }

  /** What stands for a statement that could not be read, with the names that its beginning seems to bind. */
  protected unread(span: Span): ErrorStmt {
    const text = this.text.slice(span.start, span.end);
    const bound = /^(?:site\s+(\w+)\s*\(|((?:[A-Za-z_]\w*\s*,\s*)*[A-Za-z_]\w*)\s*[=:])/.exec(text);
    const names = bound?.[1] ?? bound?.[2];
    return { kind: 'error', span, names: names?.split(/\s*,\s*/) ?? [] };
  }

  private skip(): void {
    this.consume(0, this.LA(1).tokenType);
  }

  private recover(depth: number, end: () => boolean): void {
    while (!(this.atEnd() || end() || this.at(T.DeclarationWord))) {
      if (this.at(T.Newline) && (this.LA(1).payload as number) <= depth) return;
      this.skip();
    }
  }

  /** Items between braces, or up to where a closing brace is missing. */
  protected braced<R>(open: IToken, item: () => R, failed: (span: Span) => R): R[] {
    const depth = (open.payload as number) + 1;
    const closes = () => this.at(T.RCurly) && (this.LA(1).payload as number) < depth;
    const items = this.lines(item, failed, depth, () => this.at(T.DeclarationWord) || closes());
    if (this.at(T.RCurly)) this.skip();
    else this.note({ kind: 'unclosed', open, found: this.LA(1) });
    return items;
  }
}
