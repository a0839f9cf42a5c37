/** Expressions as documents. Parentheses are put where the grammar needs them, and nowhere else. */
import type {
  Arg,
  BinaryExpr,
  BinaryOp,
  BlockExpr,
  Comment,
  Expr,
  Generator,
  IfExpr,
  IndexItem,
  NumberLit,
  SourceFile,
  Span,
} from '../ast.js';
import { numberOf, spellNumber, spellString } from '../grammar/literals.js';
import { COMPARISON, PRECEDENCE } from '../grammar/operators.js';
import { Comments } from './comments.js';
import { cat, type Doc, group, hardline, indent, join, line, softline, suffix } from './doc.js';

/** What may stand as operand of calls, members and indices; above all operators. */
const POSTFIX = 8;
/** Between braces: the offsets of both. */
export interface Braces {
  readonly open: number;
  readonly close: number;
}
/** Something with a place of its own in a list or block. */
export interface Item {
  readonly span: Span;
  readonly doc: () => Doc;
}

export abstract class ExpressionPrinter {
  protected readonly comments: Comments;

  constructor(file: SourceFile, numbers: string) {
    this.comments = new Comments(file, numbers);
  }

  protected abstract block(node: BlockExpr, braces: Braces): Doc;
  /** Whether a block is short enough to stand on the line of its head, if it fits. */
  protected abstract inline(statements: BlockExpr['statements'], braces: Braces): boolean;

  /** @param level operators that bind less tightly than this need parentheses. */
  expr(node: Expr, level = 0): Doc {
    const doc = this.bare(node);
    return levelOf(node) < level || (level === POSTFIX && isOpenEnded(node)) ? cat('(', doc, ')') : doc;
  }

  private bare(node: Expr): Doc {
    switch (node.kind) {
      case 'number':
        return this.number(node);
      case 'string':
        return spellString(node.value);
      case 'bool':
        return String(node.value);
      case 'none':
        return 'none';
      case 'ratio':
        return `${spellPlain(node.left)}:${spellPlain(node.right)}`;
      case 'name':
        return node.name;
      case 'member':
        return cat(this.expr(node.object, POSTFIX), '.', node.member.name);
      case 'index':
        return cat(this.expr(node.object, POSTFIX), this.indices(node.indices, node.object.span.end, node.span.end));
      case 'call':
        return cat(
          this.expr(node.callee, POSTFIX),
          this.args(node.generators, node.args, node.callee.span.end, node.span.end),
        );
      case 'unary':
        return node.op === 'not'
          ? cat('not ', this.expr(node.operand, PRECEDENCE.not))
          : cat('-', this.expr(node.operand, PRECEDENCE.neg));
      case 'binary':
        return this.chain(node);
      case 'arrow':
        return this.arrow(node.from, node.to);
      case 'if':
        return this.ifExpr(node);
      case 'repeat':
        return group(cat('repeat ', this.generator(node.generator), ' ', this.blockOf(node.body)));
      case 'param': {
        const words = `${node.shared ? 'shared ' : ''}${node.frozen ? 'frozen ' : ''}param ${node.dtype?.name ?? ''}`;
        const shape = this.listOf(node.shape, node.span.start, node.init.span.start);
        return cat(words, shape, ' ', this.expr(node.init, POSTFIX));
      }
      case 'state':
        return cat('state ', this.expr(node.init, POSTFIX));
      case 'list':
        return this.listOf(node.items, node.span.start, node.span.end);
      case 'record': {
        const items = node.fields.map((field) => ({
          span: { ...field.name.span, end: field.value.span.end },
          doc: () => cat(field.name.name, ': ', this.expr(field.value)),
        }));
        return this.bracketed('{', items, '}', node.span.start, node.span.end);
      }
      case 'block':
        return this.blockOf(node);
    }
  }

  /** A number keeps the spelling it was given: `1e-3` stays `1e-3`. */
  private number(node: NumberLit): Doc {
    const written = this.comments.spelling(node.span.start, node.span.end);
    const [, digits = ''] = /^\(*\s*([\d.]+(?:[eE][+-]?\d+)?%?)/.exec(written) ?? [];
    const unit = node.unit ? ` ${node.unit}` : '';
    if (digits !== '' && !(node.integer && digits.startsWith('0'))) {
      const read = numberOf(digits);
      if (read.value === node.value && read.integer === node.integer && read.percent === node.percent) {
        return `${digits.toLowerCase()}${unit}`;
      }
    }
    return `${spellNumber(node)}${unit}`;
  }

  /** Operators of one precedence in one run, broken after an operator where a line is full. */
  private chain(node: BinaryExpr): Doc {
    const level = PRECEDENCE[node.op];
    const rest: Doc[] = [];
    let at = node;
    for (;;) {
      rest.unshift(cat(` ${at.op}`, group(line), this.expr(at.right, level + 1)));
      const { left } = at;
      if (left.kind !== 'binary' || PRECEDENCE[left.op] !== level || wantsParens(left.op, at.op)) break;
      at = left;
    }
    return group(cat(this.leftmost(at), indent(cat(...rest))));
  }

  protected arrow(from: Expr, to: Expr): Doc {
    const head = from.kind === 'if' || from.kind === 'repeat' ? cat('(', this.bare(from), ')') : this.expr(from, 1);
    return cat(head, ' -> ', this.expr(to, 1));
  }

  private leftmost({ left, op }: BinaryExpr): Doc {
    // An `if` on the left reads as if it ended there, and cannot start a statement.
    const odd = left.kind === 'if' || left.kind === 'repeat' || (left.kind === 'binary' && wantsParens(left.op, op));
    return odd ? cat('(', this.bare(left), ')') : this.expr(left, PRECEDENCE[op]);
  }

  protected generator(node: Generator): Doc {
    return cat(node.name.name, ' < ', this.limit(node.limit));
  }
  private limit(node: Expr): Doc {
    return node.kind === 'ratio' ? cat('(', this.bare(node), ')') : this.expr(node, COMPARISON + 1);
  }

  protected args(generators: readonly Generator[], args: readonly Arg[], from: number, to: number): Doc {
    const items = args.map((arg) => ({
      span: arg.span,
      doc: () => (arg.name ? cat(arg.name.name, ': ', this.expr(arg.value)) : this.expr(arg.value)),
    }));
    const [body, ...others] = items;
    if (generators.length === 0 || !body) return this.bracketed('(', items, ')', from, to);
    const limits = generators.map((g) => this.generator(g));
    const start = generators[0]!.span.start;
    const whole = {
      span: { ...body.span, start: this.comments.hasText ? start : 0 },
      doc: () => group(cat(join(', ', limits), ':', indent(cat(line, body.doc())))),
    };
    return this.bracketed('(', [whole, ...others], ')', from, to);
  }

  protected listOf(items: readonly Expr[], from: number, to: number): Doc {
    const docs = items.map((item) => ({ span: item.span, doc: () => this.expr(item) }));
    return this.bracketed('[', docs, ']', from, to);
  }

  protected indices(items: readonly IndexItem[], from: number, to: number): Doc {
    const docs = items.map((item) => ({ span: item.span, doc: () => this.index(item) }));
    return this.bracketed('[', docs, ']', from, to);
  }

  private index(item: IndexItem): Doc {
    if (item.kind === 'new') return 'new';
    if (item.kind === 'at') return this.expr(item.value);
    if (!item.start && !item.end) return ':';
    return cat(item.start ? this.expr(item.start) : '', '..', item.end ? this.expr(item.end) : '');
  }

  private ifExpr(node: IfExpr): Doc {
    const arms: { condition: Expr; body: BlockExpr }[] = [];
    let last: IfExpr | BlockExpr | undefined = node;
    for (; last?.kind === 'if'; last = last.otherwise) arms.push({ condition: last.condition, body: last.then });
    const blocks = [...arms.map((arm) => arm.body), ...(last ? [last] : [])];
    const inline = blocks.every((b) => this.inline(b.statements, bracesOf(b)));
    const print = (b: BlockExpr) => (inline ? this.inlineBlock(b) : this.block(b, bracesOf(b)));
    const docs = arms.map((arm, i) =>
      cat(i === 0 ? 'if ' : ' else if ', this.expr(arm.condition, 1), ' ', print(arm.body)),
    );
    if (last) docs.push(cat(' else ', print(last)));
    return group(cat(...docs));
  }

  /** A block on its own, on one line if it is short. */
  protected blockOf(node: BlockExpr): Doc {
    return this.inline(node.statements, bracesOf(node)) ? this.inlineBlock(node) : this.block(node, bracesOf(node));
  }
  protected abstract inlineBlock(node: BlockExpr): Doc;

  /** Items between brackets: on one line, or one a line, each with its comments. */
  protected bracketed(open: string, items: readonly Item[], close: string, from: number, to: number): Doc {
    if (items.length === 0) {
      const inside = this.comments.take(from, to);
      if (inside.length === 0) return `${open}${close}`;
      return cat(open, indent(cat(hardline, join(hardline, inside.map(textOf)))), hardline, close);
    }
    return group(cat(open, indent(cat(softline, this.separated(items, from, to))), softline, close));
  }

  /** Items with commas between them, each with its comments. */
  protected separated(items: readonly Item[], from: number, to: number): Doc {
    const docs = items.map((item) => item.doc());
    const parts: Doc[] = [];
    items.forEach((item, i) => {
      const before = this.comments.take(i === 0 ? from : items[i - 1]!.span.end, item.span.start);
      // Beside the item before; it has been printed with its comma.
      if (i > 0 && before[0] && !before[0].ownLine) parts.push(suffix(before.shift()!.text));
      if (i > 0) parts.push(line);
      const inner = this.comments.take(item.span.start, item.span.end);
      for (const comment of [...before, ...inner]) parts.push(comment.text, hardline);
      parts.push(docs[i]!);
      if (i < items.length - 1) parts.push(',');
    });
    const after = this.comments.take(items.at(-1)!.span.end, to);
    if (after[0] && !after[0].ownLine) parts.push(suffix(after.shift()!.text));
    for (const comment of after) parts.push(hardline, comment.text);
    return cat(...parts);
  }
}

export const textOf = (comment: Comment): string => comment.text;
export const bracesOf = (node: BlockExpr): Braces => ({ open: node.span.start, close: node.span.end - 1 });

function spellPlain(value: number): string {
  return spellNumber({ value, integer: Number.isInteger(value), percent: false });
}

/** Whether `(a left b) right c` keeps its parentheses: comparisons need them, `(a / b) * c` is clearer with them. */
function wantsParens(left: BinaryOp, right: BinaryOp): boolean {
  if (PRECEDENCE[left] !== PRECEDENCE[right]) return false;
  if (PRECEDENCE[left] === COMPARISON) return true;
  return left !== right && [left, right].some((op) => op === '/' || op === '%');
}

function levelOf(node: Expr): number {
  if (node.kind === 'arrow') return 0;
  if (node.kind === 'binary') return PRECEDENCE[node.op];
  if (node.kind === 'unary') return PRECEDENCE[node.op === 'not' ? 'not' : 'neg'];
  return POSTFIX;
}
/** What takes in a `.`, `[` or `(` that follows, or would be read differently before one. */
function isOpenEnded(node: Expr): boolean {
  return (
    node.kind === 'number' ||
    node.kind === 'ratio' ||
    node.kind === 'if' ||
    node.kind === 'repeat' ||
    node.kind === 'param' ||
    node.kind === 'state'
  );
}
