/**
 * Row reductions. A row is shared by 64, 16 or 1 threads, by its length; they fold what they walked over in workgroup memory, or
 * through the subgroup where a variant for its size is legal.
 */
import { sizeOf } from '../ir/ops/shapes.js';
import { SUBGROUP_SIZES } from './contract-schedules.js';
import { finish, store } from './epilogue.js';
import { inRow, parts, type Row } from './grid.js';
import { flattenStored, type Index, LANE, scale, sum, unflattenStored, variable, ZERO } from './indexing.js';
import { Body } from './kernel/body.js';
import {
  add,
  address,
  binary,
  collective,
  convert,
  div,
  eq,
  i32,
  item,
  last,
  lt,
  min,
  mul,
  rem,
  size,
  splat,
  sub,
  u32,
  uint,
  vector,
} from './kernel/expr.js';
import type { Expr, Kernel, Type } from './kernel/types.js';
import { type BuiltKernel, type KernelWriter, product, TILE_AND_THREAD } from './kernel.js';
import type { GeneratedVariant } from './problem.js';
import { type Reader, typeAt } from './reader.js';
import { folded, foldLanes, type Pass, type RowPlan, rowPlan, startOf } from './rows.js';

const THREADS = 64;
/** The extent of a variable that may be any number, multiples of the batch among them. */
const ANY = 2 ** 50;

interface Sharing {
  /** Threads that share a row. */
  readonly perRow: number;
  readonly rows: number;
  readonly subgroup: boolean;
}

export function reduceDomain(plan: RowPlan): { rows: number; length: number } {
  const shape = plan.input.type.shape;
  const length = sizeOf(plan.axes.map((a) => shape[a]!));
  return { rows: sizeOf(shape) / length, length };
}

export function reduceKernel(w: KernelWriter): BuiltKernel {
  const plan = rowPlan(w.group.anchor)!;
  const { rows, length } = reduceDomain(plan);
  const turns = w.turns(rows);
  const steps = length % 4 === 0 ? length / 4 : length;
  const lastAxis = plan.axes.includes(plan.input.type.shape.length - 1);
  // Neighbouring threads should read neighbouring elements: along the row if it is the last axis, else across rows.
  const perRow = !lastAxis || steps < 8 ? 1 : steps < 64 ? 16 : 64;
  const portable: Sharing = { perRow, rows: THREADS / perRow, subgroup: false };
  const sharings = [portable];
  if (perRow > 1) {
    for (const lanes of SUBGROUP_SIZES) {
      if (lanes <= 2 * steps) sharings.unshift({ perRow: lanes, rows: 1, subgroup: true });
    }
  }
  const grids = sharings.map((s) => inRow(parts(turns, s.rows), w.context.reach, 'tile'));
  const { anchor } = w.group;
  return w.built(
    { name: `${anchor.op}_${product(plan.input.type.shape)}${w.suffix()}`, archetype: 'reduce' },
    sharings.map((s, i) => ({
      name: s.subgroup ? `subgroup${s.perRow}` : 'portable',
      requires: s.subgroup ? { features: ['subgroups'], subgroupSize: s.perRow } : {},
      rank: s.subgroup ? 10 : 0,
      workgroups: grids[i]!.workgroups,
      program: program(w, plan, s, grids[i]!, turns),
    })),
  );
}

function program(w: KernelWriter, plan: RowPlan, s: Sharing, grid: Row, turns: number): GeneratedVariant['program'] {
  const { rows, length } = reduceDomain(plan);
  const shape = plan.input.type.shape;
  const wide = length % 4 === 0;
  const steps = wide ? length / 4 : length;
  const kept = shape.map((_, i) => i).filter((i) => !plan.axes.includes(i));
  const row = w.domain('row', rows);
  const rowCoords = unflattenStored(
    row,
    kept.map((i) => shape[i]!),
  );
  const { anchor } = w.group;
  const ends = w.ends();
  const b = new Body();
  const r = w.reader(b);
  place(b, s, grid.number, turns);

  /** Coordinates of the walker's element (or four). */
  const coordsAt = (step: Index): Index[] => {
    const e = wide ? sum(scale(step, 4), LANE) : step;
    const inner = unflattenStored(
      e,
      plan.axes.map((a) => shape[a]!),
    );
    return shape.map((_, i) => (plan.axes.includes(i) ? inner[plan.axes.indexOf(i)]! : rowCoords[kept.indexOf(i)]!));
  };
  const walk = (body: (step: Index) => void): void => {
    const n = b.fresh('n');
    const from = s.perRow === 1 ? u32(0) : uint('part');
    b.for(n, from, size(steps), s.perRow, () => body(variable(n, steps)));
  };

  const stats: Expr[] = [];
  for (const pass of plan.passes) {
    const type = typeAt(pass.type, wide);
    const acc = b.var(b.fresh('acc'), type, splat(startOf(pass), type.lanes));
    walk((step) => {
      const x = spread(r, r.read(plan.input, coordsAt(step)), wide);
      const e = pass.element(r, x, stats, position(step, wide));
      b.assign(acc, folded(pass, acc, spread(r, e, wide)));
    });
    stats.push(pass.finish(r, share(b, pass, foldLanes(r, pass, acc), s)));
  }
  // Threads past the last row do it again, in the last workgroup or, where the dispatch is folded, in workgroups past it.
  const past = grid.folded || turns % s.rows !== 0;
  const real = s.perRow > 1 && past ? [{ index: variable('real', ANY), below: turns }] : [];
  const once = (write: () => void): void => b.where(s.perRow > 1 ? eq(uint('part'), u32(0)) : undefined, write);
  const others = [...w.others()];
  if (others.length > 0) {
    once(() => {
      for (const [name, { value, buffer }] of others) {
        const { shape } = value.type;
        const coords = shape.length === kept.length ? rowCoords : keptCoords(shape, kept, rowCoords);
        store(r, buffer, flattenStored(coords, shape), stats[plan.others![name]!]!, real);
      }
    });
  }
  if (plan.element && ends.stores.length > 0) {
    walk((step) => {
      const coords = coordsAt(step);
      const x = spread(r, r.read(plan.input, coords), wide);
      finish(r, ends, plan.element!(r, x, stats, coords), coords, real);
    });
  } else if (!plan.element) {
    const coords =
      anchor.type.shape.length === kept.length ? rowCoords : keptCoords(anchor.type.shape, kept, rowCoords);
    once(() => finish(r, ends, stats.at(-1)!, coords, real));
  }

  const types = new Set(s.perRow > 1 && !s.subgroup ? plan.passes.map((p) => p.type) : []);
  return {
    workgroup: [s.subgroup ? s.perRow : THREADS, 1, 1],
    ...(s.subgroup ? { subgroup: s.perRow } : {}),
    inputs: [...(s.subgroup ? TILE_AND_PART : TILE_AND_THREAD), ...grid.inputs],
    shared: [...types].map((t) => ({ name: `shared_${t}`, type: { scalar: t, lanes: 1 }, count: THREADS })),
    functions: [],
    main: b.stmts,
  };
}

const TILE_AND_PART: Kernel['inputs'] = [
  { name: 'tile', builtin: 'workgroup_id' },
  { name: 'part', builtin: 'subgroup_invocation_id' },
];

/**
 * Names `row`, and `part` where threads share one. Threads past the last row do the last one again where others wait for them, and store
 * nothing.
 */
function place(b: Body, s: Sharing, workgroup: Expr, turns: number): void {
  if (s.perRow === 1) {
    b.named('row', add(mul(workgroup, u32(THREADS)), uint('thread')));
    b.if(binary('>=', uint('row'), size(turns)), () => b.return());
    return;
  }
  b.named('real', s.subgroup ? workgroup : add(mul(workgroup, u32(s.rows)), div(uint('thread'), u32(s.perRow))));
  b.named('row', min(uint('real'), last(turns)));
  if (!s.subgroup) b.named('part', rem(uint('thread'), u32(s.perRow)));
}

/** A collapsed axis that is kept has coordinate 0. */
function keptCoords(shape: readonly number[], kept: readonly number[], rowCoords: readonly Index[]): Index[] {
  return shape.map((_, i) => (kept.includes(i) ? rowCoords[kept.indexOf(i)]! : ZERO));
}

function spread(r: Reader, e: Expr, wide: boolean): Expr {
  return e.lanes === 4 || !wide ? e : r.b.let(splat(e, 4));
}

/** Place in the row as i32, for argmax. */
function position(step: Index, wide: boolean): Expr {
  if (!wide) return convert(address(step), 'i32');
  return add(splat(convert(address(scale(step, 4)), 'i32'), 4), vector(i32(0), i32(1), i32(2), i32(3)));
}

/** One number from what each of the row's threads has. */
function share(b: Body, pass: Pass, own: Expr, s: Sharing): Expr {
  if (s.perRow === 1) return own;
  if (s.subgroup) return b.let(collective(pass.fold === 'sum' ? 'add' : pass.fold, own));
  const memory = `shared_${pass.type}`;
  const type: Type = { scalar: pass.type, lanes: 1 };
  const [thread, part] = [uint('thread'), uint('part')];
  b.put(memory, thread, own);
  b.barrier();
  for (let half = s.perRow / 2; half >= 1; half /= 2) {
    b.if(lt(part, u32(half)), () =>
      b.put(memory, thread, folded(pass, item(memory, type, thread), item(memory, type, add(thread, u32(half))))),
    );
    b.barrier();
  }
  const total = b.let(item(memory, type, sub(thread, part)));
  b.barrier();
  return total;
}
