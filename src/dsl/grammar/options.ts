/** The grammar of options and their types. */
import type { IToken } from 'chevrotain';
import type { Ident, OptionParam, TypeExpr } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { ModelParser } from './models.js';

const BUILT_IN_TYPES = new Set(['int', 'float', 'bool', 'string', 'module', 'tensor']);

export abstract class OptionParser extends ModelParser {
  /** `(rank: int, alpha: float = rank)` */
  protected readonly optionParams: Rule<OptionParam[]> = this.RULE('optionParams', () => {
    this.CONSUME(T.LParen);
    const params = this.separated(() => this.SUBRULE(this.optionParam));
    this.CONSUME(T.RParen);
    return params;
  });

  protected readonly optionParam: Rule<OptionParam> = this.RULE('optionParam', () => {
    const name = this.CONSUME(T.Word);
    this.CONSUME(T.Colon);
    const type = this.SUBRULE(this.type);
    const fallback = this.OPTION(() => {
      this.CONSUME(T.Eq);
      return this.SUBRULE(this.expression);
    });
    return this.ACTION(() => ({
      name: this.ident(name),
      type,
      ...(fallback ? { default: fallback } : {}),
      span: this.since(name),
    }));
  });

  /** `int`, `[string]`, `none | scalar | channel`, `int | [string]` */
  protected readonly type: Rule<TypeExpr> = this.RULE('type', () => {
    this.enter();
    const first = this.LA(1);
    const items: TypeExpr[] = [];
    this.AT_LEAST_ONE_SEP({
      SEP: T.Pipe,
      DEF: () => {
        const start = this.LA(1);
        items.push(
          this.OR<TypeExpr>([
            { ALT: () => this.typeName(this.CONSUME(T.Word)) },
            { ALT: () => this.typeName(this.CONSUME(T.RESERVED.none)) },
            {
              ALT: () => {
                this.CONSUME(T.LSquare);
                const item = this.SUBRULE(this.type);
                this.CONSUME(T.RSquare);
                return this.ACTION((): TypeExpr => ({ kind: 'type_list', item, span: this.since(start) }));
              },
            },
          ]),
        );
      },
    });
    this.leave();
    return this.ACTION((): TypeExpr => {
      if (items.length === 1) return items[0]!;
      const span = this.since(first);
      const options = items.flatMap((item): Ident[] =>
        item.kind === 'type_name' && !BUILT_IN_TYPES.has(item.name) ? [{ name: item.name, span: item.span }] : [],
      );
      return options.length === items.length
        ? { kind: 'type_enum', options, span }
        : { kind: 'type_union', items, span };
    });
  });

  private typeName(word: IToken): TypeExpr {
    return { kind: 'type_name', name: word.image, span: this.spanOf(word) };
  }
}
