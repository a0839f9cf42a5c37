/** A GraphProto as a graph: names lead somewhere, one node gives each value, and nodes stand behind what they read. */
import { attributeOf } from './attributes.js';
import { type Free, notRead, notValid, type Reader, wrongNode } from './reading.js';
import type { GraphProto, NodeProto, ValueInfoProto } from './schema.js';
import { tensorOf } from './tensor.js';
import {
  type GraphNode,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxTensor,
  type OnnxValue,
  onnxTypeOf,
  typeName,
} from './types.js';

/** `ai.onnx` is another name of the default domain. */
export const domainOf = (domain = ''): string => (domain === 'ai.onnx' ? '' : domain);

/**
 * A graph, and the names that it takes from around it: those of a node's graph may be values of the graph that the node is in.
 * @throws EspalierError ESP1201, ESP1202, ESP1204, ESP1205, ESP1206
 */
export function graphOf(reader: Reader, proto: GraphProto): { readonly graph: OnnxGraph; readonly free: Free } {
  const { file } = reader;
  const [sparse] = proto.sparse_initializer ?? [];
  if (sparse) throw notRead(file, `initialiser "${sparse.values?.name ?? ''}"`, 'a sparse tensor');
  const initialisers = new Map<string, OnnxTensor>();
  for (const tensor of proto.initializer ?? []) {
    const name = tensor.name ?? '';
    if (name === '') throw notValid(file, 'an initialiser has no name');
    if (initialisers.has(name)) throw notValid(file, `there are two initialisers "${name}"`);
    initialisers.set(name, tensorOf(file, `tensor "${name}"`, tensor, reader.files));
  }
  const all = (proto.input ?? []).map((value) => valueInfo(file, 'input', value));
  const given = new Map<string, string>([...initialisers.keys()].map((name) => [name, 'an initialiser']));
  const inputs = all.filter(({ name }) => !initialisers.has(name));
  for (const { name } of inputs) {
    if (given.has(name)) throw notValid(file, `there are two inputs "${name}"`);
    given.set(name, 'an input');
  }
  const { nodes, free } = nodesOf(reader, proto.node ?? [], given);
  const outputs = (proto.output ?? []).map((value) => valueInfo(file, 'output', value));
  const taken = new Map(free);
  for (const { name } of outputs) {
    if (!given.has(name) && !taken.has(name)) taken.set(name, 'the list of outputs');
  }
  return { graph: { name: proto.name ?? '', nodes, initialisers, inputs, outputs }, free: taken };
}

/**
 * Nodes in an order in which they can be run: that of the file, where it is one.
 * @param given Names that there are already, and what gives each; those that nodes give are added.
 * @throws EspalierError ESP1202, and what attributes are refused for
 */
export function nodesOf(
  reader: Reader,
  protos: readonly NodeProto[],
  given: Map<string, string>,
): { readonly nodes: readonly GraphNode[]; readonly free: Free } {
  const { file } = reader;
  const parts = protos.map((proto, i) => nodeOf(reader, proto, i));
  const from = new Map<string, number>();
  parts.forEach(({ node }, i) => {
    for (const output of node.outputs) {
      if (output === '') continue;
      const before = given.get(output);
      if (before !== undefined) throw wrongNode(file, node.label, `gives "${output}", which ${before} is already`);
      given.set(output, `the result of ${node.label}`);
      from.set(output, i);
    }
  });
  const free = new Map<string, string>();
  const reads = parts.map(({ node, captured }) => {
    const names = new Set([...node.inputs, ...captured]);
    names.delete('');
    for (const name of names) if (!given.has(name) && !free.has(name)) free.set(name, node.label);
    return [...names].flatMap((name) => from.get(name) ?? []);
  });
  const order = ordered(reads);
  if (!Array.isArray(order)) {
    throw wrongNode(
      file,
      parts[order.within]!.node.label,
      'depends on its own result, by way of other nodes or at once',
    );
  }
  return { nodes: order.map((i) => parts[i]!.node), free };
}

/** Indices with each behind those that it reads, or one that reads itself. No recursion: a graph is as deep as somebody made it. */
function ordered(reads: readonly (readonly number[])[]): number[] | { readonly within: number } {
  const order: number[] = [];
  const state = new Uint8Array(reads.length);
  const [UNSEEN, OPEN, DONE] = [0, 1, 2];
  for (let root = 0; root < reads.length; root++) {
    if (state[root] !== UNSEEN) continue;
    const stack = [{ at: root, next: 0 }];
    state[root] = OPEN;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const read = reads[top.at]![top.next++];
      if (read === undefined) {
        state[top.at] = DONE;
        order.push(top.at);
        stack.pop();
      } else if (state[read] === OPEN) return { within: read };
      else if (state[read] === UNSEEN) {
        state[read] = OPEN;
        stack.push({ at: read, next: 0 });
      }
    }
  }
  return order;
}

function nodeOf(
  reader: Reader,
  proto: NodeProto,
  index: number,
): { readonly node: GraphNode; readonly captured: readonly string[] } {
  const { file } = reader;
  const op = proto.op_type ?? '';
  const name = proto.name ?? '';
  const outputs = proto.output ?? [];
  const label =
    name === '' ? `node ${index} (${op}${outputs[0] ? `, of "${outputs[0]}"` : ''})` : `node "${name}" (${op})`;
  if (op === '') throw wrongNode(file, label, 'has no operator');
  const attributes = new Map<string, OnnxAttribute>();
  const captured: string[] = [];
  for (const attribute of proto.attribute ?? []) {
    const said = attribute.name ?? '';
    if (attributes.has(said)) throw wrongNode(file, label, `has two attributes "${said}"`);
    const { value, free } = attributeOf(reader, label, attribute, (inside) => graphOf(reader, inside));
    attributes.set(said, value);
    captured.push(...free);
  }
  const node = {
    op,
    domain: domainOf(proto.domain),
    overload: proto.overload ?? '',
    name,
    label,
    inputs: proto.input ?? [],
    outputs,
    attributes,
  };
  return { node, captured };
}

function valueInfo(file: string, kind: 'input' | 'output', proto: ValueInfoProto): OnnxValue {
  const name = proto.name ?? '';
  const what = `${kind} "${name}"`;
  if (name === '') throw notValid(file, `an ${kind} has no name`);
  const { type = {} } = proto;
  const others = {
    sequence_type: 'a sequence',
    map_type: 'a map',
    optional_type: 'an optional value',
    sparse_tensor_type: 'a sparse tensor',
    opaque_type: 'of an opaque type',
  } as const;
  for (const [field, words] of Object.entries(others)) {
    if (type[field as keyof typeof others]) throw notRead(file, what, words);
  }
  const { tensor_type: tensor } = type;
  if (!tensor?.elem_type) return { name };
  const dtype = onnxTypeOf(tensor.elem_type);
  if (!dtype) throw notRead(file, what, `of ${typeName(tensor.elem_type)}`);
  if (!tensor.shape) return { name, dtype };
  const shape = (tensor.shape.dim ?? []).map(({ dim_value: size, dim_param: symbol }) => {
    // Some writers say with -1 that they do not know.
    if (size !== undefined && size >= 0) return size;
    return symbol === undefined || symbol === '' ? undefined : symbol;
  });
  return { name, dtype, shape };
}
