/** The grammar of variants: preprocessing, names in checkpoints, configuration files. */
import type { IToken } from 'chevrotain';
import type { ConfigBlock, ConfigEntry, Decl, Expr, Ident, NamesBlock, NamesEntry, Span } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { OptionParser } from './options.js';

type VariantPart =
  | { readonly kind: 'preprocess'; readonly steps: readonly Expr[]; readonly span: Span }
  | { readonly kind: 'names'; readonly block: NamesBlock }
  | { readonly kind: 'config'; readonly block: ConfigBlock };

const P = T.POSITIONAL;

export abstract class VariantParser extends OptionParser {
  protected readonly variant: Rule<Decl> = this.RULE('variant', () => {
    const first = this.CONSUME(T.DECLARATIONS.variant);
    const name = this.CONSUME(T.Word);
    const params = this.OPTION(() => this.SUBRULE(this.optionParams)) ?? [];
    this.CONSUME(T.Eq);
    const value = this.SUBRULE(this.expression);
    const parts = this.OPTION2(() => this.SUBRULE(this.variantBody)) ?? [];
    return this.ACTION((): Decl => {
      this.noteTwice(parts);
      const [preprocess] = parts.filter((part) => part.kind === 'preprocess');
      return {
        kind: 'variant',
        name: this.ident(name),
        params,
        value,
        ...(preprocess ? { preprocess: preprocess.steps } : {}),
        names: parts.flatMap((part) => (part.kind === 'names' ? [part.block] : [])),
        configs: parts.flatMap((part) => (part.kind === 'config' ? [part.block] : [])),
        span: this.since(first),
      };
    });
  });

  /** Of all parts but `processor` there is one at most. */
  private noteTwice(parts: readonly VariantPart[]): void {
    const seen = new Map<string, Span>();
    for (const part of parts) {
      if (part.kind === 'config' && part.block.kind === 'processor') continue;
      const [what, span] =
        part.kind === 'preprocess'
          ? ['preprocess', part.span]
          : [`${part.kind} ${part.block.layout.name}`, part.block.span];
      const before = seen.get(what);
      if (before) this.note({ kind: 'twice', what: `\`${what}\``, first: before, second: span });
      else seen.set(what, span);
    }
  }

  protected readonly variantBody: Rule<VariantPart[]> = this.RULE('variantBody', () =>
    this.items(() => this.SUBRULE(this.variantPart)),
  );

  /** Items on lines of their own between braces; those that could not be read are left out. */
  private items<R>(item: () => R): R[] {
    const open = this.CONSUME(T.LCurly);
    if (this.RECORDING_PHASE) {
      this.MANY(() => {
        this.OPTION(() => this.CONSUME(T.Newline));
        item();
      });
      this.CONSUME(T.RCurly);
      return [];
    }
    return this.braced<R | undefined>(open, item, () => undefined).filter((one) => one !== undefined);
  }

  protected readonly variantPart: Rule<VariantPart> = this.RULE('variantPart', () => {
    const first = this.LA(1);
    return this.OR<VariantPart>([
      {
        ALT: () => {
          this.CONSUME(P.preprocess);
          this.CONSUME(T.Eq);
          const steps = this.SUBRULE(this.values);
          return this.ACTION((): VariantPart => ({ kind: 'preprocess', steps, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(P.names);
          const layout = this.CONSUME(T.Word);
          const entries = this.SUBRULE(this.nameEntries);
          return this.ACTION(
            (): VariantPart => ({
              kind: 'names',
              block: { layout: this.ident(layout), entries, span: this.since(first) },
            }),
          );
        },
      },
      {
        ALT: () => {
          const word = this.OR2([{ ALT: () => this.CONSUME(P.config) }, { ALT: () => this.CONSUME(P.processor) }]);
          const layout = this.CONSUME2(T.Word);
          const entries = this.SUBRULE(this.configEntries);
          return this.ACTION((): VariantPart => {
            const kind = word.tokenType === P.config ? 'config' : 'processor';
            return { kind: 'config', block: { kind, layout: this.ident(layout), entries, span: this.since(first) } };
          });
        },
      },
    ]);
  });

  /** `a, b` */
  protected readonly values: Rule<Expr[]> = this.RULE('values', () => {
    const values: Expr[] = [];
    this.AT_LEAST_ONE_SEP({ SEP: T.Comma, DEF: () => values.push(this.SUBRULE(this.expression)) });
    return values;
  });

  protected readonly nameEntries: Rule<NamesEntry[]> = this.RULE('nameEntries', () =>
    this.items(() => this.SUBRULE(this.nameEntry)),
  );

  /** `"vit.encoder.layer.{i}.intermediate.dense" = blocks[i].mlp.fc1`, `prefix "vit."`, `ignore "vit.pooler.*"` */
  protected readonly nameEntry: Rule<NamesEntry> = this.RULE('nameEntry', () => {
    const first = this.LA(1);
    return this.OR<NamesEntry>([
      {
        ALT: () => {
          this.CONSUME(P.prefix);
          const token = this.CONSUME(T.Str);
          return this.ACTION(
            (): NamesEntry => ({ kind: 'prefix', name: this.stringOf(token), span: this.since(first) }),
          );
        },
      },
      {
        ALT: () => {
          this.CONSUME(P.ignore);
          const patterns = this.SUBRULE(this.strings);
          return this.ACTION((): NamesEntry => ({ kind: 'ignore', patterns, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(P.head);
          const token = this.CONSUME2(T.Str);
          this.CONSUME2(T.Eq);
          const value = this.SUBRULE2(this.expression);
          return this.ACTION(
            (): NamesEntry => ({ kind: 'head', tensor: this.stringOf(token), value, span: this.since(first) }),
          );
        },
      },
      {
        ALT: () => {
          this.CONSUME(P.unseen);
          const options: Ident[] = [];
          this.AT_LEAST_ONE_SEP({
            SEP: T.Comma,
            DEF: () => {
              const word = this.CONSUME(T.Word);
              this.ACTION(() => options.push(this.ident(word)));
            },
          });
          return this.ACTION((): NamesEntry => ({ kind: 'unseen', options, span: this.since(first) }));
        },
      },
      {
        ALT: () => {
          this.CONSUME(P.bypassed);
          const module = this.CONSUME5(T.Str);
          this.CONSUME3(T.Eq);
          const beside = this.CONSUME6(T.Str);
          return this.ACTION(
            (): NamesEntry => ({
              kind: 'bypassed',
              module: this.stringOf(module),
              beside: this.stringOf(beside),
              span: this.since(first),
            }),
          );
        },
      },
      {
        ALT: () => {
          let optional: IToken | undefined;
          this.OPTION(() => {
            optional = this.CONSUME(P.optional);
          });
          const tokens = [this.CONSUME3(T.Str)];
          this.MANY(() => {
            this.CONSUME(T.RESERVED.or);
            tokens.push(this.CONSUME4(T.Str));
          });
          this.CONSUME(T.Eq);
          const path = this.SUBRULE(this.expression);
          return this.ACTION(
            (): NamesEntry => ({
              kind: 'name',
              optional: optional !== undefined,
              patterns: tokens.map((token) => this.stringOf(token)),
              path,
              span: this.since(first),
            }),
          );
        },
      },
    ]);
  });

  protected readonly configEntries: Rule<ConfigEntry[]> = this.RULE('configEntries', () =>
    this.items(() => this.SUBRULE(this.configEntry)),
  );

  protected readonly configEntry: Rule<ConfigEntry> = this.RULE('configEntry', () => {
    const first = this.LA(1);
    return this.OR<ConfigEntry>([
      {
        ALT: () => {
          const word = this.OR2([
            { ALT: () => this.CONSUME(P.match) },
            { ALT: () => this.CONSUME(P.several) },
            { ALT: () => this.CONSUME(P.only) },
          ]);
          const field = this.SUBRULE(this.expression);
          this.CONSUME(T.Eq);
          const values = this.SUBRULE(this.values);
          return this.ACTION((): ConfigEntry => {
            const kind = word.tokenType === P.match ? 'match' : word.tokenType === P.only ? 'only' : 'several';
            return { kind, field, values, span: this.since(first) };
          });
        },
      },
      {
        ALT: () => {
          const word = this.OR3([{ ALT: () => this.CONSUME(P.labels) }, { ALT: () => this.CONSUME(P.sizes) }]);
          const field = this.SUBRULE2(this.expression);
          return this.ACTION((): ConfigEntry => {
            const kind = word.tokenType === P.labels ? 'labels' : 'sizes';
            return { kind, field, span: this.since(first) };
          });
        },
      },
      {
        ALT: () => {
          let always: IToken | undefined;
          this.OPTION(() => {
            always = this.CONSUME(P.set);
          });
          const field = this.CONSUME(T.Str);
          this.CONSUME2(T.Eq);
          const value = this.SUBRULE3(this.expression);
          return this.ACTION(
            (): ConfigEntry => ({
              kind: always ? 'set' : 'default',
              field: this.stringOf(field),
              value,
              span: this.since(first),
            }),
          );
        },
      },
      {
        ALT: () => {
          const name = this.CONSUME(T.Word);
          this.CONSUME3(T.Eq);
          const value = this.SUBRULE4(this.expression);
          return this.ACTION(
            (): ConfigEntry => ({ kind: 'bind', name: this.ident(name), value, span: this.since(first) }),
          );
        },
      },
    ]);
  });
}
