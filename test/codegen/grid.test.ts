/** Every tile of a grid has exactly one workgroup, however the dispatch is folded: its place, evaluated. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inRow, tileGrid } from '../../src/codegen/grid.js';
import type { Expr } from '../../src/codegen/kernel/types.js';

type Place = Readonly<Record<'x' | 'y' | 'z', number>>;

/** The number that an expression is for a workgroup's place. */
function evaluate(e: Expr, group: Place, tile = 0): number {
  const of = (x: Expr): number => evaluate(x, group, tile);
  switch (e.kind) {
    case 'literal':
      return e.value;
    case 'name':
      return tile;
    case 'component':
      return group['xyz'[e.at as number] as 'x'];
    case 'binary': {
      const [a, b] = [of(e.a), of(e.b)];
      if (e.op === '+') return a + b;
      if (e.op === '*') return a * b;
      return e.op === '/' ? Math.floor(a / b) : a % b;
    }
    default:
      throw new Error(`no ${e.kind} in a place`);
  }
}

function places([x, y, z]: readonly [number, number, number]): Place[] {
  return Array.from({ length: x * y * z }, (_, i) => ({
    x: i % x,
    y: Math.floor(i / x) % y,
    z: Math.floor(i / (x * y)),
  }));
}

it('counts workgroups in a row', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 7, max: 20 }), (groups, most) => {
      const { counts, number } = inRow(groups, most, 'group');
      expect(Math.max(...counts)).toBeLessThanOrEqual(most);
      const numbers = places(counts).map((p) => evaluate(number, p));
      expect(numbers).toEqual(numbers.map((_, i) => i));
      expect(numbers.length).toBeGreaterThanOrEqual(groups);
    }),
  );
});

it('gives every tile one workgroup', () => {
  const size = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(size, size, size, fc.integer({ min: 7, max: 10 }), (columns, rows, batch, most) => {
      fc.pre(columns * rows * batch <= most ** 3);
      const grid = tileGrid(columns, rows, batch, most);
      expect(Math.max(...grid.counts)).toBeLessThanOrEqual(most);
      const found = places(grid.counts).map((group) => {
        const tile = grid.folded ? evaluate(grid.folded, group) : 0;
        return [grid.batch, grid.row, grid.column].map((e) => evaluate(e, group, tile));
      });
      const inside = found.filter(([b]) => b! < batch).map(([b, r, c]) => (b! * rows + r!) * columns + c!);
      expect(inside.sort((a, b) => a - b)).toEqual(Array.from({ length: columns * rows * batch }, (_, i) => i));
      expect(grid.partial).toBe(inside.length < found.length);
    }),
  );
});
