/** From the bytes that kernels read to a row-major tensor. */
import { eachRun, type Layout } from '../../src/codegen/buffers/layout.js';
import { packedBytes, type Storage } from '../../src/codegen/buffers/pack.js';
import { fromHalf } from '../../src/ir/run/half.js';

/** The inverse of `pack`. @throws RangeError for a wrong number of bytes. */
export function unpack(bytes: Uint8Array, at: Layout, dtype: Storage): Float32Array {
  if (bytes.byteLength !== packedBytes(at, dtype)) {
    throw new RangeError(
      `[${at.shape.join(', ')}] in ${dtype} takes ${packedBytes(at, dtype)} bytes, not ${bytes.byteLength}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tensor = new Float32Array(at.shape.reduce((n, d) => n * d, 1));
  eachRun(at, (from, step, place, count) => {
    for (let i = 0; i < count; i++) {
      const to = place + i;
      tensor[from + i * step] =
        dtype === 'f32' ? view.getFloat32(to * 4, true) : fromHalf(view.getUint16(to * 2, true));
    }
  });
  return tensor;
}
