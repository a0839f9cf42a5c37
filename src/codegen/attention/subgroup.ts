/**
 * Attention shared through a subgroup, streaming over keys: a running maximum and a running sum for each query, no score matrix.
 * Scores: a lane owns four keys, queries are broadcast. Output: a lane owns columns, probabilities are broadcast. Keys and rows
 * past the end are clamped and masked, so that all lanes stay active.
 */

import { needsSubgroups } from '../candidates.js';
import { inSoftware } from '../contract/schedules.js';
import { parts, startBatch, startTile, tileGrid } from '../grid.js';
import { Body } from '../kernel/body.js';
import {
  add,
  all,
  builtin,
  call,
  collective,
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
  name,
  rem,
  select,
  splat,
  sub,
  u32,
  uint,
  vector,
} from '../kernel/expr.js';
import { plus, range, SMALLEST } from '../kernel/sugar.js';
import type { Expr, KernelFunction } from '../kernel/types.js';
import type { AttentionProblem, GeneratedVariant, Ranks } from '../problem.js';
import { storeTile, type TilePlace } from '../tile.js';
import type { AttentionSubgroupSchedule } from './schedules.js';

export function attentionSubgroup(p: AttentionProblem, s: AttentionSubgroupSchedule, ranks: Ranks): GeneratedVariant {
  const grid = tileGrid(Math.ceil(p.rows / s.rows), parts(p.batch, 1), parts(1, 1), p.reach);
  const b = new Body();
  const from = startTile(b, grid, p.reach, inSoftware(s.size));
  const lane = uint('lane');
  const { z, inside } = startBatch(b, grid.row, p.batch, grid.past !== undefined);
  const row = b.named('row', mul(grid.column, u32(s.rows)));
  const own = u32(s.size / s.groups);
  const first = s.groups > 1 ? b.named('first', mul(div(lane, own), own)) : undefined;
  const column = b.named('column', mul(s.groups > 1 ? rem(lane, own) : lane, u32(4)));
  const at: Place = { from, z, row, lane, column, first };
  const m = range(s.rows).map((r) => b.var(`m${r}`, F32, f32(SMALLEST)));
  const l = range(s.rows).map((r) => b.var(`l${r}`, F32, f32(0)));
  const o = range(s.rows).map((r) => range(s.vectors).map((v) => b.var(`o${r}_${v}`, F32X4, splat(f32(0), 4))));
  b.for('base', from, u32(p.keys), 4 * s.size, () => {
    const sums = range(s.rows).map((r) => b.var(`s${r}`, F32X4, splat(f32(0), 4)));
    const keys = range(4).map((c) => b.named(`j${c}`, min(add(plus(uint('base'), c * s.size), lane), u32(p.keys - 1))));
    b.for('d', from, u32(p.headDim), s.dStep, () => scores(b, p, s, at, keys, sums));
    softmax(b, p, s, at, keys, { s: sums, m, l, o });
    b.for('i', from, own, 1, () => output(b, p, s, at, sums, o));
  });
  finish(b, p, s, at, { m, l, o }, inside);
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
      functions: [
        ...p.functions,
        across(s.size, 'max', (x, y) => max(x, y)),
        across(s.size, 'add', (x, y) => add(x, y)),
      ],
      main: b.stmts,
      doc: `${s.rows} queries for each subgroup of ${s.size}, ${4 * s.size} keys at a time.`,
    },
  };
}

interface Place extends TilePlace {
  readonly lane: Expr;
  /** First lane of those that take the same keys. */
  readonly first: Expr | undefined;
}

/** What is kept of each query: largest score, sum of weights, output. */
interface Kept {
  readonly m: readonly Expr[];
  readonly l: readonly Expr[];
  readonly o: readonly (readonly Expr[])[];
}

/**
 * Maximum or sum over a subgroup. Software drivers turn the built-in reductions into loops over lanes that are slow to compile and
 * to run; a few exchanges do the same.
 */
function across(size: number, op: 'max' | 'add', step: (x: Expr, y: Expr) => Expr): KernelFunction {
  const b = new Body();
  const own = name('own', F32);
  if (size > 8) b.return(collective(op, own));
  else {
    const v = b.var('v', F32, own);
    for (let g = 1; g < size; g *= 2) b.assign(v, step(v, collective('shuffle_xor', v, u32(g))));
    b.return(v);
  }
  return { name: `across_${op}`, params: [{ name: 'own', type: F32 }], result: F32, body: b.stmts };
}

const acrossAll = (op: 'max' | 'add', x: Expr): Expr => call(`across_${op}`, F32, [x]);

/** s_r += q_r . k for the four keys of each lane, over dStep inputs. */
function scores(
  b: Body,
  p: AttentionProblem,
  s: AttentionSubgroupSchedule,
  { z, row, lane }: Place,
  keys: readonly Expr[],
  sums: readonly Expr[],
): void {
  const d = uint('d');
  const last = u32(p.rows - 1);
  const query = (at: Expr, depth: Expr): Expr => call('load_q4', F32X4, [z, min(at, last), depth]);
  const turns = s.dStep / 4;
  const held =
    s.rows >= s.size
      ? range(s.rows / s.size).map((h) => b.named(`q${h}`, query(add(plus(row, h * s.size), lane), d)))
      : [
          b.named(
            'q0',
            query(add(row, rem(lane, u32(s.rows))), add(d, mul(u32(4), rem(div(lane, u32(s.rows)), u32(turns))))),
          ),
        ];
  const k = range(turns).map((t) =>
    range(4).map((c) => b.named(`k${t}_${c}`, call('load_k4', F32X4, [z, keys[c]!, plus(d, 4 * t)]))),
  );
  for (const r of range(s.rows)) {
    for (const t of range(turns)) {
      const [h, from] = s.rows >= s.size ? [Math.floor(r / s.size), r % s.size] : [0, r + t * s.rows];
      b.block(() => {
        const q = b.named('q', collective('broadcast', held[h]!, u32(from)));
        b.assign(sums[r]!, add(sums[r]!, vector(...k[t]!.map((key) => dot(q, key)))));
      });
    }
  }
}

/** Turns scores into probabilities against the new maximum and rescales what was summed against the old one. */
function softmax(
  b: Body,
  p: AttentionProblem,
  s: AttentionSubgroupSchedule,
  { from, z, row, lane }: Place,
  keys: readonly Expr[],
  { s: sums, m, l, o }: Kept & { readonly s: readonly Expr[] },
): void {
  const scaled = sums.map((x) => mul(x, f32(p.scale)));
  if (p.hasBias) addBias(b, p, { from, z, row }, keys, sums, scaled);
  else for (const [r, x] of sums.entries()) b.assign(x, scaled[r]!);
  let valid: Expr | undefined;
  if (p.keys % (4 * s.size) !== 0) {
    const apart = vector(u32(0), u32(s.size), u32(2 * s.size), u32(3 * s.size));
    valid = b.named('valid', lt(add(splat(add(uint('base'), lane), 4), apart), splat(u32(p.keys), 4)));
  }
  for (const [r, x] of sums.entries()) {
    if (valid) b.assign(x, select(splat(f32(SMALLEST), 4), x, valid));
    b.block(() => {
      const [x0, x1, x2, x3] = range(4).map((i) => component(x, i)) as [Expr, Expr, Expr, Expr];
      const largest = b.named('m', max(m[r]!, acrossAll('max', max(max(x0, x1), max(x2, x3)))));
      const old = b.named('old', exp(sub(m[r]!, largest)));
      const weights = exp(sub(x, splat(largest, 4)));
      b.assign(x, valid ? select(splat(f32(0), 4), weights, valid) : weights);
      b.assign(m[r]!, largest);
      b.assign(l[r]!, add(add(mul(l[r]!, old), add(x0, x1)), add(x2, x3)));
      for (const sum of o[r]!) b.assign(sum, mul(sum, old));
    });
  }
}

/** s_r = scaled_r + bias. The one place with an indexed array: the bias function is then in the code four times and not four times a row. */
export function addBias(
  b: Body,
  p: AttentionProblem,
  { from, z, row }: Pick<Place, 'from' | 'z' | 'row'>,
  keys: readonly Expr[],
  sums: readonly Expr[],
  scaled: readonly Expr[],
): void {
  const type = b.array('biased', scaled);
  b.for('r', from, u32(sums.length), 1, () => {
    const r = uint('r');
    const at = b.named('at', min(add(row, r), u32(p.rows - 1)));
    const bias = vector(...keys.map((j) => call('bias', F32, [z, at, j])));
    b.put('biased', r, add(item('biased', type, r), bias));
  });
  for (const [r, x] of sums.entries()) b.assign(x, item('biased', type, u32(r)));
}

/** o_r += p_r[j] * v[j] for the four keys of lane `owner`. */
function output(
  b: Body,
  p: AttentionProblem,
  s: AttentionSubgroupSchedule,
  { z, column, first }: Place,
  sums: readonly Expr[],
  o: readonly (readonly Expr[])[],
): void {
  const i = uint('i');
  const owner = b.named('owner', first ? add(first, i) : i);
  const values = range(4).map((c) => {
    const key = min(add(plus(uint('base'), c * s.size), owner), u32(p.keys - 1));
    return range(s.vectors).map((v) =>
      b.named(`v${c}_${v}`, call('load_v4', F32X4, [z, key, plus(column, v * 4 * s.size)])),
    );
  });
  for (const [r, x] of sums.entries()) {
    b.block(() => {
      const w = b.named('w', collective('shuffle', x, owner));
      for (const [v, sum] of o[r]!.entries())
        b.assign(
          sum,
          add(
            sum,
            weighted(
              w,
              values.map((of) => of[v]!),
            ),
          ),
        );
    });
  }
}

/** w.x * v0 + w.y * v1 + w.z * v2 + w.w * v3 */
export function weighted(w: Expr, values: readonly Expr[]): Expr {
  return values.map((value, i) => mul(component(w, i), value)).reduce((x, y) => add(x, y));
}

/** Adds up what lanes hold apart, divides by the sum and stores. */
function finish(
  b: Body,
  p: AttentionProblem,
  s: AttentionSubgroupSchedule,
  { from, z, row, lane, column }: Place,
  { m, l, o }: Kept,
  inside: readonly Expr[],
): void {
  for (const r of range(s.rows)) {
    b.assign(l[r]!, acrossAll('add', l[r]!));
    const sum = o[r]![0]!;
    for (let g = s.size / s.groups; g < s.size; g *= 2) b.assign(sum, add(sum, collective('shuffle_xor', sum, u32(g))));
  }
  const outputs = o.flatMap((sums, r) => sums.map((sum) => div(sum, l[r]!)));
  const ragged = s.groups > 1 || p.valueDim % (4 * s.size) !== 0;
  const where = all([
    ...inside,
    ...(p.rows % s.rows === 0 ? [] : [lt(uint('r'), u32(p.rows))]),
    ...(s.groups > 1 ? [lt(lane, u32(s.size / s.groups))] : []),
    ...(ragged ? [lt(uint('c'), u32(p.valueDim))] : []),
  ]);
  storeTile(b, outputs, s.vectors, { from, z, row, column, apart: 4 * s.size }, where);
  if (!p.hasLse) return;
  const type = b.array(
    'sums',
    m.map((most, r) => add(most, builtin('log', l[r]!))),
  );
  b.for('r', from, u32(s.rows), 1, () => {
    const r = uint('r');
    b.if(all([...inside, eq(lane, u32(0)), lt(add(row, r), u32(p.rows))])!, () =>
      b.do('store_lse', z, add(row, r), item('sums', type, r)),
    );
  });
}
