/** Frames, their JSON form, suggestions and pages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/diagnostics/catalogue.js';
import { explain } from '../../src/diagnostics/explain.js';
import { render, toJson } from '../../src/diagnostics/render.js';
import { editDistance, nearest } from '../../src/diagnostics/suggest.js';
import type { Diagnostic, Label } from '../../src/diagnostics/types.js';
import { expectGolden } from '../golden.js';

/** The place of the n-th occurrence of `what`. */
function label(file: string, text: string, what: string, say: string, n = 0): Label {
  let start = text.indexOf(what);
  for (let i = 0; i < n; i++) start = text.indexOf(what, start + 1);
  if (start < 0) throw new Error(`${what} is not in the text`);
  return { span: { file, start, end: start + what.length }, text: say };
}
const make = (
  primary: Label | undefined,
  secondary: readonly Label[] = [],
  help: readonly string[] = [],
): Diagnostic => ({
  code: 'ESP0301',
  severity: 'error',
  message: 'shapes differ',
  ...(primary ? { primary } : {}),
  secondary,
  help,
});
function frame(
  texts: Readonly<Record<string, string>>,
  d: Diagnostic,
  options: { color?: boolean; width?: number } = {},
): string {
  return render([d], {
    texts: (file) => texts[file],
    color: options.color ?? false,
    ...(options.width ? { width: options.width } : {}),
  });
}

describe('render', () => {
  test('labels on one line, on near and far lines, and in other files', () => {
    const a = 'x = matmul(left, right)\n\ny = 1\nz = 2\nw = 3\nleft = param [4, 8] zeros\n';
    const b = 'right = param [9, 4] zeros\n';
    expectGolden(
      'labels.txt',
      frame(
        { 'a.peft': a, 'b.peft': b },
        make(
          label('a.peft', a, 'matmul', 'these must agree'),
          [
            label('a.peft', a, 'left', '[4, 8]'),
            label('a.peft', a, 'right', '[9, 4]'),
            label('a.peft', a, 'y = 1', 'near'),
            label('a.peft', a, '[4, 8]', 'from here'),
            label('b.peft', b, '[9, 4]', 'and here'),
          ],
          ['Transpose one of them.\nOr both.'],
        ),
      ),
    );
  });

  test('spans over several lines', () => {
    const text = 'a = f(\n  1,\n  2,\n  3\n)\n';
    expectGolden('multiline.txt', frame({ a: text }, make(label('a', text, text.trim().slice(4), 'this call'))));
  });

  test('tabs and wide characters keep the marks in place', () => {
    const text = '\tx = "漢字" + \t"é" + "e\u0301" + bad\n';
    expectGolden(
      'wide.txt',
      frame({ a: text }, make(label('a', text, 'bad', 'here'), [label('a', text, '漢字', 'wide')])),
    );
  });

  test('long lines are cut around what is marked', () => {
    const text = `x = ${'1 + '.repeat(200)}bad${' + 1'.repeat(200)}\n`;
    const shown = frame({ a: text }, make(label('a', text, 'bad', 'here')), { width: 80 });
    expectGolden('long.txt', shown);
    for (const line of shown.split('\n')) expect(line.length).toBeLessThan(100);
  });

  test('ends of lines and files', () => {
    const at = (text: string, start: number) =>
      frame({ a: text }, make({ span: { file: 'a', start, end: start }, text: 'end' }));
    expect(at('abc', 3)).toContain('a:1:4\n  |\n1 | abc\n  |    ^ end');
    expect(at('abc\r\ndef\r\n', 8)).toContain('2 | def\n  |    ^ end');
    expect(at('', 0)).toContain('a:1:1');
    expect(at('abc', 99)).toContain('a:1:4');
  });

  test('without a place, without a text', () => {
    expect(frame({}, make(undefined, [], ['Help.']))).toBe('error[ESP0301]: shapes differ\n  = help: Help.');
    expect(frame({}, make({ span: { file: 'gone.peft', start: 3, end: 4 }, text: 'x' }))).toBe(
      'error[ESP0301]: shapes differ\n --> gone.peft',
    );
  });

  test('colour only if asked for, and nothing in a text can colour the terminal', () => {
    const text = 'x = \u001b[31mred\u202e\n';
    const d = make(label('a', text, 'red', 'say \u001b[0m'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
    expect(frame({ a: text }, d)).not.toMatch(/[\u001b\u202e]/);
    expect(frame({ a: text }, d, { color: true })).toContain('\u001b[1;31merror[ESP0301]\u001b[0m');
  });

  test('marks exactly the marked characters of a line', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 30 }), fc.nat(), fc.nat(), (raw, a, b) => {
        const text = raw.replace(/[^ -~]/g, '.');
        const [start, end] = [a % (text.length + 1), b % (text.length + 1)].sort((x, y) => x - y) as [number, number];
        const lines = frame(
          { a: text },
          make({ span: { file: 'a', start, end }, text: '' }, [{ span: { file: 'a', start, end }, text: '' }]),
        ).split('\n');
        expect(lines[4]).toBe(`  | ${' '.repeat(start)}${'^'.repeat(Math.max(1, end - start))}`);
      }),
    );
  });
});

describe('toJson', () => {
  test('has lines and columns', () => {
    const text = 'a\n\u{1f600}b\n';
    const json = toJson(
      [{ ...make(label('f', text, 'b', 'here')), fix: { span: { file: 'f', start: 0, end: 1 }, text: 'z' } }],
      () => text,
    );
    expect(json).toEqual([
      {
        code: 'ESP0301',
        severity: 'error',
        message: 'shapes differ',
        primary: {
          file: 'f',
          start: { offset: 4, line: 2, column: 2 },
          end: { offset: 5, line: 2, column: 3 },
          text: 'here',
        },
        secondary: [],
        help: [],
        fix: { file: 'f', start: { offset: 0, line: 1, column: 1 }, end: { offset: 1, line: 1, column: 2 }, text: 'z' },
      },
    ]);
    expect(toJson([make(label('f', text, 'b', 'here'))], () => undefined)[0]?.primary?.start).toEqual({
      offset: 4,
      line: 0,
      column: 0,
    });
  });
});

describe('nearest', () => {
  test('finds slips, and does not guess', () => {
    const names = ['kernels', 'factor', 'rank', 'rescale', 'fc1', 'fc2'];
    expect(nearest('kernel', names)).toBe('kernels');
    expect(nearest('rnak', names)).toBe('rank');
    expect(nearest('RANK', names)).toBe('rank');
    expect(nearest('resclae', names)).toBe('rescale');
    expect(nearest('fc3', names)).toBe('fc1');
    expect(nearest('dropout', names)).toBeUndefined();
    expect(nearest('x', names)).toBeUndefined();
    expect(nearest('rank', ['rank'])).toBeUndefined();
    expect(nearest('a'.repeat(100_000), ['a'.repeat(99_999)])).toBeUndefined();
  });

  test('edit distance is a distance, and a limit only cuts it off', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 7 });
    fc.assert(
      fc.property(word, word, fc.nat(4), (a, b, limit) => {
        const d = editDistance(a, b);
        expect(editDistance(b, a)).toBe(d);
        expect(d === 0).toBe(a === b);
        expect(d).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, b, limit)).toBe(d <= limit ? d : limit + 1);
      }),
    );
    expect(editDistance('ab', 'ba')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });
});

describe('explain', () => {
  test('knows codes in any spelling', () => {
    const page = explain('ESP0101');
    expect(page).toMatch(/^# ESP0101: /);
    expect(explain('esp0101')).toBe(page);
    expect(explain('101')).toBe(page);
    expect(explain('ESP9999')).toBeUndefined();
    expect(explain('toString')).toBeUndefined();
  });
  test('every code has a title and a page that says something', () => {
    for (const [code, { title }] of Object.entries(CATALOGUE)) {
      expect(title.length, code).toBeGreaterThan(3);
      expect(explain(code)!.length, code).toBeGreaterThan(60);
    }
  });
});
