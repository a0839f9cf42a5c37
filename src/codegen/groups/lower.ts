/**
 * Before fusion: composites without a kernel of their own become others, long sums are split, equal values become one, what cannot be generated is
 * refused.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { build } from '../../ir/build.js';
import { make, rewriteFunc, rootsOf, topological, withInputs } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import type { OpDef } from '../../ir/ops/define.js';
import { auxOf, isDeclared, OPS, traitsOf } from '../../ir/ops/index.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { Func, OpName, Value } from '../../ir/types.js';
import { TILE_N, tiles } from '../buffers/layout.js';
import { packedBytes } from '../buffers/pack.js';
import { type PackingLimits, weightMatrix } from '../buffers/weight-matrix.js';
import { placeOf } from '../place.js';
import { isLowered } from '../read/rules.js';
import { type SplitOptions, splitSums } from './split-sums.js';

/** At most this many parts go into one concat, so that a kernel that only concatenates keeps within eight buffers. */
const MOST_PARTS = 6;

function concat(v: Extract<Value, { op: 'concat' }>, inputs: readonly Value[]): Value {
  let parts = [...inputs];
  while (parts.length > MOST_PARTS) {
    const joined: Value[] = [];
    for (let i = 0; i < parts.length; i += MOST_PARTS) {
      const some = parts.slice(i, i + MOST_PARTS);
      joined.push(some.length === 1 ? some[0]! : make('concat', some, v.attrs, v.about));
    }
    parts = joined;
  }
  return parts.length === inputs.length ? withInputs(v, inputs) : make('concat', parts, v.attrs, v.about);
}

/** A slice of one part of a concat is a slice of that part: the parts then need not be copied together. */
function slice(v: Extract<Value, { op: 'slice' }>, inputs: readonly Value[]): Value {
  const whole = inputs[0]!;
  if (whole.op !== 'concat') return withInputs(v, inputs);
  const { axis } = whole.attrs;
  let begin = 0;
  for (const part of whole.inputs) {
    const end = begin + part.type.shape[axis]!;
    if (v.attrs.start[axis]! >= begin && v.attrs.end[axis]! <= end) {
      const move = (at: readonly number[]): number[] => at.map((n, i) => (i === axis ? n - begin : n));
      return build.slice(part, move(v.attrs.start), move(v.attrs.end), v.about);
    }
    begin = end;
  }
  return withInputs(v, inputs);
}

/**
 * A product whose packed weight no binding holds becomes several, each with some of the outputs, which are put together again. The
 * slices are views of the parameter, so each is packed and bound by itself.
 */
function cutOutputs(v: Value, limits: PackingLimits): Value {
  if (!weightMatrix(v)) return v;
  const weight = v.inputs[1]!;
  // Where the outputs are in the weight and in the result.
  const from = v.op === 'matmul' ? weight.type.shape.length - 1 : 0;
  const to = traitsOf(v).channels === 'second' ? 1 : v.type.shape.length - 1;
  const n = weight.type.shape[from]!;
  const k = sizeOf(weight.type.shape) / n;
  const rows = Math.floor(limits.binding / packedBytes(tiles([TILE_N, k], 0), limits.weights)) * TILE_N;
  if (rows >= n || rows === 0) return v;
  const parts: Value[] = [];
  for (let at = 0; at < n; at += rows) {
    const end = Math.min(n, at + rows);
    const [x, , ...bias] = v.inputs as [Value, Value, ...Value[]];
    const inputs = [x, build.sliceAxis(weight, from, at, end), ...bias.map((b) => build.sliceAxis(b, 0, at, end))];
    parts.push(make(v.op, inputs, v.attrs as never, v.about));
  }
  const joined = make('concat', parts, { axis: to }, v.about);
  return concat(joined as Extract<Value, { op: 'concat' }>, parts);
}

/** Other results of operators without kernels, while these stand there. */
function others(v: Value, inputs: readonly Value[]): Value {
  const owner = inputs[0];
  if (v.op !== 'aux' || !owner || !isLowered(owner)) return withInputs(v, inputs);
  return auxOf(owner, v.attrs.output)!.decompose!(build, owner.inputs, owner.attrs);
}

export interface LowerOptions extends SplitOptions {
  /** The function computes weights of others, which could be done on the CPU. */
  readonly prepares?: boolean;
}

/** The function without operators that have no kernel: each is what it means, and so is what that is made of. */
function decomposed(func: Func, options: LowerOptions): Func {
  const plain = rewriteFunc(rewriteFunc(func, others), (v, inputs) => {
    if (!isLowered(v)) return withInputs(v, inputs);
    const { decompose } = OPS[v.op] as unknown as OpDef<OpName>;
    if (!decompose) {
      const code = options.prepares ? 'ESP0610' : 'ESP0601';
      throw new EspalierError([diagnostic(code, { operator: v.op }, placeOf(v))]);
    }
    return decompose(build, inputs, v.attrs);
  });
  return topological(rootsOf(plain)).some(isLowered) ? decomposed(plain, options) : plain;
}

/** Layouts as kernels read them most easily. */
function eased(v: Value, inputs: readonly Value[], options: SplitOptions): Value {
  if (v.op === 'concat') return concat(v, inputs);
  return v.op === 'slice' ? slice(v, inputs) : cutOutputs(withInputs(v, inputs), options);
}

/**
 * The function in terms of operators that kernels are written for.
 * @throws EspalierError (ESP0601, of weights ESP0610) for an operator that no kernel computes.
 */
export function lower(func: Func, options: LowerOptions): Func {
  const plain = rewriteFunc(decomposed(func, options), (v, inputs) => eased(v, inputs, options));
  const merged = mergeEqual(splitSums(plain, options));
  // A value that is two results of the function is stored twice: the second time as a copy. So is a parameter that a state becomes.
  const seen = new Set<Value>();
  const once = (value: Value, leaf: boolean): Value => {
    const copied = seen.has(value) || (leaf && isDeclared(value));
    const copy = copied ? make('reshape', [value], { shape: value.type.shape }, value.about) : value;
    seen.add(copy);
    return copy;
  };
  const results = merged.results.map(({ name, value }) => ({ name, value: once(value, false) }));
  const updates = merged.updates.map(({ state, value }) => ({ state, value: once(value, true) }));
  return { ...merged, results, updates };
}

/** Values with the same operator, operands and attributes become one. */
function mergeEqual(func: Func): Func {
  const interner = new Interner();
  return rewriteFunc(func, (v, inputs) => interner.seed(withInputs(v, inputs)));
}
