/** An ONNX model as it is once its file has been read and checked: names lead somewhere, nodes stand in an order in which they can be run. */

/** Element types that have a meaning here, by the numbers that files have for them. */
export const ONNX_TYPES = {
  1: 'float',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'double',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
} as const;

export type OnnxType = (typeof ONNX_TYPES)[keyof typeof ONNX_TYPES];

/** The others, for messages. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  8: 'string',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
};

export const onnxTypeOf = (number: number): OnnxType | undefined =>
  (ONNX_TYPES as Readonly<Record<number, OnnxType>>)[number];
export const typeName = (number: number): string =>
  onnxTypeOf(number) ?? OTHER_TYPES[number] ?? (number === 0 ? 'no type at all' : `type ${number}`);

/** Versions of the default operator set that are read. */
export const OPSETS = { first: 9, last: 21 } as const;

/** A tensor of a file. It is read when it is wanted; what it claims to be was checked when the file was opened. */
export interface OnnxTensor {
  readonly name: string;
  readonly dtype: OnnxType;
  readonly shape: readonly number[];
  /** Its bytes are in the file itself, or small; otherwise they lie in another file, and only `load` and `bytes` have them. */
  readonly held: boolean;
  /**
   * The elements in row-major order: `double`, `int64` and `uint64` as doubles (whole numbers beyond 2^53 are the nearest), other floats as f32, others as
   * whole numbers, `bool` as 0 and 1.
   * @throws EspalierError ESP1206 where it is not held
   */
  read(): ArrayLike<number>;
  /** The same, wherever it lies. @throws EspalierError ESP1206, ESP0501 */
  load(): Promise<ArrayLike<number>>;
  /** The elements as they are stored, row-major, little endian; those that the file holds as bytes are not copied. @throws EspalierError ESP1206, ESP0501 */
  bytes(): Promise<Uint8Array>;
}

/** An attribute of a node. Whole numbers are doubles: exact up to 2^53, beyond it the nearest, so that the largest int64 comes as 2^63. */
export type OnnxAttribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'graph'; readonly value: OnnxGraph }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensors'; readonly value: readonly OnnxTensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly OnnxGraph[] }
  /** In a function: the attribute of that name of the node that calls it. */
  | { readonly kind: 'reference'; readonly value: string };

/** A node of a graph. */
export interface GraphNode {
  readonly op: string;
  /** Of its operator; empty for the default one, which files also write `ai.onnx`. */
  readonly domain: string;
  readonly overload: string;
  /** As the file has it; may be empty, and need not be the only one. */
  readonly name: string;
  /** For messages: `node "/encoder/conv/Conv" (Conv)`. */
  readonly label: string;
  /** Names of values; empty for an input or output that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** A size, the name of one, or undefined where nothing is said. */
export type OnnxDim = number | string | undefined;

/** An input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  /** Absent where the file does not say, as it may for outputs and inside of nodes. */
  readonly dtype?: OnnxType;
  /** Absent where not even the rank is said. */
  readonly shape?: readonly OnnxDim[];
}

export interface OnnxGraph {
  readonly name: string;
  /** Each behind those whose results it reads. */
  readonly nodes: readonly GraphNode[];
  readonly initialisers: ReadonlyMap<string, OnnxTensor>;
  /** Those that have no initialiser: what has one is a constant. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** A function that the file brings along: nodes that a node of its name stands for. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of its attributes; of those with a value, what they are where a node does not say. */
  readonly attributes: ReadonlyMap<string, OnnxAttribute | undefined>;
  readonly opsets: ReadonlyMap<string, number>;
  readonly nodes: readonly GraphNode[];
}

export interface OnnxModel {
  /** Path or address, for messages. */
  readonly file: string;
  /** What wrote it. */
  readonly producer: string;
  /** Versions of operator sets by domain; the default one is empty. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: OnnxGraph;
  /** By `functionKey`. None calls itself. */
  readonly functions: ReadonlyMap<string, OnnxFunction>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a function is known by: what a node says of its operator. */
export const functionKey = (domain: string, name: string, overload: string): string => `${domain}.${name}:${overload}`;
