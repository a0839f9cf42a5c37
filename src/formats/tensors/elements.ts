/** Between the bytes of a file and the tensors of the compiler. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { DType, Elements, Tensor } from '../../ir/types.js';
import type { ByteSource } from './bytes.js';
import { fromBfloat, fromHalves, toBfloat, toHalves } from './float16.js';
import type { StoredTensor, StoredType, TensorInfo } from './safetensors.js';

/** What a stored dtype becomes: every float is f32 (f64 is rounded), every integer 32 bits wide. */
export const READ_AS: Readonly<Partial<Record<StoredType, DType>>> = {
  F64: 'f32',
  F32: 'f32',
  F16: 'f32',
  BF16: 'f32',
  I64: 'i32',
  I32: 'i32',
  I16: 'i32',
  I8: 'i32',
  U32: 'u32',
  U16: 'u32',
  U8: 'u32',
  BOOL: 'bool',
};

/** The bytes at an offset that typed arrays can start at. */
function aligned(bytes: Uint8Array, width: number): Uint8Array {
  // Not `slice`: that of a Node Buffer copies nothing.
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
}

/**
 * Reads one tensor. Floats come as Float32Array (f64 is rounded), integers as 32-bit ones, BOOL as bytes of 0 and 1.
 * @throws EspalierError ESP0504 for a dtype without a meaning here, ESP0505 for a 64-bit integer that does not fit.
 */
export async function readTensor(source: ByteSource, name: string, info: TensorInfo): Promise<Tensor> {
  return fromBytes(source.name, name, info, () => source.read(info.offset, info.bytes));
}

/** The same of bytes that lie elsewhere. */
export async function fromBytes(
  file: string,
  name: string,
  stored: Pick<StoredTensor, 'dtype' | 'shape'>,
  bytes: () => Promise<Uint8Array>,
): Promise<Tensor> {
  const dtype = READ_AS[stored.dtype];
  if (!dtype) throw new EspalierError([diagnostic('ESP0504', { file, tensor: name, dtype: stored.dtype })]);
  const data = decodeElements(await bytes(), stored.dtype);
  if (!data) throw new EspalierError([diagnostic('ESP0505', { file, tensor: name, dtype: stored.dtype })]);
  return { type: { dtype, shape: stored.shape }, data };
}

/** The elements of bytes, as they are read; undefined when a 64-bit integer does not fit, or the dtype has no meaning here. */
export function decodeElements(raw: Uint8Array, dtype: StoredType): Elements | undefined {
  const view = <T>(make: new (buffer: ArrayBufferLike, offset: number, length: number) => T, width: number): T => {
    const bytes = aligned(raw, width);
    return new make(bytes.buffer, bytes.byteOffset, bytes.byteLength / width);
  };
  switch (dtype) {
    case 'F32':
      return view(Float32Array, 4);
    case 'F64':
      return new Float32Array(view(Float64Array, 8));
    case 'F16':
      return fromHalves(view(Uint16Array, 2));
    case 'BF16':
      return fromBfloat(view(Uint16Array, 2));
    case 'I32':
      return view(Int32Array, 4);
    case 'U32':
      return view(Uint32Array, 4);
    case 'I16':
      return Int32Array.from(view(Int16Array, 2));
    case 'U16':
      return Uint32Array.from(view(Uint16Array, 2));
    case 'I8':
      return Int32Array.from(view(Int8Array, 1));
    case 'U8':
      return Uint32Array.from(raw);
    case 'BOOL':
      return Uint8Array.from(raw, (b) => (b === 0 ? 0 : 1));
    case 'I64': {
      const wide = view(BigInt64Array, 8);
      const out = new Int32Array(wide.length);
      for (let i = 0; i < wide.length; i++) {
        const n = wide[i]!;
        if (n !== BigInt.asIntN(32, n)) return undefined;
        out[i] = Number(n);
      }
      return out;
    }
    default:
      return undefined;
  }
}

const STORE_AS: Readonly<Record<DType, StoredType>> = { f32: 'F32', f16: 'F16', i32: 'I32', u32: 'U32', bool: 'BOOL' };

/** The tensor as bytes; floats can be stored as F64, F32, F16 or BF16 (rounded to nearest even), the rest as they are. */
export function storeTensor(tensor: Tensor, as: StoredType = STORE_AS[tensor.type.dtype]): StoredTensor {
  const array = toStored(tensor.data, as);
  return {
    dtype: as,
    shape: tensor.type.shape,
    data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  };
}

function toStored(data: Elements, as: StoredType): ArrayBufferView {
  switch (as) {
    case 'F64':
      return data instanceof Float64Array ? data : new Float64Array(data);
    case 'F32':
      return data instanceof Float32Array ? data : new Float32Array(data);
    case 'F16':
      return toHalves(data);
    case 'BF16':
      return toBfloat(data);
    case 'I32':
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case 'U32':
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case 'U8':
    case 'BOOL':
      return data instanceof Uint8Array ? data : Uint8Array.from(data);
    default:
      throw new RangeError(`tensors are not written as ${as}`);
  }
}
