/** How data flows through a model, for its picture. */
import { expect, test } from 'vitest';
import { analyse } from '../../src/api/index.js';
import { flowOf } from '../../src/api/inspect/flow.js';
import type { SiteNode } from '../../src/dsl/elaborated.js';

const TEXT = `use std

module Odd(dim: int) {
  last = Linear(dim -> dim)
  first = Linear(dim -> 2 * dim)
  middle = Linear(2 * dim -> dim)
  unused = Linear(dim -> dim)
  forward(x: [b, n, dim]) {
    y = middle(relu(first(x)))
    x + last(x + y)
  }
}

backbone odd(dim: int = 8) {
  embed = Conv2d(3 -> dim, kernel: 4, stride: 4)
  block = Odd(dim)
  class_tokens = 0
  register_tokens = 0
  forward(pixels: [b, 3, 8, 8]) { block(rearrange(embed(pixels), "b d h w -> b (h w) d")) }
}

model M {
  base = odd()
  head = classify(base, pool: mean, classes: 2)
}
`;

test('follows data, not the order of declarations, and finds what passes by', async () => {
  const { value, diagnostics } = await analyse({ text: TEXT, path: 'odd.peft' });
  expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
  const flow = flowOf(value!.elaborated!);
  const find = (node: SiteNode, path: string): SiteNode | undefined =>
    node.path === path ? node : node.children.map((c) => find(c, path)).find((n) => n !== undefined);
  const block = find(value!.elaborated!.root, 'base.block')!;
  const ordered = flow.order(block.children);
  expect(ordered.map((n) => n.path.split('.').at(-1))).toEqual(['first', 'middle', 'last', 'unused']);
  expect(ordered.map((n) => flow.shapeOf(n))).toEqual([[4, 16], [4, 8], [4, 8], undefined]);
  // Past the first two, and past all three.
  expect(flow.skips(block, ordered)).toEqual([
    { from: -1, to: 1 },
    { from: -1, to: 2 },
  ]);
});
