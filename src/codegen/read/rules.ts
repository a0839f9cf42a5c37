/**
 * The table of how each operator is generated: where it is read, by a kernel of its own, or as what it decomposes into, which is what becomes of
 * one that is not in the table. One that does not decompose has to be there.
 */
import { type Decomposing, OP_NAMES } from '../../ir/ops/index.js';
import type { OpName, Value } from '../../ir/types.js';
import type { GroupKind } from '../groups/group.js';
import { ROWS } from '../reduce/rows.js';
import { BITS, CHOICES, NUMBERS, PLACES } from './layout.js';
import { isNarrowConv, LOOPS } from './loops.js';
import { ARITHMETIC, FUNCTIONS, IDENTITIES } from './pointwise.js';
import type { Generated, Generation, InlineRule } from './reader.js';
import { SORTED } from './sorted.js';

type Inline<R> = {
  readonly [O in keyof R & OpName]: Generated<O> & { readonly kernel: null };
};

/** Operators that are computed where they are read, with `work` operations for an element each. */
function inline<R extends { readonly [O in keyof R]: O extends OpName ? InlineRule<O> : never }>(
  work: number,
  rules: R,
): Inline<R> {
  const made = Object.entries(rules).map(([op, rule]) => [op, { inline: rule, work, kernel: null }]);
  return Object.fromEntries(made) as Inline<R>;
}

/** An operator that always has a kernel of its own. */
const kernel = <K extends GroupKind>(kind: K) => ({ inline: null, work: 1, kernel: () => kind });

const declared = { inline: null, work: 0, kernel: 'declared' } as const;
const lowered = { inline: null, work: 1, kernel: 'lowered' } as const;

const rows = Object.fromEntries(Object.keys(ROWS).map((op) => [op, kernel('reduce')])) as {
  readonly [O in keyof typeof ROWS]: ReturnType<typeof kernel<'reduce'>>;
};

/** All that do not decompose, and of those that do any that kernels are written for. */
type Needed = { readonly [O in Exclude<OpName, Decomposing>]: Generated<O> } & {
  readonly [O in Decomposing]?: Generated<O>;
};

const TABLE = {
  ...inline(0, PLACES),
  ...inline(0, IDENTITIES),
  ...inline(1, ARITHMETIC),
  ...inline(1, NUMBERS),
  ...inline(3, CHOICES),
  ...inline(8, FUNCTIONS),
  ...inline(40, BITS),
  ...rows,
  param: declared,
  input: declared,
  linear: kernel('contract'),
  matmul: kernel('contract'),
  attention: kernel('attention'),
  conv2d: {
    inline: LOOPS.conv2d,
    work: 1,
    kernel: (v) => (isNarrowConv(v.inputs[1]!.type.shape, v.attrs) ? 'pointwise' : 'contract'),
  },
  // Computed by a loop at each element, so it is worth a buffer.
  top_k: { inline: LOOPS.top_k, work: 1, kernel: () => 'pointwise' },
  // Loops as well, or long ways to one element.
  merge_order: { inline: SORTED.merge_order, work: 1, kernel: () => 'pointwise' },
  searchsorted: { inline: SORTED.searchsorted, work: 1, kernel: () => 'pointwise' },
  segment_sum: { inline: SORTED.segment_sum, work: 1, kernel: () => 'pointwise', once: true },
  conv2d_weight: {
    inline: LOOPS.conv2d_weight,
    work: 1,
    kernel: (v) => (isNarrowConv(v.type.shape, v.attrs) ? 'pointwise' : 'contract'),
  },
  // By its owner's kernel, but for what a loop finds.
  aux: { inline: LOOPS.aux, work: 1, kernel: null },
  // By the CPU alone.
  solve: lowered,
} satisfies Needed;

const decomposed = Object.fromEntries(OP_NAMES.map((op) => [op, lowered])) as Generation;

export const RULES: Generation = { ...decomposed, ...TABLE };

/** Operators that have kernels of their own. */
export type Anchored = {
  [O in keyof typeof TABLE]: (typeof TABLE)[O]['kernel'] extends (...args: never) => GroupKind ? O : never;
}[keyof typeof TABLE];

/** Operators that have, of some values at least, a kernel of this kind. */
export type Generating<K extends GroupKind> = {
  [O in Anchored]: K extends ReturnType<Extract<(typeof TABLE)[O]['kernel'], (...args: never) => GroupKind>>
    ? O
    : never;
}[Anchored];

/** Whether other operators come in its place before fusion. */
export const isLowered = (v: Value): boolean => RULES[v.op].kernel === 'lowered';

/** Operations for one element when computed in place: none for what only says where it is. */
export const workOf = (v: Value): number => RULES[v.op].work;

/** The kind of kernel that the operator has for itself. */
export function anchorKind(v: Value): GroupKind | undefined {
  const own = RULES[v.op].kernel;
  return typeof own === 'function' ? own(v as never) : undefined;
}

/** Whether the operator's own kernel reads each element of its operands about once. */
export const readsOnce = (v: Value): boolean => RULES[v.op].once ?? false;
