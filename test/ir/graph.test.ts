/** Walking, rewriting, simplifying builders, interpreting and verifying. */
import { describe, expect, test } from 'vitest';
import * as b from '../../src/ir/build.js';
import { constant, make, paramRef, rewriteFunc, topological, usedParams, withInputs } from '../../src/ir/graph.js';
import { InterpretError, interpret, interpretEach, interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { Summary } from '../../src/ir/summary.js';
import type { Func, Param, Value } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { fromNested, toNested } from '../tensors.js';
import { f32, moduleOf } from './support.js';

const weight: Param = { name: 'w', role: 'frozen', type: { dtype: 'f32', shape: [2, 2] } };
const funcOf = (value: Value, ...inputs: Value[]): Func => ({
  name: 'infer',
  inputs,
  results: [{ name: 'y', value }],
  updates: [],
});

describe('graph', () => {
  test('topological order puts operands first, once each, and follows the results', () => {
    const x = f32('x', 2);
    const y = b.exp(x);
    const z = b.add(y, y);
    const w = b.neg(x);
    expect(topological([z, w, y])).toEqual([x, y, z, w]);
  });

  test('walks, rewrites and interprets a chain of 20,000 values without recursion', () => {
    const x = f32('x', 1);
    let y = x;
    for (let i = 0; i < 20_000; i++) y = make('add', [y, x], {});
    const func = funcOf(y, x);
    expect(topological([y])).toHaveLength(20_001);
    const start = performance.now();
    const doubled = rewriteFunc(func, (v, inputs) =>
      v.op === 'add' ? b.sub(inputs[0]!, inputs[1]!) : withInputs(v, inputs),
    );
    expect(performance.now() - start).toBeLessThan(2000);
    const run = (f: Func) => interpretFunc(f, { inputs: new Map([['x', tensor([1], [1])]]) }).get('y')!.data[0];
    expect([run(func), run(doubled)]).toEqual([20_001, -19_999]);
  });

  test('a rewrite that changes nothing gives the same values', () => {
    const x = f32('x', 2);
    const y = b.mul(b.exp(x), 3);
    expect(rewriteFunc(funcOf(y, x), withInputs).results[0]!.value).toBe(y);
  });

  test('what is known of a value stays known when it is rewritten', () => {
    const about = { owner: { kind: 'adapter', ids: ['a@lora'] }, site: 'a' } as const;
    const x = f32('x', 2);
    const y = make('exp', [b.neg(x)], {}, about);
    const z = rewriteFunc(funcOf(y, x), (v, inputs) => (v.op === 'neg' ? inputs[0]! : withInputs(v, inputs)));
    expect(z.results[0]!.value).toMatchObject({ op: 'exp', inputs: [x], about });
  });

  test('readers, what is shared, and used parameters', () => {
    const x = f32('x', 2);
    const y = b.add(x, x);
    const f = funcOf(b.linear(y, paramRef(weight)), x);
    const summary = Summary.of(f);
    const result = f.results[0]!.value;
    expect(summary.order).toEqual([x, y, result.inputs[1], result]);
    expect(summary.readers(x)).toEqual([y]);
    expect(summary.readers(result)).toEqual([]);
    expect(summary.order.map((v) => summary.isRoot(v))).toEqual([false, false, false, true]);
    // Twice by one value, by one, by one, and by whoever calls the function.
    expect(summary.order.map((v) => summary.isShared(v))).toEqual([true, false, false, true]);
    expect(usedParams(f, f)).toEqual(['w']);
  });
});

describe('builder', () => {
  const x = f32('x', 2, 3);
  test.each([
    ['x + 0', b.add(x, 0)],
    ['0 + x', b.add(0, x)],
    ['x - 0', b.sub(x, 0)],
    ['x · 1', b.mul(x, 1)],
    ['x / 1', b.div(x, 1)],
    ['reshape to itself', b.reshape(b.reshape(x, [6]), [2, 3])],
    ['transpose twice', b.transpose(b.transpose(x))],
    ['whole slice', b.slice(x, [0, 0], [2, 3])],
    ['concat of one', b.concat([x], 0)],
    ['pad by nothing', b.pad(x, [0, 0], [0, 0])],
    ['cast to itself', b.cast(x, 'f32')],
  ])('%s is x', (_, v) => {
    expect(v).toBe(x);
  });

  test('a zero that broadcasts is kept, because it gives the shape', () => {
    expect(b.add(f32('s'), constant(0, [2, 3])).type.shape).toEqual([2, 3]);
  });

  test('constants fold', () => {
    expect(b.mul(b.add(2, 3), 4)).toMatchObject({ op: 'constant', attrs: { value: 20 } });
    expect(b.div(1, 0).op).toBe('div');
  });

  test('a permutation of a permutation composes', () => {
    const y = f32('y', 2, 3, 4);
    const v = b.transpose(b.transpose(y, [1, 2, 0]), [1, 0, 2]);
    expect(v).toMatchObject({ op: 'transpose', inputs: [y], attrs: { perm: [2, 1, 0] }, type: { shape: [4, 3, 2] } });
  });

  test('negative axes count from the end', () => {
    expect(b.softmax(x, -1)).toMatchObject({ attrs: { axis: 1 } });
    expect(b.sum(x, [-2]).type.shape).toEqual([3]);
  });
});

describe('interpreter', () => {
  const x = f32('x', 1, 2);
  const func = funcOf(b.linear(x, paramRef(weight)), x);
  const data = fromNested([
    [1, 2],
    [3, 4],
  ]);
  const inputs = new Map([['x', fromNested([[1, 10]])]]);

  test('runs by name', () => {
    const y = interpret(moduleOf(func, [weight]), 'infer', { inputs, params: () => data }).get('y')!;
    expect(toNested(y)).toEqual([[21, 43]]);
  });

  test('constants bring their data', () => {
    const constantWeight: Param = { ...weight, role: 'constant', data: Float32Array.of(1, 0, 0, 1) };
    expect(toNested(interpret(moduleOf(func, [constantWeight]), 'infer', { inputs }).get('y')!)).toEqual([[1, 10]]);
  });

  test('asks for each parameter once', () => {
    const asked: string[] = [];
    const twice = funcOf(b.add(b.linear(x, paramRef(weight)), b.linear(x, paramRef(weight))), x);
    const params = (name: string) => {
      asked.push(name);
      return data;
    };
    expect(toNested(interpretFunc(twice, { inputs, params }).get('y')!)).toEqual([[42, 86]]);
    expect(asked).toEqual(['w']);
  });

  test('hands roots over one by one, each once, as soon as it is known', () => {
    const w = paramRef(weight);
    const twice = b.mul(w, 2);
    const got: [string, unknown][] = [];
    interpretEach([twice, w, twice], { params: () => data }, (root, t) => {
      got.push([root.op, toNested(t)]);
      return 'done';
    });
    const doubled = (toNested(data) as number[][]).map((row) => row.map((x) => 2 * x));
    expect(got).toEqual([
      ['param', toNested(data)],
      ['mul', doubled],
    ]);
  });

  test.each([
    ['no function', () => interpret(moduleOf(func, [weight]), 'loss'), 'module test has no function loss'],
    [
      'no argument',
      () => interpret(moduleOf(func, [weight]), 'infer', { params: () => data }),
      'no value for argument x',
    ],
    ['no parameter', () => interpret(moduleOf(func, [weight]), 'infer', { inputs }), 'no value for parameter w'],
    [
      'wrong shape',
      () => interpret(moduleOf(func, [weight]), 'infer', { inputs, params: () => tensor([4], [1, 2, 3, 4]) }),
      'parameter w is f32[4], where f32[2,2] is declared',
    ],
  ])('refuses: %s', (_, run, message) => {
    expect(run).toThrow(InterpretError);
    expect(run).toThrow(message);
  });
});

describe('verifier', () => {
  const x = f32('x', 1, 2);
  const ok = funcOf(b.linear(x, paramRef(weight)), x);
  const problems = (func: Func, params: readonly Param[] = [weight]) =>
    verifyModule(moduleOf(func, params)).map((p) => p.message);
  const forged = (v: Value, change: object): Value => ({ ...v, ...change }) as Value;

  const image = f32('image', 1, 1, 4, 4);
  const WINDOW = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
  const convolved = make('conv2d', [image, constant(1, [1, 1, 2, 2])], WINDOW);

  test('passes a sound module', () => {
    expect(problems(ok)).toEqual([]);
  });

  test.each<[string, string[]]>([
    ['parameter w is not declared', problems(ok, [])],
    [
      'parameter w is read as f32[2,2] and declared f32[3,2]',
      problems(ok, [{ ...weight, type: { dtype: 'f32', shape: [3, 2] } }]),
    ],
    ['argument x is not declared', problems(funcOf(ok.results[0]!.value))],
    ['argument x is there twice', problems(funcOf(ok.results[0]!.value, x, x))],
    [
      'exp is f32[3] and should be f32[1,2]',
      problems(funcOf(forged(b.exp(x), { type: { dtype: 'f32', shape: [3] } }), x)),
    ],
    [
      'exp: i32[1,2] is given where a floating-point tensor is wanted',
      problems(funcOf(forged(b.exp(x), { inputs: [b.cast(x, 'i32')], id: 1e9 }), x)),
    ],
    [
      'aux: exp has no other results, not lse',
      problems(funcOf(forged(b.exp(x), { op: 'aux', inputs: [b.exp(x)], attrs: { output: 'lse' }, id: 1e9 }), x)),
    ],
    ['exp was made before its operand neg', problems(funcOf(forged(b.exp(x), { inputs: [b.neg(x)], id: 0 }), x))],
    ['result y is there twice', problems({ ...ok, results: [...ok.results, ...ok.results], updates: [] })],
    ['parameter w is f32[2,2] and holds 3 elements', problems(ok, [{ ...weight, data: Float32Array.of(1, 2, 3) }])],
    [
      'parameter w is f32[2,2] and starts as f32[1,2]',
      problems(ok, [{ ...weight, init: { kind: 'value', value: constant(0, [1, 2]) } }]),
    ],
    ['result y is not a parameter', problems({ ...ok, name: 'prepare' })],
    ...(
      [
        ['softmax has "last" as its axis', b.softmax(x), { axis: 'last' }],
        ['softmax has nothing as its axis', b.softmax(x), {}],
        ['softmax has no attribute keep', b.softmax(x), { axis: 1, keep: true }],
        ['gelu has "slow" as its form', make('gelu', [x], { form: 'none' }), { form: 'slow' }],
        ['transpose has [1,"0"] as its perm', b.transpose(x), { perm: [1, '0'] }],
        ['reduce_sum has 1 as its keep', b.sum(x, [0]), { axes: [0], keep: 1 }],
        ['cast has "f64" as its dtype', b.cast(x, 'i32'), { dtype: 'f64' }],
        ['reshape has 2 as its shape', b.reshape(x, [2]), { shape: 2 }],
        ['conv2d has [1] as its stride', convolved, { ...WINDOW, stride: [1] }],
        ['conv2d has [0,0] as its padding', convolved, { ...WINDOW, padding: [0, 0] }],
      ] as const
    ).map(([message, v, attrs]): [string, string[]] => [message, problems(funcOf(forged(v, { attrs }), x, image))]),
  ])('finds: %s', (message, found) => {
    expect(found).toEqual([message]);
  });
});
