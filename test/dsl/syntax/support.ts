/** What the tests of the syntax share: comparing trees up to spans, and generators of specs. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { render } from '../../../src/diagnostics/render.js';
import { format } from '../../../src/dsl/format.js';
import { parse } from '../../../src/dsl/parse.js';

/** A tree without its spans. */
export function bare(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(bare);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => key !== 'span')
      .map(([key, value]) => [key, bare(value)]),
  );
}

/** What a person sees for this text. */
export function report(text: string, path = 'spec.peft'): string {
  return render(parse(path, text).diagnostics, { texts: () => text, color: false });
}

/** Parses text that must be without errors. */
export function parseClean(text: string) {
  const { file, diagnostics } = parse('spec.peft', text);
  if (diagnostics.length > 0) throw new Error(`${report(text)}\n\nin:\n${text}`);
  return file;
}

/** Formats `text`, and checks that the result means the same, keeps the comments and is a fixed point. */
export function formatted(text: string): string {
  const file = parseClean(text);
  const once = format(file);
  const again = parseClean(once);
  expect(bare(again.decls), once).toEqual(bare(file.decls));
  const texts = (comments: readonly { readonly text: string }[]) => comments.map((c) => c.text).sort();
  expect(texts(again.comments), once).toEqual(texts(file.comments));
  expect(format(again)).toBe(once);
  return once;
}

/** Checks one statement of a module, without the module around it. */
export function expectPrinted(statement: string, expected: string): void {
  const unindent = (text: string) => text.replace(/^ {2}/gm, '');
  const out = formatted(`module M() {\n${statement}\n}\n`);
  expect(unindent(out.slice('module M() {\n'.length, -'\n}\n'.length))).toBe(expected);
}

/** The same for one statement of a model. */
export function expectModelPrinted(statement: string, expected: string): void {
  const out = formatted(`model M {\n${statement}\n}\n`);
  expect(out.slice('model M {\n'.length, -'\n}\n'.length).replace(/^ {2}/gm, '')).toBe(expected);
}

// ---- Generated specs

const word = fc.constantFrom(
  'x',
  'dim',
  'base',
  'names',
  'head',
  'in',
  'out',
  'site',
  'from',
  'with',
  'adapt',
  'model',
  'q',
);
const number = fc.constantFrom(
  '0',
  '4',
  '007',
  '1.0',
  '0.50',
  '1e-3',
  '2E+4',
  '50%',
  '12.5%',
  '1e2',
  '1.5e-7%',
  '5 epochs',
);
const string = fc.constantFrom('""', '"a b"', '"b h n d -> (b h)"', '"\\"\\\\\\n"', '"ünï → 漢"', '"// no comment"');
const binary = fc.constantFrom('+', '-', '*', '/', '%', '@', 'and', 'or', '==', '<', '>=');
const list = (item: fc.Arbitrary<string>, max = 3) =>
  fc.array(item, { maxLength: max }).map((items) => items.join(', '));

const expressions = fc.letrec<{ e: string; operand: string; arg: string; index: string; stmt: string; block: string }>(
  (tie) => ({
    e: fc.oneof(
      { maxDepth: 5, depthSize: 'small', withCrossShrink: true },
      word,
      number,
      string,
      fc.constantFrom('true', 'false', 'none'),
      tie('operand'),
      fc.tuple(tie('operand'), binary, tie('operand')).map(([a, op, b]) => `${a} ${op} ${b}`),
      fc
        .tuple(tie('operand'), fc.constantFrom('*', '/', '%', '@', '+', '-'), tie('operand'), tie('operand'))
        .map(([a, op, b, c]) => `${a} ${op} ${b} - ${c} ${op} ${a}`),
      tie('operand').map((a) => `- ${a}`),
      tie('operand').map((a) => `not ${a}`),
      fc.tuple(tie('operand'), tie('operand')).map(([a, b]) => `(${a} -> ${b})`),
    ),
    operand: fc.oneof(
      { maxDepth: 5, depthSize: 'small', withCrossShrink: true },
      word,
      tie('e').map((e) => `(${e})`),
      fc.tuple(word, list(tie('arg'))).map(([f, args]) => `${f}(${args})`),
      fc.tuple(word, list(tie('e'))).map(([f, args]) => `${f}(\n  ${args}\n)`),
      fc.tuple(word, tie('operand'), tie('e')).map(([f, limit, body]) => `${f}(i < ${limit}: ${body})`),
      fc.tuple(word, tie('operand'), tie('e')).map(([f, limit, body]) => `${f}(i < ${limit}, j < 2: ${body}, axis: 0)`),
      fc.tuple(tie('operand'), word).map(([a, b]) => `(${a}).${b}`),
      fc.tuple(word, tie('index'), tie('index')).map(([a, i, j]) => `${a}[${i}, ${j}]`),
      list(tie('e')).map((items) => `[${items}]`),
      tie('e').map((e) => `{q: ${e}, names: 3}`),
      fc.tuple(tie('e'), tie('block'), tie('block')).map(([c, a, b]) => `(if (${c}) ${a} else ${b})`),
      fc.tuple(tie('operand'), tie('block')).map(([n, b]) => `(repeat i < ${n} ${b})`),
      fc.tuple(list(tie('e')), tie('operand')).map(([shape, init]) => `(shared param [${shape}] (${init}))`),
    ),
    arg: fc.oneof(
      tie('e'),
      fc.constant('2:4'),
      fc.tuple(fc.constantFrom('axis', 'if', 'from'), tie('e')).map(([k, v]) => `${k}: ${v}`),
      fc.tuple(tie('operand'), tie('operand')).map(([a, b]) => `${a} -> ${b}`),
    ),
    index: fc.oneof(
      tie('e'),
      fc.constantFrom(':', 'new', '..', '0..4'),
      fc.tuple(tie('operand'), tie('operand')).map(([a, b]) => `${a}..${b}`),
      tie('operand').map((a) => `..${a}`),
    ),
    stmt: fc.oneof(
      tie('e').map((e) => `y = ${e}`),
      tie('e').map((e) => `a, b = ${e}`),
      tie('e').map((e) => `(${e})`),
      fc.tuple(tie('e'), tie('block'), tie('block')).map(([c, a, b]) => `if (${c}) ${a} else if x ${b}`),
      fc.tuple(tie('operand'), tie('block'), tie('block')).map(([c, a, b]) => `if ${c} ${a} else ${b}`),
      fc.tuple(tie('operand'), tie('block')).map(([n, b]) => `for i < ${n} ${b}`),
    ),
    block: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      tie('e').map((e) => `{ (${e}) }`),
      tie('e').map((e) => `{ y = ${e} }`),
      fc.constant('{}'),
      fc.array(tie('stmt'), { minLength: 1, maxLength: 3 }).map((body) => `{\n${body.join('\n')}\n}`),
    ),
  }),
);

const selector = fc.constantFrom(
  'base.blocks[*].{attn.*, mlp.fc1}',
  '**.fc1',
  'base.**.bias',
  'head',
  'attn.qkv.q',
  'blocks[0..6].**',
  '*',
  'blocks[5, 11]',
  '{a, b[*]}.c',
);
const modelStatement = fc.oneof(
  fc.tuple(word, expressions.e, fc.constantFrom('', ' from "./x"')).map(([n, e, f]) => `${n} = ${e}${f}`),
  fc.tuple(selector, selector, list(expressions.arg)).map(([s, t, args]) => `adapt ${s}, ${t} with lora(${args})`),
  fc.tuple(selector, list(expressions.arg)).map(([s, args]) => `prune ${s}\n  with magnitude(${args})\n  from "mask"`),
  fc
    .tuple(selector, fc.constantFrom('fixed', 'bisection', 'recoverability', 'nobody'), list(expressions.arg))
    .map(([s, search, args]) => `prune ${s} with magnitude() by ${search}(${args})`),
  selector.map((s) => `tune ${s}`),
  fc.tuple(string, string).map(([a, b]) => `ignore ${a},\n ${b}`),
  selector.map((s) => `in ${s} {\n\n tune x\n\n\n tune y }`),
  fc.tuple(expressions.operand, selector).map(([n, s]) => `for i < ${n}\n{ tune ${s}\n for j < i { } }`),
  fc.tuple(expressions.operand, selector).map(([c, s]) => `if ${c} { tune ${s} } else if x {\n tune ${s}\n} else { }`),
);
const declaration = fc.oneof(
  fc.constantFrom('use std', 'use std.vit', 'use "./mine.peft"', 'criterion m(weight: [out, in], input) = abs(weight)'),
  fc
    .array(expressions.stmt, { maxLength: 4 })
    .map((body) => `module M(a: int, b: none | x = none, c: [int] | string) {\n${body.join('\n')}\n}`),
  fc
    .tuple(expressions.block, expressions.e)
    .map(
      ([b, e]) =>
        `adapter a(rank: int = 8) on base: Linear(in -> out)\n{\n site s(x: [b, 4], y) = ${e}\n forward(x) ${b}\n}`,
    ),
  fc
    .tuple(expressions.e, expressions.e)
    .map(
      ([a, b]) =>
        `variant v = vit(${a}) {\n preprocess = ${b}, crop(3)\n names hf {\n prefix "a."\n ignore "b", "*.c"\n head "d" = f(base, g: rows)\n optional "a.{i + 1}"\n or "b.{i}" = x[i].y }\n}`,
    ),
  fc
    .tuple(expressions.e, expressions.operand)
    .map(
      ([a, b]) =>
        `variant v = vit() {\n config hf {\n match "a" or "b" = "c",\n none\n several "d" = true\n labels "e" or "f"\n dim = count("g") or ${b}\n set "h" = ${a}\n }\n processor hf { "i" = ${a} }\n}`,
    ),
  expressions.e.map((e) => `variant v(n: int) = ${e}`),
  expressions.e.map((e) => `function f(n: int | none = none, x: tensor) =\n  ${e}`),
  fc.array(modelStatement, { maxLength: 4 }).map((body) => `model M(rank: int) {\n${body.join('\n')}\n}`),
  fc.array(expressions.e, { maxLength: 3 }).map((body) => `train M {\n${body.map((e) => `loss = ${e}`).join('\n')}\n}`),
);

/** Specs that parse, written untidily: many line breaks, blank lines, parentheses and spellings. */
export const specs: fc.Arbitrary<string> = fc
  .array(declaration, { minLength: 1, maxLength: 4 })
  .map((decls) => `${decls.join('\n\n\n')}\n`);

/** Specs of the kinds that have a JSON form. */
export const plainSpecs: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom('use std', 'use std.vit', 'use "./mine.peft"'),
      fc
        .tuple(fc.constantFrom('', '(rank: int = 8, mode: none | x = x)'), fc.array(modelStatement, { maxLength: 4 }))
        .map(([options, body]) => `model M${options} {\n${body.join('\n')}\n}`),
      fc
        .tuple(fc.constantFrom('train', 'deploy'), fc.array(expressions.e, { maxLength: 3 }))
        .map(([kind, body]) => `${kind} M {\n${body.map((e) => `loss = ${e}`).join('\n')}\n}`),
    ),
    { maxLength: 4 },
  )
  .map((decls) => decls.join('\n'));

/** Puts a comment at the end of some lines, and on lines of their own before others. */
export function withComments(text: string, choices: readonly number[]): string {
  let n = 0;
  return text
    .split('\n')
    .map((line, i) => {
      const choice = choices.length === 0 ? 0 : choices[i % choices.length]! % 6;
      if (choice === 1) return `${line} // c${n++}`;
      if (choice === 2) return `   // c${n++}\n${line}`;
      if (choice === 3) return `// c${n++}\n\n// c${n++}\n${line} // c${n++}`;
      return line;
    })
    .join('\n');
}
