/** Kernel programs built by hand, and what the tests of the verifier ask of them. */
import { describe, expect, it } from 'vitest';
import * as e from '../../../src/codegen/kernel/expr.js';
import type { Buffer, Expr, Kernel, KernelFunction, Stmt, Type } from '../../../src/codegen/kernel/types.js';
import { type Rule, type VerifyOptions, verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { type Index, LANE, scale, sum, variable } from '../../../src/codegen/read/indexing.js';

export const { u32, f32, uint, add, sub, mul, div: over, rem, lt, F32, F32X4, U32 } = e;
export const U32X3: Type = { scalar: 'u32', lanes: 3 };

export const let_ = (name: string, value: Expr): Stmt => ({ kind: 'let', name, value });
export const var_ = (name: string, type: Type, value?: Expr): Stmt => ({
  kind: 'var',
  name,
  type,
  ...(value ? { value } : {}),
});
export const array = (name: string, type: Type, values: readonly Expr[]): Stmt => ({
  kind: 'array',
  name,
  type,
  values,
});
export const assign = (name: string, value: Expr): Stmt => ({ kind: 'assign', name, value });
export const put = (name: string, at: Expr, value: Expr): Stmt => ({ kind: 'put', array: name, at, value });
export const write = (name: string, at: Expr, value: Expr): Stmt => ({ kind: 'write', buffer: name, at, value });
export const if_ = (when: Expr, body: readonly Stmt[], otherwise?: readonly Stmt[]): Stmt => ({
  kind: 'if',
  cases: [{ when, body }],
  ...(otherwise ? { otherwise } : {}),
});
export const for_ = (name: string, from: Expr, below: Expr, step: number, body: readonly Stmt[]): Stmt => ({
  kind: 'for',
  name,
  from,
  below,
  step,
  body,
});
export const do_ = (fn: string, ...args: readonly Expr[]): Stmt => ({ kind: 'do', fn, args });
export const barrier: Stmt = { kind: 'barrier' };
export const ret = (value?: Expr): Stmt => ({ kind: 'return', ...(value ? { value } : {}) });
export const store = (
  buffer: string,
  at: Index,
  value: Expr,
  when: readonly { index: Index; below: number }[] = [],
): Stmt => ({ kind: 'store', buffer, at, value, when });
export const fn = (
  name: string,
  params: readonly [string, Type][],
  body: readonly Stmt[],
  result?: Type,
): KernelFunction => ({
  name,
  params: params.map(([n, type]) => ({ name: n, type })),
  body,
  ...(result ? { result } : {}),
});

export const and = (...all: readonly Expr[]): Expr => e.all(all)!;
export const xyz = (name: string, at: number): Expr => e.component(e.name(name, U32X3), at);
export const thread = uint('thread');
export const zero4 = e.splat(f32(0), 4);
export const quad = (q: Index): Index => sum(scale(q, 4), LANE);
/** A name of the program as an address's variable. */
export const v = variable;

export const buffer = (name: string, count: number, more: Partial<Buffer> = {}): Buffer => ({
  name,
  access: name.startsWith('y') ? 'read_write' : 'read',
  element: 'f32',
  count,
  padded: false,
  ...more,
});

/** 64 threads, `x` of 256 elements to read, `y` of 256 to write. */
export function kernel(main: readonly Stmt[], more: Partial<Kernel> = {}): Kernel {
  return {
    workgroup: [64, 1, 1],
    inputs: [
      { name: 'tile', builtin: 'workgroup_id' },
      { name: 'thread', builtin: 'local_invocation_index' },
    ],
    buffers: [buffer('x', 256), buffer('y', 256)],
    shared: [],
    functions: [],
    main,
    ...more,
  };
}

export const SHARED = {
  shared: [
    { name: 'a', type: F32, count: 64 },
    { name: 'b', type: F32, count: 64 },
  ],
};
/** One subgroup of 8 to a workgroup. */
export const LANES: Partial<Kernel> = {
  workgroup: [8, 1, 1],
  subgroup: 8,
  inputs: [
    { name: 'tile', builtin: 'workgroup_id' },
    { name: 'own', builtin: 'subgroup_invocation_id' },
  ],
};
export const own = uint('own');

export function accepted(k: Kernel, options?: VerifyOptions): void {
  expect(verifyKernel(k, options)).toEqual([]);
}

export function rejected(k: Kernel, rule: Rule, what: RegExp, options?: VerifyOptions): void {
  const problems = verifyKernel(k, options);
  expect(problems.map((p) => `${p.rule}: ${p.what} (${p.where})`).join('\n')).toMatch(what);
  // One mistake, one rule: a program that is wrong in one way should not be said to be wrong in others.
  expect([...new Set(problems.map((p) => p.rule))]).toEqual([rule]);
}

/** [what is wrong, the wrong program, what is said, its twin, options for both] */
export type Twins = readonly (readonly [string, Kernel, RegExp, Kernel, VerifyOptions?])[];

export function twins(rule: Rule, all: Twins): void {
  describe(rule, () => {
    for (const [title, wrong, what, right, options] of all) {
      it(title, () => {
        rejected(wrong, rule, what, options);
        accepted(right, options);
      });
    }
  });
}

export const loadOwn = e.load('x', 'f32', v('thread', 64));
export const storeOwn = (value: Expr = f32(1)): Stmt => store('y', v('thread', 64), value);
export const helper = fn('half', [['t', U32]], [ret(over(uint('t'), u32(2)))], U32);

export const wide = e.load('x', 'f32', quad(v('thread', 64)));
export const storeWide = (value: Expr): Stmt => store('y', quad(v('thread', 64)), value);
