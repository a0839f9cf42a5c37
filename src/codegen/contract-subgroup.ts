/**
 * Contraction shared through a subgroup. The lanes hold rows of a (four inputs each) and broadcast them to one another, so a value
 * of a is loaded once for the whole tile; each lane holds its own four columns of b. Nothing goes through workgroup memory, and
 * the loop has no barrier. Rows, columns and inputs past the end are computed on zeros and not stored: every lane stays active,
 * as subgroup operations require.
 */
import { inSoftware, type SubgroupSchedule } from './contract-schedules.js';
import { paddedK, weightFunction } from './contract-weight.js';
import { parts, startBatch, startTile, tileGrid } from './grid.js';
import { Body } from './kernel/body.js';
import {
  add,
  all,
  call,
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
} from './kernel/expr.js';
import { fma, plus, range } from './kernel/sugar.js';
import type { Expr } from './kernel/types.js';
import type { ContractProblem, GeneratedVariant, Ranks } from './problem.js';
import { storeTile, type TilePlace } from './tile.js';

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
  b.for('k', from, paddedK(p, s.kStep), s.kStep, () => turn(b, s, { z, row, column, lane }, sums));
  const inside = [
    ...mine,
    ...(p.m % s.rows === 0 && grid.past !== 'row' ? [] : [lt(uint('r'), size(p.m))]),
    ...(p.n % columns === 0 ? [] : [lt(uint('c'), u32(p.n))]),
  ];
  storeTile(b, sums.flat(), s.vectors, { z, row, column, apart: 4 * s.size, from }, all(inside));
  return {
    name: `subgroup${s.size}`,
    requires: { features: ['subgroups'], subgroupSize: s.size },
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
      functions: [...p.functions, weightFunction(p, s.kStep)],
      main: b.stmts,
      doc: `A tile of ${s.rows} rows by ${columns} columns for each subgroup of ${s.size}.`,
    },
  };
}

/** The multiply-adds of `kStep` inputs. */
function turn(
  b: Body,
  s: SubgroupSchedule,
  at: Omit<TilePlace, 'from'> & { lane: Expr },
  sums: readonly (readonly Expr[])[],
): void {
  const k = uint('k');
  const load = (row: Expr, input: Expr): Expr => call('load_a4', F32X4, [at.z, row, input]);
  const held = new Map<string, Expr>();
  if (s.rows >= s.size) {
    for (let h = 0; h < s.rows / s.size; h++) {
      for (let q = 0; q < s.kStep; q += 4) {
        const name = `a${h}_${q / 4}`;
        held.set(name, b.named(name, load(add(plus(at.row, h * s.size), at.lane), plus(k, q))));
      }
    }
  } else {
    /** Lanes that share a row and hold different inputs of it. */
    const lanesPerRow = s.kStep / 4;
    const other = mul(u32(4), rem(div(at.lane, u32(s.rows)), u32(lanesPerRow)));
    const input = lanesPerRow > 1 ? add(k, other) : k;
    held.set('a0_0', b.named('a0_0', load(add(at.row, rem(at.lane, u32(s.rows))), input)));
  }
  const weights = (i: number): Expr[] =>
    range(s.vectors).map((v) =>
      b.named(`b${i}_${v}`, call('weight4', F32X4, [at.z, plus(k, i), plus(at.column, v * 4 * s.size)])),
    );
  const multiply = (r: number, i: number, w: readonly Expr[]): void => {
    const [name, lane] =
      s.rows >= s.size ? [`a${Math.floor(r / s.size)}_${i >> 2}`, r % s.size] : ['a0_0', r + (i >> 2) * s.rows];
    for (const [v, sum] of sums[r]!.entries()) {
      const a = splat(collective('broadcast', component(held.get(name)!, i & 3), u32(lane)), 4);
      b.assign(sum, fma(a, w[v]!, sum));
    }
  };
  const inputs = range(s.kStep);
  if (s.order === 'row') {
    const all = inputs.map(weights);
    for (const r of range(s.rows)) for (const i of inputs) multiply(r, i, all[i]!);
  } else {
    for (const i of inputs) {
      const w = weights(i);
      for (const r of range(s.rows)) multiply(r, i, w);
    }
  }
}
