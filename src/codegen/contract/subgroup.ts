/**
 * Contraction shared through a subgroup. The lanes hold rows of a (four inputs each) and broadcast them to one another, so a value
 * of a is loaded once for the whole tile; each lane holds its own four columns of b. Nothing goes through workgroup memory, and
 * the loop has no barrier. Rows, columns and inputs past the end are computed on zeros and not stored: every lane stays active,
 * as subgroup operations require.
 */

import { needsSubgroups } from '../candidates.js';
import { parts, startBatch, startTile, tileGrid } from '../grid.js';
import { Body } from '../kernel/body.js';
import {
  add,
  all,
  collective,
  component,
  div,
  F32X4,
  f32,
  lt,
  mul,
  rem,
  size,
  splat,
  u32,
  uint,
} from '../kernel/expr.js';
import { fma, plus, range } from '../kernel/sugar.js';
import type { Expr } from '../kernel/types.js';
import type { ContractProblem, GeneratedVariant, Ranks } from '../problem.js';
import { storeTile, type TilePlace } from '../tile.js';
import { eachTurn, slotsOf, type Turn, weightFunction, weightsOf } from './operands.js';
import { inSoftware, type SubgroupSchedule } from './schedules.js';

export function contractSubgroup(p: ContractProblem, s: SubgroupSchedule, ranks: Ranks): GeneratedVariant {
  const columns = 4 * s.size * s.vectors;
  const grid = tileGrid(Math.ceil(p.n / columns), parts(p.m, s.rows), parts(p.batch, 1), p.reach);
  const b = new Body();
  const from = startTile(b, grid, p.reach, inSoftware(s.size));
  const { z, inside: mine } = startBatch(b, grid.batch, p.batch, grid.past === 'batch');
  const row = b.named('row', mul(grid.row, u32(s.rows)));
  const lane = uint('lane');
  const column = b.named('column', add(mul(grid.column, u32(columns)), mul(lane, u32(4))));
  const sums = range(s.rows).map((r) => range(s.vectors).map((v) => b.var(`c${r}_${v}`, F32X4, splat(f32(0), 4))));
  const own = p.kept ? mul(lane, u32(4)) : column;
  const at = { z, row, column: own, lane };
  eachTurn(b, p, s.kStep, { strip: grid.column, from }, (k) => turn(b, p, s, { ...at, k }, sums));
  const inside = [
    ...mine,
    ...(p.m % s.rows === 0 && grid.past !== 'row' ? [] : [lt(uint('r'), size(p.m))]),
    ...(p.n % columns === 0 ? [] : [lt(uint('c'), u32(p.n))]),
  ];
  storeTile(b, sums.flat(), s.vectors, { z, row, column, apart: 4 * s.size, from }, all(inside));
  return {
    name: `subgroup${s.size}`,
    requires: needsSubgroups(s.size),
    ...ranks,
    workgroups: grid.workgroups,
    program: {
      workgroup: [s.size, 1, 1],
      subgroup: s.size,
      inputs: [
        { name: 'group', builtin: 'workgroup_id' },
        { name: 'lane', builtin: 'subgroup_invocation_id' },
        ...grid.inputs,
      ],
      shared: [],
      functions: [...p.functions, weightFunction(p, s.kStep, columns)],
      main: b.stmts,
      doc: `A tile of ${s.rows} rows by ${columns} columns for each subgroup of ${s.size}.`,
    },
  };
}

/** The multiply-adds of `kStep` inputs. */
function turn(
  b: Body,
  p: ContractProblem,
  s: SubgroupSchedule,
  at: Omit<TilePlace, 'from'> & { readonly lane: Expr; readonly k: Turn },
  sums: readonly (readonly Expr[])[],
): void {
  const a = held(b, p, s, { ...at, k: at.k.a });
  const weights = range(s.vectors).map((v) =>
    range(s.kStep / 4).map((q) => {
      const four = { z: at.z, k: plus(at.k.b, 4 * q), column: plus(at.column, v * 4 * s.size) };
      return weightsOf(
        b,
        p,
        four,
        range(4).map((i) => `b${4 * q + i}_${v}`),
      );
    }),
  );
  const columns = (i: number): Expr[] => weights.map((of) => of[i >> 2]!(i & 3));
  const multiply = (r: number, i: number, w: readonly Expr[]): void => {
    for (const [v, sum] of sums[r]!.entries()) b.assign(sum, fma(splat(a(r, i), 4), w[v]!, sum));
  };
  const inputs = range(s.kStep);
  if (s.order === 'row') {
    const all = inputs.map(columns);
    for (const r of range(s.rows)) for (const i of inputs) multiply(r, i, all[i]!);
  } else {
    for (const i of inputs) {
      const w = columns(i);
      for (const r of range(s.rows)) multiply(r, i, w);
    }
  }
}

/** Has the lanes load a block of a together: gives what all of them read at a row and an input. */
function held(
  b: Body,
  p: ContractProblem,
  { rows, kStep, size: lanes }: SubgroupSchedule,
  at: { readonly z: Expr; readonly row: Expr; readonly k: Expr; readonly lane: Expr },
): (row: number, input: number) => Expr {
  const slots = slotsOf(p, rows, kStep);
  const load = (name: string, minor: Expr, major: Expr, row = at.row): Expr =>
    b.named(name, slots.load(at.z, row, at.k, minor, major));
  const broadcast = (x: Expr, i: number, lane: number): Expr => collective('broadcast', component(x, i), u32(lane));
  if (slots.minors >= lanes) {
    const loaded = range(Math.ceil(slots.minors / lanes)).map((h) =>
      range(slots.majors).map((major) =>
        load(`a${h}_${major}`, at.lane, u32(major), plus(at.row, h * lanes * slots.rowsEach)),
      ),
    );
    return (row, input) => {
      const { minor, major, component: i } = slots.of(row, input);
      return broadcast(loaded[Math.floor(minor / lanes)]![major]!, i, minor % lanes);
    };
  }
  // Lanes that have the same place along one axis hold different ones of the other.
  const together = Math.min(slots.majors, Math.floor(lanes / slots.minors));
  const minor = slots.minors === 1 ? u32(0) : rem(at.lane, u32(slots.minors));
  const own = together === 1 ? u32(0) : rem(div(at.lane, u32(slots.minors)), u32(together));
  const loaded = range(Math.ceil(slots.majors / together)).map((h) => {
    const major = h === 0 ? own : together === 1 ? u32(h) : plus(own, h * together);
    return load(`a0_${h}`, minor, major);
  });
  return (row, input) => {
    const { minor: m, major, component: i } = slots.of(row, input);
    return broadcast(loaded[Math.floor(major / together)]!, i, m + slots.minors * (major % together));
  };
}
