/** The grammar of declarations and files; the parser itself. */
import type { IToken } from 'chevrotain';
import type { Decl, Expr, SettingsDecl, SitePattern } from '../ast.js';
import * as T from '../tokens.js';
import type { Rule } from './base.js';
import { VariantParser } from './variants.js';

const D = T.DECLARATIONS;
type Setting = SettingsDecl['settings'][number];

export class Grammar extends VariantParser {
  /** What has been read so far; kept when the parser has to stop. */
  private decls: Decl[] = [];

  constructor(validate?: boolean) {
    super(validate);
    this.performSelfAnalysis();
  }

  /** Reads a file's declarations; `this.errors` and `this.taken` hold what was wrong. @throws {StopParsing} */
  readFile(file: string, tokens: IToken[], text: string, decls: Decl[]) {
    this.begin(file, tokens, text);
    this.decls = decls;
    this.source();
  }

  get taken() {
    return { errors: this.errors, notes: this.notes };
  }

  protected readonly source: Rule<void> = this.RULE('source', () => {
    if (this.RECORDING_PHASE) {
      this.MANY(() => {
        this.OPTION(() => this.CONSUME(T.Newline));
        this.SUBRULE(this.declaration);
      });
      return;
    }
    const keep = () => void this.decls.push(this.SUBRULE(this.declaration));
    this.lines(
      keep,
      () => undefined,
      -1,
      () => false,
    );
  });

  protected readonly declaration: Rule<Decl> = this.RULE('declaration', () =>
    this.OR<Decl>([
      { ALT: () => this.SUBRULE(this.use) },
      { ALT: () => this.SUBRULE(this.module) },
      { ALT: () => this.SUBRULE(this.adapter) },
      { ALT: () => this.SUBRULE(this.criterion) },
      { ALT: () => this.SUBRULE(this.function) },
      { ALT: () => this.SUBRULE(this.optimizer) },
      { ALT: () => this.SUBRULE(this.variant) },
      { ALT: () => this.SUBRULE(this.model) },
      { ALT: () => this.SUBRULE(this.settings) },
    ]),
  );

  /** `use std.vit`, `use "./mine.peft"` */
  protected readonly use: Rule<Decl> = this.RULE('use', () => {
    const first = this.CONSUME(D.use);
    return this.OR<Decl>([
      {
        ALT: () => {
          const token = this.CONSUME(T.Str);
          return this.ACTION((): Decl => {
            const { value: file } = this.stringOf(token);
            return { kind: 'use', path: { file }, span: this.since(first) };
          });
        },
      },
      {
        ALT: () => {
          const words: IToken[] = [];
          this.AT_LEAST_ONE_SEP({ SEP: T.Dot, DEF: () => words.push(this.CONSUME(T.Word)) });
          return this.ACTION((): Decl => {
            const [library, ...std] = words.map((word) => word.image);
            if (library !== 'std') this.note({ kind: 'unknown_use', span: this.spanOf(words[0]!), name: library! });
            return { kind: 'use', path: { std }, span: this.since(first) };
          });
        },
      },
    ]);
  });

  protected readonly module: Rule<Decl> = this.RULE('module', () => {
    const first = this.OR([{ ALT: () => this.CONSUME(D.module) }, { ALT: () => this.CONSUME(D.backbone) }]);
    const name = this.CONSUME(T.Word);
    const params = this.SUBRULE(this.optionParams);
    const body = this.SUBRULE(this.body);
    return this.ACTION(
      (): Decl => ({
        kind: first.tokenType === D.backbone ? 'backbone' : 'module',
        name: this.ident(name),
        params,
        body,
        span: this.since(first),
      }),
    );
  });

  protected readonly adapter: Rule<Decl> = this.RULE('adapter', () => {
    const first = this.CONSUME(D.adapter);
    const name = this.CONSUME(T.Word);
    const params = this.SUBRULE(this.optionParams);
    this.CONSUME(T.POSITIONAL.on);
    const base = this.CONSUME2(T.Word);
    this.CONSUME(T.Colon);
    const target = this.SUBRULE(this.sitePattern);
    const body = this.SUBRULE(this.body);
    return this.ACTION(
      (): Decl => ({
        kind: 'adapter',
        name: this.ident(name),
        params,
        base: this.ident(base),
        target,
        body,
        span: this.since(first),
      }),
    );
  });

  /** `Linear(in -> out)` or `(x: [b, n, dim])` */
  protected readonly sitePattern: Rule<SitePattern> = this.RULE('sitePattern', () => {
    const first = this.LA(1);
    return this.OR<SitePattern>([
      {
        ALT: () => {
          const layer = this.CONSUME(T.Word);
          this.CONSUME(T.LParen);
          const from = this.SUBRULE(this.operation);
          this.CONSUME(T.Arrow);
          const to = this.SUBRULE2(this.operation);
          this.CONSUME(T.RParen);
          return this.ACTION(
            (): SitePattern => ({ kind: 'layer', layer: this.ident(layer), from, to, span: this.since(first) }),
          );
        },
      },
      {
        ALT: () => {
          const params = this.SUBRULE(this.tensorParams);
          return this.ACTION((): SitePattern => ({ kind: 'call', params, span: this.since(first) }));
        },
      },
    ]);
  });

  protected readonly criterion: Rule<Decl> = this.RULE('criterion', () => {
    const first = this.CONSUME(D.criterion);
    const name = this.CONSUME(T.Word);
    const params = this.SUBRULE(this.tensorParams);
    this.CONSUME(T.Eq);
    const value = this.SUBRULE(this.expression);
    return this.ACTION(
      (): Decl => ({ kind: 'criterion', name: this.ident(name), params, value, span: this.since(first) }),
    );
  });

  /** `function window(size: int, most: int) = min([size, most])`, or a block, whose last expression is the value. */
  protected readonly function: Rule<Decl> = this.RULE('function', () => {
    const first = this.CONSUME(D.function);
    const name = this.CONSUME(T.Word);
    const params = this.SUBRULE(this.optionParams);
    const value = this.OR<Expr>([
      {
        ALT: () => {
          this.CONSUME(T.Eq);
          return this.SUBRULE(this.expression);
        },
      },
      { ALT: () => this.SUBRULE(this.block) },
    ]);
    return this.ACTION(
      (): Decl => ({ kind: 'function', name: this.ident(name), params, value, span: this.since(first) }),
    );
  });

  /** `optimizer sgd(lr: float) { forward(weight, gradient, rate, count) { weight - rate * gradient } }` */
  protected readonly optimizer: Rule<Decl> = this.RULE('optimizer', () => {
    const first = this.CONSUME(D.optimizer);
    const name = this.CONSUME(T.Word);
    const params = this.SUBRULE(this.optionParams);
    const body = this.SUBRULE(this.body);
    return this.ACTION(
      (): Decl => ({ kind: 'optimizer', name: this.ident(name), params, body, span: this.since(first) }),
    );
  });

  // ---- Models and settings

  protected readonly model: Rule<Decl> = this.RULE('model', () => {
    const first = this.CONSUME(D.model);
    const name = this.CONSUME(T.Word);
    const params = this.OPTION(() => this.SUBRULE(this.optionParams)) ?? [];
    const body = this.SUBRULE(this.modelBody);
    return this.ACTION((): Decl => ({ kind: 'model', name: this.ident(name), params, body, span: this.since(first) }));
  });

  protected readonly settings: Rule<Decl> = this.RULE('settings', () => {
    const first = this.OR([{ ALT: () => this.CONSUME(D.train) }, { ALT: () => this.CONSUME(D.deploy) }]);
    const model = this.CONSUME(T.Word);
    const settings = this.SUBRULE(this.settingsBody);
    return this.ACTION(
      (): Decl => ({
        kind: first.tokenType === D.train ? 'train' : 'deploy',
        model: this.ident(model),
        settings,
        span: this.since(first),
      }),
    );
  });

  protected readonly settingsBody: Rule<Setting[]> = this.RULE('settingsBody', () => {
    const open = this.CONSUME(T.LCurly);
    if (this.RECORDING_PHASE) {
      this.MANY(() => {
        this.OPTION(() => this.CONSUME(T.Newline));
        this.SUBRULE(this.setting);
      });
      this.CONSUME(T.RCurly);
      return [];
    }
    const settings = this.braced<Setting | undefined>(
      open,
      () => this.SUBRULE(this.setting),
      () => undefined,
    );
    return settings.filter((setting) => setting !== undefined);
  });

  protected readonly setting: Rule<Setting> = this.RULE('setting', () => {
    const name = this.CONSUME(T.Word);
    this.CONSUME(T.Eq);
    const value = this.SUBRULE(this.expression);
    return this.ACTION(() => ({ name: this.ident(name), value, span: this.since(name) }));
  });
}
