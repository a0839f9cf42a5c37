/**
 * Plans the arena: every intermediate tensor gets a place in a slab for the time between the dispatch that first writes to
 * it and the last that reads it. Tensors that live at the same time never overlap; what a dispatch reads and writes lives while it runs. Only what
 * is written over another tensor, in place, has that one's memory.
 */

export interface Tenant {
  /** For people: the path of the module and the operator that made it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** First and last dispatch (by position) that touches it. */
  readonly first: number;
  readonly last: number;
  /** The tenant, one before this in the list, of as many bytes, whose memory it takes over when that is last read. */
  readonly over?: Tenant;
}

export interface Placed extends Tenant {
  readonly slab: number;
  readonly offset: number;
}

export interface MemoryPlan {
  readonly tenants: readonly Placed[];
  readonly slabs: readonly number[];
  /** The most bytes that are alive at one time: what no plan can go below. */
  readonly live: number;
}

/** A single tensor is larger than a buffer may be. */
export class TensorTooLarge extends Error {
  constructor(
    readonly tenant: Tenant,
    readonly limit: number,
  ) {
    super(`${tenant.name} takes ${tenant.bytes} bytes, a buffer holds ${limit}`);
  }
}

const align = (n: number, to: number): number => Math.ceil(n / to) * to;

/**
 * Largest first, each at the lowest offset of the first slab where it fits among those that live at the same time.
 * @throws TensorTooLarge
 */
export function planMemory(
  tenants: readonly Tenant[],
  options: { readonly maxSlab: number; readonly alignment: number },
): MemoryPlan {
  const stays = staysOf(tenants);
  const order = [...new Set(stays.values())].sort((a, b) => b.bytes - a.bytes);
  const places = new Map<Tenant, Placed>();
  const slabs: { bytes: number; held: Placed[] }[] = [];
  for (const t of order) {
    const bytes = align(t.bytes, options.alignment);
    if (bytes > options.maxSlab) throw new TensorTooLarge(t, options.maxSlab);
    let slab = 0;
    let offset = 0;
    for (; ; slab++) {
      slabs[slab] ??= { bytes: 0, held: [] };
      offset = lowest(
        slabs[slab]!.held.filter((p) => p.first <= t.last && t.first <= p.last),
        bytes,
        options.alignment,
      );
      if (offset + bytes <= options.maxSlab) break;
    }
    const p: Placed = { ...t, slab, offset };
    places.set(t, p);
    slabs[slab]!.held.push(p);
    slabs[slab]!.bytes = Math.max(slabs[slab]!.bytes, offset + bytes);
  }
  const placed = tenants.map((t): Placed => {
    const { slab, offset } = places.get(stays.get(t)!)!;
    return { ...t, slab, offset };
  });
  return { tenants: placed, slabs: slabs.map((s) => s.bytes), live: mostAlive(order) };
}

/** Each tenant's stay in memory: its own, or that of all that lie in one place after one another. */
function staysOf(tenants: readonly Tenant[]): ReadonlyMap<Tenant, Tenant> {
  const roots = new Map<Tenant, Tenant>();
  const ends = new Map<Tenant, number>();
  for (const t of tenants) {
    const root = t.over ? roots.get(t.over)! : t;
    roots.set(t, root);
    ends.set(root, Math.max(ends.get(root) ?? 0, t.last));
  }
  const stays = new Map([...ends].map(([root, last]) => [root, { ...root, last }]));
  return new Map([...roots].map(([t, root]) => [t, stays.get(root)!]));
}

/** The lowest offset with room between the given neighbours. */
function lowest(held: readonly Placed[], bytes: number, alignment: number): number {
  let offset = 0;
  for (const p of [...held].sort((a, b) => a.offset - b.offset)) {
    if (p.offset - offset >= bytes) break;
    offset = Math.max(offset, align(p.offset + p.bytes, alignment));
  }
  return offset;
}

function mostAlive(tenants: readonly Tenant[]): number {
  const change = new Map<number, number>();
  for (const t of tenants) {
    change.set(t.first, (change.get(t.first) ?? 0) + t.bytes);
    change.set(t.last + 1, (change.get(t.last + 1) ?? 0) - t.bytes);
  }
  let now = 0;
  let most = 0;
  for (const [, by] of [...change].sort((a, b) => a[0] - b[0])) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}
