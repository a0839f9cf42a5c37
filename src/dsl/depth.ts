/** The limit on how deep a syntax tree may be, checked without recursion: everything after the parser walks trees recursively. */
import type { Span } from './ast.js';

/** Levels of the tree, including those that no bracket shows, as in `1 + 1 + 1 + ...`. */
export const MAX_DEPTH = 600;

interface Node {
  readonly span?: Span;
}

/** Where the tree under `root` is deeper than `MAX_DEPTH`; undefined if it is not. */
export function tooDeep(root: object): Span | undefined {
  const stack: { readonly node: object; readonly depth: number }[] = [{ node: root, depth: 0 }];
  let place: Span | undefined;
  while (stack.length > 0) {
    const { node, depth } = stack.pop()!;
    if (depth > MAX_DEPTH) return place ?? (node as Node).span;
    if (depth === 1) place = (node as Node).span ?? place;
    for (const key in node) {
      // Half of all objects are spans, and nothing is in them.
      if (key === 'span') continue;
      const child: unknown = node[key as keyof typeof node];
      if (typeof child !== 'object' || child === null) continue;
      // Lists are part of their node, not a level.
      stack.push({ node: child, depth: Array.isArray(child) ? depth : depth + 1 });
    }
  }
  return undefined;
}
