/** Random small graphs of pointwise, layout and reducing operators, for comparing generated kernels with the interpreter. */
import { build } from '../../src/ir/build.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Value } from '../../src/ir/types.js';
import { Model, random } from './harness.js';

type Step = (m: Model, pool: readonly Value[], pick: (n: number) => number) => Value | undefined;

const any = (pool: readonly Value[], pick: (n: number) => number): Value => pool[pick(pool.length)]!;

const STEPS: readonly Step[] = [
  (_m, pool, pick) => build.gelu(any(pool, pick)),
  (_m, pool, pick) => build.sigmoid(any(pool, pick)),
  (_m, pool, pick) => build.mul(any(pool, pick), 0.5),
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const same = pool.filter((v) => v.type.shape.join() === a.type.shape.join());
    return pick(2) ? build.add(a, any(same, pick)) : build.mul(a, any(same, pick));
  },
  (m, pool, pick) => {
    const a = any(pool, pick);
    return build.add(a, m.param([a.type.shape.at(-1)!]));
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const axes = a.type.shape.map((_, i) => i);
    for (let i = axes.length - 1; i > 0; i--) {
      const j = pick(i + 1);
      [axes[i], axes[j]] = [axes[j]!, axes[i]!];
    }
    return build.transpose(a, axes);
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const n = sizeOf(a.type.shape);
    const divisors = Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
    const d = divisors[pick(divisors.length)]!;
    return build.reshape(a, [d, n / d]);
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const axis = pick(a.type.shape.length);
    const d = a.type.shape[axis]!;
    if (d < 2) return undefined;
    const from = pick(d - 1);
    return build.sliceAxis(a, axis, from, from + 1 + pick(d - from));
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const axis = pick(a.type.shape.length);
    const fits = pool.filter(
      (v) =>
        v.type.shape.length === a.type.shape.length &&
        v.type.shape.every((d, i) => i === axis || d === a.type.shape[i]),
    );
    const all = build.concat([a, any(fits, pick)], axis);
    return sizeOf(all.type.shape) > 4000 ? undefined : all;
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const low = a.type.shape.map(() => pick(3));
    const high = a.type.shape.map(() => pick(3));
    const y = build.pad(a, low, high, pick(2));
    return sizeOf(y.type.shape) > 4000 ? undefined : y;
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    const axis = pick(a.type.shape.length);
    return build.roll(a, [pick(9) - 4], [axis]);
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    return pick(2) ? build.mean(a, [pick(a.type.shape.length)], true) : build.max(a, [pick(a.type.shape.length)]);
  },
  (_m, pool, pick) => {
    const a = any(pool, pick);
    return build.softmax(a, pick(a.type.shape.length));
  },
  (m, pool, pick) => {
    const a = any(pool, pick);
    const d = a.type.shape.at(-1)!;
    return d < 2 ? undefined : build.layerNorm(a, m.param([d]), m.param([d]), 1e-3);
  },
  (m, pool, pick) => {
    const a = any(pool, pick);
    return build.linear(a, m.param([1 + pick(6), a.type.shape.at(-1)!]));
  },
];

/** A graph of about `steps` operators over inputs of 24·size elements; its results are the last values and some on the way. */
export function randomGraph(seed: number, steps: number, size = 1): { model: Model; results: Value[] } {
  const next = random(seed);
  const pick = (n: number): number => Math.min(n - 1, Math.floor(((next() + 1) / 2) * n));
  const model = new Model(seed);
  const pool: Value[] = [model.input([2 * size, 3, 4]), model.input([4 * size, 6]), model.input([size, 3, 8])];
  for (let i = 0; i < steps; i++) {
    const v = STEPS[pick(STEPS.length)]!(model, pool, pick);
    if (v && v.type.shape.length > 0) pool.push(v);
  }
  return { model, results: [...new Set([pool.at(-1)!, pool.at(-2)!, any(pool, pick), any(pool, pick)])] };
}
