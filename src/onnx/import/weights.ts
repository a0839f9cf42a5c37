/** The tensors of an imported graph under the names of the backbone that it became. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { OnnxModel } from '../../formats/onnx/types.js';
import type { StoreEntry, TensorStore } from '../../formats/tensors/store.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { allocate } from '../../ir/run/tensor.js';
import type { DType, Tensor } from '../../ir/types.js';

/** A parameter of an imported backbone. */
export interface ImportedParam {
  /** In the backbone: `layers.1.blocks.0.attn.qkv.weight`. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The tensor of the file that it is, by its name there; absent for what was computed when it was imported. */
  readonly tensor?: string;
  /** Whether the file has it with its two axes changed. */
  readonly transposed: boolean;
  /** Its elements as the file has them. @throws EspalierError ESP1206, ESP0501 */
  load(): Promise<ArrayLike<number>>;
}

const STORED = { f32: 'F32', f16: 'F16', i32: 'I32', u32: 'U32', bool: 'BOOL' } as const;

/** @param prefix what stands before their names: what the backbone is bound to, and a point */
export function importedStore(model: OnnxModel, params: readonly ImportedParam[], prefix = ''): TensorStore {
  const tensors = params.map((p): [string, StoreEntry] => [
    `${prefix}${p.name}`,
    {
      dtype: STORED[p.dtype],
      shape: p.shape,
      ...(p.tensor === undefined ? {} : { original: p.tensor }),
      read: async () => read(model.file, p, await p.load()),
    },
  ]);
  return { name: model.file, tensors: new Map(tensors), metadata: model.metadata };
}

function read(
  file: string,
  { name, dtype, shape, tensor, transposed }: ImportedParam,
  given: ArrayLike<number>,
): Tensor {
  const data = allocate(dtype, sizeOf(shape));
  const [rows = 1, columns = 1] = shape;
  for (let i = 0; i < data.length; i++) {
    const x = given[transposed ? (i % columns) * rows + Math.floor(i / columns) : i]!;
    data[i] = x;
    if ((dtype === 'i32' || dtype === 'u32') && data[i] !== x) {
      throw new EspalierError([diagnostic('ESP0505', { file, tensor: tensor ?? name, dtype: 'I64' })]);
    }
  }
  return { type: { dtype, shape }, data };
}
