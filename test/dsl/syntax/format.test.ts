/** The formatter: what it makes of single statements is in `print.test.ts`; here are whole files, comments and properties. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectGolden } from '../../golden.js';
import { formatted, specs, withComments } from './support.js';

const sketch = readFileSync(new URL('./fixtures/sketch.peft', import.meta.url), 'utf8');

describe('format', () => {
  test('the sketch', () => {
    expectGolden('sketch.peft', formatted(sketch));
  });

  test('is idempotent and keeps the tree and the comments, for generated specs', () => {
    fc.assert(
      fc.property(specs, fc.array(fc.nat(), { maxLength: 12 }), (text, choices) => {
        formatted(withComments(text, choices));
      }),
      { numRuns: 400 },
    );
  });

  test('a word of statements is a name in an expression that a long line was broken in', () => {
    const long = Array.from({ length: 9 }, (_, i) => `a_rather_long_name_${i}`).join(' + ');
    formatted(`model M(rank: int) {\n  x = if ${long} + adapt {} else { rank }\n}\n`);
    formatted(`model M(rank: int) {\n  x = ${long} + tune * rank\n}\n`);
  });

  test('keeps comments wherever a line may end in the sketch', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 40 }), (choices) => {
        formatted(withComments(sketch, choices));
      }),
      { numRuns: 30 },
    );
  });

  test('treats every kind of line end alike', () => {
    const plain = formatted(sketch);
    expect(formatted(sketch.replaceAll('\n', '\r\n'))).toBe(plain);
    expect(formatted(sketch.replaceAll('\n', '\r'))).toBe(plain);
    expect(formatted(`\ufeff${sketch}`)).toBe(plain);
  });
});
