/**
 * The words and marks of the language. The lexer only tells words from numbers from marks; which words are keywords is
 * decided by where they stand (`layout.ts`), so that `base`, `names` or `in` stay usable as names.
 */
import { createToken, Lexer, type TokenType } from 'chevrotain';

/** End of a string literal that begins at `start`, past its closing quote; undefined if its line ends first. */
function stringEnd(text: string, start: number): { readonly end: number; readonly closed: boolean } {
  let i = start + 1;
  for (; i < text.length; i++) {
    const c = text[i];
    if (c === '"') return { end: i + 1, closed: true };
    if (c === '\n' || c === '\r') break;
    if (c === '\\' && text[i + 1] !== '\n' && text[i + 1] !== '\r') i++;
  }
  return { end: Math.min(i, text.length), closed: false };
}

function stringPattern(closed: boolean) {
  return (text: string, offset: number): RegExpExecArray | null => {
    if (text[offset] !== '"') return null;
    const found = stringEnd(text, offset);
    return found.closed === closed ? ([text.slice(offset, found.end)] as unknown as RegExpExecArray) : null;
  };
}

/** Categories: what the grammar asks for where several marks will do. */
export const BinaryOperator = createToken({ name: 'BinaryOperator', pattern: Lexer.NA, label: 'an operator' });
export const PrefixOperator = createToken({ name: 'PrefixOperator', pattern: Lexer.NA, label: 'an operator' });
/** A word that starts a declaration. */
export const DeclarationWord = createToken({ name: 'DeclarationWord', pattern: Lexer.NA, label: 'a declaration' });

const mark = (name: string, text: string, categories: TokenType[] = []): TokenType =>
  createToken({ name, pattern: text, label: `\`${text}\``, categories });
const keyword = (text: string, categories: TokenType[] = []): TokenType =>
  createToken({
    name: `Kw${text[0]!.toUpperCase()}${text.slice(1)}`,
    pattern: Lexer.NA,
    label: `\`${text}\``,
    categories,
  });

export const Newline = createToken({
  name: 'Newline',
  pattern: /\r\n?|\n/,
  line_breaks: true,
  label: 'the end of the line',
});
const Space = createToken({ name: 'Space', pattern: /[ \t\f\v\u00a0\ufeff]+/, group: Lexer.SKIPPED });
const Comment = createToken({ name: 'Comment', pattern: /\/\/[^\r\n]*/, group: 'comments' });

/** Here the percent sign belongs to the number: it touches it, and touches no operand (`8 % n` and `8%n` are remainders). */
export const Percent = createToken({
  name: 'Percent',
  pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%(?![\w(])/,
  label: 'a percentage',
});
export const Num = createToken({ name: 'Num', pattern: /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/, label: 'a number' });
export const Str = createToken({
  name: 'Str',
  pattern: stringPattern(true),
  start_chars_hint: ['"'],
  line_breaks: false,
  label: 'a string',
});
export const OpenStr = createToken({
  name: 'OpenStr',
  pattern: stringPattern(false),
  start_chars_hint: ['"'],
  line_breaks: false,
  categories: [Str],
});
export const Word = createToken({ name: 'Word', pattern: /[A-Za-z_][A-Za-z0-9_]*/, label: 'a name' });
/** `epochs` in `5 epochs`. */
export const Unit = createToken({ name: 'Unit', pattern: Lexer.NA, label: 'a unit' });

export const LCurly = mark('LCurly', '{');
export const RCurly = mark('RCurly', '}');
export const LParen = mark('LParen', '(');
export const RParen = mark('RParen', ')');
export const LSquare = mark('LSquare', '[');
export const RSquare = mark('RSquare', ']');
export const Comma = mark('Comma', ',');
export const Colon = mark('Colon', ':');
export const Semicolon = mark('Semicolon', ';');
export const Pipe = mark('Pipe', '|');
export const Arrow = mark('Arrow', '->');
export const DotDot = mark('DotDot', '..');
export const Dot = mark('Dot', '.');
export const Eq = mark('Eq', '=');
export const Less = mark('Less', '<', [BinaryOperator]);
export const Minus = mark('Minus', '-', [BinaryOperator, PrefixOperator]);
export const Mult = mark('Mult', '*', [BinaryOperator]);
export const StarStar = mark('StarStar', '**');
/** A `*` that is a wildcard of a selector. */
export const Star = createToken({ name: 'Star', pattern: Lexer.NA, label: '`*`' });
export const BlockComment = createToken({ name: 'BlockComment', pattern: /\/\*/, label: '`/*`' });

const otherOperators = [
  mark('EqEq', '==', [BinaryOperator]),
  mark('NotEq', '!=', [BinaryOperator]),
  mark('LessEq', '<=', [BinaryOperator]),
  mark('GreaterEq', '>=', [BinaryOperator]),
  mark('Greater', '>', [BinaryOperator]),
  mark('Plus', '+', [BinaryOperator]),
  mark('Slash', '/', [BinaryOperator]),
  mark('Mod', '%', [BinaryOperator]),
  mark('At', '@', [BinaryOperator]),
];

/** Words that can never be names. */
export const RESERVED = {
  if: keyword('if'),
  else: keyword('else'),
  and: keyword('and', [BinaryOperator]),
  or: keyword('or', [BinaryOperator]),
  not: keyword('not', [PrefixOperator]),
  true: keyword('true'),
  false: keyword('false'),
  none: keyword('none'),
} as const;

/** Words that start a declaration when they stand first on a line, before a name. */
export const DECLARATIONS = {
  use: keyword('use', [DeclarationWord]),
  module: keyword('module', [DeclarationWord]),
  backbone: keyword('backbone', [DeclarationWord]),
  adapter: keyword('adapter', [DeclarationWord]),
  criterion: keyword('criterion', [DeclarationWord]),
  function: keyword('function', [DeclarationWord]),
  optimizer: keyword('optimizer', [DeclarationWord]),
  variant: keyword('variant', [DeclarationWord]),
  model: keyword('model', [DeclarationWord]),
  train: keyword('train', [DeclarationWord]),
  deploy: keyword('deploy', [DeclarationWord]),
} as const;
export type DeclarationKind = keyof typeof DECLARATIONS;

/** Words that are keywords only in their place. */
export const POSITIONAL = {
  for: keyword('for'),
  repeat: keyword('repeat'),
  param: keyword('param'),
  shared: keyword('shared'),
  frozen: keyword('frozen'),
  state: keyword('state'),
  new: keyword('new'),
  on: keyword('on'),
  site: keyword('site'),
  forward: keyword('forward'),
  names: keyword('names'),
  preprocess: keyword('preprocess'),
  prefix: keyword('prefix'),
  ignore: keyword('ignore'),
  head: keyword('head'),
  optional: keyword('optional'),
  unseen: keyword('unseen'),
  bypassed: keyword('bypassed'),
  config: keyword('config'),
  processor: keyword('processor'),
  match: keyword('match'),
  labels: keyword('labels'),
  several: keyword('several'),
  only: keyword('only'),
  sizes: keyword('sizes'),
  set: keyword('set'),
  in: keyword('in'),
  adapt: keyword('adapt'),
  prune: keyword('prune'),
  tune: keyword('tune'),
  with: keyword('with'),
  from: keyword('from'),
  by: keyword('by'),
} as const;

/** In the order in which they are tried. */
const LEXED: TokenType[] = [
  Newline,
  Space,
  Comment,
  BlockComment,
  Percent,
  Num,
  Str,
  OpenStr,
  Word,
  Arrow,
  DotDot,
  StarStar,
  ...otherOperators,
  Less,
  Minus,
  Mult,
  LCurly,
  RCurly,
  LParen,
  RParen,
  LSquare,
  RSquare,
  Comma,
  Colon,
  Semicolon,
  Pipe,
  Dot,
  Eq,
];

/** Every token type, for the parser. */
export const TOKENS: TokenType[] = [
  BinaryOperator,
  PrefixOperator,
  DeclarationWord,
  ...LEXED,
  Unit,
  Star,
  ...Object.values(RESERVED),
  ...Object.values(DECLARATIONS),
  ...Object.values(POSITIONAL),
];

export const LEXER = new Lexer(
  [BinaryOperator, PrefixOperator, DeclarationWord, ...LEXED, Unit, Star, ...Object.values(RESERVED)].concat(
    Object.values(DECLARATIONS),
    Object.values(POSITIONAL),
  ),
  { positionTracking: 'onlyOffset', ensureOptimizations: true },
);
