/** What functions of many rows gather part by part is what they give for all rows at once. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { build as b } from '../../src/ir/build.js';
import { gathered, ROWS } from '../../src/ir/gather.js';
import { input, make } from '../../src/ir/graph.js';
import { interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Tensor, Value } from '../../src/ir/types.js';
import { maxDifference } from '../tensors.js';

const x = input('x', { dtype: 'f32', shape: [BATCH, 3] });
const w = input('w', { dtype: 'f32', shape: [2, 3] });
const of = (value: Value): Func => ({ name: 'f', inputs: [w, x], results: [{ name: 'y', value }], updates: [] });
const weight = tensor([2, 3], [1, -2, 3, -4, 5, -6]);
const rows = (n: number, seed: number): Tensor =>
  tensor(
    [n, 3],
    Array.from({ length: 3 * n }, (_, i) => Math.sin(7 * i + seed)),
  );
const joined = (parts: readonly Tensor[]): Tensor =>
  tensor(
    [parts.reduce((n, p) => n + p.type.shape[0]!, 0), 3],
    parts.flatMap((p) => [...p.data]),
  );

const CASES: Readonly<Record<string, () => Value>> = {
  'a norm of each column': () => b.mul(b.abs(w), b.sqrt(b.sum(b.mul(x, x), [0]))),
  'means, of rows and of all': () => b.add(b.mul(w, b.mean(x, [0])), b.mean(x, [0, 1])),
  'largest and smallest': () => b.mul(w, b.sub(b.max(x, [0]), b.neg(b.max(b.neg(x), [0])))),
  'a product of rows with rows': () => b.matmul(w, b.matmul(b.transpose(x, [1, 0]), x)),
  'what the layer gives': () => b.mul(w, b.mean(b.abs(b.matmul(x, b.transpose(w, [1, 0]))), [0, 1])),
  'how many rows there are': () => b.div(b.mul(w, b.sum(x, [0])), make('batch_size', [], {})),
  'no rows': () => b.abs(w),
};

describe('gathers', () => {
  it.each(Object.entries(CASES))('%s', (_, make) => {
    const func = of(make());
    const found = gathered(func);
    if ('why' in found) throw new Error(found.why);
    const parts = [rows(4, 1), rows(1, 2), rows(6, 3)];
    const sums = new Map<string, Tensor>([
      ['w', weight],
      [ROWS, tensor([], [11])],
    ]);
    for (const part of parts) {
      const each = interpretFunc(found.each, {
        inputs: new Map([
          ['w', weight],
          ['x', part],
        ]),
      });
      for (const [name, one] of each) {
        const sum = sums.get(name);
        const both = (p: number, q: number) => (found.together.get(name) === 'max' ? Math.max(p, q) : p + q);
        sums.set(name, sum ? { ...sum, data: Float64Array.from(sum.data, (s, i) => both(s, one.data[i]!)) } : one);
      }
    }
    const y = interpretFunc(found.end, { inputs: sums }).get('y')!;
    const whole = interpretFunc(func, {
      inputs: new Map([
        ['w', weight],
        ['x', joined(parts)],
      ]),
    }).get('y')!;
    expect(y.type.shape).toEqual(whole.type.shape);
    expect(maxDifference(y, whole)).toBeLessThan(1e-12);
  });
});

describe('refuses', () => {
  it.each([
    ['a variance, which needs the mean first', () => b.sum(b.abs(b.sub(x, b.mean(x, [0]))), [0]), 'again', 'sub'],
    ['a softmax over rows', () => b.sum(b.softmax(b.mul(x, b.sum(x, [0])), 1), [0]), 'again', 'mul'],
    ['a result that has rows', () => b.matmul(x, b.transpose(w, [1, 0])), 'rows', 'matmul'],
    ['a place among rows', () => b.cast(make('argmax', [x], { axis: 0 }), 'f32'), 'rows', 'argmax'],
  ])('%s', (_, make, why, op) => {
    const found = gathered(of(make()));
    expect(found).toMatchObject({ why, at: { op } });
  });
});
