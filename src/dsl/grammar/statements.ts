/** The grammar of what stands in modules, forwards and blocks. */
import type { IToken } from 'chevrotain';
import type { BlockExpr, Expr, Ident, IfExpr, IfStmt, Span, Stmt, TensorParam } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { ExpressionParser } from './expressions.js';

/** Whether every branch ends in an expression, so that the `if` has a value. */
function hasValue(node: IfExpr): boolean {
  const { then, otherwise } = node;
  if (then.statements.at(-1)?.kind !== 'expr' || !otherwise) return false;
  return otherwise.kind === 'if' ? hasValue(otherwise) : otherwise.statements.at(-1)?.kind === 'expr';
}

function asStatement(node: IfExpr): IfStmt {
  const { condition, then, otherwise, span } = node;
  return {
    kind: 'if_stmt',
    condition,
    then: then.statements,
    ...(otherwise ? { otherwise: otherwise.kind === 'if' ? [asStatement(otherwise)] : otherwise.statements } : {}),
    span,
  };
}

/** An `if` that starts a statement is a statement, unless it comes last and has a value. */
export function settleIfs(statements: readonly Stmt[], chains: ReadonlySet<Expr>): Stmt[] {
  return statements.map((statement, i) => {
    if (statement.kind !== 'expr' || statement.value.kind !== 'if' || !chains.has(statement.value)) return statement;
    if (i === statements.length - 1 && hasValue(statement.value)) return statement;
    return asStatement(statement.value);
  });
}

export abstract class StatementParser extends ExpressionParser {
  /** `if`s that start a statement, as opposed to those in parentheses. */
  private chains = new Set<Expr>();

  protected override begin(file: string, tokens: IToken[], text: string): void {
    super.begin(file, tokens, text);
    this.chains = new Set();
  }

  protected readonly block: Rule<BlockExpr> = this.RULE('block', () => {
    const open = this.CONSUME(T.LCurly);
    const statements = this.statementsAfter(open);
    return this.ACTION((): BlockExpr => ({ kind: 'block', statements, span: this.since(open) }));
  });

  /** The statements after an opening brace, and the closing one. */
  protected readonly body: Rule<Stmt[]> = this.RULE('body', () => {
    const open = this.CONSUME(T.LCurly);
    return this.statementsAfter(open);
  });

  private statementsAfter(open: IToken): Stmt[] {
    if (this.RECORDING_PHASE) {
      this.MANY(() => {
        this.OPTION(() => this.CONSUME(T.Newline));
        this.SUBRULE(this.statement);
      });
      this.CONSUME(T.RCurly);
      return [];
    }
    this.enter();
    const failed = (span: Span): Stmt => this.unread(span);
    const statements = this.braced(open, () => this.SUBRULE(this.statement), failed);
    this.leave();
    return settleIfs(statements, this.chains);
  }

  protected readonly statement: Rule<Stmt> = this.RULE('statement', () => {
    const first = this.LA(1);
    return this.OR<Stmt>([
      {
        ALT: () => {
          const value = this.SUBRULE(this.ifChain);
          return this.ACTION((): Stmt => {
            this.chains.add(value);
            return { kind: 'expr', value, span: value.span };
          });
        },
        IGNORE_AMBIGUITIES: true,
      },
      {
        ALT: () => {
          this.CONSUME(T.POSITIONAL.for);
          const generator = this.SUBRULE(this.generator);
          const body = this.SUBRULE(this.body);
          return this.ACTION((): Stmt => ({ kind: 'for', generator, body, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.POSITIONAL.site);
          const name = this.CONSUME(T.Word);
          const params = this.SUBRULE(this.tensorParams);
          this.CONSUME(T.Eq);
          const value = this.SUBRULE(this.expression);
          return this.ACTION(
            (): Stmt => ({ kind: 'site', name: this.ident(name), params, value, span: this.since(first) }),
          );
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.POSITIONAL.forward);
          const params = this.SUBRULE2(this.tensorParams);
          const body = this.SUBRULE(this.block);
          return this.ACTION((): Stmt => ({ kind: 'forward', params, body, span: this.since(first) }));
        },
      },
      {
        GATE: () => this.at(T.Eq, 2) || this.at(T.Comma, 2),
        ALT: () => {
          const names: Ident[] = [];
          this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => names.push(this.ident(this.CONSUME2(T.Word))) });
          this.CONSUME2(T.Eq);
          const value = this.SUBRULE2(this.expression);
          return this.ACTION((): Stmt => ({ kind: 'bind', names, value, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          const value = this.SUBRULE3(this.expression);
          return this.ACTION((): Stmt => ({ kind: 'expr', value, span: value.span }));
        },
        IGNORE_AMBIGUITIES: true,
      },
    ]);
  });

  /** `(x: [b, n, dim], ids: i32[b, n], y)` */
  protected readonly tensorParams: Rule<TensorParam[]> = this.RULE('tensorParams', () => {
    this.CONSUME(T.LParen);
    const params = this.separated(() => this.SUBRULE(this.tensorParam));
    this.CONSUME(T.RParen);
    return params;
  });

  protected readonly tensorParam: Rule<TensorParam> = this.RULE('tensorParam', () => {
    const name = this.CONSUME(T.Word);
    const type = this.OPTION(() => {
      this.CONSUME(T.Colon);
      return this.SUBRULE(this.typed);
    });
    return this.ACTION(() => ({ name: this.ident(name), ...type, span: this.since(name) }));
  });
}
