/** Every tile of a grid has exactly one workgroup, however the dispatch is folded: its place, evaluated. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { inRow, parts, tileGrid } from '../../src/codegen/grid.js';
import type { Expr } from '../../src/codegen/kernel/types.js';
import { BATCH } from '../../src/ir/batch.js';

type Counts = readonly [number, number, number];
type Place = Readonly<Record<'x' | 'y' | 'z', number>>;

/** The number that an expression is for a workgroup's place, among so many. */
function evaluate(e: Expr, group: Place, groups: Counts, tile = 0): number {
  const of = (x: Expr): number => evaluate(x, group, groups, tile);
  switch (e.kind) {
    case 'literal':
      return e.value;
    case 'name':
      return tile;
    case 'component':
      if (e.x.kind === 'name' && e.x.name === 'groups') return groups[e.at as number]!;
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

function places([x, y, z]: Counts): Place[] {
  return Array.from({ length: x * y * z }, (_, i) => ({
    x: i % x,
    y: Math.floor(i / x) % y,
    z: Math.floor(i / (x * y)),
  }));
}

/** Sizes as they are, and as multiples of the batch for so many samples. */
const size = fc.record({ each: fc.integer({ min: 1, max: 12 }), samples: fc.constantFrom(0, 1, 2, 3, 5) });
const of = ({ each, samples }: { each: number; samples: number }): number => (samples > 0 ? each * BATCH : each);

it('counts workgroups in a row', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.constantFrom(0, 1, 3),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 10, max: 20 }),
      (each, samples, by, maxWorkgroups) => {
        const reach = { samples: Math.max(1, samples), maxWorkgroups };
        const row = inRow(parts(of({ each, samples }), by), reach, 'group');
        const counts = workgroupsAt(row.workgroups, reach.samples);
        expect(Math.max(...counts)).toBeLessThanOrEqual(maxWorkgroups);
        const numbers = places(counts).map((p) => evaluate(row.number, p, counts));
        expect(numbers).toEqual(numbers.map((_, i) => i));
        const wanted = Math.ceil((each * reach.samples) / by);
        expect(numbers.length).toBeGreaterThanOrEqual(wanted);
        if (!row.folded) expect(numbers.length).toBe(wanted);
      },
    ),
  );
});

it('gives every tile one workgroup', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      size,
      size,
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 12, max: 20 }),
      (columns, rows, batch, by, maxWorkgroups) => {
        // The batch stands in one of them at most.
        fc.pre(rows.samples === 0 || batch.samples === 0);
        const samples = Math.max(1, rows.samples, batch.samples);
        const at = (x: typeof rows): number => (x.samples > 0 ? x.each * samples : x.each);
        const [down, deep] = [Math.ceil(at(rows) / by), at(batch)];
        fc.pre(columns * down * deep <= maxWorkgroups ** 3);
        const grid = tileGrid(columns, parts(of(rows), by), parts(of(batch), 1), { samples, maxWorkgroups });
        const counts = workgroupsAt(grid.workgroups, samples);
        expect(Math.max(...counts)).toBeLessThanOrEqual(maxWorkgroups);
        const found = places(counts).map((group) => {
          const tile = grid.folded ? evaluate(grid.folded, group, counts) : 0;
          return [grid.batch, grid.row, grid.column].map((e) => evaluate(e, group, counts, tile)) as [
            number,
            number,
            number,
          ];
        });
        const inside = found.filter(([b, r]) => b < deep && r < down).map(([b, r, c]) => (b * down + r) * columns + c);
        expect(inside.sort((a, b) => a - b)).toEqual(Array.from({ length: columns * down * deep }, (_, i) => i));
        // What lies past the end does so along the axis that is said, so that one guard keeps it out.
        for (const [b, r] of found) {
          if (grid.past !== 'batch') expect(b).toBeLessThan(deep);
          if (grid.past !== 'row') expect(r).toBeLessThan(down);
        }
      },
    ),
  );
});
