/**
 * From groups to dispatches: builds each group's kernel and, where a device's limits forbid one dispatch (a tensor larger than a
 * binding may be, or too many workgroups), cuts the kernel's outermost loop into chunks. A chunk sees its part of every large
 * tensor through a binding that starts later; the kernel's text does not know which chunk it is.
 */

import { sizeOf } from '../ir/ops/shapes.js';
import type { Slot } from './bindings.js';
import { NotSeparable } from './emit.js';
import type { Group } from './fuse.js';
import { type BuiltKernel, type Chunk, type KernelContext, KernelWriter } from './kernel.js';
import { attentionKernel } from './kernel-attention.js';
import { contractDomain, contractKernel } from './kernel-contract.js';
import { pointwiseDomain, pointwiseKernel } from './kernel-pointwise.js';
import { reduceDomain, reduceKernel } from './kernel-reduce.js';
import { rowPlan } from './rows.js';

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

/** The part of a slot's tensor that a dispatch binds, in elements. */
export interface Range {
  readonly key: string;
  readonly slot: Slot;
  readonly first: number;
  readonly count: number;
}

export interface ScheduledDispatch {
  readonly kernel: BuiltKernel;
  readonly ranges: readonly Range[];
  /** Fraction of the group's work. */
  readonly share: number;
}

/** No cut makes the group fit: what one dispatch would bind is too large or, where that is not, it has too many workgroups. */
export class CannotCut extends Error {
  constructor(
    readonly group: Group,
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(`${group.anchor.op} needs a binding of ${bytes} bytes, ${limit} are allowed`);
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

function rangesOf(kernel: BuiltKernel, chunk: number): Range[] {
  return kernel.bindings.entries().map(([key, slot]) => ({ key, slot, ...kernel.bindings.range(slot, chunk) }));
}

function largest(ranges: readonly Range[]): number {
  return Math.max(...ranges.map((r) => r.count * 4));
}

function fits(kernel: BuiltKernel, ranges: readonly Range[], limits: Limits): boolean {
  if (largest(ranges) > limits.maxStorageBufferBindingSize) return false;
  return kernel.variants.every((v) => v.workgroups.every((n) => n <= limits.maxComputeWorkgroupsPerDimension));
}

/** A built kernel bound whole: tensors that one dispatch reads only in part are bound in full. */
function wholeRanges(kernel: BuiltKernel): Range[] {
  return kernel.bindings.entries().map(([key, slot]) => ({ key, slot, first: 0, count: slot.count }));
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * The dispatches of one group.
 * @throws CannotCut when a tensor cannot be bound in parts.
 */
export function scheduleGroup(group: Group, context: KernelContext, limits: Limits): ScheduledDispatch[] {
  const kernel = build(group, context);
  const ranges = wholeRanges(kernel);
  if (fits(kernel, ranges, limits)) return [{ kernel, ranges, share: 1 }];
  const { extent, units } = domain(group);
  for (let parts = 2; parts <= extent; parts = Math.ceil(parts * 1.25)) {
    for (const unit of units) {
      for (const step of steps(Math.ceil(extent / parts), unit)) {
        if (step >= extent) continue;
        const cut = tryChunks(group, context, limits, extent, step);
        if (cut) return cut;
      }
    }
  }
  throw new CannotCut(group, largest(ranges), limits.maxStorageBufferBindingSize);
}

/** Multiples of `unit` from `least` on; the second also moves every binding by a multiple of 64 elements. */
function steps(least: number, unit: number): number[] {
  const up = (to: number): number => Math.ceil(least / to) * to;
  return [up(unit), up((unit * 64) / gcd(unit, 64))];
}

function tryChunks(
  group: Group,
  context: KernelContext,
  limits: Limits,
  extent: number,
  step: number,
): ScheduledDispatch[] | undefined {
  const count = Math.ceil(extent / step);
  const tail = extent - step * (count - 1);
  try {
    const kernel = build(group, context, { extent: step, step, count });
    const aligned = kernel.bindings
      .entries()
      .every(([, slot]) => (kernel.bindings.stride(slot) * 4) % limits.minStorageBufferOffsetAlignment === 0);
    if (!aligned || !fits(kernel, rangesOf(kernel, 0), limits)) return undefined;
    const last = tail === step ? kernel : build(group, context, { extent: tail, step, count });
    return Array.from({ length: count }, (_, c) => {
      const k = c === count - 1 ? last : kernel;
      return { kernel: k, ranges: rangesOf(k, c), share: (c === count - 1 ? tail : step) / extent };
    });
  } catch (error) {
    if (error instanceof NotSeparable) return undefined;
    throw error;
  }
}
