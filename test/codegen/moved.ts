/** Random graphs that move the batch about: past other axes, together with them, under sums, products and attention. */
import { BATCH, hasBatch, isBatch, perSample } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { ShapeError } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Value } from '../../src/ir/types.js';
import { Model, random } from './harness.js';

/** A graph over x [b, 4, 6] of at most so many steps; what a step would refuse is left out. */
export function movedGraph(seed: number, steps: number, samples: number): { model: Model; result: Value } {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(((next() + 1) / 2) * list.length)]!;
  const model = new Model(seed, samples);
  const shuffled = <T>(list: readonly T[]): T[] => {
    const left = [...list];
    return list.map(() => left.splice(left.indexOf(pick(left)), 1)[0]!);
  };
  const axes = (v: Value): number[] => v.type.shape.map((_, i) => i);
  /** Two neighbours joined, or an axis split in two, the batch on either side. */
  const reshaped = (v: Value): Value => {
    const shape = [...v.type.shape];
    const at = pick(axes(v));
    if (next() > 0 && at + 1 < shape.length) shape.splice(at, 2, shape[at]! * shape[at + 1]!);
    else {
      const size = shape[at]!;
      const parts = [1, 2, 3, 4, 6].filter((d) => perSample(size) % d === 0);
      const part = pick(parts);
      const two = [part, size / part];
      shape.splice(at, 1, ...(next() > 0 ? two : two.reverse()));
    }
    return build.reshape(v, shape);
  };
  const param = (shape: readonly number[]): Value => {
    if (hasBatch(shape) || !shape.every(Number.isInteger)) throw new ShapeError('param', [], 'none of that shape');
    return model.param(shape);
  };
  /** An operand of the same numbers with the axes in another order. */
  const turned = (v: Value): Value => build.transpose(v, shuffled(axes(v)));
  const STEPS: readonly ((v: Value) => Value)[] = [
    turned,
    turned,
    reshaped,
    reshaped,
    (v) => build.gelu(v),
    (v) => build.softmax(v, pick(axes(v))),
    (v) => build.sum(v, shuffled(axes(v)).slice(0, 2).sort(), next() > 0),
    (v) => build.max(v, [pick(axes(v))], true),
    (v) => build.linear(v, param([5, v.type.shape.at(-1)!])),
    (v) => build.matmul(param([3, v.type.shape.at(-2)!]), v),
    (v) =>
      build.matmul(v, build.transpose(v, [...axes(v).slice(0, -2), v.type.shape.length - 1, v.type.shape.length - 2])),
    (v) => build.attention(v, v, v, 0.5),
    (v) => build.attention(param(v.type.shape.map((d) => (isBatch(d) ? 3 : d))), v, v, 0.5),
    (v) => build.concat([v, build.neg(v)], pick(axes(v))),
    (v) => build.add(v, turned(v)),
    (v) =>
      build.pad(
        v,
        axes(v).map((i) => (isBatch(v.type.shape[i]!) ? 0 : 1)),
        axes(v).map(() => 0),
      ),
  ];
  const x = model.input([BATCH, 4, 6]);
  let result = x;
  for (let i = 0; i < steps; i++) {
    try {
      const made = pick(STEPS)(result);
      if (made.type.shape.length <= 5 && made.type.shape.reduce((n, d) => n * perSample(d), 1) <= 2000) result = made;
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
    }
  }
  return { model, result: toFront(x, result) };
}

/** As a result of a program: the batch first, and once. */
function toFront(x: Value, v: Value): Value {
  const { shape } = v.type;
  const at = shape.findIndex(isBatch);
  if (at < 0)
    return build.add(build.sum(build.reshape(x, [BATCH, 24]), [1], true), build.reshape(v, [1, sizeOf(shape)]));
  const others = shape.map((_, i) => i).filter((i) => i !== at);
  const first = build.transpose(v, [at, ...others]);
  return build.reshape(first, [BATCH, perSample(shape[at]!), ...others.map((i) => shape[i]!)]);
}
