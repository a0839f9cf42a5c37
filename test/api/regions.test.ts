/** Layer by layer, a merge is compared with what it replaces on the same numbers, also where the new side had to write down values of its own. */
import { expect, test } from 'vitest';
import { compile } from '../../src/api/compile.js';
import { host, vitSpec } from './support.js';

test.each([
  ['a mean beside the layer', 'base(x) + base(x) + mean(base(x), axis: -1, keep: true)'],
  ['a layer that cancels itself', 'base(x) - mean(base(x), axis: -1, keep: true) + (base(x) - base(x))'],
  ['a layer that is another of its values', 'roll(x, [1], [2]) + (x - x)'],
  ['a layer that reads nothing', 'base(x - x)'],
])('%s', async (_, forward) => {
  const own = `adapter own() on base: Linear(in -> out) {\n  forward(x) { ${forward} }\n}`;
  const spec = vitSpec('vit-grey', 'adapt base.blocks[*].attn.proj with own()', own);
  const compiled = await compile(spec, { host, golden: false });
  expect(compiled.report.length).toBeGreaterThan(0);
});
