/**
 * From groups to dispatches: builds each group's kernel and, where it touches more of a tensor than a binding may hold, cuts it.
 *
 * 1. The kernel's outermost loop (rows, samples) is cut into parts, if each part then touches no more of any tensor than a binding holds.
 * 2. A kernel that reads a tensor across all of it for any part of its result (a transposition of the first axis, a sum over the batch,
 *    a large table) sees it through several bindings, and so does what writes one.
 * 3. Where those are more than a kernel may have, the loop is cut as well.
 */

import { diagnostic } from '../diagnostics/catalogue.js';
import { isBatch } from '../ir/batch.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { attentionKernel } from './attention/kernel.js';
import { contractDomain, contractKernel } from './contract/kernel.js';
import { type Group, holdsBatch } from './groups/group.js';
import { OneByOne, whereInside } from './groups/one-by-one.js';
import { BatchInside } from './kernel/inside.js';
import type { BoundWindow } from './kernel/types.js';
import { type BuiltKernel, type Chunk, type KernelContext, KernelWriter } from './kernel.js';
import { pointwiseDomain, pointwiseKernel } from './kernel-pointwise.js';
import { placeOf } from './place.js';
import { reduceDomain, reduceKernel } from './reduce/kernel.js';
import { rowPlan } from './reduce/rows.js';

/** The device limits that matter here, by their WebGPU names. */
export interface Limits {
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly minStorageBufferOffsetAlignment: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

/** What every WebGPU device has. */
export const BASELINE: Limits = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  minStorageBufferOffsetAlignment: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

export interface ScheduledDispatch {
  readonly kernel: BuiltKernel;
  readonly windows: readonly BoundWindow[];
  /** Fraction of the group's work. */
  readonly share: number;
}

/** A group and the dispatches that it takes. */
export interface Scheduled {
  readonly group: Group;
  readonly parts: readonly ScheduledDispatch[];
}

function dispatchOf(kernel: BuiltKernel, share: number): ScheduledDispatch {
  return { kernel, windows: kernel.windows, share };
}

/** No cut makes the group fit: a part of it, too, needs more bindings than a kernel may have. */
export class CannotCut extends Error {
  constructor(
    group: Group,
    /** What the kernel would bind if it were not cut. */
    readonly windows: readonly BoundWindow[],
  ) {
    super(`${group.anchor.op} needs ${windows.length} bindings`);
  }
}

function build(group: Group, context: KernelContext, chunk?: Chunk): BuiltKernel {
  const w = new KernelWriter(group, context, chunk);
  switch (group.kind) {
    case 'pointwise':
      return pointwiseKernel(w);
    case 'reduce':
      return reduceKernel(w);
    case 'contract':
      return contractKernel(w);
    case 'attention':
      return attentionKernel(w);
  }
}

/** The kernel of a whole group. @throws OneByOne where the batch does not come to lie outermost */
function outermost(group: Group, context: KernelContext): BuiltKernel {
  try {
    return build(group, context);
  } catch (error) {
    if (error instanceof BatchInside) throw new OneByOne(whereInside(group, error.inside));
    throw error;
  }
}

/** The outermost loop, and step sizes that may keep coordinates aligned, largest first. */
function domain(group: Group): { extent: number; units: readonly number[] } {
  switch (group.kind) {
    case 'pointwise': {
      const { extent, wide } = pointwiseDomain({ group });
      const shape = group.anchor.type.shape;
      const units = shape.map((_, i) => sizeOf(shape.slice(i + 1)) / (wide ? 4 : 1)).filter(Number.isInteger);
      return { extent, units: units.length > 0 ? units : [1] };
    }
    case 'reduce': {
      const plan = rowPlan(group.anchor)!;
      const kept = plan.input.type.shape.filter((_, i) => !plan.axes.includes(i));
      return { extent: reduceDomain(plan).rows, units: kept.map((_, i) => sizeOf(kept.slice(i + 1))) };
    }
    case 'contract':
      return contractDomain(group.anchor);
    case 'attention': {
      const [batch, heads] = group.anchor.type.shape as [number, number];
      return { extent: batch * heads, units: [heads, 1] };
    }
  }
}

/** More parts than this many times the fewest there could be are worse than several bindings for a tensor. */
const MOST_PARTS = 4;
/** And with that, no cut can help. */
const LAST_PARTS = 64;

/**
 * The dispatches of one group.
 * @throws CannotCut when even parts of it need more bindings than a kernel may have; OneByOne when its samples have to be cut, or lie inside.
 */
export function scheduleGroup(group: Group, context: KernelContext, limits: Limits): ScheduledDispatch[] {
  const whole = dispatchOf(outermost(group, context), 1);
  const bindings = whole.windows.length;
  const fewest = Math.max(0, ...tally(whole.windows));
  if (fewest <= 1 && bindings <= limits.maxStorageBuffersPerShaderStage) return [whole];
  if (holdsBatch(group)) {
    if (bindings <= limits.maxStorageBuffersPerShaderStage) return [whole];
    const args = { operator: group.anchor.op, bindings, limit: limits.maxStorageBuffersPerShaderStage };
    throw new OneByOne(diagnostic('ESP0608', { what: 'bindings', ...args }, placeOf(group.anchor)));
  }
  const { extent, units } = domain(group);
  const single = ({ windows }: ScheduledDispatch): boolean => tally(windows).every((n) => n === 1);
  const few = ({ windows }: ScheduledDispatch): boolean => windows.length <= limits.maxStorageBuffersPerShaderStage;
  const cut = (from: number, to: number, fits: (d: ScheduledDispatch) => boolean): ScheduledDispatch[] | undefined => {
    for (let parts = from; parts <= Math.min(extent, to); parts = Math.ceil(parts * 1.25)) {
      for (const step of steps(Math.ceil(extent / parts), units)) {
        const count = Math.ceil(extent / step);
        const made = count > 1 && count <= to ? chunks(group, context, extent, step, fits) : undefined;
        if (made) return made;
      }
    }
    return undefined;
  };
  const parts =
    cut(fewest, fewest * MOST_PARTS, (d) => single(d) && few(d)) ?? (few(whole) ? [whole] : cut(2, LAST_PARTS, few));
  if (!parts) throw new CannotCut(group, whole.windows);
  return parts;
}

/** How many windows each tensor has. */
function tally(windows: readonly BoundWindow[]): number[] {
  const counts = new Map<string, number>();
  for (const { buffer } of windows) counts.set(buffer, (counts.get(buffer) ?? 0) + 1);
  return [...counts.values()];
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * Steps from `least` on: multiples of a unit, which keep coordinates aligned, and of a unit and 64, so that parts of every tensor begin
 * where bindings can and all chunks share their text; at last `least` itself.
 */
function steps(least: number, units: readonly number[]): Set<number> {
  const up = (to: number): number => Math.ceil(least / to) * to;
  return new Set([...units.flatMap((unit) => [up((unit * 64) / gcd(unit, 64)), up(unit)]), least]);
}

/** The parts of a group in steps of `step`; undefined if one of them does not fit. */
function chunks(
  group: Group,
  context: KernelContext,
  extent: number,
  step: number,
  fits: (dispatch: ScheduledDispatch) => boolean,
): ScheduledDispatch[] | undefined {
  const made: ScheduledDispatch[] = [];
  for (let start = 0; start < extent; start += step) {
    const size = Math.min(step, extent - start);
    // Sizes are told by their numbers alone.
    if (isBatch(size)) return undefined;
    const dispatch = dispatchOf(build(group, context, { start, extent: size }), size / extent);
    if (!fits(dispatch)) return undefined;
    made.push(dispatch);
  }
  return made;
}
