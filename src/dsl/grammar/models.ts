/** The grammar of what stands in a `model`: bindings, selectors, and what is done to the sites they select. */
import type { IToken } from 'chevrotain';
import type { CallExpr, Expr, ModelStmt, Selector, SelectorStep, Span, StringLit } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { StatementParser } from './statements.js';

interface Arm {
  readonly first: IToken;
  readonly condition: Expr;
  readonly then: readonly ModelStmt[];
}
const { for: FOR, adapt: ADAPT, prune: PRUNE, tune: TUNE, in: IN, with: WITH, from: FROM, by: BY } = T.POSITIONAL;
const { ignore: IGNORE } = T.POSITIONAL;

export abstract class ModelParser extends StatementParser {
  protected readonly modelBody: Rule<ModelStmt[]> = this.RULE('modelBody', () => {
    const open = this.CONSUME(T.LCurly);
    if (this.RECORDING_PHASE) {
      this.MANY(() => {
        this.OPTION(() => this.CONSUME(T.Newline));
        this.SUBRULE(this.modelStatement);
      });
      this.CONSUME(T.RCurly);
      return [];
    }
    this.enter();
    const failed = (span: Span): ModelStmt => this.unread(span);
    const statements = this.braced(open, () => this.SUBRULE(this.modelStatement), failed);
    this.leave();
    return statements;
  });

  protected readonly modelStatement: Rule<ModelStmt> = this.RULE('modelStatement', () => {
    const first = this.LA(1);
    return this.OR<ModelStmt>([
      { ALT: () => this.SUBRULE(this.modelIf) },
      {
        ALT: () => {
          this.CONSUME(FOR);
          const generator = this.SUBRULE(this.generator);
          const body = this.SUBRULE2(this.modelBody);
          return this.ACTION((): ModelStmt => ({ kind: 'model_for', generator, body, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(IN);
          const selector = this.SUBRULE(this.selector);
          const body = this.SUBRULE(this.modelBody);
          return this.ACTION((): ModelStmt => ({ kind: 'in', selector, body, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(ADAPT);
          const sites = this.SUBRULE(this.selectors);
          this.CONSUME(WITH);
          const adapter = this.SUBRULE(this.method);
          const from = this.SUBRULE(this.origin);
          return this.ACTION((): ModelStmt => ({ kind: 'adapt', sites, adapter, ...from, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(PRUNE);
          const sites = this.SUBRULE2(this.selectors);
          this.CONSUME2(WITH);
          const method = this.SUBRULE2(this.method);
          const by = this.OPTION(() => {
            this.CONSUME(BY);
            return this.SUBRULE3(this.method);
          });
          const from = this.SUBRULE2(this.origin);
          return this.ACTION(
            (): ModelStmt => ({
              kind: 'prune',
              sites,
              method,
              ...(by ? { by } : {}),
              ...from,
              span: this.since(first),
            }),
          );
        },
      },
      {
        ALT: () => {
          this.CONSUME(TUNE);
          const sites = this.SUBRULE3(this.selectors);
          const from = this.SUBRULE3(this.origin);
          return this.ACTION((): ModelStmt => ({ kind: 'tune', sites, ...from, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(IGNORE);
          const patterns = this.SUBRULE(this.strings);
          return this.ACTION((): ModelStmt => ({ kind: 'ignore', patterns, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          const name = this.CONSUME(T.Word);
          this.CONSUME(T.Eq);
          const value = this.SUBRULE(this.expression);
          const from = this.SUBRULE4(this.origin);
          return this.ACTION(
            (): ModelStmt => ({ kind: 'model_bind', name: this.ident(name), value, ...from, span: this.since(first) }),
          );
        },
      },
    ]);
  });

  /** `from "./file"`, or nothing. */
  protected readonly origin: Rule<{ readonly from?: StringLit }> = this.RULE('origin', () => {
    const token = this.OPTION(() => {
      this.CONSUME(FROM);
      return this.CONSUME(T.Str);
    });
    return this.ACTION(() => (token ? { from: this.stringOf(token) } : {}));
  });

  /** `karst(rank: 8)` */
  protected readonly method: Rule<CallExpr> = this.RULE('method', () => {
    const word = this.CONSUME(T.Word);
    const call = this.SUBRULE(this.args);
    return this.ACTION((): CallExpr => {
      const callee = { kind: 'name' as const, name: word.image, span: this.spanOf(word) };
      return { kind: 'call', callee, ...call, span: this.since(word) };
    });
  });

  protected readonly modelIf: Rule<ModelStmt> = this.RULE('modelIf', () => {
    const arms: Arm[] = [];
    let otherwise: readonly ModelStmt[] | undefined;
    const first = this.CONSUME(T.RESERVED.if);
    const condition = this.SUBRULE(this.operation);
    const then = this.SUBRULE(this.modelBody);
    arms.push({ first, condition, then });
    this.MANY(() => {
      this.CONSUME(T.RESERVED.else);
      const first = this.CONSUME2(T.RESERVED.if);
      const condition = this.SUBRULE2(this.operation);
      const then = this.SUBRULE2(this.modelBody);
      this.limitChain(arms.push({ first, condition, then }));
    });
    this.OPTION(() => {
      this.CONSUME2(T.RESERVED.else);
      otherwise = this.SUBRULE3(this.modelBody);
    });
    return this.ACTION(() => {
      let node: ModelStmt | undefined;
      for (const { first, condition, then } of arms.reverse()) {
        const rest = node ? [node] : otherwise;
        node = { kind: 'model_if', condition, then, ...(rest ? { otherwise: rest } : {}), span: this.since(first) };
      }
      return node!;
    });
  });

  // ---- Selectors

  protected readonly selectors: Rule<Selector[]> = this.RULE('selectors', () => {
    const sites: Selector[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => sites.push(this.SUBRULE(this.selector)) });
    return sites;
  });

  /** `base.blocks[0..6].{attn.*, mlp.fc1}` */
  readonly selector: Rule<Selector> = this.RULE('selector', () => {
    this.enter();
    const first = this.LA(1);
    const steps = [this.SUBRULE(this.step)];
    this.MANY(() =>
      steps.push(
        this.OR([
          {
            ALT: () => {
              this.CONSUME(T.Dot);
              return this.SUBRULE2(this.step);
            },
          },
          { ALT: () => this.SUBRULE(this.indexStep) },
        ]),
      ),
    );
    this.leave();
    return this.ACTION(() => ({ steps, span: this.since(first) }));
  });

  protected readonly step: Rule<SelectorStep> = this.RULE('step', () => {
    const first = this.LA(1);
    return this.OR<SelectorStep>([
      {
        ALT: () => {
          const word = this.CONSUME(T.Word);
          return { kind: 'name', name: word.image, span: this.spanOf(word) };
        },
      },
      { ALT: () => ({ kind: 'any', span: this.spanOf(this.CONSUME(T.Star)) }) },
      { ALT: () => ({ kind: 'deep', span: this.spanOf(this.CONSUME(T.StarStar)) }) },
      {
        ALT: () => {
          this.CONSUME(T.LCurly);
          const options = this.SUBRULE(this.selectors);
          this.CONSUME(T.RCurly);
          return this.ACTION((): SelectorStep => ({ kind: 'oneof', options, span: this.since(first) }));
        },
      },
    ]);
  });

  protected readonly indexStep: Rule<SelectorStep> = this.RULE('indexStep', () => {
    const first = this.LA(1);
    return this.OR<SelectorStep>([
      {
        GATE: () => this.at(T.Star, 2),
        ALT: () => {
          this.CONSUME(T.LSquare);
          this.CONSUME(T.Star);
          this.CONSUME(T.RSquare);
          return this.ACTION((): SelectorStep => ({ kind: 'index', items: [], all: true, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          const items = this.SUBRULE(this.indices);
          return this.ACTION((): SelectorStep => ({ kind: 'index', items, all: false, span: this.since(first) }));
        },
      },
    ]);
  });
}
