/** Unary and binary operators: exact arithmetic on numbers, broadcasting arithmetic on tensors, logic and comparison. */
import { isBatch } from '../../../ir/batch.js';
import type { Builder } from '../../../ir/ops/builder.js';
import type { About, Value } from '../../../ir/types.js';
import type { BinaryExpr, BinaryOp, UnaryExpr } from '../../ast.js';
import { MOST_ELEMENTS } from './budget.js';
import type { Engine } from './engine.js';
import { known, ownNumber, unknown } from './numbers.js';
import { describe, same, showNumber } from './show.js';
import {
  bool,
  dtypeOf,
  isOpen,
  isTensorLike,
  type ListVal,
  type NumVal,
  num,
  type Scope,
  tensorVal,
  type Val,
} from './values.js';

export function unary(engine: Engine, expr: UnaryExpr, v: Val): Val {
  if (expr.op === 'not') {
    if (v.kind === 'tensor' || v.kind === 'table') {
      const x = { value: engine.tensor(v, expr.operand.span), span: expr.operand.span };
      return tensorVal(engine.trace('not', expr.span, [x], (b, o) => b.not(x.value, o)));
    }
    return bool(!engine.truth(v, 'the operand of `not`', expr.operand.span));
  }
  if (v.kind === 'num') return { ...v, value: -known(engine, v, expr.span).value };
  if (isTensorLike(v)) {
    const x = { value: engine.tensor(v, expr.operand.span), span: expr.operand.span };
    return tensorVal(engine.trace('-', expr.span, [x], (b, o) => b.neg(x.value, o)));
  }
  return engine.report.stop(
    'ESP0205',
    { what: 'the operand of `-`', expected: 'a number or a tensor', found: describe(v) },
    { primary: { span: expr.operand.span, text: `this is ${describe(v)}` } },
  );
}

export function binary(engine: Engine, expr: BinaryExpr, scope: Scope): Val {
  // `and` and `or` of truth values leave the right side alone where the left one decides.
  if (expr.op === 'and' || expr.op === 'or') {
    const left = engine.evaluate(expr.left, scope);
    if (left.kind === 'bool') {
      if (left.value === (expr.op === 'or')) return left;
      const right = engine.evaluate(expr.right, scope);
      if (!isTensorLike(right)) return bool(engine.truth(right, `the right side of \`${expr.op}\``, expr.right.span));
    }
    return combine(engine, expr, left, engine.evaluate(expr.right, scope));
  }
  // Both sides are looked at, so that two unknown names are two messages.
  const left = engine.report.attempt(() => engine.evaluate(expr.left, scope));
  const right = engine.evaluate(expr.right, scope);
  return left === undefined ? engine.evaluate(expr.left, scope) : combine(engine, expr, left, right);
}

function combine(engine: Engine, expr: BinaryExpr, left: Val, right: Val): Val {
  if (left.kind === 'num' && right.kind === 'num') return numbers(engine, expr, left, right);
  if (
    (isTensorLike(left) || isTensorLike(right)) &&
    [left, right].every((v) => isTensorLike(v) || v.kind === 'num' || v.kind === 'bool')
  ) {
    return tensors(engine, expr, left, right);
  }
  if (EACH.has(expr.op) && (isNumbers(left) || isNumbers(right)) && (left.kind === 'num' || right.kind === 'num')) {
    const each = (left.kind === 'list' ? left : (right as ListVal)).items as readonly NumVal[];
    return {
      kind: 'list',
      items: each.map((n) =>
        left.kind === 'num' ? numbers(engine, expr, left, n) : numbers(engine, expr, n, right as NumVal),
      ),
    };
  }
  if (expr.op === '==') return bool(same(left, right));
  if (expr.op === '!=') return bool(!same(left, right));
  if (expr.op === '+' && left.kind === 'list' && right.kind === 'list') {
    const found = left.items.length + right.items.length;
    if (found > MOST_ELEMENTS) {
      engine.report.stop(
        'ESP0310',
        { what: 'the length of this list', limit: MOST_ELEMENTS, found },
        { primary: { span: expr.span, text: `${describe(left)} and ${describe(right)}` } },
      );
    }
    return { kind: 'list', items: [...left.items, ...right.items] };
  }
  return engine.report.stop(
    'ESP0228',
    { op: expr.op, left: describe(left), right: describe(right) },
    {
      primary: { span: expr.span, text: 'this calculation' },
      secondary: [
        { span: expr.left.span, text: describe(left) },
        { span: expr.right.span, text: describe(right) },
      ],
    },
  );
}

/** What is calculated with a number and each of a list of numbers, such as the sides of a grid. (`+` joins lists.) */
const EACH: ReadonlySet<BinaryOp> = new Set(['-', '*', '/', '%']);

const isNumbers = (v: Val): boolean =>
  v.kind === 'list' && v.items.length > 0 && v.items.every((i) => i.kind === 'num');

function numbers(engine: Engine, expr: BinaryExpr, l: NumVal, r: NumVal): Val {
  const a = l.value;
  const b = r.value;
  const wholes = l.whole && r.whole;
  if (isOpen(l) || isOpen(r)) return multiples(engine, expr, l, r);
  switch (expr.op) {
    case '==':
      return bool(a === b);
    case '!=':
      return bool(a !== b);
    case '<':
      return bool(a < b);
    case '<=':
      return bool(a <= b);
    case '>':
      return bool(a > b);
    case '>=':
      return bool(a >= b);
    case '+':
      return finite(engine, expr, l, r, num(a + b, wholes));
    case '-':
      return finite(engine, expr, l, r, num(a - b, wholes));
    case '*':
      return finite(engine, expr, l, r, num(a * b, wholes));
    case '/': {
      const q = a / b;
      if (wholes && b !== 0 && !Number.isInteger(q)) {
        return { kind: 'num', value: q, whole: false, inexact: { left: a, right: b, span: expr.span } };
      }
      return finite(engine, expr, l, r, num(q, wholes));
    }
    case '%':
      // The result has the sign of the divisor, so that indices wrap around.
      return finite(engine, expr, l, r, num(a - b * Math.floor(a / b), wholes));
    default:
      return engine.report.stop(
        'ESP0228',
        { op: expr.op, left: describe(l), right: describe(r) },
        { primary: { span: expr.span, text: 'this calculation' } },
      );
  }
}

/** What can be said of multiples of the batch for every batch: products with whole numbers, exact quotients, sums and equality of multiples. */
function multiples(engine: Engine, expr: BinaryExpr, l: NumVal, r: NumVal): Val {
  const [a, b] = [l.value, r.value];
  const both = isOpen(l) && isOpen(r);
  switch (expr.op) {
    case '*':
      if (!both && l.whole && r.whole && a * b >= 0 && Number.isSafeInteger(a * b)) return num(a * b);
      break;
    case '/':
      if (isOpen(l) && r.whole && b > 0 && Number.isInteger(a / b) && (both || isBatch(a / b))) return num(a / b);
      break;
    case '+':
    case '-':
      if (both && (expr.op === '+' || a > b)) return num(expr.op === '+' ? a + b : a - b);
      if (both && a === b) return num(0);
      break;
    case '==':
    case '!=':
      if (both) return bool((a === b) === (expr.op === '=='));
      break;
    default:
  }
  return unknown(engine, `${showNumber(a)} ${expr.op} ${showNumber(b)}`, expr.span);
}

function finite(engine: Engine, expr: BinaryExpr, l: NumVal, r: NumVal, v: NumVal): Val {
  if (Number.isFinite(v.value)) {
    ownNumber(engine, v.value, expr.span);
    const inexact = v.whole ? undefined : (l.inexact ?? r.inexact);
    return inexact ? { ...v, inexact } : v;
  }
  const what = `${showNumber(l.value)} ${expr.op} ${showNumber(r.value)}`;
  const value = (expr.op === '/' || expr.op === '%') && r.value === 0 ? 'a division by zero' : 'too large';
  return engine.report.stop('ESP0227', { what, value }, { primary: { span: expr.span, text: 'this calculation' } });
}

type Trace = (b: Builder, x: Value, y: Value, o: About) => Value;
const TENSOR_OPS: { readonly [O in BinaryOp]: Trace } = {
  '+': (b, x, y, o) => b.add(x, y, o),
  '-': (b, x, y, o) => b.sub(x, y, o),
  '*': (b, x, y, o) => b.mul(x, y, o),
  '/': (b, x, y, o) => b.div(x, y, o),
  '%': (b, x, y, o) => b.mod(x, y, o),
  '@': (b, x, y, o) => b.matmul(x, y, o),
  '==': (b, x, y, o) => b.eq(x, y, o),
  '!=': (b, x, y, o) => b.not(b.eq(x, y, o), o),
  '<': (b, x, y, o) => b.lt(x, y, o),
  '<=': (b, x, y, o) => b.le(x, y, o),
  '>': (b, x, y, o) => b.lt(y, x, o),
  '>=': (b, x, y, o) => b.le(y, x, o),
  and: (b, x, y, o) => b.and(x, y, o),
  or: (b, x, y, o) => b.or(x, y, o),
};

function tensors(engine: Engine, expr: BinaryExpr, left: Val, right: Val): Val {
  const dtype = dtypeOf([left, right].find(isTensorLike));
  // What is structurally zero or one leaves no operator behind, and no broadcast either.
  if (dtype !== 'bool') {
    if (expr.op === '+' && isZero(left)) return right;
    if ((expr.op === '+' || expr.op === '-') && isZero(right)) return left;
    if (expr.op === '*' && left.kind === 'num' && left.value === 1) return right;
    if ((expr.op === '*' || expr.op === '/') && right.kind === 'num' && right.value === 1) return left;
  }
  if (expr.op === '/' && isZero(right)) {
    const what = `${describe(left)} / 0`;
    engine.report.stop(
      'ESP0227',
      { what, value: 'a division by zero' },
      { primary: { span: expr.span, text: 'this calculation' } },
    );
  }
  const x = { value: engine.tensor(left, expr.left.span, dtype), span: expr.left.span };
  const y = { value: engine.tensor(right, expr.right.span, dtype), span: expr.right.span };
  return tensorVal(engine.trace(expr.op, expr.span, [x, y], (b, o) => TENSOR_OPS[expr.op](b, x.value, y.value, o)));
}

const isZero = (v: Val): boolean => v.kind === 'num' && v.value === 0;
