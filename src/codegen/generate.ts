/** From optimised modules (one for each batch size) to a program: kernels, dispatches, memory, and how its weights are packed. */
import {
  type BufferRef,
  type Dispatch,
  type Entry,
  type Kernel,
  type StorageType,
  type TensorSpec,
  type Unsealed,
  VERSION,
} from '../../runtime/program.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { postorder } from '../ir/graph.js';
import { OPS } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { Func, Module, TensorType, Value } from '../ir/types.js';
import { type MemoryPlan, planMemory, type Tenant, TensorTooLarge } from '../passes/memory.js';
import { Schedules } from './alike.js';
import { BufferLimit, fuse, type Group } from './fuse.js';
import { printKernel } from './kernel/print.js';
import type { BoundWindow } from './kernel/types.js';
import { ELEMENT_BYTES } from './kernel/uses.js';
import { type BuiltKernel, type BuiltVariant, elementOf, type Place } from './kernel.js';
import { lower } from './lower.js';
import { labelOf, placeOf } from './place.js';
import { scalarOf } from './reader.js';
import { BASELINE, CannotCut, type Limits, type ScheduledDispatch } from './schedule.js';
import { padded, type WeightRecipe, Weights } from './weights.js';

export interface GenerateOptions {
  /** Name of the program. */
  readonly name: string;
  /** Version of Espalier. */
  readonly compiler: string;
  /** Limits to keep to (default: what every WebGPU device has). Anything not given is WebGPU's default. */
  readonly limits?: 'baseline' | Partial<Limits>;
  /** How packed weights are stored. */
  readonly weights: 'f32' | 'f16';
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
  /** One for each entry; `describeMemory` prints it. */
  readonly memory: readonly MemoryPlan[];
}

/**
 * @throws EspalierError: ESP0601 (no kernel for an operator), ESP0602 and ESP0604 (tensors too large for the limits), ESP0603 (an
 * operator with too many operands).
 */
export function generate(
  modules: readonly { readonly batch: number; readonly module: Module }[],
  options: GenerateOptions,
): Generated {
  const limits: Limits = { ...BASELINE, ...(typeof options.limits === 'object' ? options.limits : {}) };
  const kernels = new Kernels(options.keepPrograms ?? false);
  const weights = new Weights(options.weights);
  const entries: Entry[] = [];
  const memory: MemoryPlan[] = [];
  for (const { batch, module } of modules) {
    const made = new EntryBuilder(module, batch, options, limits, kernels, weights).build();
    entries.push(made.entry);
    memory.push(made.plan);
  }
  const recipes = weights.recipes();
  const large = recipes.find((r) => r.entry.bytes > limits.maxBufferSize);
  if (large) throw new EspalierError([noBuffer(large.param, large.entry.bytes, limits, options, 'weight')]);
  const weightBytes = recipes.reduce((sum, r) => sum + r.entry.bytes, 0);
  const own = [...(modules[0]?.module.params.values() ?? [])].filter(
    (p) => p.role === 'frozen' || p.role === 'trainable',
  );
  const count = (role?: string): number =>
    own.reduce((sum, p) => sum + (role === undefined || p.role === role ? sizeOf(p.type.shape) : 0), 0);
  const flops = (list: readonly Dispatch[] = []): number => list.reduce((sum, d) => sum + d.flops, 0);
  const program: Unsealed = {
    format: 'espalier.program',
    version: VERSION,
    name: options.name,
    compiler: options.compiler,
    kernels: kernels.list,
    entries,
    weights: recipes.map((r) => r.entry),
    weightFiles: [],
    summary: {
      parameters: { total: count(), trainable: count('trainable'), frozen: count('frozen') },
      kernels: kernels.list.length,
      dispatches: entries[0]?.dispatches.length ?? 0,
      flops: flops(entries[0]?.dispatches),
      sparseFlops: flops(entries[0]?.dispatches.filter((d) => kernels.list[d.kernel]!.archetype === 'sparse_contract')),
      weightBytes,
      peakBytes: weightBytes + workingBytes(entries),
    },
  };
  return { program, files: kernels.files, variants: kernels.variants, weights: recipes, memory };
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

/** What a session holds beside weights: inputs and outputs of each entry, the latter twice to be read, and slabs, which all entries share. */
function workingBytes(entries: readonly Entry[]): number {
  const size = (t: TensorSpec): number => padded(sizeOf(t.shape) * ELEMENT_BYTES);
  const add = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  const slabs = Array.from({ length: Math.max(0, ...entries.map((e) => e.slabs.length)) }, (_, i) =>
    Math.max(...entries.map((e) => e.slabs[i] ?? 0)),
  );
  return add([...slabs, ...entries.flatMap((e) => [...e.inputs, ...e.outputs, ...e.outputs].map(size))]);
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
      return { name: v.name, requires: v.requires, file, rank: v.rank };
    });
    const access = new Map(k.buffers.map((b) => [b.name, b.access]));
    const bindings = k.windows.map((w) => access.get(w.buffer)!);
    this.list.push({ name, archetype: k.archetype, bindings, variants });
    this.byText.set(text, this.list.length - 1);
    return this.list.length - 1;
  }
}

const bytesOf = (v: Value): number => sizeOf(v.type.shape) * ELEMENT_BYTES;

/** Elements are four bytes in every buffer; f16 tensors are held as f32. */
function storageOf(t: TensorType): StorageType {
  return elementOf(scalarOf(t.dtype));
}

/** A group and the dispatches that it takes. */
interface Scheduled {
  readonly group: Group;
  readonly parts: readonly ScheduledDispatch[];
}

class EntryBuilder {
  private readonly func: Func;
  private readonly inputs = new Map<string, number>();
  private readonly outputs = new Map<Value, number>();

  constructor(
    private readonly module: Module,
    private readonly batch: number,
    private readonly options: GenerateOptions,
    private readonly limits: Limits,
    private readonly kernels: Kernels,
    private readonly weights: Weights,
  ) {
    const infer = module.funcs.get('infer');
    if (!infer) throw new EspalierError([diagnostic('ESP0600', { what: 'the module has no function `infer`' })]);
    this.func = lower(infer, { binding: limits.maxStorageBufferBindingSize, weights: options.weights });
    this.func.inputs.forEach((v, i) => {
      if (v.op === 'input') this.inputs.set(v.attrs.name, i);
    });
    this.func.results.forEach((r, i) => {
      this.outputs.set(r.value, i);
    });
  }

  build(): { entry: Entry; plan: MemoryPlan } {
    this.checkArguments();
    const scheduled = this.scheduled();
    const { plan, tenantOf } = this.planned(scheduled);
    const dispatches = scheduled.flatMap(({ group, parts }) =>
      parts.map((d) => this.dispatch(group, d, plan, tenantOf)),
    );
    const spec = (name: string, t: TensorType): TensorSpec => ({ name, dtype: storageOf(t), shape: t.shape });
    const entry: Entry = {
      name: 'infer',
      batch: this.batch,
      inputs: this.func.inputs.map((v) => spec(v.op === 'input' ? v.attrs.name : '', v.type)),
      outputs: this.func.results.map((r) => spec(r.name, r.value.type)),
      slabs: plan.slabs,
      dispatches,
    };
    return { entry, plan };
  }

  /** Inputs and outputs have buffers of their own. */
  private checkArguments(): void {
    const limit = this.limits.maxBufferSize;
    const named = this.func.inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', type: v.type }));
    for (const { name, type } of [...named, ...this.func.results.map((r) => ({ name: r.name, type: r.value.type }))]) {
      const bytes = sizeOf(type.shape) * ELEMENT_BYTES;
      if (bytes > limit) throw new EspalierError([noBuffer(name, bytes, this.limits, this.options)]);
    }
  }

  /** Groups and their dispatches. Whether the bindings of large tensors are too many is known when a group's kernel has been written. */
  private scheduled(): Scheduled[] {
    const context = { place: (v: Value) => this.place(v), weights: this.options.weights, limits: this.limits };
    const schedules = new Schedules(context, this.limits);
    const made = new Map<Group, readonly ScheduledDispatch[]>();
    const refused = new Map<Group, CannotCut>();
    const fits = (g: Group): boolean => {
      if ([g.result, ...g.reads].every((v) => bytesOf(v) <= this.limits.maxStorageBufferBindingSize)) return true;
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

  private planned(scheduled: readonly Scheduled[]): { plan: MemoryPlan; tenantOf: Map<Value, number> } {
    const tenantOf = new Map<Value, number>();
    const tenants: Tenant[] = [];
    // Lives are counted in dispatches.
    const last = new Map<Value, number>();
    let end = 0;
    for (const { group, parts } of scheduled) {
      end += parts.length;
      for (const v of [group.result, ...(group.lse ? [group.lse] : []), ...group.reads]) last.set(v, end - 1);
    }
    let first = 0;
    for (const { group: g, parts } of scheduled) {
      for (const v of g.lse ? [g.result, g.lse] : [g.result]) {
        if (this.outputs.has(v)) continue;
        tenantOf.set(v, tenants.length);
        tenants.push({
          name: `${labelOf([g.anchor, ...g.path])} (${v.op})`,
          shape: v.type.shape,
          bytes: padded(bytesOf(v)),
          first,
          last: last.get(v)!,
        });
      }
      first += parts.length;
    }
    try {
      const { maxBufferSize, minStorageBufferOffsetAlignment } = this.limits;
      return {
        plan: planMemory(tenants, { maxSlab: maxBufferSize, alignment: minStorageBufferOffsetAlignment }),
        tenantOf,
      };
    } catch (error) {
      if (!(error instanceof TensorTooLarge)) throw error;
      const { name, bytes } = error.tenant;
      throw new EspalierError([noBuffer(name, bytes, this.limits, this.options)]);
    }
  }

  private dispatch(g: Group, d: ScheduledDispatch, plan: MemoryPlan, tenantOf: ReadonlyMap<Value, number>): Dispatch {
    const bindings = d.windows.map((w) => this.reference(g, d.kernel, w, plan, tenantOf));
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
    plan: MemoryPlan,
    tenantOf: ReadonlyMap<Value, number>,
  ): BufferRef {
    const start = window.first * ELEMENT_BYTES;
    const bytes = window.count * ELEMENT_BYTES;
    const held = kernel.holds.get(window.buffer)!;
    if (held.kind === 'tiles') {
      const packed = kernel.packed!;
      const entry = this.weights.tiles(this.module.params.get(packed.param)!, packed);
      return { kind: 'weight', name: entry.name, offset: 0, bytes: entry.bytes };
    }
    const v = held.kind === 'result' ? g.result : held.kind === 'lse' ? g.lse! : held.value;
    if (held.kind === 'value' && v.op === 'param') {
      const entry = this.weights.rows(this.module.params.get(v.attrs.name)!);
      return { kind: 'weight', name: entry.name, offset: start, bytes: Math.min(padded(bytes), entry.bytes - start) };
    }
    if (held.kind === 'value' && v.op === 'input') {
      return { kind: 'input', index: this.inputs.get(v.attrs.name)!, offset: start, bytes };
    }
    const output = this.outputs.get(v);
    if (output !== undefined) return { kind: 'output', index: output, offset: start, bytes };
    const tenant = plan.tenants[tenantOf.get(v)!]!;
    return { kind: 'arena', slab: tenant.slab, offset: tenant.offset + start, bytes: padded(bytes) };
  }
}

/** Operations of everything that the group's kernel computes. */
function flopsOf(g: Group): number {
  const bound = new Set(g.reads);
  let flops = 0;
  for (const v of postorder([g.result], (x) => x.inputs.filter((y) => !bound.has(y)))) {
    const cost = OPS[v.op].cost as (
      inputs: readonly TensorType[],
      attrs: object,
      result: TensorType,
    ) => { flops: number };
    flops += cost(
      v.inputs.map((x) => x.type),
      v.attrs,
      v.type,
    ).flops;
  }
  return flops;
}
