/** Slips that a newcomer makes, found by trying: each has one message with a place, as golden text. */
import { describe, expect, it } from 'vitest';
import { expectGolden } from '../../golden.js';
import { codes, rendered } from './helper.js';

const module = (body: string, forward = 'x', shape = 'k, 4') =>
  `module A() {\n${body}\n  forward(x: [${shape}]) { ${forward} }\n}\nmodel M {\n  base = A()\n}\n`;
const std = (body: string) => `use std\n\nmodel M {\n  base = vit_base_patch16()\n${body}\n}\n`;

describe('slips', () => {
  it.each<[string, string, string]>([
    ['parts-missing', 'ESP0205', module('  fc = Linear(4 -> {})', 'fc(x)')],
    ['parts-of-one-name', 'ESP0206', module('  fc = Linear(4 -> {q: 4, q: 4})', 'fc(x)')],
    ['identity-of-a-vector', 'ESP0205', module('  p = param [4] eye', 'x + p')],
    ['tensor-by-zero', 'ESP0227', module('', 'x / 0')],
    ['line-that-does-nothing', 'ESP0242', module('  fc = Linear(4 -> 4)', '\n    fc(x)\n    x\n  ')],
    ['layer-as-result', 'ESP0205', module('  fc = Linear(4 -> 4)', 'fc')],
    [
      'list-of-mixed-items',
      'ESP0205',
      'module A(a: [int]) {\n  forward(x: [k, 4]) { x }\n}\nmodel M {\n  base = A([1, "b"])\n}\n',
    ],
    ['model-without-input', 'ESP0243', 'module A() {\n  forward() { 3 }\n}\nmodel M {\n  base = A()\n}\n'],
    ['argument-twice', 'ESP0206', module('', 'x', 'k, 4], x: [k, 4')],
    ['forward-twice', 'ESP0206', module('  forward(y: [k, 4]) { y }')],
    ['tune-a-part', 'ESP0348', std('  tune base.blocks[0].attn.qkv.q')],
    ['tune-a-label', 'ESP0348', std('  tune base.blocks[0].mlp_branch')],
    ['adapt-a-parameter', 'ESP0330', std('  adapt base.pos_embed with ssf()')],
    [
      'function-in-itself',
      'ESP0225',
      `function f(n: int) = g(n - 1)\nfunction g(n: int) = 1 + f(n)\n${module('', 'x')}`,
    ],
    ['tensor-as-an-option', 'ESP0207', `module B(w: tensor) {\n  forward(x: [k, 4]) { x @ w }\n}\n${module('', 'x')}`],
    ['largest-of-nothing', 'ESP0205', module('  fc = Linear(4 -> max([]))', 'fc(x)')],
    ['axis-of-a-list', 'ESP0203', module('  fc = Linear(4 -> max([4, 2], axis: 0))', 'fc(x)')],
    ['two-to-max', 'ESP0209', module('  fc = Linear(4 -> max(4, 2))', 'fc(x)')],
    ['function-argument', 'ESP0205', `function f(n: int | none) = n\n${module('  fc = Linear(4 -> f("4"))', 'fc(x)')}`],
    ['parameter-in-a-function', 'ESP0219', `function f(n: int) = param [n] zeros\n${module('  p = f(4)', 'x + p')}`],
    ['ignore-in-an-in', 'ESP0220', std('  in base.blocks[*] { ignore "mask_token" }')],
    ['binding-in-an-in', 'ESP0220', std('  in base.blocks[*] { other = vit_base_patch16() }')],
  ])('%s', (name, code, text) => {
    expect(codes(text)).toEqual([code]);
    expectGolden(`${name}.txt`, rendered(text));
  });

  it('a stage of no blocks is the identity', () => {
    expect(codes(module('  b = repeat i < 0 { Linear(4 -> 4) }', 'b(x)'))).toEqual([]);
  });
});
