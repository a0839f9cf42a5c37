/** Walks over kernel programs: every statement, every expression, and expressions rebuilt from the inside. */
import type { Expr, Stmt } from './types.js';

/** Every statement, outer ones before what is in them. */
export function eachStmt(list: readonly Stmt[], visit: (s: Stmt) => void): void {
  for (const s of list) {
    visit(s);
    for (const body of bodiesOf(s)) eachStmt(body, visit);
  }
}

export function bodiesOf(s: Stmt): readonly (readonly Stmt[])[] {
  switch (s.kind) {
    case 'if':
      return [...s.cases.map((c) => c.body), ...(s.otherwise ? [s.otherwise] : [])];
    case 'for':
    case 'block':
      return [s.body];
    default:
      return [];
  }
}

/** The expressions that a statement holds by itself, not in its bodies. */
export function exprsOf(s: Stmt): readonly Expr[] {
  switch (s.kind) {
    case 'let':
    case 'assign':
    case 'store':
      return [s.value];
    case 'var':
    case 'return':
      return s.value ? [s.value] : [];
    case 'array':
      return s.values;
    case 'put':
    case 'write':
      return [s.at, s.value];
    case 'if':
      return s.cases.map((c) => c.when);
    case 'for':
      return [s.from, s.below];
    case 'do':
      return s.args;
    default:
      return [];
  }
}

/** The operands of an expression. */
export function operandsOf(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'splat':
      return [e.x];
    case 'binary':
      return [e.a, e.b];
    case 'builtin':
    case 'call':
      return e.args;
    case 'vector':
      return e.parts;
    case 'component':
      return typeof e.at === 'number' ? [e.x] : [e.x, e.at];
    case 'fetch':
    case 'item':
      return [e.at];
    case 'collective':
      return e.lane ? [e.x, e.lane] : [e.x];
    default:
      return [];
  }
}

/** Every expression of a statement, apart from those in its bodies; operands after what they are operands of. */
export function eachExpr(s: Stmt, visit: (e: Expr) => void): void {
  for (const e of exprsOf(s)) into(e, visit);
}

/** Kernels hold thousands of expressions: the common kinds are gone through without a list of their operands. */
function into(e: Expr, visit: (e: Expr) => void): void {
  visit(e);
  switch (e.kind) {
    case 'literal':
    case 'name':
    case 'address':
    case 'below':
    case 'load':
      return;
    case 'binary':
      into(e.a, visit);
      into(e.b, visit);
      return;
    case 'splat':
      into(e.x, visit);
      return;
    default:
      for (const x of operandsOf(e)) into(x, visit);
  }
}

/** The expression with its operands replaced, in the order of `operandsOf`. */
export function withOperands(e: Expr, map: (x: Expr) => Expr): Expr {
  switch (e.kind) {
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'splat':
      return { ...e, x: map(e.x) };
    case 'binary':
      return { ...e, a: map(e.a), b: map(e.b) };
    case 'builtin':
    case 'call':
      return { ...e, args: e.args.map(map) };
    case 'vector':
      return { ...e, parts: e.parts.map(map) };
    case 'component':
      return typeof e.at === 'number' ? { ...e, x: map(e.x) } : { ...e, x: map(e.x), at: map(e.at) };
    case 'fetch':
    case 'item':
      return { ...e, at: map(e.at) };
    case 'collective':
      return e.lane ? { ...e, x: map(e.x), lane: map(e.lane) } : { ...e, x: map(e.x) };
    default:
      return e;
  }
}

/** The statement with the expressions that it and its bodies hold replaced. */
export function withExprs(s: Stmt, map: (e: Expr) => Expr): Stmt {
  const all = (body: readonly Stmt[]): Stmt[] => body.map((x) => withExprs(x, map));
  switch (s.kind) {
    case 'let':
    case 'assign':
    case 'store':
      return { ...s, value: map(s.value) };
    case 'var':
    case 'return':
      return s.value ? { ...s, value: map(s.value) } : s;
    case 'array':
      return { ...s, values: s.values.map(map) };
    case 'put':
    case 'write':
      return { ...s, at: map(s.at), value: map(s.value) };
    case 'if': {
      const cases = s.cases.map((c) => ({ when: map(c.when), body: all(c.body) }));
      return { ...s, cases, ...(s.otherwise ? { otherwise: all(s.otherwise) } : {}) };
    }
    case 'for':
      return { ...s, from: map(s.from), below: map(s.below), body: all(s.body) };
    case 'block':
      return { ...s, body: all(s.body) };
    case 'do':
      return { ...s, args: s.args.map(map) };
    default:
      return s;
  }
}
