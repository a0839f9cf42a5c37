/** The grammar of what stands in brackets: arguments, lists, records, indices. */
import type { Arg, Expr, Generator, Ident, IndexItem } from '../ast.js';
import * as T from '../tokens.js';
import { BaseParser, type Rule } from './base.js';

interface Call {
  readonly generators: readonly Generator[];
  readonly args: readonly Arg[];
}
/** A shape, and the element type before it. */
interface Typed {
  readonly dtype?: Ident;
  readonly shape: readonly Expr[];
}
const { new: NEW } = T.POSITIONAL;

export abstract class BracketParser extends BaseParser {
  /** Any expression; defined with the expressions. */
  abstract readonly expression: Rule<Expr>;

  /** `[a, b]` */
  protected readonly list: Rule<Expr[]> = this.RULE('list', () => {
    this.CONSUME(T.LSquare);
    const items = this.separated(() => this.SUBRULE(this.expression));
    this.CONSUME(T.RSquare);
    return items;
  });

  /** `[b, n, dim]`, `i32[b, 77]` */
  protected readonly typed: Rule<Typed> = this.RULE('typed', () => {
    const dtype = this.OPTION(() => this.CONSUME(T.Word));
    const shape = this.SUBRULE(this.list);
    return this.ACTION(() => ({ ...(dtype ? { dtype: this.ident(dtype) } : {}), shape }));
  });

  /** `{q: dim, k: dim}` */
  protected readonly record: Rule<Expr> = this.RULE('record', () => {
    const open = this.CONSUME(T.LCurly);
    const fields = this.separated(() => {
      const name = this.CONSUME(T.Word);
      this.CONSUME(T.Colon);
      const value = this.SUBRULE(this.expression);
      return this.ACTION(() => ({ name: this.ident(name), value }));
    });
    this.CONSUME(T.RCurly);
    return this.ACTION((): Expr => ({ kind: 'record', fields, span: this.since(open) }));
  });

  /** `[:, 0..n, new]` */
  protected readonly indices: Rule<IndexItem[]> = this.RULE('indices', () => {
    this.CONSUME(T.LSquare);
    const items = [this.SUBRULE(this.indexItem)];
    this.OPTION(() => {
      this.CONSUME(T.Comma);
      items.push(...this.separated(() => this.SUBRULE2(this.indexItem)));
    });
    this.CONSUME(T.RSquare);
    return items;
  });

  protected readonly indexItem: Rule<IndexItem> = this.RULE('indexItem', () => {
    const first = this.LA(1);
    return this.OR<IndexItem>([
      { ALT: () => ({ kind: 'new', span: this.spanOf(this.CONSUME(NEW)) }) },
      { ALT: () => ({ kind: 'range', span: this.spanOf(this.CONSUME(T.Colon)) }) },
      {
        ALT: () => {
          this.CONSUME(T.DotDot);
          const end = this.OPTION(() => this.SUBRULE(this.expression));
          return this.ACTION((): IndexItem => ({ kind: 'range', ...(end ? { end } : {}), span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          const value = this.SUBRULE2(this.expression);
          let range = false;
          const end = this.OPTION2(() => {
            this.CONSUME2(T.DotDot);
            range = true;
            return this.OPTION3(() => this.SUBRULE3(this.expression));
          });
          return this.ACTION((): IndexItem => {
            const span = this.since(first);
            if (range) return { kind: 'range', start: value, ...(end ? { end } : {}), span };
            if (value.kind === 'ratio') {
              this.note({ kind: 'ratio_as_index', span, text: `${value.left}..${value.right}` });
            }
            return { kind: 'at', value, span };
          });
        },
      },
    ]);
  });

  /** `(a, b, axis: 0)`, `(i < n, j < m: expression)` */
  protected readonly args: Rule<Call> = this.RULE('args', () => {
    let args: Arg[] = [];
    let generators: Generator[] = [];
    let more = true;
    this.CONSUME(T.LParen);
    this.MANY({
      GATE: () => more,
      DEF: () => {
        args.push(this.SUBRULE(this.argument));
        more = false;
        this.OPTION({
          GATE: () => generators.length === 0 && args.every(isGenerator),
          DEF: () => {
            this.CONSUME(T.Colon);
            const value = this.SUBRULE(this.expression);
            this.ACTION(() => {
              generators = args.map(asGenerator);
              args = [{ value, span: value.span }];
            });
          },
        });
        this.OPTION2(() => {
          this.CONSUME(T.Comma);
          more = true;
        });
      },
    });
    this.CONSUME(T.RParen);
    return { generators, args };
  });

  protected readonly argument: Rule<Arg> = this.RULE('argument', () =>
    this.OR<Arg>([
      {
        GATE: () => this.at(T.Colon, 2),
        ALT: () => {
          const name = this.CONSUME(T.Word);
          this.CONSUME(T.Colon);
          const value = this.SUBRULE(this.expression);
          return this.ACTION(() => ({ name: this.ident(name), value, span: this.since(name) }));
        },
      },
      {
        ALT: () => {
          const value = this.SUBRULE2(this.expression);
          return this.ACTION(() => ({ value, span: value.span }));
        },
      },
    ]),
  );
}

/** `i < n`, which before a colon is a generator. */
function isGenerator(arg: Arg): boolean {
  return !arg.name && arg.value.kind === 'binary' && arg.value.op === '<' && arg.value.left.kind === 'name';
}
function asGenerator(arg: Arg): Generator {
  const { value, span } = arg;
  if (value.kind !== 'binary' || value.left.kind !== 'name') throw new Error('not a generator');
  return { name: { name: value.left.name, span: value.left.span }, limit: value.right, span };
}
