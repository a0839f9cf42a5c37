/** The walk that finds what stands in the merged program where the plain one reads a tensor. */
import { expect, test } from 'vitest';
import { correspond } from '../../src/api/merge.js';
import { build as b } from '../../src/ir/build.js';
import { input, paramRef } from '../../src/ir/graph.js';
import type { Module, Value } from '../../src/ir/types.js';

const x = input('x', { dtype: 'f32', shape: [2, 4] });
const p = (name: string, ...shape: number[]): Value =>
  paramRef({ name, type: { dtype: 'f32', shape }, role: 'frozen' });
const module = (value: Value): Module => ({
  name: 'm',
  adapters: new Map(),
  params: new Map(),
  funcs: new Map([['infer', { name: 'infer', inputs: [x], results: [{ name: 'y', value }], updates: [] }]]),
});
const plain = module(b.linear(b.linear(x, p('w', 4, 4), p('b', 4)), p('v', 3, 4)));

test('pairs parameters by their place', () => {
  const merged = module(b.linear(b.linear(x, p('w2', 4, 4), p('b', 4)), p('v', 3, 4)));
  expect(correspond(plain, merged)).toEqual(
    new Map([
      ['w', 'w2'],
      ['b', 'b'],
      ['v', 'v'],
    ]),
  );
});

test.each<[string, Value, RegExp]>([
  [
    'a bias that the base does not have',
    b.linear(b.linear(x, p('w', 4, 4), p('b', 4)), p('v', 3, 4), p('c', 3)),
    /a bias is added there, for which the base has no tensor/,
  ],
  ['an operator that stays', b.linear(b.relu(b.linear(x, p('w', 4, 4), p('b', 4))), p('v', 3, 4)), /leaves a relu/],
  [
    'a computed weight',
    b.linear(b.linear(x, b.neg(p('w', 4, 4)), p('b', 4)), p('v', 3, 4)),
    /a neg stands where w is read/,
  ],
  ['another shape', b.linear(b.linear(x, p('w', 5, 4), p('b', 5)), p('v', 3, 5)), /its shape becomes/],
])('says where the two differ: %s', (_, value, why) => {
  const found = correspond(plain, module(value));
  expect(found).not.toBeInstanceOf(Map);
  expect((found as { why: string }).why).toMatch(why);
});

test('refuses two values for a tensor that is read twice', () => {
  const twice = (first: string, second: string) => module(b.linear(b.linear(x, p(first, 4, 4)), p(second, 4, 4)));
  expect(correspond(twice('w', 'w'), twice('w2', 'w2'))).toEqual(new Map([['w', 'w2']]));
  expect(correspond(twice('w', 'w'), twice('w', 'w2'))).toMatchObject({
    at: 'w',
    why: expect.stringMatching(/two places/),
  });
});
