/** An ONNX file as a checkpoint: its initialisers are tensors by name, for a backbone that somebody wrote to them. */
import type { ByteSource } from '../tensors/bytes.js';
import { fromBytes } from '../tensors/elements.js';
import type { StoreEntry, TensorStore } from '../tensors/store.js';
import { STORED } from './elements.js';
import { openOnnx } from './read.js';
import type { OnnxModel } from './types.js';

/** @throws EspalierError ESP1201 to ESP1206, ESP0501 */
export async function openOnnxStore(source: ByteSource): Promise<{ onnx: OnnxModel; store: TensorStore }> {
  const onnx = await openOnnx(source);
  const tensors = new Map<string, StoreEntry>();
  for (const [name, { dtype, shape, bytes }] of onnx.graph.initialisers) {
    const stored = { dtype: STORED[dtype], shape };
    tensors.set(name, { ...stored, read: () => fromBytes(source.name, name, stored, bytes), bytes });
  }
  return { onnx, store: { name: source.name, tensors, metadata: onnx.metadata } };
}
