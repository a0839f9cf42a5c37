import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  constIndex,
  dependsOn,
  div,
  evaluate,
  flatten,
  type Index,
  LANE,
  laneForm,
  mod,
  reshaped,
  scale,
  shift,
  substitute,
  sum,
  unflatten,
  variable,
} from '../../src/codegen/read/indexing.js';
import { BATCH } from '../../src/ir/batch.js';

const EXTENTS = { a: 5, b: 12, lane: 4 } as const;
type Values = Record<keyof typeof EXTENTS, number>;

/** A random index together with what it means. */
interface Both {
  readonly index: Index;
  readonly value: (v: Values) => number;
}

const leaf: fc.Arbitrary<Both> = fc.oneof(
  fc.nat(9).map((n) => ({ index: constIndex(n), value: () => n })),
  fc.constantFrom('a', 'b', 'lane').map((name) => ({
    index: variable(name, EXTENTS[name as keyof Values]),
    value: (v: Values) => v[name as keyof Values],
  })),
);
const tree: fc.Memo<Both> = fc.memo((n) =>
  n <= 1
    ? leaf
    : fc.oneof(
        leaf,
        fc.tuple(tree(n - 1), tree(n - 1)).map(([p, q]) => ({
          index: sum(p.index, q.index),
          value: (v: Values) => p.value(v) + q.value(v),
        })),
        fc.tuple(tree(n - 1), fc.integer({ min: 0, max: 12 })).map(([p, k]) => ({
          index: scale(p.index, k),
          value: (v: Values) => p.value(v) * k,
        })),
        fc.tuple(tree(n - 1), fc.integer({ min: 1, max: 16 })).map(([p, k]) => ({
          index: div(p.index, k),
          value: (v: Values) => Math.floor(p.value(v) / k),
        })),
        fc.tuple(tree(n - 1), fc.integer({ min: 1, max: 16 })).map(([p, k]) => ({
          index: mod(p.index, k),
          value: (v: Values) => p.value(v) % k,
        })),
      ),
);
const values = fc.record({ a: fc.nat(4), b: fc.nat(11), lane: fc.nat(3) });

describe('index arithmetic', () => {
  it('means what it says, whatever it simplifies', () => {
    fc.assert(
      fc.property(tree(5), values, ({ index, value }, v) => {
        const n = value(v);
        expect(evaluate(index, v)).toBe(n);
        expect(index.lo).toBeLessThanOrEqual(n);
        expect(index.hi).toBeGreaterThanOrEqual(n);
      }),
      { numRuns: 3000 },
    );
  });

  it('substitutes values within the range', () => {
    fc.assert(
      fc.property(tree(4), fc.nat(4), values, (p, a, v) => {
        expect(evaluate(substitute(p.index, 'a', constIndex(a)), v)).toBe(p.value({ ...v, a }));
      }),
      { numRuns: 1000 },
    );
  });

  it('recognises four neighbours', () => {
    fc.assert(
      fc.property(tree(4), values, ({ index, value }, v) => {
        const form = laneForm(index);
        const lanes = [0, 1, 2, 3].map((lane) => value({ ...v, lane }));
        if (form.kind === 'uniform') expect(new Set(lanes).size).toBe(1);
        else if (form.kind === 'quad') expect(lanes).toEqual([0, 1, 2, 3].map((l) => 4 * evaluate(form.quad, v) + l));
        else expect([0, 1, 2, 3].map((l) => evaluate(form.at(l), v))).toEqual(lanes);
      }),
      { numRuns: 1000 },
    );
  });

  it('cancels a reshape against its inverse', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }), (shape) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const flat = variable('i', size);
        expect(flatten(unflatten(flat, shape), shape).key).toBe(flat.key);
      }),
    );
    const quad = sum(scale(variable('q', 6), 4), LANE);
    expect(flatten(unflatten(quad, [2, 3, 4]), [2, 3, 4]).key).toBe(quad.key);
  });

  it('reshapes as flattening and unflattening does', () => {
    // Both shapes come of one list of factors, so that they share some axes and divide others.
    const factors = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 });
    const draw = fc.property(factors, fc.nat(63), fc.nat(63), fc.nat(), (list, cuts, others, at) => {
      const shape = (where: number): number[] => {
        const axes: number[] = [];
        list.forEach((f, i) => {
          axes.push(i === 0 || (where >> i) % 2 ? f : axes.pop()! * f);
        });
        return axes;
      };
      const [from, to] = [shape(cuts), shape(others)];
      const size = list.reduce((a, b) => a * b, 1);
      const names = from.map((_, i) => `c${i}`);
      const coords = names.map((name, i) => variable(name, from[i]!));
      const numbers = (flat: number, of: readonly number[]): number[] =>
        unflatten(constIndex(flat), of).map((c) => evaluate(c, {}));
      const flat = at % size;
      const given = Object.fromEntries(numbers(flat, from).map((n, i) => [names[i], n]));
      expect(reshaped(coords, from, to).map((c) => evaluate(c, given))).toEqual(numbers(flat, to));
    });
    fc.assert(draw, { numRuns: 200 });
  });

  it('parts a multiple of the batch without a remainder, also where its quads reach past the end', () => {
    const [i, s, k] = [variable('i', 3), variable('s', BATCH), sum(scale(variable('k4', 50), 4), LANE)];
    const [first, rows] = reshaped([i, s, k], [3, BATCH, 197], [3, 197 * BATCH]);
    expect(first!.key).toBe(i.key);
    expect(rows!.key).toBe(sum(scale(s, 197), k).key);
  });

  it('reads heads of a fused projection four by four', () => {
    // [b, h, n, d] -> column part·dim + h·d + e of [b, n, 3·dim]
    const [b, h, n] = [variable('b', 2), variable('h', 12), variable('n', 197)];
    const d = sum(scale(variable('d4', 16), 4), LANE);
    const inner = unflatten(flatten([b, n, h, d], [2, 197, 12, 64]), [2, 197, 768]);
    const flat = flatten([inner[0]!, inner[1]!, shift(inner[2]!, 768)], [2, 197, 2304]);
    expect(laneForm(flat).kind).toBe('quad');
    expect(flat.terms.every((t) => t.atom.kind === 'var')).toBe(true);
    expect(dependsOn(flat, 'lane')).toBe(true);
  });
});
