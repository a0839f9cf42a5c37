/** What all kernel writers share: the buffers of a group, writing the text twice, and the loop variable that chunks can move. */
import type { Access } from '../../runtime/program.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { OpName, Value } from '../ir/types.js';
import { type BindingLimits, Bindings, elementOf, type Slot } from './bindings.js';
import { Emitter, scalarOf } from './emit.js';
import type { Group } from './fuse.js';
import { type Index, shift, variable } from './indexing.js';
import { type HelperName, helperText } from './math.js';
import type { GeneratedVariant } from './problem.js';
import { Reader } from './reader.js';
import { RULES } from './rules.js';

/** Where a bound value lies. Weights and inputs are bound read-only, everything that kernels write read_write. */
export type Place = 'weight' | 'input' | 'arena' | 'output';

export interface KernelContext {
  readonly place: (value: Value) => Place;
  /** The dtype in which packed weights are stored. */
  readonly weights: 'f32' | 'f16';
  readonly limits: BindingLimits & { readonly maxComputeWorkgroupsPerDimension: number };
}

/**
 * A part of the kernel's outermost loop: `extent` turns from `start`. Parts that see their tensors alike, each from where its bindings
 * start, come to the same text.
 */
export interface Chunk {
  readonly start: number;
  readonly extent: number;
}

/** Slots are keyed by what they hold: `p:<param>`, `i:<input>`, `v:<id>`, `out`, `lse`, `tiles`. */
export interface BuiltKernel {
  readonly name: string;
  readonly archetype: 'pointwise' | 'reduce' | 'contract' | 'attention';
  readonly bindings: Bindings<string>;
  readonly variants: readonly GeneratedVariant[];
  /** What the keys of the slots stand for, for those that are read. */
  readonly values: ReadonlyMap<string, Value>;
  readonly packed?: PackedWeight;
}

/** A matrix operand [n, k] that is packed into tiles when weights are loaded. */
export interface PackedWeight {
  readonly param: string;
  /** The matrix as a view of the parameter. */
  readonly view: Value;
  readonly n: number;
  readonly k: number;
  /** The view is [k, n], matmul's second operand. */
  readonly transposed: boolean;
}

export function keyOf(value: Value): string {
  if (value.op === 'param') return `p:${value.attrs.name}`;
  return value.op === 'input' ? `i:${value.attrs.name}` : `v:${value.id}`;
}

const VIEW_OPS: ReadonlySet<OpName> = new Set(['reshape', 'transpose', 'slice', 'roll', 'broadcast']);

/** The parameter that a value is a view of. */
export function viewedParam(v: Value): string | undefined {
  let x = v;
  while (VIEW_OPS.has(x.op)) x = x.inputs[0]!;
  return x.op === 'param' ? x.attrs.name : undefined;
}

export class KernelWriter {
  readonly bindings: Bindings<string>;
  readonly values = new Map<string, Value>();
  private readonly helpers = new Set<HelperName>();
  private readonly bound: ReadonlySet<Value>;

  constructor(
    readonly group: Group,
    readonly context: KernelContext,
    readonly chunk: Chunk | undefined,
  ) {
    this.bound = new Set(group.reads);
    this.bindings = new Bindings(context.limits);
  }

  /** A reader with a function body of its own. */
  reader(indent = 1): Reader {
    const slotOf = (v: Value): Slot | undefined => (this.bound.has(v) ? this.inputSlot(v) : undefined);
    return new Reader(new Emitter(this.helpers, indent), this.bindings, slotOf, RULES);
  }

  private inputSlot(v: Value): Slot {
    const key = keyOf(v);
    this.values.set(key, v);
    const place = this.context.place(v);
    const count = sizeOf(v.type.shape);
    return this.slot(key, v, place === 'weight' || place === 'input' ? 'read' : 'read_write', {
      count,
      padded: place === 'weight' || place === 'arena',
    });
  }

  private slot(key: string, v: Value, access: Access, size: { count: number; padded: boolean }): Slot {
    const element = elementOf(scalarOf(v.type.dtype));
    return this.bindings.slot(key, (i) => ({ name: `t${i}`, access, element, ...size }));
  }

  /** The buffer that the group's result is written to. */
  outSlot(): Slot {
    const v = this.group.result;
    return this.slot('out', v, 'read_write', {
      count: sizeOf(v.type.shape),
      // A parameter or input that is stored is copied to an output.
      padded: this.context.place(v) === 'arena',
    });
  }

  lseSlot(lse: Value): Slot {
    return this.slot('lse', lse, 'read_write', {
      count: sizeOf(lse.type.shape),
      padded: this.context.place(lse) === 'arena',
    });
  }

  weightSlot(declared: string, count: number): Slot {
    return this.bindings.slot('tiles', () => ({
      name: 'weight',
      access: 'read',
      element: 'f32',
      count,
      padded: true,
      declared,
    }));
  }

  /** A loop variable over `extent`; of a chunk, a variable over it plus its start. */
  domain(name: string, extent: number): Index {
    const { chunk } = this;
    return chunk ? shift(variable(name, chunk.extent), chunk.start) : variable(name, extent);
  }

  /** How many turns this kernel does of a loop over `extent`. */
  turns(extent: number): number {
    return this.chunk?.extent ?? extent;
  }

  /** Writes the text once to learn how buffers are accessed and once more knowing it. */
  twice<T>(write: () => T): T {
    write();
    this.bindings.settle();
    return write();
  }

  /** Buffers and helper functions, then the given text. */
  declare(text: string, subgroups = false): string {
    const enable = subgroups ? 'enable subgroups;' : '';
    return [enable, this.bindings.declarations(), helperText(this.helpers), text].filter((t) => t !== '').join('\n\n');
  }
}

/** The `_gelu`, `_add` of a kernel's name: the arithmetic that ends it. */
export function suffix(path: readonly Value[]): string {
  const ops = path.map((v) => v.op).filter((op) => op !== 'reshape' && op !== 'transpose');
  return ops.length > 0 ? `_${ops.join('_')}` : '';
}

export function product(shape: readonly number[]): string {
  return shape.length > 0 ? shape.join('x') : 'scalar';
}
