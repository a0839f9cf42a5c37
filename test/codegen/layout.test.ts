/** Layouts as index maps: invertible, the same for the packer as for the addresses of kernels, and refused where they would not be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  capacity,
  type Digit,
  eachRun,
  elementAt,
  extent,
  type Layout,
  layout,
  placeOf,
  tiles,
} from '../../src/codegen/buffers/layout.js';
import { pack } from '../../src/codegen/buffers/pack.js';
import { constIndex, evaluate, variable } from '../../src/codegen/read/indexing.js';
import { unpack } from './unpack.js';

/** Axes cut into up to three digits each, in any order. */
const layouts: fc.Arbitrary<Layout> = fc
  .array(
    fc.record({
      size: fc.integer({ min: 1, max: 12 }),
      counts: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .chain((axes) => {
    const digits = axes.flatMap(({ size, counts }, axis): Digit[] => {
      let by = 1;
      const inner = counts.map((of) => {
        const digit = { axis, by, of };
        by *= of;
        return digit;
      });
      return [...inner, { axis, by, of: Math.ceil(size / by) }];
    });
    return fc.shuffledSubarray(digits, { minLength: digits.length }).map((order) =>
      layout(
        axes.map((a) => a.size),
        order,
      ),
    );
  });

const places = (at: Layout): number[] => Array.from({ length: capacity(at) }, (_, i) => i);
/** What lies at a place, by what the digits mean: coordinates, of which one is outside of the shape where the place is padding. */
function coordinates(at: Layout, place: number): number[] {
  const coords = at.shape.map(() => 0);
  for (const { axis, by, of } of at.digits.toReversed()) {
    coords[axis]! += (place % of) * by;
    place = Math.floor(place / of);
  }
  return coords;
}

describe('a layout', () => {
  it('gives every element one place, and every place its element or padding', () => {
    fc.assert(
      fc.property(layouts, (at) => {
        const names = at.shape.map((_, axis) => `c${axis}`);
        const place = placeOf(
          at,
          names.map((name, axis) => variable(name, extent(at, axis))),
        );
        expect(place.hi).toBe(capacity(at) - 1);
        const seen = new Set<string>();
        for (const p of places(at)) {
          const coords = coordinates(at, p);
          expect(evaluate(place, Object.fromEntries(names.map((name, i) => [name, coords[i]!])))).toBe(p);
          if (coords.every((c, i) => c < at.shape[i]!)) seen.add(coords.join());
        }
        expect(seen.size).toBe(at.shape.reduce((n, d) => n * d, 1));
      }),
    );
  });

  it('is what the packer follows, run by run', () => {
    fc.assert(
      fc.property(layouts, (at) => {
        const flat = at.shape.reduce((n, d) => n * d, 1);
        const tensor = Float32Array.from({ length: flat }, (_, i) => i + 1);
        const packed = new Float32Array(pack(tensor, at, 'f32').buffer);
        const wanted = places(at).map((p) => {
          const coords = coordinates(at, p);
          if (coords.some((c, i) => c >= at.shape[i]!)) return 0;
          return 1 + coords.reduce((n, c, i) => n * at.shape[i]! + c, 0);
        });
        expect([...packed]).toEqual(wanted);
        expect(unpack(new Uint8Array(packed.buffer), at, 'f32')).toEqual(tensor);
        let last = -1;
        eachRun(at, (_from, _step, place, count) => {
          expect(place).toBeGreaterThan(last);
          last = place + count - 1;
        });
      }),
    );
  });

  it('of tiles is as weight files say it is', () => {
    // Element [33, 18] is in block (1, 1) of 16 inputs by 32 outputs: input 2, output 1 of it.
    const at = (coords: readonly number[], outputs: 0 | 1): number =>
      evaluate(placeOf(tiles([64, 64], outputs), coords.map(constIndex)), {});
    expect(at([33, 18], 0)).toBe((1 * 4 + 1) * 512 + 2 * 32 + 1);
    expect(at([18, 33], 1)).toBe((1 * 4 + 1) * 512 + 2 * 32 + 1);
  });

  it('is seen through another shape of the same elements', () => {
    const buffer = { layout: tiles([6, 20], 0) };
    const [a, b, c] = [variable('a', 6), variable('b', 4), variable('c', 5)];
    const whole = elementAt(buffer, [a, b, c], [6, 4, 5]);
    const values = { a: 5, b: 3, c: 2 };
    expect(evaluate(whole, values)).toBe(evaluate(placeOf(buffer.layout, [constIndex(5), constIndex(17)]), {}));
    expect(evaluate(elementAt({}, [a, b, c], [6, 4, 5]), values)).toBe(5 * 20 + 17);
  });

  it('is refused where digits do not make up an axis', () => {
    const whole = { axis: 1, by: 1, of: 4 };
    expect(() => layout([6, 4], [{ axis: 0, by: 1, of: 5 }, whole])).toThrow('axis 0 of 6');
    expect(() => layout([6, 4], [{ axis: 0, by: 2, of: 3 }, whole])).toThrow('axis 0 of 6 is not made of 0/2:3');
    expect(() => layout([6, 4], [whole])).toThrow('axis 0');
    const twice = [
      { axis: 0, by: 1, of: 2 },
      { axis: 0, by: 1, of: 3 },
    ];
    expect(() => layout([6, 4], [...twice, whole])).toThrow('axis 0 of 6 is not made of 0/1:2 0/1:3');
    expect(tiles([6, 4], 0).text).not.toBe(tiles([4, 6], 0).text);
  });
});
