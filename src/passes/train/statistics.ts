/**
 * BatchNorm in a training step (arXiv 1502.03167). Where its running averages are trained with the model (parameters of role `statistic`), a step normalises by
 * the mean and the variance of its own batch, through which gradients flow, and moves the averages to them. Inference, and the loss on validation data, read
 * the averages. Where they are frozen, a step reads them too.
 *
 * This stands before every other pass: what is left out because nobody reads it would be left out of the batch's mean.
 */
import { isBatch, perSample } from '../../ir/batch.js';
import { build } from '../../ir/build.js';
import { constant, paramRef, rewriteFunc, withInputs } from '../../ir/graph.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { Func, Module, Param, Update, Value, ValueOf } from '../../ir/types.js';

/** Parameters of the module that a step moves to what its batch has. */
export const statisticsOf = ({ params }: Pick<Module, 'params'>): Param[] =>
  [...params.values()].filter((p) => p.role === 'statistic');

/** The function as a step computes it, with the updates of the statistics that it reads; itself where there are none. */
export function followBatch(func: Func, module: Pick<Module, 'params'>): Func {
  const followed = new Map<string, Value>();
  const statistic = (v: Value): Param | undefined => {
    const param = v.op === 'param' ? module.params.get(v.attrs.name) : undefined;
    return param?.role === 'statistic' ? param : undefined;
  };
  // Of a norm that is applied twice the second application goes on from where the first one left off.
  const move = (param: Param, to: Value): void => {
    const before = followed.get(param.name) ?? paramRef(param);
    followed.set(param.name, build.add(before, build.mul(build.sub(to, before), param.momentum!)));
  };
  const inner = rewriteFunc(func, (v, inputs) => {
    const own = v.op === 'batch_norm' ? v.inputs.slice(3).map(statistic) : [];
    const [mean, variance] = own;
    if (v.op !== 'batch_norm' || !mean || !variance) return withInputs(v, inputs);
    const batch = batchNorm(v, inputs);
    move(mean, batch.mean);
    move(variance, batch.unbiased);
    return batch.value;
  });
  const updates: Update[] = [...followed].map(([state, value]) => ({ state, value }));
  return updates.length === 0 ? func : { ...inner, updates: [...inner.updates, ...updates] };
}

/** As PyTorch has it: normalised by the variance over all elements of a channel; what the average follows is the estimate that divides by one less. */
function batchNorm(
  { attrs: { eps }, about }: ValueOf<'batch_norm'>,
  inputs: readonly Value[],
): { value: Value; mean: Value; unbiased: Value } {
  const [x, gain, shift] = inputs as readonly [Value, Value, Value];
  const { shape } = x.type;
  const axes = shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const overChannels = (v: Value): Value => build.reshape(v, [shape[1]!, ...axes.slice(1).map(() => 1)], about);
  const mean = build.mean(x, axes, true, about);
  const centred = build.sub(x, mean, about);
  const variance = build.mean(build.mul(centred, centred, about), axes, true, about);
  const normal = build.mul(centred, build.rsqrt(build.add(variance, eps, about), about), about);
  const value = build.add(build.mul(normal, overChannels(gain), about), overChannels(shift), about);
  const all = sizeOf(axes.map((axis) => shape[axis]!));
  const count = isBatch(all) ? build.mul(build.batchSize(about), perSample(all), about) : constant(all);
  const flat = (v: Value): Value => build.reshape(v, [shape[1]!], about);
  const others = build.maximum(build.sub(count, 1, about), 1, about);
  return { value, mean: flat(mean), unbiased: build.mul(flat(variance), build.div(count, others, about), about) };
}
