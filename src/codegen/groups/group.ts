/** A group: the values that one kernel computes, what it reads and what it stores. fuse.ts makes groups, join.ts puts some together. */
import { hasBatch } from '../../ir/batch.js';
import { postorder } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import { isDeclared } from '../../ir/ops/index.js';
import type { Value } from '../../ir/types.js';

export type GroupKind = 'contract' | 'attention' | 'reduce' | 'pointwise';

export interface Group {
  readonly kind: GroupKind;
  readonly anchor: Value;
  /** Values from after the anchor on, each made from the one before it. */
  readonly path: readonly Value[];
  /** What the path ends in; the anchor where it is empty. */
  readonly result: Value;
  /**
   * What the kernel writes to buffers, each after those that it is computed from: other results of the anchor's operator (`aux`), the result, and
   * values that are computed from it element by element. The result itself is among them only where another kernel or the caller reads it.
   */
  readonly stores: readonly Value[];
  /** Values that the kernel reads from buffers: parameters, inputs, what other groups store. */
  readonly reads: readonly Value[];
}

/** Kernels are written by recursion over what they compute in place, and compilers of shaders read them by recursion. */
export const MOST_DEEP = 100;

/** What tells the buffer of a value that is read from those of others. */
export const bufferOf = (v: Value): string | number => (isDeclared(v) ? `${v.op} ${v.attrs.name}` : v.id);

/** All that the group's kernel reads, computes and stores; operands first. */
export function valuesOf({ stores, reads }: Pick<Group, 'reads' | 'stores'>): Value[] {
  const bound = new Set(reads);
  return postorder(stores, (v) => (bound.has(v) ? [] : v.inputs));
}

/** Whether the kernel works on samples, however many. It may, though nothing that it reads and stores does: a sum over copies for each of them. */
export const holdsBatch = (group: Group): boolean => valuesOf(group).some((v) => hasBatch(v.type.shape));

/** Operations of everything that the group's kernel computes. */
export function flopsOf(g: Group): number {
  const bound = new Set(g.reads);
  return valuesOf(g).reduce((sum, v) => sum + (bound.has(v) ? 0 : costOf(v).flops), 0);
}

/** How many buffers the group's kernel binds, where each needs one binding. */
export function buffersOf({ reads, stores }: Pick<Group, 'reads' | 'stores'>): number {
  return new Set(reads.map(bufferOf)).size + stores.length;
}

/** What a group stores because other groups joined it. */
export function joinedIn({ result, stores }: Group): Value[] {
  return stores.filter((v) => v !== result && v.op !== 'aux');
}

/** Of each group, those whose values it reads. */
function operandsAmong(groups: readonly Group[]): (g: Group) => Group[] {
  const makers = new Map(groups.flatMap((g) => g.stores.map((v) => [v, g] as const)));
  return (g) =>
    g.reads.flatMap((v) => {
      const maker = makers.get(v);
      return maker && maker !== g ? [maker] : [];
    });
}

/** Each group after those whose values it reads. Needed beyond the values' order because a group can store several. */
export const inOrder = (groups: readonly Group[]): Group[] => postorder(groups, operandsAmong(groups));

/**
 * As before, and what a parameter becomes after all that read the parameter, so that it can be written where that lies. Where some reading waits for
 * what is written, the order stays.
 * @param stateOf Name of the parameter that a value is what becomes of
 */
export function writesLast(groups: readonly Group[], stateOf: (v: Value) => string | undefined): readonly Group[] {
  const operands = operandsAmong(groups);
  const readers = new Map<string, Group[]>();
  for (const g of groups) {
    for (const v of g.reads) {
      if (v.op === 'param') readers.set(v.attrs.name, [...(readers.get(v.attrs.name) ?? []), g]);
    }
  }
  const earlier = (g: Group): Group[] =>
    g.stores.flatMap((v) => readers.get(stateOf(v) ?? '') ?? []).filter((reader) => reader !== g);
  const order = postorder(groups, (g) => [...operands(g), ...earlier(g)]);
  const turn = new Map(order.map((g, i) => [g, i]));
  return order.every((g) => operands(g).every((x) => turn.get(x)! < turn.get(g)!)) ? order : groups;
}
