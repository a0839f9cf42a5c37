/** Ways through the statements and expressions of a kernel program, for the verifier. */
import type { Index } from '../indexing.js';
import type { Expr, Stmt } from './types.js';
import { operandsOf } from './walk.js';

/** The statements and those inside of them. */
export function statements(body: readonly Stmt[]): Stmt[] {
  return body.flatMap((s): Stmt[] => {
    if (s.kind === 'for' || s.kind === 'block') return [s, ...statements(s.body)];
    if (s.kind === 'if') return [s, ...[...s.cases.map((c) => c.body), s.otherwise ?? []].flatMap(statements)];
    return [s];
  });
}

/** The expression and those inside of it. */
export function nodes(e: Expr): Expr[] {
  return [e, ...operandsOf(e).flatMap(nodes)];
}

/** Names of the variables and arrays that the statements assign to. */
export function assigned(body: readonly Stmt[]): Set<string> {
  const all = statements(body);
  return new Set(all.flatMap((s) => (s.kind === 'assign' ? [s.name] : s.kind === 'put' ? [s.array] : [])));
}

/** Names that an expression reads, those of private arrays too. */
export function namesRead(e: Expr): Set<string> {
  return new Set(
    nodes(e).flatMap((n) => {
      switch (n.kind) {
        case 'name':
          return [n.name];
        case 'item':
          return [n.array];
        case 'address':
        case 'below':
          return variables(n.index);
        case 'load':
          return variables(n.at);
        default:
          return [];
      }
    }),
  );
}

function variables(x: Index): string[] {
  return x.terms.flatMap(({ atom }) => (atom.kind === 'var' ? [atom.name] : variables(atom.of)));
}
