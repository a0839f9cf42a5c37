/** Where everything lies that kernels write and others read: slabs for what holds samples, apart from those for the rest. */
import type { Slab } from '../../../runtime/program/program.js';
import { hasBatch, shapeAt } from '../../ir/batch.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { Value } from '../../ir/types.js';
import { type MemoryPlan, planMemory, type Tenant } from '../../passes/memory.js';
import { ELEMENT_BYTES } from '../kernel/uses.js';
import type { Place } from '../kernel.js';
import { labelOf } from '../place.js';
import type { Limits } from '../schedule.js';
import type { InPlace } from './in-place.js';
import { padded } from './weights.js';

export interface MemoryPlans {
  readonly samples: MemoryPlan;
  readonly fixed: MemoryPlan;
}

/** Where a tensor lies: of one that holds samples, for one of them. */
export interface SlabPlace {
  readonly slab: number;
  readonly offset: number;
}

/** Bytes of a tensor; of one sample, where it holds samples. */
export const sampleBytes = ({ type }: Pick<Value, 'type'>): number => sizeOf(shapeAt(type.shape, 1)) * ELEMENT_BYTES;

export const slabsOf = ({ samples, fixed }: MemoryPlans): Slab[] => [
  ...samples.slabs.map((bytes) => ({ bytes, samples: true })),
  ...fixed.slabs.map((bytes) => ({ bytes, samples: false })),
];

/**
 * @param options.samples the most of a pass
 * @throws TensorTooLarge
 */
export function planArena(
  { scheduled, over }: InPlace,
  options: { readonly place: (v: Value) => Place; readonly samples: number; readonly limits: Limits },
): { readonly places: ReadonlyMap<Value, SlabPlace>; readonly plans: MemoryPlans } {
  const { place, samples } = options;
  // Lives are counted in dispatches.
  const last = new Map<Value, number>();
  let end = 0;
  for (const { group, parts } of scheduled) {
    end += parts.length;
    for (const v of [...group.stores, ...group.reads]) last.set(v, end - 1);
  }
  const held = { samples: new Map<Value, Tenant>(), fixed: new Map<Value, Tenant>() };
  let first = 0;
  for (const { group: g, parts } of scheduled) {
    for (const v of g.stores) {
      if (place(v) !== 'arena') continue;
      const tenants = held[hasBatch(v.type.shape) ? 'samples' : 'fixed'];
      const before = over.get(v);
      tenants.set(v, {
        name: `${labelOf([g.anchor, ...g.path])} (${v.op})`,
        shape: shapeAt(v.type.shape, 1),
        bytes: padded(sampleBytes(v)),
        first,
        last: last.get(v)!,
        ...(before ? { over: tenants.get(before)! } : {}),
      });
    }
    first += parts.length;
  }
  const { maxBufferSize, minStorageBufferOffsetAlignment: alignment } = options.limits;
  const plan = (tenants: ReadonlyMap<Value, Tenant>, maxSlab: number): MemoryPlan =>
    planMemory([...tenants.values()], { maxSlab, alignment });
  const plans = { samples: plan(held.samples, maxBufferSize / samples), fixed: plan(held.fixed, maxBufferSize) };
  const places = new Map<Value, SlabPlace>();
  const enter = (tenants: ReadonlyMap<Value, Tenant>, { tenants: placed }: MemoryPlan, before: number): void => {
    [...tenants.keys()].forEach((v, i) => {
      places.set(v, { slab: before + placed[i]!.slab, offset: placed[i]!.offset });
    });
  };
  enter(held.samples, plans.samples, 0);
  enter(held.fixed, plans.fixed, plans.samples.slabs.length);
  return { places, plans };
}
