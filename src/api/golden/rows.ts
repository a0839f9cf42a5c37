/** Rows of tensors: the random images that a program is tried on, cut into batches and put together again. The first axis is the batch. */
import { normalStream } from '../../ir/run/init.js';
import { hasBatch } from '../../ir/batch.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { allocate } from '../../ir/run/tensor.js';
import type { Func, Tensor, TensorType } from '../../ir/types.js';

export type Rows = ReadonlyMap<string, Tensor>;

/** The type of so many rows; what has no batch is one for all of them. */
const typeOfRows = (type: TensorType, rows: number): TensorType => (hasBatch(type.shape) ? withRows(type, rows) : type);

const withRows = ({ dtype, shape }: TensorType, rows: number): TensorType => ({
  dtype,
  shape: [rows, ...shape.slice(1)],
});

/** Random arguments of a function: floats as a normalised image has them, small whole numbers for the rest. */
export function randomRows(func: Func, rows: number): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  for (const value of func.inputs) {
    if (value.op !== 'input') continue;
    const type = typeOfRows(value.type, rows);
    const normal = normalStream(1, value.attrs.name);
    const whole = (): number => Math.trunc(Math.abs(normal()) * 2);
    const size = sizeOf(type.shape);
    const data =
      type.dtype === 'f32' || type.dtype === 'f16'
        ? Float32Array.from({ length: size }, normal)
        : Int32Array.from({ length: size }, type.dtype === 'bool' ? () => Math.min(1, whole()) : whole);
    inputs.set(value.attrs.name, { type, data });
  }
  return inputs;
}

export const rowsOf = (tensors: Rows): number => [...tensors.values()][0]?.type.shape[0] ?? 1;

/** Rows [from, to) of every tensor; views, nothing is copied. */
export function sliceRows(tensors: Rows, from: number, to: number): Map<string, Tensor> {
  return mapTensors(tensors, ({ type, data }) => {
    const each = data.length / type.shape[0]!;
    return { type: withRows(type, to - from), data: data.subarray(from * each, to * each) };
  });
}

/** One row of a function's arguments, with what is one for all rows as it is. */
export function rowOf(func: Func, tensors: Rows, row: number): Rows {
  const each = new Set(func.inputs.flatMap((v) => (v.op === 'input' && hasBatch(v.type.shape) ? [v.attrs.name] : [])));
  return new Map(
    [...tensors].map(([name, t]) => [name, each.has(name) ? sliceRows(new Map([[name, t]]), row, row + 1).get(name)! : t]),
  );
}

/** `rows` rows: those of the tensors, again and again. */
export function repeatRows(tensors: Rows, rows: number): Map<string, Tensor> {
  return mapTensors(tensors, ({ type, data }) => {
    const each = data.length / type.shape[0]!;
    const all = allocate(type.dtype, rows * each);
    for (let at = 0; at < all.length; at += data.length) {
      all.set(data.subarray(0, Math.min(data.length, all.length - at)), at);
    }
    return { type: withRows(type, rows), data: all };
  });
}

/** The rows of all parts, one after another. */
export function joinRows(parts: readonly Rows[]): Rows {
  if (parts.length === 1) return parts[0]!;
  return mapTensors(parts[0]!, ({ type }, name) => {
    const tensors = parts.map((p) => p.get(name)!);
    const all = allocate(
      type.dtype,
      tensors.reduce((n, t) => n + t.data.length, 0),
    );
    let at = 0;
    for (const { data } of tensors) {
      all.set(data, at);
      at += data.length;
    }
    return {
      type: withRows(
        type,
        tensors.reduce((n, t) => n + t.type.shape[0]!, 0),
      ),
      data: all,
    };
  });
}

function mapTensors(tensors: Rows, change: (t: Tensor, name: string) => Tensor): Map<string, Tensor> {
  return new Map([...tensors].map(([name, t]) => [name, change(t, name)] as const));
}

/** Largest |a - b| / max |a| over two tensors of equal size; NaN if either holds one. */
export function relativeError(expected: ArrayLike<number>, found: ArrayLike<number>): number {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(expected[i]! - found[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}

/** The output that is furthest off, of those that `found` has as many rows of. */
export function worstOutput(expected: Rows, found: Rows): { readonly name: string; readonly error: number } {
  let worst = { name: '', error: 0 };
  for (const [name, tensor] of expected) {
    const error = relativeError(tensor.data, found.get(name)!.data);
    // NaN compares as larger.
    if (worst.name === '' || !(error <= worst.error)) worst = { name, error };
    if (Number.isNaN(error)) break;
  }
  return worst;
}
