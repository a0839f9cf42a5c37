/**
 * Matrix products: linear, matmul and conv2d (as a product over patches that are never built) become one `ContractProblem`. This file
 * says where its operands' elements are and what happens to its results; contract.ts writes the loops.
 */
import { sizeOf, tryBroadcast } from '../ir/ops/shapes.js';
import type { Value } from '../ir/types.js';
import { contractVariants } from './contract.js';
import { weightItem } from './contract-weight.js';
import { finish } from './epilogue.js';
import { type Index, LANE, scale, sum, unflatten, unflattenStored, variable, ZERO } from './indexing.js';
import { readWindow } from './inline-loops.js';
import { Body } from './kernel/body.js';
import { add, all, div, F32X4, f32, lt, name, size, splat, U32, u32, uint } from './kernel/expr.js';
import type { Expr, KernelFunction } from './kernel/types.js';
import { type BuiltKernel, type KernelWriter, type PackedWeight, product, viewedParam } from './kernel.js';
import { packedBytes } from './pack.js';
import type { WeightLayout } from './problem.js';
import { type Reader, within } from './reader.js';

/** y[z, row, col] = Σ_k a[z, row, k]·b[z, k, col] and how that maps to the operator's operands and result. */
interface Contraction {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: (r: Reader, z: Index, row: Index, k: Index) => Expr;
  readonly b: (r: Reader, z: Index, k: Index, col: Index) => Expr;
  /** Coordinates of y[z, row, col] in the operator's result. */
  readonly result: (z: Index, row: Index, col: Index) => readonly Index[];
  readonly bias?: (r: Reader, z: Index, col: Index) => Expr;
  readonly packed?: PackedWeight;
}

function packed(v: Value, n: number, k: number, transposed: boolean): PackedWeight | undefined {
  const param = viewedParam(v);
  return param === undefined ? undefined : { param, view: v, n, k, transposed };
}

function linear(v: Extract<Value, { op: 'linear' }>): Contraction {
  const [x, weight, bias] = [v.inputs[0]!, v.inputs[1]!, v.inputs[2]];
  const [n, k] = weight.type.shape as [number, number];
  const lead = x.type.shape.slice(0, -1);
  const own = packed(weight, n, k, false);
  return {
    batch: 1,
    m: sizeOf(lead),
    n,
    k,
    a: (r, _z, row, at) => r.read(x, [...unflattenStored(row, lead), at]),
    b: (r, _z, at, col) => r.read(weight, [col, at]),
    result: (_z, row, col) => [...unflattenStored(row, lead), col],
    ...(bias ? { bias: (r: Reader, _z: Index, col: Index) => r.read(bias, [n === 1 ? ZERO : col]) } : {}),
    ...(own ? { packed: own } : {}),
  };
}

function matmul(v: Extract<Value, { op: 'matmul' }>): Contraction {
  const [a, b] = [v.inputs[0]!, v.inputs[1]!];
  const [k, n] = b.type.shape.slice(-2) as [number, number];
  const lead = tryBroadcast(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2))!;
  const rows = a.type.shape.at(-2)!;
  // One matrix for all: the leading axes are rows like any other.
  if (sizeOf(b.type.shape.slice(0, -2)) === 1) {
    const all = [...lead, rows];
    const own = packed(b, n, k, true);
    return {
      batch: 1,
      m: sizeOf(all),
      n,
      k,
      a: (r, _z, row, at) => r.operand(a, [...unflattenStored(row, all), at]),
      b: (r, _z, at, col) => r.operand(b, [...lead.map(() => ZERO), at, col]),
      result: (_z, row, col) => [...unflattenStored(row, all), col],
      ...(own ? { packed: own } : {}),
    };
  }
  return {
    batch: sizeOf(lead),
    m: rows,
    n,
    k,
    a: (r, z, row, at) => r.operand(a, [...unflattenStored(z, lead), row, at]),
    b: (r, z, at, col) => r.operand(b, [...unflattenStored(z, lead), at, col]),
    result: (z, row, col) => [...unflattenStored(z, lead), row, col],
  };
}

function conv2d(v: Extract<Value, { op: 'conv2d' }>): Contraction {
  const [weight, bias] = [v.inputs[1]!, v.inputs[2]];
  const [outs, perGroup, kernelH, kernelW] = weight.type.shape as [number, number, number, number];
  const [batch, , oh, ow] = v.type.shape as [number, number, number, number];
  const { groups } = v.attrs;
  const n = outs / groups;
  const k = perGroup * kernelH * kernelW;
  const window = (at: Index): Index[] => unflatten(at, [perGroup, kernelH, kernelW]);
  const channel = (z: Index, col: Index): Index => sum(scale(z, n), col);
  const own = groups === 1 ? packed(weight, n, k, false) : undefined;
  return {
    batch: groups,
    m: batch * oh * ow,
    n,
    k,
    a: (r, z, row, at) => {
      const [b, y, x] = unflattenStored(row, [batch, oh, ow]) as [Index, Index, Index];
      const [c, kh, kw] = window(at) as [Index, Index, Index];
      return readWindow(r, v, { b, c: sum(scale(z, perGroup), c), oh: y, ow: x, kh, kw });
    },
    b: (r, z, at, col) => r.read(weight, [channel(z, col), ...window(at)]),
    result: (z, row, col) => {
      const [b, y, x] = unflattenStored(row, [batch, oh, ow]) as [Index, Index, Index];
      return [b, outs === 1 ? ZERO : channel(z, col), y, x];
    },
    ...(bias ? { bias: (r: Reader, z: Index, col: Index) => r.read(bias, [outs === 1 ? ZERO : channel(z, col)]) } : {}),
    ...(own ? { packed: own } : {}),
  };
}

function contraction(v: Value): Contraction {
  switch (v.op) {
    case 'linear':
      return linear(v);
    case 'matmul':
      return matmul(v);
    case 'conv2d':
      return conv2d(v);
    default:
      throw new Error(`${v.op} is no contraction`);
  }
}

/** What chunks divide: rows, or the batch where there is one. `units` are step sizes that keep coordinates aligned, largest first. */
export function contractDomain(v: Value): { extent: number; units: readonly number[] } {
  const c = contraction(v);
  if (c.batch > 1) return { extent: c.batch, units: [1] };
  const rows = v.op === 'conv2d' ? [v.type.shape[0]!, v.type.shape[2]!, v.type.shape[3]!] : v.type.shape.slice(0, -1);
  return { extent: c.m, units: rows.map((_, i) => sizeOf(rows.slice(i + 1))) };
}

/** The bytes that one binding holds, and how packed weights are stored. */
export interface PackingLimits {
  readonly binding: number;
  readonly weights: 'f32' | 'f16';
}

/** Tiles are read through one binding; lower.ts sees to it that they fit, save for a weight of few outputs and a million inputs. */
const fitsBinding = ({ n, k }: PackedWeight, { binding, weights }: PackingLimits): boolean =>
  packedBytes(n, k, weights) <= binding;

/** Whether a product reads its weight packed, as one matrix of tiles. */
export function readsPacked(v: Value, limits: PackingLimits): boolean {
  const own = contraction(v).packed;
  return own !== undefined && fitsBinding(own, limits);
}

export function contractKernel(w: KernelWriter): BuiltKernel {
  const { anchor } = w.group;
  const c = contraction(anchor);
  const { weights, limits } = w.context;
  const packing = { binding: limits.maxStorageBufferBindingSize, weights };
  const tiles = c.packed && fitsBinding(c.packed, packing) ? c.packed : undefined;
  const overBatch = c.batch > 1;
  const batch = overBatch ? w.turns(c.batch) : 1;
  const m = overBatch ? c.m : w.turns(c.m);
  const zAt = overBatch ? w.domain('z', c.batch) : ZERO;
  const rowAt = overBatch ? variable('row', c.m) : w.domain('row', c.m);
  const quads = { k: variable('k4', Math.ceil(c.k / 4)), col: variable('col4', Math.ceil(c.n / 4)) };
  const kAt = sum(scale(quads.k, 4), LANE);
  const colAt = sum(scale(quads.col, 4), LANE);
  const layout: WeightLayout = tiles
    ? { kind: 'tiles', kTile: 16, nTile: 32, dtype: w.context.weights }
    : { kind: 'function' };

  if (tiles) {
    const dtype = w.context.weights;
    w.weightBuffer(weightItem(dtype), packedBytes(c.n, c.k, dtype) / (dtype === 'f32' ? 16 : 8));
  }
  const functions = [loadA(w, c, m, zAt, rowAt, kAt)];
  if (!tiles) functions.push(loadB(w, c, zAt, colAt));
  const s = w.reader();
  s.b.index('col4', div(uint('col'), u32(4)), Math.ceil(c.n / 4));
  const guards = c.n % 4 === 0 ? [] : [{ index: colAt, below: c.n }];
  const given = name('v', F32X4);
  const bias = (): Expr => c.bias!(s, zAt, colAt);
  const value = c.bias ? s.b.let(add(given, guards.length > 0 ? s.speculating(bias) : bias())) : given;
  finish(s, w.ends(), value, c.result(zAt, rowAt, colAt), guards);
  functions.push({
    name: 'store4',
    params: [...params('z', 'row', 'col'), { name: 'v', type: F32X4 }],
    body: s.b.stmts,
  });
  const sizes = [...(c.batch > 1 ? [batch] : []), m, c.k, c.n];
  return w.built(
    {
      name: `${anchor.op === 'conv2d' ? 'conv' : 'contract'}_${product(sizes)}${w.suffix()}`,
      archetype: 'contract',
      ...(tiles ? { packed: tiles } : {}),
    },
    contractVariants({ batch, m, n: c.n, k: c.k, weight: layout, functions, reach: w.context.reach }),
  );
}

const params = (...names: readonly string[]): KernelFunction['params'] => names.map((n) => ({ name: n, type: U32 }));

function loadA(w: KernelWriter, c: Contraction, m: number, z: Index, row: Index, k: Index): KernelFunction {
  const b = new Body();
  const a = b.var('a', F32X4, splat(f32(0), 4));
  const at = uint('k');
  b.if(all([lt(uint('row'), size(m)), lt(at, size(c.k))])!, () => {
    b.index('k4', div(at, u32(4)), Math.ceil(c.k / 4));
    const r = w.reader(b);
    b.assign(
      a,
      within(r, c.k, at, () => c.a(r, z, row, k)),
    );
  });
  b.return(a);
  return { name: 'load_a4', params: params('z', 'row', 'k'), result: F32X4, body: b.stmts };
}

function loadB(w: KernelWriter, c: Contraction, z: Index, col: Index): KernelFunction {
  const r = w.reader();
  r.b.index('col4', div(uint('col'), u32(4)), Math.ceil(c.n / 4));
  r.b.return(within(r, c.n, uint('col'), () => c.b(r, z, variable('k', c.k), col)));
  return { name: 'load_b4', params: params('z', 'k', 'col'), result: F32X4, body: r.b.stmts };
}
