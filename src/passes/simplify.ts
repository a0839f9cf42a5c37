/**
 * Algebra that never changes what runs for the worse: identities, layout operators that cancel, constants computed now, equal
 * expressions made one. Each rule has a name; `RULES` is the whole list.
 */

import { adaptersOf } from '../ir/about.js';
import { joinRows } from '../ir/affine/matrix.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { mapRoots, rewriteValues, rootsOf, withInputs } from '../ir/graph.js';
import { Interner } from '../ir/intern.js';
import type { OpDef } from '../ir/ops/define.js';
import { OP_NAMES, OPS } from '../ir/ops/index.js';
import { sameShape, tryBroadcast } from '../ir/ops/shapes.js';
import { tensor } from '../ir/run/tensor.js';
import type { Func, OpName, Value } from '../ir/types.js';
import { lifted } from './lift.js';
import { Equals } from './owners.js';
import { overFunc, type Pass } from './pass.js';
import type { Tools } from './values.js';
import { withAbout } from './values.js';

interface Rule {
  readonly name: string;
  readonly ops: readonly OpName[];
  /** What the value equals, or undefined where the rule does not apply. Operands are simplified already. */
  apply(v: Value, t: Tools): Value | undefined;
}

const isConstant = (v: Value | undefined, value: number): boolean => v?.op === 'constant' && v.attrs.value === value;

/** `x` if `other`, joined with it, would not have changed its shape. */
const alone = (x: Value, v: Value): Value | undefined =>
  sameShape(x.type.shape, v.type.shape) && x.type.dtype === v.type.dtype ? x : undefined;

/** An adapter's operator and the model's do not become one: the model's has to be found in its place. */
const sameOwner = (v: Value, x: Value): boolean => adaptersOf(v.about).join() === adaptersOf(x.about).join();

/** Folding a constant of many elements would make the interpreter's work the compiler's; uniform ones are one element. */
function foldUniform(v: Value, t: Tools): Value | undefined {
  if (v.inputs.length === 0 || !v.inputs.every((x) => x.op === 'constant')) return undefined;
  if (v.type.dtype !== 'f32' && v.type.dtype !== 'f16') return undefined;
  const def = OPS[v.op] as OpDef<OpName>;
  if (!def.reference) return undefined;
  const inputs = v.inputs.map((x) => tensor([], [x.op === 'constant' ? x.attrs.value : 0], x.type.dtype));
  const value = def.reference(inputs, v.attrs, { dtype: v.type.dtype, shape: [] }).data[0]!;
  if (!Number.isFinite(value)) return undefined;
  return t.make('constant', [], { value, dtype: v.type.dtype, shape: v.type.shape });
}

const POINTWISE = OP_NAMES.filter((op) => OPS[op].traits.pointwise);

const RULES: readonly Rule[] = [
  {
    name: 'add-zero',
    ops: ['add'],
    apply(v) {
      const [x, y] = v.inputs as [Value, Value];
      if (isConstant(y, 0)) return alone(x, v);
      return isConstant(x, 0) ? alone(y, v) : undefined;
    },
  },
  {
    name: 'subtract-zero',
    ops: ['sub'],
    apply: (v) => (isConstant(v.inputs[1], 0) ? alone(v.inputs[0]!, v) : undefined),
  },
  {
    name: 'multiply-by-one',
    ops: ['mul'],
    apply(v) {
      const [x, y] = v.inputs as [Value, Value];
      if (isConstant(y, 1)) return alone(x, v);
      return isConstant(x, 1) ? alone(y, v) : undefined;
    },
  },
  {
    name: 'divide-by-one',
    ops: ['div'],
    apply: (v) => (isConstant(v.inputs[1], 1) ? alone(v.inputs[0]!, v) : undefined),
  },
  {
    name: 'negate-twice',
    ops: ['neg'],
    apply: (v) => (v.inputs[0]!.op === 'neg' && sameOwner(v, v.inputs[0]!) ? v.inputs[0]!.inputs[0] : undefined),
  },
  {
    name: 'constant-fold',
    ops: POINTWISE.filter((op) => !OPS[op].traits.erased),
    apply: foldUniform,
  },
  {
    name: 'multiply-constants-first',
    ops: ['mul'],
    apply(v, { b }) {
      const [x, y] = v.inputs as [Value, Value];
      if (y.op !== 'constant' || y.type.shape.length > 0 || x.op !== 'mul' || !sameOwner(v, x)) return undefined;
      const [inner, factor] = x.inputs as [Value, Value];
      if (factor.op !== 'constant' || factor.type.shape.length > 0) return undefined;
      return b.mul(inner, factor.attrs.value * y.attrs.value);
    },
  },
  {
    name: 'cast-to-same',
    ops: ['cast'],
    apply: (v) => (v.inputs[0]!.type.dtype === v.type.dtype ? v.inputs[0] : undefined),
  },
  {
    // Whatever the filter, a place of the result is one of x, and its neighbours have no weight.
    name: 'resize-to-same',
    ops: ['resize'],
    apply: (v) => alone(v.inputs[0]!, v),
  },
  {
    name: 'reshape-chain',
    ops: ['reshape'],
    apply(v, { b }) {
      const x = v.inputs[0]!;
      if (sameShape(x.type.shape, v.type.shape)) return x;
      return x.op === 'reshape' ? b.reshape(x, v.type.shape) : undefined;
    },
  },
  {
    name: 'transpose-chain',
    ops: ['transpose'],
    apply(v, { b }) {
      if (v.op !== 'transpose') return undefined;
      const x = v.inputs[0]!;
      if (v.attrs.perm.every((a, i) => a === i)) return x;
      return x.op === 'transpose' ? b.transpose(x, v.attrs.perm) : undefined;
    },
  },
  {
    name: 'broadcast-chain',
    ops: ['broadcast'],
    apply(v, { b }) {
      const x = v.inputs[0]!;
      if (sameShape(x.type.shape, v.type.shape)) return x;
      if (x.op === 'broadcast') return b.broadcast(x.inputs[0]!, v.type.shape);
      return x.op === 'constant' ? b.constant(x.attrs.value, x.attrs.dtype, v.type.shape) : undefined;
    },
  },
  {
    name: 'broadcast-into-pointwise',
    ops: POINTWISE.filter((op) => OPS[op].operands.length === 2),
    apply(v, { make }) {
      const at = v.inputs.findIndex((x) => x.op === 'broadcast');
      if (at < 0) return undefined;
      const thin = v.inputs[at]!.inputs[0]!;
      const other = v.inputs[1 - at]!;
      const both = tryBroadcast(thin.type.shape, other.type.shape);
      if (!both || !sameShape(both, v.type.shape)) return undefined;
      return make(v.op, at === 0 ? [thin, other] : [other, thin], v.attrs);
    },
  },
  {
    name: 'slice-whole',
    ops: ['slice'],
    apply: (v) => (sameShape(v.type.shape, v.inputs[0]!.type.shape) ? v.inputs[0] : undefined),
  },
  {
    name: 'slice-of-slice',
    ops: ['slice'],
    apply(v, { b }) {
      const x = v.inputs[0]!;
      if (v.op !== 'slice' || x.op !== 'slice') return undefined;
      const shift = (list: readonly number[]): number[] => list.map((n, i) => n + x.attrs.start[i]!);
      return b.slice(x.inputs[0]!, shift(v.attrs.start), shift(v.attrs.end));
    },
  },
  {
    // Only of parameters: cutting a fused layer's result apart would undo the fusion.
    name: 'slice-of-concat',
    ops: ['slice'],
    apply(v, { b }) {
      const x = v.inputs[0]!;
      if (v.op !== 'slice' || x.op !== 'concat' || dependsOnInput(x)) return undefined;
      const { axis } = x.attrs;
      let top = 0;
      for (const part of x.inputs) {
        const size = part.type.shape[axis]!;
        const from = v.attrs.start[axis]! - top;
        const to = v.attrs.end[axis]! - top;
        if (from >= 0 && to <= size) {
          const move = (list: readonly number[], n: number): number[] => list.map((d, i) => (i === axis ? n : d));
          return b.slice(part, move(v.attrs.start, from), move(v.attrs.end, to));
        }
        top += size;
      }
      return undefined;
    },
  },
  {
    name: 'concat-of-neighbours',
    ops: ['concat'],
    apply(v, { b }) {
      if (v.op !== 'concat') return undefined;
      if (v.inputs.length === 1) return v.inputs[0];
      if (v.attrs.axis !== 0 || dependsOnInput(v)) return undefined;
      const joined = joinRows(b, v.inputs);
      return joined.op === 'concat' && joined.inputs.length === v.inputs.length ? undefined : joined;
    },
  },
  {
    name: 'pad-nothing',
    ops: ['pad'],
    apply: (v) => (sameShape(v.type.shape, v.inputs[0]!.type.shape) ? v.inputs[0] : undefined),
  },
  {
    name: 'roll-nothing',
    ops: ['roll'],
    apply: (v) => (v.op === 'roll' && v.attrs.shifts.every((n) => n === 0) ? v.inputs[0] : undefined),
  },
  {
    // One way to write a layer, so that everything after this knows one.
    name: 'multiply-and-sum-is-linear',
    ops: ['reduce_sum'],
    apply(v, { b }) {
      const product = v.inputs[0]!;
      if (v.op !== 'reduce_sum' || product.op !== 'mul' || v.attrs.axes.length !== 1) return undefined;
      const [first, second] = product.inputs as [Value, Value];
      const [x, constant] = dependsOnInput(first) ? [first, second] : [second, first];
      if (!dependsOnInput(x) || dependsOnInput(constant) || v.type.dtype !== 'f32') return undefined;
      const { shape } = product.type;
      const aligned = (y: Value): number[] => [
        ...new Array<number>(shape.length - y.type.shape.length).fill(1),
        ...y.type.shape,
      ];
      const [over] = v.attrs.axes as [number];
      const wide = aligned(constant).flatMap((d, i) => (d > 1 && i !== over ? [i] : []));
      const [out] = wide;
      if (out === undefined || wide.length > 1 || aligned(x)[out] !== 1) return undefined;
      if (aligned(x)[over] !== shape[over] || aligned(constant)[over] !== shape[over]) return undefined;
      const tokens = shape.map((_, i) => i).filter((i) => i !== out && i !== over);
      const rows = b.reshape(b.transpose(b.reshape(x, aligned(x)), [...tokens, out, over]), [
        ...tokens.map((i) => aligned(x)[i]!),
        shape[over]!,
      ]);
      const matrix = b.reshape(constant, out < over ? [shape[out]!, shape[over]!] : [shape[over]!, shape[out]!]);
      const y = b.linear(rows, out < over ? matrix : b.transpose(matrix));
      const order = [...tokens, out];
      const left = shape.map((_, i) => i).filter((i) => i !== over);
      return b.reshape(
        b.transpose(
          y,
          left.map((i) => order.indexOf(i)),
        ),
        v.type.shape,
      );
    },
  },
  {
    // One way to write a layer, so that everything after this knows one.
    name: 'matmul-by-transpose-is-linear',
    ops: ['matmul'],
    apply(v, { b }) {
      const [x, right] = v.inputs as [Value, Value];
      if (!dependsOnInput(x) || dependsOnInput(right) || right.op !== 'transpose' || right.type.shape.length !== 2) {
        return undefined;
      }
      return b.linear(x, right.inputs[0]!);
    },
  },
  {
    name: 'reverse-nothing',
    ops: ['reverse'],
    apply: (v) => (v.op === 'reverse' && v.attrs.axes.length === 0 ? v.inputs[0] : undefined),
  },
  {
    // Where indices are known before the input is, so is their order: it can be computed with the weights, once.
    name: 'scatter-in-known-order',
    ops: ['scatter_add'],
    apply: (v, { b }) =>
      v.op === 'scatter_add' && dependsOnInput(v) && !dependsOnInput(v.inputs[1]!)
        ? OPS.scatter_add.decompose!(b, v.inputs, v.attrs)
        : undefined,
  },
  { name: 'broadcast-outwards', ops: OP_NAMES, apply: lifted },
];

const BY_OP = new Map<OpName, readonly Rule[]>(
  [...new Set(RULES.flatMap((r) => r.ops))].map((op) => [op, RULES.filter((r) => r.ops.includes(op))]),
);

/** How often one place may be rewritten; every rule makes its value smaller, so this is never reached. */
const BOUND = 100;

export function simplified(func: Func): Func {
  const equals = new Equals();
  const interner = new Interner(equals.note);
  const image = rewriteValues(rootsOf(func), (v, inputs) => {
    let value = interner.seed(withInputs(v, inputs));
    for (let n = 0; n < BOUND; n++) {
      const tools = withAbout(interner, v.about);
      let next: Value | undefined;
      for (const rule of BY_OP.get(value.op) ?? []) {
        next = rule.apply(value, tools);
        if (next) break;
      }
      if (!next || next === value) break;
      value = next;
    }
    return value;
  });
  const roots = rootsOf(func);
  const settled = equals.settled(roots.map(image));
  const images = new Map(roots.map((root, i) => [root, settled[i]!]));
  return mapRoots(func, (root) => images.get(root)!);
}

const run = overFunc(simplified);

export const simplify: Pass = {
  name: 'simplify',
  doc: 'Identities, layouts that cancel, constants and equal expressions.',
  run,
};

/** The same again, for what merging and factoring left. */
export const tidy: Pass = { name: 'tidy', doc: 'The same rules again, over what the passes before it made.', run };
