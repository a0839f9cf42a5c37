/** Models run by onnxruntime, on the CPU: what others make of what is written here. */
import * as ort from 'onnxruntime-node';
import type { OnnxModel } from '../../src/formats/onnx/types.js';
import { onnxFiles } from '../../src/formats/onnx/write.js';
import { joinBytes } from '../../src/formats/tensors/bytes.js';
import type { DType, Tensor } from '../../src/ir/types.js';

const TYPES = {
  f32: 'float32',
  f16: 'float16',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
  u8: 'uint8',
} as const satisfies Record<DType | 'u8', ort.Tensor.Type>;

/** An argument; pictures have an element type that the IR has not. */
export interface Given {
  readonly type: { readonly dtype: DType | 'u8'; readonly shape: readonly number[] };
  readonly data: Tensor['data'];
}

/** The bytes of a model without files beside it. */
export async function bytesOf(model: Omit<OnnxModel, 'file'>): Promise<Uint8Array> {
  const files = await onnxFiles('model.onnx', model);
  return joinBytes(files.get('model.onnx')!);
}

/** What onnxruntime gives for a model in memory or a file, by name. */
export async function runOnnx(
  model: Uint8Array | string,
  inputs: ReadonlyMap<string, Given>,
): Promise<Map<string, { shape: readonly number[]; data: ArrayLike<number> }>> {
  // Level 3 of its messages is errors alone.
  const options: ort.InferenceSession.SessionOptions = { logSeverityLevel: 3, intraOpNumThreads: 1 };
  const session = await (typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options));
  try {
    const feeds: Record<string, ort.Tensor> = {};
    for (const name of session.inputNames) {
      const { type, data } = inputs.get(name)!;
      const own = data instanceof Float64Array ? Float32Array.from(data) : data;
      feeds[name] = new ort.Tensor(TYPES[type.dtype], own as never, [...type.shape]);
    }
    const results = await session.run(feeds);
    return new Map(
      Object.entries(results).map(([name, t]) => [name, { shape: t.dims, data: t.data as ArrayLike<number> }]),
    );
  } finally {
    await session.release();
  }
}
