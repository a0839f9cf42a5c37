/** Walks of a syntax tree without recursion, and the limit on its depth: everything after the parser walks trees recursively. */
import type { NumberLit, Span } from './ast.js';

/** Levels of the tree, including those that no bracket shows, as in `1 + 1 + 1 + ...`. */
export const MAX_DEPTH = 600;

interface Node {
  readonly span?: Span;
}

/** Every object of a tree with its depth; lists are part of their node, not a level. */
function* walk(root: object): Generator<{ readonly node: object; readonly depth: number }> {
  const stack = [{ node: root, depth: 0 }];
  while (stack.length > 0) {
    const top = stack.pop()!;
    yield top;
    const { node, depth } = top;
    for (const key in node) {
      // Half of all objects are spans, and nothing is in them.
      if (key === 'span') continue;
      const child: unknown = node[key as keyof typeof node];
      if (typeof child !== 'object' || child === null) continue;
      stack.push({ node: child, depth: Array.isArray(child) ? depth : depth + 1 });
    }
  }
}

/** Every object of a tree. */
export function* nodesOf(root: object): Generator<object> {
  for (const { node } of walk(root)) yield node;
}

/** Where the tree under `root` is deeper than `MAX_DEPTH`; undefined if it is not. */
export function tooDeep(root: object): Span | undefined {
  let place: Span | undefined;
  for (const { node, depth } of walk(root)) {
    if (depth > MAX_DEPTH) return place ?? (node as Node).span;
    if (depth === 1) place = (node as Node).span ?? place;
  }
  return undefined;
}

/** The numbers of a tree that a word stands behind, as in `5 epochs`. */
export function* numbersWithUnits(root: object): Generator<NumberLit & { readonly unit: string }> {
  for (const { node } of walk(root)) {
    const number = node as NumberLit;
    if (number.kind === 'number' && number.unit !== undefined) yield { ...number, unit: number.unit };
  }
}
