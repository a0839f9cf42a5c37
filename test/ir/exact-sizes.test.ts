/** Sizes are exact or refused: random operators over huge shapes, and over sizes beside the number that stands for the batch, against integers of any size. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BATCH, isBatch, perSample } from '../../src/ir/batch.js';
import { build as b } from '../../src/ir/build.js';
import { ShapeError } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Value } from '../../src/ir/types.js';
import { f32 } from './support.js';

/** k, or k times the batch. */
interface Size {
  readonly k: bigint;
  readonly open: boolean;
}

const known = (k: number | bigint): Size => ({ k: BigInt(k), open: false });
const numberOf = ({ k, open }: Size): number => Number(k) * (open ? BATCH : 1);
const numbersOf = (shape: readonly Size[]): number[] => shape.map(numberOf);

/** Whether a shape is one that compiler and reference agree on: the batch once, no number that looks like it, every product exact. */
function isExact(shape: readonly Size[]): boolean {
  if (shape.filter((s) => s.open).length > 1) return false;
  if (shape.some((s) => s.k < 1n || s.k % BigInt(BATCH) === 0n)) return false;
  const elements = shape.reduce((n, s) => n * s.k * (s.open ? BigInt(BATCH) : 1n), 1n);
  return elements <= BigInt(Number.MAX_SAFE_INTEGER);
}

interface Step {
  readonly make: (x: Value, shape: readonly Size[]) => Value;
  /** The shape that comes out, by integers; undefined where the operator has another reason to refuse. */
  readonly gives: (shape: readonly Size[]) => Size[] | undefined;
}

const at = <T>(list: readonly T[], i: number): T => list[i % list.length]!;
const replaced = (shape: readonly Size[], axis: number, s: Size): Size[] => shape.map((d, i) => (i === axis ? s : d));

const numbers = fc.constantFrom(
  1,
  2,
  3,
  5,
  2 ** 13,
  2 ** 20,
  2 ** 26,
  BATCH - 3,
  BATCH - 1,
  BATCH + 1,
  2 ** 27,
  2 ** 31 - 1,
);
const size = fc.oneof(
  numbers.map(known),
  fc.constantFrom(1, 2, 197).map((k): Size => ({ k: BigInt(k), open: true })),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  // An axis joined with the next.
  fc.nat(2).map((i): Step => {
    const joined = (shape: readonly Size[]): Size[] | undefined => {
      const axis = i % shape.length;
      const [p, q] = [shape[axis]!, shape[axis + 1]];
      if (!q) return undefined;
      const both = { k: p.k * q.k, open: p.open || q.open };
      return [...shape.slice(0, axis), both, ...shape.slice(axis + 2)];
    };
    return { gives: joined, make: (x, shape) => b.reshape(x, numbersOf(joined(shape)!)) };
  }),
  // Several in a row.
  fc.tuple(fc.nat(2), fc.integer({ min: 2, max: 4 })).map(
    ([i, times]): Step => ({
      gives: (shape) => replaced(shape, i % shape.length, { ...at(shape, i), k: at(shape, i).k * BigInt(times) }),
      make: (x, shape) => b.concat(new Array<Value>(times).fill(x), i % shape.length),
    }),
  ),
  // Zeros before and after.
  fc.tuple(fc.nat(2), numbers, numbers).map(
    ([i, low, high]): Step => ({
      gives: (shape) => {
        const d = at(shape, i);
        return d.open ? undefined : replaced(shape, i % shape.length, known(d.k + BigInt(low) + BigInt(high)));
      },
      make: (x, shape) => {
        const along = (n: number): number[] => shape.map((_, a) => (a === i % shape.length ? n : 0));
        return b.pad(x, along(low), along(high));
      },
    }),
  ),
  // A part of an axis.
  fc.tuple(fc.nat(2), numbers).map(
    ([i, n]): Step => ({
      gives: (shape) => {
        const d = at(shape, i);
        return d.open || d.k <= BigInt(n) ? undefined : replaced(shape, i % shape.length, known(d.k - BigInt(n)));
      },
      make: (x, shape) => b.sliceAxis(x, i % shape.length, n, numberOf(at(shape, i))),
    }),
  ),
  // A product with another matrix.
  size.map(
    (s): Step => ({
      gives: (shape) => (shape.length < 2 || !isExact([shape.at(-1)!, s]) ? undefined : [...shape.slice(0, -1), s]),
      make: (x, shape) => b.matmul(x, f32('w', numberOf(shape.at(-1)!), numberOf(s))),
    }),
  ),
  // An axis in front.
  size.map(
    (s): Step => ({
      gives: (shape) => [s, ...shape],
      make: (x, shape) => b.broadcast(x, numbersOf([s, ...shape])),
    }),
  ),
);

test('every size is exact, or refused by the operator that it comes from', () => {
  let [kept, refused] = [0, 0];
  const check = (first: readonly Size[], steps: readonly Step[]): void => {
    fc.pre(isExact(first));
    let shape = [...first];
    let x = f32('x', ...numbersOf(shape));
    for (const s of steps) {
      const wanted = s.gives(shape);
      if (!wanted || wanted.length > 4) continue;
      if (!isExact(wanted)) {
        expect(() => s.make(x, shape), JSON.stringify(numbersOf(wanted))).toThrow(ShapeError);
        refused++;
        continue;
      }
      x = s.make(x, shape);
      shape = wanted;
      kept++;
      expect(x.type.shape).toEqual(numbersOf(shape));
      expect(x.type.shape.map((d) => [isBatch(d), BigInt(perSample(d))])).toEqual(shape.map((d) => [d.open, d.k]));
      for (let from = 0; from < shape.length; from++) {
        const part = shape.slice(from).reduce((n, d) => n * d.k * (d.open ? BigInt(BATCH) : 1n), 1n);
        expect(BigInt(sizeOf(x.type.shape.slice(from)))).toBe(part);
      }
    }
  };
  fc.assert(fc.property(fc.array(size, { minLength: 1, maxLength: 3 }), fc.array(step, { maxLength: 6 }), check), {
    numRuns: 3000,
  });
  expect(Math.min(kept, refused)).toBeGreaterThan(500);
});
