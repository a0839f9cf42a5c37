/**
 * Matrix products: linear, matmul and convolutions (as products over patches that are never built) become one `ContractProblem`. This file
 * says where its operands' elements are and what happens to its results; contract.ts writes the loops.
 */
import { isBatch, perSample } from '../../ir/batch.js';
import { ruleIn } from '../../ir/ops/index.js';
import { sizeOf, tryBroadcast } from '../../ir/ops/shapes.js';
import type { Value, ValueOf } from '../../ir/types.js';
import type { KeptTiles } from '../buffers/kept.js';
import { extent, placeOf, TILE_K, TILE_N } from '../buffers/layout.js';
import { fits, type PackedWeight, weightMatrix } from '../buffers/weight-matrix.js';
import { finish } from '../epilogue.js';
import { Body } from '../kernel/body.js';
import { add, all, div, F32X4, f32, last, load, lt, min, name, size, splat, U32, u32, uint } from '../kernel/expr.js';
import type { Expr, KernelFunction } from '../kernel/types.js';
import { eachExpr, eachStmt } from '../kernel/walk.js';
import { type BuiltKernel, type KernelWriter, product } from '../kernel.js';
import type { Along, ContractProblem } from '../problem.js';
import {
  type Index,
  LANE,
  laneForm,
  scale,
  sum,
  unflatten,
  unflattenStored,
  variable,
  ZERO,
} from '../read/indexing.js';
import { readWindow } from '../read/loops.js';
import { type Reader, within } from '../read/reader.js';
import type { Generating } from '../read/rules.js';
import { contractVariants } from './contract.js';

/** y[z, row, col] = Σ_k a[z, row, k]·b[z, k, col] and how that maps to the operator's operands and result. */
interface Contraction {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** The axes of the result that rows count, outermost first. */
  readonly rows: readonly number[];
  readonly a: (r: Reader, z: Index, row: Index, k: Index) => Expr;
  readonly b: (r: Reader, z: Index, k: Index, col: Index) => Expr;
  /** Coordinates of y[z, row, col] in the operator's result. */
  readonly result: (z: Index, row: Index, col: Index) => readonly Index[];
  readonly bias?: (r: Reader, z: Index, col: Index) => Expr;
}

function linear(v: ValueOf<'linear'>): Contraction {
  const [x, weight, bias] = [v.inputs[0]!, v.inputs[1]!, v.inputs[2]];
  const [n, k] = weight.type.shape as [number, number];
  const lead = x.type.shape.slice(0, -1);
  return {
    batch: 1,
    m: sizeOf(lead),
    n,
    k,
    rows: lead,
    a: (r, _z, row, at) => r.read(x, [...unflattenStored(row, lead), at]),
    b: (r, _z, at, col) => r.read(weight, [col, at]),
    result: (_z, row, col) => [...unflattenStored(row, lead), col],
    ...(bias ? { bias: (r: Reader, _z: Index, col: Index) => r.read(bias, [n === 1 ? ZERO : col]) } : {}),
  };
}

function matmul(v: ValueOf<'matmul'>): Contraction {
  const [a, b] = [v.inputs[0]!, v.inputs[1]!];
  const [k, n] = b.type.shape.slice(-2) as [number, number];
  const lead = tryBroadcast(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2))!;
  const rows = a.type.shape.at(-2)!;
  // One matrix for all: the leading axes are rows like any other.
  if (sizeOf(b.type.shape.slice(0, -2)) === 1) {
    const all = [...lead, rows];
    return {
      batch: 1,
      m: sizeOf(all),
      n,
      k,
      rows: all,
      a: (r, _z, row, at) => r.operand(a, [...unflattenStored(row, all), at]),
      b: (r, _z, at, col) => r.operand(b, [...lead.map(() => ZERO), at, col]),
      result: (_z, row, col) => [...unflattenStored(row, all), col],
    };
  }
  return {
    batch: sizeOf(lead),
    m: rows,
    n,
    k,
    rows: [rows],
    a: (r, z, row, at) => r.operand(a, [...unflattenStored(z, lead), row, at]),
    b: (r, z, at, col) => r.operand(b, [...unflattenStored(z, lead), at, col]),
    result: (z, row, col) => [...unflattenStored(z, lead), row, col],
  };
}

function conv2d(v: ValueOf<'conv2d'>): Contraction {
  const [weight, bias] = [v.inputs[1]!, v.inputs[2]];
  const [outs, perGroup, kernelH, kernelW] = weight.type.shape as [number, number, number, number];
  const [batch, , oh, ow] = v.type.shape as [number, number, number, number];
  const { groups } = v.attrs;
  const n = outs / groups;
  const k = perGroup * kernelH * kernelW;
  const window = (at: Index): Index[] => unflatten(at, [perGroup, kernelH, kernelW]);
  const channel = (z: Index, col: Index): Index => sum(scale(z, n), col);
  return {
    batch: groups,
    m: batch * oh * ow,
    n,
    k,
    rows: [batch, oh, ow],
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
  };
}

/** Rows are the outputs of a group, columns the places of the kernel, and the sum is over samples and places of dy. */
function conv2d_weight(v: ValueOf<'conv2d_weight'>): Contraction {
  const dy = v.inputs[1]!;
  const [outs, perGroup, kernelH, kernelW] = v.type.shape as [number, number, number, number];
  const [batch, , oh, ow] = dy.type.shape as [number, number, number, number];
  const { groups } = v.attrs;
  const m = outs / groups;
  const places = (at: Index): [Index, Index, Index] => unflattenStored(at, [batch, oh, ow]) as [Index, Index, Index];
  const output = (z: Index, row: Index): Index => (outs === 1 ? ZERO : sum(scale(z, m), row));
  const window = (col: Index): [Index, Index, Index] =>
    unflatten(col, [perGroup, kernelH, kernelW]) as [Index, Index, Index];
  return {
    batch: groups,
    m,
    n: perGroup * kernelH * kernelW,
    k: batch * oh * ow,
    rows: [m],
    a: (r, z, row, at) => {
      const [b, y, x] = places(at);
      return r.read(dy, [b, output(z, row), y, x]);
    },
    b: (r, z, at, col) => {
      const [b, y, x] = places(at);
      const [c, kh, kw] = window(col);
      return readWindow(r, v, { b, c: sum(scale(z, perGroup), c), oh: y, ow: x, kh, kw });
    },
    result: (z, row, col) => [output(z, row), ...window(col)],
  };
}

const CONTRACTIONS: { readonly [O in Generating<'contract'>]: (v: ValueOf<O>) => Contraction } = {
  linear,
  matmul,
  conv2d,
  conv2d_weight,
};

/** @throws Error for an operator that has no kernel of this kind */
function contraction(v: Value): Contraction {
  const of = ruleIn<(v: never) => Contraction>(CONTRACTIONS, v.op);
  if (!of) throw new Error(`${v.op} is no contraction`);
  return of(v as never);
}

/** What chunks divide: rows, or the batch where there is one. `units` are step sizes that keep coordinates aligned, largest first. */
export function contractDomain(v: Value): { extent: number; units: readonly number[] } {
  const c = contraction(v);
  if (c.batch > 1) return { extent: c.batch, units: [1] };
  return { extent: c.m, units: c.rows.map((_, i) => sizeOf(c.rows.slice(i + 1))) };
}

export function contractKernel(w: KernelWriter): BuiltKernel {
  const { anchor } = w.group;
  const c = contraction(anchor);
  const overBatch = c.batch > 1;
  const batch = overBatch ? w.turns(c.batch) : 1;
  const m = overBatch ? c.m : w.turns(c.m);
  const zAt = overBatch ? w.domain('z', c.batch) : ZERO;
  const b = packedB(w, anchor) ?? cheapest(['result', 'sum'], (along) => loadB(w, c, zAt, along));
  const a = cheapest(['sum', 'result'], (along) => loadA(w, c, m, zAt, along));
  const row = overBatch ? variable('row', c.m) : w.domain('row', c.m);
  const col = fourFrom(variable('col4', Math.ceil(c.n / 4)));
  const s = w.reader();
  s.b.index('col4', div(uint('col'), u32(4)), Math.ceil(c.n / 4));
  const guards = c.n % 4 === 0 ? [] : [{ index: col, below: c.n }];
  const given = name('v', F32X4);
  const bias = (): Expr => c.bias!(s, zAt, col);
  const value = c.bias ? s.b.let(add(given, guards.length > 0 ? s.speculating(bias) : bias())) : given;
  finish(s, w.ends(), value, c.result(zAt, row, col), guards);
  const store: KernelFunction = {
    name: 'store4',
    params: [...params('z', 'row', 'col'), { name: 'v', type: F32X4 }],
    body: s.b.stmts,
  };
  const sizes = [...(c.batch > 1 ? [batch] : []), m, c.k, c.n];
  const what = `${b.kept ? 'sparse_' : ''}${anchor.op === 'conv2d' ? 'conv' : 'contract'}`;
  return w.built(
    {
      name: `${what}_${product(sizes)}${w.suffix()}`,
      ...(b.kept ? { archetype: 'sparse_contract', leftOut: leftOut(b.kept, sizes) } : { archetype: 'contract' }),
    },
    contractVariants(
      {
        batch,
        m,
        n: c.n,
        k: c.k,
        a: a.along,
        b: b.along,
        readable: b.readable,
        ...(b.kept ? { kept: true } : {}),
        functions: [a.function, b.function, store],
        reach: w.context.reach,
      },
      w.context.device,
    ),
  );
}

/** How an operand is read. */
interface Loader {
  readonly along: Along;
  readonly function: KernelFunction;
}

interface LoaderB extends Loader {
  readonly readable: ContractProblem['readable'];
  readonly kept?: KeptTiles;
}

/** The way to read an operand that takes the fewest accesses; the first of them where they take as many. */
function cheapest<L extends Loader>(ways: readonly Along[], make: (along: Along) => L): L {
  return ways
    .map(make)
    .map((loader) => ({ loader, accesses: accesses(loader.function) }))
    .reduce((best, other) => (other.accesses < best.accesses ? other : best)).loader;
}

/** Accesses to buffers for four numbers, as far as addresses tell: one where the four are neighbours. */
function accesses(f: KernelFunction): number {
  let count = 0;
  eachStmt(f.body, (s) => {
    eachExpr(s, (e) => {
      if (e.kind === 'load') count += laneForm(e.at).kind === 'scattered' ? 4 : 1;
    });
  });
  return count;
}

const params = (...names: readonly string[]): KernelFunction['params'] => names.map((n) => ({ name: n, type: U32 }));

const fourFrom = (four: Index): Index => sum(scale(four, 4), LANE);

function loadA(w: KernelWriter, c: Contraction, m: number, z: Index, along: Along): Loader {
  const b = new Body();
  const a = b.var('a', F32X4, splat(f32(0), 4));
  const [row, k] = [uint('row'), uint('k')];
  b.if(all([lt(row, size(m)), lt(k, size(c.k))])!, () => {
    const r = w.reader(b);
    if (along === 'sum') {
      const at = fourFrom(b.index('k4', div(k, u32(4)), Math.ceil(c.k / 4)));
      b.assign(
        a,
        within(r, c.k, k, () => c.a(r, z, c.batch > 1 ? variable('row', c.m) : w.domain('row', c.m), at)),
      );
      return;
    }
    const four = fourFrom(b.index('row4', div(row, u32(4)), Math.ceil(m / 4)));
    const at = c.batch > 1 ? four : w.from(four);
    b.assign(
      a,
      within(r, m, row, () => c.a(r, z, at, variable('k', c.k))),
    );
  });
  b.return(a);
  return { along, function: { name: 'load_a4', params: params('z', 'row', 'k'), result: F32X4, body: b.stmts } };
}

/** An input or a column of a block of four: `from` + j, and no further than the last. */
function fourth(b: Body, from: 'k' | 'col', size: number): Index {
  if (size % 4 === 0) return sum(scale(b.index(`${from}4`, div(uint(from), u32(4)), size / 4), 4), variable('j', 4));
  return b.index(`${from}_j`, min(add(uint(from), uint('j')), last(size)), size);
}

const LOAD_B = params('z', 'k', 'col', 'j');

function loadB(w: KernelWriter, c: Contraction, z: Index, along: Along): LoaderB {
  const r = w.reader();
  const { b } = r;
  const four = (from: 'k' | 'col', size: number): Index =>
    fourFrom(b.index(`${from}4`, div(uint(from), u32(4)), Math.ceil(size / 4)));
  if (along === 'result') {
    const k = fourth(b, 'k', c.k);
    const col = four('col', c.n);
    b.return(within(r, c.n, uint('col'), () => c.b(r, z, k, col)));
  } else {
    const k = four('k', c.k);
    const col = fourth(b, 'col', c.n);
    b.return(within(r, c.k, uint('k'), () => c.b(r, z, k, col)));
  }
  const end = (size: number): number => (isBatch(size) ? size : 4 * Math.ceil(size / 4));
  return {
    along,
    function: { name: 'load_b4', params: LOAD_B, result: F32X4, body: b.stmts },
    readable: { k: end(c.k), n: end(c.n) },
  };
}

/** Operations of a product for one sample that are not done; a bias is added all the same. */
const leftOut = ({ blocks, of }: KeptTiles, sizes: readonly number[]): number =>
  2 * (1 - blocks.length / of) * sizes.reduce((all, size) => all * perSample(size), 1);

/** b as the tiles of it that are stored: a matrix of TILE_N columns, whose rows are the inputs of one tile after another. */
function storedTiles(w: KernelWriter, packed: PackedWeight, kept: KeptTiles): LoaderB {
  const buffer = w.packedBuffer(packed);
  const readable = { k: kept.blocks.length * TILE_K, n: TILE_N };
  const b = new Body();
  const k = sum(scale(b.index('k4', div(uint('k'), u32(4)), readable.k / 4), 4), variable('j', 4));
  const col = fourFrom(b.index('col4', div(uint('col'), u32(4)), TILE_N / 4));
  b.return(load(buffer.name, buffer.element, sum(scale(k, TILE_N), col)));
  return {
    along: 'result',
    function: { name: 'load_b4', params: LOAD_B, result: F32X4, body: b.stmts },
    readable,
    kept,
  };
}

/** b as a packed weight, read whichever way round it lies. */
function packedB(w: KernelWriter, anchor: Value): LoaderB | undefined {
  const matrix = weightMatrix(anchor);
  if (!matrix) return undefined;
  const packed = w.context.packed(matrix);
  if (!packed) return undefined;
  const { layout, storage: weights, kept } = packed;
  if (kept) return storedTiles(w, packed, kept);
  if (!fits(layout, { binding: w.context.limits.maxStorageBufferBindingSize, weights })) return undefined;
  const buffer = w.packedBuffer(packed);
  const columns = 1 - matrix.inputs;
  const readable = { k: extent(layout, matrix.inputs), n: extent(layout, columns) };
  const make = (along: Along): Loader => {
    const b = new Body();
    const four = (from: Index): Index => sum(scale(from, 4), along === 'sum' ? LANE : variable('j', 4));
    const other = (from: Index): Index => sum(scale(from, 4), along === 'sum' ? variable('j', 4) : LANE);
    const k = four(b.index('k4', div(uint('k'), u32(4)), readable.k / 4));
    const col = other(b.index('col4', div(uint('col'), u32(4)), readable.n / 4));
    const at = placeOf(layout, matrix.inputs === 0 ? [k, col] : [col, k]);
    b.return(load(buffer.name, buffer.element, at));
    return { along, function: { name: 'load_b4', params: LOAD_B, result: F32X4, body: b.stmts } };
  };
  return { ...cheapest(['result', 'sum'], make), readable };
}
