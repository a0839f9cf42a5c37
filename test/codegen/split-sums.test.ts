/** Long sums are split where that pays, into parts that hold each term once, and come to what they came to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lower } from '../../src/codegen/groups/lower.js';
import { type SumProblem, splitOf } from '../../src/codegen/groups/split-schedules.js';
import { BATCH, shapeAt } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { input, make, rootsOf, topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, Func, OpName, Tensor, Value } from '../../src/ir/types.js';
import { Model, random } from './harness.js';
import { SPLIT_CASES } from './split-cases.js';

const lowered = (func: Func, samples = 1): Func => lower(func, { binding: 2 ** 27, weights: 'f32', samples });
const funcOf = (inputs: readonly Value[], value: Value): Func => ({
  name: 'infer',
  inputs,
  results: [{ name: 'y', value }],
  updates: [],
});
const count = (func: Func, op: OpName): number => topological(rootsOf(func)).filter((v) => v.op === op).length;

/** A sum over rows of [rows, columns]. */
const overRows = (rows: number, columns: number): SumProblem => ({
  results: columns,
  threads: columns,
  turns: rows,
  length: rows,
  unit: 1,
  samples: 1,
  launches: 1,
});

describe('the choice', () => {
  it.each<[string, SumProblem, ReturnType<typeof splitOf>]>([
    ['the gradient of a bias of ViT-B, of 32 images', overRows(6304, 768), { parts: 16, part: 394 }],
    ['the same, over samples', { ...overRows(197, 768), samples: 32 }, { parts: 1, part: 197 }],
    ['the same, of one sample', overRows(197, 768), undefined],
    ['a mean over the tokens of ViT-L', overRows(577, 1024), undefined],
    ['as many results as a device has threads', overRows(6304, 2 ** 14), undefined],
  ])('%s', (_name, problem, split) => {
    expect(splitOf(problem)).toEqual(split);
  });

  it('covers a sum with parts of which none is empty', () => {
    const sizes = fc.record({
      results: fc.integer({ min: 1, max: 1e5 }),
      threads: fc.integer({ min: 1, max: 1e5 }),
      length: fc.integer({ min: 1, max: 1e6 }),
      times: fc.integer({ min: 1, max: 4 }),
      unit: fc.constantFrom(1, 4),
      samples: fc.integer({ min: 1, max: 64 }),
      launches: fc.constantFrom(1, 3),
    });
    let split = 0;
    const draw = fc.property(sizes, ({ times, ...p }) => {
      const found = splitOf({ ...p, turns: p.length * times });
      if (!found) return;
      split++;
      const { parts, part } = found;
      expect(part % p.unit).toBe(0);
      expect(parts * part).toBeGreaterThanOrEqual(p.length);
      expect((parts - 1) * part).toBeLessThan(p.length);
      expect(p.samples * parts).toBeGreaterThan(1);
    });
    fc.assert(draw, { numRuns: 200 });
    expect(split).toBeGreaterThan(20);
  });
});

describe('what is split', () => {
  it.each(Object.entries(SPLIT_CASES))('%s comes to what it was', (_name, { samples = 1, make }) => {
    const m = new Model(3, samples);
    const func = m.module(make(m)).funcs.get('infer')!;
    const options = { inputs: m.arguments, params: (name: string) => m.data.get(name)! };
    const [before, after] = [func, lowered(func, samples)].map((f) => interpretFunc(f, options).get('y0')!);
    expectEqual(after!, before!);
  });

  it('a sum over samples into what each of them comes to, and that into parts', () => {
    const partial = (shape: readonly number[], samples: number): readonly number[] => {
      const x = input('x', { dtype: 'f32', shape });
      const values = topological(rootsOf(lowered(funcOf([x], build.sum(x, [0])), samples)));
      return values.find((v) => v.op === 'reduce_sum')!.type.shape;
    };
    expect(partial([197 * BATCH, 768], 32)).toEqual([BATCH, 1, 768]);
    expect(partial([4096 * BATCH, 6], 8)).toEqual([BATCH, 15, 6]);
  });

  it('not what has its weight packed, nor what needs its row again', () => {
    const m = new Model();
    const x = m.input([1, 100_000]);
    const whole = [
      build.linear(x, m.param([3, 100_000])),
      build.softmax(x),
      build.layerNorm(x, undefined, undefined, 1),
    ];
    const func = m.module(...whole).funcs.get('infer')!;
    expect(topological(rootsOf(lowered(func))).map((v) => v.op)).toEqual(topological(rootsOf(func)).map((v) => v.op));
  });

  it('not, by what a pass may hold, what only a longer pass would make long', () => {
    const x = input('x', { dtype: 'f32', shape: [BATCH, 197, 768] });
    const func = funcOf([x], build.sum(x, [0, 1]));
    expect([1, 32].map((samples) => count(lowered(func, samples), 'reduce_sum'))).toEqual([1, 2]);
  });
});

/** Equal to the bit where numbers are whole or none, otherwise up to the roundings of f64. */
function expectEqual(found: Tensor, wanted: Tensor): void {
  expect(found.type).toEqual(wanted.type);
  wanted.data.forEach((x, i) => {
    const y = found.data[i]!;
    if (Number.isFinite(x)) expect(Math.abs(x - y)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(x)));
    else expect(y).toBe(x);
  });
}

describe('random folds', () => {
  /** Sizes around where sums begin to be split. */
  const LONG = fc.oneof(fc.integer({ min: 750, max: 950 }), fc.integer({ min: 1200, max: 3000 }), fc.constant(4096));
  const shapes = fc
    .record({ long: LONG, others: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }), at: fc.nat(3) })
    .map(({ long, others, at }) => [...others.slice(0, at), long, ...others.slice(at)]);
  const NUMBERS = [0, 1, -1, 2, 2, -3];
  const ODD = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

  it('come to what they came to, ties, infinities and what is no number too', () => {
    let split = 0;
    const draw = fc.property(
      shapes,
      fc.constantFrom('reduce_sum', 'reduce_mean', 'reduce_max', 'argmax'),
      fc.constantFrom<DType>('f32', 'i32'),
      fc.constantFrom('none', 'the long one', 'the first'),
      fc.boolean(),
      fc.nat(1e9),
      (sizes, op, dtype, batch, odd, seed) => {
        const next = random(seed);
        const pick = <T>(list: readonly T[]): T =>
          list[Math.min(list.length - 1, Math.floor(((next() + 1) / 2) * list.length))]!;
        const long = sizes.indexOf(Math.max(...sizes));
        const samples = 1 + (seed % 3);
        const shape = sizes.map((d, i) => (batch === 'the long one' && i === long ? d * BATCH : d));
        if (batch === 'the first') shape.unshift(BATCH);
        const axes = shape.flatMap((d, i) => ((d >= 500 && d !== BATCH) || (op !== 'argmax' && next() > 0) ? [i] : []));
        if (op === 'reduce_mean' && dtype === 'i32') return;
        // Of a row with what is no number WGSL gives any place.
        const strange = odd && dtype === 'f32' ? (op === 'argmax' ? ODD.slice(0, 2) : ODD) : [];
        const x = input('x', { dtype, shape });
        const y = op === 'argmax' ? make(op, [x], { axis: axes[0]! }) : make(op, [x], { axes, keep: next() > 0 });
        const n = sizeOf(shapeAt(shape, samples));
        const numbers = Array.from({ length: n }, () =>
          next() > 0.99 && strange.length > 0 ? pick(strange) : pick(NUMBERS),
        );
        const data = dtype === 'f32' ? Float32Array.from(numbers) : Int32Array.from(numbers);
        const func = funcOf([x], y);
        const after = lowered(func, 32);
        if (topological(rootsOf(after)).length > 2) split++;
        const inputs = new Map([['x', tensor(shapeAt(shape, samples), data, dtype)]]);
        const [wanted, found] = [func, after].map((f) => interpretFunc(f, { inputs }).get('y')!);
        expectEqual(found!, wanted!);
      },
    );
    fc.assert(draw, { numRuns: 200 });
    expect(split).toBeGreaterThan(20);
  });
});
