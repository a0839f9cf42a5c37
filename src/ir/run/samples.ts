/** A function for a number of samples: every multiple of the batch becomes a number. How the interpreter, which computes on numbers, runs one. */
import { hasBatch, isBatch, shapeAt, showSize, sizeAt } from '../batch.js';
import { constant, input, make, mapRoots, rewriteValues, rootsOf } from '../graph.js';
import type { Func, Module, OpAttrs, OpName, TensorType, Value } from '../types.js';

const typeAt = ({ dtype, shape }: TensorType, samples: number): TensorType => ({
  dtype,
  shape: shapeAt(shape, samples),
});

/** Sizes stand in lists alone; a number that is none (a factor, an axis) is no multiple of the batch. */
function attrsAt<O extends OpName>(attrs: OpAttrs[O], samples: number): OpAttrs[O] {
  const changed = Object.entries(attrs).filter(([, x]) => Array.isArray(x) && hasBatch(x as number[]));
  if (changed.length === 0) return attrs;
  return {
    ...attrs,
    ...Object.fromEntries(changed.map(([key, x]) => [key, (x as number[]).map((d) => sizeAt(d, samples))])),
  };
}

/** Whether the value, or one that it is computed from, is another for another number of samples. */
export const dependsOnBatch = (value: Value): boolean => value.needsBatch;

/** Whether the function's values depend on how many samples it is called with. */
export const hasSamples = (func: Func): boolean => [...func.inputs, ...rootsOf(func)].some(dependsOnBatch);

/** The values for a number of samples. */
export function valuesAt(roots: readonly Value[], samples: number): (value: Value) => Value {
  return rewriteValues(
    roots,
    (v, inputs) => {
      if (v.op === 'input') return hasBatch(v.type.shape) ? input(v.attrs.name, typeAt(v.type, samples)) : v;
      if (v.op === 'batch_size') return constant(samples, [], 'f32', v.about);
      if (v.op === 'param') return v;
      const attrs = attrsAt(v.attrs, samples);
      const same = attrs === v.attrs && inputs.every((x, i) => x === v.inputs[i]);
      return same ? v : make(v.op, inputs, attrs, v.about);
    },
    (v) => v.inputs,
  );
}

/** The function for a number of samples; itself where none of its values depends on that. */
export function funcAt(func: Func, samples: number): Func {
  if (!hasSamples(func)) return func;
  const image = valuesAt([...func.inputs, ...rootsOf(func)], samples);
  return { ...mapRoots(func, image), inputs: func.inputs.map(image) };
}

export function moduleAt(module: Module, samples: number): Module {
  return { ...module, funcs: new Map([...module.funcs].map(([name, f]) => [name, funcAt(f, samples)])) };
}

/** How many samples arguments of these shapes are. @throws RangeError where the first axis fits no number of samples, or different ones. */
export function samplesOf(func: Func, shapeOf: (name: string) => readonly number[] | undefined): number {
  let samples: number | undefined;
  for (const v of func.inputs) {
    const axis = v.type.shape.findIndex(isBatch);
    const given = v.op === 'input' && axis >= 0 ? shapeOf(v.attrs.name) : undefined;
    if (given === undefined) continue;
    const found = given[axis]! / sizeAt(v.type.shape[axis]!, 1);
    if (!Number.isInteger(found) || found < 1 || isBatch(found))
      throw new RangeError(`${showSize(given[axis]!)} along axis ${axis} are no whole samples`);
    if (samples !== undefined && samples !== found)
      throw new RangeError(`arguments of ${samples} and of ${found} samples`);
    samples = found;
  }
  return samples ?? 1;
}
