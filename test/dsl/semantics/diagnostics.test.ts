/**
 * What is said about wrong specs: each case's messages, frames and help lines, as golden text. A case names the codes that it must
 * give, so that an update of the golden files cannot hide that a message got lost.
 */
import { describe, expect, it } from 'vitest';
import { expectGolden } from '../../golden.js';
import { codes, rendered, type Setup } from './helper.js';

const std = (model: string) => `use std\n\nmodel M {\n  base = vit_base_patch16()\n${model}\n}\n`;
const layer = (body: string, more = '') =>
  `backbone one(size: int = 8) {
  fc1 = Linear(size -> 4)
  fc2 = Linear(4 -> {a: 4, b: 4})
  forward(x: [n, size]) { fc2(fc1(x)) }
}
${more}
model M {
  base = one()
${body}
}
`;
const lora = `adapter lora(rank: int) on base: Linear(in -> out) {
  A = param [rank, in]  zeros
  B = param [out, rank] zeros
  forward(x) { base(x) + x @ A.T @ B.T }
}`;

const cases: readonly (readonly [name: string, codes: readonly string[], text: string, setup?: Setup])[] = [
  // Names, options, types
  [
    'unknown-names-in-unused-declarations',
    ['ESP0201', 'ESP0202', 'ESP0203'],
    'module Mlp(dim: int, hidden: int) {\n  fc1 = Linear(dim -> hiden)\n  fc2 = Linaer(hidden -> dim)\n  forward(x: [b, n, dim]) { fc2(gelu(fc1(x), from: tanh)) }\n}\nmodel M {\n}\n',
  ],
  [
    'used-before-bound',
    ['ESP0217'],
    layer('', 'module A(n: int) {\n  half = whole / 2\n  whole = n\n  forward(x) { x }\n}'),
  ],
  [
    'unknown-type',
    ['ESP0207'],
    layer('', 'adapter a(rank: integer) on base: Linear(in -> out) {\n  forward(x) { base(x) }\n}'),
  ],
  ['unknown-adapter', ['ESP0202'], std('  adapt base.blocks[*].attn.qkv with lorra(rank: 4)')],
  ['unknown-option', ['ESP0203'], std('  adapt base.blocks[*].attn.qkv with lora(rnk: 4)')],
  ['missing-option', ['ESP0204'], std('  adapt base.blocks[*].attn.qkv with lora()')],
  ['wrong-types', ['ESP0205', 'ESP0205'], std('  adapt base.blocks[*].attn.qkv with lora(rank: "4", alpha: true)')],
  ['not-a-choice', ['ESP0210'], std('  adapt base.blocks[*].attn.qkv with karst(rescale: "chanel")')],
  ['misspelt-choice', ['ESP0210'], std('  adapt base.blocks[*].attn.qkv with karst(rescale: chanel)')],
  ['rank-zero', ['ESP0223'], std('  adapt base.blocks[*].attn.qkv with lora(rank: 0)')],
  [
    'number-with-a-unit',
    ['ESP0232', 'ESP0232'],
    std('  adapt base.blocks[*].attn.qkv with lora(rank: 2k, alpha: 8 bananas)'),
  ],
  ['comprehension-in-a-call', ['ESP0220'], std('  adapt base.blocks[*].attn.qkv with lora(i < 4: 8)')],
  ['surplus-in-a-comprehension', ['ESP0209'], layer('').replace('fc2(fc1(x))', 'fc1(x) * sum(i < 2: i, 3)')],
  ['option-of-a-comprehension', ['ESP0203'], layer('').replace('fc2(fc1(x))', 'fc1(x) * sum(i < 2: i, axis: 0)')],
  [
    'lines-of-a-body-that-do-nothing',
    ['ESP0242', 'ESP0242', 'ESP0242'],
    layer('', 'module A(n: int) {\n  n + 1\n  for i < n { 2 * i }\n  if n > 1 { n }\n  forward(x) { x }\n}'),
  ],
  [
    'element-types',
    ['ESP0314', 'ESP0314'],
    layer('').replace('fc2(fc1(x))', 'y = fc1(0.5 * (x < 1))\n    fc2(fc1(x < 1))'),
  ],
  ['option-twice', ['ESP0208'], std('  adapt base.blocks[*].attn.qkv with lora(4, rank: 8)')],
  ['too-many-arguments', ['ESP0209'], std('  adapt base.blocks[*].attn.qkv with ssf(1)')],
  ['unknown-library-part', ['ESP0211'], 'use std.vti\nmodel M {\n}\n'],
  ['file-not-found', ['ESP0212'], 'use "./mine.peft"\nmodel M {\n}\n'],
  [
    'cyclic-use',
    ['ESP0213'],
    'use "./a.peft"\nuse std\nmodel M {\n  base = vit_base_patch16()\n}\n',
    { files: { 'a.peft': 'use "./b.peft"\n', 'b.peft': 'use "./a.peft"\n' } },
  ],
  [
    'declared-twice',
    ['ESP0214'],
    layer('', 'module A(n: int) {\n  forward(x) { x }\n}\nmodule A(n: int) {\n  forward(x) { x }\n}'),
  ],
  [
    'two-files-of-one-name',
    ['ESP1310'],
    'use "./a.peft"\nuse "./b.peft"\nmodel M {\n}\n',
    { files: { 'a.peft': 'criterion one(weight) = weight\n', 'b.peft': 'criterion one(weight) = 2 * weight\n' } },
  ],
  [
    'a-name-of-the-library',
    ['ESP1311'],
    `${std('')}adapter lora(rank: int) on base: Linear(in -> out) {\n  forward(x) { base(x) }\n}\n`,
  ],
  [
    'unknown-member',
    ['ESP0215'],
    layer(
      '  adapt base.fc1 with a()',
      'adapter a() on base: Linear(in -> out) {\n  forward(x) { base(x, weight: base.wieght * 2) }\n}',
    ),
  ],
  ['not-callable', ['ESP0216'], layer('', '').replace('fc2(fc1(x))', 'size(x)')],
  ['bound-twice', ['ESP0206'], layer('').replace('fc2 = Linear(4', 'fc1 = Linear(4').replace('fc2(fc1(x))', 'fc1(x)')],
  [
    'tensor-as-condition',
    ['ESP0218'],
    layer('').replace('{ fc2(fc1(x)) }', '{ if sum(x, axis: 0) > 0 { fc1(x) } else { x } }'),
  ],
  ['nameless-module', ['ESP0219'], layer('').replace('fc2(fc1(x))', 'Linear(size -> 4)(x)')],
  [
    'module-in-itself',
    ['ESP0225'],
    'module A(n: int) {\n  inner = A(n)\n  forward(x) { inner(x) }\n}\nmodel M {\n  base = A(1)\n}\n',
  ],
  ['forward-without-value', ['ESP0224'], layer('').replace('fc2(fc1(x))', 'y = fc1(x)')],
  ['division-by-zero', ['ESP0227'], layer('  r = 4 / (2 - 2)')],
  [
    'forward-missing',
    ['ESP0221'],
    'module A(n: int) {\n  fc = Linear(n -> n)\n}\nbackbone B() {\n  a = A(4)\n  forward(x: [n, 4]) { a(x) }\n}\nmodel M {\n  base = B()\n}\n',
  ],
  ['wrong-number-of-names', ['ESP0222'], layer('').replace('fc2(fc1(x))', 'p, q, r = factorize(size, 2)\n    fc1(x)')],
  ['operator-does-not-apply', ['ESP0228'], layer('').replace('fc2(fc1(x))', 'fc1(x) + "1"')],
  ['missing-argument', ['ESP0229'], layer('').replace('fc2(fc1(x))', 'rearrange(fc1(x))')],
  // Shapes
  ['linear-gets-other-size', ['ESP0301'], layer('').replace('Linear(4 ->', 'Linear(5 ->')],
  ['broadcast', ['ESP0301'], layer('').replace('fc2(fc1(x))', 'h = fc1(x)\n    h + fc2(h)')],
  [
    'argument-shape',
    ['ESP0302'],
    'module Mlp(dim: int) {\n  fc = Linear(dim -> dim)\n  forward(x: [b, n, 2 * dim]) { fc(x) }\n}\nbackbone B() {\n  mlp = Mlp(4)\n  forward(x: [b, 3, 4]) { mlp(x) }\n}\nmodel M {\n  base = B()\n}\n',
  ],
  ['inexact-division', ['ESP0303'], 'use std\nmodel M {\n  base = vit_base_patch16(image: 225)\n}\n'],
  ['dimension-zero', ['ESP0304'], layer('').replace('size: int = 8', 'size: int = 0')],
  ['no-such-axis', ['ESP0305'], layer('').replace('fc2(fc1(x))', 'softmax(fc1(x), axis: 2)')],
  ['index-out-of-range', ['ESP0306'], layer('').replace('fc2(fc1(x))', 'fc1(x)[:, 4]')],
  ['rearrange-pattern', ['ESP0307'], layer('').replace('fc2(fc1(x))', 'rearrange(fc1(x), "n (h d) -> h n", h: 2)')],
  ['rearrange-sizes', ['ESP0307'], layer('').replace('fc2(fc1(x))', 'rearrange(fc1(x), "n (h d) -> h n d", h: 3)')],
  [
    'start-of-wrong-shape',
    ['ESP0309'],
    layer(
      '  adapt base.fc1 with a()',
      'adapter a() on base: Linear(in -> out) {\n  m = param [out] norm(base.weight, axis: 0)\n  forward(x) { base(x) * m }\n}',
    ),
  ],
  ['too-many-turns', ['ESP0310'], 'use std\nmodel M {\n  base = vit_auto(dim: 8, heads: 1, depth: 1000000000)\n}\n'],
  [
    'loops-in-loops',
    ['ESP0310'],
    layer('').replace('fc2(fc1(x))', 'y = 0\n    for i < 9999 { for j < 9999 { y = y + i * j } }\n    fc1(x)'),
  ],
  ['free-dimension', ['ESP0311'], layer('').replace('x: [n, size]', 'x: [n, m]')],
  ['too-many-indices', ['ESP0308'], layer('').replace('fc2(fc1(x))', 'fc1(x)[0, 0, 0]')],
  ['table-of-words', ['ESP0312'], layer('').replace('  fc1 =', '  t = table(i < 2: "a")\n  fc1 =')],
  // Selectors and adapters
  ['selector-name', ['ESP0330'], std('  adapt base.blocks[*].attn.qvk with lora(rank: 4)')],
  [
    'selector-alternatives',
    ['ESP0330', 'ESP0330'],
    std('  adapt base.blocks[*].{attn.{qkv, prj}, mlp.fcl} with lora(rank: 4)'),
  ],
  ['selector-list', ['ESP0330'], std('  adapt base.blocks.attn.qkv with lora(rank: 4)')],
  ['selector-range', ['ESP0306'], std('  adapt base.blocks[0..20].attn.qkv with lora(rank: 4)')],
  [
    'adapter-on-another-kind-of-site',
    ['ESP0331', 'ESP0331'],
    std('  adapt base.patch_embed with vpt()\n  adapt base with adaptformer()'),
  ],
  [
    'checkpoint-of-another-variant',
    ['ESP0230'],
    std('').replace('vit_base_patch16()', 'vit_base_patch16() from "./vit-small"'),
    { facts: () => ({ options: { dim: 384, depth: 12, heads: 6 } }) },
  ],
  ['adapter-does-not-fit', ['ESP0331'], std('  adapt base.blocks[0].norm1 with lora(rank: 4)')],
  [
    'no-merged-weight',
    ['ESP0332'],
    layer(
      '  adapt base.fc1 with bent()\n  adapt base.fc1 with outer()',
      'adapter bent() on base: Linear(in -> out) {\n  forward(x) { relu(base(x)) }\n}\nadapter outer() on base: Linear(in -> out) {\n  forward(x) { base(x, weight: 2 * base.weight) }\n}',
    ),
  ],
  [
    'base-without-weight',
    ['ESP0333'],
    std('  adapt base.blocks[0] with a()').replace(
      'model M',
      'adapter a() on base: (x: [b, n, dim]) {\n  forward(x) { base(x, weight: base.weight) }\n}\nmodel M',
    ),
  ],
  [
    'adapter-changes-shape',
    ['ESP0334'],
    layer(
      '  adapt base.fc1 with a()',
      'adapter a() on base: Linear(in -> out) {\n  forward(x) { concat(base(x), x, axis: 1) }\n}',
    ),
  ],
  ['shared-of-two-shapes', ['ESP0335'], std('  adapt base.blocks[*].mlp.{fc1, fc2} with fact_tt(rank: 4)')],
  [
    'shared-in-a-module',
    ['ESP0220'],
    layer('').replace('  forward(x: [n, size])', '  s = shared param [4] zeros\n  forward(x: [n, size])'),
  ],
  ['site-never-used', ['ESP0336'], layer(`  adapt base.fc1 with lora(rank: 1)`, lora).replace('fc2(fc1(x))', 'x')],
  [
    'two-adapters-fail-apart',
    ['ESP0331', 'ESP0330', 'ESP0203'],
    std(
      '  adapt base.blocks[0].norm1 with lora(rank: 4)\n  adapt base.blocks[*].mpl.fc1 with lora(rank: 4)\n  adapt base.blocks[*].mlp.fc1 with lora(rank: 4, alfa: 1)',
    ),
  ],
  // Pruning
  ['negative-sparsity', ['ESP0226'], std('  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: -10%)')],
  ['sparsity-without-percent', ['ESP0226'], std('  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50)')],
  [
    'pattern-out-of-range',
    ['ESP0347', 'ESP0347'],
    std(
      '  prune base.blocks[*].mlp.fc1 with magnitude(shape: 2:0)\n  prune base.blocks[*].mlp.fc2 with magnitude(shape: 4:4)',
    ),
  ],
  ['pattern-does-not-divide', ['ESP0345'], std('  prune base.blocks[*].mlp.fc1 with magnitude(shape: 2:5)')],
  ['nothing-to-prune', ['ESP0340'], std('  prune base.blocks[0].norm1 with magnitude(sparsity: 50%)')],
  ['part-pruned', ['ESP0341'], std('  prune base.blocks[*].attn.qkv.q with magnitude(sparsity: 50%)')],
  [
    'pruned-twice',
    ['ESP0342'],
    std(
      '  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%)\n  prune base.blocks[0].mlp.fc1 with magnitude(sparsity: 25%)',
    ),
  ],
  ['needs-calibration', ['ESP0349'], std('  prune base.blocks[*].mlp.fc1 with wanda(sparsity: 50%)')],
  [
    'criterion-asks',
    ['ESP0343'],
    layer(
      '  prune base.fc1 with slope(sparsity: 50%, calibration: "./images")',
      'criterion slope(weight, gradient) = abs(weight * gradient)',
    ),
  ],
  [
    'gathered-twice',
    ['ESP0350'],
    layer(
      '  prune base.fc1 with spread(sparsity: 50%, calibration: "./images")',
      'criterion spread(weight, input) = abs(weight) * norm(input - mean(input, axis: 0), axis: 0)',
    ),
  ],
  ['unknown-criterion', ['ESP0202'], std('  prune base.blocks[*].mlp.fc1 with recoverability(sparsity: 50%)')],
  ['sparsity-missing', ['ESP0346'], std('  prune base.blocks[*].mlp.fc1 with magnitude(scope: global)')],
  [
    'sparsity-and-pattern',
    ['ESP0346'],
    std('  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%, shape: 2:4)'),
  ],
  ['unknown-scope', ['ESP0210'], std('  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%, scope: golbal)')],
  [
    'score-of-wrong-shape',
    ['ESP0344'],
    layer('  prune base.fc1 with rows(sparsity: 50%)', 'criterion rows(weight) = norm(weight, axis: 1)'),
  ],
  // Models, files, settings
  ['no-model', ['ESP0236'], 'use std\n'],
  [
    'which-model',
    ['ESP0237'],
    'use std\nmodel A {\n  base = vit_base_patch16()\n}\nmodel B {\n  base = vit_base_patch16()\n}\n',
  ],
  ['unknown-model', ['ESP0238'], std(''), { model: 'N' }],
  ['set-unknown', ['ESP0239'], std('').replace('model M', 'model M(rank: int = 8)'), { set: { rnak: '4' } }],
  ['set-wrong', ['ESP0240'], std('').replace('model M', 'model M(rank: int = 8)'), { set: { rank: 'four' } }],
  ['empty-model', ['ESP0241'], 'model M {\n}\n'],
  ['classes-missing', ['ESP0204'], std('  head = classify(base)')],
  [
    'checkpoint-disagrees',
    ['ESP0230'],
    'use std\nmodel M {\n  base = vit_auto(patch: 16, dim: 512, depth: 12, heads: 8) from "./vit"\n}\n',
    { facts: () => ({ options: { dim: 768, depth: 12 } }) },
  ],
  ['unknown-setting', ['ESP0250', 'ESP0251'], `${std('')}deploy M {\n  bacth = 8\n  weights = f8\n}\n`],
  [
    'unknown-optimizer',
    ['ESP0251', 'ESP0203', 'ESP0202'],
    `${std('  head = classify(base, classes: 3)\n  tune head')}train M {\n  optimizer = adamv(lr: 1e-3)\n  schedule = cosine(epochs: 100, warmpu: 10)\n  batch = 0\n}\n`,
  ],
  ['settings-of-no-model', ['ESP0238'], `${std('')}deploy N {\n  batch = 8\n}\n`],
  [
    'settings-twice',
    ['ESP0253', 'ESP0254'],
    `${std('')}deploy M {\n  batch = 8\n  batch = 4\n}\ndeploy M {\n  batch = 8\n}\n`,
  ],
  // Two uses that go wrong in one line of the library are two errors; an adapter of the spec's own says which use is meant.
  [
    'one-line-of-the-library-twice',
    ['ESP0223', 'ESP0301', 'ESP0223'],
    `use std
${layer(
  '  adapt base.fc1 with lora(rank: 0)\n  adapt base.fc2 with lora(rank: 0)\n  adapt base.fc2 with odd(n: 3)',
  'adapter odd(n: int) on base: Linear(in -> out) {\n  A = param [n, in] zeros\n  forward(x) { base(x) + x @ A }\n}',
)}`,
  ],
  [
    'called-with-nothing-under-an-adapter',
    ['ESP0229'],
    `backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc() }
}
adapter twice() on base: Linear(in -> out) {
  forward(x) { base(x, weight: 2 * base.weight) }
}
model M {
  base = one()
  adapt base.fc with twice()
  adapt base.fc with twice()
}
`,
  ],
  [
    'label-in-itself',
    ['ESP0225'],
    'module A() {\n  fc = Linear(3 -> 3)\n  site s(x) = s(fc(x))\n  forward(x: [k, 3]) { s(x) }\n}\nmodel M {\n  base = A()\n}\n',
  ],
  ['variant-in-itself', ['ESP0225'], 'variant a = b()\nvariant b = a()\nmodel M {\n  base = a()\n}\n'],
  ['two-models-of-one-name', ['ESP0214'], `${std('')}${std('').replace('use std\n\n', '')}`, { model: 'M' }],
  ['selector-range-empty', ['ESP0313'], std('  adapt base.blocks[3..1].mlp.fc1 with lora(rank: 2)')],
  ['pattern-of-halves', ['ESP0347'], std('  prune base.blocks[*].mlp.fc1 with magnitude(shape: 2.5:4)')],
  ['adapter-on-a-label', ['ESP0331'], std('  adapt base.blocks[0].mlp_branch with lora(rank: 2)')],
  [
    'library-not-used',
    ['ESP0202', 'ESP0202'],
    'model M {\n  base = vit_base_patch16()\n  adapt base.norm with ssf()\n}\n',
  ],
  [
    'config-unknown-option',
    ['ESP0203'],
    'use std\nvariant v = vit(patch: 8) {\n  config huggingface {\n    match "model_type" = "v"\n    imgae = square("image_size") or 224\n  }\n}\nmodel M {\n  base = vit_base_patch16()\n}\n',
  ],
  [
    'config-form',
    ['ESP0257'],
    'use std\nvariant v = vit(patch: 8) {\n  config huggingface {\n    match "model_type" = "v"\n    image = square(224)\n  }\n}\nmodel M {\n  base = vit_base_patch16()\n}\n',
  ],
  [
    'config-of-another-type',
    ['ESP0508'],
    std('').replace('vit_base_patch16()', 'vit_auto() from "./nobodys"'),
    { facts: () => ({ config: { file: 'nobodys/config.json', json: { model_type: 'nobodys' } } }) },
  ],
  [
    'config-that-nothing-reads',
    ['ESP0258'],
    `backbone own(width: int = 4) {
  fc = Linear(width -> 4)
  forward(x: [n, width]) { fc(x) }
}
model M { base = own() from "./own" }`,
    { facts: () => ({ config: { file: 'own/config.json', json: { hidden_size: 4 } } }) },
  ],
  [
    'config-of-another-activation',
    ['ESP0509'],
    std('').replace('vit_base_patch16()', 'vit_auto() from "./vit"'),
    { facts: () => ({ config: { file: 'vit/config.json', json: { model_type: 'vit', hidden_act: 'mish' } } }) },
  ],
  [
    'config-of-wrong-type',
    ['ESP0507'],
    std('').replace('vit_base_patch16()', 'vit_auto() from "./vit"'),
    {
      facts: () => ({
        config: {
          file: 'vit/config.json',
          json: { model_type: 'vit', hidden_size: '768' },
        },
      }),
    },
  ],
  [
    'names-index-form',
    ['ESP0256'],
    'use std\nvariant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  names x { "blocks.{i / 2}.mlp" = blocks[i].mlp }\n}\nmodel M {\n  base = v() from "./x"\n}\n',
  ],
  [
    'names-only-sometimes',
    ['ESP0233'],
    'module S(on: bool) {\n  if on { extra = Linear(4 -> 4) }\n  fc = Linear(4 -> 4)\n  forward(x: [k, 4]) { fc(x) }\n}\nvariant v = S(on: false) {\n  names x { "e" = extra }\n}\nmodel M {\n  base = v() from "./x"\n}\n',
  ],
  [
    'names-index-missing',
    ['ESP0235'],
    'use std\nvariant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  names x { "blocks.mlp" = blocks[i].mlp }\n}\nmodel M {\n  base = v() from "./x"\n}\n',
  ],
  [
    'names-unknown-path',
    ['ESP0233'],
    'use std\nvariant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  names x { "n" = nrom }\n}\nmodel M {\n  base = v() from "./x"\n}\n',
  ],
  [
    'names-not-one-to-one',
    ['ESP0234'],
    'use std\nvariant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  names x { "q" = blocks[0].attn.qkv.q }\n}\nmodel M {\n  base = v() from "./x"\n}\n',
  ],
];

describe('diagnostics', () => {
  for (const [name, expected, text, setup] of cases) {
    it(name, () => {
      expect(codes(text, setup)).toEqual(expected);
      expectGolden(`${name}.txt`, rendered(text, setup));
    });
  }
});
