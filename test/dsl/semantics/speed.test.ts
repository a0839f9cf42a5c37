/** A large spec does not take long. */
import { describe, expect, it } from 'vitest';
import { check } from '../../../src/dsl/elaborate.js';
import { format } from '../../../src/dsl/format.js';
import { parse } from '../../../src/dsl/parse.js';
import { read } from '../../../src/dsl/semantics/models/options.js';
import { PATH } from './helper.js';
import { TINY } from './tiny.js';

const LONG = 100_000;
const SPAN = { file: PATH, start: 0, end: 0 };

describe('speed', () => {
  it('a spec of 10,000 lines checks in under a second', () => {
    const modules = Array.from(
      { length: 1300 },
      (_, i) => `module Mlp${i}(dim: int, hidden: int = 4 * dim) {
  fc1 = Linear(dim -> hidden)
  fc2 = Linear(hidden -> dim)
  forward(x: [b, n, dim]) {
    y = gelu(fc1(x))
    x + fc2(y)
  }
}`,
    );
    const adapts = Array.from(
      { length: 600 },
      (_, i) => `  adapt base.blocks[${i % 4}].mlp.fc1 with lora(rank: ${1 + (i % 3)})`,
    );
    const small = Array.from({ length: 250 }, (_, i) => `  adapt base.blocks[${i % 4}].attn.qkv.q with lora(rank: 2)`);
    const text = [
      'use std',
      TINY,
      ...modules,
      'model M {',
      '  base = tiny()',
      ...adapts.slice(0, 300),
      ...small,
      '}',
    ].join('\n');
    expect(text.split('\n').length).toBeGreaterThan(9_600);
    check(parse(PATH, 'use std\n').file, { readFile: () => undefined });
    const start = performance.now();
    const parsed = parse(PATH, text);
    const read = performance.now() - start;
    const found = check(parsed.file, { readFile: () => undefined });
    const checked = performance.now() - start - read;
    expect([...parsed.diagnostics, ...found]).toEqual([]);
    // Two cores are shared by many tests here; alone it is a fraction of that.
    expect(checked).toBeLessThan(2000);
  });

  it.each([
    [
      'digits and a letter as an option',
      () => read(`${'1'.repeat(LONG)}x`, { kind: 'type_name', name: 'float', span: SPAN }),
    ],
    ['blanks within a line', () => format(parse(PATH, `// a${' '.repeat(LONG)}b\nmodel M {\n}\n`).file)],
  ])('%s take time in proportion to their length', (_, reading) => {
    const before = process.cpuUsage().user;
    reading();
    // Each of these took ten seconds and more when a pattern tried every place to begin at.
    expect(process.cpuUsage().user - before).toBeLessThan(2e6);
  });
});
