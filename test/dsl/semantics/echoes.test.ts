/** One slip is one message: what hangs on a line or a file that could not be read is silent, all else is said in the same run. */
import { describe, expect, it } from 'vitest';
import { codes, rendered, type Setup } from './helper.js';

const module = (body: string, forward = 'x', more = '') => `use std
module A(n: int) {
${body}
  forward(x: [b, 4]) { ${forward} }
}
model M {
  base = A(4)
${more}
}
`;

describe('a statement that cannot be read', () => {
  it.each<[string, string, string]>([
    ['binds its name all the same', module('  fc = Linear(n -> )', 'fc(x)'), 'ESP0101'],
    ['also where a bracket stays open', module('  fc = Linear(n -> n', 'fc(x)'), 'ESP0102'],
    ['binds all of its names', module('  p, q = factorize(n,, 2)', 'p * q * x'), 'ESP0101'],
    ['binds a labelled stretch', module('  site s(x) = (', 's(x)'), 'ESP0101'],
    ['in a forward', module('', '\n    y = x * * 2\n    y + 1\n  '), 'ESP0101'],
    ['can be selected', module('  fc = Linear(n -> )', 'fc(x)', '  adapt base.fc with lora(rank: 2)'), 'ESP0101'],
    ['may be the forward', 'module A() {\n  forward(x: [b 4]) { x }\n}\nmodel M {\n  base = A()\n}\n', 'ESP0101'],
    [
      'may be a declaration',
      'module A(n: ) {\n  forward(x: [b, 4]) { x }\n}\nmodel M {\n  base = A(4)\n}\n',
      'ESP0101',
    ],
    ['may be a binding of a model', 'use std\nmodel M {\n  base: vit()\n  tune base.norm\n}\n', 'ESP0114'],
    ['may be the only one', 'model M {\n  base +\n}\n', 'ESP0101'],
    [
      'may be half of a binding',
      'use std\nmodel M {\n  base = vit_auto() from “./x”\n  adapt base.blocks[*].mlp.fc1 with lora(rank: 2)\n}\n',
      'ESP0104',
    ],
    ['may be a number', `use std\nmodel M {\n  base = vit(dim: ${'9'.repeat(30)}, depth: 1, heads: 1)\n}\n`, 'ESP0107'],
  ])('%s', (_, text, code) => {
    expect(codes(text)).toEqual([code]);
  });

  it('hides nothing else', () => {
    const text = module(
      '  fc = Linear(n -> )\n  gc = Linear(m -> n)',
      'gc(hc(x))',
      '  adapt base.fc with lora(rnk: 2)',
    );
    expect(codes(text)).toEqual(['ESP0101', 'ESP0201', 'ESP0202', 'ESP0203']);
  });
});

describe('a file that cannot be found or read', () => {
  const text = `use std
use "./mine.peft"
model M {
  base = mine(dim: 8)
  head = classify(base, pool: clss, classes: 2)
  adapt base.fc with own(rank: 2)
  prune base.fc with best(sparsity: 50%)
}
`;
  it('has what is not found elsewhere', () => {
    expect(codes(text)).toEqual(['ESP0212', 'ESP0210']);
  });
  it('has what its damaged declarations are called, and nothing else', () => {
    const files: Setup['files'] = { 'mine.peft': 'backbone mine(dim: ) {\n  forward(x: [b, dim]) { x }\n}\n' };
    expect(codes(text, { files })).toEqual(['ESP0101', 'ESP0210', 'ESP0202', 'ESP0202']);
  });
  it('may be a part of the library', () => {
    const part = 'use std.vti\nmodel M {\n  base = vit_base_patch16()\n}\n';
    expect(codes(part)).toEqual(['ESP0211']);
  });
});

it('a name of the library is shown where to find', () => {
  const text = 'model M {\n  base = vit_base_patch16()\n  adapt base.norm with ssf()\n}\n';
  expect(rendered(text)).toMatch(/`use std\.vit`[\s\S]*`use std\.adapters`/);
});
