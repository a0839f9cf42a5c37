/** Specs as JSON and back: the same tree, and the text that the formatter gives for it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EspalierError } from '../../../src/diagnostics/types.js';
import type { SourceFile } from '../../../src/dsl/ast.js';
import { format } from '../../../src/dsl/format.js';
import { convertSpec, defineModel, parseSpec } from '../../../src/dsl/json/index.js';
import { parse } from '../../../src/dsl/parse.js';
import { STD } from '../../../src/dsl/std.generated.js';
import { bare, specs } from '../syntax/support.js';

/** What the formatter gives for the tree alone: without comments, and without the empty lines and line breaks that a person chose. */
const textOfTree = (file: SourceFile): string => format({ ...file, text: '', comments: [] }, file.text);

function kindsOf(node: unknown, into: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  if ('kind' in node && typeof node.kind === 'string') into.add(node.kind);
  for (const part of Object.values(node)) kindsOf(part, into);
}

const isCode = ({ kind }: SourceFile['decls'][number]): boolean => !['use', 'model', 'train', 'deploy'].includes(kind);

/** There and back; what has to hold for every spec. */
function throughJson(text: string): string {
  const { file, diagnostics } = parse('spec.peft', text);
  expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
  const json = convertSpec('spec.peft', text, 'json');
  const read = parseSpec('spec.json', json.text);
  expect(read.diagnostics, json.text).toEqual([]);
  expect(bare(read.file.decls), json.text).toEqual(bare(file.decls));
  const peft = convertSpec('spec.json', json.text, 'peft').text;
  expect(bare(parse('spec.peft', peft).file.decls), peft).toEqual(bare(file.decls));
  if (!file.decls.some(isCode)) {
    expect(peft).toBe(textOfTree(file));
    expect(json.lost).toBe(file.comments.length);
  }
  // JSON is written in one way.
  expect(convertSpec('spec.json', json.text).text).toBe(json.text);
  expect(convertSpec('spec.peft', peft, 'json').text).toBe(json.text);
  return json.text;
}

describe('.peft -> JSON -> .peft', () => {
  test('is the same tree for whatever the grammar gives', () => {
    fc.assert(
      fc.property(specs, (text) => {
        let n = 0;
        // One setting twice is no spec.
        throughJson(text.replaceAll(/^loss = /gm, () => `loss_${n++} = `));
      }),
      { numRuns: 40 },
    );
  });

  const written = ['examples', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.peft'))
      .map((file) => join(folder, file)),
  );

  test.each(written.sort())('%s', (path) => {
    const text = readFileSync(path, 'utf8');
    const { diagnostics } = parse(path, text);
    if (diagnostics.some((d) => d.severity === 'error')) {
      // Fixtures of the parser's messages: they are refused in the same words.
      expect(() => convertSpec(path, text, 'json')).toThrow(EspalierError);
      return;
    }
    throughJson(text);
  });

  test('of the library, and of what documents show, is the same tree; together they have every construct', () => {
    const markdown = ['README.md', 'CHANGELOG.md', ...readdirSync('docs').map((f) => join('docs', f))];
    const shown = markdown
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map((m) => m[1]!));
    const kinds = new Set<string>();
    let read = 0;
    // What none of them has.
    const rest = `model M(deep: bool) {
  base = vit_tiny_patch16()
  if deep {
    tune base.**.bias
  } else {
    for i < 4 {
      tune base.blocks[i].norm1
    }
  }
  prune base.blocks[*].mlp.fc1 with magnitude(shape: 2:4)
}
`;
    const files = written.map((path) => readFileSync(path, 'utf8'));
    for (const text of [...Object.values(STD), ...shown, ...files, rest]) {
      const { file, diagnostics } = parse('spec.peft', text);
      // Commands, JavaScript, and fixtures of the parser's messages.
      if (file.decls.length === 0 || diagnostics.some((d) => d.severity === 'error')) continue;
      read++;
      kindsOf(file.decls, kinds);
      const json = convertSpec('spec.peft', text, 'json').text;
      expect(bare(parseSpec('spec.json', json).file.decls), json).toEqual(bare(file.decls));
    }
    expect(read).toBeGreaterThan(Object.keys(STD).length + 20);
    const all = [...readFileSync('src/dsl/ast.ts', 'utf8').matchAll(/readonly kind: ([^;]+);/g)].flatMap((m) =>
      [...m[1]!.matchAll(/'(\w+)'/g)].map((kind) => kind[1]!),
    );
    expect(all.length).toBeGreaterThan(40);
    // What could not be read is in no file that is right.
    expect(all.filter((kind) => !kinds.has(kind) && kind !== 'error')).toEqual([]);
  });

  test('keeps how numbers are spelled', () => {
    const text = `model M {
  x = f(1e-3, -0.50, 2.0, 50%, 5 epochs, 2:4, 1e400000 * 0)
}
`;
    const fine = text.replace(', 1e400000 * 0', '');
    const json = throughJson(fine);
    expect(json).toContain('[1e-3, -0.50, 2.0, "50%", "5 epochs", "2:4"]');
    expect(convertSpec('a.json', json, 'peft').text).toBe(fine);
    expect(() => convertSpec('a.peft', text, 'json')).toThrow(EspalierError);
  });

  test('keeps comments of code, and counts the others', () => {
    const text = `// about the file
use std

// doubles
function twice(n: int) = 2 * n // beside it

// about the model
model M {
  x = twice(2) // here
}
`;
    const { text: json, lost } = convertSpec('a.peft', text, 'json');
    expect(lost).toBe(3);
    expect(JSON.parse(json)).toMatchObject({ code: ['// doubles', 'function twice(n: int) = 2 * n // beside it'] });
    expect(convertSpec('a.json', json, 'peft').text).toBe(`use std

// doubles
function twice(n: int) = 2 * n // beside it

model M {
  x = twice(2)
}
`);
  });

  test('sections in another order, and several of a kind, are a list', () => {
    const json = throughJson(
      'deploy A {}\nmodel A {}\ntrain A {}\ntrain B {}\nuse std\nuse "std"\nuse std.vit\nmodel B {}\ndeploy A {}\n',
    );
    expect(JSON.parse(json)).toEqual([
      { deploy: { model: 'A' } },
      { model: { name: 'A', body: [] }, train: {} },
      { train: { model: 'B' } },
      { use: ['std', { file: 'std' }, 'std.vit'], model: { name: 'B', body: [] }, deploy: { model: 'A' } },
    ]);
  });

  test.each([
    ['a setting', 'deploy M {\n  batch = 1\n  batch = 2\n}\n'],
    ['a setting of the name that JSON has for the model', 'deploy M {\n  model = 1\n}\n'],
    ['an option', 'model M(a: int, a: int) {}\n'],
  ])('refuses %s twice', (_, text) => {
    expect(() => convertSpec('a.peft', text, 'json')).toThrow(/^ESP1309: a\.peft: .*twice/);
  });
});

describe('defineModel', () => {
  const peft = `use std

model Digits(rank: int = 4) {
  base = vit_auto() from "./vit-fashion"
  head = classify(base, pool: cls, classes: ["a b", "c"])
  in base.blocks[*] {
    prune mlp.fc1, mlp.fc2 with magnitude(sparsity: 50%) by bisection(after: 2) from "./mask"
    adapt attn.qkv with karst(rank: rank, scale: -1.5)
  }
  if rank > 4 {
    tune head from "./head.safetensors"
  } else {
    for i < 4 {
      tune base.blocks[i].norm1
    }
  }
}

train Digits {
  data = images(path: "./digits", format: folders, limit: 100)
  augment = [crop(scale: [0.5, 1]), cut, flip(50%)]
  loss = cross_entropy(smoothing: 10%)
  optimizer = adamw(lr: 0.001)
  groups = [group("head", lr: 0.01)]
  schedule = cosine(epochs: 20)
  cache = none
  checkpoint = auto(memory: 6000)
  batch = 4 * 8
  validation = 10%
  order = balanced
}

deploy Digits {
  adapters = merged
  batch = [1, 8]
}
`;

  test('builds the tree of the `.peft` file, every form of it', () => {
    const spec = defineModel({
      use: 'std',
      model: {
        name: 'Digits',
        options: { rank: { type: 'int', default: 4 } },
        body: [
          { name: 'base', value: { vit_auto: [] }, from: './vit-fashion' },
          {
            name: 'head',
            value: { classify: { $args: ['base'], pool: 'cls', classes: [{ $string: 'a b' }, '"c"'] } },
          },
          {
            in: 'base.blocks[*]',
            body: [
              {
                prune: ['mlp.fc1', 'mlp.fc2'],
                with: 'magnitude(sparsity: 50%)',
                by: { bisection: { after: 2 } },
                from: './mask',
              },
              { adapt: 'attn.qkv', with: { karst: { rank: 'rank', scale: -1.5 } } },
            ],
          },
          {
            if: 'rank > 4',
            then: [{ tune: 'head', from: './head.safetensors' }],
            else: [{ for: 'i', below: 4, body: [{ tune: ['base.blocks[i].norm1'] }] }],
          },
        ],
      },
      train: {
        data: { images: { path: './digits', format: 'folders', limit: 100 } },
        augment: [{ crop: { scale: [0.5, 1] } }, 'cut', { flip: ['50%'] }],
        loss: { cross_entropy: { smoothing: '10%' } },
        optimizer: { adamw: { lr: 1e-3 } },
        groups: [{ group: { $args: [{ $string: 'head' }], lr: 1e-2 } }],
        schedule: { cosine: { epochs: 20 } },
        cache: 'none',
        checkpoint: { auto: { memory: 6000 } },
        batch: { $expr: '4 * 8' },
        validation: '10%',
        order: 'balanced',
      },
      deploy: { adapters: 'merged', batch: [1, 8] },
    });
    expect(spec.path).toBe('model.json');
    const { file, diagnostics } = parseSpec(spec.path, spec.text);
    expect(diagnostics).toEqual([]);
    expect(bare(file.decls)).toEqual(bare(parse('a.peft', peft).file.decls));
    expect(convertSpec(spec.path, spec.text, 'peft').text).toBe(peft);
  });

  test('takes what JSON holds, and leaves out what is undefined', () => {
    const { text } = defineModel(
      [{ use: ['std'], code: undefined as unknown as string }, { use: './a.peft' }],
      'a/b.json',
    );
    expect(JSON.parse(text)).toEqual([{ use: ['std'] }, { use: './a.peft' }]);
  });

  test('names of settings, forms, options and words are checked by their types', () => {
    const model = { name: 'M', body: [] };
    defineModel({ model, deploy: { batch: 1, weights: 'f16' }, train: { batch: { $expr: 'n' } } });
    // Each of these lines has to be a mistake, or the test does not compile.
    // @ts-expect-error there is no such setting of `deploy`
    defineModel({ model, deploy: { bacth: 1 } });
    // @ts-expect-error nor of `train`
    defineModel({ model, train: { epochs: 3 } });
    // @ts-expect-error it is one of three words
    defineModel({ model, deploy: { adapters: 'merge' } });
    // @ts-expect-error a number
    expect(() => defineModel({ model, train: { seed: true } })).not.toThrow();
    // @ts-expect-error no such form
    const form = () => defineModel({ model, train: { data: { image: { path: './x' } } } });
    expect(form).toThrow(/no `image` here/);
    // @ts-expect-error no such option of a form
    const odd = () => defineModel({ model, train: { data: { images: { paths: './x' } } } });
    expect(odd).toThrow(/no option `paths`/);
    // @ts-expect-error no such word of an option
    defineModel({ model, train: { data: { images: { path: './x', format: 'folder' } } } });
    // @ts-expect-error a statement of an unknown kind
    expect(() => defineModel({ model: { name: 'M', body: [{ adept: 'x' }] } })).toThrow('ESP1308');
    // @ts-expect-error no such section
    expect(() => defineModel({ modle: model })).toThrow('ESP1308');
  });

  test.each([
    ['a number that is none', () => defineModel({ model: { name: 'M', body: [{ name: 'x', value: Number.NaN }] } })],
    [
      'a function',
      () => defineModel({ model: { name: 'M', body: [{ name: 'x', value: (() => 1) as unknown as number }] } }),
    ],
    ['an expression that is none', () => defineModel({ model: { name: 'M', body: [{ name: 'x', value: 'f(' }] } })],
  ])('refuses %s', (_, make) => expect(make).toThrow(EspalierError));

  test('says where what JSON has not stands', () => {
    const make = () => defineModel({ model: { name: 'M', body: [{ name: 'x', value: [1, Number.NaN] }] } });
    expect(make).toThrow('`model.body.0.value.1` is NaN');
  });
});
