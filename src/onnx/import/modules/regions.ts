/**
 * Which modules have a forward of their own. What a module computes can be one call where nothing outside of it lies between two of its parts; otherwise (a module
 * that is called twice, or a part that the parent computes) its computations stand in the parent's forward, and it only holds what is below it.
 */
import { readsOf } from '../raise/net.js';
import { type Item, isList, key, type Module, moduleAt, type Path, startsWith, type Tree } from './tree.js';

/** A forward: computations, and calls of the modules below, in an order in which they can run. */
export interface Region {
  readonly module: Module;
  readonly units: readonly Unit[];
  /** Values that come from outside, and those that are used there. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export type Unit = { readonly item: Item } | { readonly region: Region };

/** @param outputs of the whole graph */
export function regionsOf(tree: Tree, outputs: readonly string[]): Region {
  return new Regions(tree, outputs).region(tree.root);
}

class Regions {
  /** Modules whose computations stand in their parents. */
  private readonly dissolved = new Set<string>();
  /** By value: the place of what makes it, and of those that read it. */
  private readonly madeAt = new Map<string, number>();
  private readonly readers = new Map<string, number[]>();

  constructor(
    private readonly tree: Tree,
    private readonly outputs: readonly string[],
  ) {
    const { items } = tree;
    items.forEach(({ maker }, i) => {
      this.madeAt.set(maker.output, i);
      for (const v of readsOf(maker)) this.readers.set(v, [...(this.readers.get(v) ?? []), i]);
    });
    const members = new Map<string, { path: Path; items: number[] }>();
    items.forEach(({ path }, i) => {
      path.forEach((_, depth) => {
        const head = path.slice(0, depth + 1);
        const found = members.get(key(head)) ?? { path: head, items: [] };
        found.items.push(i);
        members.set(key(head), found);
      });
    });
    for (const [name, m] of members) {
      if (isList(moduleAt(tree.root, m.path)) || !this.isConvex(m.items)) this.dissolved.add(name);
    }
  }

  /** Whether no way leads out of these computations and back into them. */
  private isConvex(members: readonly number[]): boolean {
    const own = new Set(members);
    const { items } = this.tree;
    /** Made by them, or by others from what they made. */
    const inside = new Set<string>();
    const left = new Set<string>();
    for (let i = members[0]!; i <= members.at(-1)!; i++) {
      const { maker } = items[i]!;
      const reads = readsOf(maker);
      if (own.has(i)) {
        if (reads.some((v) => left.has(v))) return false;
        inside.add(maker.output);
      } else if (reads.some((v) => inside.has(v) || left.has(v))) left.add(maker.output);
    }
    return true;
  }

  /** The module in whose forward something of this path stands. */
  private home(path: Path): string {
    let at = path;
    while (at.length > 0 && this.dissolved.has(key(at))) at = at.slice(0, -1);
    return key(at);
  }

  region(module: Module): Region {
    for (;;) {
      const parts = this.parts(module);
      const order = this.scheduled(parts);
      if (!('stuck' in order)) return { module, units: order.units, ...this.ends(module) };
      // Two modules each of which needs something of the other: one of them is no call.
      this.dissolved.add(order.stuck);
    }
  }

  /** What a module's forward consists of: its own computations, and each module below it with all of its own. */
  private parts(module: Module): Map<string, number[]> {
    const own = key(module.path);
    const parts = new Map<string, number[]>();
    this.tree.items.forEach((item, i) => {
      if (!startsWith(item.path, module.path)) return;
      let part = '';
      for (let depth = module.path.length + 1; depth <= item.path.length && part === ''; depth++) {
        const name = key(item.path.slice(0, depth));
        if (!this.dissolved.has(name)) part = name;
      }
      const name = part === '' ? `#${i}` : part;
      if (part === '' && this.home(item.path) !== own) return;
      parts.set(name, [...(parts.get(name) ?? []), i]);
    });
    return parts;
  }

  private scheduled(parts: ReadonlyMap<string, readonly number[]>): { units: Unit[] } | { stuck: string } {
    const partOf = new Map([...parts].flatMap(([name, items]) => items.map((i) => [i, name] as const)));
    const waits = new Map<string, Set<string>>();
    for (const [name, items] of parts) {
      const needs = new Set<string>();
      for (const i of items) {
        for (const v of readsOf(this.tree.items[i]!.maker)) {
          const from = partOf.get(this.madeAt.get(v) ?? -1);
          if (from !== undefined && from !== name) needs.add(from);
        }
      }
      waits.set(name, needs);
    }
    const units: Unit[] = [];
    while (waits.size > 0) {
      const next = [...waits].find(([, needs]) => [...needs].every((n) => !waits.has(n)));
      if (!next) return { stuck: [...waits.keys()].find((n) => !n.startsWith('#'))! };
      const [name] = next;
      waits.delete(name);
      const items = parts.get(name)!;
      units.push(
        name.startsWith('#')
          ? { item: this.tree.items[items[0]!]! }
          : { region: this.region(moduleAt(this.tree.root, name.split('.'))) },
      );
    }
    return { units };
  }

  private ends(module: Module): Pick<Region, 'inputs' | 'outputs'> {
    const isOwn = (i: number): boolean => startsWith(this.tree.items[i]!.path, module.path);
    const members = this.tree.items.flatMap((item, i) => (isOwn(i) ? [item] : []));
    const made = new Set(members.map((m) => m.maker.output));
    const inputs = new Set<string>();
    for (const { maker } of members) {
      for (const v of readsOf(maker)) {
        if (made.has(v)) continue;
        const weight = this.tree.weights.get(v);
        if (!weight || !startsWith(weight.path, module.path)) inputs.add(v);
      }
    }
    const outputs = [...made].filter((v) => {
      if (this.outputs.includes(v)) return true;
      return (this.readers.get(v) ?? []).some((i) => !isOwn(i));
    });
    return { inputs: [...inputs], outputs };
  }
}
