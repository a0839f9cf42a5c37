/** Small files of tensors, for the tests of the formats. */
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { Tensor } from '../../src/ir/types.js';

/** Elements `from`, `from + 1`, ... */
export const floats = (shape: number[], from = 0): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { type: { dtype: 'f32', shape }, data: Float32Array.from({ length: size }, (_, i) => from + i) };
};

/** A safetensors file of the tensors. */
export const fileOf = (tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array =>
  encodeSafetensors(new Map(Object.entries(tensors).map(([n, t]) => [n, storeTensor(t)])), metadata);
