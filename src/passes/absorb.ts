/** A scale or shift of the channels right after a norm goes into the norm's own gain and shift: s·LN(g, h) + t = LN(s·g, s·h + t). */
import { dependsOnInput, factorOf } from '../ir/affine/parse.js';
import { make, rewriteFunc, users, withInputs } from '../ir/graph.js';
import { type Builder, makeBuilder } from '../ir/ops/builder.js';
import type { Func, Value } from '../ir/types.js';

type Norm = Extract<Value, { op: 'layer_norm' | 'batch_norm' | 'group_norm' }>;

const isNorm = (v: Value): v is Norm => v.op === 'layer_norm' || v.op === 'batch_norm' || v.op === 'group_norm';

/**
 * Only where nothing else reads the norm; otherwise it would be computed twice. With `keep`, only what an adapter added is absorbed.
 */
export function absorb(func: Func, layout: 'keep' | 'free'): Func {
  const readers = users(func);
  const results = new Set(func.results.map((r) => r.value));
  const b = makeBuilder(make);
  return rewriteFunc(func, (v, inputs) => {
    const kept = withInputs(v, inputs);
    if (layout === 'keep' && !v.origin?.scope) return kept;
    if (v.op !== 'mul' && v.op !== 'add' && v.op !== 'sub' && v.op !== 'div') return kept;
    const at = inputs.findIndex((x) => dependsOnInput(x));
    const norm = inputs[at];
    const before = v.inputs[at];
    if (!norm || !before || !isNorm(norm) || readers.get(before)!.length > 1 || results.has(before)) return kept;
    const by = inputs[1 - at]!;
    if (dependsOnInput(by) || (at === 1 && (v.op === 'sub' || v.op === 'div'))) return kept;
    if (norm.inputs.slice(1).some(dependsOnInput)) return kept;
    return absorbed(b, norm, v.op, by) ?? kept;
  });
}

function absorbed(b: Builder, norm: Norm, op: 'mul' | 'add' | 'sub' | 'div', by: Value): Value | undefined {
  const { shape } = norm.type;
  const axis = norm.op === 'layer_norm' ? shape.length - 1 : 1;
  const factor = factorOf(b, by, shape, axis);
  if (factor.kind === 'full') return undefined;
  const size = shape[axis]!;
  const along = b.broadcast(factor.value, [size]);
  const gain = norm.inputs[1] ?? b.constant(1, norm.type.dtype, [size]);
  const shift = norm.inputs[2];
  let pair: [Value, Value | undefined];
  if (op === 'mul') pair = [b.mul(gain, factor.value), shift && b.mul(shift, factor.value)];
  else if (op === 'div') pair = [b.div(gain, factor.value), shift && b.div(shift, factor.value)];
  else if (op === 'add') pair = [gain, shift ? b.add(shift, along) : along];
  else pair = [gain, shift ? b.sub(shift, along) : b.neg(along)];
  const vectors = pair.filter((x) => x !== undefined).map((x) => b.broadcast(x, [size]));
  const inputs = [norm.inputs[0]!, ...vectors, ...norm.inputs.slice(3)];
  if (norm.op === 'layer_norm') return make('layer_norm', inputs, norm.attrs, norm.origin);
  if (norm.op === 'group_norm') return make('group_norm', inputs, norm.attrs, norm.origin);
  return make('batch_norm', inputs, norm.attrs, norm.origin);
}
