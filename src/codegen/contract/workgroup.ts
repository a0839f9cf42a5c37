/**
 * Contraction shared through workgroup memory: 64 threads load a block of a and a block of b together, wait for one another, and multiply. For
 * hardware whose lane count varies (Intel, AMD) or that has no subgroups, which is what most laptops and browsers are. Legal on every adapter.
 */

import { parts, startBatch, startTile, tileGrid } from '../grid.js';
import { Body } from '../kernel/body.js';
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
} from '../kernel/expr.js';
import { fma, plus, range } from '../kernel/sugar.js';
import type { Expr } from '../kernel/types.js';
import type { ContractProblem, GeneratedVariant, Ranks } from '../problem.js';
import { storeTile } from '../tile.js';
import { eachTurn, slotsOf, weightFunction, weightsOf } from './operands.js';
import type { TileSchedule } from './schedules.js';

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
  const x = b.named('thread_x', rem(thread, u32(across)));
  const y = b.named('thread_y', mul(div(thread, u32(across)), u32(s.rows)));
  const sums = range(s.rows).map((r) => range(s.vectors).map((v) => b.var(`c${r}_${v}`, F32X4, splat(f32(0), 4))));
  /** The block of a, and the part of it that a thread multiplies. */
  const block = slotsOf(p, rows, s.kStep);
  const own = slotsOf(p, s.rows, 4);
  /** vec4 in a row of the block of b. */
  const inB = columns / 4;
  /** Has the threads do the `count` parts of a block in turns; the last one may be shorter. */
  const fill = (count: number, part: (i: Expr) => void): void => {
    for (let from = 0; from < count; from += threads) {
      const left = count - from < threads ? lt(thread, u32(count - from)) : undefined;
      const body = (): void => part(plus(thread, from));
      if (left) b.if(left, body);
      else b.block(body);
    }
  };
  /** The tile's first column, as b counts them. */
  const ownColumn = p.kept ? u32(0) : firstColumn;
  eachTurn(b, p, s.kStep, { strip: grid.column, from }, ({ a: k, b: place }) => {
    fill(block.minors * block.majors, (i) => {
      // Neighbouring threads load what lies side by side.
      const [minor, major] =
        p.a === 'sum'
          ? [div(i, u32(block.majors)), rem(i, u32(block.majors))]
          : [rem(i, u32(block.minors)), div(i, u32(block.minors))];
      b.put('block_a', i, block.load(z, firstRow, k, minor, major));
    });
    if (p.b === 'result') {
      fill(s.kStep * inB, (i) => {
        const [row, column] = [b.named('from_k', div(i, u32(inB))), mul(rem(i, u32(inB)), u32(4))];
        const four = add(place, mul(div(row, u32(4)), u32(4)));
        b.put('block_b', i, call('weight4', F32X4, [z, four, add(ownColumn, column), rem(row, u32(4))]));
      });
    } else {
      // Blocks of four inputs by four columns, of which those that lie along the sum are neighbours.
      const fours = s.kStep / 4;
      fill(fours * inB, (i) => {
        const [q, column] = [b.named('from_k', rem(i, u32(fours))), b.named('from_c', div(i, u32(fours)))];
        const at = { z, k: add(place, mul(q, u32(4))), column: add(ownColumn, mul(column, u32(4))) };
        const four = weightsOf(
          b,
          p,
          at,
          range(4).map((j) => `w${j}`),
        );
        for (const j of range(4)) b.put('block_b', add(mul(plus(mul(q, u32(4)), j), u32(inB)), column), four(j));
      });
    }
    b.barrier();
    b.for('q', from, u32(s.kStep / 4), 1, () => {
      const q = uint('q');
      const a = range(own.minors * own.majors).map((i) => {
        const [minor, major] = [i % own.minors, Math.floor(i / own.minors)];
        const at =
          p.a === 'sum'
            ? add(mul(plus(y, minor), u32(block.majors)), q)
            : plus(add(mul(plus(mul(q, u32(4)), major), u32(block.minors)), div(y, u32(4))), minor);
        return b.named(`a${i}`, item('block_a', F32X4, at));
      });
      for (const i of range(4)) {
        const w = range(s.vectors).map((v) =>
          b.named(
            `b${i}_${v}`,
            item('block_b', F32X4, plus(add(mul(plus(mul(q, u32(4)), i), u32(inB)), x), v * across)),
          ),
        );
        for (const r of range(s.rows)) {
          const at = own.of(r, i);
          const number = splat(component(a[at.minor + own.minors * at.major]!, at.component), 4);
          for (const [v, sum] of sums[r]!.entries()) b.assign(sum, fma(number, w[v]!, sum));
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
        { name: 'block_a', type: F32X4, count: block.minors * block.majors },
        { name: 'block_b', type: F32X4, count: s.kStep * inB },
      ],
      functions: [...p.functions, weightFunction(p, s.kStep, columns)],
      main: b.stmts,
      doc: `A tile of ${rows} rows by ${columns} columns for each workgroup, ${s.kStep} inputs at a time.`,
    },
  };
}
