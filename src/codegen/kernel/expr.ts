/** Constructors of expressions. A scalar beside a vector is spread over it; types are checked here, so that a wrong one shows where it is made. */
import { isBatch, parted, perSample } from '../../ir/batch.js';
import { HALF_MAX } from '../../ir/run/half.js';
import { dependsOn, type Index } from '../read/indexing.js';
import type { BinaryOp, Builtin, Collective, Expr, Lanes, Scalar, Type, UnaryOp } from './types.js';

export const F32: Type = { scalar: 'f32', lanes: 1 };
export const F32X4: Type = { scalar: 'f32', lanes: 4 };
export const U32: Type = { scalar: 'u32', lanes: 1 };
export const I32: Type = { scalar: 'i32', lanes: 1 };
export const BOOL: Type = { scalar: 'bool', lanes: 1 };

/** A number of the program. @throws RangeError for NaN, which has no literal in WGSL. */
export function literal(value: number, scalar: Scalar): Expr & { readonly kind: 'literal' } {
  if (Number.isNaN(value)) throw new RangeError('NaN has no literal in WGSL');
  return { kind: 'literal', scalar, lanes: 1, value };
}
/** The largest f32. */
export const F32_MAX = 3.4028234663852886e38;
/** What is written for a number: WGSL has no infinities, so they become the largest finite ones. -inf in an attention mask still gives a weight of exactly 0. */
export function written(value: number, scalar: 'f32' | 'f16'): number {
  const most = scalar === 'f32' ? F32_MAX : HALF_MAX;
  return Math.max(-most, Math.min(most, value));
}

/** A number of the kernel. A size that holds the batch, or a number made of one (`m - 1`), is `size`: no kernel for a batch takes it for a number. */
function whole(value: number, scalar: 'u32' | 'i32'): Expr {
  const number = literal(value, scalar);
  return isBatch(value) || isBatch(value + 1) ? { ...number, ofBatch: true } : number;
}
export const u32 = (value: number): Expr => whole(value, 'u32');
export const i32 = (value: number): Expr => whole(value, 'i32');
export const f32 = (value: number): Expr => literal(value, 'f32');

export function name(text: string, type: Type): Expr {
  return { kind: 'name', name: text, scalar: type.scalar, lanes: type.lanes };
}
export const uint = (text: string): Expr => name(text, U32);

/** The name of the uniform that says how many samples a dispatch works on. */
export const SAMPLES = 'samples';

/** A size, as shapes have it: a number, or so many times the samples. */
export function size(value: number): Expr {
  if (!isBatch(value)) return u32(value);
  const each = perSample(value);
  return each === 1 ? uint(SAMPLES) : mul(uint(SAMPLES), u32(each));
}

/** The last index along an axis of a size. */
export const last = (value: number): Expr => (isBatch(value) ? sub(size(value), u32(1)) : u32(value - 1));

/** The number that an index is, as an expression. @throws Error if it still depends on the lane. */
export function address(index: Index): Expr {
  if (dependsOn(index, 'lane')) throw new Error('an index that still depends on the lane has no scalar expression');
  const { terms, constant } = index;
  return terms.length === 0 && constant >= 0 && parted(constant).times === 0
    ? u32(constant)
    : { kind: 'address', scalar: 'u32', lanes: 1, index };
}

export function below(index: Index, end: number): Expr {
  return { kind: 'below', scalar: 'bool', lanes: 1, index, below: end };
}

/** The value in every element; a vector of that length is what it is. */
export function splat(x: Expr, lanes: Lanes): Expr {
  if (x.lanes === lanes) return x;
  if (x.lanes !== 1) throw new TypeError(`a vector of ${x.lanes} is none of ${lanes}`);
  return { kind: 'splat', scalar: x.scalar, lanes, x };
}

function together(parts: readonly Expr[], what: string): { lanes: Lanes; parts: Expr[] } {
  const lanes = Math.max(...parts.map((p) => p.lanes)) as Lanes;
  const scalar = parts[0]!.scalar;
  if (parts.some((p) => p.scalar !== scalar)) {
    throw new TypeError(`${what} of ${parts.map((p) => p.scalar).join(' and ')}`);
  }
  return { lanes, parts: parts.map((p) => splat(p, lanes)) };
}

const COMPARES: ReadonlySet<BinaryOp> = new Set(['<', '<=', '>', '>=', '==', '!=']);

export function binary(op: BinaryOp, a: Expr, b: Expr): Expr {
  if (op === '<<' || op === '>>') return shifted(op, a, b);
  const { lanes, parts } = together([a, b], op);
  const scalar = COMPARES.has(op) ? 'bool' : a.scalar;
  return { kind: 'binary', scalar, lanes, op, a: parts[0]!, b: parts[1]! };
}
/** Whatever is shifted, it is by u32. */
function shifted(op: '<<' | '>>', a: Expr, b: Expr): Expr {
  if (b.scalar !== 'u32') throw new TypeError(`a shift by ${b.scalar}`);
  const lanes = Math.max(a.lanes, b.lanes) as Lanes;
  return { kind: 'binary', scalar: a.scalar, lanes, op, a: splat(a, lanes), b: splat(b, lanes) };
}
export const add = (a: Expr, b: Expr): Expr => binary('+', a, b);
export const sub = (a: Expr, b: Expr): Expr => binary('-', a, b);
export const mul = (a: Expr, b: Expr): Expr => binary('*', a, b);
export const div = (a: Expr, b: Expr): Expr => binary('/', a, b);
export const rem = (a: Expr, b: Expr): Expr => binary('%', a, b);
export const lt = (a: Expr, b: Expr): Expr => binary('<', a, b);
export const eq = (a: Expr, b: Expr): Expr => binary('==', a, b);

/** All of them; undefined where there are none. */
export function all(conditions: readonly Expr[]): Expr | undefined {
  return conditions.reduce<Expr | undefined>((a, b) => (a ? binary('&&', a, b) : b), undefined);
}

export function unary(op: UnaryOp, x: Expr): Expr {
  return { kind: 'unary', scalar: x.scalar, lanes: x.lanes, op, x };
}

/** abs, max, fma, ...: arguments and result of one type. */
export function builtin(
  fn: Exclude<Builtin, 'select' | 'dot' | 'unpack2x16float' | 'pack2x16float'>,
  ...args: readonly Expr[]
): Expr {
  const { lanes, parts } = together(args, fn);
  return { kind: 'builtin', scalar: args[0]!.scalar, lanes, fn, args: parts };
}

export const exp = (x: Expr): Expr => builtin('exp', x);
export const max = (...args: readonly Expr[]): Expr => builtin('max', ...args);
export const min = (...args: readonly Expr[]): Expr => builtin('min', ...args);

export function select(no: Expr, yes: Expr, when: Expr): Expr {
  const { lanes, parts } = together([no, yes], 'select');
  const width = Math.max(lanes, when.lanes) as Lanes;
  const [n, y] = parts.map((p) => splat(p, width)) as [Expr, Expr];
  // One condition for all elements is a scalar.
  const condition = when.lanes === 1 ? when : splat(when, width);
  return { kind: 'builtin', scalar: no.scalar, lanes: width, fn: 'select', args: [n, y, condition] };
}

export function dot(a: Expr, b: Expr): Expr {
  const { parts } = together([a, b], 'dot');
  return { kind: 'builtin', scalar: a.scalar, lanes: 1, fn: 'dot', args: parts };
}

/** Two halves of a word as f32. */
export function unpackHalves(x: Expr): Expr {
  return { kind: 'builtin', scalar: 'f32', lanes: 2, fn: 'unpack2x16float', args: [x] };
}

/** Two f32 as the halves of a word. */
export function packHalves(x: Expr): Expr {
  return { kind: 'builtin', scalar: 'u32', lanes: 1, fn: 'pack2x16float', args: [x] };
}

export function call(fn: string, result: Type, args: readonly Expr[]): Expr {
  return { kind: 'call', scalar: result.scalar, lanes: result.lanes, fn, args };
}

export function convert(x: Expr, scalar: Scalar): Expr {
  return x.scalar === scalar ? x : { kind: 'convert', scalar, lanes: x.lanes, x };
}

/** The same bits as another type of 32. */
export function bitcast(x: Expr, scalar: 'f32' | 'i32' | 'u32'): Expr {
  return { kind: 'bitcast', scalar, lanes: x.lanes, x };
}

export function vector(...parts: readonly Expr[]): Expr {
  const lanes = parts.reduce((sum: number, p) => sum + p.lanes, 0) as Lanes;
  return { kind: 'vector', scalar: parts[0]!.scalar, lanes, parts };
}

/** One element of a vector; of a scalar, itself. */
export function component(x: Expr, at: number | Expr): Expr {
  return x.lanes === 1 ? x : { kind: 'component', scalar: x.scalar, lanes: 1, x, at };
}

export function item(array: string, type: Type, at: Expr): Expr {
  return { kind: 'item', scalar: type.scalar, lanes: type.lanes, array, at };
}

export function fetch(buffer: string, type: Type, at: Expr, speculative = false): Expr {
  return { kind: 'fetch', scalar: type.scalar, lanes: type.lanes, buffer, at, speculative };
}

export function load(buffer: string, scalar: Scalar, at: Index, speculative = false): Expr {
  return { kind: 'load', scalar, lanes: dependsOn(at, 'lane') ? 4 : 1, buffer, at, speculative };
}

export function collective(op: Collective, x: Expr, lane?: Expr): Expr {
  return { kind: 'collective', scalar: x.scalar, lanes: x.lanes, op, x, ...(lane ? { lane } : {}) };
}

/** 0, 1, 2, 3 */
export const LANES: Expr = vector(u32(0), u32(1), u32(2), u32(3));
