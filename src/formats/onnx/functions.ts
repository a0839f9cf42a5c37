/** Functions that a file brings along: read as graphs are, and none calls itself or unfolds into more than a model can be. */
import { attributeOf } from './attributes.js';
import { domainOf, graphOf, nodesOf } from './graph.js';
import { notValid, type Reader } from './reading.js';
import type { FunctionProto } from './schema.js';
import { functionKey, type GraphNode, type OnnxAttribute, type OnnxFunction } from './types.js';

/** More nodes than any model has once its functions are written out. */
const MOST_NODES = 1 << 20;

/** @throws EspalierError ESP1201, ESP1202, ESP1204, ESP1205, ESP1206 */
export function functionsOf(
  reader: Reader,
  protos: readonly FunctionProto[],
  opsetsOf: (imports: FunctionProto['opset_import'], nodes: readonly GraphNode[], of: string) => OnnxFunction['opsets'],
): ReadonlyMap<string, OnnxFunction> {
  const { file } = reader;
  const functions = new Map<string, OnnxFunction>();
  for (const proto of protos) {
    const { name = '', overload = '', input: inputs = [], output: outputs = [] } = proto;
    const domain = domainOf(proto.domain);
    const what = `function "${name}"`;
    const key = functionKey(domain, name, overload);
    if (name === '') throw notValid(file, 'a function has no name');
    if (functions.has(key)) throw notValid(file, `there are two functions "${name}" of domain "${domain}"`);
    const given = new Map<string, string>();
    for (const input of inputs) {
      if (given.has(input)) throw notValid(file, `${what} has two inputs "${input}"`);
      given.set(input, 'an input');
    }
    const { nodes, free } = nodesOf(reader, proto.node ?? [], given);
    for (const [unknown, by] of free) throw notValid(file, `in ${what}, ${by} reads "${unknown}", which nothing gives`);
    for (const output of outputs) {
      if (!given.has(output)) throw notValid(file, `the output "${output}" of ${what} is given by nothing`);
    }
    const attributes = new Map<string, OnnxAttribute | undefined>((proto.attribute ?? []).map((a) => [a, undefined]));
    for (const attribute of proto.attribute_proto ?? []) {
      const { value } = attributeOf(reader, what, attribute, (graph) => graphOf(reader, graph));
      attributes.set(attribute.name!, value);
    }
    const opsets = opsetsOf(proto.opset_import, nodes, what);
    functions.set(key, { name, domain, overload, inputs, outputs, attributes, opsets, nodes });
  }
  return functions;
}

/** Nodes of a graph, those of its nodes' graphs among them. */
export function* everyNode(nodes: readonly GraphNode[]): Generator<GraphNode> {
  for (const node of nodes) {
    yield node;
    for (const attribute of node.attributes.values()) {
      if (attribute.kind === 'graph') yield* everyNode(attribute.value.nodes);
      if (attribute.kind === 'graphs') for (const graph of attribute.value) yield* everyNode(graph.nodes);
    }
  }
}

/** @throws EspalierError ESP1201 if a function calls itself, or the graph with all written out is too large */
export function refuseEndless(
  file: string,
  nodes: readonly GraphNode[],
  functions: ReadonlyMap<string, OnnxFunction>,
): void {
  // Functions may call one another as deep as there are functions, so there is a stack of our own.
  const calls = (of: readonly GraphNode[]) =>
    [...everyNode(of)].flatMap((n) => functions.get(functionKey(n.domain, n.op, n.overload)) ?? []);
  const size = new Map<OnnxFunction, number>();
  const open = new Set<OnnxFunction>();
  const sizeWith = (of: readonly GraphNode[], called: readonly OnnxFunction[]): number =>
    [...everyNode(of)].length + called.reduce((n, f) => n + size.get(f)!, 0);
  for (const root of functions.values()) {
    const stack = size.has(root) ? [] : [{ of: root, called: calls(root.nodes), next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      open.add(top.of);
      const next = top.called[top.next++];
      if (next === undefined) {
        size.set(top.of, sizeWith(top.of.nodes, top.called));
        open.delete(top.of);
        stack.pop();
      } else if (open.has(next))
        throw notValid(file, `the function "${next.name}" calls itself, by way of others or at once`);
      else if (!size.has(next)) stack.push({ of: next, called: calls(next.nodes), next: 0 });
    }
  }
  const whole = sizeWith(nodes, calls(nodes));
  if (whole > MOST_NODES) {
    throw notValid(file, `with its functions written out it has more than ${MOST_NODES.toLocaleString('en')} nodes`);
  }
}
