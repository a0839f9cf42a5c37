/** Reading ONNX: a model, or a tensor that stands in a file alone, as the test data of ONNX do. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { type ByteSource, readAll } from '../tensors/bytes.js';
import { type ExternalFiles, filesBeside } from './external.js';
import { everyNode, functionsOf, refuseEndless } from './functions.js';
import { domainOf, graphOf } from './graph.js';
import { notValid, wrongNode } from './reading.js';
import { MODEL, type OperatorSetIdProto, TENSOR } from './schema.js';
import { heldTensor, tensorOf } from './tensor.js';
import { type GraphNode, type OnnxModel, type OnnxTensor, OPSETS } from './types.js';
import { decode, type Message, WireError } from './wire.js';

/** Protobuf's own limit. */
const MOST_BYTES = 2 ** 31 - 1;
/** Tensors in other files up to so many bytes are read when the model is opened: shapes are among them, and have to be known. */
const SMALL = 1 << 16;

/**
 * Opens a model: the file is read whole, weights in files beside it are not, unless they are small.
 * @throws EspalierError ESP1201 to ESP1206, ESP0501
 */
export async function openOnnx(source: ByteSource): Promise<OnnxModel> {
  if (source.size > MOST_BYTES) {
    const size = source.size.toLocaleString('en');
    throw notValid(source.name, `it has ${size} bytes, and protobuf allows ${MOST_BYTES.toLocaleString('en')}`);
  }
  const model = readModel(source.name, await readAll(source), filesBeside(source));
  const initialisers = new Map<string, OnnxTensor>();
  for (const [name, tensor] of model.graph.initialisers) initialisers.set(name, await smallHeld(tensor));
  const nodes: GraphNode[] = [];
  for (const node of model.graph.nodes) nodes.push(await constantHeld(node));
  return { ...model, graph: { ...model.graph, nodes, initialisers } };
}

async function smallHeld(tensor: OnnxTensor): Promise<OnnxTensor> {
  const small = !tensor.held && tensor.shape.reduce((a, b) => a * b, 8) <= SMALL;
  return small ? await heldTensor(tensor) : tensor;
}

/** A node that is a constant is an initialiser in another place. */
async function constantHeld(node: GraphNode): Promise<GraphNode> {
  const value = node.attributes.get('value');
  if (value?.kind !== 'tensor' || value.value.held) return node;
  const held = { ...value, value: await smallHeld(value.value) };
  return { ...node, attributes: new Map([...node.attributes, ['value', held]]) };
}

/**
 * A model of bytes; whatever it has in other files cannot be read.
 * @param name For messages.
 * @throws EspalierError ESP1201 to ESP1206
 */
export const readOnnx = (name: string, bytes: Uint8Array): OnnxModel => readModel(name, bytes, filesBeside({}));

/** A TensorProto that is a file of its own. @throws EspalierError ESP1201, ESP1204, ESP1205, ESP1206 */
export function readTensorProto(name: string, bytes: Uint8Array): OnnxTensor {
  return tensorOf(name, 'the tensor', decoded(name, TENSOR, bytes), filesBeside({}));
}

function decoded<T>(file: string, message: Message<T>, bytes: Uint8Array): T {
  try {
    return decode(message, bytes);
  } catch (error) {
    if (error instanceof WireError) throw notValid(file, error.message);
    throw error;
  }
}

function readModel(file: string, bytes: Uint8Array, files: ExternalFiles): OnnxModel {
  const proto = decoded(file, MODEL, bytes);
  if (!proto.ir_version || !proto.graph) throw notValid(file, 'it holds no model');
  const reader = { file, files };
  const { graph, free } = graphOf(reader, proto.graph);
  for (const [name, by] of free) {
    if (by.startsWith('node')) throw wrongNode(file, by, `reads "${name}", which nothing gives`);
    throw notValid(file, `nothing gives its output "${name}"`);
  }
  if (graph.outputs.length === 0) throw notValid(file, 'its graph has no outputs');
  const opsets = opsetsOf(file, proto.opset_import, graph.nodes, 'it');
  const functions = functionsOf(reader, proto.functions ?? [], (imports, nodes, of) =>
    opsetsOf(file, imports, nodes, `its ${of}`),
  );
  refuseEndless(file, graph.nodes, functions);
  const metadata = Object.fromEntries((proto.metadata_props ?? []).map(({ key = '', value = '' }) => [key, value]));
  const producer = [proto.producer_name, proto.producer_version].filter((part) => part).join(' ');
  return { file, producer, opsets, graph, functions, metadata };
}

/** Versions by domain. @param of whose they are, for messages */
function opsetsOf(
  file: string,
  imports: readonly OperatorSetIdProto[] = [],
  nodes: readonly GraphNode[],
  of: string,
): ReadonlyMap<string, number> {
  const refuse = (found: string) => new EspalierError([diagnostic('ESP1203', { file, found, ...OPSETS })]);
  const opsets = new Map<string, number>();
  for (const entry of imports) {
    const domain = domainOf(entry.domain);
    const version = entry.version ?? 0;
    if (opsets.has(domain) && opsets.get(domain) !== version) {
      throw notValid(file, `${of} names two versions of the operators of domain "${domain}"`);
    }
    opsets.set(domain, version);
  }
  for (const node of everyNode(nodes)) {
    if (!opsets.has(node.domain)) {
      throw wrongNode(
        file,
        node.label,
        `is of domain "${node.domain}", for which no version of its operators is named`,
      );
    }
  }
  const version = opsets.get('');
  if (version !== undefined && (version < OPSETS.first || version > OPSETS.last)) {
    throw refuse(of === 'it' ? `is of opset ${version}` : `has operators of opset ${version} in ${of.slice(4)}`);
  }
  return opsets;
}
