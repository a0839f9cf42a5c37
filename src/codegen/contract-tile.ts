/**
 * Contraction shared through workgroup memory: 64 threads load a block of a and a block of b together, wait for one another, and multiply. For
 * hardware whose lane count varies (Intel, AMD) or that has no subgroups, which is what most laptops and browsers are. Legal on every adapter.
 */
import type { TileSchedule } from './contract-schedules.js';
import { paddedK, weightFunction } from './contract-weight.js';
import { parts, startBatch, startTile, tileGrid } from './grid.js';
import { Body } from './kernel/body.js';
import {
  add,
  all,
  call,
  component,
  div,
  F32X4,
  f32,
  item,
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
import { storeTile } from './tile.js';

export function contractTile(p: ContractProblem, s: TileSchedule, ranks: Ranks): GeneratedVariant {
  const [across, down] = s.threads;
  const threads = across * down;
  const rows = s.rows * down;
  const columns = 4 * s.vectors * across;
  const grid = tileGrid(Math.ceil(p.n / columns), parts(p.m, rows), parts(p.batch, 1), p.reach);
  const b = new Body();
  const from = startTile(b, grid, p.reach, false);
  const thread = uint('thread');
  const { z, inside: mine } = startBatch(b, grid.batch, p.batch, grid.past === 'batch');
  const firstRow = b.named('first_row', mul(grid.row, u32(rows)));
  const firstColumn = b.named('first_column', mul(grid.column, u32(columns)));
  const x = b.named('x', rem(thread, u32(across)));
  const y = b.named('y', mul(div(thread, u32(across)), u32(s.rows)));
  const sums = range(s.rows).map((r) => range(s.vectors).map((v) => b.var(`c${r}_${v}`, F32X4, splat(f32(0), 4))));
  /** vec4 in a row of each block. */
  const [inA, inB] = [s.kStep / 4, columns / 4];
  /** Has the threads fill a block of `count` vec4 in turns; the last one may be shorter. */
  const fill = (array: string, count: number, load: (i: Expr) => Expr): void => {
    for (let from = 0; from < count; from += threads) {
      const left = count - from < threads ? lt(thread, u32(count - from)) : undefined;
      const at = plus(thread, from);
      b.where(left, () => b.put(array, at, load(at)));
    }
  };
  b.for('k', from, paddedK(p, s.kStep), s.kStep, () => {
    const k = uint('k');
    fill('block_a', rows * inA, (i) =>
      call('load_a4', F32X4, [z, add(firstRow, div(i, u32(inA))), add(k, mul(rem(i, u32(inA)), u32(4)))]),
    );
    fill('block_b', s.kStep * inB, (i) =>
      call('weight4', F32X4, [z, add(k, div(i, u32(inB))), add(firstColumn, mul(rem(i, u32(inB)), u32(4)))]),
    );
    b.barrier();
    b.for('q', from, u32(inA), 1, () => {
      const q = uint('q');
      const a = range(s.rows).map((r) => b.named(`a${r}`, item('block_a', F32X4, add(mul(plus(y, r), u32(inA)), q))));
      for (const i of range(4)) {
        const w = range(s.vectors).map((v) =>
          b.named(
            `b${i}_${v}`,
            item('block_b', F32X4, plus(add(mul(plus(mul(q, u32(4)), i), u32(inB)), x), v * across)),
          ),
        );
        for (const r of range(s.rows)) {
          for (const [v, sum] of sums[r]!.entries()) b.assign(sum, fma(splat(component(a[r]!, i), 4), w[v]!, sum));
        }
      }
    });
    b.barrier();
  });
  const inside = [
    ...mine,
    ...(p.m % rows === 0 && grid.past !== 'row' ? [] : [lt(uint('r'), size(p.m))]),
    ...(p.n % columns === 0 ? [] : [lt(uint('c'), u32(p.n))]),
  ];
  const row = b.named('row', add(firstRow, y));
  const column = b.named('column', add(firstColumn, mul(x, u32(4))));
  storeTile(b, sums.flat(), s.vectors, { z, row, column, apart: 4 * across, from }, all(inside));
  return {
    name: 'tile',
    requires: {},
    ...ranks,
    workgroups: grid.workgroups,
    program: {
      workgroup: [threads, 1, 1],
      inputs: [
        { name: 'group', builtin: 'workgroup_id' },
        { name: 'thread', builtin: 'local_invocation_index' },
        ...grid.inputs,
      ],
      shared: [
        { name: 'block_a', type: F32X4, count: rows * inA },
        { name: 'block_b', type: F32X4, count: s.kStep * inB },
      ],
      functions: [...p.functions, weightFunction(p, s.kStep)],
      main: b.stmts,
      doc: `A tile of ${rows} rows by ${columns} columns for each workgroup, ${s.kStep} inputs at a time.`,
    },
  };
}
