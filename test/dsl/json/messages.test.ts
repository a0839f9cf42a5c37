/** What is wrong with a spec in JSON is said at its line and column there. */
import { describe, expect, test } from 'vitest';
import { analyse } from '../../../src/api/index.js';
import { render } from '../../../src/diagnostics/render.js';
import { parseSpec } from '../../../src/dsl/json/index.js';

const spec = (path: string, text: string) => parseSpec(path, text).diagnostics;

/** A model around a statement. */
const body = (statement: string): string => `{ "model": { "name": "M", "body": [${statement}] } }`;

/** What is marked by `<` and `>` in the text is where the message has to be. */
function expectAt(marked: string, code: string, words: RegExp): void {
  const start = marked.indexOf('«');
  const end = marked.indexOf('»') - 1;
  const text = marked.replace('«', '').replace('»', '');
  const found = spec('a.json', text);
  const shown = render(found, { texts: () => text, color: false });
  const first = found.find((d) => d.code === code);
  expect(first, shown).toBeDefined();
  expect(`${first!.message} ${first!.help.join(' ')}`).toMatch(words);
  expect(first!.primary!.span, shown).toEqual({ file: 'a.json', start, end });
}

describe('text that is no JSON', () => {
  test.each<[string, RegExp]>([
    ['{ "use": «std» }', /words stand in double quotes/],
    ['{ "use": ["std"«}»', /a `[,\]]` is missing/],
    ['{ "use": "std" } «,»', /nothing may follow/],
    ['{ «// no»\n "use": "std" }', /no comments/],
    ['{ "use": «"std»', /no end/],
    ['{ "use": «"\\q"» }', /no such escape/],
    [`${'['.repeat(250)}«[»`, /nested more than 250 levels/],
  ])('%s', (text, words) => expectAt(text, 'ESP1307', words));

  test('empty, and with a comma behind the last item', () => {
    expect(spec('a.json', '').map((d) => d.code)).toEqual(['ESP1307']);
    expect(spec('a.json', '{ "use": ["std",] }').map((d) => d.code)).toEqual(['ESP1307']);
  });

  test('a mark of the encoding in front of it is none of it', () => {
    expect(spec('a.json', '\ufeff{ "use": "std" }')).toEqual([]);
  });

  test('zeros and sizes are refused as in any spec', () => {
    expect(spec('a.json', '{\0}').map((d) => d.code)).toEqual(['ESP0111']);
    expect(spec('a.json', ' '.repeat(2 ** 21 + 1)).map((d) => d.code)).toEqual(['ESP0110']);
  });
});

describe('JSON that is no spec', () => {
  test.each<[string, RegExp]>([
    ['«3»', /a spec is an object, not a number/],
    ['[«"model"»]', /a spec is an object/],
    ['{ «"modle"»: {} }', /no `modle`.*`model`/],
    ['{ "use": "std", «"use"»: "std" }', /twice/],
    ['{ "use": [«3»] }', /a `use` is a string/],
    ['{ "use": «{}» }', /needs `file`/],
    ['{ "code": [«3»] }', /a line of `code` is a string/],
    ['{ "code": ["function f() = 1", "«model M {}»"] }', /`model` has a key of its own/],
    ['{ "model": «{ "name": "M" }» }', /needs `body`/],
    ['{ "model": { "name": «"M M"», "body": [] } }', /letters, digits/],
    ['{ "model": { "name": "M", "body": «{}» } }', /`body` is a list/],
    ['{ "model": { "name": "M", "body": [], «"option"»: {} } }', /no `option`.*`options`/],
    ['{ "model": { "name": "M", "body": [], "options": { "a": «{}» } } }', /needs `type`/],
    [
      '{ "model": { "name": "M", "body": [], "options": { "a": { "type": «"int, b: int"» } } } }',
      /not a type and nothing else/,
    ],
    ['{ "model": { "name": "M", "body": [], "options": { "a": { "type": «"int = 3"» } } } }', /not a type/],
    ['{ «"deploy"»: {} }', /of no model/],
    ['{ "deploy": «3» }', /`deploy` is an object/],
    ['{ "deploy": { "model": "M", «"my batch"»: 3 } }', /letters, digits/],
    [body('«3»'), /a statement is an object/],
    [body('«{ "adpt": "x", "with": { "f": [] } }»'), /one of the keys name, in, adapt.*`adapt`/],
    [body('«{ "adapt": "x" }»'), /needs `with`/],
    [body('{ "tune": "x", «"with"»: { "f": [] } }'), /no `with`/],
    [body('{ "tune": «[]» }'), /selects nothing/],
    [body('{ "tune": «3» }'), /a selector is a string/],
    [body('{ "tune": «""» }'), /a selector is empty/],
    [body('{ "tune": «"a, b"» }'), /not a selector and nothing else/],
    [body('{ "tune": «"a\\n tune b"» }'), /not a selector and nothing else/],
    [body('{ "tune": «"a from \\"x\\""» }'), /not a selector and nothing else/],
    [body('{ "tune": "a", "from": «3» }'), /`from` is a string/],
    [body('{ "adapt": "a", "with": «"lora"» }'), /`with` is a call/],
    [body('{ "name": "x", "value": «{}» }'), /has one key/],
    [body('{ "name": "x", "value": «{ "f": [], "g": [] }» }'), /has one key/],
    [body('{ "name": "x", "value": { "f": «3» } }'), /a list or an object/],
    [body('{ "name": "x", "value": { «"if"»: [] } }'), /cannot be called/],
    [body('{ "name": "x", "value": { «"f g"»: [] } }'), /letters, digits/],
    [body('{ "name": "x", "value": { "f": { «"a b"»: 1 } } }'), /letters, digits/],
    [body('{ "name": "x", "value": { "f": { "$args": «1» } } }'), /`\$args` is a list/],
    [body('{ "name": "x", "value": { "$string": «1» } }'), /`\$string` is a string/],
    [body('{ "name": "x", "value": «1e999» }'), /too large/],
    [body('{ "name": "x", "value": «"1) + (2"» }'), /not an expression and nothing else/],
    [body('{ "name": "x", "value": «"1)\\nfunction g() = (2"» }'), /not an expression and nothing else/],
    [body('{ "name": "x", "value": «" "» }'), /an expression is empty/],
    ['{ "train": { "model": "M", "data": { "images": { «"paths"»: "./x" } } } }', /no option `paths`.*mean `path`/],
    ['{ "train": { "model": "M", "data": { «"image"»: { "path": "./x" } } } }', /no `image` here.*mean `images`/],
    [body('{ "for": «3», "below": 4, "body": [] }'), /what counts is a string/],
  ])('%s', (text, words) => expectAt(text, 'ESP1308', words));

  test('several mistakes are said in one go', () => {
    const text = '{ "modle": {}, "use": 3, "deploy": 4 }';
    expect(spec('a.json', text).map((d) => d.code)).toEqual(['ESP1308', 'ESP1308', 'ESP1308']);
  });
});

describe('texts in JSON', () => {
  test.each<[string, string, RegExp]>([
    [body('{ "name": "x", "value": "1 + «&» 2" }'), 'ESP0104', /`&`/],
    // Escapes take more room in the file than in the text.
    [body('{ "name": "x", "value": "\\"\\u0061\\\\n\\" + «&» 2" }'), 'ESP0104', /`&`/],
    [body('{ "tune": "a.«&»b" }'), 'ESP0104', /`&`/],
    ['{ "code": ["// \\"one\\"", "function f() = 1 + «&» 2"] }', 'ESP0104', /`&`/],
  ])('%s', (text, code, words) => expectAt(text, code, words));

  test('what the checker says is at its place, and nothing of the rest is an echo', async () => {
    const text = `{
  "use": "std",
  "model": {
    "name": "M",
    "options": { "n": { "type": "int", "default": 2 } },
    "body": [
      { "name": "base", "value": { "vit": { "image": 8, "patch": 4, "dim": 8, "depth": 1, "heads": "n" } } },
      { "name": "head", "value": { "classify": { "$args": ["base"], "classes": 2 } } },
      { "adapt": ["base.blocks[*].attn.qqv"], "with": { "lora": { "rnak": 2 } } }
    ]
  },
  "deploy": { "bacth": 1, "weights": "f8", "limits": "device" }
}
`;
    const { diagnostics } = await analyse({ text, path: 'm.json' });
    const said = diagnostics.filter((d) => d.severity === 'error');
    const marks = said.map((d) => `${d.code} ${text.slice(d.primary!.span.start, d.primary!.span.end)}`);
    expect(marks.sort()).toEqual(['ESP0203 rnak', 'ESP0250 bacth', 'ESP0251 f8', 'ESP0330 qqv'].sort());
    expect(render(said, { texts: () => text, color: false })).toMatch(/m\.json:12:\d+/);
  });
});
