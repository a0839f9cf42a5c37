/**
 * The formatter: the one way to write a syntax tree. Idempotent; keeps every comment and single empty lines; breaks what does
 * not fit in 100 columns. `parse` after it gives the same tree, up to spans.
 */
import type {
  AdapterDecl,
  ConfigBlock,
  ConfigEntry,
  Decl,
  Expr,
  ModelStmt,
  NamesBlock,
  NamesEntry,
  OptionParam,
  Selector,
  SelectorStep,
  SourceFile,
  StringLit,
  TypeExpr,
  VariantDecl,
} from './ast.js';
import { blankline, cat, type Doc, group, hardline, indent, join, line, print } from './format/doc.js';
import type { Braces, Item } from './format/expressions.js';
import { type Arm, StatementPrinter } from './format/statements.js';
import { spellString } from './grammar/literals.js';

const WIDTH = 100;

class Printer extends StatementPrinter {
  constructor(
    private readonly file: SourceFile,
    numbers = file.text,
  ) {
    super(file, numbers);
  }

  print(): string {
    const { decls, text } = this.file;
    const items = decls.map((decl) => ({ span: decl.span, doc: () => this.decl(decl) }));
    // A declaration with a body stands apart from its neighbours.
    const apart = (i: number) => (hasBody(decls[i]!) || hasBody(decls[i + 1] ?? decls[i]!) ? blankline : hardline);
    const body = this.stack(items, 0, text.length + 1, (i) => (i >= 0 ? apart(i) : hardline));
    const printed = print(body, WIDTH);
    return printed === '' ? '' : `${printed}\n`;
  }

  private decl(node: Decl): Doc {
    switch (node.kind) {
      case 'use':
        return 'file' in node.path
          ? `use ${spellString(node.path.file)}`
          : `use ${['std', ...node.path.std].join('.')}`;
      case 'module':
      case 'backbone':
      case 'optimizer': {
        const from = node.name.span.end;
        const head = cat(node.kind, ' ', node.name.name, this.optionParams(node.params, from, false));
        const end = node.params.at(-1)?.span.end ?? from;
        return cat(head, ' ', this.body(this.items(node.body), this.bracesAfter(end, node.span.end)));
      }
      case 'adapter':
        return this.adapter(node);
      case 'criterion':
        return cat(
          'criterion ',
          node.name.name,
          this.tensorParams(node.params, node.name.span.end, node.value.span.start),
          ' = ',
          this.expr(node.value),
        );
      case 'function':
        return cat(
          'function ',
          node.name.name,
          this.optionParams(node.params, node.name.span.end, false),
          node.value.kind === 'block' ? ' ' : ' = ',
          this.expr(node.value),
        );
      case 'variant':
        return this.variant(node);
      case 'model': {
        const from = node.name.span.end;
        const head = cat('model ', node.name.name, this.optionParams(node.params, from, true));
        const end = node.params.at(-1)?.span.end ?? from;
        return cat(head, ' ', this.body(this.modelItems(node.body), this.bracesAfter(end, node.span.end)));
      }
      case 'train':
      case 'deploy': {
        const items = node.settings.map((setting) => ({
          span: setting.span,
          doc: () => cat(setting.name.name, ' = ', this.expr(setting.value)),
        }));
        return cat(
          `${node.kind} ${node.model.name} `,
          this.body(items, this.bracesAfter(node.model.span.end, node.span.end)),
        );
      }
    }
  }

  private adapter(node: AdapterDecl): Doc {
    const { target } = node;
    const site =
      target.kind === 'layer'
        ? cat(target.layer.name, '(', this.arrow(target.from, target.to), ')')
        : this.tensorParams(target.params, target.span.start, target.span.end);
    return cat(
      `adapter ${node.name.name}`,
      this.optionParams(node.params, node.name.span.end, false),
      ` on ${node.base.name}: `,
      site,
      ' ',
      this.body(this.items(node.body), this.bracesAfter(target.span.end, node.span.end)),
    );
  }

  private variant(node: VariantDecl): Doc {
    const head = cat(
      `variant ${node.name.name}`,
      this.optionParams(node.params, node.name.span.end, true),
      ' = ',
      this.expr(node.value),
    );
    const items: Item[] = [
      ...node.names.map((block) => ({ span: block.span, doc: () => this.names(block) })),
      ...node.configs.map((block) => ({ span: block.span, doc: () => this.config(block) })),
    ];
    const [first] = node.preprocess ?? [];
    if (node.preprocess && first) {
      const steps = node.preprocess.map((step) => ({ span: step.span, doc: () => this.expr(step) }));
      const span = { ...first.span, end: node.preprocess.at(-1)!.span.end };
      items.unshift({ span, doc: () => cat('preprocess = ', this.run(steps)) });
    }
    if (this.comments.hasText) items.sort((a, b) => a.span.start - b.span.start);
    const hasBraces = this.comments.hasText && node.span.end > node.value.span.end;
    if (items.length === 0 && !(hasBraces && this.comments.any(node.value.span.end, node.span.end))) return head;
    return cat(head, ' ', this.body(items, this.bracesAfter(node.value.span.end, node.span.end)));
  }

  private names(node: NamesBlock): Doc {
    const items = node.entries.map((entry) => ({ span: entry.span, doc: () => this.nameEntry(entry) }));
    return cat(`names ${node.layout.name} `, this.body(items, this.bracesAfter(node.layout.span.end, node.span.end)));
  }

  private nameEntry(entry: NamesEntry): Doc {
    if (entry.kind === 'prefix') return `prefix ${spellString(entry.name.value)}`;
    if (entry.kind === 'unseen') return `unseen ${entry.options.map((o) => o.name).join(', ')}`;
    if (entry.kind === 'ignore') return cat('ignore ', this.exprs(entry.patterns));
    if (entry.kind === 'bypassed')
      return `bypassed ${spellString(entry.module.value)} = ${spellString(entry.beside.value)}`;
    if (entry.kind === 'head') return cat(`head ${spellString(entry.tensor.value)} = `, this.expr(entry.value));
    const [first, ...others] = entry.patterns.map((p) => spellString(p.value));
    const also = others.map((name) => cat(line, 'or ', name));
    const head = entry.optional ? 'optional ' : '';
    return group(cat(head, first!, indent(cat(...also)), ' = ', this.expr(entry.path)));
  }

  private config(node: ConfigBlock): Doc {
    const items = node.entries.map((entry) => ({ span: entry.span, doc: () => this.configEntry(entry) }));
    const head = `${node.kind} ${node.layout.name} `;
    return cat(head, this.body(items, this.bracesAfter(node.layout.span.end, node.span.end)));
  }

  private configEntry(entry: ConfigEntry): Doc {
    switch (entry.kind) {
      case 'match':
      case 'several':
      case 'only':
        return cat(entry.kind, ' ', this.expr(entry.field), ' = ', this.exprs(entry.values));
      case 'labels':
      case 'sizes':
        return cat(`${entry.kind} `, this.expr(entry.field));
      case 'bind':
        return cat(entry.name.name, ' = ', this.expr(entry.value));
      default:
        return cat(entry.kind === 'set' ? 'set ' : '', spellString(entry.field.value), ' = ', this.expr(entry.value));
    }
  }

  private exprs(list: readonly Expr[]): Doc {
    return this.run(list.map((item) => ({ span: item.span, doc: () => this.expr(item) })));
  }

  // ---- Options

  private optionParams(params: readonly OptionParam[], from: number, optional: boolean): Doc {
    if (params.length === 0 && optional) return '';
    const items = params.map((param) => ({
      span: param.span,
      doc: () => {
        const head = `${param.name.name}: ${formatType(param.type)}`;
        return param.default ? cat(head, ' = ', this.expr(param.default)) : head;
      },
    }));
    return this.bracketed('(', items, ')', from, this.closeAfter(params.at(-1)?.span.end ?? from));
  }

  // ---- Models

  private modelItems(statements: readonly ModelStmt[]): Item[] {
    return statements.map((statement) => ({ span: statement.span, doc: () => this.modelStatement(statement) }));
  }

  private modelStatement(node: ModelStmt): Doc {
    switch (node.kind) {
      case 'model_bind':
        return cat(node.name.name, ' = ', this.expr(node.value), origin(node.from));
      case 'in':
        return cat(
          'in ',
          this.selector(node.selector),
          ' ',
          this.body(this.modelItems(node.body), this.bracesAfter(node.selector.span.end, node.span.end)),
        );
      case 'adapt':
        return cat('adapt ', this.selectors(node.sites), ' with ', this.expr(node.adapter), origin(node.from));
      case 'prune':
        return cat(
          'prune ',
          this.selectors(node.sites),
          ' with ',
          this.expr(node.method),
          ...(node.by ? [' by ', this.expr(node.by)] : []),
          origin(node.from),
        );
      case 'tune':
        return cat('tune ', this.selectors(node.sites), origin(node.from));
      case 'ignore':
        return cat('ignore ', this.exprs(node.patterns));
      case 'model_if':
        return this.modelIf(node);
      case 'model_for':
        return cat(
          'for ',
          this.generator(node.generator),
          ' ',
          this.body(this.modelItems(node.body), this.bracesAfter(node.generator.span.end, node.span.end)),
        );
      case 'error':
        return this.comments.spelling(node.span.start, node.span.end);
    }
  }

  private modelIf(node: ModelStmt & { kind: 'model_if' }): Doc {
    const arms: Arm<ModelStmt>[] = [];
    let rest: readonly ModelStmt[] | undefined;
    let next: (ModelStmt & { kind: 'model_if' }) | undefined = node;
    while (next) {
      arms.push({ condition: next.condition, body: next.then });
      const [only]: readonly ModelStmt[] = next.otherwise ?? [];
      const nested: (ModelStmt & { kind: 'model_if' }) | undefined =
        next.otherwise?.length === 1 && only?.kind === 'model_if' ? only : undefined;
      if (!nested) rest = next.otherwise;
      next = nested;
    }
    const long = (_body: readonly ModelStmt[], _braces: Braces) => undefined;
    return this.arms(arms, rest, (body) => this.modelItems(body), long);
  }

  private selectors(sites: readonly Selector[]): Doc {
    return this.run(sites.map((site) => ({ span: site.span, doc: () => this.selector(site) })));
  }

  selector(node: Selector): Doc {
    return cat(...node.steps.map((step, i) => cat(i > 0 && step.kind !== 'index' ? '.' : '', this.step(step))));
  }

  private step(step: SelectorStep): Doc {
    switch (step.kind) {
      case 'name':
        return step.name;
      case 'any':
        return '*';
      case 'deep':
        return '**';
      case 'index':
        return step.all ? '[*]' : this.indices(step.items, step.span.start, step.span.end);
      case 'oneof':
        return group(
          cat(
            '{',
            join(
              ', ',
              step.options.map((option) => this.selector(option)),
            ),
            '}',
          ),
        );
    }
  }
}

function origin(from: StringLit | undefined): string {
  return from ? ` from ${spellString(from.value)}` : '';
}

function hasBody(decl: Decl): boolean {
  if (decl.kind === 'use' || decl.kind === 'criterion' || decl.kind === 'function') return false;
  return decl.kind !== 'variant' || decl.preprocess !== undefined || decl.names.length + decl.configs.length > 0;
}

/** Writes the type of an option. */
export function formatType(type: TypeExpr): string {
  switch (type.kind) {
    case 'type_name':
      return type.name;
    case 'type_list':
      return `[${formatType(type.item)}]`;
    case 'type_enum':
      return type.options.map((option) => option.name).join(' | ');
    case 'type_union':
      return type.items.map(formatType).join(' | ');
  }
}

/** Parts of a file on one line each, where they have no blocks of several lines, without comments; numbers keep their spelling. */
export function fragmentsOf(file: SourceFile): { expr(node: Expr): string; selector(node: Selector): string } {
  const printer = new Printer({ ...file, text: '', comments: [] }, file.text);
  return {
    expr: (node) => print(printer.expr(node), Number.POSITIVE_INFINITY),
    selector: (node) => print(printer.selector(node), Number.POSITIVE_INFINITY),
  };
}

/** Writes a file. What recovery left out of the tree is lost: format only what parsed without errors.
 * @param numbers the text in which numbers are spelled, where the tree was made from another one than a `.peft` file: `file.text` is then empty
 */
export function format(file: SourceFile, numbers = file.text): string {
  return new Printer(file, numbers).print();
}
