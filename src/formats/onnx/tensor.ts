/** A TensorProto as a tensor: what it claims is checked at once, its elements are read when they are wanted. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { ByteSource } from '../tensors/bytes.js';
import { elementsOf, LISTED, listedBytes } from './elements.js';
import { type ExternalFiles, type ExternalPlace, placeOf } from './external.js';
import { notRead } from './reading.js';
import type { TensorProto } from './schema.js';
import { type OnnxTensor, onnxTypeOf, typeName } from './types.js';
import { packedLength } from './wire.js';

/** `data_location` of a tensor whose bytes lie in another file. */
const EXTERNAL = 1;

/**
 * @param what It for messages: `tensor "conv.weight"`.
 * @throws EspalierError ESP1204, ESP1205, ESP1206
 */
export function tensorOf(file: string, what: string, proto: TensorProto, files: ExternalFiles): OnnxTensor {
  const wrong = (problem: string) => new EspalierError([diagnostic('ESP1205', { file, tensor: what, problem })]);
  const number = proto.data_type ?? 0;
  const dtype = onnxTypeOf(number);
  if (!dtype) throw notRead(file, what, `of ${typeName(number)}`);
  const shape = proto.dims ?? [];
  const size = sizeOf(shape);
  const { bytes: width, field, width: listed } = LISTED[dtype];
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || !Number.isSafeInteger(size * width)) {
    throw wrong(`has the impossible shape [${shape.join(', ')}]`);
  }
  const needs = `${dtype} [${shape.join(', ')}] needs`;
  const common = { name: proto.name ?? '', dtype, shape };

  if (proto.data_location === EXTERNAL) {
    return externalTensor(common, files, placeOf(file, what, proto.external_data ?? [], size * width), size * width);
  }
  const raw = proto.raw_data;
  if (raw && raw.byteLength !== size * width) {
    throw wrong(`has ${raw.byteLength} bytes, but ${needs} ${size * width}`);
  }
  if (!raw) {
    const numbers = proto[field] ? packedLength(proto[field], listed) : 0;
    if (numbers === undefined) throw wrong(`has a list of numbers (${field}) that ends inside of one, or is none`);
    if (numbers !== size) throw wrong(`has ${numbers} elements (${field}), but ${needs} ${size}`);
  }
  const bytes = () => raw ?? listedBytes(proto, dtype, size);
  const read = () => elementsOf(bytes(), dtype);
  return { ...common, held: true, read, load: async () => read(), bytes: async () => bytes() };
}

type Common = Pick<OnnxTensor, 'name' | 'dtype' | 'shape'>;

function externalTensor(common: Common, files: ExternalFiles, place: ExternalPlace, length: number): OnnxTensor {
  const bytes = async () => {
    const source: ByteSource = await files.open(place);
    return source.read(place.offset, length);
  };
  return {
    ...common,
    held: false,
    read() {
      throw new EspalierError([
        diagnostic('ESP1206', { ...place, problem: 'it is not among what is known before weights are loaded' }),
      ]);
    },
    load: async () => elementsOf(await bytes(), common.dtype),
    bytes,
  };
}

/** The tensor with its bytes in memory. */
export async function heldTensor(tensor: OnnxTensor): Promise<OnnxTensor> {
  const bytes = await tensor.bytes();
  return { ...tensor, held: true, read: () => elementsOf(bytes, tensor.dtype), bytes: async () => bytes };
}
