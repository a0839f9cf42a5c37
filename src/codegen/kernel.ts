/** What all kernel writers share: the buffers of a group, readers, and the loop variable that chunks can move. */

import { perSample } from '../ir/batch.js';
import { traitsOf } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { Value } from '../ir/types.js';
import type { KeptList } from './buffers/kept.js';
import { capacity, TILE_K, TILE_N } from './buffers/layout.js';
import type { PackedWeight, WeightMatrix } from './buffers/weight-matrix.js';
import type { DeviceClass } from './candidates.js';
import type { Reach } from './grid.js';
import { type Group, holdsBatch, joinedIn } from './groups/group.js';
import { explicitAddresses } from './kernel/addresses.js';
import { Body } from './kernel/body.js';
import { U32 } from './kernel/expr.js';
import { Library } from './kernel/library.js';
import type { BoundWindow, Buffer, Element, Kernel, LoweredKernel, Scalar } from './kernel/types.js';
import type { BindingLimits } from './kernel/uses.js';
import type { GeneratedVariant } from './problem.js';
import { type Index, shift, variable } from './read/indexing.js';
import { type BufferOf, Reader, scalarOf } from './read/reader.js';
import { RULES } from './read/rules.js';

/**
 * Where a bound value lies; what a state becomes, and what `prepare` gives, at `target`. Weights and inputs are bound read-only, everything that
 * kernels write read_write.
 */
export type Place = 'weight' | 'input' | 'arena' | 'output' | 'target';

export interface KernelContext {
  readonly place: (value: Value) => Place;
  /** Where the elements of a matrix lie, and as what; undefined for one that is not packed, and read as any other tensor. */
  readonly packed: (matrix: WeightMatrix) => PackedWeight | undefined;
  /** What elements of a tensor that kernels write are stored as, if not as what they are. */
  readonly storage?: (value: Value) => 'f16' | undefined;
  readonly limits: BindingLimits;
  readonly reach: Reach;
  /** Kernels get the variants that are legal on it (default: those of all devices). */
  readonly device?: DeviceClass | undefined;
}

/**
 * A part of the kernel's outermost loop: `extent` turns from `start`. Parts that see their tensors alike, each from where its bindings
 * start, come to the same text.
 */
export interface Chunk {
  readonly start: number;
  readonly extent: number;
}

/** How an element lies in a buffer; bool is a u32 of 0 or 1. */
export function elementOf(type: Exclude<Scalar, 'f16'>): Element {
  return type === 'bool' ? 'u32' : type;
}

/** One way to run a kernel, with its addresses explicit. */
export interface BuiltVariant extends Omit<GeneratedVariant, 'program'> {
  readonly program: Kernel;
  readonly lowered: LoweredKernel;
}

/** What a buffer of a kernel holds. */
export type Held =
  | { readonly kind: 'value'; readonly value: Value }
  /** The value that stands there among those that the group stores. */
  | { readonly kind: 'result'; readonly at: number }
  | { readonly kind: 'packed'; readonly weight: PackedWeight }
  | { readonly kind: 'kept'; readonly weight: PackedWeight; readonly list: KeptList };

export interface BuiltKernel {
  readonly name: string;
  readonly archetype: 'pointwise' | 'reduce' | 'contract' | 'sparse_contract' | 'attention';
  /** Operations for one sample that are not done, where zeros of a product's weight are left out. */
  readonly leftOut?: number;
  readonly variants: readonly BuiltVariant[];
  /** What is bound, in order, for every variant. */
  readonly windows: readonly BoundWindow[];
  /** By the buffers' names. */
  readonly holds: ReadonlyMap<string, Held>;
  readonly buffers: readonly Buffer[];
}

/** A value, and the buffer that it is written to. */
export interface Stored {
  readonly value: Value;
  readonly buffer: Buffer;
}

/** How a kernel ends: what is done to the anchor's elements, and which of that is stored. */
export interface Ends extends Pick<Group, 'anchor' | 'path' | 'result'> {
  /** The result and what is computed from it element by element, each after what it is made of. */
  readonly stores: readonly Stored[];
}

export class KernelWriter {
  readonly library = new Library();
  private readonly buffers = new Map<string, Buffer>();
  private readonly holds = new Map<string, Held>();
  private readonly bound: ReadonlySet<Value>;

  constructor(
    readonly group: Group,
    readonly context: KernelContext,
    readonly chunk: Chunk | undefined,
  ) {
    this.bound = new Set(group.reads);
  }

  /** A reader with a function body of its own, or one that goes on in a body. */
  reader(body = new Body()): Reader {
    const bufferOf: BufferOf = (v) => (this.bound.has(v) ? this.inputBuffer(v) : undefined);
    return new Reader(body, this.library, bufferOf, RULES);
  }

  private inputBuffer(v: Value): Buffer {
    const place = this.context.place(v);
    const access = place === 'weight' || place === 'input' ? 'read' : 'read_write';
    return this.buffer(keyOf(v), { kind: 'value', value: v }, v, access, isPadded(place) || place === 'weight');
  }

  /** Buffers get their place in the order of the first call. */
  private buffer(key: string, held: Held, v: Value, access: Buffer['access'], padded: boolean): Buffer {
    const known = this.buffers.get(key);
    if (known) return known;
    const element = elementOf(scalarOf(v.type.dtype));
    const count = sizeOf(v.type.shape);
    const name = `t${this.buffers.size}`;
    const storage = this.context.storage?.(v);
    return this.add(key, held, { name, access, element, count, padded, ...(storage ? { storage } : {}) });
  }

  private add(key: string, held: Held, buffer: Buffer): Buffer {
    this.buffers.set(key, buffer);
    this.holds.set(buffer.name, held);
    return buffer;
  }

  /** The buffer of a value that the group stores. A parameter or input that is stored is copied to an output. */
  private resultBuffer(v: Value): Buffer {
    const held: Held = { kind: 'result', at: this.group.stores.indexOf(v) };
    return this.buffer(`r:${keyOf(v)}`, held, v, 'read_write', isPadded(this.context.place(v)));
  }

  /** What the group stores of its result and of what is computed from that: the end of the kernel. */
  ends(): Ends {
    const { anchor, path, result, stores } = this.group;
    const ends = stores.filter((v) => v.op !== 'aux');
    return { anchor, path, result, stores: ends.map((value) => ({ value, buffer: this.resultBuffer(value) })) };
  }

  /** Other results of the anchor's operator that the group stores, by their names. */
  others(): ReadonlyMap<string, Stored> {
    const found = this.group.stores.flatMap((v) => (v.op === 'aux' ? [[v.attrs.output, v] as const] : []));
    return new Map(found.map(([name, value]) => [name, { value, buffer: this.resultBuffer(value) }]));
  }

  /** The `_gelu`, `_add`, `_and_exp` of the kernel's name: the arithmetic and cuts that end it, and what is stored beside the result. */
  suffix(path: readonly Value[] = this.group.path): string {
    const rearranged = (v: Value): boolean =>
      traitsOf(v).moves === 'once' && sizeOf(v.type.shape) === sizeOf(v.inputs[0]!.type.shape);
    const ops = path.filter((v) => !rearranged(v)).map((v) => v.op);
    return [...ops, ...joinedIn(this.group).map((v) => `and_${v.op}`)].map((op) => `_${op}`).join('');
  }

  /** The buffer of the packed weight, of which a kernel has one. */
  packedBuffer(weight: PackedWeight): Buffer {
    const { layout, kept } = weight;
    const storage = weight.storage === 'f16' ? { storage: 'f16' as const } : {};
    const held: Held = { kind: 'packed', weight };
    const buffer = { name: 'weight', access: 'read', element: 'f32', padded: true, ...storage } as const;
    if (!kept) return this.add('packed', held, { ...buffer, count: capacity(layout), layout });
    const stored = kept.blocks.length;
    const list = { access: 'read', element: 'u32', padded: true, packed: U32 } as const;
    const starts = { ...list, name: 'starts', count: kept.starts.length, below: stored + 1 };
    const blocks = { ...list, name: 'blocks', count: stored, below: layout.digits[1]!.of, open: true } as const;
    this.add('starts', { kind: 'kept', weight, list: 'starts' }, starts);
    this.add('blocks', { kind: 'kept', weight, list: 'blocks' }, blocks);
    return this.add('packed', held, { ...buffer, count: stored * TILE_K * TILE_N, open: true });
  }

  /** A loop variable over `extent`; of a chunk, a variable over it plus its start. */
  domain(name: string, extent: number): Index {
    return this.from(variable(name, this.turns(extent)));
  }

  /** A place in the chunk as a place in the whole. */
  from(turn: Index): Index {
    return this.chunk ? shift(turn, this.chunk.start) : turn;
  }

  /** How many turns this kernel does of a loop over `extent`. */
  turns(extent: number): number {
    return this.chunk?.extent ?? extent;
  }

  /** The kernel of these variants, which read and write the buffers that this writer knows. */
  built(
    about: Pick<BuiltKernel, 'name' | 'archetype' | 'leftOut'>,
    variants: readonly GeneratedVariant[],
  ): BuiltKernel {
    const buffers = [...this.buffers.values()];
    const library = this.library.functions();
    const forBatch = holdsBatch(this.group) ? { forBatch: true as const } : {};
    const programs = variants.map(({ program }): Kernel => {
      return { ...program, ...forBatch, buffers, functions: [...library, ...program.functions] };
    });
    const lowered = explicitAddresses(programs, this.context.limits);
    return {
      ...about,
      buffers,
      holds: this.holds,
      windows: lowered[0]!.windows,
      variants: variants.map((v, i) => ({ ...v, program: programs[i]!, lowered: lowered[i]! })),
    };
  }
}

/** Whether what kernels write there has room to 16 bytes. */
const isPadded = (place: Place): boolean => place === 'arena' || place === 'target';

/** A value and the buffer that holds it have one name for each other. */
function keyOf(value: Value): string {
  if (value.op === 'param') return `p:${value.attrs.name}`;
  return value.op === 'input' ? `i:${value.attrs.name}` : `v:${value.id}`;
}

/** The inputs of kernels that number their threads along one row of workgroups. */
export const TILE_AND_THREAD: Kernel['inputs'] = [
  { name: 'tile', builtin: 'workgroup_id' },
  { name: 'thread', builtin: 'local_invocation_index' },
];

export function product(shape: readonly number[]): string {
  return shape.length > 0 ? shape.map(perSample).join('x') : 'scalar';
}
