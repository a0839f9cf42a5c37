/** The batch as a size: its arithmetic, what type rules make of it, its text, its cost, and that a graph for any number of samples means each. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { BATCH, hasBatch, isBatch, perSample, shapeAt, showSize, sizeAt, wrongShape } from '../../src/ir/batch.js';
import { build as b } from '../../src/ir/build.js';
import { make, paramRef, ShapeError } from '../../src/ir/graph.js';
import { costOf } from '../../src/ir/ops/cost.js';
import { showShape } from '../../src/ir/ops/shapes.js';
import { InterpretError, interpret } from '../../src/ir/run/interpret.js';
import { dependsOnBatch, funcAt, hasSamples, moduleAt, samplesOf } from '../../src/ir/run/samples.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { parseModule } from '../../src/ir/text/parse.js';
import { printModule } from '../../src/ir/text/print.js';
import type { Module, Param, Value } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { equalModules } from '../equal.js';
import { parameters, run } from '../passes/models.js';
import { grow, step } from '../passes/random-graphs.js';
import { maxDifference } from '../tensors.js';
import { expandFully, f32, moduleOf, noise } from './support.js';

const inferOf = (value: Value, ...inputs: Value[]): Module =>
  moduleOf({ name: 'infer', inputs, results: [{ name: 'y', value }], updates: [] });

describe('a size', () => {
  it.each([
    [1, false, 1, '1'],
    [BATCH - 1, false, BATCH - 1, String(BATCH - 1)],
    [BATCH, true, 5, 'b'],
    [197 * BATCH, true, 985, '197b'],
  ])('%i', (size, open, atFive, text) => {
    expect(isBatch(size)).toBe(open);
    expect(sizeAt(size, 5)).toBe(atFive);
    expect(showSize(size)).toBe(text);
  });

  it('is told for one sample, and alone in its shape', () => {
    expect(isBatch(0)).toBe(false);
    expect(perSample(197 * BATCH)).toBe(197);
    expect(shapeAt([BATCH, 3, 2 * BATCH], 4)).toEqual([4, 3, 8]);
    expect([hasBatch([3, BATCH]), hasBatch([3, 4])]).toEqual([true, false]);
  });

  it('is told from large numbers beside it', () => {
    expect([BATCH + 1, 2 * BATCH - 3, BATCH * BATCH].map(showSize)).toEqual(['67108860', '134217715', 'b·b']);
    expect(isBatch(BATCH + 1)).toBe(false);
  });

  it.each([
    [[BATCH, 3], undefined],
    [[3, 7 * BATCH], undefined],
    [[], undefined],
    [[0], 'has a size that is not positive'],
    [[1.5], 'has a size that is not positive'],
    [[-BATCH], 'has a size that is not positive'],
    [[BATCH + 1, 3], undefined],
    [[BATCH, 2 * BATCH], 'has the batch in two axes'],
    [[BATCH * BATCH], 'has the batch twice in one size'],
    [[BATCH, 2 ** 27 - 6], undefined],
    [[BATCH, 2 ** 14, 2 ** 13 + 1], 'has more than 134217738 elements for each image'],
    [[2 ** 27, 2 ** 26 - 1], undefined],
    [[2 ** 31, 2 ** 22, 3], 'has more than 9007199254740991 elements'],
  ] as [number[], string | undefined][])('in the shape %j', (shape, wrong) => {
    expect(wrongShape(shape)).toBe(wrong);
    if (wrong) expect(() => f32('x', ...shape)).toThrow(ShapeError);
    else expect(f32('x', ...shape).type.shape).toEqual(shape);
  });
});

describe('type rules', () => {
  const x = f32('x', BATCH, 3, 4);
  const conv = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
  const inside = b.transpose(x, [1, 2, 0]);
  const image = b.reshape(inside, [1, 3, 4, BATCH]);

  it.each<[string, string, () => Value]>([
    ['a row for all', '[b, 3, 4]', () => b.add(x, f32('y', 1, 3, 4))],
    ['batches with batches', '[b, 3, 4]', () => b.mul(x, f32('y', BATCH, 1, 1))],
    ['axes joined', '[3b, 4]', () => b.reshape(x, [3 * BATCH, 4])],
    ['axes split again', '[b, 3, 4]', () => b.reshape(b.reshape(x, [3 * BATCH, 4]), [BATCH, 3, 4])],
    ['one after another', '[2b, 3, 4]', () => b.concat([x, x], 0)],
    ['one of two', '[b, 3, 4]', () => b.sliceAxis(b.concat([x, x], 0), 0, BATCH, 2 * BATCH)],
    ['a product', '[b, 3, 5]', () => b.matmul(x, f32('w', 4, 5))],
    ['a product for each sample', '[b, 3, 3]', () => b.matmul(x, b.transpose(x, [0, 2, 1]))],
    ['a product over the batch', '[3, 3]', () => b.matmul(f32('u', 3, BATCH), f32('v', BATCH, 3))],
    ['another place', '[3, 4, b]', () => inside],
    ['a sum over it', '[3, 4]', () => b.sum(x, [0])],
    ['a repeated row', '[b, 3, 4]', () => b.broadcast(f32('p', 1, 3, 4), [BATCH, 3, 4])],
  ])('%s', (_, shape, made) => expect(showShape(made().type.shape)).toBe(shape));

  it.each<[string, RegExp, () => Value]>([
    ['two rows', /\[b, 3, 4\] and \[2, 3, 4\] do not broadcast/, () => b.add(x, f32('y', 2, 3, 4))],
    ['two batches and one', /do not broadcast/, () => b.add(x, f32('y', 2 * BATCH, 3, 4))],
    [
      'elements that are missing',
      /\[b, 3, 4\] has 12b elements and \[2b, 4\] has 8b/,
      () => b.reshape(x, [2 * BATCH, 4]),
    ],
    ['a batch as a number', /12b elements/, () => b.reshape(x, [3, 4])],
    ['one row more', /along axis 0 some operands are as long as the batch/, () => b.concat([x, f32('y', 1, 3, 4)], 0)],
    ['padding', /axis 0 of \[b, 3, 4\] is the batch, to which nothing is added/, () => b.pad(x, [1, 0, 0], [0, 0, 0])],
    ['the batch twice', /the batch in two axes/, () => b.matmul(f32('u', BATCH, 3), f32('v', 3, BATCH))],
    ['the first sample', /axis 0 of \[b, 3, 4\] is the batch, which may be 1/, () => b.sliceAxis(x, 0, 0, 1)],
    ['all but one', /axis 0 of \[b, 3, 4\] is the batch/, () => b.sliceAxis(x, 0, 1, BATCH)],
    ['more than there are', /0\.\.2b is not within axis 0/, () => b.sliceAxis(x, 0, 0, 2 * BATCH)],
    ['a shift', /axis 0 of .* is the batch/, () => b.roll(x, [1], [0])],
    ['the two largest', /axis 2 of .* is the batch/, () => make('top_k', [inside], { k: 2 })],
    ['a window', /axis 3 of .* is the batch/, () => make('conv2d', [image, f32('w', 2, 3, 1, 2)], conv)],
    [
      'a size that comes to the number of the batch',
      /axis 0 comes to 67108859, which stands for the batch/,
      () => b.concat([f32('u', BATCH - 3), f32('v', 3)], 0),
    ],
    ['a padded one', /comes to 67108859/, () => b.pad(f32('u', BATCH - 3, 2), [1, 0], [2, 0])],
    [
      'more elements than are counted exactly',
      /\[b, 16384, 16384\] has more than 134217738 elements for each image/,
      () => b.broadcast(f32('u', BATCH, 2 ** 14, 1), [BATCH, 2 ** 14, 2 ** 14]),
    ],
    [
      'resampling',
      /axis 3 of .* is the batch/,
      () => make('resize', [image], { size: [2, 2], mode: 'nearest', antialias: false }),
    ],
  ])('refuse %s', (_, message, made) => {
    expect(made).toThrow(ShapeError);
    expect(made).toThrow(message);
  });

  it('a parameter with the batch breaks a module', () => {
    const param: Param = { name: 'P', type: { dtype: 'f32', shape: [BATCH, 4] }, role: 'frozen' };
    const y = b.add(f32('x', BATCH, 4), paramRef(param));
    const func = { name: 'infer', inputs: [f32('x', BATCH, 4)], results: [{ name: 'y', value: y }], updates: [] };
    const said = verifyModule(moduleOf(func, [param])).map((p) => p.message);
    expect(said).toContain('parameter P is f32[b,4]: one set of parameters serves every batch');
  });
});

describe('text', () => {
  const text = `module @test

func @infer(%x: f32[b,197,4]) -> (y: f32[b,4]) {
  %0 = reshape %x : f32[197b,4]
  %1 = concat %0, %0 {axis = 0} : f32[394b,4]
  %2 = slice %1 {start = [197b, 0], end = [394b, 4]} : f32[197b,4]
  %3 = reshape %2 : f32[b,197,4]
  %4 = reduce_sum %3 {axes = [1], keep = false} : f32[b,4]
  %5 = batch_size : f32[]
  %6 = div %4, %5 : f32[b,4]
  return %6
}
`;

  test('is read and printed', () => {
    const module = parseModule(text);
    expect(verifyModule(module)).toEqual([]);
    expect(module.funcs.get('infer')!.inputs[0]!.type.shape).toEqual([BATCH, 197, 4]);
    const printed = printModule(module);
    expect(printed).toContain('{start = [197b, 0], end = [394b, 4]} : f32[197b,4]');
    expect(equalModules(parseModule(printed), module)).toBe(true);
    expect(printModule(moduleAt(module, 2))).not.toMatch(/\db|\bb\b|batch_size/);
  });

  test.each(['4 b', '0b', '-2b', '2bb', 'b2', '1.5b', 'c'])('refuses the size %s', (size) => {
    expect(() => parseModule(text.replace('%x: f32[b,', `%x: f32[${size},`))).toThrow(/line 3/);
  });

  test('a number is no size', () => {
    expect(() => parseModule('module @m\nparam @p : f32[1] constant data f64 [b]\n')).toThrow(
      /expected a number, found b/,
    );
    expect(() => parseModule(text.replace('{axis = 0}', '{axis = 2b}'))).toThrow(/expected a number, found 2b/);
  });
});

test('the cost is that of one sample', () => {
  const made = (n: number): Value[] => {
    const x = f32('x', n, 3, 4);
    const y = b.linear(x, f32('w', 5, 4), f32('c', 5));
    return [y, b.softmax(y, 2), b.sum(y, [0]), b.reshape(y, [3 * n, 5]), b.layerNorm(y, f32('g', 5), undefined, 1e-6)];
  };
  expect(made(BATCH).map(costOf)).toEqual(made(1).map(costOf));
  expect(costOf(made(BATCH)[0]!).flops).toBe(3 * 5 * 9);
});

describe('the interpreter', () => {
  const mean = (n: number): Module => {
    const x = f32('x', n, 3);
    const sum = b.div(b.sum(x, [0]), n === BATCH ? b.batchSize() : n);
    return moduleOf({
      name: 'infer',
      inputs: [x],
      results: [
        { name: 'mean', value: b.mean(x, [0]) },
        { name: 'same', value: sum },
        { name: 'expanded', value: expandFully(b.mean(x, [0])) },
        { name: 'many', value: b.mul(b.sub(x, sum), n === BATCH ? b.batchSize() : n) },
      ],
      updates: [],
    });
  };

  it.each([1, 2, 5])('takes the number of samples from its arguments: %i', (n) => {
    const data = noise(3 * n, 4);
    const inputs = new Map([['x', tensor([n, 3], data)]]);
    const open = interpret(mean(BATCH), 'infer', { inputs });
    const closed = interpret(mean(n), 'infer', { inputs });
    for (const [name, t] of closed) {
      expect(open.get(name)!.type).toEqual(t.type);
      expect(maxDifference(open.get(name)!, t)).toBeLessThan(name === 'expanded' ? 1e-15 : Number.MIN_VALUE);
    }
    for (const name of ['mean', 'same', 'expanded']) {
      const column = (c: number) => data.filter((_, i) => i % 3 === c).reduce((sum, v) => sum + v, 0) / n;
      expect(maxDifference(open.get(name)!, tensor([3], [0, 1, 2].map(column)))).toBeLessThan(1e-12);
    }
  });

  it('refuses arguments that are no samples, or of different numbers', () => {
    const [x, y] = [f32('x', 2 * BATCH, 3), f32('y', BATCH, 3)];
    const module = inferOf(b.concat([x, y], 0), x, y);
    const given = (first: number, second: number) => () =>
      interpret(module, 'infer', {
        inputs: new Map([
          ['x', tensor([first, 3], noise(3 * first))],
          ['y', tensor([second, 3], noise(3 * second))],
        ]),
      });
    expect(given(4, 2)().get('y')!.type.shape).toEqual([6, 3]);
    expect(given(3, 2)).toThrow(InterpretError);
    expect(given(3, 2)).toThrow('3 along axis 0 are no whole samples');
    expect(given(4, 3)).toThrow('arguments of 2 and of 3 samples');
    expect(() => samplesOf(module.funcs.get('infer')!, () => [2 * BATCH, 3])).toThrow(
      '2b along axis 0 are no whole samples',
    );
  });

  it('leaves a function alone that has no samples', () => {
    const w = f32('w', 2, 3);
    const { funcs } = inferOf(b.neg(w), w);
    expect(funcAt(funcs.get('infer')!, 3)).toBe(funcs.get('infer'));
    expect([dependsOnBatch(b.neg(w)), dependsOnBatch(b.neg(b.batchSize()))]).toEqual([false, true]);
    expect(hasSamples(mean(BATCH).funcs.get('infer')!)).toBe(true);
  });
});

test('a random graph for any number of samples is, for each, the graph that is built for it', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 3 }), (steps, n) => {
      const open = grow(steps);
      const closed = grow(steps, n);
      expect(hasSamples(open.funcs.get('infer')!)).toBe(true);
      // For one, a repetition is none, and the builder leaves it out.
      if (n > 1) expect(printModule(moduleAt(open, n))).toBe(printModule(closed));
      const params = parameters(closed);
      const [found, wanted] = [run(open, params, n), run(closed, params, n)];
      expect(found.type).toEqual(wanted.type);
      for (const [i, v] of wanted.data.entries()) if (!Object.is(found.data[i], v)) expect(found.data[i]).toBe(v);
    }),
    { numRuns: 150 },
  );
});
