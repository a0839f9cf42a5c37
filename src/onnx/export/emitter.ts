/** Nodes of an ONNX graph as they are made: their names, constants, and sizes that follow from the batch. */
import type { GraphNode, OnnxAttribute, OnnxTensor, OnnxType } from '../../formats/onnx/types.js';
import { BATCH, hasBatch, isBatch } from '../../ir/batch.js';
import type { DType, TensorType, Value } from '../../ir/types.js';

/** Element types of the IR in ONNX. */
export const ONNX_OF: Readonly<Record<DType, OnnxType>> = {
  f32: 'float',
  f16: 'float16',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
};

export const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
export const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
export const text = (value: string): OnnxAttribute => ({ kind: 'string', value });
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** "To the end" of an axis. */
export const END = Number.MAX_SAFE_INTEGER;

/** A tensor in memory. Halves are given as their bits. */
export function tensorOf(
  name: string,
  dtype: OnnxType,
  shape: readonly number[],
  data: ArrayBufferView,
  numbers: ArrayLike<number>,
): OnnxTensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const read = () => numbers;
  return { name, dtype, shape, held: true, read, load: async () => numbers, bytes: async () => bytes };
}

/** Elements of constants as bytes. */
const ARRAYS = {
  float: (numbers: ArrayLike<number>) => Float32Array.from(numbers),
  int32: (numbers: ArrayLike<number>) => Int32Array.from(numbers),
  uint32: (numbers: ArrayLike<number>) => Uint32Array.from(numbers),
  int64: (numbers: ArrayLike<number>) => BigInt64Array.from(Array.from(numbers, BigInt)),
  bool: (numbers: ArrayLike<number>) => Uint8Array.from(numbers),
} as const;

type ConstantType = keyof typeof ARRAYS;

function nodeOf(
  op: string,
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes,
): GraphNode {
  const label = `node "${name}" (${op})`;
  return {
    op,
    domain: '',
    overload: '',
    name,
    label,
    inputs,
    outputs,
    attributes: new Map(Object.entries(attributes)),
  };
}

/** Where the number of samples stands: an axis of an argument that holds them so many times. */
export interface Samples {
  readonly name: string;
  readonly axis: number;
  readonly times: number;
}

export class Emitter {
  readonly nodes: GraphNode[] = [];
  readonly #names = new Set<string>();
  readonly #constants = new Map<string, string>();
  /** The module whose values are being written. */
  #site = '';

  /** @param taken names that no value may get: inputs, initialisers, outputs */
  constructor(
    readonly opset: number,
    private readonly samples: Samples | undefined,
    taken: Iterable<string>,
  ) {
    for (const name of taken) this.#names.add(name);
  }

  /** Nodes made in `body` are of the module at `site`. */
  at<T>(site: string | undefined, body: () => T): T {
    const before = this.#site;
    this.#site = site ?? before;
    try {
      return body();
    } finally {
      this.#site = before;
    }
  }

  /** A name like `first` that nothing has yet. */
  fresh(first: string): string {
    let name = first;
    for (let n = 1; this.#names.has(name); n++) name = `${first}_${n}`;
    this.#names.add(name);
    return name;
  }

  /** A node, called after its module and its operator; gives the names of its results. */
  several(count: number, op: string, inputs: readonly string[], attributes: Attributes = {}): string[] {
    const place = this.#site.replaceAll(/\.(?!\d+(\.|$))/g, '/');
    const name = this.fresh(place === '' ? `/${op}` : `/${place}/${op}`);
    const outputs = Array.from({ length: count }, (_, i) => this.fresh(`${name}_output_${i}`));
    this.nodes.push(nodeOf(op, name, inputs, outputs, attributes));
    return outputs;
  }

  /** The same of a node with one result. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.several(1, op, inputs, attributes)[0]!;
  }

  /** A constant; equal ones are one. */
  constant(dtype: ConstantType, shape: readonly number[], numbers: readonly number[]): string {
    const key = `${dtype}[${shape.join()}]${numbers.map((n) => (Object.is(n, -0) ? '-0' : n)).join()}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      const value: OnnxAttribute = {
        kind: 'tensor',
        value: tensorOf('', dtype, shape, ARRAYS[dtype](numbers), numbers),
      };
      name = this.at('', () => this.node('Constant', [], { value }));
      this.#constants.set(key, name);
    }
    return name;
  }

  /** A number of an element type. */
  scalar(dtype: DType, value: number): string {
    const type = ONNX_OF[dtype];
    if (type !== 'float16') return this.constant(type as ConstantType, [], [value]);
    return this.node('Cast', [this.constant('float', [], [value])], { to: int(10) });
  }

  /** A list of whole numbers, as shapes and axes are. */
  list(numbers: readonly number[]): string {
    return this.constant('int64', [numbers.length], numbers);
  }

  /** The same where some of them may be multiples of the batch: computed from the first argument that holds samples. */
  sizes(sizes: readonly number[]): string {
    if (!hasBatch(sizes)) return this.list(sizes);
    const parts: string[] = [];
    let run: number[] = [];
    const flush = () => {
      if (run.length > 0) parts.push(this.list(run));
      run = [];
    };
    for (const size of sizes) {
      if (!isBatch(size)) run.push(size);
      else {
        flush();
        const times = size / BATCH;
        parts.push(times === 1 ? this.batch() : this.node('Mul', [this.batch(), this.list([times])]));
      }
    }
    flush();
    return parts.length === 1 ? parts[0]! : this.node('Concat', parts, { axis: int(0) });
  }

  readonly #others = new Map<Value, Readonly<Record<string, string>>>();

  /** Other results of a value, by name. */
  others(v: Value, names: Readonly<Record<string, string>>): void {
    this.#others.set(v, names);
  }

  other(v: Value, name: string): string | undefined {
    return this.#others.get(v)?.[name];
  }

  /** The nodes, with results under the names that they are to have: [name, name as a result]. */
  finish(results: readonly (readonly [string, string])[]): readonly GraphNode[] {
    const made = new Set(this.nodes.flatMap((n) => n.outputs));
    const renamed = new Map<string, string>();
    for (const [name, result] of results) {
      if (made.has(name) && !renamed.has(name)) renamed.set(name, result);
    }
    const to = (name: string): string => renamed.get(name) ?? name;
    const nodes = this.nodes.map((n) => ({ ...n, inputs: n.inputs.map(to), outputs: n.outputs.map(to) }));
    // What is an input, a weight or another result already is given once more.
    const copies = results.filter(([name, result]) => to(name) !== result);
    return [
      ...nodes,
      ...copies.map(([name, result]) => nodeOf('Identity', this.fresh('/Identity'), [to(name)], [result], {})),
    ];
  }

  #batch: string | undefined;

  /** How many samples there are: int64 [1]. */
  batch(): string {
    this.#batch ??= this.at('', () => {
      if (!this.samples) throw new Error('no argument holds samples');
      const { name, axis, times } = this.samples;
      const size = this.node('Slice', [this.node('Shape', [name]), this.list([axis]), this.list([axis + 1])]);
      return times === 1 ? size : this.node('Div', [size, this.list([times])]);
    });
    return this.#batch;
  }

  /** `op` over axes, which are an input from the version `since` on and an attribute before. */
  reduce(op: string, x: string, axes: readonly number[], keep: boolean, since: number): string {
    const keepdims = int(keep ? 1 : 0);
    return this.opset >= since
      ? this.node(op, [x, this.list(axes)], { keepdims })
      : this.node(op, [x], { axes: ints(axes), keepdims });
  }

  reshape(x: string, { shape }: Pick<TensorType, 'shape'>): string {
    // One axis at most is a multiple of the batch, and it is the one that follows from the others.
    return this.node('Reshape', [x, this.list(shape.map((d) => (isBatch(d) ? -1 : d)))]);
  }

  /** Whole numbers or truth as int64, of which runtimes have every operator. */
  wide(x: string): string {
    return this.node('Cast', [x], { to: int(7) });
  }

  cast(x: string, dtype: DType): string {
    const numbers = { f32: 1, f16: 10, i32: 6, u32: 12, bool: 9 } satisfies Record<DType, number>;
    return this.node('Cast', [x], { to: int(numbers[dtype]) });
  }
}
