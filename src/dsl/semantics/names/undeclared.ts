/** A name that no declaration in reach has: what is said, and what helps. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { Span } from '../../ast.js';
import { type Report, Stop } from '../report.js';
import { type Library, type Named, standardFileOf } from './library.js';

export interface Undeclared {
  /** What it should be: `adapter`. */
  readonly what: string;
  readonly name: string;
  readonly span: Span;
  /** What it is instead. */
  readonly found?: Named | undefined;
  /** Names that would do. */
  readonly candidates: Iterable<string>;
  /** What is marked; `not declared` unless told. */
  readonly text?: string;
  readonly help?: readonly string[];
}

/** Silent where the name may be in a file, or in lines, that could not be read. */
export function undeclared(library: Library, report: Report, u: Undeclared): never {
  const { what, name, span, text = 'not declared', help = [] } = u;
  const known = u.found !== undefined;
  if (!known && library.mayBeLost(name, span.file)) throw new Stop();
  const standard = known ? undefined : standardFileOf(name);
  const near = standard === undefined ? nearest(name, u.candidates) : undefined;
  const lines = [
    ...(standard === undefined
      ? []
      : [`It is in the standard library: write \`use std.${standard}\`, or \`use std\` for all of it.`]),
    ...(near === undefined ? [] : [`Did you mean \`${near}\`?`]),
    ...help,
  ];
  return report.stop('ESP0202', { what, name }, { primary: { span, text }, help: lines });
}

/** "a vit", "an adapter" */
export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
