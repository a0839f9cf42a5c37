/** Lowering makes equal values one, and only those: infinities and zeros of either sign are different numbers. */
import { expect, test } from 'vitest';
import { lower } from '../../src/codegen/groups/lower.js';
import { build as b } from '../../src/ir/build.js';
import { input, rootsOf, topological } from '../../src/ir/graph.js';
import { interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';

const x = input('x', { dtype: 'f32', shape: [3] });
const inputs = new Map([['x', tensor([3], [-1, 0, 2])]]);
const limits = { binding: 2 ** 27, weights: 'f32' } as const;

test.each([
  ['infinities', Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, (a: typeof x, c: typeof x) => b.maximum(a, c)],
  ['zeros', 0, -0, (a: typeof x, c: typeof x) => b.div(a, c)],
  ['a number and none', 0.5, Number.NaN, (a: typeof x, c: typeof x) => b.add(a, c)],
])('%s stay apart', (_, first, second, f) => {
  const results = [first, second, first].map((n, i) => ({ name: `r${i}`, value: f(x, b.constant(n)) }));
  const func = { name: 'infer', inputs: [x], results, updates: [] };
  const lowered = lower(func, limits);
  const [before, after] = [func, lowered].map((g) =>
    [...interpretFunc(g, { inputs }).values()].map((t) => [...t.data]),
  );
  expect(after).toEqual(before);
  expect(after![0]).not.toEqual(after![1]);
  // What is equal is computed once; a result that is there already is copied.
  const operators = topological(rootsOf(lowered)).filter((v) => v.op === results[0]!.value.op);
  expect(operators).toHaveLength(2);
});
