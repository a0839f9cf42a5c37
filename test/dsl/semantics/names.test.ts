/** Each name of a spec is found once, before anything is worked out; evaluation asks nobody. */
import { describe, expect, test, vi } from 'vitest';
import type { NameExpr, Selector } from '../../../src/dsl/ast.js';
import { parse } from '../../../src/dsl/parse.js';
import { BUILTINS } from '../../../src/dsl/semantics/builtins/builtins.js';
import { Library } from '../../../src/dsl/semantics/names/library.js';
import { resolveNames } from '../../../src/dsl/semantics/names/resolve.js';
import { Report } from '../../../src/dsl/semantics/report.js';
import { nodesOf } from '../../../src/dsl/walk.js';
import { codes, good, PATH, wrongs } from './helper.js';
import { TINY } from './tiny.js';

function meanings(text: string): string[] {
  const { file, diagnostics } = parse(PATH, text);
  expect(diagnostics).toEqual([]);
  const report = new Report(PATH);
  const found = resolveNames(new Library(file, report, { readFile: () => undefined }), report, BUILTINS);
  const nodes = file.decls.flatMap((d) => [...nodesOf(d)]);
  // The names in a selector are those of the tree.
  const steps = new Set(nodes.flatMap((n) => (n as Partial<Selector>).steps ?? []) as object[]);
  const names = nodes.filter((n) => (n as NameExpr).kind === 'name' && !steps.has(n));
  return (names as NameExpr[]).sort((a, b) => a.span.start - b.span.start).map((e) => `${e.name}: ${found.of(e).kind}`);
}

test('what the names of a module mean', () => {
  const text = `module Inner(dim: int, form: plain | twice) {
  forward(x) { if form == twice { relu(x) } else { x } }
}
module Outer(dim: int) {
  inner = Inner(dim, form: twice)
  fc = Linear(dim -> dim)
  f = gelu
  forward(x: [b, n, dim]) { sum(i < n: f(fc(inner(x))) * i) }
}
`;
  expect(meanings(text)).toEqual([
    'form: local',
    'twice: word',
    'relu: operator',
    'x: local',
    'x: local',
    'Inner: declaration',
    'dim: local',
    'twice: word',
    'Linear: layer',
    'dim: local',
    'dim: local',
    'gelu: operator',
    'b: local',
    'n: local',
    'dim: local',
    'sum: operator',
    'n: local',
    'f: local',
    'fc: local',
    'inner: local',
    'x: local',
    'i: local',
  ]);
});

test('what the names of a model and its settings mean', () => {
  const text = `use std
${TINY}
model M(rank: int = 2) {
  base = tiny()
  for i < 2 { adapt base.blocks[i].mlp.fc1 with lora(rank: rank + i) }
  prune base.blocks[*].mlp.fc2 with magnitude(sparsity: 50%, scope: layer)
  head = classify(base, pool: cls, classes: 3)
}
deploy M { batch = [rank] }
`;
  expect(meanings(text)).toEqual([
    'vit_auto: declaration',
    'tiny: declaration',
    'i: local',
    'lora: declaration',
    'rank: local',
    'i: local',
    'magnitude: declaration',
    'layer: unknown',
    'classify: declaration',
    'base: local',
    'cls: word',
    'rank: local',
  ]);
  // `layer` is a word that the statement reads itself.
  good(text);
});

test('evaluation looks no name up', () => {
  const find = vi.spyOn(Library.prototype, 'find');
  const { file } = parse(
    PATH,
    `use std\n${TINY}\nmodel M {\n  base = tiny()\n  adapt base.blocks[*].attn.qkv with karst(rank: 1)\n}\n`,
  );
  const report = new Report(PATH);
  resolveNames(new Library(file, report, { readFile: () => undefined }), report, BUILTINS);
  const once = find.mock.calls.length;
  expect(once).toBeGreaterThan(20);
  find.mockClear();
  good(file.text);
  expect(find.mock.calls.length).toBe(once);
  find.mockRestore();
});

describe('one meaning in all places', () => {
  const body = (statements: string, forward = 'x') =>
    `module A(dim: int) {\n${statements}\n  forward(x: [b, dim]) { ${forward} }\n}\nmodel M {\n  base = A(dim: 4)\n}\n`;

  test('the name of a loop ends with the loop: after it an operator is one again', () => {
    good(body('  for sum < 2 { y = sum }', 'x * sum([1, 2])'));
    expect(codes(body('  for i < 2 { y = i }', 'x * i'))).toEqual(['ESP0201']);
  });

  test('a limit does not see the names beside it', () => {
    expect(wrongs(body('  t = table(i < 2, j < i: j)')).map((d) => d.code)).toEqual(['ESP0201']);
  });

  test('words of a list of choices are words wherever they stand', () => {
    const parts = 'module Parts(which: [left | right]) {\n  forward(x) { x }\n}\n';
    good(parts + body('  p = Parts(which: [left, right])', 'p(x)'));
    expect(codes(parts + body('  p = Parts(which: [left, rigth])', 'p(x)'))).toEqual(['ESP0210']);
  });

  test('what only an arm binds that is not taken is bound to nothing', () => {
    expect(codes(body('  if dim > 9 { y = 2 }', 'x * y'))).toEqual(['ESP0201']);
  });

  test('a misspelt word of an option that a variant hands on', () => {
    const text = (pool: string) =>
      `use std\n${TINY}\nvariant mine(pool: mean | max = mean) = tiny()\nmodel M {\n  base = mine(pool: ${pool})\n}\n`;
    good(text('max'));
    expect(codes(text('maxx'))).toEqual(['ESP0210']);
  });
});
