/**
 * Products that are too large to simulate, made small: the same operators by the same schedule, over two tiles and a remainder along each axis.
 * A schedule is chosen for the large product and handed to the generator with the small one.
 */

import { placeOver } from '../../../src/codegen/buffers/in-place.js';
import { extent, TILE_K, tiles } from '../../../src/codegen/buffers/layout.js';
import { type PackedWeight, viewedParam, type WeightMatrix } from '../../../src/codegen/buffers/weight-matrix.js';
import { contractCandidates, contractVariant } from '../../../src/codegen/contract/contract.js';
import type { Group } from '../../../src/codegen/groups/group.js';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import type { BuiltVariant } from '../../../src/codegen/kernel.js';
import type { ContractProblem, GeneratedVariant } from '../../../src/codegen/problem.js';
import { BASELINE, scheduleGroup } from '../../../src/codegen/schedule.js';
import { BATCH, hasBatch, isBatch } from '../../../src/ir/batch.js';
import { input, make, withInputs } from '../../../src/ir/graph.js';
import { sameShape } from '../../../src/ir/ops/shapes.js';
import type { Value } from '../../../src/ir/types.js';
import { type GroupKernel, packedOf, rewriteGroup } from './group-kernels.js';

export interface Shrunk {
  readonly of: GroupKernel;
  readonly variant: BuiltVariant;
  /** Sizes of the large product, and of this one. */
  readonly from: Sizes;
  readonly to: Sizes;
  /** Rows and columns that a workgroup computes, and inputs of a packed tile. */
  readonly tile: Sizes;
}

export interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What one workgroup computes, and how the generator writes another problem by the same schedule. */
interface Tiled {
  readonly rows: number;
  readonly columns: number;
  readonly generate: (p: ContractProblem) => GeneratedVariant;
}

/** A variant's schedule for a problem. @throws Error where no candidate has its name: what is not shrunk must not pass for tested. */
function tiled(name: string, p: ContractProblem): Tiled {
  const candidate = contractCandidates(p).find(({ schedule: s }) =>
    s.kind === 'subgroup' ? name === `subgroup${s.size}` : name === (s.kind === 'tile' ? 'tile' : 'portable'),
  );
  if (!candidate) throw new Error(`no way to shrink the variant ${name}`);
  const s = candidate.schedule;
  const [across, down] = s.kind === 'subgroup' ? [s.size, 1] : s.threads;
  const generate = (q: ContractProblem): GeneratedVariant => contractVariant(q, candidate);
  return { rows: s.rows * down, columns: 4 * s.vectors * across, generate };
}

/** Two tiles and about half of one; no more than there was. What four divide, four divide still, for the widths of accesses to be the same. */
function sizeFor(size: number, tile: number): number {
  const unit = size % 4 === 0 ? 4 : 1;
  return Math.min(size, 2 * tile + Math.ceil(tile / 2 / unit) * unit);
}

/**
 * New factors for a size that is reshaped to them, such that it lies between two and three tiles; the first ones as they were for as long as that goes.
 * The last lies along memory: what four divide, four divide still.
 */
function factorsFor([first, ...rest]: readonly number[], tile: number): number[] | undefined {
  const unit = rest.length === 0 && first! % 4 === 0 ? 4 : 1;
  for (let f = first!; f > 1; f -= unit) {
    if (rest.length === 0 && f > 2 * tile && f < 3 * tile) return [f];
    const others = rest.length > 0 ? factorsFor(rest, tile / f) : undefined;
    if (others) return [f, ...others];
  }
  return undefined;
}

/** The factors that a group reshapes its product's columns to. */
function columnsOf({ path }: Group, n: number): readonly number[] {
  for (const v of path) {
    if (v.op !== 'reshape') continue;
    const { shape } = v.attrs;
    const before = v.inputs[0]!.type.shape;
    if (before.at(-1) !== n || shape.at(-1) === n) continue;
    for (let i = shape.length - 1; i >= 0; i--) {
      if (shape.slice(i).reduce((a, b) => a * b, 1) === n) return shape.slice(i).filter((d) => d > 1);
    }
  }
  return [];
}

/** One size that is replaced wherever it stands. @throws Error where two that differ would be replaced by one, or one by two. */
class Renaming {
  private readonly sizes = new Map<number, number>();

  set(from: number, to: number): void {
    const known = this.sizes.get(from);
    if (known !== undefined && known !== to) throw new Error(`the size ${from} stands for two axes`);
    this.sizes.set(from, to);
  }

  shape = (shape: readonly number[]): number[] => shape.map((d) => this.sizes.get(d) ?? d);

  /** The same operator over other sizes. @throws Error for one whose attributes speak of sizes in other ways than a shape. */
  value = (v: Value, inputs: readonly Value[]): Value => {
    const shape = this.shape(v.type.shape);
    const made = this.made(v, inputs);
    if (!sameShape(made.type.shape, shape)) throw new Error(`${v.op} gives [${made.type.shape}], not [${shape}]`);
    return made;
  };

  private made(v: Value, inputs: readonly Value[]): Value {
    switch (v.op) {
      case 'reshape':
      case 'broadcast':
        return make(v.op, inputs, { shape: this.shape(v.attrs.shape) }, v.about);
      case 'linear':
      case 'transpose':
        return withInputs(v, inputs);
      default:
        if (Object.values(v.attrs).some((a) => typeof a === 'object')) throw new Error(`no way to shrink ${v.op}`);
        return withInputs(v, inputs);
    }
  }
}

/** @throws Error for a group of another kind, and for sizes that cannot be told apart: what is not shrunk must not pass for tested. */
export function shrunk({ group, context, kernel, over }: GroupKernel, name: string): Shrunk {
  const { anchor } = group;
  if (anchor.op !== 'linear' || !packedOf(kernel)) throw new Error(`no way to shrink ${anchor.op}`);
  const [x, weight] = anchor.inputs;
  const [n, k] = weight!.type.shape as [number, number];
  const lead = x!.type.shape.slice(0, -1).filter((d) => d > 1 && !isBatch(d));
  if (lead.length > 1) throw new Error(`no way to shrink rows of [${lead.join(', ')}]`);
  const from: Sizes = { m: lead[0] ?? 1, n, k };
  const problem = ({ n, k, m }: Sizes): Omit<ContractProblem, 'functions'> => {
    const layout = tiles([n, k], 0);
    const readable = { k: extent(layout, 1), n: extent(layout, 0) };
    return { batch: 1, m, n, k, a: 'sum', b: 'result', readable, reach: context.reach };
  };
  const schedule = tiled(name, { ...problem(from), functions: [] });

  const factors = columnsOf(group, n);
  const found = factors.length > 0 ? factorsFor(factors, schedule.columns) : undefined;
  // Where that leaves no room, as for the widest of tiles, the axis stays as long as it was.
  const newN = factors.length === 0 ? sizeFor(n, schedule.columns) : (found?.reduce((a, b) => a * b, 1) ?? n);
  const to: Sizes = { m: sizeFor(from.m, schedule.rows), n: newN, k: sizeFor(k, TILE_K) };
  const renaming = new Renaming();
  factors.forEach((f, i) => {
    renaming.set(f, found?.[i] ?? f);
  });
  for (const axis of ['m', 'n', 'k'] as const) renaming.set(from[axis], to[axis]);

  const originals = new Map<Value, Value>();
  const note = (image: Value, v: Value): Value => {
    originals.set(image, v);
    return image;
  };
  const leaf = (v: Value): Value => {
    const type = { ...v.type, shape: renaming.shape(v.type.shape) };
    return note(v.op === 'param' ? { ...v, type } : input(`${v.op} ${v.id}`, type), v);
  };
  const image = rewriteGroup(group, leaf, (v, inputs) => note(renaming.value(v, inputs), v));
  const small: Group = {
    ...group,
    anchor: image(anchor),
    path: group.path.map(image),
    result: image(group.result),
    stores: group.stores.map(image),
    reads: group.reads.map(image),
  };
  const packed = (matrix: WeightMatrix): PackedWeight => ({
    param: viewedParam(matrix.view)!,
    view: matrix.view,
    layout: tiles(matrix.shape, 0),
    storage: packedOf(kernel)!.storage,
  });
  const own = { ...context, packed, place: (v: Value) => context.place(originals.get(v) ?? v) };
  // In place where the large one is.
  const pairs = [...over].filter(([v]) => group.stores.includes(v));
  const places = new Set(pairs.flat());
  const parts = scheduleGroup(small, own, BASELINE);
  const list = [{ group: small, parts }];
  const placed = placeOver(list, (v) => (places.has(originals.get(v)!) ? 'arena' : 'output'), BASELINE);
  if (placed.over.size !== pairs.length) throw new Error(`${kernel.name} is not written in place when it is small`);
  const built = placed.scheduled[0]!.parts[0]!.kernel;
  const functions = built.variants[0]!.program.functions.filter((f) => f.name !== 'weight4');
  const variant = schedule.generate({
    ...problem({ ...to, m: hasBatch(x!.type.shape) ? to.m * BATCH : to.m }),
    functions,
  });
  const forBatch = hasBatch(x!.type.shape) ? { forBatch: true as const } : {};
  const program = { ...variant.program, ...forBatch, buffers: built.buffers };
  const lowered = explicitAddresses([program], BASELINE)[0]!;
  return {
    of: { group: small, context: own, kernel: { ...built, windows: lowered.windows }, over: placed.over },
    variant: { ...variant, program, lowered },
    from,
    to,
    tile: { m: schedule.rows, n: schedule.columns, k: TILE_K },
  };
}
