/**
 * Several results from one kernel: a pointwise group joins the group that makes what it reads, which then computes it element by element beside
 * its own result and stores it too. `h = linear(x)` and `gelu(h)`, both read by others, are one kernel, and so are the new moments and the new
 * parameter of an optimiser. Nothing is computed twice, a launch and a reading of the joined value are saved, and a value that nobody else reads
 * is no longer stored. It is not done where it could cost:
 *
 * 1. Every reading of the other group's values has to be of the element that is being computed, through pointwise operators of one shape.
 * 2. The kernel binds no more buffers than the limit.
 * 3. What joins is stored when the other group runs. So no kernel runs between the two, or that takes no memory for longer: what joins is a result
 *    of the function, which has a buffer of its own, or comes in place of what it was computed from. The other group runs no later than it did.
 * 4. What is computed stands at most `MOST_DEEP` operators above what is read, as in every kernel (fuse.ts).
 */
import { isDeclared, OPS } from '../../ir/ops/index.js';
import { sameShape } from '../../ir/ops/shapes.js';
import type { Value } from '../../ir/types.js';
import { isLoop } from '../read/loops.js';
import { buffersOf, type Group, MOST_DEEP, valuesOf } from './group.js';

export interface JoinOptions {
  readonly maxBuffers: number;
  /** Whether it is a result of the function. */
  readonly isResult: (v: Value) => boolean;
  /** Values that have to be stored by a kernel of their own. */
  readonly apart: (v: Value) => boolean;
}

/** @param groups each after those that it reads, as they are in what this gives */
export function join(groups: readonly Group[], options: JoinOptions): Group[] {
  return new Joining(groups, options).groups();
}

interface Node {
  readonly group: Group;
  /** Its place in the order in which groups run: no two are the same. */
  readonly at: number;
}

class Joining {
  private readonly nodes = new Set<Node>();
  private readonly makers = new Map<Value, Node>();
  private readonly readers = new Map<Value, Set<Node>>();

  constructor(
    groups: readonly Group[],
    private readonly options: JoinOptions,
  ) {
    groups.forEach((group, at) => {
      this.enter({ group, at });
    });
  }

  private enter(node: Node): void {
    this.nodes.add(node);
    for (const v of node.group.stores) if (!isDeclared(v)) this.makers.set(v, node);
    for (const v of node.group.reads) this.readers.set(v, (this.readers.get(v) ?? new Set()).add(node));
  }

  private leave(node: Node): void {
    this.nodes.delete(node);
    for (const v of node.group.reads) this.readers.get(v)!.delete(node);
  }

  groups(): Group[] {
    for (const node of [...this.nodes]) {
      for (let last: Node | undefined = node; last && this.mayMove(last.group); ) last = this.joinOne(last);
    }
    return [...this.nodes].sort((a, b) => a.at - b.at).map((n) => n.group);
  }

  /** Whether a group is nothing but arithmetic on elements, so that any kernel of its shape can do it. */
  private mayMove({ kind, anchor, path, stores }: Group): boolean {
    return (
      kind === 'pointwise' &&
      path.length === 0 &&
      !isDeclared(anchor) &&
      !isLoop(anchor) &&
      !stores.some((v) => this.options.apart(v))
    );
  }

  /** Joins the group to one that it reads, to the last of them if possible; undefined if to none. */
  private joinOne(node: Node): Node | undefined {
    const aligned = alignedReads(node.group);
    const makers = new Set([...aligned].flatMap((v) => this.makers.get(v) ?? []));
    for (const to of [...makers].sort((a, b) => b.at - a.at)) {
      const joined = this.joined(to, node, aligned);
      if (!joined) continue;
      this.leave(to);
      this.leave(node);
      this.enter(joined);
      return joined;
    }
    return undefined;
  }

  private joined(to: Node, node: Node, aligned: ReadonlySet<Value>): Node | undefined {
    const mine = new Set(to.group.stores);
    // Elements of a value beside the result are at other places of the kernel's loops.
    const misses = node.group.reads.some((v) => mine.has(v) && (!aligned.has(v) || v.op === 'aux'));
    if (misses || [...mine].some((v) => this.options.apart(v))) return undefined;
    const others = node.group.reads.flatMap((v) => this.makers.get(v) ?? []).filter((n) => n !== to);
    if (others.some((n) => n.at > to.at)) return undefined;
    const read = (v: Value): boolean =>
      this.options.isResult(v) || v.op === 'aux' || [...(this.readers.get(v) ?? [])].some((n) => n !== node);
    const stores = [...to.group.stores.filter(read), ...node.group.stores];
    const more = node.group.stores.filter((v) => !this.options.isResult(v)).length;
    const fewer = mine.size + node.group.stores.length - stores.length;
    if (more > fewer && [...this.nodes].some((n) => n.at > to.at && n.at < node.at)) return undefined;
    const reads = [...new Set([...to.group.reads, ...node.group.reads])].filter((v) => !mine.has(v));
    if (buffersOf({ reads, stores }) > this.options.maxBuffers) return undefined;
    const group: Group = { ...to.group, stores, reads };
    return depthOf(group) <= MOST_DEEP ? { group, at: to.at } : undefined;
  }
}

/** Operators on the longest way from what a group stores to what it reads. */
function depthOf({ stores, reads }: Group): number {
  const bound = new Set(reads);
  const depth = new Map<Value, number>();
  for (const v of valuesOf({ stores, reads })) {
    depth.set(v, bound.has(v) ? 0 : 1 + Math.max(0, ...v.inputs.map((x) => depth.get(x)!)));
  }
  return Math.max(...stores.map((v) => depth.get(v)!));
}

/** What a group of arithmetic reads only at the element that it computes. */
function alignedReads({ stores, reads }: Group): ReadonlySet<Value> {
  const bound = new Set(reads);
  const values = valuesOf({ stores, reads });
  const aligned = new Set(values);
  // From what is stored to what is read.
  for (const v of values.reverse()) {
    if (bound.has(v)) continue;
    const same = OPS[v.op].traits.pointwise || v.op === 'reshape';
    for (const x of v.inputs) {
      if (!aligned.has(v) || !same || !sameShape(x.type.shape, v.type.shape)) aligned.delete(x);
    }
  }
  return new Set(reads.filter((v) => aligned.has(v)));
}
