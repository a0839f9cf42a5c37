/** Between the bytes of an ONNX tensor and its elements. */
import type { BinaryReader } from '@bufbuild/protobuf/wire';
import { decodeElements } from '../tensors/elements.js';
import type { StoredType } from '../tensors/safetensors.js';
import type { TensorProto } from './schema.js';
import type { OnnxType } from './types.js';
import { eachPacked, type Packed } from './wire.js';

/** The same types by the names that safetensors has for them, whose widths and readers there are already. */
export const STORED: Readonly<Record<OnnxType, StoredType>> = {
  float: 'F32',
  double: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  int16: 'I16',
  int32: 'I32',
  int64: 'I64',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
};

type Store = (view: DataView, at: number, reader: BinaryReader) => void;

/** Which list of numbers a type stands in where there are no bytes, how wide each is there, and how one becomes the bytes of an element. */
interface Listed {
  readonly field: 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data';
  readonly width: 4 | 8 | 'varint';
  readonly bytes: 1 | 2 | 4 | 8;
  readonly store: Store;
}

const byte: Listed = {
  field: 'int32_data',
  width: 'varint',
  bytes: 1,
  store: (view, at, reader) => view.setInt8(at, reader.int32()),
};
/** Halves too: lists hold their bits. */
const short: Listed = {
  field: 'int32_data',
  width: 'varint',
  bytes: 2,
  store: (view, at, reader) => view.setInt16(at, reader.int32(), true),
};

export const LISTED: Readonly<Record<OnnxType, Listed>> = {
  float: {
    field: 'float_data',
    width: 4,
    bytes: 4,
    store: (view, at, reader) => view.setUint32(at, reader.fixed32(), true),
  },
  double: {
    field: 'double_data',
    width: 8,
    bytes: 8,
    store: (view, at, reader) => view.setFloat64(at, reader.double(), true),
  },
  bool: byte,
  int8: byte,
  uint8: byte,
  int16: short,
  uint16: short,
  float16: short,
  bfloat16: short,
  int32: {
    field: 'int32_data',
    width: 'varint',
    bytes: 4,
    store: (view, at, reader) => view.setInt32(at, reader.int32(), true),
  },
  uint32: {
    field: 'uint64_data',
    width: 'varint',
    bytes: 4,
    store: (view, at, reader) => view.setUint32(at, reader.uint32(), true),
  },
  int64: {
    field: 'int64_data',
    width: 'varint',
    bytes: 8,
    store: (view, at, reader) => view.setBigInt64(at, BigInt(reader.int64()), true),
  },
  uint64: {
    field: 'uint64_data',
    width: 'varint',
    bytes: 8,
    store: (view, at, reader) => view.setBigUint64(at, BigInt(reader.uint64()), true),
  },
};

/** The list of numbers of a tensor as bytes; that it is one was found before (`packedLength`). */
export function listedBytes(proto: TensorProto, dtype: OnnxType, size: number): Uint8Array {
  const { field, bytes, store } = LISTED[dtype];
  const out = new Uint8Array(size * bytes);
  const view = new DataView(out.buffer);
  let at = 0;
  eachPacked(proto[field] ?? ({ bytes: [] } satisfies Packed), (reader) => {
    store(view, at, reader);
    at += bytes;
  });
  return out;
}

/** Elements of stored bytes: 64 bits wide as doubles, the rest as checkpoints are read. */
export function elementsOf(bytes: Uint8Array, dtype: OnnxType): ArrayLike<number> {
  if (dtype !== 'double' && dtype !== 'int64' && dtype !== 'uint64') return decodeElements(bytes, STORED[dtype])!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const get = {
    double: (at: number) => view.getFloat64(at, true),
    int64: (at: number) => Number(view.getBigInt64(at, true)),
    uint64: (at: number) => Number(view.getBigUint64(at, true)),
  }[dtype];
  return Float64Array.from({ length: bytes.byteLength / 8 }, (_, i) => get(8 * i));
}
