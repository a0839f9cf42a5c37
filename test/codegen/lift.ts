/**
 * A graph over a batch of what it was over: every input gets an axis in front for the samples, and each sample goes through as it did alone. So any
 * graph tells what the same graph must give for several samples, operator by operator.
 */
import { BATCH, hasBatch } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { make, topological, withInputs } from '../../src/ir/graph.js';
import { OPS } from '../../src/ir/ops/index.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { OpName, Tensor, Value } from '../../src/ir/types.js';
import { Model } from './harness.js';

/** A model over the batch, and what must come out for its arguments. */
export interface Lifted {
  readonly model: Model;
  readonly results: readonly Value[];
  readonly expected: readonly Tensor[];
}

/** Operators that work along axes from the first: their first axis and the batch become one. */
const JOINED: ReadonlySet<OpName> = new Set([
  'conv2d',
  'conv2d_transpose',
  'attention',
  'batch_norm',
  'group_norm',
  'resize',
]);
/** Operands of these that only some rule could lift. */
const ALONE: ReadonlySet<OpName> = new Set(['kron', 'conv2d_weight', 'solve', 'batch_size', 'random_bits']);

/** The same model over `samples` samples; undefined where an operator has no rule here, or nothing depends on an input. */
export function lifted(model: Model, results: readonly Value[], samples: number, seed = 1): Lifted | undefined {
  if (model.inputs.some((v) => hasBatch(v.type.shape))) return undefined;
  const batched = new Model(seed, samples);
  for (const [name, p] of model.params) batched.params.set(name, p);
  for (const [name, t] of model.data) batched.data.set(name, t);
  const each: Map<string, Tensor>[] = Array.from({ length: samples }, () => new Map());
  const images = new Map<Value, Value>();
  const isLifted = new Set<Value>();
  for (const v of topological([...model.inputs, ...results])) {
    if (v.op === 'input') {
      const { dtype, shape } = v.type;
      const first = model.arguments.get(v.attrs.name)!;
      // The first sample is what the test had; the others hold the same numbers elsewhere, so that they suit the operators too.
      const all = each.map((_, i) => shuffled(first, i));
      for (const [i, args] of each.entries()) args.set(v.attrs.name, all[i]!);
      const data = new (first.data.constructor as Float64ArrayConstructor)(samples * sizeOf(shape));
      for (const [i, t] of all.entries()) data.set(t.data as Float64Array, i * sizeOf(shape));
      images.set(v, batched.input([BATCH, ...shape], dtype, tensor([samples, ...shape], data, dtype)));
      isLifted.add(v);
      continue;
    }
    const inputs = v.inputs.map((x) => images.get(x)!);
    if (!v.inputs.some((x) => isLifted.has(x))) {
      images.set(v, withInputs(v, inputs));
      continue;
    }
    const made = ALONE.has(v.op)
      ? undefined
      : rule(
          v,
          v.inputs.map((x, i) => ({ x, image: inputs[i]!, lifted: isLifted.has(x) })),
        );
    if (!made) return undefined;
    images.set(v, made);
    isLifted.add(v);
  }
  if (!results.some((v) => isLifted.has(v))) return undefined;
  const kept = results.filter((v) => isLifted.has(v));
  const module = model.module(...kept);
  const params = (name: string): Tensor => model.data.get(name)!;
  const runs = each.map((inputs) => [...interpret(module, 'infer', { inputs, params }).values()]);
  const expected = kept.map((v, i) => {
    const parts = runs.map((r) => r[i]!);
    const data = new (parts[0]!.data.constructor as Float64ArrayConstructor)(samples * sizeOf(v.type.shape));
    for (const [j, t] of parts.entries()) data.set(t.data as Float64Array, j * sizeOf(v.type.shape));
    return tensor([samples, ...v.type.shape], data, v.type.dtype);
  });
  return { model: batched, results: kept.map((v) => images.get(v)!), expected };
}

/** The elements in another order for each `by`. */
function shuffled({ type, data }: Tensor, by: number): Tensor {
  const moved = data.slice();
  for (let i = 0; i < data.length; i++) moved[i] = data[(i + by) % data.length]!;
  return tensor(type.shape, moved, type.dtype);
}

interface Operand {
  /** As it was, and over the batch if it is lifted. */
  readonly x: Value;
  readonly image: Value;
  readonly lifted: boolean;
}

/** The operand with the batch in front of `rank` axes. */
function toRank({ x, image, lifted: is }: Operand, rank: number): Value {
  const { shape } = x.type;
  if (!is || shape.length === rank) return image;
  return build.reshape(image, [BATCH, ...new Array<number>(rank - shape.length).fill(1), ...shape]);
}

/** The operand repeated for every sample, if it is not lifted. */
const repeated = ({ x, image, lifted: is }: Operand): Value =>
  is ? image : build.broadcast(image, [BATCH, ...x.type.shape]);

const joined = (v: Value): Value => {
  const [, first, ...rest] = v.type.shape as [number, number, ...number[]];
  return build.reshape(v, [BATCH * first, ...rest]);
};

function rule(v: Value, operands: readonly Operand[]): Value | undefined {
  const only = operands[0]!;
  const x = only.image;
  const rank = v.type.shape.length;
  if (OPS[v.op].traits.pointwise) {
    const widest = Math.max(...operands.map((o) => o.x.type.shape.length));
    return make(
      v.op,
      operands.map((o) => toRank(o, widest)),
      v.attrs,
    );
  }
  if (JOINED.has(v.op)) {
    const own = operands.map((o, i): Value => {
      if (v.op !== 'attention') return i === 0 ? joined(o.image) : o.image;
      if (i < 3) return joined(repeated(o));
      // Factors of the bias, over every score.
      const scores = [...v.type.shape.slice(0, 3), operands[1]!.x.type.shape[2]!];
      return joined(build.broadcast(o.lifted ? toRank(o, 4) : o.image, [BATCH, ...scores]));
    });
    if (v.op !== 'attention' && operands.slice(1).some((o) => o.lifted)) return undefined;
    return build.reshape(make(v.op, own, v.attrs), [BATCH, ...v.type.shape]);
  }
  switch (v.op) {
    case 'reshape':
      return build.reshape(x, [BATCH, ...v.attrs.shape]);
    case 'transpose':
      return build.transpose(x, [0, ...v.attrs.perm.map((p) => p + 1)]);
    case 'broadcast':
      return build.broadcast(toRank(only, rank), [BATCH, ...v.attrs.shape]);
    case 'slice':
      return build.slice(x, [0, ...v.attrs.start], [BATCH, ...v.attrs.end]);
    case 'concat':
      return build.concat(operands.map(repeated), v.attrs.axis + 1);
    case 'pad':
      return build.pad(x, [0, ...v.attrs.low], [0, ...v.attrs.high], v.attrs.value);
    case 'roll':
      return build.roll(
        x,
        v.attrs.shifts,
        v.attrs.axes.map((a) => a + 1),
      );
    case 'gather':
      return operands[1]!.lifted ? undefined : build.gather(x, operands[1]!.image, v.attrs.axis + 1);
    case 'reverse':
      return build.reverse(
        x,
        v.attrs.axes.map((a) => a + 1),
      );
    case 'argsort':
      return build.argsort(x);
    case 'merge_order':
      return build.mergeOrder(repeated(only), repeated(operands[1]!), v.attrs.run);
    case 'searchsorted':
      return only.lifted ? undefined : make(v.op, [only.image, operands[1]!.image], v.attrs);
    case 'segment_sum':
      return operands[1]!.lifted ? undefined : build.segmentSum(x, operands[1]!.image, v.attrs.axis + 1);
    case 'scatter_add': {
      const { axis, size } = v.attrs;
      return operands[1]!.lifted ? undefined : build.scatterAdd(x, operands[1]!.image, axis + 1, size);
    }
    case 'reduce_sum':
    case 'reduce_mean':
    case 'reduce_max':
      return make(v.op, [x], { ...v.attrs, axes: v.attrs.axes.map((a) => a + 1) });
    case 'argmax':
    case 'softmax':
      return make(v.op, [x], { axis: v.attrs.axis + 1 });
    case 'top_k':
      return make(v.op, [x], v.attrs);
    case 'layer_norm':
      return operands.slice(1).some((o) => o.lifted)
        ? undefined
        : make(
            v.op,
            operands.map((o) => o.image),
            v.attrs,
          );
    case 'linear':
      return operands.slice(1).some((o) => o.lifted)
        ? undefined
        : make(
            v.op,
            operands.map((o) => o.image),
            {},
          );
    case 'matmul': {
      const widest = Math.max(...operands.map((o) => o.x.type.shape.length));
      return build.matmul(toRank(only, widest), toRank(operands[1]!, widest));
    }
    case 'aux': {
      // The operator of a joined batch stands below the reshape that parts it.
      const owner = x.op === 'reshape' ? x.inputs[0]! : x;
      return build.reshape(build.aux(owner, v.attrs.output), [BATCH, ...v.type.shape]);
    }
    default:
      return undefined;
  }
}
