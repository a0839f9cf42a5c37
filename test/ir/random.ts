/** Random programs for property tests: valid by construction, over every kind of operand and attribute. */
import fc from 'fast-check';
import { build as b } from '../../src/ir/build.js';
import { constant, input, make, paramRef } from '../../src/ir/graph.js';
import { sameType } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Module, Param, Tensor, Value } from '../../src/ir/types.js';
import { noise } from './support.js';

/** Each step makes a value out of earlier ones; `n` are raw random numbers that it may use. */
type Step = (pool: readonly Value[], n: readonly [number, number, number]) => Value | undefined;

const pick = (pool: readonly Value[], n: number): Value => pool[n % pool.length]!;
const floatsOf = (pool: readonly Value[]): Value[] => pool.filter((v) => v.type.dtype === 'f32');
const last = (v: Value): number => v.type.shape.at(-1)!;

const STEPS: readonly Step[] = [
  (p, [i, j]) => make('add', [pick(p, i), b.constant(j % 7, 'f32')], {}),
  (p, [i, j]) => {
    const [x, y] = [pick(p, i), pick(p, j)];
    return x.type.shape.length && y.type.shape.length
      ? make('mul', [x, b.sum(y, [0, ...y.type.shape.keys()].slice(1))], {})
      : undefined;
  },
  (p, [i, j]) =>
    make((['neg', 'exp', 'tanh', 'erf', 'sigmoid', 'relu', 'silu'] as const)[j % 7]!, [b.sigmoid(pick(p, i))], {}),
  (p, [i, j]) => make('gelu', [pick(p, i)], { form: (['none', 'tanh', 'quick'] as const)[j % 3]! }),
  (p, [i]) => make('select', [make('lt', [pick(p, i), constant(-0)], {}), pick(p, i), constant(0.1)], {}),
  (p, [i]) => make('transpose', [pick(p, i)], { perm: [...pick(p, i).type.shape.keys()].reverse() }),
  (p, [i]) => make('reshape', [pick(p, i)], { shape: [...pick(p, i).type.shape, 1] }),
  (p, [i, j]) => {
    const x = pick(p, i);
    if (x.type.shape.length === 0) return undefined;
    const axis = j % x.type.shape.length;
    return make((['reduce_sum', 'reduce_mean', 'reduce_max'] as const)[i % 3]!, [x], {
      axes: [axis],
      keep: j % 2 === 0,
    });
  },
  (p, [i, j]) => {
    const x = pick(p, i);
    return x.type.shape.length ? make('softmax', [x], { axis: j % x.type.shape.length }) : undefined;
  },
  (p, [i, j, k]) => {
    const x = pick(p, i);
    if (x.type.shape.length === 0) return undefined;
    const low = x.type.shape.map(() => j % 2);
    return make('pad', [x], { low, high: x.type.shape.map(() => k % 3), value: [0, -0, 1e-7, -3.25][k % 4]! });
  },
  (p, [i, j]) => {
    const x = pick(p, i);
    return x.type.shape.length ? make('roll', [x], { shifts: [j - 5], axes: [j % x.type.shape.length] }) : undefined;
  },
  (p, [i]) => {
    const x = pick(p, i);
    return x.type.shape.length ? make('concat', [x, x, x], { axis: 0 }) : undefined;
  },
  (p, [i, j]) => {
    const x = pick(p, i);
    if (x.type.shape.length === 0) return undefined;
    const top = make('top_k', [x], { k: 1 + (j % last(x)) });
    return j % 2 ? top : b.cast(b.aux(top, 'indices'), 'f32');
  },
  (p, [i]) => {
    const x = pick(p, i);
    if (x.type.shape.length === 0) return undefined;
    return b.gather(x, make('iota', [], { axis: 1, dtype: 'i32', shape: [2, x.type.shape[0]!] }), 0);
  },
  (p, [i]) => {
    const x = pick(p, i);
    const n = x.type.shape.length;
    if (n === 0) return undefined;
    const wide = b.reshape(x, [1, 1, x.type.shape.reduce((s, d) => s * d, 1) / last(x), last(x)]);
    const a = b.attention(wide, wide, wide, 0.3, [constant(2, [1])]);
    return i % 2 ? a : b.aux(a, 'lse');
  },
  (p, [i, j]) => {
    const x = pick(p, i);
    if (x.type.shape.length === 0) return undefined;
    const planes = b.reshape(x, [1, 1, x.type.shape.reduce((s, d) => s * d, 1) / last(x), last(x)]);
    return make('resize', [planes], {
      size: [2, 3],
      mode: (['nearest', 'bilinear', 'bicubic'] as const)[j % 3]!,
      antialias: j % 3 !== 0,
    });
  },
];

const SMALL = 4000;

/** A module with one function, its argument, parameters and a state that it updates, and tensors for all of them. */
export const randomModule: fc.Arbitrary<{
  module: Module;
  inputs: Map<string, Tensor>;
  params: (name: string) => Tensor;
}> = fc
  .record({
    shape: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    steps: fc.array(fc.tuple(fc.nat(STEPS.length - 1), fc.nat(40), fc.nat(40), fc.nat(40)), {
      minLength: 1,
      maxLength: 25,
    }),
    names: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }), { minLength: 3, maxLength: 3 }),
    seed: fc.nat(1000),
  })
  .map(({ shape, steps, names, seed }) => {
    const x = input('x', { dtype: 'f32', shape });
    const weight: Param = {
      name: names[0]!,
      role: 'frozen',
      type: { dtype: 'f32', shape },
      init: { kind: 'normal', std: 0.02 },
    };
    const table: Param = {
      name: names[1]!,
      role: 'constant',
      type: { dtype: 'f32', shape },
      data: Float64Array.from(
        noise(
          shape.reduce((s, d) => s * d, 1),
          seed,
        ),
      ),
    };
    const state: Param = { name: names[2]!, role: 'state', type: { dtype: 'f32', shape } };
    const pool: Value[] = [x, paramRef(weight), paramRef(table)];
    for (const [kind, ...n] of steps) {
      const made = STEPS[kind]!(floatsOf(pool), n);
      if (made && made.type.shape.reduce((s, d) => s * d, 1) <= SMALL && made.type.shape.length < 6) pool.push(made);
    }
    const func: Func = {
      name: 'infer',
      inputs: [x],
      updates: [
        { state: state.name, value: b.add(paramRef(state), pool.findLast((v) => sameType(v.type, state.type))!) },
      ],
      results: pool.slice(-3).map((value, i) => ({ name: `${names[0]}${i}`, value })),
    };
    const size = shape.reduce((s, d) => s * d, 1);
    return {
      module: {
        name: 'random',
        adapters: new Map(),
        params: new Map([weight, table, state].map((p) => [p.name, p])),
        funcs: new Map([['infer', func]]),
      },
      inputs: new Map([['x', tensor(shape, noise(size, seed + 1))]]),
      params: () => tensor(shape, noise(size, seed + 2)),
    };
  });
