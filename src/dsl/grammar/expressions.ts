/** The grammar of expressions. */
import type { IToken, TokenType } from 'chevrotain';
import type { BlockExpr, Expr, Generator, IfExpr, NumberLit, ParamExpr, Span, StateExpr, StringLit } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { BracketParser } from './brackets.js';
import { decodeString, numberOf } from './literals.js';
import { fold, type Piece } from './operators.js';

type Postfix = (object: Expr, span: Span) => Expr;
const { if: IF, else: ELSE, true: TRUE, false: FALSE, none: NONE } = T.RESERVED;
const { param: PARAM, shared: SHARED, frozen: FROZEN, repeat: REPEAT, state: STATE } = T.POSITIONAL;

export abstract class ExpressionParser extends BracketParser {
  /** `"vit.pooler.*", "*.num_batches_tracked"` */
  protected readonly strings: Rule<StringLit[]> = this.RULE('strings', () => {
    const strings: StringLit[] = [];
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        const token = this.CONSUME(T.Str);
        this.ACTION(() => strings.push(this.stringOf(token)));
      },
    });
    return strings;
  });

  /** `{ statements }`; defined with the statements. */
  protected abstract readonly block: Rule<BlockExpr>;

  /** Any expression, arrows included. */
  override readonly expression: Rule<Expr> = this.RULE('expression', () => {
    const { noRatio } = this;
    this.noRatio = this.at(T.Word) && this.at(T.Less, 2);
    let node = this.SUBRULE(this.operation);
    this.OPTION(() => {
      this.CONSUME(T.Arrow);
      const to = this.SUBRULE2(this.operation);
      node = this.ACTION((): Expr => ({ kind: 'arrow', from: node, to, span: this.spanFrom(node.span.start) }));
    });
    this.noRatio = noRatio;
    return node;
  });

  /** Operators and their operands. */
  protected readonly operation: Rule<Expr> = this.RULE('operation', () => {
    this.enter();
    const pieces: Piece[] = [];
    this.MANY(() => {
      pieces.push({ token: this.CONSUME(T.PrefixOperator), prefix: true });
      this.limitChain(pieces.length);
    });
    pieces.push({ operand: this.SUBRULE(this.postfix) });
    this.MANY2(() => {
      pieces.push({ token: this.CONSUME(T.BinaryOperator), prefix: false });
      this.MANY3(() => {
        pieces.push({ token: this.CONSUME2(T.PrefixOperator), prefix: true });
        this.limitChain(pieces.length);
      });
      pieces.push({ operand: this.SUBRULE2(this.postfix) });
      this.limitChain(pieces.length / 2);
    });
    this.leave();
    return this.ACTION(() => {
      const only = pieces[0]!;
      if (pieces.length === 1 && 'operand' in only) return only.operand;
      return fold(pieces, (first, second) => this.note({ kind: 'chained_comparison', first, second }));
    });
  });

  /** `f(x).weight[0]` */
  protected readonly postfix: Rule<Expr> = this.RULE('postfix', () => {
    let node = this.SUBRULE(this.primary);
    let links = 0;
    this.MANY(() => {
      this.limitChain(++links);
      const wrap = this.OR<Postfix>([
        {
          ALT: () => {
            this.CONSUME(T.Dot);
            const word = this.CONSUME(T.Word);
            return (object, span) => ({ kind: 'member', object, member: this.ident(word), span });
          },
        },
        {
          ALT: () => {
            const indices = this.SUBRULE(this.indices);
            return (object, span) => ({ kind: 'index', object, indices, span });
          },
        },
        {
          ALT: () => {
            const call = this.SUBRULE(this.args);
            return (callee, span) => ({ kind: 'call', callee, ...call, span });
          },
        },
      ]);
      node = this.ACTION(() => wrap(node, this.spanFrom(node.span.start)));
    });
    return node;
  });

  protected readonly primary: Rule<Expr> = this.RULE('primary', () => {
    const first = this.LA(1);
    return this.OR<Expr>([
      { ALT: () => this.SUBRULE(this.number) },
      {
        ALT: () => {
          const token = this.CONSUME(T.Str);
          return this.ACTION(() => this.stringOf(token));
        },
      },
      { ALT: () => ({ kind: 'bool', value: true, span: this.spanOf(this.CONSUME(TRUE)) }) },
      { ALT: () => ({ kind: 'bool', value: false, span: this.spanOf(this.CONSUME(FALSE)) }) },
      { ALT: () => ({ kind: 'none', span: this.spanOf(this.CONSUME(NONE)) }) },
      {
        ALT: () => {
          const token = this.CONSUME(T.Word);
          return { kind: 'name', name: token.image, span: this.spanOf(token) };
        },
      },
      {
        ALT: () => {
          const open = this.CONSUME(T.LParen);
          const inner = this.SUBRULE(this.expression);
          this.CONSUME(T.RParen);
          return this.ACTION(() => ({ ...inner, span: this.since(open) }));
        },
      },
      {
        ALT: () => {
          const items = this.SUBRULE(this.list);
          return this.ACTION((): Expr => ({ kind: 'list', items, span: this.since(first) }));
        },
      },
      { ALT: () => this.SUBRULE(this.record) },
      {
        ALT: () => {
          const node = this.SUBRULE(this.ifChain);
          this.ACTION(() => this.needElse(node));
          return node;
        },
      },
      {
        ALT: () => {
          this.CONSUME(REPEAT);
          const generator = this.SUBRULE(this.generator);
          const body = this.SUBRULE(this.block);
          return this.ACTION((): Expr => ({ kind: 'repeat', generator, body, span: this.since(first) }));
        },
      },
      { ALT: () => this.SUBRULE(this.param) },
      { ALT: () => this.SUBRULE(this.state) },
    ]);
  });

  /** `4`, `50%`, `5 epochs`, `2:4` */
  protected readonly number: Rule<Expr> = this.RULE('number', () => {
    let unit: IToken | undefined;
    let right: IToken | undefined;
    const token = this.OR([
      { ALT: () => this.CONSUME(T.Percent) },
      {
        ALT: () => {
          const number = this.CONSUME(T.Num);
          this.OPTION(() => {
            unit = this.CONSUME(T.Unit);
          });
          this.OPTION2({
            GATE: () => !unit && !this.noRatio && this.at(T.Num, 2),
            DEF: () => {
              this.CONSUME(T.Colon);
              right = this.CONSUME2(T.Num);
            },
          });
          return number;
        },
      },
    ]);
    return this.ACTION((): Expr => {
      const span = this.since(token);
      const left = this.numberLit(token, span, unit);
      return right ? { kind: 'ratio', left: left.value, right: this.numberLit(right, span).value, span } : left;
    });
  });

  private numberLit(token: IToken, span: Span, unit?: IToken): NumberLit {
    const read = numberOf(token.image);
    if (read.why) this.note({ kind: 'bad_number', token, why: read.why });
    const { value, integer, percent } = read;
    return { kind: 'number', value, integer, percent, ...(unit ? { unit: unit.image } : {}), span };
  }

  protected stringOf(token: IToken) {
    const span = this.spanOf(token);
    const value = decodeString(token.image, (start, end) =>
      this.note({
        kind: 'bad_escape',
        span: { file: this.file, start: span.start + start, end: span.start + end },
        escape: token.image.slice(start, end),
      }),
    );
    return { kind: 'string' as const, value, span };
  }

  private needElse(node: IfExpr): void {
    let last = node;
    while (last.otherwise?.kind === 'if') last = last.otherwise;
    if (!last.otherwise) this.note({ kind: 'if_without_else', span: last.span });
  }

  /** `if a { b } else if c { d } else { e }` */
  protected readonly ifChain: Rule<IfExpr> = this.RULE('ifChain', () => {
    const arms: { readonly first: IToken; readonly condition: Expr; readonly then: BlockExpr }[] = [];
    let otherwise: BlockExpr | IfExpr | undefined;
    const first = this.CONSUME(IF);
    const condition = this.SUBRULE(this.operation);
    const then = this.SUBRULE(this.block);
    arms.push({ first, condition, then });
    this.MANY(() => {
      this.CONSUME(ELSE);
      const first = this.CONSUME2(IF);
      const condition = this.SUBRULE2(this.operation);
      const then = this.SUBRULE2(this.block);
      this.limitChain(arms.push({ first, condition, then }));
    });
    this.OPTION(() => {
      this.CONSUME2(ELSE);
      otherwise = this.SUBRULE3(this.block);
    });
    return this.ACTION(() => {
      for (const { first, condition, then } of arms.reverse()) {
        otherwise = { kind: 'if', condition, then, ...(otherwise ? { otherwise } : {}), span: this.since(first) };
      }
      return otherwise as IfExpr;
    });
  });

  /** `i < n` */
  protected readonly generator: Rule<Generator> = this.RULE('generator', () => {
    const name = this.CONSUME(T.Word);
    this.CONSUME(T.Less);
    const limit = this.SUBRULE(this.operation);
    return this.ACTION(() => ({ name: this.ident(name), limit, span: this.since(name) }));
  });

  /** `shared param [rank, in] zeros`, `param i32[49, 49] zeros` */
  protected readonly param: Rule<ParamExpr> = this.RULE('param', () => {
    const first = this.LA(1);
    const said = new Map<TokenType, Span>();
    this.MANY(() => {
      const word = this.OR([{ ALT: () => this.CONSUME(SHARED) }, { ALT: () => this.CONSUME(FROZEN) }]);
      this.ACTION(() => {
        const before = said.get(word.tokenType);
        const span = this.spanOf(word);
        if (before) this.note({ kind: 'twice', what: `\`${word.image}\``, first: before, second: span });
        said.set(word.tokenType, span);
      });
    });
    this.CONSUME(PARAM);
    const type = this.SUBRULE(this.typed);
    this.enter();
    const init = this.SUBRULE(this.postfix);
    this.leave();
    return this.ACTION((): ParamExpr => {
      const [shared, frozen] = [said.has(SHARED), said.has(FROZEN)];
      return { kind: 'param', shared, frozen, ...type, init, span: this.since(first) };
    });
  });

  /** `state zeros` */
  protected readonly state: Rule<StateExpr> = this.RULE('state', () => {
    const first = this.CONSUME(STATE);
    this.enter();
    const init = this.SUBRULE(this.postfix);
    this.leave();
    return this.ACTION((): StateExpr => ({ kind: 'state', init, span: this.since(first) }));
  });
}
