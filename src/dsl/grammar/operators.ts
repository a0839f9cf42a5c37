/** Operator precedence: folds a flat run of operands and operators into a tree, without recursion. */
import type { IToken } from 'chevrotain';
import type { BinaryOp, Expr, Span } from '../ast.js';

/** How tightly operators bind; all group to the left, comparisons do not group. */
export const PRECEDENCE: Readonly<Record<BinaryOp | 'not' | 'neg', number>> = {
  or: 1,
  and: 2,
  not: 3,
  '==': 4,
  '!=': 4,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '%': 6,
  '@': 6,
  neg: 7,
};
export const COMPARISON = 4;

/** An operand, or an operator's token with whether it stands before its operand. */
export type Piece = { readonly operand: Expr } | { readonly token: IToken; readonly prefix: boolean };

interface Pending {
  readonly token: IToken;
  readonly prefix: boolean;
  readonly level: number;
}

function join(left: Span, right: Span): Span {
  return { file: left.file, start: left.start, end: right.end };
}

/** @param chained is told of the operators of `a < b < c`. */
export function fold(pieces: readonly Piece[], chained: (first: IToken, second: IToken) => void): Expr {
  const values: Expr[] = [];
  const pending: Pending[] = [];
  const reduce = () => {
    const { token, prefix } = pending.pop()!;
    const right = values.pop()!;
    if (prefix) {
      const span = { file: right.span.file, start: token.startOffset, end: right.span.end };
      values.push({ kind: 'unary', op: token.image as '-' | 'not', operand: right, span });
    } else {
      const left = values.pop()!;
      values.push({ kind: 'binary', op: token.image as BinaryOp, left, right, span: join(left.span, right.span) });
    }
  };
  for (const piece of pieces) {
    if ('operand' in piece) {
      values.push(piece.operand);
      continue;
    }
    const { token, prefix } = piece;
    const level = prefix ? PRECEDENCE[token.image === 'not' ? 'not' : 'neg'] : PRECEDENCE[token.image as BinaryOp];
    while (!prefix && pending.length > 0 && pending.at(-1)!.level >= level) {
      const top = pending.at(-1)!;
      if (level === COMPARISON && top.level === COMPARISON) chained(top.token, token);
      reduce();
    }
    pending.push({ token, prefix, level });
  }
  while (pending.length > 0) reduce();
  return values[0]!;
}
