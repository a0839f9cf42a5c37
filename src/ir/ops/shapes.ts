/** Arithmetic on shapes and types that the operators' rules share: sizes, strides, broadcasting, checks that refuse. */
import { isBatch, showSize, wrongShape } from '../batch.js';
import type { DType, TensorType, Value } from '../types.js';
import { refuse, refuseType } from './errors.js';

export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** @throws Refusal unless it is a u32 */
export function needStream(stream: number): void {
  if (!Number.isInteger(stream) || stream < 0 || stream >= 2 ** 32) refuse(`${stream} is no stream (0 to 2^32 - 1)`);
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/** `[2, 3]` */
export function showShape(shape: Shape): string {
  return `[${shape.map(showSize).join(', ')}]`;
}

/** `f32[2,3]`, as the text form writes it. */
export function showType(type: TensorType): string {
  return `${type.dtype}[${type.shape.map(showSize).join(',')}]`;
}

/** Bytes of one element as buffers hold it (bool: one u32, which is what WGSL can store). */
export function tensorBytes(type: TensorType): number {
  return sizeOf(type.shape) * (type.dtype === 'f16' ? 2 : 4);
}

/** The NumPy broadcast of two shapes, or undefined when some axis differs and neither is 1. */
export function tryBroadcast(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const p = a[a.length - i] ?? 1;
    const q = b[b.length - i] ?? 1;
    if (p !== q && p !== 1 && q !== 1) return undefined;
    out[rank - i] = p === 1 ? q : p;
  }
  return out;
}

/** Broadcasts the shapes of all operands, refusing at the first that does not fit what came before. */
export function broadcastAll(inputs: readonly Value[], first = 0): number[] {
  let shape: number[] = [];
  for (let i = first; i < inputs.length; i++) {
    const next = inputs[i]!.type.shape;
    const both = tryBroadcast(shape, next);
    if (!both) {
      const earlier = inputs.findIndex((v, j) => j >= first && j < i && !tryBroadcast(v.type.shape, next));
      const at = earlier < 0 ? first : earlier;
      refuse(`${showShape(inputs[at]!.type.shape)} and ${showShape(next)} do not broadcast`, at, i);
    }
    shape = both;
  }
  return shape;
}

export const isFloat = (t: DType): boolean => t === 'f32' || t === 'f16';
export const isInteger = (t: DType): boolean => t === 'i32' || t === 'u32';
export const isNumber = (t: DType): boolean => t !== 'bool';

/** All operands have the same dtype and `accepts` it. Gives that dtype. */
export function oneDType(inputs: readonly Value[], accepts: (t: DType) => boolean, wanted: string, first = 0): DType {
  const dtype = inputs[first]!.type.dtype;
  for (let i = first; i < inputs.length; i++) {
    const t = inputs[i]!.type.dtype;
    if (!accepts(t)) refuseType(`${showType(inputs[i]!.type)} is given where ${wanted} is wanted`, i);
    if (t !== dtype) {
      refuseType(
        `${showType(inputs[first]!.type)} and ${showType(inputs[i]!.type)} have different element types`,
        first,
        i,
      );
    }
  }
  return dtype;
}

export const floats = (inputs: readonly Value[], first = 0): DType =>
  oneDType(inputs, isFloat, 'a floating-point tensor', first);

export function needRank(inputs: readonly Value[], index: number, rank: number, what: string): Shape {
  const shape = inputs[index]!.type.shape;
  if (shape.length !== rank) refuse(`${what} has shape ${showShape(shape)}, where ${rank} axes are wanted`, index);
  return shape;
}

/** 0 <= axis < rank, or a refusal. Negative axes are the builder's business. */
export function needAxis(axis: number, shape: Shape, operand = 0): number {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    refuse(`axis ${axis} is outside ${showShape(shape)}`, operand);
  }
  return axis;
}

/** Distinct axes within the rank. */
export function needAxes(axes: readonly number[], shape: Shape): void {
  for (const a of axes) needAxis(a, shape);
  if (new Set(axes).size !== axes.length) refuse(`axes ${showShape(axes)} repeat`);
}

/** A refusal where the axis is a multiple of the batch: what cuts or counts places has to know how many there are. */
export function needKnown(axis: number, shape: Shape, operand = 0): void {
  if (isBatch(shape[axis]!)) refuse(`axis ${axis} of ${showShape(shape)} is the batch, which may be 1`, operand);
}

/** Sizes are positive integers or multiples of the batch: a tensor without elements has no place in a program. */
export function needSizes(shape: Shape): Shape {
  const wrong = wrongShape(shape);
  if (wrong !== undefined) refuse(`${showShape(shape)} ${wrong}`);
  return shape;
}

/** An optional vector (gain, shift, bias) of `size` elements at position `index`. */
export function needVector(inputs: readonly Value[], index: number, size: number, what: string): void {
  const v = inputs[index];
  if (!v) return;
  if (v.type.shape.length !== 1 || v.type.shape[0] !== size) {
    refuse(`the ${what} has shape ${showShape(v.type.shape)}, where [${size}] is wanted`, index);
  }
}
