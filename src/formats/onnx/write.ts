/** Writing ONNX: the same bytes for the same model. Weights lie in the file itself, or in one beside it. */
import { ATTRIBUTE_KINDS } from './attributes.js';
import { notValid } from './reading.js';
import {
  type AttributeProto,
  type GraphProto,
  MODEL,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './schema.js';
import {
  type GraphNode,
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxTensor,
  type OnnxType,
  type OnnxValue,
  OPSETS,
} from './types.js';
import { encode, type Pieces, sizeOfPieces } from './wire.js';

/** Protobuf's limit, with room for all that is not weights. */
const MOST_WEIGHTS = 2 ** 31 - 2 ** 26;
const MOST_BYTES = 2 ** 31 - 1;
/** Smaller tensors stay in the model's own file. */
const LEAST_OUTSIDE = 1024;
/** Where tensors of a file of weights begin: at pages, so that they can be mapped. */
const PAGE = 4096;

export interface WriteOptions {
  /** Weights go into a file beside the model's, `NAME.data` (default: where they are more than a model's file can hold, 2 GB). */
  readonly external?: boolean;
}

/**
 * The files of a model, by name: that of its weights, where they are apart, before the model's own.
 * @param name of the model's file
 * @throws EspalierError ESP1201 where the model without its large tensors is more than a file can hold
 */
export async function onnxFiles(
  name: string,
  model: Omit<OnnxModel, 'file'>,
  options: WriteOptions = {},
): Promise<ReadonlyMap<string, Pieces>> {
  const weights = [...model.graph.initialisers.values()];
  let total = 0;
  for (const tensor of weights) total += (await tensor.bytes()).byteLength;
  const outside = new Outside(`${name}.data`);
  const external = options.external ?? total > MOST_WEIGHTS;
  const graph = await graphProto(model.graph, external ? outside : undefined);
  const proto: ModelProto = {
    ir_version: irVersion(model.opsets.get('') ?? OPSETS.last),
    producer_name: model.producer,
    graph,
    opset_import: [...model.opsets].map(([domain, version]) => ({ domain, version })),
    metadata_props: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
    functions: await Promise.all(
      [...model.functions.values()].map(async (f) => ({
        name: f.name,
        input: f.inputs,
        output: f.outputs,
        attribute: [...f.attributes].flatMap(([key, value]) => (value ? [] : [key])),
        attribute_proto: await attributeProtos([...f.attributes].flatMap(([key, v]) => (v ? [[key, v] as const] : []))),
        node: await Promise.all(f.nodes.map(nodeProto)),
        opset_import: [...f.opsets].map(([domain, version]) => ({ domain, version })),
        domain: f.domain,
        ...(f.overload ? { overload: f.overload } : {}),
      })),
    ),
  };
  const file = encode(MODEL, proto);
  if (sizeOfPieces(file) > MOST_BYTES) throw notValid(name, 'it would have more than 2,147,483,647 bytes');
  return new Map<string, Pieces>([
    ...(outside.size > 0 ? [[outside.name, outside.pieces] as const] : []),
    [name, file],
  ]);
}

/** The version of the format that came with a version of the operators. */
const irVersion = (opset: number): number => {
  for (const [first, version] of [
    [21, 10],
    [19, 9],
    [15, 8],
    [12, 7],
    [11, 6],
    [10, 5],
  ] as const) {
    if (opset >= first) return version;
  }
  return 4;
};

/** A file of weights, as it grows. */
class Outside {
  readonly pieces: Uint8Array[] = [];
  size = 0;
  constructor(readonly name: string) {}

  /** Puts bytes at the next page. */
  add(bytes: Uint8Array): TensorProto['external_data'] {
    const gap = (PAGE - (this.size % PAGE)) % PAGE;
    if (gap > 0) this.pieces.push(new Uint8Array(gap));
    const offset = this.size + gap;
    this.pieces.push(bytes);
    this.size = offset + bytes.byteLength;
    return Object.entries({ location: this.name, offset, length: bytes.byteLength }).map(([key, value]) => ({
      key,
      value: String(value),
    }));
  }
}

const TYPE_NUMBERS = Object.fromEntries(Object.entries(ONNX_TYPES).map(([n, type]) => [type, Number(n)])) as Readonly<
  Record<OnnxType, number>
>;
const KIND_NUMBERS = Object.fromEntries(
  Object.entries(ATTRIBUTE_KINDS).map(([n, kind]) => [kind, Number(n)]),
) as Readonly<Record<(typeof ATTRIBUTE_KINDS)[keyof typeof ATTRIBUTE_KINDS], number>>;

async function graphProto(graph: OnnxGraph, outside?: Outside): Promise<GraphProto> {
  const initializer: TensorProto[] = [];
  for (const [name, tensor] of graph.initialisers) initializer.push(await tensorProto(name, tensor, outside));
  return {
    name: graph.name,
    node: await Promise.all(graph.nodes.map(nodeProto)),
    initializer,
    input: graph.inputs.map(valueProto),
    output: graph.outputs.map(valueProto),
  };
}

async function tensorProto(name: string, tensor: OnnxTensor, outside?: Outside): Promise<TensorProto> {
  const bytes = await tensor.bytes();
  const common = { name, dims: tensor.shape, data_type: TYPE_NUMBERS[tensor.dtype] };
  if (!outside || bytes.byteLength < LEAST_OUTSIDE) return { ...common, raw_data: bytes };
  return { ...common, data_location: 1, external_data: outside.add(bytes)! };
}

async function nodeProto(node: GraphNode): Promise<NodeProto> {
  return {
    input: node.inputs,
    output: node.outputs,
    name: node.name,
    op_type: node.op,
    attribute: await attributeProtos([...node.attributes]),
    ...(node.domain ? { domain: node.domain } : {}),
    ...(node.overload ? { overload: node.overload } : {}),
  };
}

const attributeProtos = (all: readonly (readonly [name: string, value: OnnxAttribute])[]): Promise<AttributeProto[]> =>
  Promise.all(all.map(async ([name, value]) => ({ name, ...(await valueFields(value)) })));

async function valueFields(attribute: OnnxAttribute): Promise<Omit<AttributeProto, 'name'>> {
  if (attribute.kind === 'reference') return { ref_attr_name: attribute.value };
  const { kind, value } = attribute;
  const type = KIND_NUMBERS[kind];
  const text = (s: string) => new TextEncoder().encode(s);
  switch (kind) {
    case 'float':
      return { type, f: value };
    case 'int':
      return { type, i: value };
    case 'string':
      return { type, s: text(value) };
    case 'tensor':
      return { type, t: await tensorProto(value.name, value) };
    case 'graph':
      return { type, g: await graphProto(value) };
    case 'floats':
      return { type, floats: value };
    case 'ints':
      return { type, ints: value };
    case 'strings':
      return { type, strings: value.map(text) };
    case 'tensors':
      return { type, tensors: await Promise.all(value.map((t) => tensorProto(t.name, t))) };
    case 'graphs':
      return { type, graphs: await Promise.all(value.map((g) => graphProto(g))) };
  }
}

function valueProto({ name, dtype, shape }: OnnxValue): ValueInfoProto {
  if (!dtype) return { name };
  const dim = shape?.map((size) =>
    size === undefined ? {} : typeof size === 'number' ? { dim_value: size } : { dim_param: size },
  );
  return { name, type: { tensor_type: { elem_type: TYPE_NUMBERS[dtype], ...(dim ? { shape: { dim } } : {}) } } };
}
