/** Row reductions: how threads walk over rows, and what they do with each element. How they share a row is reduce/schedules.ts. */
import { sizeOf } from '../../ir/ops/shapes.js';
import { type Candidate, needsSubgroups } from '../candidates.js';
import { finish, store } from '../epilogue.js';
import { inRow, parts, type Row } from '../grid.js';
import { Body } from '../kernel/body.js';
import { add, address, convert, eq, i32, size, splat, u32, uint, vector } from '../kernel/expr.js';
import type { Expr } from '../kernel/types.js';
import { type BuiltKernel, type KernelWriter, product } from '../kernel.js';
import type { GeneratedVariant } from '../problem.js';
import { flattenStored, type Index, LANE, scale, sum, unflattenStored, variable, ZERO } from '../read/indexing.js';
import { type Reader, typeAt } from '../read/reader.js';
import { folded, foldLanes, type RowPlan, rowPlan, startOf } from './rows.js';
import { place, placeInputs, type ReduceSchedule, reduceCandidates, share, shared } from './schedules.js';

/** The extent of a variable that may be any number, multiples of the batch among them. */
const ANY = 2 ** 50;

export function reduceDomain(plan: RowPlan): { rows: number; length: number } {
  const shape = plan.input.type.shape;
  const length = sizeOf(plan.axes.map((a) => shape[a]!));
  return { rows: sizeOf(shape) / length, length };
}

export function reduceKernel(w: KernelWriter): BuiltKernel {
  const plan = rowPlan(w.group.anchor)!;
  const { shape } = plan.input.type;
  const problem = { length: reduceDomain(plan).length, inner: plan.axes.includes(shape.length - 1) };
  return w.built(
    { name: `${w.group.anchor.op}_${product(shape)}${w.suffix()}`, archetype: 'reduce' },
    reduceCandidates(problem, w.context.device).map((c) => reduceVariant(w, c)),
  );
}

/** The reduction that the writer's group is, by a schedule. */
export function reduceVariant(w: KernelWriter, { schedule: s, ...ranks }: Candidate<ReduceSchedule>): GeneratedVariant {
  const plan = rowPlan(w.group.anchor)!;
  const turns = w.turns(reduceDomain(plan).rows);
  const grid = inRow(parts(turns, s.rows), w.context.reach, 'tile');
  const subgroup = s.kind === 'subgroup';
  return {
    name: subgroup ? `subgroup${s.perRow}` : 'portable',
    requires: subgroup ? needsSubgroups(s.perRow) : {},
    ...ranks,
    workgroups: grid.workgroups,
    program: program(w, plan, s, grid, turns),
  };
}

function program(
  w: KernelWriter,
  plan: RowPlan,
  s: ReduceSchedule,
  grid: Row,
  turns: number,
): GeneratedVariant['program'] {
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
        store(r, buffer, flattenStored(coords, shape), plan.others![name]!(r, stats), real);
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

  const threads = s.rows * s.perRow;
  return {
    workgroup: [threads, 1, 1],
    ...(s.kind === 'subgroup' ? { subgroup: threads } : {}),
    inputs: [...placeInputs(s), ...grid.inputs],
    shared: shared(s, plan.passes),
    functions: [],
    main: b.stmts,
  };
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
