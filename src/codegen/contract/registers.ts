/** Contraction without any feature: each thread computes its own tile in registers. Legal on every adapter. */

import { parts, startBatch, startTile, tileGrid } from '../grid.js';
import { Body } from '../kernel/body.js';
import { add, all, component, div, F32X4, f32, lt, mul, name, rem, size, splat, u32, uint } from '../kernel/expr.js';
import { fma, plus, range } from '../kernel/sugar.js';
import type { Expr, Kernel } from '../kernel/types.js';
import type { ContractProblem, GeneratedVariant, Ranks } from '../problem.js';
import { storeTile } from '../tile.js';
import { eachTurn, slotsOf, weightFunction, weightsOf } from './operands.js';
import type { RegisterSchedule } from './schedules.js';

export function contractRegisters(p: ContractProblem, s: RegisterSchedule, ranks: Ranks): GeneratedVariant {
  const [across, down] = s.threads;
  const tiles = Math.ceil(p.n / (4 * s.vectors * across));
  const grid = tileGrid(tiles, parts(p.m, s.rows * down), parts(p.batch, 1), p.reach);
  const b = new Body();
  const axis = (text: string, i: number): Expr => component(name(text, { scalar: 'u32', lanes: 3 }), i);
  const from = grid.folded
    ? startTile(b, grid, p.reach, true)
    : startTile(b, grid, p.reach, true, axis('tile', 0), across);
  const [tileX, tileY] = grid.folded
    ? [add(mul(grid.column, u32(across)), axis('local', 0)), add(mul(grid.row, u32(down)), axis('local', 1))]
    : [axis('tile', 0), axis('tile', 1)];
  const place = grid.folded ? grid.batch : axis('tile', 2);
  const { z, inside: mine } = startBatch(b, place, p.batch, grid.past === 'batch');
  const row = b.named('row', mul(tileY, u32(s.rows)));
  const column = b.named('column', mul(tileX, u32(4 * s.vectors)));
  const strip = grid.folded ? grid.column : div(tileX, u32(across));
  const own = p.kept ? b.named('own', mul(rem(tileX, u32(across)), u32(4 * s.vectors))) : column;
  const sums = range(s.rows).map((r) => range(s.vectors).map((v) => b.var(`c${r}_${v}`, F32X4, splat(f32(0), 4))));
  eachTurn(b, p, 4, { strip, from }, ({ a: k, b: place }) => {
    const slots = slotsOf(p, s.rows, 4);
    const a = range(slots.minors * slots.majors).map((i) =>
      b.named(`a${i}`, slots.load(z, row, k, u32(i % slots.minors), u32(Math.floor(i / slots.minors)))),
    );
    const weights = range(s.vectors).map((v) => {
      const at = { z, k: place, column: plus(own, 4 * v) };
      return weightsOf(
        b,
        p,
        at,
        range(4).map((i) => `b${i}_${v}`),
      );
    });
    const w = range(4).map((i) => weights.map((of) => of(i)));
    for (const r of range(s.rows)) {
      for (const i of range(4)) {
        const at = slots.of(r, i);
        const x = splat(component(a[at.minor + slots.minors * at.major]!, at.component), 4);
        for (const [v, sum] of sums[r]!.entries()) b.assign(sum, fma(x, w[i]![v]!, sum));
      }
    }
  });
  const inside = [...mine, lt(uint('r'), size(p.m)), lt(uint('c'), u32(p.n))];
  storeTile(b, sums.flat(), s.vectors, { z, row, column, apart: 4, from }, all(inside));
  return {
    name: 'portable',
    requires: {},
    ...ranks,
    workgroups: grid.workgroups,
    program: {
      workgroup: [across, down, 1],
      inputs: grid.folded ? [...IN_A_ROW, ...grid.inputs] : BY_THREAD,
      shared: [],
      functions: [...p.functions, weightFunction(p, 4, 4 * s.vectors * across)],
      main: b.stmts,
      doc: `A tile of ${s.rows} rows by ${4 * s.vectors} columns for each thread.`,
    },
  };
}

const BY_THREAD: Kernel['inputs'] = [{ name: 'tile', builtin: 'global_invocation_id' }];
const IN_A_ROW: Kernel['inputs'] = [
  { name: 'group', builtin: 'workgroup_id' },
  { name: 'local', builtin: 'local_invocation_id' },
];
