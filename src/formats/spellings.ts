/** Tensors under the names and in the forms that a checkpoint really has them: one of several spellings, other unit axes, transposed. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { sameShape, sizeOf } from '../ir/ops/shapes.js';
import type { Elements, Tensor, TensorType } from '../ir/types.js';
import type { TensorStore } from './tensors/store.js';
import type { NamedTensor } from './types.js';

/**
 * The names as the checkpoint spells them; the first spelling for what it does not have.
 * @throws EspalierError ESP0503 when it has a tensor under two of them
 */
export function spelled(names: readonly NamedTensor[], store: TensorStore): NamedTensor[] {
  return names.map(({ also = [], ...n }) => {
    const [found, other] = [n.tensor, ...also].filter((name) => store.tensors.has(name));
    if (found !== undefined && other !== undefined) {
      const problem = `is the same tensor as "${found}", under another name`;
      throw new EspalierError([diagnostic('ESP0503', { file: store.name, tensor: other, problem })]);
    }
    return { ...n, tensor: found ?? n.tensor };
  });
}

/** Those spellings that are another one without its prefix. */
export function unprefixed({ tensor, also = [] }: NamedTensor): readonly string[] {
  const all = [tensor, ...also];
  return all.filter((name) => all.some((other) => other.endsWith(`.${name}`)));
}

/**
 * How many of a layout's tensors a store has, under one of their names. Where a layout says in what shape it stores one (with unit axes, or the other way
 * round), the store has that tensor only if it has that shape: so layouts whose names are alike are told apart.
 */
export const present = (names: readonly NamedTensor[], store: TensorStore): number =>
  names.filter(({ tensor, also = [], stored }) =>
    [tensor, ...also].some((name) => {
      const entry = store.tensors.get(name);
      return entry !== undefined && (!stored || sameShape(entry.shape, stored.shape));
    }),
  ).length;

/** Shape of a parameter's tensor, or of its rows, in the checkpoint. */
export function storedShape({ rows, stored }: NamedTensor, type: TensorType): readonly number[] {
  return stored?.shape ?? (rows ? [rows[1] - rows[0], ...type.shape.slice(1)] : type.shape);
}

/** Elements of a stored tensor in the parameter's order. */
export function fromStored({ stored }: NamedTensor, data: Elements): Elements {
  return stored?.transposed ? transpose(data, stored.shape) : data;
}

/** A parameter's tensor, or its rows, as the checkpoint stores it. */
export function toStored({ stored }: NamedTensor, tensor: Tensor): Tensor {
  if (!stored) return tensor;
  const { shape } = stored;
  // The way there goes from the shape that has the two axes the other way round.
  const data = stored.transposed ? transpose(tensor.data, turned(shape)) : tensor.data;
  return { type: { ...tensor.type, shape }, data };
}

/** The two axes of a matrix, unit axes aside, change places. */
function matrixOf(shape: readonly number[]): readonly [number, number] {
  const long = shape.filter((n) => n !== 1);
  if (long.length === 2) return [long[0]!, long[1]!];
  // A row or a column, or a single number: its elements lie in one order both ways.
  return [1, sizeOf(shape)];
}

function turned(shape: readonly number[]): readonly number[] {
  const [rows, columns] = matrixOf(shape);
  return [columns, rows];
}

function transpose(data: Elements, shape: readonly number[]): Elements {
  const [rows, columns] = matrixOf(shape);
  const out = data.slice();
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}

/** Some rows of a tensor, over the same elements. */
export function sliceRows(tensor: Tensor, [start, end]: readonly [number, number]): Tensor {
  const { dtype, shape } = tensor.type;
  const step = sizeOf(shape.slice(1));
  const data: Elements = tensor.data.subarray(start * step, end * step);
  return { type: { dtype, shape: [end - start, ...shape.slice(1)] }, data };
}
