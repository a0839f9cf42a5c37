/** The text form: what it looks like, that it reads back, what it refuses. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as b from '../../src/ir/build.js';
import { constant, make, paramRef } from '../../src/ir/graph.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { parseModule, printModule, TextError } from '../../src/ir/text/print.js';
import type { Adapter, Module, Param } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { equalModules } from '../equal.js';
import { maxDifference } from '../tensors.js';
import { knownOf } from './known.js';
import { randomModule } from './random.js';
import { f32, moduleOf } from './support.js';

const weight: Param = {
  name: 'base.patch_embed.weight',
  role: 'frozen',
  type: { dtype: 'f32', shape: [8, 3, 4, 4] },
  about: { site: 'base.patch_embed' },
};
const magnitude: Param = {
  name: 'base.fc@dora.m',
  role: 'trainable',
  type: { dtype: 'f32', shape: [8] },
  about: {
    owner: { kind: 'adapter', ids: ['base.fc@dora'] },
    site: 'base.fc',
    at: { file: 'a.peft', start: 3, end: 9 },
  },
  init: { kind: 'value', value: b.sqrt(b.sum(b.mul(paramRef(weight), paramRef(weight)), [1, 2, 3])) },
};
const masked: Param = { name: 'a', role: 'frozen', type: { dtype: 'bool', shape: [2] } };
const mask: Param = {
  about: { owner: { kind: 'mask', of: 'a' } },
  name: 'a#mask',
  role: 'constant',
  type: { dtype: 'bool', shape: [2] },
  data: Uint8Array.of(1, 0),
};

function example(): Module {
  const image = f32('image', 1, 3, 8, 8);
  const conv = make(
    'conv2d',
    [image, paramRef(weight)],
    { stride: [4, 4], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 },
    { site: 'base.patch_embed' },
  );
  const tokens = b.transpose(b.reshape(conv, [1, 8, 4]), [0, 2, 1]);
  const scaled = make(
    'mul',
    [tokens, paramRef(magnitude)],
    {},
    { ...magnitude.about, inside: ['base.fc@dora', 'two words'], at: { file: 'b "c".peft', start: 0, end: 2 } },
  );
  const kept = b.select(paramRef(mask), b.slice(scaled, [0, 0, 0], [1, 4, 2]), constant(1, [2]));
  const made = moduleOf(
    {
      name: 'infer',
      inputs: [image],
      results: [
        { name: 'logits', value: b.add(kept, -0.5) },
        { name: 'best', value: make('argmax', [kept], { axis: 2 }) },
      ],
      updates: [],
    },
    [weight, magnitude, masked, mask],
    'example',
  );
  const graft = { file: 'a.peft', start: 100, end: 140 };
  const adapters: Adapter[] = [
    { id: 'base.fc@dora', name: 'dora', site: 'base.fc', graft },
    { id: 'two words', name: 'two words' },
  ];
  return { ...made, adapters: new Map(adapters.map((a) => [a.id, a])) };
}

const TEXT = `module @example

adapter @base.fc@dora = dora on @base.fc at "a.peft" 100:140
adapter @"two words" = "two words"

param @base.patch_embed.weight : f32[8,3,4,4] frozen in @base.patch_embed
param @base.fc@dora.m : f32[8] trainable of @base.fc@dora at "a.peft" 3:9 in @base.fc = value {
  %0 = mul @base.patch_embed.weight, @base.patch_embed.weight : f32[8,3,4,4]
  %1 = reduce_sum %0 {axes = [1, 2, 3], keep = false} : f32[8]
  %2 = sqrt %1 : f32[8]
  return %2
}
param @a : bool[2] frozen
param @a#mask : bool[2] constant masks @a data u8 [1, 0]

func @infer(%image: f32[1,3,8,8]) -> (logits: f32[1,4,2], best: i32[1,4]) {
  in @base.patch_embed
  %0 = conv2d %image, @base.patch_embed.weight {stride = [4, 4], padding = [0, 0, 0, 0], dilation = [1, 1], groups = 1} : f32[1,8,2,2]
  in model
  %1 = reshape %0 : f32[1,8,4]
  %2 = transpose %1 {perm = [0, 2, 1]} : f32[1,4,8]
  in @base.fc
  %3 = mul %2, @base.fc@dora.m : f32[1,4,8] of @base.fc@dora inside @base.fc@dora, @"two words" at "b \\"c\\".peft" 0:2
  in model
  %4 = slice %3 {start = [0, 0, 0], end = [1, 4, 2]} : f32[1,4,2]
  %5 = constant {value = 1} : f32[2]
  %6 = select @a#mask, %4, %5 : f32[1,4,2]
  %7 = add %6, -0.5 : f32[1,4,2]
  %8 = argmax %6 {axis = 2} : i32[1,4]
  return %7, %8
}
`;

test('prints a program', () => {
  expect(printModule(example(), { places: true })).toBe(TEXT);
});

test('reads it back', () => {
  const read = parseModule(TEXT);
  expect(equalModules(read, example())).toBe(true);
  expect(printModule(read)).toBe(printModule(example()));
  expect(verifyModule(read)).toEqual([]);
  expect(knownOf(read)).toBe(knownOf(example()));
});

test('leaves out nothing but places in a spec, and these only where they are not asked for', () => {
  const short = TEXT.replaceAll(/ at "a\.peft" 3:9| at "b [^\n]*" 0:2/g, '');
  expect(printModule(example())).toBe(short);
  expect(short.length).toBeLessThan(TEXT.length);
});

test('a number is nobody’s', () => {
  expect(constant(2, [], 'f32', { site: 'a' }).about).toBeUndefined();
  expect(constant(2, [1], 'f32', { site: 'a' }).about).toEqual({ site: 'a' });
});

describe('the verifier refuses what is said of a value and is not so', () => {
  const text = (line: string) =>
    `module @m
adapter @s@a = a on @s
param @w : f32[2] frozen
param @s@a.p : f32[2] trainable of @s@a
param @w#mask : f32[2] constant masks @w
param @t : f32[2] constant data f32 [1, 2]
func @infer(%x: f32[2]) -> y: f32[2] {
  %0 = mul @w, @w#mask : f32[2]
  %1 = add %x, %0 : f32[2] of @s@a inside @s@a
  return %1
}
`.replace(...(line.split(' => ') as [string, string]));
  const said = (change: string) => verifyModule(parseModule(text(change))).map((p) => p.message);
  test.each<[string, string[]]>([
    ['x => x', []],
    ['f32[2] of @s@a inside @s@a => f32[2] of @s@b inside @s@a', ['add is of adapter s@b, which is not declared']],
    ['inside @s@a => inside @s@c', ['add is inside of adapter s@c, which is not declared']],
    ['inside @s@a => inside @s@a, @s@a', ['add is inside of one adapter twice']],
    ['f32[2] of @s@a inside => f32[2] of @s@a, @s@a inside', ['add is of one adapter twice']],
    ['f32[2] of @s@a inside @s@a => f32[2] masks @w', ['add is a mask; only parameters are']],
    ['trainable of @s@a => trainable of @s@d', ['parameter s@a.p is of adapter s@d, which is not declared']],
    ['trainable of @s@a => trainable inside @s@a', ['parameter s@a.p is inside of an adapter; only layers are']],
    ['constant masks @w => frozen masks @w', ['parameter w#mask masks w and is frozen, not constant']],
    [
      'w#mask : f32[2] constant masks @w => w#mask : f32[2] constant',
      ['parameter w#mask is constant and holds no elements'],
    ],
    ['trainable of @s@a => prepared of @s@a', ['parameter s@a.p is prepared, and `prepare` does not give it']],
  ])('%s', (change, messages) => {
    expect(said(change)).toEqual(messages);
  });

  test('a reading that is not its parameter’s', () => {
    const module = parseModule(text('x => x'));
    const params = new Map(module.params);
    params.set('w', { ...params.get('w')!, about: { site: 's' } });
    expect(verifyModule({ ...module, params }).map((p) => p.message)).toEqual([
      'parameter w is read as another’s or from another site than it is declared'.replace('’', "'"),
    ]);
  });

  test('a mask of another shape, and an adapter under another id', () => {
    const module = parseModule(text('x => x'));
    const params = new Map(module.params);
    params.set('w', { ...params.get('w')!, type: { dtype: 'f32', shape: [3] } });
    expect(verifyModule({ ...module, params }).map((p) => p.message)).toContain(
      'parameter w#mask is f32[2] and masks w, which is f32[3]',
    );
    const adapters = new Map([['s@a', { ...module.adapters.get('s@a')!, id: 's@z' }]]);
    expect(verifyModule({ ...module, adapters }).map((p) => p.message)).toEqual(['adapter s@a calls itself s@z']);
  });
});

test('random programs read back equal, verify, and compute the same', () => {
  fc.assert(
    fc.property(randomModule, ({ module, inputs, params }) => {
      const text = printModule(module, { maxData: Number.POSITIVE_INFINITY });
      const read = parseModule(text);
      expect(equalModules(module, read)).toBe(true);
      expect(printModule(read, { maxData: Number.POSITIVE_INFINITY })).toBe(text);
      expect(verifyModule(read)).toEqual([]);
      const mine = interpret(module, 'infer', { inputs, params });
      const theirs = interpret(read, 'infer', { inputs, params });
      for (const [name, t] of mine) expect(maxDifference(t, theirs.get(name)!)).toBe(0);
    }),
    { numRuns: 200 },
  );
});

test('numbers survive', () => {
  const x = f32('x', 1);
  for (const value of [-0, 0.1, 1e300, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
    const m = moduleOf({
      name: 'infer',
      inputs: [x],
      results: [{ name: 'y', value: make('add', [x, constant(value)], {}) }],
      updates: [],
    });
    expect(equalModules(parseModule(printModule(m)), m)).toBe(true);
  }
});

test('names that are not words are quoted', () => {
  const p: Param = { name: 'a b"\\\n→', role: 'frozen', type: { dtype: 'f32', shape: [] } };
  const m = moduleOf(
    { name: 'infer', inputs: [], results: [{ name: 'two words', value: paramRef(p) }], updates: [] },
    [p],
    '',
  );
  expect(printModule(m)).toContain('param @"a b\\"\\\\\\n→" : f32[] frozen');
  expect(equalModules(parseModule(printModule(m)), m)).toBe(true);
});

test('long constants are left out unless asked for, and reading then needs them', () => {
  const table: Param = {
    name: 't',
    role: 'constant',
    type: { dtype: 'i32', shape: [100] },
    data: new Int32Array(100).fill(7),
  };
  const m = moduleOf({ name: 'infer', inputs: [], results: [{ name: 'y', value: paramRef(table) }], updates: [] }, [
    table,
  ]);
  const text = printModule(m);
  expect(text).toContain('param @t : i32[100] constant data i32 omitted(100)');
  expect(() => parseModule(text)).toThrow('line 3: the 100 elements of @t are not in the text');
  expect(equalModules(parseModule(text, { data: () => table.data! }), m)).toBe(true);
  expect(equalModules(parseModule(printModule(m, { maxData: 100 })), m)).toBe(true);
});

test('equality sees a difference in structure, attributes, roles and data', () => {
  const differs = (from: string, to: string) => equalModules(parseModule(TEXT.replace(from, to)), example());
  expect(differs('-0.5', '-0.25')).toBe(false);
  expect(differs('frozen', 'trainable')).toBe(false);
  expect(differs('data u8 [1, 0]', 'data u8 [1, 1]')).toBe(false);
  expect(differs('select @a#mask, %4, %5', 'select @a#mask, %4, %4')).toBe(false);
  expect(differs('logits', 'scores')).toBe(false);
  expect(differs('= sqrt', '= exp')).toBe(false);
});

describe('refuses', () => {
  const body = (line: string, result = 'y: f32[2]') =>
    `module @m\nparam @w : f32[2] frozen\nfunc @f(%x: f32[2]) -> ${result} {\n  ${line}\n  return %0\n}\n`;
  test.each([
    ['', 'line 1: expected module, found the end of the text'],
    ['module @m\nfunc', 'line 2: expected a name with @, found the end of the text'],
    ['module @m\n$', 'line 2: unexpected "$"'],
    ['module @m\nparam @w : f64[2] frozen', 'line 2: f64 is not an element type (f32, f16, i32, u32, bool)'],
    [
      'module @m\nparam @w : f32[2] thawed',
      'line 2: thawed is not a role (frozen, trainable, statistic, constant, prepared, state)',
    ],
    ['module @m\nparam @w : f32[2] frozen\nparam @w : f32[2] frozen', 'line 3: parameter @w is declared twice'],
    ['module @m\nparam @w : f32[2] frozen = orthogonal', 'line 2: orthogonal is not an initialiser'],
    ['module @m\nparam @w : f32[2] frozen = normal', 'line 2: normal needs std'],
    ['module @m\nparam @w : f32[2] frozen = zeros(std = 1)', 'line 2: zeros has no option std'],
    [body('%0 = frobnicate %x : f32[2]'), 'line 4: frobnicate is not an operator'],
    [body('%0 = add %x, %y : f32[2]'), 'line 4: %y is not defined before this'],
    [body('%0 = add %x, @v : f32[2]'), 'line 4: parameter @v is not declared'],
    [body('%x = exp %x : f32[2]'), 'line 4: %x is there twice'],
    [body('%0 = exp %x : f32[3]'), 'line 4: exp gives f32[2] here, not f32[3]'],
    [body('%0 = reshape %x : f32[3]'), 'line 4: reshape: [2] has 2 elements and [3] has 3'],
    [body('%0 = softmax %x : f32[2]'), 'line 4: softmax needs the attribute axis'],
    [body('%0 = softmax %x {axes = 1} : f32[2]'), 'line 4: softmax has no attribute axes'],
    [body('%0 = softmax %x {axis = [0]} : f32[2]'), 'line 4: expected a number, found ['],
    [body('%0 = gelu %x {form = exact} : f32[2]'), 'line 4: gelu.form is one of none, tanh, quick'],
    [body('%0 = reshape %x {shape = [2]} : f32[2]'), 'line 4: reshape.shape is said by the type and not written'],
    [body('%0 = exp %x : f32[2]', 'y: f32[3]'), 'line 6: result y is f32[2], not f32[3]'],
    [`${body('%0 = exp %x : f32[2]')}12abc`, 'line 7: unexpected "12abc"'],
    [body('%0 = exp "x : f32[2]'), 'line 4: unexpected'],
  ])('%j', (text, message) => {
    expect(() => parseModule(text)).toThrow(TextError);
    expect(() => parseModule(text)).toThrow(message);
  });

  test('any text: a module or a TextError', () => {
    const pieces = fc.constantFrom(
      'module',
      'param',
      'func',
      '@a',
      '%x',
      '%0',
      ':',
      '=',
      '(',
      ')',
      '{',
      '}',
      '[',
      ']',
      ',',
      '->',
      'f32',
      '1',
      '-0.5',
      'exp',
      'return',
      '\n',
      '"s"',
      '\\',
      '@"',
      'frozen',
      'data',
      'value',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.boolean(), (parts, proper) => {
        const text = (proper ? 'module @m ' : '') + parts.join(' ');
        try {
          parseModule(text);
        } catch (e) {
          expect(e).toBeInstanceOf(TextError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
