/**
 * The graph that is imported: of what a file holds, the nodes that its outputs need. Functions that the model brings along are put in where they are
 * called; constants are initialisers like any other.
 */
import type { GraphNode as FileNode, OnnxAttribute, OnnxModel, OnnxTensor } from '../../formats/onnx/types.js';
import { functionKey } from '../../formats/onnx/types.js';

export interface GraphNode {
  /** `Conv`; `com.microsoft.Gelu` in other domains. */
  readonly op: string;
  /** Version of its operator set. */
  readonly opset: number;
  /** As the file has it; may be empty. */
  readonly name: string;
  /** For messages. */
  readonly label: string;
  readonly inputs: readonly (string | undefined)[];
  readonly outputs: readonly (string | undefined)[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly initialisers: ReadonlyMap<string, OnnxTensor>;
}

/** Everything of a model that some values of it need. */
export function graphOf(model: OnnxModel, outputs: readonly string[]): Graph {
  const { graph } = model;
  const nodes = flat(model, graph.nodes, model.opsets);
  return constants(live(nodes, outputs), graph.initialisers);
}

/** The nodes that some values need, in their order. */
export function live(nodes: readonly GraphNode[], outputs: Iterable<string>): GraphNode[] {
  const wanted = new Set(outputs);
  const kept: GraphNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((o) => o !== undefined && wanted.has(o))) continue;
    kept.push(node);
    for (const input of node.inputs) if (input !== undefined) wanted.add(input);
  }
  return kept.reverse();
}

/** With the bodies of the model's functions where they are called. */
function flat(model: OnnxModel, nodes: readonly FileNode[], opsets: ReadonlyMap<string, number>): GraphNode[] {
  return nodes.flatMap((node, i): GraphNode[] => {
    const called = model.functions.get(functionKey(node.domain, node.op, node.overload));
    if (!called) return [own(node, opsets)];
    // Names inside of a function are its own: each call has them with the call's name before them.
    const call = node.name || `${node.op}.${node.outputs.find((o) => o) ?? i}`;
    const names = new Map([
      ...called.inputs.map((name, k) => [name, node.inputs[k] ?? ''] as const),
      ...called.outputs.map((name, k) => [name, node.outputs[k] || `${call}/${name}`] as const),
    ]);
    const renamed = (name: string): string => (name === '' ? '' : (names.get(name) ?? `${call}/${name}`));
    const body = called.nodes.map((inner) => ({
      ...inner,
      name: inner.name && `${call}/${inner.name}`,
      label: `${inner.label} of ${node.label}`,
      inputs: inner.inputs.map(renamed),
      outputs: inner.outputs.map(renamed),
      attributes: new Map(
        [...inner.attributes].flatMap(([key, value]) => {
          if (value.kind !== 'reference') return [[key, value] as const];
          const given = node.attributes.get(value.value) ?? called.attributes.get(value.value);
          return given ? [[key, given] as const] : [];
        }),
      ),
    }));
    return flat(model, body, called.opsets);
  });
}

function own(node: FileNode, opsets: ReadonlyMap<string, number>): GraphNode {
  const { op, domain, name, label, attributes } = node;
  const present = (names: readonly string[]) => names.map((n) => (n === '' ? undefined : n));
  return {
    op: domain === '' ? op : `${domain}.${op}`,
    opset: opsets.get(domain) ?? 1,
    name,
    label,
    inputs: present(node.inputs),
    outputs: present(node.outputs),
    attributes,
  };
}

/** Nodes that hold a tensor are no nodes; those that hold numbers are left to their rule. */
function constants(nodes: readonly GraphNode[], given: ReadonlyMap<string, OnnxTensor>): Graph {
  const initialisers = new Map(given);
  const rest = nodes.filter((node) => {
    const value = node.op === 'Constant' ? node.attributes.get('value') : undefined;
    const output = node.outputs[0];
    if (value?.kind !== 'tensor' || output === undefined) return true;
    initialisers.set(output, value.value);
    return false;
  });
  return { nodes: rest, initialisers };
}

/** The module that a node's name says it is of: `/layers.1/blocks.0/attn/qkv/MatMul` is of `layers.1.blocks.0.attn.qkv`. */
export function scopeOf(name: string): readonly string[] {
  if (!name.startsWith('/')) return [];
  const scopes = name.split('/').slice(1, -1);
  // A sequence that is called stands before its items, which carry its name: `seq/seq.0`.
  const own = scopes.filter((s, i) => !scopes[i + 1]?.startsWith(`${s}.`));
  // An item that is called again has its number of the call behind its own: `seq.1_2`.
  return own.flatMap((s) => s.split('.').map((part) => part.replace(/^(\d+)_\d+$/, '$1'))).filter((s) => s !== '');
}
