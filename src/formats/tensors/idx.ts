/** IDX, the format of the MNIST files: arrays of bytes with big-endian sizes. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { RgbaImage } from '../types.js';
import type { ByteSource } from './bytes.js';

export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Reads a file of bytes (type 8). @throws EspalierError ESP0517 */
export async function readIdx(source: ByteSource): Promise<IdxArray> {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0517', { file: source.name, problem })]);
  if (source.size < 4) throw wrong(`it has only ${source.size} bytes`);
  const magic = await source.read(0, 4);
  if (magic[0] === 0x1f && magic[1] === 0x8b) throw wrong('it is compressed (gzip)');
  if (magic[0] !== 0 || magic[1] !== 0) throw wrong('it does not start with two zero bytes');
  if (magic[2] !== 8) throw wrong(`its type is ${magic[2]}; only bytes (8) are read`);
  const rank = magic[3]!;
  const start = 4 + 4 * rank;
  if (source.size < start) throw wrong('it ends inside its list of sizes');
  const sizes = await source.read(4, 4 * rank);
  const view = new DataView(sizes.buffer, sizes.byteOffset, sizes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 * i, false));
  const size = sizeOf(shape);
  if (start + size !== source.size) {
    throw wrong(
      `[${shape.join(', ')}] needs ${size.toLocaleString('en')} bytes, but ${(source.size - start).toLocaleString('en')} follow`,
    );
  }
  return { shape, data: await source.read(start, size) };
}

/**
 * One grey image of an array [n, height, width].
 * @throws RangeError when the array is not of that form or has no such image.
 */
export function idxImage(array: IdxArray, index: number): RgbaImage {
  const [count, height, width] = array.shape;
  if (array.shape.length !== 3 || index < 0 || index >= count!)
    throw new RangeError(`no image ${index} in [${array.shape.join(', ')}]`);
  const size = width! * height!;
  const data = new Uint8Array(4 * size);
  for (let i = 0; i < size; i++) {
    data.fill(array.data[index * size + i]!, 4 * i, 4 * i + 3);
    data[4 * i + 3] = 255;
  }
  return { data, width: width!, height: height! };
}
