/** Contractions and attentions over plain row-major buffers, and what they must give, in f64. Used by the tests and the benchmark. */

import { capacity, extent, type Layout, placeOf, tiles } from '../../src/codegen/buffers/layout.js';
import { pack } from '../../src/codegen/buffers/pack.js';
import { explicitAddresses } from '../../src/codegen/kernel/addresses.js';
import { Body } from '../../src/codegen/kernel/body.js';
import {
  add,
  binary,
  div,
  F32,
  F32X4,
  f32,
  name as kernelName,
  LANES,
  load,
  lt,
  min,
  select,
  splat,
  U32,
  u32,
  uint,
} from '../../src/codegen/kernel/expr.js';
import { printKernel } from '../../src/codegen/kernel/print.js';
import type { Buffer, Expr, KernelFunction } from '../../src/codegen/kernel/types.js';
import type { Along, AttentionProblem, ContractProblem, GeneratedVariant } from '../../src/codegen/problem.js';
import { flatten, type Index, LANE, scale, sum, variable } from '../../src/codegen/read/indexing.js';
import { BASELINE } from '../../src/codegen/schedule.js';

export interface ContractShape {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** `function` reads b row-major; the others are packed weights, shared by all z. */
  readonly weight: 'f32' | 'f16' | 'function';
  /** Which way round operands lie: a as [z, m, k] (`sum`, the default) or [z, k, m]; b as [z, k, n] (`result`, the default) or [z, n, k]. */
  readonly a?: Along;
  readonly b?: Along;
  readonly maxWorkgroups?: number;
}

/** Pseudo-random numbers in [-1, 1), the same in every run. */
export function noise(count: number, seed: number): Float32Array {
  const out = new Float32Array(count);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state / 2 ** 31 - 1;
  }
  return out;
}

/** A problem and the buffers that its functions reach, in the order of their bindings. */
export interface Bound<P> {
  readonly problem: P;
  readonly buffers: readonly Buffer[];
}

/** WGSL of each variant. */
export function textsOf(variants: readonly GeneratedVariant[], buffers: readonly Buffer[]): string[] {
  const programs = variants.map(({ program }) => ({ ...program, buffers }));
  return explicitAddresses(programs, BASELINE).map(printKernel);
}

const buffer = (name: string, access: Buffer['access'], count: number): Buffer => {
  return { name, access, element: 'f32', count, padded: true };
};

/** A problem with a at binding 0, the weight or b at 1, y at 2. The unfused case: plain loads and stores. */
export function contractProblem(shape: ContractShape): Bound<ContractProblem> {
  const { batch = 1, m, n, k, weight, a = 'sum', b = 'result' } = shape;
  const layout = weightLayout(shape);
  const fours = (size: number): number => 4 * Math.ceil(size / 4);
  const loadB =
    b === 'result'
      ? loadRows('load_b4', 'b', [batch, k, n], { names: ['k', 'column', 'j'], row: 'k', column: 'column' })
      : loadRows('load_b4', 'b', [batch, n, k], { names: ['k', 'column', 'j'], row: 'column', column: 'k' });
  const problem: ContractProblem = {
    batch,
    m,
    n,
    k,
    a,
    b,
    readable: weight === 'function' ? { k: fours(k), n: fours(n) } : { k: extent(layout, 1), n: extent(layout, 0) },
    functions: [
      a === 'sum'
        ? loadRows('load_a4', 'a', [batch, m, k])
        : loadRows('load_a4', 'a', [batch, k, m], { names: ['row', 'k'], row: 'k', column: 'row' }),
      weight === 'function' ? loadB : loadPacked(layout, b),
      storeRows([batch, m, n]),
    ],
    reach: { samples: 1, maxWorkgroups: shape.maxWorkgroups ?? BASELINE.maxComputeWorkgroupsPerDimension },
  };
  const packed: Buffer = {
    ...buffer('weight', 'read', capacity(layout)),
    layout,
    ...(weight === 'f16' ? { storage: weight } : {}),
  };
  const buffers = [
    buffer('a', 'read', batch * m * k),
    weight === 'function' ? buffer('b', 'read', batch * k * n) : packed,
    buffer('y', 'read_write', batch * m * n),
  ];
  return { problem, buffers };
}

/** Of a packed weight w[n, k]: packed for this product, or, where b lies along the sum, for one that sums over n. */
export function weightLayout({ n, k, b = 'result' }: ContractShape): Layout {
  return tiles([n, k], b === 'result' ? 0 : 1);
}

function loadPacked(layout: Layout, along: Along): KernelFunction {
  const b = new Body();
  const four = (text: string, axis: number, plus: Index): Index =>
    sum(scale(b.index(`${text}4`, div(uint(text), u32(4)), extent(layout, axis) / 4), 4), plus);
  const j = variable('j', 4);
  const [k, column] =
    along === 'sum' ? [four('k', 1, LANE), four('column', 0, j)] : [four('k', 1, j), four('column', 0, LANE)];
  b.return(load('weight', 'f32', placeOf(layout, [column, k])));
  return { name: 'load_b4', params: params('z', 'k', 'column', 'j'), result: F32X4, body: b.stmts };
}

const params = (...names: readonly string[]): KernelFunction['params'] => names.map((n) => ({ name: n, type: U32 }));

/** The place of four neighbours in a row-major buffer, and the names that it needs. What lies outside is taken for the nearest inside. */
function fourAt(
  b: Body,
  [batch, rows, columns]: readonly [number, number, number],
  names: { readonly row: string; readonly column: string; readonly j?: boolean } = { row: 'row', column: 'column' },
): { flat: Index; column: Index } {
  const within = (text: string, value: Expr, extent: number): Index =>
    b.index(text, min(value, u32(extent - 1)), extent);
  const fours = Math.ceil(columns / 4);
  const column = sum(scale(within('c4', div(uint(names.column), u32(4)), fours), 4), LANE);
  const row = names.j ? add(uint(names.row), uint('j')) : uint(names.row);
  const place = [within('zz', uint('z'), batch), within('rr', row, rows), column];
  return { flat: flatten(place, [batch, rows, columns]), column };
}

/**
 * `fn name(z, row, column) -> vec4f` over a row-major buffer, 0 outside; in columns from the next vec4 on, `beyond`.
 * @param by The function's parameters after z, and which of them are the buffer's row and column
 */
function loadRows(
  name: string,
  from: string,
  shape: readonly [number, number, number],
  by: { readonly names: readonly string[]; readonly row: string; readonly column: string } = {
    names: ['row', 'column'],
    row: 'row',
    column: 'column',
  },
  beyond = 0,
): KernelFunction {
  const [, rows, columns] = shape;
  const b = new Body();
  const j = by.names.includes('j');
  const x = load(from, 'f32', fourAt(b, shape, { ...by, j }).flat, columns % 4 !== 0);
  const column = uint(by.column);
  const outside = select(f32(0), f32(beyond), binary('>=', column, u32(columns)));
  const inside = lt(add(splat(column, 4), LANES), splat(u32(columns), 4));
  const row = b.let(select(splat(outside, 4), x, inside));
  const at = j ? add(uint(by.row), uint('j')) : uint(by.row);
  b.return(select(splat(f32(0), 4), row, lt(at, u32(rows))));
  return { name, params: params('z', ...by.names), result: F32X4, body: b.stmts };
}

function storeRows(shape: readonly [number, number, number]): KernelFunction {
  const b = new Body();
  const { flat, column } = fourAt(b, shape);
  b.store('y', flat, kernelName('v', F32X4), shape[2] % 4 === 0 ? [] : [{ index: column, below: shape[2] }]);
  return { name: 'store4', params: [...params('z', 'row', 'column'), { name: 'v', type: F32X4 }], body: b.stmts };
}

export interface ContractData {
  readonly a: Float32Array;
  /** As a kernel reads it: packed, or row-major [z, k, n]. */
  readonly b: Float32Array | Uint8Array;
  /** b[z, k, n] in plain floats, as stored (so rounded for f16). */
  readonly plain: (z: number, k: number, n: number) => number;
}

export function contractData(shape: ContractShape, rounded: (x: number) => number): ContractData {
  const { batch = 1, m, n, k } = shape;
  const a = noise(batch * m * k, 1);
  if (shape.weight === 'function') {
    const b = noise(batch * k * n, 2);
    const at = shape.b === 'sum' ? (i: number, j: number) => j * k + i : (i: number, j: number) => i * n + j;
    return { a, b, plain: (z, i, j) => b[z * k * n + at(i, j)]! };
  }
  const w = noise(n * k, 3);
  const stored = shape.weight === 'f16' ? w.map(rounded) : w;
  return { a, b: pack(w, weightLayout(shape), shape.weight), plain: (_, i, j) => stored[j * k + i]! };
}

/** y of a contraction, in f64. */
export function contractReference(shape: ContractShape, data: ContractData): Float64Array {
  const { batch = 1, m, n, k } = shape;
  const y = new Float64Array(batch * m * n);
  const column = new Float64Array(k);
  for (let z = 0; z < batch; z++) {
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < k; i++) column[i] = data.plain(z, i, j);
      for (let row = 0; row < m; row++) {
        let sum = 0;
        const [at, step] = shape.a === 'result' ? [z * m * k + row, m] : [(z * m + row) * k, 1];
        for (let i = 0; i < k; i++) sum += data.a[at + i * step]! * column[i]!;
        y[(z * m + row) * n + j] = sum;
      }
    }
  }
  return y;
}

export interface AttentionShape {
  readonly batch: number;
  readonly rows: number;
  readonly keys: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly bias?: boolean;
  readonly lse?: boolean;
  readonly maxWorkgroups?: number;
  /** Size of q and k entries; large ones make the softmax sharp and its scores big. */
  readonly spread?: number;
}

/** What lies past a head in a fused projection is other numbers; these would be noticed in any sum. */
const BEYOND = 1e30;

/** q, k, v at bindings 0..2, out at 3, log-sum-exp at 4, bias at the next one. */
export function attentionProblem(shape: AttentionShape): Bound<AttentionProblem> {
  const { batch, rows, keys, headDim, valueDim, bias = false, lse = false } = shape;
  const problem: AttentionProblem = {
    batch,
    rows,
    keys,
    headDim,
    valueDim,
    scale: 1 / Math.sqrt(headDim),
    hasBias: bias,
    hasLse: lse,
    reach: { samples: 1, maxWorkgroups: shape.maxWorkgroups ?? BASELINE.maxComputeWorkgroupsPerDimension },
    functions: [
      loadRows('load_q4', 'q', [batch, rows, headDim], undefined, BEYOND),
      loadRows('load_k4', 'k', [batch, keys, headDim], undefined, BEYOND),
      loadRows('load_v4', 'v', [batch, keys, valueDim], undefined, BEYOND),
      storeRows([batch, rows, valueDim]),
      ...(lse ? [storeLse(batch, rows)] : []),
      ...(bias ? [biasAt(batch, rows, keys)] : []),
    ],
  };
  const buffers = [
    buffer('q', 'read', batch * rows * headDim),
    buffer('k', 'read', batch * keys * headDim),
    buffer('v', 'read', batch * keys * valueDim),
    buffer('y', 'read_write', batch * rows * valueDim),
    ...(lse ? [buffer('lse', 'read_write', batch * rows)] : []),
    ...(bias ? [buffer('table', 'read', batch * rows * keys)] : []),
  ];
  return { problem, buffers };
}

function storeLse(batch: number, rows: number): KernelFunction {
  const b = new Body();
  const flat = flatten([variable('z', batch), variable('row', rows)], [batch, rows]);
  b.store('lse', flat, kernelName('v', F32), []);
  return { name: 'store_lse', params: [...params('z', 'row'), { name: 'v', type: F32 }], body: b.stmts };
}

function biasAt(batch: number, rows: number, keys: number): KernelFunction {
  const b = new Body();
  const z = b.index('zz', min(uint('z'), u32(batch - 1)), batch);
  const flat = flatten([z, variable('row', rows), variable('j', keys)], [batch, rows, keys]);
  b.return(load('table', 'f32', flat));
  return { name: 'bias', params: params('z', 'row', 'j'), result: F32, body: b.stmts };
}

export interface AttentionData {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly bias: Float32Array | undefined;
}

export function attentionData(shape: AttentionShape): AttentionData {
  const { batch, rows, keys, headDim, valueDim, spread = 1 } = shape;
  return {
    q: noise(batch * rows * headDim, 4).map((x) => x * spread),
    k: noise(batch * keys * headDim, 5).map((x) => x * spread),
    v: noise(batch * keys * valueDim, 6),
    bias: shape.bias ? noise(batch * rows * keys, 7).map((x) => x * 3) : undefined,
  };
}

/** Attention and its log-sum-exp, in f64. */
export function attentionReference(shape: AttentionShape, d: AttentionData): { y: Float64Array; lse: Float64Array } {
  const { batch, rows, keys, headDim, valueDim } = shape;
  const y = new Float64Array(batch * rows * valueDim);
  const lse = new Float64Array(batch * rows);
  const scores = new Float64Array(keys);
  for (let at = 0; at < batch * rows; at++) {
    const z = Math.floor(at / rows);
    for (let j = 0; j < keys; j++) {
      let dot = 0;
      for (let i = 0; i < headDim; i++) dot += d.q[at * headDim + i]! * d.k[(z * keys + j) * headDim + i]!;
      scores[j] = dot / Math.sqrt(headDim) + (d.bias ? d.bias[at * keys + j]! : 0);
    }
    const largest = scores.reduce((x, s) => Math.max(x, s), Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (let j = 0; j < keys; j++) sum += Math.exp(scores[j]! - largest);
    lse[at] = largest + Math.log(sum);
    for (let j = 0; j < keys; j++) {
      const p = Math.exp(scores[j]! - lse[at]!);
      for (let e = 0; e < valueDim; e++) y[at * valueDim + e]! += p * d.v[(z * keys + j) * valueDim + e]!;
    }
  }
  return { y, lse };
}

/** Largest difference relative to the largest expected magnitude; infinite if anything is not a number. */
export function worst(actual: ArrayLike<number>, expected: Float64Array): number {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (!Number.isFinite(d)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, d);
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return difference / scale;
}
