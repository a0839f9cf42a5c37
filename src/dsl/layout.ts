/**
 * Between lexer and parser: decides which line ends separate statements and which words are keywords, and matches brackets, so
 * that the grammar needs neither backtracking nor more than two tokens of look-ahead. Every token that it passes on carries,
 * as its payload, how many braces are open around it; recovery from errors relies on that.
 */
import { type IToken, type TokenType, tokenMatcher } from 'chevrotain';
import { lookup } from './lookup.js';
import * as T from './tokens.js';

export interface Layout {
  /** What the parser reads. */
  readonly tokens: IToken[];
  /** Opening brackets that are never closed. */
  readonly unclosed: ReadonlySet<IToken>;
  /** `}` that stands at another indentation than the line of its `{`: the likely culprit when a brace is missing. */
  readonly suspicious: readonly { readonly open: IToken; readonly close: IToken }[];
}

const CLOSERS = new Map<TokenType, TokenType>([
  [T.RCurly, T.LCurly],
  [T.RParen, T.LParen],
  [T.RSquare, T.LSquare],
]);
const OPENERS = new Set<TokenType>(CLOSERS.values());
const { with: WITH, on: ON, adapt: ADAPT, prune: PRUNE, tune: TUNE, in: IN } = T.POSITIONAL;

/** After these a statement goes on in the next line. */
const CONTINUED_AFTER = new Set<TokenType>(
  [T.LCurly, T.LParen, T.LSquare, T.Comma, T.Colon, T.Arrow, T.Eq, T.Dot, T.DotDot, T.Pipe].concat([
    ...[WITH, ON, ADAPT, PRUNE, TUNE, IN, T.RESERVED.not],
  ]),
);
/** These, first on a line, go on with the statement before. A leading `-` starts a statement: it may be a sign. */
const CONTINUED_BEFORE = new Set<TokenType>(
  [T.RCurly, T.RParen, T.RSquare, T.LCurly, T.Comma, T.Arrow, T.Eq, T.Dot, T.Pipe].concat([
    ...[WITH, ON, T.POSITIONAL.from, T.POSITIONAL.by, T.RESERVED.else],
  ]),
);
const OPERAND_ENDS = new Set<TokenType>(
  [T.Word, T.Num, T.Percent, T.Str, T.Unit, T.RParen, T.RSquare, T.RCurly].concat([
    ...[T.RESERVED.true, T.RESERVED.false, T.RESERVED.none],
  ]),
);
const SELECTING = new Set<TokenType>([ADAPT, PRUNE, TUNE]);
const SELECTOR_ENDS = new Set<TokenType>([T.Word, T.Star, T.StarStar, T.RSquare, T.RCurly]);

/** A word that can be a name. */
function isName(token: IToken | undefined): boolean {
  return token?.tokenType === T.Word && !lookup(T.RESERVED, token.image);
}

/** The brackets that are open at some point; says without searching whether one of a kind is. */
class OpenBrackets {
  private stack: IToken[] = [];
  /** Round and square brackets that are open inside the innermost brace, which they cannot outlive. */
  private inner = { round: 0, square: 0 };
  private outer: { round: number; square: number }[] = [];

  push(token: IToken): void {
    this.stack.push(token);
    if (token.tokenType === T.LCurly) {
      this.outer.push(this.inner);
      this.inner = { round: 0, square: 0 };
    } else this.inner[token.tokenType === T.LParen ? 'round' : 'square']++;
  }

  /** Closes the innermost bracket of a kind; returns those inside it that were never closed, or undefined if none is open. */
  close(opener: TokenType): IToken[] | undefined {
    const open = opener === T.LCurly ? this.outer.length : this.inner[opener === T.LParen ? 'round' : 'square'];
    if (open === 0) return undefined;
    const lost: IToken[] = [];
    for (;;) {
      const token = this.stack.pop()!;
      if (token.tokenType === T.LCurly) this.inner = this.outer.pop()!;
      else this.inner[token.tokenType === T.LParen ? 'round' : 'square']--;
      if (token.tokenType === opener) return lost;
      lost.push(token);
    }
  }

  /** Forgets all that is open, and returns it. */
  clear(): IToken[] {
    const lost = this.stack;
    this.stack = [];
    this.outer = [];
    this.inner = { round: 0, square: 0 };
    return lost;
  }
}

class Arranger {
  private readonly sig: IToken[] = [];
  /** The line end before `sig[i]`, if there is one. */
  private readonly breaks: (IToken | undefined)[] = [];
  /** Closing brackets that close something. */
  private readonly matched = new Set<IToken>();
  private readonly unclosed = new Set<IToken>();
  private readonly suspicious: { open: IToken; close: IToken }[] = [];
  private readonly out: IToken[] = [];
  private context: IToken[] = [];
  private braces = 0;
  private mode: T.DeclarationKind | undefined;
  private onSeen = false;
  /** Inside of a statement that may have a `with`, and before it. */
  private selecting = false;
  /** The first token of the current line, and its distance from the line's beginning. */
  private lineFirst: IToken | undefined;
  private indent = 0;
  private readonly indentOf = new Map<IToken, number>();

  constructor(raw: readonly IToken[]) {
    let line: IToken | undefined;
    for (const token of raw) {
      if (token.tokenType === T.Newline) line = token;
      else {
        this.sig.push(token);
        this.breaks.push(line);
        line = undefined;
      }
    }
  }

  run(): Layout {
    this.matchBrackets();
    for (let i = 0; i < this.sig.length; i++) this.place(i);
    return { tokens: this.out, unclosed: this.unclosed, suspicious: this.suspicious };
  }

  /** A word that starts a declaration, first on its line and before a name, ends whatever is still open before it. */
  private startsDeclaration(i: number): boolean {
    const token = this.sig[i]!;
    if (token.tokenType !== T.Word || !lookup(T.DECLARATIONS, token.image)) return false;
    if (i > 0 && !this.breaks[i]) return false;
    const next = this.sig[i + 1];
    if (!next || this.breaks[i + 1]) return false;
    return isName(next) || (token.image === 'use' && tokenMatcher(next, T.Str));
  }

  private matchBrackets(): void {
    const open = new OpenBrackets();
    for (let i = 0; i < this.sig.length; i++) {
      const token = this.sig[i]!;
      const opener = CLOSERS.get(token.tokenType);
      let lost: IToken[] | undefined;
      if (OPENERS.has(token.tokenType)) open.push(token);
      else if (opener) {
        lost = open.close(opener);
        if (lost) this.matched.add(token);
      } else if (this.startsDeclaration(i)) lost = open.clear();
      for (const bracket of lost ?? []) this.unclosed.add(bracket);
    }
    for (const bracket of open.clear()) this.unclosed.add(bracket);
  }

  private next(i: number, steps = 1): TokenType | undefined {
    return this.sig[i + steps]?.tokenType;
  }

  private place(i: number): void {
    const token = this.sig[i]!;
    const declares = this.startsDeclaration(i);
    if (declares) {
      this.context = [];
      this.braces = 0;
    }
    const prev = this.out.at(-1);
    const inner = this.context.at(-1);
    const inBlock = inner === undefined || inner.tokenType === T.LCurly;
    const line = this.breaks[i];
    if (line || i === 0) {
      this.lineFirst = token;
      this.indent = line ? token.startOffset - line.startOffset - line.image.length : 0;
    }
    const mayStart = prev === undefined || (inBlock && (line !== undefined || prev.tokenType === T.LCurly));
    if (declares) {
      this.mode = token.image as T.DeclarationKind;
      this.onSeen = false;
      this.retype(token, T.DECLARATIONS[this.mode]);
    } else if (token.tokenType === T.Word) {
      const type = this.keywordAt(i, prev, inner, mayStart);
      if (type) this.retype(token, type);
      if (type && SELECTING.has(type)) this.selecting = true;
      else if (type === WITH) this.selecting = false;
    } else if (token.tokenType === T.Mult && !(prev && OPERAND_ENDS.has(prev.tokenType))) this.retype(token, T.Star);
    if (line && prev && (declares || (inBlock && !this.continues(prev, token, i)))) {
      line.payload = this.braces;
      this.out.push(line);
      if (!SELECTING.has(token.tokenType)) this.selecting = false;
    }
    this.track(token);
    this.out.push(token);
  }

  private continues(prev: IToken, token: IToken, i: number): boolean {
    if (this.unclosed.has(prev) && prev.tokenType !== T.LCurly) return false;
    // `{name: value}` is a record, which starts a statement; another `{` belongs to what stands before it.
    const record = token.tokenType === T.LCurly && this.next(i) === T.Word && this.next(i, 2) === T.Colon;
    if (record && OPERAND_ENDS.has(prev.tokenType)) return false;
    if (CONTINUED_AFTER.has(prev.tokenType) || CONTINUED_BEFORE.has(token.tokenType)) return true;
    if (tokenMatcher(prev, T.BinaryOperator)) return true;
    return tokenMatcher(token, T.BinaryOperator) && token.tokenType !== T.Minus;
  }

  /** Whether `*` after a word is a selector, not a product of that word. */
  private isWildcard(i: number): boolean {
    const after = this.sig[i + 1];
    if (!after || this.breaks[i + 1] || after.image === 'with' || after.image === 'from') return true;
    return [T.Dot, T.Comma, T.LCurly, T.RCurly, T.LSquare].includes(after.tokenType);
  }

  private track(token: IToken): void {
    if (OPENERS.has(token.tokenType)) {
      token.payload = this.braces;
      this.indentOf.set(token, this.indent);
      // Inside a bracket that is never closed, lines keep their meaning: the error is then found at the end of its line.
      if (token.tokenType === T.LCurly || !this.unclosed.has(token)) this.context.push(token);
      if (token.tokenType === T.LCurly) this.braces++;
      return;
    }
    const opener = CLOSERS.get(token.tokenType);
    if (opener && this.matched.has(token)) {
      let open = this.context.pop();
      while (open && open.tokenType !== opener) {
        if (open.tokenType === T.LCurly) this.braces--;
        open = this.context.pop();
      }
      if (opener === T.LCurly) {
        this.braces--;
        if (open) this.compareIndentation(open, token);
      }
    }
    token.payload = this.braces;
  }

  /** `}` that begins its line should stand under the beginning of the line of its `{`. */
  private compareIndentation(open: IToken, close: IToken): void {
    if (this.lineFirst !== close || this.suspicious.length >= 100) return;
    if (this.indent !== this.indentOf.get(open)) this.suspicious.push({ open, close });
  }

  private retype(token: IToken, type: TokenType): void {
    token.tokenType = type;
    token.tokenTypeIdx = type.tokenTypeIdx!;
  }

  private keywordAt(i: number, prev: IToken | undefined, inner: IToken | undefined, mayStart: boolean) {
    const word = this.sig[i]!.image;
    const before = prev?.tokenType;
    const next = this.next(i);
    if (before === T.Dot) return undefined;
    // The name of an argument or field may be any word.
    if (next === T.Colon && (before === T.LParen || before === T.Comma || before === T.LCurly)) return undefined;
    const reserved = lookup(T.RESERVED, word);
    if (reserved) return reserved;
    if (lookup(T.POSITIONAL, word) && this.inPosition(word, i, prev, inner, mayStart))
      return lookup(T.POSITIONAL, word);
    return before === T.Num && !this.breaks[i] && /^[a-z]+$/.test(word) ? T.Unit : undefined;
  }

  private inPosition(
    word: string,
    i: number,
    prev: IToken | undefined,
    inner: IToken | undefined,
    mayStart: boolean,
  ): boolean {
    const before = prev?.tokenType;
    const next = isName(this.sig[i + 1]) ? T.Word : this.next(i) === T.Word ? undefined : this.next(i);
    const sameLine = this.breaks[i + 1] === undefined;
    const afterOperand = before !== undefined && OPERAND_ENDS.has(before);
    switch (word) {
      case 'for':
      case 'repeat':
        return next === T.Word && sameLine && (mayStart || !afterOperand);
      case 'param':
        // `param [3] zeros`, `param i32[3] zeros`
        return (
          (next === T.LSquare || (next === T.Word && this.next(i, 2) === T.LSquare)) &&
          sameLine &&
          (mayStart || !afterOperand)
        );
      case 'state':
        return this.mode === 'optimizer' && (next === T.Word || next === T.Num) && sameLine && before === T.Eq;
      case 'shared':
      case 'frozen': {
        const after = next === T.Word ? this.sig[i + 1]!.image : '';
        return sameLine && (after === 'param' || after === 'shared' || after === 'frozen');
      }
      case 'new':
        return (
          inner?.tokenType === T.LSquare &&
          (before === T.LSquare || before === T.Comma) &&
          (next === T.RSquare || next === T.Comma)
        );
      case 'on': {
        const found =
          this.mode === 'adapter' &&
          !this.onSeen &&
          !inner &&
          (before === T.RParen || before === T.Word) &&
          next === T.Word;
        if (found) this.onSeen = true;
        return found && before !== T.DECLARATIONS.adapter;
      }
      case 'site':
        return this.mode !== 'model' && mayStart && next === T.Word && sameLine;
      case 'forward':
        return this.mode !== 'model' && mayStart && next === T.LParen && inner !== undefined;
      case 'names':
      case 'config':
      case 'processor':
        return this.mode === 'variant' && mayStart && next === T.Word && this.next(i, 2) === T.LCurly;
      case 'unseen':
        return this.mode === 'variant' && mayStart && sameLine && next === T.Word;
      case 'preprocess':
        return this.mode === 'variant' && mayStart && next === T.Eq && inner !== undefined;
      case 'ignore':
        return (
          (this.mode === 'variant' || this.mode === 'model') &&
          mayStart &&
          sameLine &&
          (next === T.Str || next === T.OpenStr)
        );
      case 'prefix':
      case 'head':
      case 'optional':
      case 'bypassed':
      case 'match':
      case 'labels':
      case 'several':
      case 'only':
      case 'sizes':
      case 'set':
        return this.mode === 'variant' && mayStart && sameLine && (next === T.Str || next === T.OpenStr);
      case 'in':
      case 'adapt':
      case 'prune':
      case 'tune':
        if (this.mode !== 'model' || !mayStart || !sameLine) return false;
        if (next === T.Word || next === T.StarStar) return true;
        // After an operator these go on with an expression too, in which the word is a name.
        if (prev && tokenMatcher(prev, T.BinaryOperator)) return false;
        return next === T.LCurly || (next === T.Mult && this.isWildcard(i + 1));
      case 'with':
        return (
          this.selecting &&
          before !== undefined &&
          SELECTOR_ENDS.has(before) &&
          inner?.tokenType === T.LCurly &&
          next === T.Word &&
          sameLine
        );
      case 'from':
        return this.mode === 'model' && afterOperand && sameLine && (next === T.Str || next === T.OpenStr);
      case 'by':
        return this.mode === 'model' && before === T.RParen && sameLine && next === T.Word;
      default:
        return false;
    }
  }
}

/** Arranges the lexer's tokens; changes the types of those words that are keywords where they stand. */
export function arrange(raw: readonly IToken[]): Layout {
  return new Arranger(raw).run();
}
