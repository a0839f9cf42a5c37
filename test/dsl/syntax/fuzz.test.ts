/** Whatever the text is, reading it neither throws nor hangs, and every place that is reported lies in the text. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../../src/diagnostics/catalogue.js';
import { render, toJson } from '../../../src/diagnostics/render.js';
import { format } from '../../../src/dsl/format.js';
import { MAX_FILE_SIZE, parse } from '../../../src/dsl/parse.js';
import { bare, specs } from './support.js';

const sketch = readFileSync(new URL('./fixtures/sketch.peft', import.meta.url), 'utf8');
const words = [...new Set(sketch.match(/\w+|[^\s\w]+|\n/g))];
const marks = [
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  ',',
  ':',
  '=',
  '->',
  '..',
  '.',
  '*',
  '**',
  '-',
  '\n',
  ' ',
  '"',
  '//',
  '@',
  '%',
  ';',
  '\\',
];

function survives(text: string): void {
  const { file, diagnostics } = parse('f.peft', text);
  for (const d of diagnostics) {
    expect(Object.hasOwn(CATALOGUE, d.code)).toBe(true);
    for (const { span } of [...(d.primary ? [d.primary] : []), ...d.secondary]) {
      expect(
        span.start >= 0 && span.start <= span.end && span.end <= text.length,
        `${d.code} in ${JSON.stringify(text)}`,
      ).toBe(true);
    }
  }
  render(diagnostics, { texts: () => text, color: true, width: 60 });
  toJson(diagnostics, () => text);
  if (diagnostics.length > 0) return;
  // What is accepted can be written and read again.
  const again = parse('f.peft', format(file));
  expect(again.diagnostics, text).toEqual([]);
  expect(bare(again.file.decls), text).toEqual(bare(file.decls));
}

/** Removes, repeats or replaces stretches of a text. */
const mutated = fc
  .tuple(
    fc.constant(sketch),
    fc.nat(sketch.length),
    fc.nat(400),
    fc.array(
      fc.tuple(fc.nat(), fc.nat(8), fc.oneof(fc.constantFrom(...words, ...marks), fc.string({ maxLength: 3 }))),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
  )
  .map(([text, from, length, edits]) => {
    let part = text.slice(from, from + length);
    for (const [at, count, insert] of edits) {
      const place = at % (part.length + 1);
      part = part.slice(0, place) + insert + part.slice(place + count);
    }
    return part;
  });
const soup = fc.array(fc.constantFrom(...words, ...marks), { maxLength: 60 }).map((tokens) => tokens.join(' '));
const glued = fc.array(fc.constantFrom(...words, ...marks), { maxLength: 60 }).map((tokens) => tokens.join(''));

describe('reading survives', () => {
  const check = (name: string, texts: fc.Arbitrary<string>, numRuns: number) =>
    test(`${name} (${numRuns} cases)`, () => {
      fc.assert(fc.property(texts, survives), { numRuns });
    });
  check('random text', fc.string({ unit: 'binary', maxLength: 100 }), 2500);
  check('stretches of the sketch with edits', mutated, 3000);
  check('tokens in any order', soup, 2500);
  check('tokens in any order without blanks', glued, 1500);
  check(
    'a module with anything in it',
    soup.map((text) => `module M() {\n${text}\n}\nmodel A {\n${text}\n}`),
    1000,
  );

  test('the sketch, cut off anywhere', () => {
    fc.assert(
      fc.property(fc.nat(sketch.length), (end) => survives(sketch.slice(0, end))),
      { numRuns: 150 },
    );
  });

  test('valid specs with one token removed', () => {
    fc.assert(
      fc.property(specs, fc.nat(), (text, n) => {
        const tokens = text.split(/(?<=\W)|(?=\W)/);
        tokens.splice(n % tokens.length, 1);
        survives(tokens.join(''));
      }),
      { numRuns: 500 },
    );
  });
});

describe('hostile input gets one clear answer', () => {
  const codes = (text: string) => parse('f.peft', text).diagnostics.map((d) => d.code);

  test('empty files are empty specs', () => {
    expect(parse('f.peft', '')).toEqual({
      file: { path: 'f.peft', text: '', decls: [], comments: [] },
      diagnostics: [],
    });
    expect(codes(' \n\n\t\n')).toEqual([]);
    expect(codes('// only a comment')).toEqual([]);
  });

  test('binary and oversized files', () => {
    expect(codes('\u0000\u0001ELF')).toEqual(['ESP0111']);
    expect(codes('\ufffd\u0001\u0002'.repeat(100))).toEqual(['ESP0111']);
    expect(codes('x'.repeat(10_000_000))).toEqual(['ESP0110']);
    expect(codes(' '.repeat(MAX_FILE_SIZE))).toEqual([]);
  });

  const many = 20_000;
  test.each([
    ['parentheses', `module M() {\n x = ${'('.repeat(many)}\n}`],
    ['matched parentheses', `module M() {\n x = ${'('.repeat(many)}1${')'.repeat(many)}\n}`],
    ['calls', `module M() {\n x = ${'f('.repeat(many)}\n}`],
    ['lists', `module M() {\n x = ${'['.repeat(many)}\n}`],
    ['records', `module M() {\n x = ${'{a: '.repeat(many)}\n}`],
    ['signs', `module M() {\n x = ${'- '.repeat(many)}1\n}`],
    ['negations', `module M() {\n x = ${'not '.repeat(many)}1\n}`],
    ['sums', `module M() {\n x = ${'1 + '.repeat(many)}1\n}`],
    ['members', `module M() {\n x = a${'.b'.repeat(many)}\n}`],
    ['ifs', `module M() {\n x = ${'if '.repeat(many)}\n}`],
    ['if blocks', `module M() {\n${'if a {\n'.repeat(many)}\n}`],
    ['else ifs', `module M() {\n if x { } ${'else if x { } '.repeat(many)}\n}`],
    ['model else ifs', `model M {\n if x { } ${'else if x { } '.repeat(many)}\n}`],
    ['repeats', `module M() {\n x = ${'repeat i < '.repeat(many)}\n}`],
    ['in blocks', `model M {\n${'in x {\n'.repeat(many)}\n}`],
    ['selectors', `model M {\n tune ${'{a.'.repeat(many)}\n}`],
    ['types', `module M(a: ${'['.repeat(many)}\n`],
    ['indices', `module M() {\n x = ${'a['.repeat(many)}\n}`],
  ])('deep %s', (_name, text) => {
    const found = codes(text);
    expect(found).toContain('ESP0109');
    expect(found.length).toBeLessThan(5);
  });

  test('depth that the limits allow reaches the formatter and back', () => {
    for (const [open, close] of [
      ['(', ')'],
      ['f(', ')'],
      ['[', ']'],
      ['if a { ', ' } else { b }'],
      ['a[', ']'],
      ['-(', ')'],
    ] as const) {
      const text = `module M() {\n x = ${open.repeat(45)}1${close.repeat(45)}\n}`;
      expect(codes(text)).toEqual([]);
      survives(text);
    }
    survives(`module M() {\n x = ${'1 + '.repeat(399)}1\n y = a${'.b'.repeat(399)}\n}`);
  });

  test('floods of errors stop at a limit', () => {
    for (const line of ['y = = 3\n', 'y = $\n', '}\n', 'y = "abc\n', ') ', 'model x {\n y\n', '/* '])
      expect(codes(`module M() {\n${line.repeat(20_000)}}`).length).toBeLessThan(60);
  });

  test('unbalanced brackets by the hundred thousand', () => {
    const n = 100_000;
    expect(codes(`${'['.repeat(n)}${')'.repeat(n)}`)).toHaveLength(1);
    expect(codes(`${'{'.repeat(n)}\n${'}\n'.repeat(n)}`)).toHaveLength(1);
    expect(codes(`model a {${'('.repeat(n)}\n}`).length).toBeGreaterThan(0);
  });

  test('10,000 lines take well under the time that anyone would notice', () => {
    const text = sketch.repeat(Math.ceil(10_000 / sketch.split('\n').length));
    parse('warm.peft', sketch);
    const before = process.cpuUsage();
    const { file, diagnostics } = parse('long.peft', text);
    const { user, system } = process.cpuUsage(before);
    expect(diagnostics).toEqual([]);
    expect(file.decls.length).toBeGreaterThan(500);
    // Generous: about 0.3 s of processor time when measured.
    expect((user + system) / 1e6).toBeLessThan(3);
  });
});
