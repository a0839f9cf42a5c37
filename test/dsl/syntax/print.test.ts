/** One line a fact: what a statement means is shown by how it is printed. Each is also checked to be a fixed point. */
import { describe, expect, test } from 'vitest';
import type { Decl, Expr, Stmt } from '../../../src/dsl/ast.js';
import { spellNumber } from '../../../src/dsl/grammar/literals.js';
import { parse } from '../../../src/dsl/parse.js';
import { bare, expectModelPrinted, expectPrinted, formatted, parseClean } from './support.js';

/** The expression that a text is; undefined if it is none. */
function expression(text: string): Expr | undefined {
  const { file, diagnostics } = parse('x', `module M() {\n  y = ${text}\n}\n`);
  const [decl] = file.decls;
  const [bound] = decl?.kind === 'module' ? decl.body : [];
  return diagnostics.length === 0 && bound?.kind === 'bind' ? bound.value : undefined;
}

describe('expressions', () => {
  test('precedence and parentheses', () => {
    expectPrinted('y=((a+b)*c)', 'y = (a + b) * c');
    expectPrinted('y = (a*b)+c', 'y = a * b + c');
    expectPrinted('y = a - (b - c)', 'y = a - (b - c)');
    expectPrinted('y = (a - b) - c', 'y = a - b - c');
    expectPrinted('y = alpha/rank*x', 'y = (alpha / rank) * x');
    expectPrinted('y = a*b*c@d', 'y = a * b * c @ d');
    expectPrinted('y = -(a+b)', 'y = -(a + b)');
    expectPrinted('y = -a@b', 'y = -a @ b');
    expectPrinted('y = not(a==b)and c', 'y = not a == b and c');
    expectPrinted('y = (not a) == b', 'y = (not a) == b');
    expectPrinted('y = a or b and c', 'y = a or b and c');
    expectPrinted('y = (a or b) and c', 'y = (a or b) and c');
    expectPrinted('y = (a < b) == c', 'y = (a < b) == c');
    expectPrinted('y = (a).b(c)[0].T', 'y = a.b(c)[0].T');
    expectPrinted('y = (a + b).T', 'y = (a + b).T');
    expectPrinted('y = (a -> b) -> c', 'y = (a -> b) -> c');
    expectPrinted('y = (if a { 1 } else { 2 }) + 1', 'y = (if a { 1 } else { 2 }) + 1');
    expectPrinted('y = 1 + (if a { 1 } else { 2 })', 'y = 1 + if a { 1 } else { 2 }');
  });

  test('numbers keep their spelling', () => {
    expectPrinted('y = [4, 1.50, 1E-3, 50%, 12.5%, 5 epochs, 2:4]', 'y = [4, 1.50, 1e-3, 50%, 12.5%, 5 epochs, 2:4]');
    expectPrinted('y = 007', 'y = 7');
    expectPrinted('y = 8%3 + n % 2', 'y = 8 % 3 + n % 2');
  });

  test('numbers without a spelling get the shortest one', () => {
    const spell = (value: number, integer: boolean, percent = false) => spellNumber({ value, integer, percent });
    expect([
      spell(1, true),
      spell(1, false),
      spell(0.5, false, true),
      spell(0.07, false, true),
      spell(1e-7, false),
    ]).toEqual(['1', '1.0', '50%', '7%', '1e-7']);
    expect([spell(1.5e-9, false, true), spell(1e21, false), spell(3, false, true), spell(0, false, true)]).toEqual([
      '0.00000015%',
      '1e21',
      '300%',
      '0%',
    ]);
  });

  test('values of literals', () => {
    const value = (text: string) => bare(expression(text));
    expect(value('50%')).toEqual({ kind: 'number', value: 0.5, integer: false, percent: true });
    expect(value('7%')).toEqual({ kind: 'number', value: 0.07, integer: false, percent: true });
    expect(value('5 epochs')).toEqual({ kind: 'number', value: 5, integer: true, percent: false, unit: 'epochs' });
    expect(value('2:4')).toEqual({ kind: 'ratio', left: 2, right: 4 });
    expect(value('"a\\"\\\\\\n\\u{e9}"')).toEqual({ kind: 'string', value: 'a"\\\né' });
    expect(value('none')).toEqual({ kind: 'none' });
    expect(value('1 2')).toBeUndefined();
    expect(value('')).toBeUndefined();
  });

  test('strings are escaped where they must be', () => {
    expectPrinted('y = "a\\tb \\u{7} ünï \\\\"', 'y = "a\\tb \\u{7} ünï \\\\"');
  });

  test('words that are keywords elsewhere', () => {
    const text = 'model M(rank: int) {\n  x = shared param [4] with from "./x"\n  tune with\n}\n';
    expect(formatted(text)).toBe(text);
  });

  test('indices', () => {
    expectPrinted('y = x[:,0 .. n,new,..3,4..,-1]', 'y = x[:, 0..n, new, ..3, 4.., -1]');
    expectPrinted('new = x[new + 1]', 'new = x[new + 1]');
  });

  test('comprehensions, and comparisons that look like them', () => {
    expectPrinted('y = sum(i<n:x[i])', 'y = sum(i < n: x[i])');
    expectPrinted('y = table(i < 2: 4*i)', 'y = table(i < 2: 4 * i)');
    expectPrinted('y = table(i < a + 1, j < b: i+j, axis: 0)', 'y = table(i < a + 1, j < b: i + j, axis: 0)');
    expectPrinted('y = f(i < n, k: 2)', 'y = f(i < n, k: 2)');
    const call = expression('concat(p < n: x, axis: 0)');
    expect(call?.kind === 'call' && [call.generators.length, call.args.length]).toEqual([1, 2]);
  });

  test('records, arrows, parameters, repeats', () => {
    expectPrinted('qkv = Linear(dim->{q:dim,k:2*dim,})', 'qkv = Linear(dim -> {q: dim, k: 2 * dim})');
    expectPrinted('U = frozen shared param[a,b]normal(0.02)', 'U = shared frozen param [a, b] normal(0.02)');
    expectPrinted('b = repeat i<depth{Block(dim,i)}', 'b = repeat i < depth { Block(dim, i) }');
  });

  test('keywords are keywords only in their place', () => {
    expectPrinted('in, out = f(names, base: head, from: with)', 'in, out = f(names, base: head, from: with)');
    expectPrinted('tune = adapt.in + prune.if', 'tune = adapt.in + prune.if');
    expectPrinted('y = model * on', 'y = model * on');
    expectPrinted('site = 3', 'site = 3');
    expectPrinted('site site(x) = site(x)', 'site site(x) = site(x)');
    expectModelPrinted('names = vit(in: 3)', 'names = vit(in: 3)');
    expectModelPrinted('ignore = vit(in: 3)', 'ignore = vit(in: 3)');
    expectModelPrinted('adapt with, tune with with(rank: 4)', 'adapt with, tune with with(rank: 4)');
  });
});

describe('line breaks', () => {
  test('end a statement, but not where it must go on', () => {
    expectPrinted('y = a +\n  b', 'y = a + b');
    expectPrinted('y = a\n  @ b', 'y = a @ b');
    expectPrinted('y = f(\n a\n ,\n b)', 'y = f(a, b)');
    expectPrinted('y =\n  a\n  .b', 'y = a.b');
    expectPrinted('y = a\n-b', 'y = a\n-b');
    expectPrinted('y = a\n[b]', 'y = a\n[b]');
    expectPrinted('if a { x = 1 }\nelse { x = 2 }', 'if a { x = 1 } else { x = 2 }');
    expectPrinted('forward(x)\n{ x }', 'forward(x) { x }');
    expectModelPrinted('adapt a,\n b\n with lora(rank: 4)\n from "x"', 'adapt a, b with lora(rank: 4) from "x"');
  });

  test('single empty lines stay, others go', () => {
    expectPrinted('\n\na = 1\n\n\n\nb = 2\nc = 3\n\n', 'a = 1\n\nb = 2\nc = 3');
  });

  test('a block stays open if it was written so', () => {
    expectPrinted('forward(x) {\nx\n}', 'forward(x) {\n  x\n}');
    expectPrinted('if a {\nb = 1 } else { b = 2 }', 'if a {\n  b = 1\n} else {\n  b = 2\n}');
    expectPrinted('forward(x) { y = x\n y }', 'forward(x) {\n  y = x\n  y\n}');
  });

  test('what does not fit in 100 columns is broken', () => {
    const long = 'abcdefghijklmnopqrstuvwxyz';
    expectPrinted(
      `y = f(${long}, ${long}, k: ${long}, ${long})`,
      `y = f(\n  ${long},\n  ${long},\n  k: ${long},\n  ${long}\n)`,
    );
    expectPrinted(`y = ${long} + ${long} + ${long} + ${long}`, `y = ${long} + ${long} + ${long} +\n  ${long}`);
  });
});

describe('comments', () => {
  test('stay where they are', () => {
    expectPrinted(
      '// one\na = 1 // two\n\n// three\n\n// four\nb = 2\n// five',
      '// one\na = 1 // two\n\n// three\n\n// four\nb = 2\n// five',
    );
    expectPrinted('forward(x) { // note\n x }', 'forward(x) { // note\n  x\n}');
    expectPrinted('forward(x) {\n// only\n}', 'forward(x) {\n  // only\n}');
    expectPrinted('y = f(a, // first\n  // second\n  b)', 'y = f(\n  a, // first\n  // second\n  b\n)');
    expectPrinted('y = f( // none\n)', 'y = f(\n  // none\n)');
  });
  test('inside an operation move before the statement', () => {
    expectPrinted('y = a + // why\n  b', '// why\ny = a + b');
  });
});

describe('models', () => {
  test('selectors', () => {
    expectModelPrinted(
      'in base.blocks[ 0 .. 6 ] . { attn.* , mlp.fc1 }{ tune ** . fc1 }',
      'in base.blocks[0..6].{attn.*, mlp.fc1} {\n  tune **.fc1\n}',
    );
    expectModelPrinted('tune blocks[*], blocks[5,11], *', 'tune blocks[*], blocks[5, 11], *');
    expectModelPrinted('tune a[*].**', 'tune a[*].**');
    expect(parse('x', 'model M {\n  tune a..b\n}\n').diagnostics).not.toEqual([]);
  });
  test('loops', () => {
    expectModelPrinted(
      'for i<size( blocks ){adapt blocks[i] with lora( rank : 4+i )}',
      'for i < size(blocks) {\n  adapt blocks[i] with lora(rank: 4 + i)\n}',
    );
    expectModelPrinted('for = vit(for: 3)', 'for = vit(for: 3)');
  });

  test('what nobody wants', () => {
    expectModelPrinted('ignore "mask_token" ,\n "decoder.*"', 'ignore "mask_token", "decoder.*"');
    expect(parse('x', 'model M {\n  ignore mask_token\n}\n').diagnostics).not.toEqual([]);
  });

  test('conditions', () => {
    expectModelPrinted(
      'if a { tune x }\nelse if b {} else { tune y }',
      'if a {\n  tune x\n} else if b {} else {\n  tune y\n}',
    );
  });
});

describe('trees', () => {
  const decl = (text: string): Decl => parseClean(text).decls[0]!;
  const body = (text: string): readonly Stmt[] => {
    const node = decl(`module M() {\n${text}\n}`);
    return node.kind === 'module' ? node.body : [];
  };

  test('`use std.vit` names the part after `std`', () => {
    expect(bare(decl('use std'))).toEqual({ kind: 'use', path: { std: [] } });
    expect(bare(decl('use std.vit'))).toEqual({ kind: 'use', path: { std: ['vit'] } });
    expect(bare(decl('use "./a.peft"'))).toEqual({ kind: 'use', path: { file: './a.peft' } });
  });

  test('types of options', () => {
    const types = (text: string) => {
      const node = decl(`module M(a: ${text}) {}`);
      return node.kind === 'module' ? node.params[0]!.type.kind : undefined;
    };
    expect(['int', '[int]', 'none | scalar', 'int | [string]', 'int | none'].map(types)).toEqual([
      'type_name',
      'type_list',
      'type_enum',
      'type_union',
      'type_union',
    ]);
  });

  test('an `if` that comes last and has a value is an expression', () => {
    const kinds = (text: string) => body(text).map((node) => node.kind);
    expect(kinds('if a { b } else { c }')).toEqual(['expr']);
    expect(kinds('if a { b }')).toEqual(['if_stmt']);
    expect(kinds('if a { b = 1 } else { b = 2 }')).toEqual(['if_stmt']);
    expect(kinds('if a { b } else { c }\nd')).toEqual(['if_stmt', 'expr']);
    expect(kinds('(if a { b } else { c })\nd')).toEqual(['expr', 'expr']);
    expect(kinds('if a { b } else if c { d } else { e }')).toEqual(['expr']);
    expect(kinds('if a { b } else if c { d }')).toEqual(['if_stmt']);
  });

  test('spans are where the text is', () => {
    const text = 'module M() {\n  y = f(a, (b + c)) * d\n}\n';
    const at = (span: { start: number; end: number }) => text.slice(span.start, span.end);
    const [node] = parse('x', text).file.decls;
    const [bind] = node?.kind === 'module' ? node.body : [];
    const value = bind?.kind === 'bind' ? bind.value : undefined;
    expect(at(node!.span)).toBe(text.trim());
    expect(at(bind!.span)).toBe('y = f(a, (b + c)) * d');
    const call = value?.kind === 'binary' ? value.left : undefined;
    expect(at(call!.span)).toBe('f(a, (b + c))');
    expect(call?.kind === 'call' && call.args.map((arg) => at(arg.span))).toEqual(['a', '(b + c)']);
  });
});

describe('files', () => {
  test('declarations with a body stand apart', () => {
    expect(formatted('use std\nuse "a"\nmodel M { }\ndeploy M { batch = 1 }')).toBe(
      'use std\nuse "a"\n\nmodel M {}\n\ndeploy M {\n  batch = 1\n}\n',
    );
  });
  test('names and configurations', () => {
    const body = `  names hf {
    prefix "vit."
    ignore "vit.pooler.*", "*.num_batches_tracked"
    "a.{i + 1}" or "b.{i}" = blocks[i].norm
    optional "c" = scale[new, :]
  }
  config hf {
    match "model_type" = "vit", none
    dim = count("hidden_size") or 768
    labels "id2label"
    several "problem_type" = "multi"
    set "label2id" = places
  }
  processor hf {
    "resample" = 2
  }`;
    const text = `variant v = vit() {\n${body}\n}\n`;
    expect(formatted(text)).toBe(text);
    expect(formatted(text.replaceAll(' = ', '=').replaceAll(', ', ' ,').replaceAll('\n    ', '\n'))).toBe(text);
    expectPrinted('match = set + labels', 'match = set + labels');
  });

  test('words of variants are names elsewhere', () => {
    const text = 'variant config(match: int, set: int) = vit(labels: match, ignore: set)\n';
    expect(formatted(text)).toBe(text);
  });

  test('functions', () => {
    expect(formatted('function f ( n:int|none=none, x : tensor )=\n  n + 1\nfunction g()=f( 1 )')).toBe(
      'function f(n: int | none = none, x: tensor) = n + 1\nfunction g() = f(1)\n',
    );
    expectPrinted('function = function(3)', 'function = function(3)');
  });

  test('variants', () => {
    expect(formatted('variant v=vit(patch:16)')).toBe('variant v = vit(patch: 16)\n');
    expect(formatted('variant v(n: int)=vit(n){names hf{"a.{i}"=b[i].c}\npreprocess=crop(3),resize(4)}')).toBe(
      'variant v(n: int) = vit(n) {\n  names hf {\n    "a.{i}" = b[i].c\n  }\n  preprocess = crop(3), resize(4)\n}\n',
    );
  });
});
