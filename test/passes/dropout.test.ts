/** Dropout as a training step draws it. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { input, make, rootsOf, topological } from '../../src/ir/graph.js';
import { Interner } from '../../src/ir/intern.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Module, OpName, Value } from '../../src/ir/types.js';
import { drawDropout } from '../../src/passes/dropout.js';

const SAMPLES = 400;
const x = input('x', { dtype: 'f32', shape: [BATCH, 10] });
const key = input('key', { dtype: 'u32', shape: [2] });
const drop = (op: 'dropout' | 'drop_path', rate: number, stream: number): Value => make(op, [x], { rate, stream });

/** What the function's results are for ones, with a key. */
function run(values: readonly Value[], seed = 1): number[][] {
  const results = values.map((value, i) => ({ name: `y${i}`, value }));
  const step: Func = drawDropout({ name: 'step', inputs: [x, key], results, updates: [] }, key);
  const left: readonly OpName[] = ['dropout', 'drop_path'];
  expect(topological(rootsOf(step)).filter((v) => left.includes(v.op))).toEqual([]);
  const module: Module = { name: 'test', adapters: new Map(), params: new Map(), funcs: new Map([['step', step]]) };
  const inputs = new Map([
    ['x', tensor([SAMPLES, 10], new Float64Array(SAMPLES * 10).fill(1))],
    ['key', tensor([2], Uint32Array.of(seed, 5), 'u32')],
  ]);
  return [...interpret(module, 'step', { inputs }).values()].map((t) => [...t.data]);
}

describe('drawn dropout', () => {
  it('drops a share of the elements, and keeps their mean', () => {
    for (const rate of [0.1, 0.5, 0.9]) {
      const [y] = run([drop('dropout', rate, 0)]);
      const dropped = y!.filter((v) => v === 0).length / y!.length;
      // Five standard deviations of 4000 draws.
      expect(Math.abs(dropped - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / y!.length));
      expect(new Set(y)).toEqual(new Set([0, 1 / (1 - rate)]));
    }
  });

  it('drops samples whole along a path', () => {
    const [y] = run([drop('drop_path', 0.5, 0)]);
    const rows = Array.from({ length: SAMPLES }, (_, i) => new Set(y!.slice(10 * i, 10 * i + 10)));
    expect(rows.every((r) => r.size === 1)).toBe(true);
    expect(new Set(rows.map((r) => [...r][0]))).toEqual(new Set([0, 2]));
  });

  it('differs between two of one rate on one value, and repeats', () => {
    const two = [drop('dropout', 0.5, 0), drop('dropout', 0.5, 1)];
    const [a, b] = run(two);
    expect(a).not.toEqual(b);
    expect(run(two)).toEqual([a, b]);
    // Computed again, as what is not kept for the backward pass is.
    expect(run([drop('dropout', 0.5, 1)])).toEqual([b]);
    expect(run(two, 2)).not.toEqual([a, b]);
    const interner = new Interner();
    expect(new Set(two.map((v) => interner.seed(v))).size).toBe(2);
  });

  it('of nothing is the value itself', () => {
    const [y] = run([drop('dropout', 0, 0)]);
    expect(new Set(y)).toEqual(new Set([1]));
  });
});
