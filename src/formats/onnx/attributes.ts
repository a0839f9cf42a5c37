/** An AttributeProto as the one value that it is. */
import { type Free, notRead, type Reader, wrongNode } from './reading.js';
import type { AttributeProto, GraphProto, TensorProto } from './schema.js';
import { tensorOf } from './tensor.js';
import type { OnnxAttribute, OnnxGraph } from './types.js';

/** Kinds by the numbers that files have for them. */
export const ATTRIBUTE_KINDS = {
  1: 'float',
  2: 'int',
  3: 'string',
  4: 'tensor',
  5: 'graph',
  6: 'floats',
  7: 'ints',
  8: 'strings',
  9: 'tensors',
  10: 'graphs',
} as const;

type Kind = (typeof ATTRIBUTE_KINDS)[keyof typeof ATTRIBUTE_KINDS];

const REFUSED: Readonly<Record<number, string>> = {
  11: 'a sparse tensor',
  12: 'a list of sparse tensors',
  13: 'a type',
  14: 'a list of types',
};

/** Where no kind is said, as very old files do not: what is filled in. */
function kindOf(proto: AttributeProto): Kind | undefined {
  if (proto.type) return (ATTRIBUTE_KINDS as Readonly<Record<number, Kind>>)[proto.type];
  const fields = {
    f: 'float',
    i: 'int',
    s: 'string',
    t: 'tensor',
    g: 'graph',
    floats: 'floats',
    ints: 'ints',
    strings: 'strings',
    tensors: 'tensors',
    graphs: 'graphs',
  } as const;
  for (const [field, kind] of Object.entries(fields))
    if (proto[field as keyof typeof fields] !== undefined) return kind;
  return undefined;
}

/**
 * @param node Whose it is, for messages.
 * @param graphOf Reads one of its graphs.
 * @returns also the names that its graphs take from around them.
 * @throws EspalierError ESP1202, ESP1204, and what its tensors and graphs are refused for
 */
export function attributeOf(
  reader: Reader,
  node: string,
  proto: AttributeProto,
  graphOf: (proto: GraphProto) => { readonly graph: OnnxGraph; readonly free: Free },
): { readonly value: OnnxAttribute; readonly free: readonly string[] } {
  const { file } = reader;
  const name = proto.name ?? '';
  const what = `attribute "${name}" of ${node}`;
  const wrong = (problem: string) => wrongNode(file, node, `has an attribute "${name}" ${problem}`);
  if (name === '') throw wrongNode(file, node, 'has an attribute without a name');
  if (proto.ref_attr_name) return { value: { kind: 'reference', value: proto.ref_attr_name }, free: [] };
  const refused = REFUSED[proto.type ?? 0];
  if (refused) throw notRead(file, what, refused);
  const kind = kindOf(proto);
  if (!kind) throw wrong(proto.type ? `of kind ${proto.type}, which there is not` : 'without a value');

  const text = (bytes: Uint8Array): string => {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw wrong('that is not text (UTF-8)');
    }
  };
  const tensor = (t: TensorProto) => tensorOf(file, what, t, reader.files);
  const free: string[] = [];
  const graph = (g: GraphProto) => {
    const inside = graphOf(g);
    free.push(...inside.free.keys());
    return inside.graph;
  };
  const needed = <T>(value: T | undefined): T => {
    if (value === undefined) throw wrong(`that is said to be a ${kind}, and holds none`);
    return value;
  };
  /** Writers leave out what is zero or empty. */
  const values: { readonly [K in Kind]: () => Extract<OnnxAttribute, { kind: K }>['value'] } = {
    float: () => proto.f ?? 0,
    int: () => proto.i ?? 0,
    string: () => text(proto.s ?? new Uint8Array()),
    tensor: () => tensor(needed(proto.t)),
    graph: () => graph(needed(proto.g)),
    floats: () => proto.floats ?? [],
    ints: () => proto.ints ?? [],
    strings: () => (proto.strings ?? []).map(text),
    tensors: () => (proto.tensors ?? []).map(tensor),
    graphs: () => (proto.graphs ?? []).map(graph),
  };
  return { value: { kind, value: values[kind]() } as OnnxAttribute, free };
}
