/** Small kernels for tests of the simulator, written with as few words as may be. */
import { expect } from 'vitest';
import { component, name, u32, uint } from '../../../src/codegen/kernel/expr.js';
import { type FaultKind, type SimulateOptions, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type {
  Expr,
  KernelFunction,
  LoweredKernel,
  SharedArray,
  Stmt,
  Type,
} from '../../../src/codegen/kernel/types.js';

export const I32: Type = { scalar: 'i32', lanes: 1 };
export const U32X3: Type = { scalar: 'u32', lanes: 3 };
export const F32X2: Type = { scalar: 'f32', lanes: 2 };

/** Contents of a buffer; those that are `out` may be written. */
export interface Bound {
  readonly data: Float32Array | Int32Array | Uint32Array;
  readonly out?: boolean;
  readonly item?: Type;
  /** Elements, if there are fewer than data: the rest is padding. */
  readonly count?: number;
  /** Default: true */
  readonly padded?: boolean;
  /** The items are those of a packed weight, and `count` counts them. */
  readonly packed?: boolean;
}

export interface Program {
  readonly threads?: number;
  readonly subgroup?: number;
  readonly shared?: readonly SharedArray[];
  readonly functions?: readonly KernelFunction[];
  readonly main: readonly Stmt[];
}

export const elementOf = (data: Bound['data']): 'f32' | 'i32' | 'u32' =>
  data instanceof Float32Array ? 'f32' : data instanceof Int32Array ? 'i32' : 'u32';

/** Every builtin input has a name: wg, li, lid, gid, lane; i is that of the thread in a dispatch along x. */
export function lowered(program: Program, buffers: Readonly<Record<string, Bound>>): LoweredKernel {
  const threads = program.threads ?? 4;
  const bound = Object.entries(buffers).map(([name, b]) => ({ ...b, name, count: b.count ?? b.data.length }));
  return {
    workgroup: [threads, 1, 1],
    ...(program.subgroup === undefined ? {} : { subgroup: program.subgroup }),
    inputs: [
      { name: 'wg', builtin: 'workgroup_id' },
      { name: 'li', builtin: 'local_invocation_index' },
      { name: 'lid', builtin: 'local_invocation_id' },
      { name: 'gid', builtin: 'global_invocation_id' },
      ...(program.subgroup === undefined ? [] : [{ name: 'lane', builtin: 'subgroup_invocation_id' } as const]),
    ],
    buffers: bound.map(({ name, data, out, count, padded, packed, item }) => ({
      name,
      access: out ? 'read_write' : 'read',
      element: elementOf(data),
      count,
      padded: padded ?? true,
      ...(packed && item ? { packed: item } : {}),
    })),
    shared: program.shared ?? [],
    functions: program.functions ?? [],
    main: [letOf('i', component(name('gid', U32X3), 0)), ...program.main],
    windows: bound.map(({ name, data, packed, item, count }) => ({
      buffer: name,
      name,
      first: 0,
      count,
      item: item ?? { scalar: elementOf(data), lanes: 1 },
      elements: packed ? 1 : (item?.lanes ?? 1),
    })),
  };
}

/** Runs workgroups along x. */
export function run(
  program: Program,
  buffers: Readonly<Record<string, Bound>>,
  groups = 1,
  options: SimulateOptions = {},
) {
  return simulate(lowered(program, buffers), Object.values(buffers), [groups, 1, 1], options);
}

export const kindsOf = (found: ReturnType<typeof run>): FaultKind[] => found.faults.map((f) => f.kind);

export const i = uint('i');
export const li = uint('li');
export const letOf = (text: string, value: Expr): Stmt => ({ kind: 'let', name: text, value });
export const varOf = (text: string, value: Expr): Stmt => ({ kind: 'var', name: text, type: value, value });
export const assign = (text: string, value: Expr): Stmt => ({ kind: 'assign', name: text, value });
export const put = (array: string, at: Expr, value: Expr): Stmt => ({ kind: 'put', array, at, value });
export const write = (buffer: string, at: Expr, value: Expr): Stmt => ({ kind: 'write', buffer, at, value });
export const when = (condition: Expr, body: readonly Stmt[], otherwise?: readonly Stmt[]): Stmt => ({
  kind: 'if',
  cases: [{ when: condition, body }],
  ...(otherwise ? { otherwise } : {}),
});
export const loop = (text: string, end: Expr, body: readonly Stmt[], step = 1): Stmt => ({
  kind: 'for',
  name: text,
  from: u32(0),
  below: end,
  step,
  body,
});
export const barrier: Stmt = { kind: 'barrier' };
export const leave: Stmt = { kind: 'return' };

export const floats = (count: number, f: (k: number) => number = () => 0): Float32Array =>
  Float32Array.from({ length: count }, (_, k) => f(k));
export const words = (count: number, f: (k: number) => number = () => 0): Uint32Array =>
  Uint32Array.from({ length: count }, (_, k) => f(k));

/** What `value` is in every one of `threads` threads. */
export function valuesOf(
  value: Expr,
  before: readonly Stmt[] = [],
  program: Partial<Program> = {},
  threads = 4,
): number[] {
  const data =
    value.scalar === 'i32' ? new Int32Array(threads) : value.scalar === 'u32' ? words(threads) : floats(threads);
  const main = [...before, write('out', i, value)];
  const found = run({ ...program, threads, main }, { out: { data, out: true } });
  expect(found.faults).toEqual([]);
  return [...data];
}
