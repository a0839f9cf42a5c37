/** One function of a module as an entry of a program: its dispatches, and where everything that they touch lies. */
import type {
  BufferRef,
  Dispatch,
  Entry,
  StorageType,
  TensorSpec,
  WeightEntry,
} from '../../../runtime/program/program.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { hasBatch, perSample, shapeAt } from '../../ir/batch.js';
import type { DType, Func, Module, TensorType, Value } from '../../ir/types.js';
import { TensorTooLarge } from '../../passes/memory.js';
import { type MemoryPlans, planArena, type SlabPlace, sampleBytes, slabsOf } from '../buffers/arena.js';
import { type InPlace, placeOver } from '../buffers/in-place.js';
import {
  type PackedWeight,
  viewedParam,
  type WeightLayouts,
  type WeightMatrix,
  weightMatrix,
} from '../buffers/weight-matrix.js';
import { padded, type Weights } from '../buffers/weights.js';
import { Schedules } from '../groups/alike.js';
import { BufferLimit, fuse } from '../groups/fuse.js';
import { buffersOf, flopsOf, type Group, writesLast } from '../groups/group.js';
import { OneByOne } from '../groups/one-by-one.js';
import type { BoundWindow } from '../kernel/types.js';
import { ELEMENT_BYTES, elementBytes } from '../kernel/uses.js';
import { type BuiltKernel, elementOf, type Place } from '../kernel.js';
import { labelOf, placeOf } from '../place.js';
import { scalarOf } from '../read/reader.js';
import { CannotCut, type Limits, type Scheduled, type ScheduledDispatch } from '../schedule.js';
import type { Part } from './cut.js';
import type { Kernels } from './kernels.js';
import type { GenerateOptions } from './options.js';

/** Elements are four bytes in every buffer; f16 tensors are held as f32. */
function storageOf(dtype: DType): StorageType {
  return elementOf(scalarOf(dtype));
}

/** Where what a function gives is written for good: a state, or a weight that `prepare` computes. */
export interface Target {
  readonly weight: WeightEntry;
  readonly value: Value;
}

/** What the entries of a program share. */
export interface Shared {
  readonly module: Module;
  readonly options: GenerateOptions;
  readonly limits: Limits;
  readonly kernels: Kernels;
  readonly weights: Weights;
  readonly layouts: WeightLayouts;
}

/** How a function becomes an entry. */
export interface EntryPlan {
  /** In terms of operators that have kernels. */
  readonly func: Func;
  /** The most samples of a pass. */
  readonly samples: number;
  /** Which arguments and results hold samples, in their order. */
  readonly held: { readonly inputs: readonly boolean[]; readonly results: readonly boolean[] };
  /** What it updates, in their order. */
  readonly targets: readonly Target[];
  /** Whether products read weights packed; otherwise row by row, as files have them. */
  readonly packs: boolean;
  /** Its groups, where they were made as those of a larger function, and which of its arguments and results lie as they did there (cut.ts). */
  readonly part?: Pick<Part, 'groups' | 'crossing'>;
}

export interface BuiltEntry {
  readonly entry: Entry;
  readonly plans: MemoryPlans;
  /** Operations for one sample that are not done, since a product leaves tiles of zeros out. */
  readonly leftOut: number;
}

export class EntryBuilder {
  private readonly module: Module;
  private readonly options: GenerateOptions;
  private readonly limits: Limits;
  private readonly func: Func;
  private readonly samples: number;
  private readonly inputs = new Map<string, number>();
  private readonly outputs = new Map<Value, number>();
  private readonly targets: ReadonlyMap<Value, number>;
  /** Names of states that lie beside one that is updated. */
  private readonly besideUpdated: ReadonlySet<string>;
  /** Of the targets, what is written where it lies. */
  private updated: ReadonlySet<Value> = new Set();

  constructor(
    private readonly shared: Shared,
    private readonly plan: EntryPlan,
  ) {
    this.module = shared.module;
    this.options = shared.options;
    this.limits = shared.limits;
    this.func = plan.func;
    this.samples = plan.samples;
    this.func.inputs.forEach((v, i) => {
      if (v.op === 'input') this.inputs.set(v.attrs.name, i);
    });
    this.func.results.forEach((r, i) => {
      this.outputs.set(r.value, i);
    });
    this.targets = new Map(plan.targets.map(({ value }, i) => [value, i]));
    const updated = new Set(plan.targets.map((t) => t.weight.parameter));
    const wholes = [...this.module.params.values()].filter((p) => p.parts?.some((name) => updated.has(name)));
    this.besideUpdated = new Set(wholes.flatMap((p) => p.parts ?? []));
  }

  /** @throws OneByOne where that has to be tried */
  build(): BuiltEntry {
    this.checkArguments();
    const list = placeOver(
      this.scheduled(),
      (v) => this.place(v),
      this.limits,
      (v) => this.stateOf(v),
    );
    this.updated = list.updated;
    const { scheduled } = list;
    const samples = this.fitting(scheduled);
    const { places, plans } = this.planned(list, samples);
    const dispatches = scheduled.flatMap(({ group, parts }) => parts.map((d) => this.dispatch(group, d, places)));
    const spec = (name: string, { dtype, shape }: TensorType, held: boolean): TensorSpec => ({
      name,
      dtype: storageOf(dtype),
      shape: shapeAt(shape, 1),
      samples: held,
    });
    const { held, targets } = this.plan;
    const entry: Entry = {
      name: this.func.name,
      samples,
      inputs: this.func.inputs.map((v, i) => spec(v.op === 'input' ? v.attrs.name : '', v.type, held.inputs[i]!)),
      outputs: this.func.results.map((r, i) => spec(r.name, r.value.type, held.results[i]!)),
      updates: targets.map(({ weight, value }) => ({ weight: weight.name, copied: !this.updated.has(value) })),
      slabs: slabsOf(plans),
      dispatches,
    };
    const leftOut = scheduled.flatMap(({ parts }) => parts.map((d) => d.kernel.leftOut ?? 0));
    return { entry, plans, leftOut: leftOut.reduce((sum, n) => sum + n, 0) };
  }

  private targetOf(v: Value): WeightEntry | undefined {
    const at = this.targets.get(v);
    return at === undefined ? undefined : this.plan.targets[at]!.weight;
  }

  /** The parameter that a value is what becomes of. */
  private stateOf(v: Value): string | undefined {
    const weight = this.targetOf(v);
    // What `prepare` writes it does not read: where a parameter is packed, that is another buffer than the parameter's own.
    return weight?.start === 'prepare' ? `${weight.name}, prepared` : weight?.parameter;
  }

  /** Inputs and outputs have buffers of their own. */
  private checkArguments(): void {
    const limit = this.limits.maxBufferSize;
    const named = this.func.inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', type: v.type }));
    for (const { name, type } of [...named, ...this.func.results.map((r) => ({ name: r.name, type: r.value.type }))]) {
      const bytes = sampleBytes({ type });
      if (bytes > limit) throw new EspalierError([noBuffer(name, bytes, this.limits, this.options)]);
    }
  }

  /**
   * How many samples of every tensor a binding holds, of those that were asked for.
   * @throws OneByOne if that is not even one
   */
  private fitting(scheduled: readonly Scheduled[]): number {
    const stored = new Set(scheduled.flatMap(({ group }) => [...group.stores, ...group.reads]));
    const held = [...stored].filter((v) => hasBatch(v.type.shape));
    const room = (v: Value | undefined): number => (v ? this.room(v) : 1);
    const largest = held.reduce<Value | undefined>((most, v) => (room(v) > room(most) ? v : most), undefined);
    const limit = this.limits.maxStorageBufferBindingSize;
    const most = Math.floor(limit / room(largest));
    if (largest && most < 1) {
      const args = {
        operator: largest.op,
        bytes: sampleBytes(largest),
        limit,
        device: this.options.deviceHelps ?? false,
      };
      throw new OneByOne(diagnostic('ESP0608', { what: 'sample', ...args }, placeOf(largest)));
    }
    return Math.min(most, this.samples);
  }

  /** Bytes from one sample of a tensor to where another tensor could begin. */
  private room(v: Value): number {
    const alignment = this.limits.minStorageBufferOffsetAlignment;
    return Math.ceil(sampleBytes(v) / alignment) * alignment;
  }

  /** What shares a kernel, in the order in which it runs. @throws OneByOne as `build` */
  groups(): readonly Group[] {
    return this.scheduled().map(({ group }) => group);
  }

  /** Groups and their dispatches. Whether the bindings of large tensors are too many is known when a group's kernel has been written. */
  private scheduled(): Scheduled[] {
    const reach = { samples: this.samples, maxWorkgroups: this.limits.maxComputeWorkgroupsPerDimension };
    const { layouts } = this.shared;
    // A state is written by others than the products that read it, row by row.
    const isPacked = ({ view }: WeightMatrix): boolean =>
      this.plan.packs && this.module.params.get(viewedParam(view)!)!.role !== 'state';
    const packed = (matrix: WeightMatrix): PackedWeight | undefined =>
      isPacked(matrix) ? layouts.of(matrix) : undefined;
    const storage = (v: Value): 'f16' | undefined => (this.targetOf(v)?.dtype === 'f16' ? 'f16' : undefined);
    const context = {
      place: (v: Value) => this.seenAs(v),
      packed,
      storage,
      limits: this.limits,
      reach,
      device: this.options.device,
    };
    const schedules = new Schedules(context, this.limits);
    /** Buffers that a product binds beside its operands: which tiles of a weight there are. */
    const listsOf = ({ kind, anchor }: Group): number => {
      const matrix = kind === 'contract' ? weightMatrix(anchor) : undefined;
      return matrix && packed(matrix)?.kept ? 2 : 0;
    };
    const { part } = this.plan;
    if (part) return part.groups.map((group) => ({ group, parts: schedules.of(group) }));
    const made = new Map<Group, readonly ScheduledDispatch[]>();
    const refused = new Map<Group, CannotCut>();
    const fits = (g: Group): boolean => {
      if (buffersOf(g) + listsOf(g) > this.limits.maxStorageBuffersPerShaderStage) return false;
      if ([...g.stores, ...g.reads].every((v) => sampleBytes(v) <= this.limits.maxStorageBufferBindingSize))
        return true;
      try {
        made.set(g, schedules.of(g));
        return true;
      } catch (error) {
        if (!(error instanceof CannotCut)) throw error;
        refused.set(g, error);
        return false;
      }
    };
    try {
      const groups = fuse(this.func, {
        maxBuffers: this.limits.maxStorageBuffersPerShaderStage,
        fits,
        // Halves are written by fours that lie side by side, which the kernel of a product may not hold.
        alone: new Set([...this.targets.keys()].filter(storage)),
      });
      return writesLast(groups, (v) => this.stateOf(v)).map((group) => ({
        group,
        parts: made.get(group) ?? schedules.of(group),
      }));
    } catch (error) {
      if (!(error instanceof BufferLimit)) throw error;
      const { anchor } = error.group;
      const cut = refused.get(error.group);
      if (!cut) {
        const args = { operator: anchor.op, needs: error.needs, limit: error.limit };
        throw new EspalierError([diagnostic('ESP0603', args, placeOf(anchor))]);
      }
      const args = {
        operator: anchor.op,
        bytes: cut.windows.reduce((sum, w) => sum + w.count * ELEMENT_BYTES, 0),
        bindings: cut.windows.length,
        limits: { binding: this.limits.maxStorageBufferBindingSize, bindings: error.limit },
        device: this.options.deviceHelps ?? false,
      };
      throw new EspalierError([diagnostic('ESP0602', args, placeOf(anchor))]);
    }
  }

  /** As kernels read and write it. A buffer is bound in one way by a dispatch, so what lies beside what is written is bound as that is. */
  private seenAs(v: Value): Place {
    const beside = v.op === 'param' && this.besideUpdated.has(v.attrs.name);
    return beside || this.crosses(v) ? 'arena' : this.place(v);
  }

  private crosses(v: Value): boolean {
    return this.plan.part?.crossing.has(v) ?? false;
  }

  private place(v: Value): Place {
    if (v.op === 'param') return 'weight';
    if (v.op === 'input') return 'input';
    if (this.targets.has(v)) return 'target';
    return this.outputs.has(v) ? 'output' : 'arena';
  }

  /** Places of everything that kernels write and others read. */
  private planned(list: InPlace, samples: number): { places: ReadonlyMap<Value, SlabPlace>; plans: MemoryPlans } {
    try {
      return planArena(list, { place: (v) => this.place(v), samples, limits: this.limits });
    } catch (error) {
      if (!(error instanceof TensorTooLarge)) throw error;
      const { name, bytes } = error.tenant;
      throw new EspalierError([noBuffer(name, bytes, this.limits, this.options)]);
    }
  }

  private dispatch(g: Group, d: ScheduledDispatch, places: ReadonlyMap<Value, SlabPlace>): Dispatch {
    const bindings = d.windows.map((w) => this.reference(g, d.kernel, w, places));
    return {
      kernel: this.shared.kernels.add(d.kernel),
      bindings,
      workgroups: d.kernel.variants.map((v) => v.workgroups),
      flops: Math.round(flopsOf(g) * d.share - (d.kernel.leftOut ?? 0)),
      bytes: bindings.reduce((sum, b) => sum + b.bytes, 0),
      label: labelOf([g.anchor, ...g.path]),
    };
  }

  private reference(
    g: Group,
    kernel: BuiltKernel,
    window: BoundWindow,
    places: ReadonlyMap<Value, SlabPlace>,
  ): BufferRef {
    const each = elementBytes(kernel.buffers.find((b) => b.name === window.buffer)!);
    const start = window.first * each;
    const bytes = perSample(window.count) * each;
    const held = kernel.holds.get(window.buffer)!;
    if (held.kind === 'packed' || held.kind === 'kept') {
      const { weight } = held;
      const param = this.module.params.get(weight.param)!;
      const { weights } = this.shared;
      const entry = held.kind === 'kept' ? weights.keptList(param, weight, held.list) : weights.packed(param, weight);
      return { kind: 'weight', name: entry.name, offset: start, bytes };
    }
    const v = held.kind === 'result' ? g.stores[held.at]! : held.value;
    if (held.kind === 'value' && v.op === 'param') {
      const entry = this.shared.weights.rows(this.module.params.get(v.attrs.name)!);
      return { kind: 'weight', name: entry.name, offset: start, bytes: Math.min(padded(bytes), entry.bytes - start) };
    }
    if (held.kind === 'value' && v.op === 'input') {
      const whole = this.crosses(v) ? padded(bytes) : bytes;
      return { kind: 'input', index: this.inputs.get(v.attrs.name)!, offset: start, bytes: whole };
    }
    const target = this.targets.get(v);
    if (target !== undefined) {
      const { weight } = this.plan.targets[target]!;
      const where = { offset: start, bytes: Math.min(padded(bytes), weight.bytes - start) };
      return this.updated.has(v)
        ? { kind: 'weight', name: weight.name, ...where }
        : { kind: 'update', index: target, ...where };
    }
    const output = this.outputs.get(v);
    if (output !== undefined) {
      return { kind: 'output', index: output, offset: start, bytes: this.crosses(v) ? padded(bytes) : bytes };
    }
    const { slab, offset } = places.get(v)!;
    return { kind: 'arena', slab, offset: offset + start, bytes: padded(bytes) };
  }
}

export function noBuffer(
  name: string,
  bytes: number,
  limits: Limits,
  options: GenerateOptions,
  what: 'weight' | 'activation' = 'activation',
): Diagnostic {
  return diagnostic('ESP0604', {
    name,
    bytes,
    limit: limits.maxBufferSize,
    what,
    device: options.deviceHelps ?? false,
  });
}
