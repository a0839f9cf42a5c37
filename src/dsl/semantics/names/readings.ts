/** How `config` and `processor` blocks write what they read: fields, alternatives, and what kind of number a field must be. */
import type { Expr, ModuleDecl, NameExpr, VariantDecl } from '../../ast.js';
import type { Named } from './library.js';

/**
 * Ways to read a field other than by its option's type: a whole number of at least 1, the same written twice or once (the side of a square),
 * a number that is not negative.
 */
export const READERS = ['count', 'square', 'amount'] as const;
export type Reader = (typeof READERS)[number];

/** The alternatives of `a or b or c`. */
export function alternatives(e: Expr): Expr[] {
  return e.kind === 'binary' && e.op === 'or' ? [...alternatives(e.left), ...alternatives(e.right)] : [e];
}

/** The paths of `"a" or "b"`; undefined where it is anything else. */
export function pathsOf(e: Expr): string[] | undefined {
  const paths = alternatives(e).flatMap((a) => (a.kind === 'string' ? [a.value] : [undefined]));
  return paths.every((p) => p !== undefined) ? paths : undefined;
}

/** The reader that a call names, well formed or not. */
export function readerOf(e: Expr): Reader | undefined {
  if (e.kind !== 'call' || e.callee.kind !== 'name') return undefined;
  const { name } = e.callee;
  return READERS.find((r) => r === name);
}

/** `"field"` or `count("field")`; undefined for what reads no field. */
export function readingOf(e: Expr): { readonly path: string; readonly reader?: Reader } | undefined {
  if (e.kind === 'string') return { path: e.value };
  const reader = readerOf(e);
  const [only] = e.kind === 'call' ? e.args : [];
  return reader && only?.value.kind === 'string' ? { path: only.value.value, reader } : undefined;
}

/** The declaration that a name stands for. */
export type Declared = (e: NameExpr) => Named | undefined;

/** The backbone that a variant fills in at last; undefined where that goes wrong, which is reported elsewhere. */
export function backboneOf(declared: Declared, decl: VariantDecl): ModuleDecl | undefined {
  const seen = new Set<VariantDecl>();
  let v = decl;
  while (!seen.has(v)) {
    seen.add(v);
    const callee = v.value.kind === 'call' && v.value.callee.kind === 'name' ? v.value.callee : undefined;
    const next = callee && declared(callee);
    if (next?.kind === 'backbone' || next?.kind === 'module') return next;
    if (next?.kind !== 'variant') return undefined;
    v = next;
  }
  return undefined;
}
