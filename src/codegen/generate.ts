/** From an optimised module to a program: kernels, dispatches, memory, and how its weights are packed. */
import {
  type BufferRef,
  type Dispatch,
  type Entry,
  type Kernel,
  type StorageType,
  type TensorSpec,
  type Unsealed,
  VERSION,
} from '../../runtime/program/program.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { hasBatch, perSample, shapeAt } from '../ir/batch.js';
import { postorder } from '../ir/graph.js';
import { costOf } from '../ir/ops/cost.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { funcAt, hasSamples } from '../ir/run/samples.js';
import type { DType, Func, Module, TensorType, Value } from '../ir/types.js';
import { TensorTooLarge } from '../passes/memory.js';
import { bytesOf, type MemoryPlans, planArena, type SlabPlace, slabsOf } from './buffers/arena.js';
import { type InPlace, placeOver } from './buffers/in-place.js';
import { type PackedWeight, WeightLayouts, type WeightMatrix } from './buffers/weight-matrix.js';
import { padded, type WeightRecipe, Weights } from './buffers/weights.js';
import { Schedules } from './groups/alike.js';
import { BufferLimit, fuse } from './groups/fuse.js';
import type { Group } from './groups/group.js';
import { lower } from './groups/lower.js';
import { OneByOne } from './groups/one-by-one.js';
import { type Splitting, splitOf } from './groups/split-schedules.js';
import { printKernel } from './kernel/print.js';
import type { BoundWindow } from './kernel/types.js';
import { ELEMENT_BYTES, elementBytes } from './kernel/uses.js';
import { type BuiltKernel, type BuiltVariant, elementOf, type Place } from './kernel.js';
import { labelOf, placeOf } from './place.js';
import { scalarOf } from './read/reader.js';
import { BASELINE, CannotCut, type Limits, type Scheduled, type ScheduledDispatch } from './schedule.js';

export interface GenerateOptions {
  /** Name of the program. */
  readonly name: string;
  /** Version of Espalier. */
  readonly compiler: string;
  /** Limits to keep to (default: what every WebGPU device has). Anything not given is WebGPU's default. */
  readonly limits?: 'baseline' | Partial<Limits>;
  /** How packed weights are stored. */
  readonly weights: 'f32' | 'f16';
  /** The most samples of one pass (default 1). Fewer fit where they take more than the limits allow. */
  readonly samples?: number;
  /** How long sums are split (default: by the cost model of split-schedules.ts). */
  readonly splitting?: Splitting;
  /** Keeps the kernel programs that the files are the text of (default: not; they are large). */
  readonly keepPrograms?: boolean;
  /** The device here has limits that the program fits, so a message may advise them (default: not known). */
  readonly deviceHelps?: boolean;
}

export interface Generated {
  /** Everything but weight files, preprocessing, labels and the golden input, which the caller adds. */
  readonly program: Unsealed;
  /** `<name>.<variant>.wgsl` -> text. */
  readonly files: ReadonlyMap<string, string>;
  /** What the files are the text of, by their names, if they were to be kept. */
  readonly variants: ReadonlyMap<string, BuiltVariant>;
  readonly weights: readonly WeightRecipe[];
  /** Of what holds samples, for one of them, and of the rest; `describeMemory` prints a plan. */
  readonly memory: MemoryPlans;
  /** Why samples run one by one, however many are asked for. */
  readonly oneByOne?: Diagnostic;
}

/**
 * A program for any number of samples, if its sizes hold the batch (ir/batch.ts): one set of kernels, which are told the number. Where a
 * sample is larger than a binding, or the batch cannot be moved outermost, samples are run one by one.
 * @throws EspalierError: ESP0601 (no kernel for an operator), ESP0602 and ESP0604 (tensors too large for the limits), ESP0603 (an
 * operator with too many operands).
 */
export function generate(module: Module, options: GenerateOptions): Generated {
  const limits: Limits = { ...BASELINE, ...(typeof options.limits === 'object' ? options.limits : {}) };
  const infer = module.funcs.get('infer');
  if (!infer) throw new EspalierError([diagnostic('ESP0600', { what: 'the module has no function `infer`' })]);
  const build = (func: Func, samples: number): Generated => {
    const binding = limits.maxStorageBufferBindingSize;
    const { weights, splitting = splitOf } = options;
    const lowered = lower(func, { binding, weights, samples, splitting });
    return assembled(module, new EntryBuilder(module, lowered, samples, options, limits), options, limits);
  };
  if (!hasSamples(infer)) return build(infer, 1);
  try {
    return build(infer, options.samples ?? 1);
  } catch (error) {
    if (!(error instanceof OneByOne)) throw error;
    return { ...build(funcAt(infer, 1), 1), oneByOne: error.why };
  }
}

function assembled(module: Module, builder: EntryBuilder, options: GenerateOptions, limits: Limits): Generated {
  const { entry, plans } = builder.build();
  const { kernels } = builder;
  const recipes = builder.weights.recipes();
  const large = recipes.find((r) => r.entry.bytes > limits.maxBufferSize);
  if (large) throw new EspalierError([noBuffer(large.param, large.entry.bytes, limits, options, 'weight')]);
  const weightBytes = recipes.reduce((sum, r) => sum + r.entry.bytes, 0);
  const own = [...module.params.values()].filter((p) => p.role === 'frozen' || p.role === 'trainable');
  const count = (role?: string): number =>
    own.reduce((sum, p) => sum + (role === undefined || p.role === role ? sizeOf(p.type.shape) : 0), 0);
  const flops = (list: readonly Dispatch[]): number => list.reduce((sum, d) => sum + d.flops, 0);
  const program: Unsealed = {
    format: 'espalier.program',
    version: VERSION,
    name: options.name,
    compiler: options.compiler,
    kernels: kernels.list,
    entries: [entry],
    weights: recipes.map((r) => r.entry),
    weightFiles: [],
    summary: {
      parameters: { total: count(), trainable: count('trainable'), frozen: count('frozen') },
      kernels: kernels.list.length,
      dispatches: entry.dispatches.length,
      flops: flops(entry.dispatches),
      sparseFlops: flops(entry.dispatches.filter((d) => kernels.list[d.kernel]!.archetype === 'sparse_contract')),
      weightBytes,
      peakBytes: weightBytes + workingBytes(entry, entry.samples),
      leastBytes: weightBytes + workingBytes(entry, 1),
    },
  };
  return { program, files: kernels.files, variants: kernels.variants, weights: recipes, memory: plans };
}

function noBuffer(
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

/** What a session holds beside weights for a pass of so many samples: inputs, outputs, the latter twice to be read, slabs, and the uniform. */
function workingBytes({ slabs, inputs, outputs }: Entry, samples: number): number {
  const size = (t: TensorSpec): number => padded(sizeOf(t.shape) * ELEMENT_BYTES * samples);
  const add = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  return add([
    ...slabs.map((x) => x.bytes * (x.samples ? samples : 1)),
    ...[...inputs, ...outputs, ...outputs].map(size),
    padded(4),
  ]);
}

/** Kernels by their text: two groups that come to the same WGSL share one. */
class Kernels {
  readonly list: Kernel[] = [];
  readonly files = new Map<string, string>();
  readonly variants = new Map<string, BuiltVariant>();
  private readonly byText = new Map<string, number>();
  private readonly names = new Set<string>();

  constructor(private readonly keepPrograms: boolean) {}

  add(k: BuiltKernel): number {
    const texts = k.variants.map((v) => printKernel(v.lowered));
    const text = k.variants.map((v, i) => `${v.name}\n${texts[i]}`).join('\n');
    const known = this.byText.get(text);
    if (known !== undefined) return known;
    const base = k.name.length > 80 ? k.name.slice(0, 80) : k.name;
    let name = base;
    for (let i = 2; this.names.has(name); i++) name = `${base}_${i}`;
    this.names.add(name);
    const variants = k.variants.map((v, i) => {
      const file = `${name}.${v.name}.wgsl`;
      this.files.set(file, texts[i]!);
      if (this.keepPrograms) this.variants.set(file, v);
      const { requires, rank, ranks } = v;
      return { name: v.name, requires, file, rank, ...(ranks ? { ranks } : {}) };
    });
    const access = new Map(k.buffers.map((b) => [b.name, b.access]));
    const bindings = k.windows.map((w) => access.get(w.buffer)!);
    this.list.push({ name, archetype: k.archetype, bindings, variants });
    this.byText.set(text, this.list.length - 1);
    return this.list.length - 1;
  }
}

/** Elements are four bytes in every buffer; f16 tensors are held as f32. */
function storageOf(dtype: DType): StorageType {
  return elementOf(scalarOf(dtype));
}

class EntryBuilder {
  readonly kernels: Kernels;
  readonly weights: Weights;
  private readonly inputs = new Map<string, number>();
  private readonly outputs = new Map<Value, number>();

  /** @param samples the most of a pass */
  constructor(
    private readonly module: Module,
    private readonly func: Func,
    private readonly samples: number,
    private readonly options: GenerateOptions,
    private readonly limits: Limits,
  ) {
    this.kernels = new Kernels(options.keepPrograms ?? false);
    this.weights = new Weights(options.weights);
    this.func.inputs.forEach((v, i) => {
      if (v.op === 'input') this.inputs.set(v.attrs.name, i);
    });
    this.func.results.forEach((r, i) => {
      this.outputs.set(r.value, i);
    });
  }

  /** @throws OneByOne where that has to be tried */
  build(): { entry: Entry; plans: MemoryPlans } {
    this.checkArguments();
    const list = placeOver(this.scheduled(), (v) => this.place(v), this.limits);
    const { scheduled } = list;
    const samples = this.fitting(scheduled);
    const { places, plans } = this.planned(list, samples);
    const dispatches = scheduled.flatMap(({ group, parts }) => parts.map((d) => this.dispatch(group, d, places)));
    const spec = (name: string, { dtype, shape }: TensorType): TensorSpec => ({
      name,
      dtype: storageOf(dtype),
      shape: shapeAt(shape, 1),
    });
    const entry: Entry = {
      name: 'infer',
      samples,
      inputs: this.func.inputs.map((v) => spec(v.op === 'input' ? v.attrs.name : '', v.type)),
      outputs: this.func.results.map((r) => spec(r.name, r.value.type)),
      slabs: slabsOf(plans),
      dispatches,
    };
    return { entry, plans };
  }

  /** Inputs and outputs have buffers of their own. */
  private checkArguments(): void {
    const limit = this.limits.maxBufferSize;
    const named = this.func.inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', type: v.type }));
    for (const { name, type } of [...named, ...this.func.results.map((r) => ({ name: r.name, type: r.value.type }))]) {
      const bytes = bytesOf({ type });
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
      const args = { operator: largest.op, bytes: bytesOf(largest), limit, device: this.options.deviceHelps ?? false };
      throw new OneByOne(diagnostic('ESP0608', { what: 'sample', ...args }, placeOf(largest)));
    }
    return Math.min(most, this.samples);
  }

  /** Bytes from one sample of a tensor to where another tensor could begin. */
  private room(v: Value): number {
    const alignment = this.limits.minStorageBufferOffsetAlignment;
    return Math.ceil(bytesOf(v) / alignment) * alignment;
  }

  /** Groups and their dispatches. Whether the bindings of large tensors are too many is known when a group's kernel has been written. */
  private scheduled(): Scheduled[] {
    const { weights } = this.options;
    const reach = { samples: this.samples, maxWorkgroups: this.limits.maxComputeWorkgroupsPerDimension };
    const layouts = new WeightLayouts(this.func);
    const packed = (matrix: WeightMatrix): PackedWeight => layouts.of(matrix);
    const context = { place: (v: Value) => this.place(v), weights, packed, limits: this.limits, reach };
    const schedules = new Schedules(context, this.limits);
    const made = new Map<Group, readonly ScheduledDispatch[]>();
    const refused = new Map<Group, CannotCut>();
    const fits = (g: Group): boolean => {
      if ([...g.stores, ...g.reads].every((v) => bytesOf(v) <= this.limits.maxStorageBufferBindingSize)) return true;
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
      const groups = fuse(this.func, { maxBuffers: this.limits.maxStorageBuffersPerShaderStage, fits });
      return groups.map((group) => ({ group, parts: made.get(group) ?? schedules.of(group) }));
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

  private place(v: Value): Place {
    if (v.op === 'param') return 'weight';
    if (v.op === 'input') return 'input';
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
      kernel: this.kernels.add(d.kernel),
      bindings,
      workgroups: d.kernel.variants.map((v) => v.workgroups),
      flops: Math.round(flopsOf(g) * d.share),
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
    if (held.kind === 'packed') {
      const { weight } = held;
      const entry = this.weights.packed(this.module.params.get(weight.param)!, weight);
      return { kind: 'weight', name: entry.name, offset: start, bytes };
    }
    const v = held.kind === 'result' ? g.stores[held.at]! : held.value;
    if (held.kind === 'value' && v.op === 'param') {
      const entry = this.weights.rows(this.module.params.get(v.attrs.name)!);
      return { kind: 'weight', name: entry.name, offset: start, bytes: Math.min(padded(bytes), entry.bytes - start) };
    }
    if (held.kind === 'value' && v.op === 'input') {
      return { kind: 'input', index: this.inputs.get(v.attrs.name)!, offset: start, bytes };
    }
    const output = this.outputs.get(v);
    if (output !== undefined) return { kind: 'output', index: output, offset: start, bytes };
    const { slab, offset } = places.get(v)!;
    return { kind: 'arena', slab, offset: offset + start, bytes: padded(bytes) };
  }
}

/** Operations of everything that the group's kernel computes. */
function flopsOf(g: Group): number {
  const bound = new Set(g.reads);
  let flops = 0;
  for (const v of postorder(g.stores, (x) => x.inputs.filter((y) => !bound.has(y)))) {
    flops += costOf(v).flops;
  }
  return flops;
}
