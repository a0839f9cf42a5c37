/**
 * Attention without any feature, legal on every adapter: the threads of a workgroup take its queries through all keys, a block at a time. A thread
 * owns four queries and, of each block, four keys (for scores) and then four columns for as many as the block has keys (for the output); maxima,
 * sums and probabilities pass through workgroup memory.
 */

import { type Grid, parts, startBatch, startTile, tileGrid } from '../grid.js';
import { Body } from '../kernel/body.js';
import {
  add,
  all,
  builtin,
  call,
  component,
  div,
  dot,
  eq,
  exp,
  F32,
  F32X4,
  f32,
  item,
  lt,
  max,
  min,
  mul,
  rem,
  select,
  splat,
  sub,
  u32,
  uint,
  vector,
} from '../kernel/expr.js';
import { plus, range, SMALLEST } from '../kernel/sugar.js';
import type { Expr, Stmt } from '../kernel/types.js';
import type { AttentionProblem, GeneratedVariant, Ranks } from '../problem.js';
import { storeTile } from '../tile.js';
import type { AttentionWorkgroupSchedule } from './schedules.js';
import { addBias, weighted } from './subgroup.js';

/** Queries of a thread: their maxima and sums are one vec4. */
const OWN = 4;

export function attentionWorkgroup(p: AttentionProblem, s: AttentionWorkgroupSchedule, ranks: Ranks): GeneratedVariant {
  const grid = tileGrid(Math.ceil(p.rows / s.rows), parts(p.batch, 1), parts(1, 1), p.reach);
  const threads = (s.rows / OWN) * s.across;
  return {
    name: 'portable',
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
        { name: 'partial', type: F32X4, count: threads },
        { name: 'weights', type: F32X4, count: s.rows * s.across },
      ],
      functions: p.functions,
      main: main(p, s, grid),
      doc: `${s.rows} queries for each workgroup, ${4 * s.across} keys at a time.`,
    },
  };
}

/** Four numbers `step` apart, from 0. */
const steps = (step: number): Expr => vector(u32(0), u32(step), u32(2 * step), u32(3 * step));

function main(
  p: AttentionProblem,
  { rows: queries, across: sharing }: AttentionWorkgroupSchedule,
  grid: Grid,
): readonly Stmt[] {
  const block = 4 * sharing;
  const b = new Body();
  const zero = splat(f32(0), 4);
  const smallest = splat(f32(SMALLEST), 4);
  const from = startTile(b, grid, p.reach, true);
  const { z, inside } = startBatch(b, grid.row, p.batch, grid.past !== undefined);
  const thread = uint('thread');
  const across = b.named('across', rem(thread, u32(sharing)));
  const own = b.named('own', mul(div(thread, u32(sharing)), u32(OWN)));
  const row = b.named('row', add(mul(grid.column, u32(queries)), own));
  const column = b.named('column', mul(across, u32(4)));
  const rows = range(OWN);
  const vectors = range(Math.ceil(p.valueDim / block));
  const kept = rows.map((r) => ({ m: b.var(`m${r}`, F32, f32(SMALLEST)), l: b.var(`l${r}`, F32, f32(0)) }));
  const o = rows.map((r) => vectors.map((v) => b.var(`o${r}_${v}`, F32X4, zero)));
  const partial = (i: Expr): Expr => item('partial', F32X4, i);
  /** What the threads of this one's rows have put there, one after another. */
  const eachPartial = (body: (x: Expr) => void): void =>
    b.for('i', from, u32(sharing), 1, () => body(partial(add(mul(div(own, u32(OWN)), u32(sharing)), uint('i')))));
  const weightAt = (r: number, i: Expr): Expr => add(mul(plus(own, r), u32(sharing)), i);
  b.for('base', from, u32(p.keys), block, () => {
    const base = uint('base');
    const past = b.named('past', add(splat(add(base, across), 4), steps(sharing)));
    const j = b.named('j', min(past, splat(u32(p.keys - 1), 4)));
    const valid = p.keys % block !== 0 ? b.named('valid', eq(past, j)) : undefined;
    const s = rows.map((r) => b.var(`s${r}`, F32X4, zero));
    const masked = (r: number, otherwise: Expr, value: Expr): void =>
      b.assign(s[r]!, valid ? select(otherwise, value, valid) : value);
    b.for('d', from, u32(p.headDim), 4, () => {
      const d = uint('d');
      const q = rows.map((r) => b.named(`q${r}`, call('load_q4', F32X4, [z, min(plus(row, r), u32(p.rows - 1)), d])));
      const k = range(4).map((c) => b.named(`k${c}`, call('load_k4', F32X4, [z, component(j, c), d])));
      for (const r of rows) b.assign(s[r]!, add(s[r]!, vector(...k.map((key) => dot(q[r]!, key)))));
    });
    for (const x of s) b.assign(x, mul(x, f32(p.scale)));
    if (p.hasBias) {
      const keys = range(4).map((c) => component(j, c));
      addBias(b, p, { from, z, row }, keys, s, s);
    }
    for (const r of rows) masked(r, smallest, s[r]!);
    const largestOf = (x: Expr): Expr =>
      max(max(component(x, 0), component(x, 1)), max(component(x, 2), component(x, 3)));
    b.put('partial', thread, vector(...s.map(largestOf)));
    b.barrier();
    const largest = b.var('largest', F32X4, smallest);
    eachPartial((x) => b.assign(largest, max(largest, x)));
    for (const r of rows) {
      const { m, l } = kept[r]!;
      const now = b.named(`n${r}`, max(m, component(largest, r)));
      const old = b.named(`old${r}`, exp(sub(m, now)));
      masked(r, zero, exp(sub(s[r]!, splat(now, 4))));
      b.assign(m, now);
      const [x, y, v, w] = range(4).map((i) => component(s[r]!, i)) as [Expr, Expr, Expr, Expr];
      b.assign(l, add(add(mul(l, old), add(x, y)), add(v, w)));
      b.put('weights', weightAt(r, across), s[r]!);
      for (const sum of o[r]!) b.assign(sum, mul(sum, old));
    }
    b.barrier();
    b.for('i', from, u32(sharing), 1, () => {
      const i = uint('i');
      const key = b.named('key', min(add(splat(add(base, i), 4), steps(sharing)), splat(u32(p.keys - 1), 4)));
      const w = rows.map((r) => b.named(`w${r}`, item('weights', F32X4, weightAt(r, i))));
      const values = vectors.map((v) =>
        range(4).map((c) =>
          b.named(`v${c}_${v}`, call('load_v4', F32X4, [z, component(key, c), plus(column, v * block)])),
        ),
      );
      for (const r of rows) {
        for (const v of vectors) b.assign(o[r]![v]!, add(o[r]![v]!, weighted(w[r]!, values[v]!)));
      }
    });
  });
  b.barrier();
  b.put('partial', thread, vector(...kept.map(({ l }) => l)));
  b.barrier();
  const sums = b.var('sums', F32X4, zero);
  eachPartial((x) => b.assign(sums, add(sums, x)));
  const outputs = rows.flatMap((r) => vectors.map((v) => div(o[r]![v]!, component(sums, r))));
  const where = all([...inside, lt(uint('r'), u32(p.rows)), lt(uint('c'), u32(p.valueDim))]);
  storeTile(b, outputs, vectors.length, { z, row, column, apart: block, from }, where);
  if (p.hasLse) {
    const lse = b.named('lse', add(vector(...kept.map(({ m }) => m)), builtin('log', sums)));
    b.for('r', from, u32(OWN), 1, () => {
      const r = uint('r');
      b.if(all([...inside, eq(across, u32(0)), lt(add(row, r), u32(p.rows))])!, () =>
        b.do('store_lse', z, add(row, r), component(lse, r)),
      );
    });
  }
  return b.stmts;
}
