/**
 * Fusion: which values share a kernel, and which values lie in memory.
 *
 * A group has an anchor (the value that decides the kernel's loops), a path (what is done to the anchor's result before it is stored:
 * bias, activation, residual, a change of layout) and everything that the kernel computes in place when it reads an operand. The rules:
 *
 * 1. Matrix products, attention and row reductions are anchors.
 * 2. A path grows while all readers of its last value meet again in one pointwise value of the same shape, or its only reader moves every
 *    element to one place. It ends at a result of the function. Other results of the anchor (attention's log-sum-exp) are written by its kernel.
 * 3. Other values are computed where they are read, if that repeats no work worth a buffer: layout always; arithmetic if one kernel
 *    reads it and does not read it over and over (as a matrix product reads its operand for every column tile), or if it is no more
 *    than `CHEAP` operations. What is left becomes a pointwise group of its own.
 * 4. A kernel that would need more bindings than the limit is cut: first at a value that it computes in place, then at its path, then at
 *    a change of layout of an operand.
 * 5. A value that is computed where it is read stands at most `MOST_DEEP` operators below what the kernel stores.
 * 6. A pointwise group joins the kernel whose result it reads, and is stored beside it, where that saves a launch and a reading and costs
 *    nothing: see join.ts.
 */

import { postorder } from '../../ir/graph.js';
import { isDeclared, isView, OPS, traitsOf } from '../../ir/ops/index.js';
import { sameShape } from '../../ir/ops/shapes.js';
import { Summary } from '../../ir/summary.js';
import type { Func, Value } from '../../ir/types.js';
import { movesForward } from '../epilogue.js';
import { anchorKind, readsOnce, workOf } from '../read/rules.js';
import { bufferOf, buffersOf, type Group, type GroupKind, inOrder, joinedIn, MOST_DEEP } from './group.js';
import { join } from './join.js';

/** Arithmetic operations that may be repeated for the sake of one buffer less. */
const CHEAP = 2;

export interface FuseOptions {
  /** Storage buffers that one kernel may bind. */
  readonly maxBuffers: number;
  /** Whether a kernel of that many buffers keeps to it, where a large tensor may need several bindings (default: it does). */
  readonly fits?: (group: Group) => boolean;
  /** Results with kernels of their own, which do no more than move the elements of another value that is stored as well. */
  readonly alone?: ReadonlySet<Value>;
}

/**
 * The groups of a function, in an order in which they can run.
 * @throws BufferLimit when one operator alone needs more bindings than the limit.
 */
export function fuse(func: Func, options: FuseOptions): Group[] {
  const apart = new Set<Value>(options.alone);
  const forced = new Set<Value>([...apart].map(moved).filter((v) => !isDeclared(v)));
  const stops = new Set<Value>();
  const summary = Summary.of(func);
  const position = new Map(summary.order.map((v, i) => [v, i]));
  for (;;) {
    const fusion = new Fusion(summary, position, forced, stops);
    const groups = join(fusion.groups(), {
      maxBuffers: options.maxBuffers,
      isResult: (v) => summary.isRoot(v),
      apart: (v) => apart.has(v) || forced.has(v),
    });
    const large = groups.filter((g) => buffersOf(g) > options.maxBuffers || options.fits?.(g) === false);
    if (large.length === 0) return groups;
    for (const g of large) {
      const many = buffersOf(g) > options.maxBuffers;
      // With few buffers that need several bindings each, any fewer are a step.
      const limit = many ? options.maxBuffers : buffersOf(g) - 1;
      const leaves = leavesOf(g);
      const cut = widest(g, leaves, forced, limit);
      const view = many ? undefined : viewIn(g);
      const joined = joinedIn(g);
      if (joined.length > 0) for (const v of joined) apart.add(v);
      else if (cut) forced.add(cut);
      else if (g.path.length > 0) stops.add(lastThatFits(g, leaves, limit));
      else if (view) forced.add(view);
      else throw new BufferLimit(g, buffersOf(g), options.maxBuffers);
    }
  }
}

/** What a value has the elements of, elsewhere. */
function moved(v: Value): Value {
  let x = v;
  while (isView(x) || x.op === 'pad') x = x.inputs[0]!;
  return x;
}

export class BufferLimit extends Error {
  constructor(
    readonly group: Group,
    readonly needs: number,
    readonly limit: number,
  ) {
    super(`${group.anchor.op} needs ${needs} buffers, ${limit} are allowed`);
  }
}

/** The buffers below every value that the group's kernel computes. */
function leavesOf(g: Group): Map<Value, ReadonlySet<string | number>> {
  const bound = new Set(g.reads);
  const leaves = new Map<Value, ReadonlySet<string | number>>();
  for (const v of postorder([g.anchor, ...g.path], (x) => (bound.has(x) ? [] : x.inputs))) {
    leaves.set(v, new Set(bound.has(v) ? [bufferOf(v)] : v.inputs.flatMap((x) => [...leaves.get(x)!])));
  }
  return leaves;
}

/**
 * The value computed in place, other than the stored one, that stands for the most buffers that a kernel of its own may bind; if every
 * one has more, the one that has the fewest.
 */
function widest(
  g: Group,
  leaves: ReturnType<typeof leavesOf>,
  forced: ReadonlySet<Value>,
  limit: number,
): Value | undefined {
  const own = new Set<Value>([g.anchor, ...g.path]);
  const all = new Set(g.reads.map(bufferOf)).size;
  let best: { readonly v: Value; readonly size: number } | undefined;
  for (const [v, { size }] of leaves) {
    if (size < 2 || size >= all || own.has(v) || forced.has(v) || workOf(v) === 0) continue;
    const better = !best || (best.size < limit ? size < limit && size > best.size : size < best.size);
    if (better) best = { v, size };
  }
  return best?.v;
}

/** The end of the longest part of a group's path with which its kernel binds no more buffers than the limit. */
function lastThatFits(g: Group, leaves: ReturnType<typeof leavesOf>, limit: number): Value {
  return g.path.slice(0, -1).findLast((v) => leaves.get(v)!.size + g.stores.length <= limit) ?? g.anchor;
}

/**
 * A change of layout that the kernel reads an operand through. Copied out, the operand may be read in parts where in its old layout
 * every part of the work goes across all of it.
 */
function viewIn(g: Group): Value | undefined {
  return g.anchor.inputs.find((v) => workOf(v) === 0 && v.inputs.length > 0 && !g.reads.includes(v));
}

interface Owned {
  readonly kind: GroupKind;
  readonly anchor: Value;
  readonly path: Value[];
  /** Branches that leave the path and meet it again. */
  readonly branches: Value[];
}

class Fusion {
  /** Group result -> what computes it. */
  private readonly owned = new Map<Value, Owned>();
  /** Values that some anchor's kernel computes. */
  private readonly inside = new Set<Value>();
  private readonly stored = new Set<Value>();

  constructor(
    private readonly summary: Summary,
    private readonly position: ReadonlyMap<Value, number>,
    private readonly forced: ReadonlySet<Value>,
    private readonly stops: ReadonlySet<Value>,
  ) {}

  groups(): Group[] {
    for (const v of this.summary.order) {
      const kind = anchorKind(v);
      if (!kind || this.inside.has(v)) continue;
      const { path, branches } = this.pathFrom(v);
      const result = path.at(-1) ?? v;
      this.owned.set(result, { kind, anchor: v, path, branches });
      this.stored.add(result);
    }
    this.place();
    const groups = [...this.stored].map((v) => this.groupOf(v));
    return inOrder(groups.sort((a, b) => this.position.get(a.result)! - this.position.get(b.result)!));
  }

  /** Rule 2. */
  private pathFrom(anchor: Value): { path: Value[]; branches: Value[] } {
    const path: Value[] = [];
    const branches: Value[] = [];
    let last = anchor;
    this.inside.add(anchor);
    while (!this.summary.isRoot(last) && !this.stops.has(last) && !this.forced.has(last)) {
      const step = this.nextStep(last, anchor);
      if (!step || [...step.through, step.to].some((v) => this.inside.has(v))) break;
      for (const v of [...step.through, step.to]) this.inside.add(v);
      branches.push(...step.through);
      path.push(step.to);
      last = step.to;
    }
    return { path, branches };
  }

  private nextStep(last: Value, anchor: Value): { to: Value; through: Value[] } | undefined {
    const others = new Set<Value>(this.others(last));
    const readers = this.summary.readers(last).filter((u) => !others.has(u));
    if (readers.length === 0) return undefined;
    const only = readers.length === 1 ? readers[0]! : undefined;
    // What is computed from another result cannot be an operand of the kernel that writes it.
    const twoResults = this.others(anchor).length > 0;
    if (only && movesForward(only) && only.inputs[0] === last) return { to: only, through: [] };
    if (twoResults) return undefined;
    // Everything that `last` flows into, in order, until it has flowed together.
    const pending = new Set(readers);
    const region: Value[] = [];
    while (pending.size > 0) {
      const next = [...pending].reduce((a, b) => (this.position.get(a)! < this.position.get(b)! ? a : b));
      if (!OPS[next.op].traits.pointwise || !sameShape(next.type.shape, last.type.shape)) return undefined;
      pending.delete(next);
      if (pending.size === 0) return { to: next, through: region };
      if (this.summary.isRoot(next) || this.forced.has(next) || region.length >= 32) return undefined;
      region.push(next);
      for (const u of this.summary.readers(next)) pending.add(u);
    }
    return undefined;
  }

  /** Other results of the anchor's operator that somebody reads. */
  private others(anchor: Value): Value[] {
    return this.summary.readers(anchor).filter((u) => u.op === 'aux');
  }

  /** Rule 3, readers before operands, so that a value knows the kernels that would compute it. */
  private place(): void {
    /** Kernel (by its result) -> whether it reads the value over and over. */
    const readers = new Map<Value, Map<Value, boolean>>();
    const add = (x: Value, kernel: Value, repeated: boolean): void => {
      const of = readers.get(x) ?? new Map<Value, boolean>();
      readers.set(x, of.set(kernel, repeated || (of.get(kernel) ?? false)));
    };
    /** Operators between a value and what its kernel stores. */
    const depth = new Map<Value, number>();
    const kernelOf = new Map<Value, Value>();
    for (const [result, { anchor, path, branches }] of this.owned) {
      for (const v of [anchor, ...path, ...branches]) kernelOf.set(v, result);
    }
    for (const v of this.summary.order.toReversed()) {
      if (isDeclared(v)) {
        if (this.summary.isRoot(v)) this.stored.add(v);
        continue;
      }
      if (v.op === 'aux') continue;
      const kernel = kernelOf.get(v);
      if (kernel) {
        const anchor = this.owned.get(kernel)!.anchor === v;
        const kind = this.owned.get(kernel)!.kind;
        v.inputs.forEach((x, operand) => {
          const repeated = anchor && kind !== 'reduce' && operand < 3 && !isBias(v, operand) && !readsOnce(v);
          add(x, kernel, repeated);
        });
        continue;
      }
      const own = readers.get(v) ?? new Map<Value, boolean>();
      const deep = depth.get(v) ?? 0;
      if (this.summary.isRoot(v) || this.forced.has(v) || deep >= MOST_DEEP || this.worthBuffer(v, own)) {
        this.stored.add(v);
        for (const x of v.inputs) add(x, v, false);
      } else {
        for (const x of v.inputs) {
          depth.set(x, Math.max(depth.get(x) ?? 0, deep + 1));
          for (const [k, repeated] of own) add(x, k, repeated);
        }
      }
    }
  }

  private worthBuffer(v: Value, readers: ReadonlyMap<Value, boolean>): boolean {
    if (workOf(v) === 0) return false;
    // One kernel, and it reads each element about once.
    if (readers.size <= 1 && ![...readers.values()].some((repeated) => repeated)) return false;
    return this.isDear(v);
  }

  /** Whether one element of v takes more than `CHEAP` operations, computed from what certainly lies in buffers. */
  private isDear(v: Value): boolean {
    const stack = [v];
    for (let cost = 0; stack.length > 0; ) {
      const x = stack.pop()!;
      if (isDeclared(x) || this.owned.has(x) || this.stored.has(x)) continue;
      cost += workOf(x);
      if (cost > CHEAP) return true;
      stack.push(...x.inputs);
    }
    return false;
  }

  private groupOf(result: Value): Group {
    const owned = this.owned.get(result) ?? { kind: 'pointwise' as const, anchor: result, path: [] };
    const { kind, anchor, path } = owned;
    const others = this.others(anchor);
    // Nobody may read the result, where others of its anchor are read.
    const isStored =
      this.summary.isRoot(result) || others.length === 0 || this.summary.readers(result).some((u) => u.op !== 'aux');
    const stores = isStored ? [...others, result] : others;
    const own = new Set(stores);
    const isRead = (v: Value): boolean =>
      isDeclared(v) || (v !== result && !own.has(v) && (v.op === 'aux' || this.stored.has(v)));
    const reads = postorder(stores, (v) => (isRead(v) ? [] : v.inputs)).filter(isRead);
    return { kind, anchor, path, result, stores, reads };
  }
}

/** Whether the operand is read once for each result, not once for each term. */
function isBias(v: Value, operand: number): boolean {
  return traitsOf(v).holds === 'layer' && operand === 2;
}
