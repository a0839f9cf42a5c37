/** What rules write expressions with: numbers, sizes and lists as the language spells them, and tensors under another shape. */
import { onnxTypeOf } from '../../../formats/onnx/types.js';
import { BATCH, isBatch } from '../../../ir/batch.js';
import { numberText } from '../numbers.js';
import type { OnnxNode, OnnxType, Operand, Rule } from '../rule.js';

/** A size: `3`, `b`, `197 * b`. */
export function size(n: number): string {
  if (!isBatch(n)) return String(n);
  return n === BATCH ? 'b' : `${n / BATCH} * b`;
}

/** `[3, b, 4]` */
export const sizes = (list: readonly number[]): string => `[${list.map(size).join(', ')}]`;

/** A number, which the language has to be able to say. */
export const number = (n: OnnxNode, x: number): string =>
  Number.isFinite(x) ? numberText(x) : n.fail(`has the number ${x}, which the language cannot say`);

/** The largest and smallest f32, which stand for what has no bound. */
export const LARGEST = '3.4028234663852886e38';

export const rankOf = (x: Operand): number => x.type.shape.length;

export const product = (list: readonly number[]): number => list.reduce((p, d) => p * d, 1);

/** An axis from the front. */
export function axisOf(n: OnnxNode, axis: number, rank: number): number {
  const a = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || a < 0 || a >= rank) return n.fail(`names axis ${axis} of ${rank}`);
  return a;
}

/** Axes from the front, each once. */
export function axesOf(n: OnnxNode, axes: readonly number[], rank: number): number[] {
  const all = axes.map((a) => axisOf(n, a, rank));
  if (new Set(all).size < all.length) return n.fail(`names an axis twice: ${sizes(axes)}`);
  return all;
}

export const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

/** The text under another shape; itself where it has that shape. */
export const reshaped = (text: string, from: readonly number[], to: readonly number[]): string =>
  from.length === to.length && from.every((d, i) => d === to[i]) ? text : `reshape(${text}, ${sizes(to)})`;

export const transposed = (text: string, perm: readonly number[]): string =>
  perm.every((p, i) => p === i) ? text : `transpose(${text}, ${sizes(perm)})`;

/** [before, axis, after]: what functions that work along one axis take. */
export const threefold = (shape: readonly number[], axis: number): [number, number, number] => [
  product(shape.slice(0, axis)),
  shape[axis]!,
  product(shape.slice(axis + 1)),
];

/** What `work` makes of an operand as [before, axis, after], with the axes that it had; the axis may have got another length. */
export function along(x: Operand, axis: number, work: (text: string) => string, length = x.type.shape[axis]!): string {
  const { shape } = x.type;
  const flat = threefold(shape, axis);
  const to = [...shape.slice(0, axis), length, ...shape.slice(axis + 1)];
  return reshaped(work(reshaped(x.text, shape, flat)), [flat[0], length, flat[2]], to);
}

/** What `work` makes of an operand whose axis was moved to the end, with the axis where it was. */
export function atEnd(x: Operand, axis: number, work: (text: string) => string): string {
  const rank = rankOf(x);
  const rest = range(rank).filter((i) => i !== axis);
  const back = range(rank).map((i) => (i < axis ? i : i === axis ? rank - 1 : i - 1));
  return transposed(work(transposed(x.text, [...rest, axis])), back);
}

const BITS: Partial<Record<OnnxType, { readonly bits: number; readonly signed: boolean }>> = {
  int8: { bits: 8, signed: true },
  uint8: { bits: 8, signed: false },
  int16: { bits: 16, signed: true },
  uint16: { bits: 16, signed: false },
};

/** Least and most of a type that is narrower than those of the language. */
export function narrow(type: OnnxType): { readonly least: number; readonly most: number } | undefined {
  const known = BITS[type];
  if (!known) return undefined;
  const { bits, signed } = known;
  return signed ? { least: -(2 ** (bits - 1)), most: 2 ** (bits - 1) - 1 } : { least: 0, most: 2 ** bits - 1 };
}

/** Arithmetic of narrow whole numbers wraps where they end; of all others it is the language's own. */
export function wrapped(type: OnnxType, text: string): string {
  const known = narrow(type);
  return known ? `onnx_wrap(${text}, ${known.least}, ${known.most})` : text;
}

/** Whole numbers from floats: cut off, and held to where the type ends. */
export function saturated(type: OnnxType, text: string): string {
  const known = narrow(type);
  return known ? `minimum(maximum(${text}, ${known.least}), ${known.most})` : text;
}

export const dtypeOf = (type: OnnxType): 'f32' | 'i32' | 'u32' | 'bool' => {
  switch (type) {
    case 'float':
    case 'double':
    case 'float16':
    case 'bfloat16':
      return 'f32';
    case 'bool':
      return 'bool';
    case 'uint32':
    case 'uint64':
      return 'u32';
    default:
      return 'i32';
  }
};

export const isFloat = (type: OnnxType): boolean => dtypeOf(type) === 'f32';

export function typeOfCode(n: OnnxNode, code: number): OnnxType {
  return onnxTypeOf(code) ?? n.fail(`gives elements of type ${code}, which has no meaning here`);
}

/** The same text with f32 elements of it. */
export const asFloat = (x: Operand): string => (x.type.dtype === 'f32' ? x.text : `cast(${x.text}, f32)`);
export const asWhole = (x: Operand): string => (x.type.dtype === 'i32' ? x.text : `cast(${x.text}, i32)`);

/** A rule that writes a call of one operand. */
export const call =
  (name: string): Rule =>
  (n) =>
    `${name}(${n.in(0).text})`;
