/**
 * Nothing that is written is dropped: whatever is put anywhere into a valid spec, either it is an error, or it is there in what the spec means
 * and in how it is printed.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elaborate } from '../../src/dsl/elaborate.js';
import type { Elaborated } from '../../src/dsl/elaborated.js';
import { format } from '../../src/dsl/format.js';
import { parse } from '../../src/dsl/parse.js';
import { read } from '../../src/dsl/semantics/models/options.js';
import { STD } from '../../src/dsl/std.generated.js';
import { LEXER } from '../../src/dsl/tokens.js';
import { input } from '../../src/ir/graph.js';
import type { Optimizer } from '../../src/ir/optimizer.js';
import { printModule } from '../../src/ir/text/print.js';
import type { Func } from '../../src/ir/types.js';

const RUNS = Number(process.env.FUZZ_RUNS ?? 80);
const sketch = readFileSync(new URL('./syntax/fixtures/sketch.peft', import.meta.url), 'utf8');

/** Small, with everything in it that a spec can say; nothing is there that is not used, in one place or another. */
const USED = `use std
adapter mine(rank: int, kind: plain | scaled = plain, bias: bool = false) on base: Linear(in -> out) {
  require(rank == 2, "rank must be 2")
  A = param [rank, in] normal(0.02, mean: 1)
  B = param [out, rank] normal(0.01)
  parts = sum(k < 2: k + 1)
  if bias { c = shared param [out] normal(0.1) }
  forward(x) {
    y = base(x) + parts * (x @ A.T @ B.T)
    z = if kind == scaled { 2 * y } else { y }
    if bias { z + c } else { z }
  }
}
module Part(dim: int) {
  fc = Linear(dim -> {a: dim, b: dim})
  gains = [1, 2.5, 4]
  mask = table(i < dim, j < 3: i + j < 4)
  site run(x) = fc(x)
  forward(x: [b, n, dim]) {
    a, c = rearrange(run(x), "b n (part d) -> part b n d", part: 2)
    for i < size(gains) { a = a + where(mask[:, 1], c, 1) / gains[i] }
    softmax(a[:, ..3, new, :], axis: -1)
  }
}
backbone small(dim: int = 8, scale: float) {
  part = Part(dim)
  many = repeat i < 2 { Linear(dim -> dim, bias: i == 1) }
  forward(x: [b, 3, dim]) { part(many(x) * scale)[:, 1] }
}
variant tiny(share: float) = small(scale: share) {
  preprocess = resize([8, 8], bicubic), crop(8, even), normalize(mean: 0.5, std: [0.25, 0.5, 0.5])
  names other {
    "encoder.{i}.fc" = many[i]
    "part.fc.q" = part.fc.a
    "part.fc.k" = part.fc.b
  }
}
model M(rank: int = 2) {
  base = tiny(share: 25%) from "./x"
  in base {
    adapt many[*] with mine(rank: rank, kind: scaled)
  }
  adapt base.part.fc.{a, b} with mine(2, bias: true)
  prune base.many[*], base.part.fc with magnitude(sparsity: 50%, scope: layer, shape: block(2, 2), over: sum)
  if rank == 2 { tune base.part }
}
deploy M {
  adapters = factored
  batch = [1, 8]
}
train M {
  optimizer = adamw(lr: 1e-3, betas: [0.9, 0.999])
  groups = [group("base.many", lr: 2e-3)]
  schedule = cosine(epochs: 5, warmup: 2)
  loss = cross_entropy(smoothing: 10%)
  data = images("here")
  augment = [flip(50%)]
  batch = 4
}
`;

const tokensOf = (text: string) => {
  const { tokens, groups } = LEXER.tokenize(text);
  return { tokens: tokens.filter((t) => t.tokenType.name !== 'Newline'), comments: groups.comments ?? [] };
};
/** Text between the tokens of a spec, and the tokens. */
const gapsOf = (text: string) => [0, ...tokensOf(text).tokens.map((t) => t.startOffset + t.image.length)];

const WORDS = [
  'x',
  'k',
  'epochs',
  'dim',
  'base',
  'in',
  'from',
  'with',
  'new',
  'on',
  'site',
  'param',
  'shared',
  'frozen',
  'for',
];
const RESERVED = ['if', 'else', 'not', 'and', 'true', 'none', 'model', 'use', 'names', 'forward', 'repeat'];
const MARKS = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '.',
  '..',
  '->',
  '=',
  '|',
  '*',
  '**',
  '-',
  '+',
  '%',
  '@',
  '<',
  '==',
  ';',
  '/*',
];
const TOKENS = [...WORDS, ...RESERVED, ...MARKS, '2', '0.5', '50%', '2:4', '"s"'];

/** A comma before a closing bracket is how lists may end; it means nothing, and is not printed on one line. */
const endsList = (text: string, at: number, token: string) => token === ',' && /^\s*[)\]}]/.test(text.slice(at));

describe('a token put anywhere is an error, or printed', () => {
  const texts = [USED, sketch, ...Object.values(STD)];
  const count = (text: string, image: string) => tokensOf(text).tokens.filter((t) => t.image === image).length;

  test.each(texts.map((text, i) => [i, text] as const))(
    'spec %i',
    (_, text) => {
      const gaps = gapsOf(text);
      const before = format(parse('f.peft', text).file);
      const slip = fc.tuple(fc.constantFrom(...gaps), fc.constantFrom(...TOKENS), fc.constantFrom(' ', ''));
      fc.assert(
        fc.property(slip, ([at, token, space]) => {
          if (endsList(text, at, token)) return;
          const edited = `${text.slice(0, at)}${space}${token} ${text.slice(at)}`;
          const { file, diagnostics } = parse('f.peft', edited);
          if (diagnostics.length > 0) return;
          const after = format(file);
          // Without the space it may have grown one of its neighbours.
          if (space === '') expect(after).not.toBe(before);
          else
            for (const t of tokensOf(token).tokens)
              expect(count(after, t.image), edited).toBe(count(before, t.image) + 1);
        }),
        { numRuns: RUNS },
      );
    },
    120_000,
  );
});

test('any one token written twice is an error, or printed twice', () => {
  const before = format(parse('f.peft', USED).file);
  for (const { image, startOffset } of tokensOf(USED).tokens) {
    const edited = `${USED.slice(0, startOffset)}${image} ${USED.slice(startOffset)}`;
    const { file, diagnostics } = parse('f.peft', edited);
    if (diagnostics.length === 0) expect(format(file), edited).not.toBe(before);
  }
});

/** All that a spec means, without the places it was written at. */
function meaning({ module, train, ...rest }: Elaborated): string {
  const { loss, groups = [], rate, ...settings } = train ?? {};
  const left = new Set(['span', 'origin', 'score']);
  const plain = JSON.stringify([rest, settings, groups], (key, value) => (left.has(key) ? undefined : value));
  const more = loss ? [loss, ...groups.map(({ optimizer }, i) => stepOf(optimizer, `step${i}`))] : [];
  const funcs = new Map([...module.funcs, ...more.map((f) => [f.name, f] as const)]);
  const rates = groups.map(({ lr }) => [0, 1, 2, 3, 4].map((epoch) => rate!(lr, { epoch, step: epoch, steps: 5 })));
  return `${printModule({ ...module, funcs })}${plain}${rates}`;
}

/** One step of an optimizer for a weight of two rows. */
function stepOf(optimizer: Optimizer, name: string): Func {
  const of = (named: string, shape: readonly number[]) => input(named, { dtype: 'f32', shape });
  const [weight, gradient, rate, count] = [
    of('weight', [2, 3]),
    of('gradient', [2, 3]),
    of('rate', []),
    of('count', []),
  ];
  const states = new Map([...optimizer.states.keys()].map((state) => [state, of(state, [2, 3])]));
  const after = optimizer.step({ weight: weight!, gradient: gradient!, rate: rate!, count: count!, states });
  const results = [['weight', after.weight] as const, ...after.states].map(([n, value]) => ({ name: n, value }));
  return { name, inputs: [weight!, gradient!, rate!, count!, ...states.values()], results, updates: [] };
}

/** Slips that could leave the meaning as it is (another choice of an option, a sign before a 0) are not among these, nor is there a place for them. */
describe('what is put anywhere is an error, or changes what the spec means', () => {
  const PHRASES = [
    ', 3',
    ', x',
    ': 3',
    '-> 4',
    '()',
    '(1)',
    '[0]',
    '{}',
    '.x',
    '.T',
    'i < 2:',
    'from "x"',
    'with ssf()',
  ];
  const ATTEMPTS = [...TOKENS, ...PHRASES, 'else { 1 }', '+ 0 *', ', axis: 0', ', size: 1', '8 images'];
  const readFile = () => undefined;
  const plain = elaborate(parse('f.peft', USED).file, { readFile });

  test('the spec is right', () => {
    expect(plain.diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
  });

  test('the spec with a slip in it', () => {
    const gaps = gapsOf(USED);
    const before = meaning(plain.value!);
    fc.assert(
      fc.property(fc.constantFrom(...gaps), fc.constantFrom(...ATTEMPTS), (at, slip) => {
        const edited = `${USED.slice(0, at)} ${slip} ${USED.slice(at)}`;
        const parsed = parse('f.peft', edited);
        if (parsed.diagnostics.length > 0) return;
        const { value } = elaborate(parsed.file, { readFile });
        if (value && !endsList(USED, at, slip)) expect(meaning(value) === before, edited).toBe(false);
      }),
      { numRuns: 3 * RUNS },
    );
  }, 120_000);
});

test.each([
  ['2k', 'int'],
  ['[1, 2', 'ints'],
  ['1, 2]', 'ints'],
  ['1,,2', 'ints'],
  ['1 2', 'ints'],
  ['8 bananas', 'float'],
  ['true!', 'bool'],
])('--set value %s of %s is refused', (text, type) => {
  const [decl] = parse('f.peft', `module A(int: int, float: float, bool: bool, ints: [int]) {}`).file.decls;
  const param = decl?.kind === 'module' ? decl.params.find((p) => p.name.name === type) : undefined;
  expect(read(text, param!.type)).toBeUndefined();
});
