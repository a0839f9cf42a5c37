/**
 * Row reductions. A row is shared by 64, 16 or 1 threads, by its length; they fold what they walked over in workgroup memory, or
 * through the subgroup where a variant for its size is legal.
 */
import { sizeOf } from '../ir/ops/shapes.js';
import { type Expr, typeName } from './emit.js';
import { finish } from './epilogue.js';
import { inRow, type Row } from './grid.js';
import { type Index, LANE, scale, sum, unflatten, variable, ZERO } from './indexing.js';
import { type BuiltKernel, type KernelWriter, product, suffix } from './kernel.js';
import type { GeneratedVariant } from './problem.js';
import type { Reader } from './reader.js';
import { folded, foldLanes, type Pass, type RowPlan, rowPlan, startOf } from './rows.js';

const THREADS = 64;
const SUBGROUPS = [4, 8, 16, 32, 64] as const;

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
  const make = (s: Sharing): { wgsl: string; workgroups: readonly [number, number, number] } => {
    const grid = inRow(Math.ceil(turns / s.rows), w.context.limits.maxComputeWorkgroupsPerDimension, 'tile');
    return { wgsl: w.twice(() => w.declare(source(w, plan, s, grid, turns), s.subgroup)), workgroups: grid.counts };
  };
  const variants: GeneratedVariant[] = [{ name: 'portable', requires: {}, rank: 0, ...make(portable) }];
  if (perRow > 1) {
    for (const size of SUBGROUPS) {
      if (size > 2 * steps) continue;
      variants.unshift({
        name: `subgroup${size}`,
        requires: { features: ['subgroups'], subgroupSize: size },
        rank: 10,
        ...make({ perRow: size, rows: 1, subgroup: true }),
      });
    }
  }
  const { anchor, path } = w.group;
  return {
    name: `${anchor.op}_${product(plan.input.type.shape)}${suffix(path)}`,
    archetype: 'reduce',
    bindings: w.bindings,
    values: w.values,
    variants,
  };
}

function source(w: KernelWriter, plan: RowPlan, s: Sharing, grid: Row, turns: number): string {
  const { rows, length } = reduceDomain(plan);
  const shape = plan.input.type.shape;
  const wide = length % 4 === 0;
  const steps = wide ? length / 4 : length;
  const kept = shape.map((_, i) => i).filter((i) => !plan.axes.includes(i));
  const row = w.domain('row', rows);
  const rowCoords = unflatten(
    row,
    kept.map((i) => shape[i]!),
  );
  const { anchor, path, result } = w.group;
  const target = { anchor, path, result, slot: w.outSlot() };
  const r = w.reader();
  const types = new Set(s.perRow > 1 && !s.subgroup ? plan.passes.map((p) => p.type) : []);

  /** Coordinates of the walker's element (or four). */
  const coordsAt = (step: Index): Index[] => {
    const e = wide ? sum(scale(step, 4), LANE) : step;
    const inner = unflatten(
      e,
      plan.axes.map((a) => shape[a]!),
    );
    return shape.map((_, i) => (plan.axes.includes(i) ? inner[plan.axes.indexOf(i)]! : rowCoords[kept.indexOf(i)]!));
  };
  const walk = (body: (step: Index) => void): void => {
    const n = r.e.fresh('n');
    const header =
      s.perRow === 1
        ? `var ${n} = 0u; ${n} < ${steps}u; ${n}++`
        : `var ${n} = part; ${n} < ${steps}u; ${n} += ${s.perRow}u`;
    r.e.block(`for (${header})`, () => body(variable(n, steps)));
  };

  const stats: Expr[] = [];
  for (const pass of plan.passes) {
    const acc: Expr = { code: r.e.fresh('acc'), type: pass.type, wide };
    const type = typeName(pass.type, wide);
    r.e.line(`var ${acc.code} = ${wide ? `${type}(${startOf(pass)})` : startOf(pass)};`);
    walk((step) => {
      const x = spread(r, r.read(plan.input, coordsAt(step)), wide);
      const e = pass.element(r, x, stats, position(r, step, wide));
      r.e.line(`${acc.code} = ${folded(pass, acc.code, spread(r, e, wide).code)};`);
    });
    stats.push(pass.finish(r, share(r, pass, foldLanes(r, pass, acc), s)));
  }
  const real = s.perRow > 1 && turns % s.rows !== 0 ? [{ index: variable('real', 1 << 30), below: turns }] : [];
  if (plan.element) {
    walk((step) => {
      const coords = coordsAt(step);
      const x = spread(r, r.read(plan.input, coords), wide);
      finish(r, w.bindings, target, plan.element!(r, x, stats, coords), coords, real);
    });
  } else {
    const coords =
      anchor.type.shape.length === kept.length ? rowCoords : keptCoords(anchor.type.shape, kept, rowCoords);
    const write = (): void => finish(r, w.bindings, target, stats.at(-1)!, coords, real);
    if (s.perRow > 1) r.e.block('if (part == 0u)', write);
    else write();
  }

  const memory = [...types].map((t) => `var<workgroup> shared_${t}: array<${t}, ${THREADS}>;\n`).join('');
  const head = s.subgroup
    ? `@compute @workgroup_size(${s.perRow})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) part: u32) {
  let real = ${grid.number};
  let row = min(real, ${turns - 1}u);`
    : `@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
${s.perRow === 1 ? ownRow(grid.number, turns) : sharedRow(grid.number, s, turns)}`;
  return `${memory}${memory ? '\n' : ''}${head}
${r.e.toString()}
}
`;
}

function ownRow(workgroup: string, turns: number): string {
  return `  let row = ${workgroup} * ${THREADS}u + thread;
  if (row >= ${turns}u) {
    return;
  }`;
}

/** Threads past the last row do the last one again, for barriers need them all, and store nothing. */
function sharedRow(workgroup: string, s: Sharing, turns: number): string {
  return `  let real = ${workgroup} * ${s.rows}u + thread / ${s.perRow}u;
  let row = min(real, ${turns - 1}u);
  let part = thread % ${s.perRow}u;`;
}

/** A collapsed axis that is kept has coordinate 0. */
function keptCoords(shape: readonly number[], kept: readonly number[], rowCoords: readonly Index[]): Index[] {
  return shape.map((_, i) => (kept.includes(i) ? rowCoords[kept.indexOf(i)]! : ZERO));
}

function spread(r: Reader, e: Expr, wide: boolean): Expr {
  return e.wide || !wide ? e : r.e.expr(e.type, true, `${typeName(e.type, true)}(${e.code})`);
}

/** Place in the row as i32, for argmax. */
function position(r: Reader, step: Index, wide: boolean): Expr {
  if (!wide) return { code: `i32(${r.e.index(step)})`, type: 'i32', wide: false };
  return { code: `(vec4i(i32(${r.e.index(scale(step, 4))})) + vec4i(0, 1, 2, 3))`, type: 'i32', wide: true };
}

/** One number from what each of the row's threads has. */
function share(r: Reader, pass: Pass, own: Expr, s: Sharing): Expr {
  if (s.perRow === 1) return own;
  if (s.subgroup) {
    const name = { sum: 'subgroupAdd', max: 'subgroupMax', min: 'subgroupMin' }[pass.fold];
    return r.e.expr(pass.type, false, `${name}(${own.code})`);
  }
  const memory = `shared_${pass.type}`;
  r.e.line(`${memory}[thread] = ${own.code};`);
  r.e.line('workgroupBarrier();');
  for (let half = s.perRow / 2; half >= 1; half /= 2) {
    r.e.block(`if (part < ${half}u)`, () =>
      r.e.line(`${memory}[thread] = ${folded(pass, `${memory}[thread]`, `${memory}[thread + ${half}u]`)};`),
    );
    r.e.line('workgroupBarrier();');
  }
  const total = r.e.expr(pass.type, false, `${memory}[thread - part]`);
  r.e.line('workgroupBarrier();');
  return total;
}
