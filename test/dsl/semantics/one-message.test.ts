/** One cause, one message: however often what is wrong is used, and however many things follow from it. */
import { describe, expect, test } from 'vitest';
import { rendered, type Setup, wrongs } from './helper.js';

const vit = 'vit(dim: 8, depth: 2, heads: 2, image: 8, patch: 4)';
const std = (body: string, before = '', base = vit) =>
  `use std\n${before}\nmodel M {\n  base = ${base}\n  head = classify(base, classes: 3)\n${body}\n}\n`;
const adapter = (body: string) => `adapter mine(rank: int = 2) on base: Linear(in -> out) {\n${body}\n}`;
const often = `  adapt base.blocks[0].attn.qkv with mine()
  adapt base.blocks[1].attn.qkv with mine()
  adapt base.blocks[*].mlp.fc1 with mine(rank: 4)
  tune head`;
const facts = () => ({ options: { image: 224, patch: 16, channels: 3, dim: 384, depth: 12, heads: 6, hidden: 1536 } });

const cases: readonly (readonly [what: string, code: string, text: string, setup?: Setup])[] = [
  ['an unknown name in the forward of an adapter', 'ESP0201', std(often, adapter('  forward(x) { base(x) * scal }'))],
  [
    'an unknown name in the body of an adapter',
    'ESP0201',
    std(often, adapter('  A = param [rnk, in] zeros\n  forward(x) { base(x) + x @ A.T @ A }')),
  ],
  ['an unknown operator in an adapter', 'ESP0202', std(often, adapter('  forward(x) { geluu(base(x)) }'))],
  ['an unknown option in an adapter', 'ESP0203', std(often, adapter('  forward(x) { gelu(base(x), from: tanh) }'))],
  [
    'an unknown name in a criterion',
    'ESP0201',
    std(
      '  prune base.blocks[0].mlp.fc1 with mine(sparsity: 50%)\n  prune base.blocks[1].mlp.fc1 with mine(sparsity: 50%)',
      'criterion mine(weight) = abs(wieght)',
    ),
  ],
  [
    'an unknown name in a module of several',
    'ESP0201',
    'module A(n: int) {\n  fc = Linear(n -> m)\n  forward(x: [b, n]) { fc(x) }\n}\nbackbone B() {\n  a = A(4)\n  c = A(4)\n  forward(x: [b, 4]) { c(a(x)) }\n}\nmodel M {\n  base = B()\n}\n',
  ],
  [
    'an unknown name in a variant',
    'ESP0201',
    std(often, `${adapter('  forward(x) { base(x) }')}\nvariant v = vit(dim: wdth, depth: 2, heads: 2)`, 'v()'),
  ],
  [
    'an option of the variant of a variant',
    'ESP0205',
    std(
      often,
      `${adapter('  forward(x) { base(x) }')}\nvariant w(width: int) = vit(dim: width, depth: 2, heads: 2)\nvariant v = w(width: "a")`,
      'v()',
    ),
  ],
  [
    'a variant that is not the one of the folder',
    'ESP0230',
    std('  tune head', '', 'vit_base_patch16() from "./vit-small"'),
    { facts },
  ],
  [
    'options that are missing',
    'ESP0204',
    std('  adapt base.blocks[*].attn.qkv with lora(rank: 4)\n  tune head', '', 'vit_auto()'),
  ],
  [
    'a size of two parameters of an adapter',
    'ESP0310',
    std('  adapt base.blocks[*].mlp.fc1, base.blocks[*].mlp.fc2 with lora(rank: 1000000000000)'),
  ],
  [
    'a weight that several lines of the library need',
    'ESP0332',
    std(
      '  adapt base.blocks[*].mlp.fc1 with bent()\n  adapt base.blocks[*].mlp.fc1 with dora(rank: 2)',
      'adapter bent() on base: Linear(in -> out) {\n  forward(x) { relu(base(x)) }\n}',
    ),
  ],
  ['an adapter on what is called with another kind of tensor', 'ESP0331', std('  adapt base.patch_embed with vpt()')],
  [
    'a shape that does not fit at many sites',
    'ESP0301',
    std(
      '  adapt base.blocks[*].mlp.fc1 with mine()',
      adapter('  A = param [rank, out] zeros\n  forward(x) { base(x) + x @ A.T @ A }'),
    ),
  ],
];

describe('one message for', () => {
  for (const [what, code, text, setup] of cases) {
    test(what, () => {
      const codes = wrongs(text, setup).map((d) => d.code);
      expect(codes, rendered(text, setup)).toEqual([code]);
    });
  }
});

test('statements that go wrong in one line of the library are told apart', () => {
  const text = std(
    '  adapt base.blocks[*].mlp.fc1 with alore(experts: 3)\n  adapt base.blocks[*].mlp.fc2 with alore(experts: 3)',
  );
  expect(wrongs(text).map((d) => d.code)).toEqual(['ESP0223', 'ESP0223']);
});

test('messages hold no names that only the compiler uses, and no garbled quotes', () => {
  for (const c of cases) {
    for (const d of wrongs(c[2], c[3])) {
      expect(d.message).not.toMatch(/``|@\?|undefined|\[object/);
      // What is shown first is in the user's own file.
      expect(d.primary!.span.file).toBe('spec.peft');
    }
  }
});
