/** How `config` and `processor` blocks write what they read: fields, alternatives, and what kind of number a field must be. */
import type { ConfigBlock, Expr, ModuleDecl, NameExpr, VariantDecl } from '../../ast.js';
import type { Named } from './library.js';

/**
 * Ways to read a field other than by its option's type: a whole number of at least 1, the same written twice or once (the side of a square, after
 * channels or without), a number that is not negative, a word of the option's that the file may spell otherwise.
 */
export const READERS = ['count', 'square', 'amount', 'word'] as const;
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

export interface FieldReading {
  readonly path: string;
  readonly reader?: Reader;
  /** Of `word`: the option's words by what the file calls them. */
  readonly words?: ReadonlyMap<string, string>;
}

/** `"field"`, `count("field")` or `word("field", swish: silu)`; undefined for what reads no field. */
export function readingOf(e: Expr): FieldReading | undefined {
  if (e.kind === 'string') return { path: e.value };
  const reader = readerOf(e);
  const [first, ...spellings] = e.kind === 'call' ? e.args : [];
  if (!reader || first?.value.kind !== 'string') return undefined;
  const path = first.value.value;
  if (reader !== 'word') return { path, reader };
  const words = spellings.flatMap(({ name, value }) => {
    const word = value.kind === 'none' ? 'none' : value.kind === 'name' ? value.name : undefined;
    return name && word !== undefined ? [[name.name, word] as const] : [];
  });
  return { path, reader, words: new Map(words) };
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

const processorsOf = (v: VariantDecl): ConfigBlock[] => v.configs.filter((c) => c.kind === 'processor');

/** Whether a block is for every file of its layout, by its first `match`: `match "architecture" = "*"`. */
const isForAll = (b: ConfigBlock): boolean => {
  const [first] = b.entries.flatMap((e) => (e.kind === 'match' ? [e] : []));
  return first?.values.some((v) => v.kind === 'string' && v.value === '*') === true;
};

/**
 * The `processor` blocks of variants, the nearest first, with those that they are lent: a library may preprocess all its families alike. Of a layout whose
 * configurations the variants read, and of whose preprocessing they say nothing, those are theirs that are for every file of it, whoever says them.
 */
export function processorsFor(variants: readonly VariantDecl[], inReach: readonly VariantDecl[]): ConfigBlock[] {
  const own = variants.flatMap(processorsOf);
  const said = new Set(own.map((b) => b.layout.name));
  const layouts = variants.flatMap((v) => v.configs.flatMap((c) => (c.kind === 'config' ? [c.layout.name] : [])));
  const open = new Set(layouts.filter((l) => !said.has(l)));
  return [...own, ...inReach.flatMap(processorsOf).filter((b) => open.has(b.layout.name) && isForAll(b))];
}
