/** Ways through the statements and expressions of a kernel program, for the verifier. */
import type { Index } from '../../read/indexing.js';
import type { Expr, Kernel, Stmt } from '../types.js';
import { eachExpr, eachStmt, exprsOf, operandsOf } from '../walk.js';

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

const PURE_STATEMENTS: ReadonlySet<Stmt['kind']> = new Set(['let', 'var', 'assign', 'return', 'comment']);
const IMPURE_EXPRESSIONS: ReadonlySet<Expr['kind']> = new Set([
  'load',
  'fetch',
  'item',
  'collective',
  'address',
  'below',
]);

/** Functions whose result depends on their arguments alone and which have no other effect. */
export function pureFunctions(kernel: Kernel): Set<string> {
  const pure = new Set<string>();
  for (const f of kernel.functions) {
    let clean = f.result !== undefined;
    eachStmt(f.body, (s) => {
      clean &&= PURE_STATEMENTS.has(s.kind);
      eachExpr(s, (e) => {
        clean &&= !IMPURE_EXPRESSIONS.has(e.kind) && (e.kind !== 'call' || pure.has(e.fn));
      });
    });
    if (clean) pure.add(f.name);
  }
  return pure;
}

/** Functions that reach workgroup memory, whose places have to be known by the thread's number. */
export function sharingFunctions(kernel: Kernel): Set<string> {
  const arrays = new Set(kernel.shared.map((a) => a.name));
  const sharing = new Set<string>();
  for (const f of kernel.functions) {
    const reaches = statements(f.body).some(
      (t) =>
        (t.kind === 'put' && arrays.has(t.array)) ||
        (t.kind === 'do' && sharing.has(t.fn)) ||
        exprsOf(t)
          .flatMap(nodes)
          .some((n) => (n.kind === 'item' && arrays.has(n.array)) || (n.kind === 'call' && sharing.has(n.fn))),
    );
    if (reaches) sharing.add(f.name);
  }
  return sharing;
}
