/** Statements and blocks as documents. */
import type { BlockExpr, Expr, IfStmt, Stmt, TensorParam } from '../ast.js';
import { POSITIONAL } from '../tokens.js';
import { blankline, cat, type Doc, group, hardline, indent, join, line, suffix } from './doc.js';
import { type Braces, ExpressionPrinter, type Item } from './expressions.js';

/** One branch of an `if` statement. */
export interface Arm<S> {
  readonly condition: Expr;
  readonly body: readonly S[];
}
/** A comment, or an item with what belongs to it, where it stood. */
interface Chunk {
  readonly doc: Doc;
  readonly start: number;
  readonly end: number;
}

export abstract class StatementPrinter extends ExpressionPrinter {
  /** Items below each other, from one offset to another, with comments and single empty lines as they were. */
  protected stack(items: readonly Item[], from: number, to: number, between: (i: number) => Doc = () => hardline): Doc {
    const chunks: (Chunk & { readonly item?: number })[] = [];
    let at = from;
    const addComments = (until: number) => {
      for (const comment of this.comments.take(at, until)) {
        chunks.push({ doc: comment.text, start: comment.span.start, end: comment.span.end });
      }
    };
    items.forEach((item, i) => {
      addComments(item.span.start);
      const doc = item.doc();
      // Comments inside that found no place of their own go before it.
      for (const comment of this.comments.take(item.span.start, item.span.end)) {
        chunks.push({ doc: comment.text, start: item.span.start, end: item.span.start });
      }
      at = item.span.end;
      const next = items[i + 1]?.span.start ?? to;
      const [beside] = this.comments.any(at, this.lineEnd(at, next))
        ? this.comments.take(at, this.lineEnd(at, next))
        : [];
      if (beside) at = beside.span.end;
      chunks.push({ doc: beside ? cat(doc, suffix(beside.text)) : doc, start: item.span.start, end: at, item: i });
    });
    addComments(to);
    let last = -1;
    return cat(
      ...chunks.flatMap((chunk, i) => {
        const before = chunks[i - 1];
        if (before?.item !== undefined) last = before.item;
        if (!before) return [chunk.doc];
        const blank = this.comments.hasBlank(before.end, chunk.start);
        return [blank ? blankline : before.item === undefined ? hardline : between(last), chunk.doc];
      }),
    );
  }

  /** The end of the line of `from`, or `to` if that comes first. */
  private lineEnd(from: number, to: number): number {
    const end = this.comments.find('\n', from);
    const comment = this.comments.hasText ? end : from;
    return Math.min(comment, to);
  }

  /** Braces with items below each other; a comment beside the opening brace stays there. */
  protected body(items: readonly Item[], { open, close }: Braces): Doc {
    const first = Math.min(items[0]?.span.start ?? close, close);
    const [beside] = this.comments.take(open, this.lineEnd(open, first));
    const from = beside?.span.end ?? open;
    if (items.length === 0 && !this.comments.any(from, close)) {
      return beside ? cat('{', suffix(beside.text), hardline, '}') : '{}';
    }
    const inside = this.stack(items, from, close);
    return cat('{', beside ? suffix(beside.text) : '', indent(cat(hardline, inside)), hardline, '}');
  }

  /** Braces of a node whose body begins after `head` and whose last character is the closing one. */
  protected bracesAfter(head: number, end: number): Braces {
    return this.comments.hasText ? { open: this.comments.find('{', head), close: end - 1 } : { open: 0, close: 0 };
  }

  protected override block(node: BlockExpr, braces: Braces): Doc {
    return this.body(this.items(node.statements), braces);
  }

  protected override inline(statements: BlockExpr['statements'], { open, close }: Braces): boolean {
    const [only] = statements;
    if (statements.length === 0) return !this.comments.any(open, close);
    if (statements.length !== 1 || !only || (only.kind !== 'bind' && only.kind !== 'expr')) return false;
    return !this.comments.any(open, close) && !this.comments.hasBreak(open, only.span.start);
  }

  protected override inlineBlock(node: BlockExpr): Doc {
    return this.inlineBody(node.statements);
  }
  private inlineBody(statements: readonly Stmt[]): Doc {
    const [only] = this.items(statements);
    return only ? cat('{', indent(cat(line, only.doc())), line, '}') : '{}';
  }

  protected items(statements: readonly Stmt[]): Item[] {
    return statements.map((statement, i) => ({
      span: statement.span,
      doc: () => this.statement(statement, i === statements.length - 1),
    }));
  }

  private statement(node: Stmt, last: boolean): Doc {
    switch (node.kind) {
      case 'bind':
        return cat(node.names.map((name) => name.name).join(', '), ' = ', this.expr(node.value));
      case 'expr': {
        const doc = this.expr(node.value);
        return this.startsBadly(node.value, last) ? cat('(', doc, ')') : doc;
      }
      case 'if_stmt':
        return this.ifStatement(node);
      case 'for': {
        const head = node.generator.span.end;
        const body = this.body(this.items(node.body), this.bracesAfter(head, node.span.end));
        return cat('for ', this.generator(node.generator), ' ', body);
      }
      case 'site':
        return cat(
          'site ',
          node.name.name,
          this.tensorParams(node.params, node.name.span.end),
          ' = ',
          this.expr(node.value),
        );
      case 'forward':
        return group(
          cat(
            'forward',
            this.tensorParams(node.params, node.span.start, node.body.span.start),
            ' ',
            this.blockOf(node.body),
          ),
        );
      case 'error':
        return this.comments.spelling(node.span.start, node.span.end);
    }
  }

  /** An expression that would be read as another statement, or as part of the one before. */
  private startsBadly(node: Expr, last: boolean): boolean {
    if (node.kind === 'if') return !(last && hasValue(node));
    let left: Expr = node;
    for (;;) {
      if (left.kind === 'binary') left = left.left;
      else if (left.kind === 'member' || left.kind === 'index') left = left.object;
      else if (left.kind === 'call') left = left.callee;
      else if (left.kind === 'arrow') left = left.from;
      else
        return (
          (left.kind === 'record' && left.fields.length === 0) ||
          (left.kind === 'name' && left !== node && Object.hasOwn(POSITIONAL, left.name))
        );
    }
  }

  private ifStatement(node: IfStmt): Doc {
    const arms: Arm<Stmt>[] = [];
    let rest: readonly Stmt[] | undefined;
    let next: IfStmt | undefined = node;
    while (next) {
      arms.push({ condition: next.condition, body: next.then });
      const [only]: readonly Stmt[] = next.otherwise ?? [];
      const nested: IfStmt | undefined = next.otherwise?.length === 1 && only?.kind === 'if_stmt' ? only : undefined;
      if (!nested) rest = next.otherwise;
      next = nested;
    }
    return this.arms(
      arms,
      rest,
      (statements) => this.items(statements),
      (statements, braces) => {
        const inline = this.inline(statements, braces);
        return inline ? this.inlineBody(statements) : undefined;
      },
    );
  }

  /** `if a { } else if b { } else { }`: all on one line, or each on lines of its own. */
  protected arms<S extends { readonly span: { readonly end: number } }>(
    arms: readonly Arm<S>[],
    rest: readonly S[] | undefined,
    items: (body: readonly S[]) => Item[],
    short: (body: readonly S[], braces: Braces) => Doc | undefined,
  ): Doc {
    const placed = arms.map((arm) => ({ ...arm, braces: this.armBraces(arm.condition.span.end, arm.body) }));
    const bodies = placed.map(({ body, braces }) => ({ body, braces }));
    if (rest) bodies.push({ body: rest, braces: this.armBraces(bodies.at(-1)!.braces.close, rest) });
    const shorts = bodies.map(({ body, braces }) => short(body, braces));
    const allShort = shorts.every((doc) => doc !== undefined);
    const docs = bodies.map(({ body, braces }, i) => (allShort ? shorts[i]! : this.body(items(body), braces)));
    const parts = placed.map((arm, i) =>
      cat(i === 0 ? 'if ' : ' else if ', this.expr(arm.condition, 1), ' ', docs[i]!),
    );
    if (rest) parts.push(cat(' else ', docs.at(-1)!));
    return group(cat(...parts));
  }

  private armBraces(head: number, body: readonly { readonly span: { readonly end: number } }[]): Braces {
    if (!this.comments.hasText) return { open: 0, close: 0 };
    const open = this.comments.find('{', head);
    return { open, close: this.comments.find('}', body.at(-1)?.span.end ?? open) };
  }

  protected tensorParams(params: readonly TensorParam[], from: number, to = Number.POSITIVE_INFINITY): Doc {
    const items = params.map((param) => ({
      span: param.span,
      doc: () =>
        param.shape
          ? cat(
              `${param.name.name}: ${param.dtype?.name ?? ''}`,
              this.listOf(param.shape, (param.dtype ?? param.name).span.end, param.span.end),
            )
          : param.name.name,
    }));
    const end = params.at(-1)?.span.end ?? from;
    return this.bracketed('(', items, ')', from, Math.min(to, this.closeAfter(end)));
  }

  /** Offset of the `)` after an item, past which comments are not the list's. */
  protected closeAfter(end: number): number {
    return this.comments.hasText ? this.comments.find(')', end) : end;
  }

  /** Items that no brackets hold, with commas between them. */
  protected run(items: readonly Item[]): Doc {
    return group(
      indent(
        join(
          cat(',', line),
          items.map((item) => item.doc()),
        ),
      ),
    );
  }
}

function hasValue(node: Expr & { kind: 'if' }): boolean {
  const { then, otherwise } = node;
  if (then.statements.at(-1)?.kind !== 'expr' || !otherwise) return false;
  return otherwise.kind === 'if' ? hasValue(otherwise) : otherwise.statements.at(-1)?.kind === 'expr';
}
