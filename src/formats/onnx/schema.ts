/**
 * What of ONNX's messages is read and written: their fields by number, as onnx.proto of ONNX 1.23 has them. What is not listed (texts for people,
 * types of inner values, training, devices) is passed over.
 */
import { WireType } from '@bufbuild/protobuf/wire';
import {
  bytes,
  fields,
  float,
  floats,
  int,
  ints,
  type Message,
  manyBytes,
  message,
  messages,
  type Packed,
  packed,
  text,
  texts,
} from './wire.js';

/** ModelProto: the whole file. */
export interface ModelProto {
  readonly ir_version?: number;
  readonly producer_name?: string;
  readonly producer_version?: string;
  readonly graph?: GraphProto;
  readonly opset_import?: readonly OperatorSetIdProto[];
  readonly metadata_props?: readonly StringStringEntryProto[];
  readonly functions?: readonly FunctionProto[];
}

export interface OperatorSetIdProto {
  readonly domain?: string;
  readonly version?: number;
}

export interface StringStringEntryProto {
  readonly key?: string;
  readonly value?: string;
}

export interface GraphProto {
  readonly node?: readonly NodeProto[];
  readonly name?: string;
  readonly initializer?: readonly TensorProto[];
  readonly input?: readonly ValueInfoProto[];
  readonly output?: readonly ValueInfoProto[];
  readonly sparse_initializer?: readonly SparseTensorProto[];
}

export interface NodeProto {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly name?: string;
  readonly op_type?: string;
  readonly attribute?: readonly AttributeProto[];
  readonly domain?: string;
  readonly overload?: string;
}

export interface AttributeProto {
  readonly name?: string;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats?: readonly number[];
  readonly ints?: readonly number[];
  readonly strings?: readonly Uint8Array[];
  readonly tensors?: readonly TensorProto[];
  readonly graphs?: readonly GraphProto[];
  readonly type?: number;
  readonly ref_attr_name?: string;
}

export interface TensorProto {
  readonly dims?: readonly number[];
  readonly data_type?: number;
  readonly float_data?: Packed;
  readonly int32_data?: Packed;
  readonly string_data?: readonly Uint8Array[];
  readonly int64_data?: Packed;
  readonly name?: string;
  readonly raw_data?: Uint8Array;
  readonly double_data?: Packed;
  readonly uint64_data?: Packed;
  readonly external_data?: readonly StringStringEntryProto[];
  readonly data_location?: number;
}

/** Only its name: sparse tensors are refused by it. */
export interface SparseTensorProto {
  readonly values?: TensorProto;
}

export interface ValueInfoProto {
  readonly name?: string;
  readonly type?: TypeProto;
}

/** One of them is there. The others than tensors are only told apart. */
export interface TypeProto {
  readonly tensor_type?: TensorTypeProto;
  readonly sequence_type?: Uint8Array;
  readonly map_type?: Uint8Array;
  readonly opaque_type?: Uint8Array;
  readonly sparse_tensor_type?: Uint8Array;
  readonly optional_type?: Uint8Array;
}

export interface TensorTypeProto {
  readonly elem_type?: number;
  readonly shape?: TensorShapeProto;
}

export interface TensorShapeProto {
  readonly dim?: readonly DimensionProto[];
}

export interface DimensionProto {
  readonly dim_value?: number;
  readonly dim_param?: string;
}

export interface FunctionProto {
  readonly name?: string;
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly attribute?: readonly string[];
  readonly node?: readonly NodeProto[];
  readonly opset_import?: readonly OperatorSetIdProto[];
  readonly domain?: string;
  readonly attribute_proto?: readonly AttributeProto[];
  readonly overload?: string;
}

const OPERATOR_SET: Message<OperatorSetIdProto> = fields<OperatorSetIdProto>({ domain: text(1), version: int(2) });

const ENTRY: Message<StringStringEntryProto> = fields<StringStringEntryProto>({ key: text(1), value: text(2) });

export const TENSOR: Message<TensorProto> = fields<TensorProto>({
  dims: ints(1),
  data_type: int(2),
  float_data: packed(4, WireType.Bit32),
  int32_data: packed(5, WireType.Varint),
  string_data: manyBytes(6),
  int64_data: packed(7, WireType.Varint),
  name: text(8),
  raw_data: bytes(9),
  double_data: packed(10, WireType.Bit64),
  uint64_data: packed(11, WireType.Varint),
  external_data: messages(13, () => ENTRY),
  data_location: int(14),
});

const SPARSE: Message<SparseTensorProto> = fields<SparseTensorProto>({ values: message(1, () => TENSOR) });

const DIMENSION: Message<DimensionProto> = fields<DimensionProto>({ dim_value: int(1), dim_param: text(2) });

const SHAPE: Message<TensorShapeProto> = fields<TensorShapeProto>({ dim: messages(1, () => DIMENSION) });

const TENSOR_TYPE: Message<TensorTypeProto> = fields<TensorTypeProto>({
  elem_type: int(1),
  shape: message(2, () => SHAPE),
});

const TYPE: Message<TypeProto> = fields<TypeProto>({
  tensor_type: message(1, () => TENSOR_TYPE),
  sequence_type: bytes(4),
  map_type: bytes(5),
  opaque_type: bytes(7),
  sparse_tensor_type: bytes(8),
  optional_type: bytes(9),
});

const VALUE: Message<ValueInfoProto> = fields<ValueInfoProto>({ name: text(1), type: message(2, () => TYPE) });

const ATTRIBUTE: Message<AttributeProto> = fields<AttributeProto>({
  name: text(1),
  f: float(2),
  i: int(3),
  s: bytes(4),
  t: message(5, () => TENSOR),
  g: message(6, () => GRAPH),
  floats: floats(7),
  ints: ints(8),
  strings: manyBytes(9),
  tensors: messages(10, () => TENSOR),
  graphs: messages(11, () => GRAPH),
  type: int(20),
  ref_attr_name: text(21),
});

const NODE: Message<NodeProto> = fields<NodeProto>({
  input: texts(1),
  output: texts(2),
  name: text(3),
  op_type: text(4),
  attribute: messages(5, () => ATTRIBUTE),
  domain: text(7),
  overload: text(8),
});

const GRAPH: Message<GraphProto> = fields<GraphProto>({
  node: messages(1, () => NODE),
  name: text(2),
  initializer: messages(5, () => TENSOR),
  input: messages(11, () => VALUE),
  output: messages(12, () => VALUE),
  sparse_initializer: messages(15, () => SPARSE),
});

const FUNCTION: Message<FunctionProto> = fields<FunctionProto>({
  name: text(1),
  input: texts(4),
  output: texts(5),
  attribute: texts(6),
  node: messages(7, () => NODE),
  opset_import: messages(9, () => OPERATOR_SET),
  domain: text(10),
  attribute_proto: messages(11, () => ATTRIBUTE),
  overload: text(13),
});

export const MODEL: Message<ModelProto> = fields<ModelProto>({
  ir_version: int(1),
  producer_name: text(2),
  producer_version: text(3),
  graph: message(7, () => GRAPH),
  opset_import: messages(8, () => OPERATOR_SET),
  metadata_props: messages(14, () => ENTRY),
  functions: messages(25, () => FUNCTION),
});
