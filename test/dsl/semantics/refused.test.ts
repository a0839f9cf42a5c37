/**
 * What a spec may not say: for each check a spec that only this check refuses, so that one that is taken out is noticed (`npm run checks`).
 * « » mark the place that the message names.
 */
import { describe, test } from 'vitest';
import { expectOne } from '../marked.js';
import { PATH, type Setup, wrongs } from './helper.js';

type Row = readonly [code: string, words: RegExp, text: string, setup?: Setup];

/** A module with these lines and this forward, on its own. */
const mod = (body: string, forward = 'x', shape = 'k, 4') =>
  `module A() {\n${body}\n  forward(x: [${shape}]) { ${forward} }\n}\nmodel M {\n  base = A()\n}\n`;
/** A model on a backbone of the library. */
const std = (body: string, before = '') => `use std\n${before}\nmodel M {\n  base = vit_base_patch16()\n${body}\n}\n`;
/** A layer with this adapter on it. */
const adapter = (body: string, on = 'Linear(in -> out)', at = 'base.fc') =>
  `module A() {\n  fc = Linear(4 -> 4)\n  act = Mlp()\n  forward(x: [k, 4]) { act(fc(x)) }\n}\nmodule Mlp() {\n  forward(x: [k, 4]) { relu(x) }\n}\nadapter a() on base: ${on} {\n${body}\n}\nmodel M {\n  base = A()\n  adapt ${at} with a()\n}\n`;
/** An adapter that asks for the weight of a layer on which another one is. */
const twice = (layer: string, shape: string, below: string) =>
  `module A() {\n  c = ${layer}\n  forward(x: [${shape}]) { c(x) }\n}\nadapter low() on base: Layer(in -> out) {\n  p = param [out, 8, 8] zeros\n  forward(x) { ${below} }\n}\nadapter high() on base: Layer(in -> out) {\n  forward(x) { base(x, weight: 2 * base.weight) }\n}\nmodel M {\n  base = A()\n  adapt base.c with low()\n  adapt base.c with high()\n}\n`;
const prune = (options: string) => std(`  prune base.blocks[*].mlp.fc1 with magnitude(${options})`);
/** A layer that is pruned by this criterion. */
const criterion = (value: string, asks = 'input', use = 'm') =>
  `criterion m(weight: [out, in], ${asks}) = ${value}\n${mod('  fc = Linear(4 -> 4)', 'fc(x)').replace('base = A()', `base = A()\n  prune base.fc with ${use}(sparsity: 50%, calibration: "./i")`)}`;
const conv = (options: string) => mod(`  c = Conv2d(4 -> 4, kernel: 3, ${options})`, 'c(x)', 'k, 4, 8, 8');
const deploy = (line: string) => `${std('')}deploy M {\n  ${line}\n}\n`;
const BOTH = 'optimizer = adamw(lr: 1e-3)\n  schedule = constant(epochs: 2)';
const train = (line: string, before = '') =>
  `${std('  head = classify(base, classes: 3)\n  tune head', before)}train M {\n  ${line}\n}\n`;
const optimizer = (body: string, options = 'lr: float = 1') =>
  train('optimizer = own()\n  schedule = constant(epochs: 2)', `optimizer own(${options}) {\n  ${body}\n}\n`);
const variant = (body: string, from = 'vit(dim: 8, depth: 1, heads: 1, image: 16)') =>
  `use std\nvariant v = ${from} {\n  ${body}\n}\nmodel M {\n  base = v() from "./x"\n}\n`;

/** A variant that no model fills in. */
const unused = (body: string) => `${std('')}variant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  ${body}\n}\n`;

/** In a file that is used, a body is checked when it is worked out, not before. */
const used = (body: string, forward: string): [string, Setup] => [
  'use "./a.peft"\nmodel M {\n  base = A()\n}\n',
  { files: { 'a.peft': `module A() {\n${body}\n  forward(x: [k, 4]) { ${forward} }\n}\n` } },
];

const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  'options of operators and layers': [
    ['ESP0226', /groups.*at least 1/, conv('groups: «0»')],
    [
      'ESP0205',
      /kernel.*a number or \[height, width\]/,
      mod('  c = Conv2d(4 -> 4, kernel: «[3, 3, 3]»)', 'c(x)', 'k, 4, 8, 8'),
    ],
    ['ESP0226', /stride.*at least 1/, conv('stride: «[1, 0]»')],
    ['ESP0226', /padding.*at least 0/, conv('padding: «-1»')],
    ['ESP0205', /padding.*\[vertical, horizontal\]/, conv('padding: «[1, 2, 3]»')],
    ['ESP0226', /groups.*a divisor of 4 and 4/, conv('groups: «3»')],
    ['ESP0205', /size.*one output size/, mod('  c = Conv2d(«4 -> {a: 4}», kernel: 3)', 'c(x)', 'k, 4, 8, 8')],
    ['ESP0205', /init.*a start such as zeros/, mod('  fc = Linear(4 -> 4, init: «3»)', 'fc(x)')],
    ['ESP0205', /size.*dim -> 4 \* dim/, mod('  fc = Linear(«4»)', 'fc(x)')],
    ['ESP0226', /eps.*at least 0/, mod('  n = LayerNorm(4, eps: «-1»)', 'n(x)')],
    ['ESP0226', /eps.*at least 0, not -0\.5/, mod('', 'layer_norm(x, eps: «-0.5»)')],
    ['ESP0226', /groups.*a divisor of 4/, mod('  n = GroupNorm(«3», 4)', 'n(x)')],
    ['ESP0226', /std.*at least 0/, mod('  p = param [4] normal(«-1»)', 'x + p')],
    ['ESP0226', /rate.*from 0 to below 1/, mod('', 'dropout(x, rate: «1»)')],
    ['ESP0205', /gain.*given where `shift` is/, mod('  p = param [4] zeros', '«layer_norm(x, shift: p)»')],
    ['ESP0205', /mask.*true and false/, mod('', 'attention(x, x, x, mask: «x @ x.T»)', 'k, 3, 4')],
    ['ESP0209', /relu/, mod('', 'relu(x, «1»)')],
    ['ESP0203', /`relu` has no option `fast`/, mod('', 'relu(x, «fast»: true)')],
    ['ESP0208', /`axis` is given twice to `softmax`/, mod('', 'softmax(x, axis: 0, axis: «1»)')],
    ['ESP0229', /concat/, mod('', '«concat()»')],
    ['ESP0229', /the argument `pattern`/, mod('', '«rearrange(x)»')],
    ['ESP0205', /items.*at least one tensor/, mod('', '«concat([])»')],
    ['ESP0205', /pattern.*a string such as/, mod('', 'rearrange(x, «3»)')],
    ['ESP0305', /axis 7/, mod('', 'stack(x, x, axis: «7»)')],
    ['ESP0305', /axis 5/, mod('', 'sum(x, axis: «5»)')],
    ['ESP0305', /axis 9/, mod('', 'x * size(x, axis: «9»)')],
    ['ESP0205', /a tensor where `axis` is given/, mod('', 'x * size(«3», axis: 0)')],
    ['ESP0205', /a comprehension/, mod('  t = «table(1, 2)»', 'x * t')],
    ['ESP0205', /message.*a string/, mod('  require(true, «3»)')],
    ['ESP0223', /must not be/, mod('  «require(false, "must not be")»')],
    ['ESP0220', /comprehension/, mod('', 'relu(«i < 4»: x)')],
    ['ESP0312', /true/, mod('  t = table(i < 2: if i == 0 { 1 } else { true })', 'x')],
    ['ESP0210', /form/, mod('', 'gelu(x, form: «3»)')],
  ],
  numbers: [
    ['ESP0205', /the operand of `-`/, mod('  p = -«"a"»')],
    ['ESP0228', /\*/, mod('  p = «[1] * [2]»')],
    ['ESP0228', /@/, mod('  p = «1 @ 2»')],
    ['ESP0227', /10 % 0.*a division by zero/, mod('  p = «10 % 0»')],
    ['ESP0227', /too large/, mod('  p = «1e308 * 10»')],
    ['ESP0227', /sqrt/, mod('  p = «sqrt(-1)»')],
    ['ESP0227', /log/, mod('  p = «log(0)»')],
    ['ESP0227', /a tensor.* \/ 0/, mod('', '«x / 0»')],
    ['ESP0310', /the length of this list/, mod('  l = [0]\n  for i < 30 { l = l + l }')],
    ['ESP0310', /a number of elements/, mod('  t = «table(i < 9999, j < 9999: 0)»')],
    ['ESP0310', /a number of turns/, mod('  for i < «1000000000» { y = i }')],
    ['ESP0226', /a number of turns.*-1/, mod('  b = repeat i < «-1» { Linear(4 -> 4) }')],
    ['ESP0310', /axis 0 of `p`/, mod('  p = param [«3000000000»] zeros')],
    ['ESP0304', /axis 0 of `p`/, mod('  p = param [«0»] zeros')],
    ['ESP0303', /5 \/ 2/, mod('  p = param [«5 / 2»] zeros')],
    ['ESP0218', /a number of turns/, mod('', 'for i < «x» { y = i }\n    x')],
    ['ESP0205', /a number of turns/, mod('  for i < «"a"» { y = i }')],
    ['ESP0205', /an operand|this operand/, mod('', 'concat(x, «"a"»)')],
    ['ESP0314', /the number/, mod('', 'x + cast(«1e300», f16)')],
    ['ESP0222', /3 names|3/, mod('  a, b, c = «[1, 2]»')],
    ['ESP0222', /2 names|2/, mod('  a, b = «1»')],
    ['ESP0222', /2/, mod('  p = param [3] zeros', 'a, b = «p»\n    x + a')],
  ],
  'patterns of rearrange': [
    ['ESP0307', /parentheses do not nest/, mod('', 'rearrange(x, «"((b) n) -> b n"»)')],
    ['ESP0307', /closes that was not opened/, mod('', 'rearrange(x, «"b) n -> b n"»)')],
    ['ESP0307', /`\*` is not a name of an axis/, mod('', 'rearrange(x, «"b * -> b"»)')],
    ['ESP0307', /is not closed/, mod('', 'rearrange(x, «"b n -> (b n"»)')],
    ['ESP0307', /`b` stands twice on the left/, mod('', 'rearrange(x, «"b b -> b"»)')],
    ['ESP0307', /`n` stands twice on the right/, mod('', 'rearrange(x, «"b n -> b n n"»)')],
    ['ESP0307', /it needs one `->`/, mod('', 'rearrange(x, «"b n"»)')],
    ['ESP0307', /it needs one `->`/, mod('', 'rearrange(x, «"b n -> n b -> b n"»)')],
    ['ESP0307', /`n` is on the left only/, mod('', 'rearrange(x, «"b n -> b"»)')],
    ['ESP0307', /`q` is on the right only/, mod('', 'rearrange(x, «"b n -> b n q"»)')],
    ['ESP0307', /no axis `q`/, mod('', 'rearrange(x, «"b n -> n b"», q: 3)')],
    ['ESP0307', /the left side has 3 axes/, mod('', 'rearrange(x, «"b n q -> q n b"»)')],
    ['ESP0307', /are both open; give one/, mod('', 'rearrange(x, «"b (h d) -> b h d"»)')],
    ['ESP0307', /\(h d\) is 6 and the axis has 4/, mod('', 'rearrange(x, «"b (h d) -> b h d"», h: 3, d: 2)')],
    ['ESP0307', /does not divide by 3/, mod('', 'rearrange(x, «"b (h d) -> b h d"», h: 3)')],
  ],
  'names and places': [
    [
      'ESP0202',
      /layer `Conv3d`/,
      adapter('  forward(x) { base(x) }', '«Conv3d»(in -> out)').replace('  adapt base.fc with a()\n', ''),
    ],
    ['ESP0206', /`base`/, std('  «base» = vit_base_patch16()')],
    ['ESP0206', /`fc`/, mod('  fc = Linear(4 -> 4)\n  «fc» = Linear(4 -> 4)', 'fc(x)')],
    [
      'ESP1310',
      /`one` is declared in a\.peft and in b\.peft/,
      `use "./a.peft"\nuse "./b.peft"\n${mod('')}`,
      { files: { 'a.peft': 'criterion one(weight) = weight\n', 'b.peft': 'criterion one(weight) = 2 * weight\n' } },
    ],
    [
      'ESP1310',
      /`A` is declared in a\.peft and in spec\.peft/,
      `use "./a.peft"\n${mod('').replace('module A', 'module «A»')}`,
      { files: { 'a.peft': 'module A() {\n  forward(x: [k, 4]) { x }\n}\n' } },
    ],
    ['ESP0211', /no `vti`/, '«use std.vti»\nmodel M {\n}\n'],
    ['ESP0212', /mine\.peft/, `«use "./mine.peft"»\n${mod('')}`],
    ['ESP0213', /a\.peft/, `use "./a.peft"\n${mod('')}`, { files: { 'a.peft': 'use "./a.peft"\n' } }],
    ['ESP0236', /no model/, mod('').slice(0, mod('').indexOf('model M'))],
    ['ESP0237', /M, N/, `${mod('')}model «N» {\n  base = A()\n}\n`],
    ['ESP0238', /`N`/, mod(''), { model: 'N' }],
    ['ESP0238', /`N`/, `${mod('')}train «N» {\n}\n`],
    ['ESP0239', /`rank`/, mod(''), { set: { rank: '3' } }],
    ['ESP0240', /n=abc: must be int/, mod('').replace('model M', 'model M(n: int = 3)'), { set: { n: 'abc' } }],
    ['ESP0241', /`M`/, 'model «M» {\n  if 1 == 2 { tune nothing }\n}\n'],
    ['ESP0242', /nothing takes|does nothing|not used/, mod('  «3 + 4»')],
    ['ESP0243', /input/, 'module A() {\n  forward() { 3 }\n}\nmodel M {\n  base = A()\n}\n'],
    ['ESP0217', /`q`/, mod('  p = «q»\n  q = 3')],
    ['ESP0232', /`k`/, mod('  p = «2k»')],
    ['ESP0311', /`x`/, mod('').replace('forward(x: [k, 4])', 'forward(«x»)')],
    ['ESP0311', /`m`/, mod('', 'x', 'k, «m»')],

    ['ESP0201', /nowhere/, mod('', 'x + «nowhere»')],
    ['ESP0215', /rank/, adapter('  forward(x) { base(x) * base.«rank» }')],
    ['ESP0215', /hidden/, mod('  fc = Linear(4 -> 4)', 'fc(x) * fc.«hidden»')],
    ['ESP0216', /the adapter `lora`/, `use std\n${mod('', '«lora»(4)')}`],
    ['ESP0216', /3 cannot be called/, mod('  k = 3', '«k»(x)')],
    ['ESP0219', /the module `B`/, `module B() {\n  forward(x: [k, 4]) { x }\n}\n${mod('', '«B()»(x)')}`],
    ['ESP0219', /a parameter/, mod('', 'x + «(param [4] zeros)»')],
    ['ESP0220', /`site`/, adapter('  «site s(x) = x»\n  forward(x) { base(x) }')],
    ['ESP0220', /`forward`/, mod('', '«forward(y) { y }»\n    x')],
    ['ESP0220', /`new`/, mod('  l = [1, 2]\n  p = l[«new»]')],
    ['ESP0220', /shared param/, mod('  p = «shared param [4] zeros»', 'x + p')],
    ['ESP0221', /a/, adapter('  p = param [4] zeros').replace('adapter a()', 'adapter «a»()')],
    [
      'ESP0224',
      /the forward of a/,
      adapter('  forward(x) { y = base(x) }').replace('{ y = base(x) }', '«{ y = base(x) }»'),
    ],
    ['ESP0224', /this block/, mod('  p = if 1 == 2 { 3 } else «{ q = 4 }»')],
    ['ESP0205', /what is indexed/, mod('  k = 3\n  p = «k»[0]')],
    ['ESP0306', /7/, mod('  l = [1, 2]\n  p = l[«7»]')],
    ['ESP0306', /index 9 .* axis 1 of size 4/, mod('', 'x[:, 1..«9»]')],
    ['ESP0313', /3/, mod('', 'x[:, «3..1»]')],
    ['ESP0308', /3/, mod('', '«x[0, 0, 0]»')],
    ['ESP0305', /axis 1/, mod('  p = param [4] zeros', 'x @ «p.T»')],
    ['ESP0207', /integer/, mod('').replace('A()', 'A(n: «integer» = 3)')],
  ],
  calls: [
    ['ESP0203', /weight/, mod('  fc = Linear(4 -> 4)', 'fc(x, weight: «3»)')],
    ['ESP0209', /fc/, mod('  fc = Linear(4 -> 4)', 'fc(x, «x»)')],
    ['ESP0229', /fc.*a tensor/, mod('  fc = Linear(4 -> 4)', '«fc()»')],
    [
      'ESP0209',
      /`base.b` takes at most 1/,
      `module B() {\n  forward(x: [k, 4]) { x }\n}\n${mod('  b = B()', 'b(x, «x»)')}`,
    ],
    [
      'ESP0203',
      /`base.b` has no option `y`/,
      `module B() {\n  forward(x: [k, 4]) { x }\n}\n${mod('  b = B()', 'b(x, y: «x»)')}`,
    ],
    ['ESP0229', /the argument `x`/, `module B() {\n  forward(x: [k, 4]) { x }\n}\n${mod('  b = B()', '«b()»')}`],
    [
      'ESP0205',
      /`x` of base.b must be a tensor, not "a"/,
      `module B() {\n  forward(x: [k, 4]) { x }\n}\n${mod('  b = B()', 'b(«"a"»)')}`,
    ],
    [
      'ESP0302',
      /`base.b` takes x: \[k, 5\]/,
      `module B() {\n  forward(x: [k, 5]) { x }\n}\n${mod('  b = B()', 'b(«x»)')}`,
    ],
    ['ESP0221', /B/, `module B() {\n  fc = Linear(4 -> 4)\n}\n${mod('  b = B()', '«b(x)»')}`],
    ['ESP0225', /B/, `module B() {\n  b = «B()»\n  forward(x: [k, 4]) { x }\n}\n${mod('  b = B()', 'b(x)')}`],
    ['ESP0309', /`p`/, mod('  t = table(i < 3: i)\n  p = param [4] «t»', 'x + p')],
    ['ESP0314', /the start of `p`.*bool/, mod('  t = table(i < 4: true)\n  p = param [4] «t»', 'x + p')],
    ['ESP0205', /the start of `p`/, mod('  p = param [4] «"a"»', 'x + p')],
  ],
  adapters: [
    [
      'ESP0229',
      /`base.c` needs a tensor/,
      `adapter low() on base: Linear(in -> out) {\n  forward() { base.weight }\n}\nadapter high() on base: Linear(in -> out) {\n  forward() { base.weight }\n}\n${mod(
        '  c = Linear(4 -> 4)',
        'c()',
      ).replace('base = A()', 'base = A()\n  adapt base.c with low()\n  adapt base.c with high()')}`,
    ],

    ['ESP0330', /mpl/, std('  adapt base.blocks[*].mpl.fc1 with lora(rank: 4)')],
    ['ESP0331', /base.blocks\[0\].norm1 is a LayerNorm/, std('  adapt «base.blocks[0].norm1» with lora(rank: 4)')],
    [
      'ESP0335',
      /`s`/,
      `adapter f() on base: Linear(in -> out) {\n  s = shared param [in] zeros\n  forward(x) { base(x * s) }\n}\n${mod('  a = Linear(4 -> 6)\n  b = Linear(6 -> 4)', 'b(a(x))').replace('base = A()', 'base = A()\n  adapt base.{a, b} with f()')}`,
    ],
    ['ESP0332', /relu/, twice('Linear(4 -> 4)', 'k, 4', 'relu(base(x))')],
    ['ESP0332', /rearranges its input/, twice('Linear(4 -> 4)', 'k, 4, 4', 'base(rearrange(x, "k a b -> k b a"))')],
    [
      'ESP0332',
      /it would be \[4, 4, 5, 5\]/,
      twice('Conv2d(4 -> 4, kernel: 3, padding: 1)', 'k, 4, 8, 8', 'wide(x)').replace(
        '  p =',
        '  wide = Conv2d(in -> out, kernel: 5, padding: 2)\n  p =',
      ),
    ],
    [
      'ESP0332',
      /does not depend on the channel alone/,
      twice('Conv2d(4 -> 4, kernel: 1)', 'k, 4, 8, 8', 'base(x) + p'),
    ],
    ['ESP0340', /base.norm/, std('  prune «base.norm» with magnitude(sparsity: 50%)')],

    ['ESP0333', /weight/, adapter('  forward(x) { base(x, weight: «3») }', '(x: [k, d])', 'base.act')],
    ['ESP0333', /weight/, adapter('  forward(x) { base(x) + base.«weight» }', '(x: [k, d])', 'base.act')],
    ['ESP0334', /a/, adapter('  forward(x) { sum(base(x), axis: 1) }')],
    ['ESP0331', /fewer tensors/, adapter('  forward(x, y) { base(x) }', '(x: [k, d], y: [k, d])', 'base.act')],
    ['ESP0331', /x: \[k, 5\]/, adapter('  forward(x) { base(x) }', '(x: [k, 5])', 'base.act')],
    ['ESP0331', /input size is 5/, adapter('  forward(x) { base(x) }', 'Linear(5 -> out)')],
    [
      'ESP0336',
      /other/,
      adapter('  forward(x) { base(x) }')
        .replace('act = Mlp()', 'act = Mlp()\n  other = Linear(4 -> 4)')
        .replace('adapt base.fc', 'adapt base.other'),
    ],
  ],
  'types and options': [
    ['ESP0205', /rank/, std('  adapt base.blocks[*].mlp.fc1 with lora(rank: «[4]»)')],
    [
      'ESP0205',
      /a list that holds/,
      mod('').replace('A()', 'A(n: [int])').replace('base = A()', 'base = A(«[1, "b"]»)'),
    ],
    [
      'ESP0210',
      /mode/,
      mod('').replace('A()', 'A(mode: fast | slow = fast)').replace('base = A()', 'base = A(mode: «3»)'),
    ],
    [
      'ESP0210',
      /mode/,
      mod('').replace('A()', 'A(mode: fast | slow = fast)').replace('base = A()', 'base = A(mode: «fats»)'),
    ],
    ['ESP0204', /rank/, std('  adapt base.blocks[*].mlp.fc1 with «lora()»')],
    ['ESP0208', /rank/, std('  adapt base.blocks[*].mlp.fc1 with lora(rank: 4, «rank»: 8)')],
    ['ESP0209', /vit_base_patch16/, 'use std\nmodel M {\n  base = vit_base_patch16(1, 2, 3, 4, 5, 6, 7, 8, 9)\n}\n'],
    ['ESP0206', /n/, mod('').replace('A()', 'A(n: int = 1, «n»: int = 2)')],
  ],
  'parameters for each image': [
    [
      'ESP0606',
      /`?P`?/,
      adapter('  P = «param [k, d] zeros»\n  forward(x) { base(x) + P }', '(x: [k, d])', 'base.act'),
    ],
    [
      'ESP0606',
      /`?P`?/,
      adapter('  P = «param [2 * k, d] zeros»\n  forward(x) { base(x) + sum(P, axis: 0) }', '(x: [k, d])', 'base.act'),
    ],
  ],
  pruning: [
    [
      'ESP0336',
      /a mask is put on.*other/,
      adapter('  forward(x) { base(x) }')
        .replace('act = Mlp()', 'act = Mlp()\n  other = Linear(4 -> 4)')
        .replace('adapt base.fc with a()', 'use_')
        .replace('use_', 'prune base.other with m(sparsity: 50%)')
        .replace('model M', 'criterion m(weight) = abs(weight)\nmodel M'),
    ],
    [
      'ESP0344',
      /m/,
      `criterion m(weight) = sum(weight, axis: 0)\n${mod('  fc = Linear(4 -> 4)', 'fc(x)').replace('base = A()', 'base = A()\n  prune base.fc with m(sparsity: 50%)')}`,
    ],
    ['ESP0343', /`gradient`/, criterion('abs(weight * gradient)', 'gradient', '«m»')],
    ['ESP0343', /`inputs`/, criterion('abs(weight) * norm(inputs, axis: 0)', 'inputs', '«m»')],
    ['ESP0349', /nothing says of which images/, std('  prune base.blocks[0].mlp.fc1 with «wanda(sparsity: 50%)»')],
    ['ESP0349', /looks at the weight alone/, prune('sparsity: 50%, calibration: «"./images"»')],
    ['ESP0349', /nothing says which/, prune('sparsity: 50%, «images: 4»')],
    [
      'ESP0349',
      /the mask is in a file/,
      std('  prune base.blocks[0].mlp.fc1 with wanda(sparsity: 50%, calibration: «"./images"») from "./m.safetensors"'),
    ],
    ['ESP0205', /`calibration`.*folder/, prune('sparsity: 50%, calibration: «4»')],
    ['ESP0304', /`images`/, prune('sparsity: 50%, calibration: "./images", «images: 0»')],
    ['ESP0350', /second time.*sub/, criterion('abs(weight) * norm(«input - mean(input, axis: 0)», axis: 0)')],
    ['ESP0350', /over all tokens/, criterion('abs(weight) * cast(«argmax(input, axis: 0)», f32)')],
    ['ESP0344', /m/, criterion('«norm(input, axis: 0)»')],
    [
      'ESP0342',
      /base.blocks\[0\].mlp.fc1/,
      std(
        '  prune base.blocks[0].mlp.fc1 with magnitude(sparsity: 50%)\n  «prune base.blocks[0].mlp.fc1 with magnitude(sparsity: 50%)»',
      ),
    ],
    ['ESP0346', /fixes the sparsity already/, prune('shape: 2:4, «sparsity: 50%»')],
    ['ESP0346', /nothing says how much/, std('  prune base.blocks[*].mlp.fc1 with «magnitude()»')],
    ['ESP0347', /4:2/, prune('shape: «4:2»')],
    ['ESP0348', /a label|part/, std('  tune «base.blocks[0].attn.qkv.q»')],

    ['ESP0209', /magnitude/, prune('«50%»')],
    ['ESP0203', /sparsness/, prune('«sparsness»: 50%')],
    ['ESP0208', /sparsity/, prune('sparsity: 50%, «sparsity: 60%»')],
    ['ESP0205', /shape/, prune('shape: «3»')],
    ['ESP0345', /the block height/, prune('sparsity: 50%, shape: block(5, 4)')],
    ['ESP0345', /the block width/, prune('sparsity: 50%, shape: block(4, 5)')],
    ['ESP0226', /sparsity.*100%/, prune('«sparsity: 100%»')],
    ['ESP0210', /scope/, prune('sparsity: 50%, scope: «here»')],
    ['ESP0340', /norm/, std('  prune «base.norm» with magnitude(sparsity: 50%)')],
    ['ESP0341', /qkv/, std('  prune «base.blocks[0].attn.qkv.k» with magnitude(sparsity: 50%)')],
  ],
  settings: [
    ['ESP0251', /an empty list/, deploy('batch = «[]»')],
    ['ESP0251', /from 1 to/, deploy('batch = «0»')],
    ['ESP0251', /4 twice/, deploy('batch = «[4, 4]»')],
    ['ESP0251', /baseline/, deploy('limits = «most»')],
    ['ESP0250', /bach/, deploy('«bach» = 4')],
    ['ESP0254', /weights/, deploy('weights = f16\n  «weights = f32»')],
    ['ESP0253', /deploy/, `${deploy('batch = 1')}deploy M {\n  weights = f16\n}\n`],
    ['ESP0202', /optimizer.*3/, train('optimizer = «3»\n  schedule = constant(epochs: 2)')],
    ['ESP0205', /lr/, train('optimizer = adamw(lr: «"fast"»)\n  schedule = constant(epochs: 2)')],
    ['ESP0251', /lr.*larger than 0/, train('optimizer = adamw(«lr: 0»)\n  schedule = constant(epochs: 2)')],
    ['ESP0251', /lr.*larger than 0/, train(`${BOTH}\n  groups = [group("head", «lr: -1»)]`)],
    ['ESP0202', /sgdd/, train('optimizer = «sgdd»(lr: 1e-3)\n  schedule = constant(epochs: 2)')],
    ['ESP0203', /lrr/, train('optimizer = adamw(«lrr»: 1e-3)\n  schedule = constant(epochs: 2)')],
    ['ESP0208', /lr/, train('optimizer = adamw(lr: 1e-3, «lr»: 1e-4)\n  schedule = constant(epochs: 2)')],
    ['ESP0263', /schedule/, train('optimizer = adamw(lr: 1e-3)').replace('train M', 'train «M»')],
    ['ESP0263', /optimizer/, train('schedule = constant(epochs: 2)').replace('train M', 'train «M»')],
    ['ESP0264', /nothing/, `${std('')}train M {\n  optimizer = «adamw()»\n  schedule = constant(epochs: 2)\n}\n`],
    ['ESP0265', /base/, train(`${BOTH}\n  groups = [group(«"base.*"», lr: 1)]`)],
    ['ESP0265', /heads/, train(`${BOTH}\n  groups = [group(«"heads"», lr: 1)]`)],
    ['ESP0251', /groups/, train(`${BOTH}\n  groups = [«group(3)»]`)],
    ['ESP0251', /groups/, train(`${BOTH}\n  groups = «2»`)],
    ['ESP0251', /schedule.*function/, train('optimizer = adamw()\n  schedule = «4»')],
    ['ESP0251', /schedule.*function/, train('optimizer = adamw()\n  schedule = «cosin(epochs: 4)»')],
    ['ESP0251', /epochs/, train('optimizer = adamw()\n  schedule = «cosine(warmup: 4)»')],
    ['ESP0251', /epochs.*at least 1/, train('optimizer = adamw()\n  schedule = cosine(epochs: «0»)')],
    [
      'ESP0251',
      /rate.*at least 0|schedule.*at least 0/,
      train('optimizer = adamw()\n  schedule = «own(epochs: 2)»', 'function own(lr: float, epochs: int) = -lr\n'),
    ],
    ['ESP0251', /loss.*one number/, train(`${BOTH}\n  loss = «prediction - target»`)],
    ['ESP0251', /loss.*one number/, train(`${BOTH}\n  loss = «mean(head - target, axis: 1)»`)],
    ['ESP0251', /loss.*target/, train(`${BOTH}\n  loss = «mean(head)»`)],
    ['ESP0205', /loss|tensor/, train(`${BOTH}\n  loss = «"none"»`)],
    ['ESP0252', /folder/, train(`${BOTH}\n  data = «folder»("x")`)],
    ['ESP0251', /path of images/, train(`${BOTH}\n  data = images(«3»)`)],
    ['ESP0251', /format of images.*folders/, train(`${BOTH}\n  data = images("x", format: «"tar"»)`)],
    ['ESP0204', /images.*path/, train(`${BOTH}\n  data = «images»(limit: 4)`)],
    ['ESP0251', /test_limit of images/, train(`${BOTH}\n  data = images("x", test_limit: «0»)`)],
    ['ESP0251', /order.*balanced/, train(`${BOTH}\n  order = «sorted»`)],
    ['ESP0251', /split_seed/, train(`${BOTH}\n  split_seed = «-1»`)],
    ['ESP0204', /every.*steps/, train(`${BOTH}\n  save = «every»()`)],
    ['ESP0251', /steps of every/, train(`${BOTH}\n  save = every(steps: «0»)`)],
    ['ESP0252', /never/, train(`${BOTH}\n  save = «never»`)],
    ['ESP0252', /flop/, train(`${BOTH}\n  augment = [«flop»(50%)]`)],
    ['ESP0251', /probability of flip/, train(`${BOTH}\n  augment = flip(«150%»)`)],
    ['ESP0203', /often/, train(`${BOTH}\n  augment = flip(«often: 1»)`)],
    ['ESP0252', /disk/, train(`${BOTH}\n  cache = «disk»`)],
    ['ESP0251', /auto, none.*3/, train(`${BOTH}\n  cache = «3»`)],
    ['ESP0251', /memory of auto/, train(`${BOTH}\n  cache = auto(memory: «-1»)`)],
    ['ESP0203', /path/, train(`${BOTH}\n  cache = auto(«path: "x"»)`)],
    ['ESP0251', /adapters/, train(`${BOTH}\n  adapters = «all»`)],
    ['ESP0251', /validation/, train(`${BOTH}\n  validation = «1»`)],
    ['ESP0251', /ema/, train(`${BOTH}\n  ema = «1»`)],
    ['ESP0251', /clip/, train(`${BOTH}\n  clip = «0»`)],
    ['ESP0250', /epochs/, train(`${BOTH}\n  «epochs» = 4`)],
  ],
  optimizers: [
    [
      'ESP0260',
      /lr/,
      optimizer('forward(weight, gradient) { weight - gradient }', '').replace('optimizer own', 'optimizer «own»'),
    ],
    ['ESP0221', /own/, optimizer('x = 1').replace('optimizer own', 'optimizer «own»')],
    ['ESP0261', /momentum/, optimizer('forward(weight, «momentum») { weight }')],
    ['ESP0262', /weight becomes/, optimizer('forward(weight, gradient) { «sum(gradient)» }')],
    [
      'ESP0262',
      /`m` becomes/,
      optimizer('m = state zeros\n  forward(weight, gradient) {\n    «m = norm(gradient)»\n    weight\n  }'),
    ],
    ['ESP0266', /`m`/, optimizer('m = state zeros\n  «forward(weight, gradient) { weight - m }»')],
    ['ESP0205', /start of a state/, optimizer('m = state «eye»\n  forward(weight) {\n    m = weight\n    weight\n  }')],
    [
      'ESP0220',
      /state/,
      optimizer('n = if true {\n    q = «state zeros»\n    q\n  } else { 1 }\n  forward(weight) { weight }'),
    ],
    ['ESP0201', /nothing/, optimizer('forward(weight) { weight - «nothing» }')],
  ],
  variants: [
    ['ESP0205', /the variant `v`/, variant('', '«3»')],
    ['ESP0251', /steps such as/, variant('preprocess = «3»')],
    ['ESP0205', /a head/, variant('names hf { head "classifier" = «3» }')],
    ['ESP0252', /risize/, variant('preprocess = «risize»(16)')],
    ['ESP0251', /mean of normalize/, variant('preprocess = normalize(mean: «[1, 2]», std: 1)')],
    ['ESP0251', /std of normalize.*larger than 0/, variant('preprocess = normalize(mean: 0, std: «0»)')],
    ['ESP0251', /size of resize/, variant('preprocess = resize(«[1, 2, 3]»)')],
    ['ESP0251', /a size, or the `longest` side/, variant('preprocess = «resize(4, longest: 8)»')],
    ['ESP0251', /a size, or the `longest` side/, variant('preprocess = «resize()»')],
    ['ESP0210', /rounding/, variant('preprocess = crop(4, «up»)')],
    ['ESP0210', /rule/, variant('preprocess = colour(«icc»)')],
    ['ESP0229', /rule/, variant('preprocess = «colour»')],
    ['ESP1141', /after another step/, variant('preprocess = crop(4), «colour(managed)»')],
    ['ESP1141', /says twice/, variant('preprocess = colour(raw), crop(4), «colour(managed)»')],
    ['ESP0225', /v/, 'variant v = w()\nvariant w = «v»()\nmodel M {\n  base = v()\n}\n'],
    ['ESP0202', /nothing/, 'use std\nvariant v = «nothing»(3)\nmodel M {\n  base = v()\n}\n'],
  ],
  'files that are used': [
    ['ESP0201', /`nowhere`/, ...used('', 'x + nowhere')],
    ['ESP0203', /`relu` has no option `fast`/, ...used('', 'relu(x, fast: true)')],
    ['ESP0210', /`form`.*not `tnah`/, ...used('', 'gelu(x, form: tnah)')],
    ['ESP0217', /`q`/, ...used('  p = q\n  q = 3', 'x')],
  ],
  'declarations that nothing uses': [
    [
      'ESP0210',
      /`form`.*not `tnah`/,
      `adapter z() on base: Linear(in -> out) {\n  forward(x) { gelu(base(x), form: «tnah») }\n}\n${mod('')}`,
    ],
    ['ESP0217', /`q`/, `module Z() {\n  p = «q»(3)\n  q = 3\n  forward(x: [k, 4]) { x }\n}\n${mod('')}`],
    ['ESP0201', /`nowhere`/, `module Z() {\n  forward(x: [k, 4]) { x + «nowhere» }\n}\n${mod('')}`],
  ],
  'configurations, used or not': [
    ['ESP0203', /dpth/, unused('config x { «dpth» = count("n") or 3 }')],
    ['ESP0257', /a field/, unused('config x { match «"a" + 1» = "vit" }')],
    ['ESP0257', /a text, a number/, unused('config x { match "t" = «[1]» }')],
    ['ESP0257', /count\("field"\)/, unused('config x { dim = «count(3)» or 4 }')],
    ['ESP0257', /names of the classes/, unused('config x { labels «"a" + 1» }')],
    ['ESP0257', /option = "field"/, unused('config x { «"resample" = 2» }')],
    ['ESP0257', /`names`, `places`/, unused('config x { set "a" = «nmaes» }')],
    ['ESP0220', /`labels`.*belongs in a `config`/, unused('processor x { «labels "a"» }')],
    ['ESP0220', /`several`.*belongs in a `config`/, unused('processor x { «several "a" = 1» }')],
    ['ESP0201', /dmi/, unused('config x {\n dim = count("a")\n hidden = "b" or 4 * «dmi» }')],
    ['ESP0201', /edge/, unused('processor x {\n set "size" = «edge» }')],
  ],
  'names of tensors': [
    ['ESP0231', /`size`/, variant(''), { facts: () => ({ options: { size: 3 } }) }],
    ['ESP0230', /depth/, variant(''), { facts: () => ({ options: { depth: 3 } }) }],
    ['ESP0233', /mlp.fc1.weight.x/, variant('names x { "n" = «blocks[0].mlp.fc1.weight.x» }')],

    ['ESP0233', /nrom/, variant('names x { "n" = «nrom» }')],
    ['ESP0233', /fc9/, variant('names x { "n" = «blocks[0].mlp.fc9» }')],
    ['ESP0233', /blocks\[0, 1\]/, variant('names x { "n" = «blocks[0, 1]».norm1 }')],
    ['ESP0233', /blocks\[9\]/, variant('names x { "n" = «blocks[9]».norm1 }')],
    ['ESP0233', /blocks\[1 \+ 1\]/, variant('names x { "n" = «blocks[1 + 1]».norm1 }')],
    ['ESP0233', /1 \+ 1/, variant('names x { "n" = «1 + 1» }')],
    ['ESP0235', /j/, variant('names x { "n.{j}" = «norm» }')],
    ['ESP0235', /j/, variant('names x { "n.{i}" or "m.{j}" = «blocks[i].norm1» }')],
    ['ESP0256', /\{i \/ 2\}/, variant('names x { «"n.{i / 2}"» = blocks[i].norm1 }')],
    ['ESP0256', /\{\}/, variant('names x { «"n.{}"» = norm }')],
    ['ESP0233', /norm\.weight\.T/, variant('names x { "n" = «norm.weight.T» }')],
    ['ESP0233', /weight\.T\.T/, variant('names x { "n" = «blocks[0].mlp.fc1.weight.T.T» }')],
    ['ESP0233', /weight\[1\]/, variant('names x { "n" = «norm.weight[1]» }')],
    ['ESP0233', /weight\[0\]/, variant('names x { "n" = «norm.weight[0]» }')],
    ['ESP0233', /weight\[0\.\.2\]/, variant('names x { "n" = «norm.weight[0..2]» }')],
    ['ESP0233', /fc9/, variant('names x { optional "n" = «blocks[0].mlp.fc9» }')],
    ['ESP0233', /fc9/, variant('names x { optional "n.{i}" = «blocks[i].mlp.fc9» }')],
    [
      'ESP0233',
      /extra/,
      `module S(on: bool) {\n  if on { extra = Linear(4 -> 4) }\n  fc = Linear(4 -> 4)\n  forward(x: [k, 4]) { fc(x) }\n}\nvariant v = S(on: false) {\n  names x { "e" = «extra» }\n}\nmodel M {\n  base = v() from "./x"\n}\n`,
    ],
    ['ESP0234', /has two uses/, variant('«names x {\n prefix "a."\n "a.n" = norm\n "n" = blocks[0].norm1 }»')],
    ['ESP0234', /has two uses/, variant('names x { "n" = norm\n "n" = blocks[0].norm1 }')],
    [
      'ESP0234',
      /as a whole and in parts/,
      variant('names x { "q" = blocks[0].attn.qkv.q\n "w" = blocks[0].attn.qkv }'),
    ],
    [
      'ESP0234',
      /are named twice/,
      variant(
        'names x { "q" = blocks[0].attn.qkv.q\n "w" = blocks[0].attn.qkv.q\n "k" = blocks[0].attn.qkv.k\n "v" = blocks[0].attn.qkv.v }',
      ),
    ],
    [
      'ESP0234',
      /rows 0 to 8 of .* have no name/,
      variant('names x { "k" = blocks[0].attn.qkv.k\n "v" = blocks[0].attn.qkv.v }'),
    ],
    [
      'ESP0234',
      /rows 16 to 24 of .* have no name/,
      variant('names x { "q" = blocks[0].attn.qkv.q\n "k" = blocks[0].attn.qkv.k }'),
    ],
  ],
};

describe.each(Object.entries(GROUPS))('%s', (_, rows) => {
  test.each(rows.map((row, i) => [i + 1, ...row] as const))('%i: %s %s', (_, code, words, source, setup) => {
    expectOne(source, code, words, PATH, (text) => wrongs(text, setup));
  });
});
