/** What no program can be generated for: for each check graphs that only this check refuses (`npm run checks`). */
import { expect, it } from 'vitest';
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import { refusal } from '../refusal.js';
import { compiled, Model } from './harness.js';

/** What is never read: only sizes matter here. */
const large = { type: { dtype: 'f32' as const, shape: [1] }, data: new Float32Array(1) };

/** Tokens of one group, so many that q, k, v and the result take two bindings each, and nothing is left for the bias. */
const far = (m: Model, tokens: number): Value => {
  const q = (): Value => m.input([1, 1, tokens, 64], 'f32', large);
  return build.attention(q(), q(), q(), 1, [m.param([tokens], large)]);
};
const factors = (m: Model, n: number): Value => {
  const qkv = [m.input([1, 1, 4, 4]), m.input([1, 1, 4, 4]), m.input([1, 1, 4, 4])];
  return m.op('attention', [...qkv, ...Array.from({ length: n }, () => m.input([4, 4]))], { scale: 1 });
};
const tall = (m: Model): Value => build.broadcast(m.input([1, 1024], 'f32', large), [2 ** 17, 1024]);

it.each<[string, RegExp, (m: Model) => Value[]]>([
  ['ESP0601', /solve/, (m) => [m.op('solve', [m.input([3, 3]), m.input([3, 2])], {})]],
  ['ESP0601', /solve/, (m) => [m.op('solve', [m.input([1, 1]), m.param([1, 1])], {})]],
  ['ESP0602', /attention/, (m) => [far(m, 600_000)]],
  ['ESP0602', /attention/, (m) => [far(m, 800_000)]],
  ['ESP0603', /attention/, (m) => [factors(m, 6)]],
  ['ESP0603', /attention/, (m) => [factors(m, 9)]],
  [
    'ESP0604',
    /512/,
    (m) => {
      const x = tall(m);
      const both = build.mul(build.exp(x), build.sigmoid(x));
      return [build.mean(both, [1]), build.max(both, [1])];
    },
  ],
  ['ESP0604', /512/, (m) => [tall(m)]],
  ['ESP0604', /512/, (m) => [build.add(m.input([2 ** 17, 1024], 'f32', large), m.input([1]))]],
  ['ESP0604', /512/, (m) => [build.gather(m.param([2 ** 17, 1024], large), m.input([3], 'i32'))]],
])('%#: %s', (code, words, results) => {
  const m = new Model();
  const said = refusal(() => compiled(m.module(...results(m))));
  expect(said).toEqual([expect.stringMatching(new RegExp(`^${code} .*${words.source}`))]);
});

it.each([[[]], [['prepare']]])('a module of the functions %j', (names) => {
  const m = new Model();
  const module = m.module(m.input([2]));
  const infer = module.funcs.get('infer')!;
  const funcs = new Map(names.map((name) => [name, infer]));
  expect(refusal(() => compiled({ ...module, funcs }))).toEqual([
    expect.stringMatching(/^ESP0600 .*no function `infer`/),
  ]);
});
