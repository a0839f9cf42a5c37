/** Contractions and attentions over plain row-major buffers, and what they must give, in f64. Used by the tests and the benchmark. */

import { MOST_WORKGROUPS } from '../../src/codegen/grid.js';
import { packTiles } from '../../src/codegen/pack.js';
import type { AttentionProblem, ContractProblem } from '../../src/codegen/problem.js';

export interface ContractShape {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** `function` reads b[z, k, n] row-major; the others are packed weights, shared by all z. */
  readonly weight: 'f32' | 'f16' | 'function';
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

/** A problem with a at binding 0, the weight or b at 1, y at 2. The unfused case: plain loads and stores. */
export function contractProblem(shape: ContractShape): ContractProblem {
  const { batch = 1, m, n, k } = shape;
  const element = shape.weight === 'function' ? 'f32' : shape.weight === 'f32' ? 'vec4f' : 'vec2u';
  const name = shape.weight === 'function' ? 'b' : 'weight';
  const loadB = `
fn load_b4(z: u32, k: u32, col: u32) -> vec4f {
  let at = (z * ${k}u + k) * ${n}u + col;
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
}`;
  return {
    batch,
    m,
    n,
    k,
    weight:
      shape.weight === 'function' ? { kind: 'function' } : { kind: 'tiles', kTile: 16, nTile: 32, dtype: shape.weight },
    declarations: `@group(0) @binding(0) var<storage, read> a: array<${k % 4 === 0 ? 'vec4f' : 'f32'}>;
@group(0) @binding(1) var<storage, read> ${name}: array<${element}>;
@group(0) @binding(2) var<storage, read_write> y: array<${n % 4 === 0 ? 'vec4f' : 'f32'}>;
${loadRows('load_a4', 'a', m, k)}${shape.weight === 'function' ? loadB : ''}
${storeRows(m, n)}`,
    maxWorkgroups: shape.maxWorkgroups ?? MOST_WORKGROUPS,
  };
}

/**
 * `fn name(z, row, column) -> vec4f` over a row-major [.., rows, columns] buffer, 0 outside; in columns from the next vec4 on,
 * `beyond`.
 */
function loadRows(name: string, buffer: string, rows: number, columns: number, beyond = '0.0'): string {
  const head = `fn ${name}(z: u32, row: u32, column: u32) -> vec4f {`;
  if (columns % 4 === 0) {
    return `${head}
  let inside = row < ${rows}u && column < ${columns}u;
  return select(vec4f(select(0.0, ${beyond}, column >= ${columns}u)), ${buffer}[(z * ${rows}u + min(row, ${rows - 1}u)) * ${columns / 4}u + min(column, ${columns - 4}u) / 4u], inside);
}`;
  }
  return `${head}
  var four = vec4f(select(0.0, ${beyond}, column >= ${columns}u));
  if (row < ${rows}u) {
    for (var i = 0u; i < 4u; i++) {
      if (column + i < ${columns}u) { four[i] = ${buffer}[(z * ${rows}u + row) * ${columns}u + column + i]; }
    }
  }
  return four;
}`;
}

function storeRows(rows: number, columns: number): string {
  const head = 'fn store4(z: u32, row: u32, column: u32, v: vec4f) {';
  if (columns % 4 === 0) return `${head}\n  y[(z * ${rows}u + row) * ${columns / 4}u + column / 4u] = v;\n}`;
  return `${head}
  for (var i = 0u; i < 4u; i++) {
    if (column + i < ${columns}u) { y[(z * ${rows}u + row) * ${columns}u + column + i] = v[i]; }
  }
}`;
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
    return { a, b, plain: (z, i, j) => b[(z * k + i) * n + j]! };
  }
  const w = noise(n * k, 3);
  const stored = shape.weight === 'f16' ? w.map(rounded) : w;
  return { a, b: packTiles(w, n, k, shape.weight), plain: (_, i, j) => stored[j * k + i]! };
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
        const at = (z * m + row) * k;
        for (let i = 0; i < k; i++) sum += data.a[at + i]! * column[i]!;
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
const BEYOND = '1e30';

/** q, k, v at bindings 0..2, out at 3, log-sum-exp at 4, bias at the next one. */
export function attentionProblem(shape: AttentionShape): AttentionProblem {
  const { batch, rows, keys, headDim, valueDim, bias = false, lse = false } = shape;
  const binding = (at: number, access: string, name: string, columns: number) =>
    `@group(0) @binding(${at}) var<storage, ${access}> ${name}: array<${columns % 4 === 0 ? 'vec4f' : 'f32'}>;`;
  return {
    batch,
    rows,
    keys,
    headDim,
    valueDim,
    scale: 1 / Math.sqrt(headDim),
    hasBias: bias,
    hasLse: lse,
    maxWorkgroups: shape.maxWorkgroups ?? MOST_WORKGROUPS,
    declarations: [
      binding(0, 'read', 'q', headDim),
      binding(1, 'read', 'k', headDim),
      binding(2, 'read', 'v', valueDim),
      binding(3, 'read_write', 'y', valueDim),
      ...(lse ? [binding(4, 'read_write', 'lse', 1)] : []),
      ...(bias ? [binding(lse ? 5 : 4, 'read', 'table', 1)] : []),
      loadRows('load_q4', 'q', rows, headDim, BEYOND),
      loadRows('load_k4', 'k', keys, headDim, BEYOND),
      loadRows('load_v4', 'v', keys, valueDim, BEYOND),
      storeRows(rows, valueDim),
      ...(lse ? [`fn store_lse(z: u32, row: u32, v: f32) { lse[z * ${rows}u + row] = v; }`] : []),
      ...(bias
        ? [`fn bias(z: u32, row: u32, j: u32) -> f32 { return table[(z * ${rows}u + row) * ${keys}u + j]; }`]
        : []),
    ].join('\n'),
  };
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
