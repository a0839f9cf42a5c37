/**
 * A state that others lie in, side by side: what is done alike to many weights is then one operation on one tensor. Each part begins at the next
 * multiple of `PART` elements, where a binding of any GPU can, so that what uses it by itself has it in place; what is between them is 0.
 */
import { sizeOf } from './ops/shapes.js';
import type { Module, Param, Tensor, TensorType } from './types.js';

/** 256 bytes, the largest alignment that WebGPU lets a device ask for. */
const PART = 64;

export interface PartPlace {
  readonly param: Param;
  /** Its first element in the whole. */
  readonly start: number;
}

/** Where parts of such sizes lie, and how long all of them are together. */
export function sideBySide(types: readonly TensorType[]): {
  readonly starts: readonly number[];
  readonly length: number;
} {
  let length = 0;
  const starts = types.map(({ shape }) => {
    const start = length;
    length += Math.ceil(sizeOf(shape) / PART) * PART;
    return start;
  });
  return { starts, length };
}

/** The parts of a state that has some. */
export function partsOf({ params }: Pick<Module, 'params'>, { parts = [] }: Param): PartPlace[] {
  const list = parts.map((name) => params.get(name)!);
  const { starts } = sideBySide(list.map((p) => p.type));
  return list.map((param, i) => ({ param, start: starts[i]! }));
}

/** The whole, from its parts. */
export function gathered(module: Pick<Module, 'params'>, whole: Param, part: (name: string) => Tensor): Tensor {
  const data = new Float64Array(sizeOf(whole.type.shape));
  for (const { param, start } of partsOf(module, whole)) data.set(part(param.name).data, start);
  return { type: whole.type, data };
}

/** The parts, from the whole. */
export function dealt(module: Pick<Module, 'params'>, whole: Param, { data }: Tensor): (readonly [string, Tensor])[] {
  return partsOf(module, whole).map(({ param: { name, type }, start }) => [
    name,
    { type, data: data.slice(start, start + sizeOf(type.shape)) },
  ]);
}
