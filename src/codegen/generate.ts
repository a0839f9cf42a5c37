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
import { EspalierError } from '../diagnostics/types.js';
import { postorder } from '../ir/graph.js';
import { OPS } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { Func, Module, TensorType, Value } from '../ir/types.js';
import { type MemoryPlan, planMemory, type Tenant, TensorTooLarge } from '../passes/memory.js';
import { elementOf } from './bindings.js';
import { scalarOf } from './emit.js';
import { BufferLimit, fuse, type Group } from './fuse.js';
import type { BuiltKernel, Place } from './kernel.js';
import { lower } from './lower.js';
import { labelOf, placeOf } from './place.js';
import { BASELINE, CannotCut, type Limits, type Range, type ScheduledDispatch, scheduleGroup } from './schedule.js';
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
}

export interface Generated {
  /** Everything but weight files, preprocessing, labels and the golden input, which the caller adds. */
  readonly program: Unsealed;
  /** `<name>.<variant>.wgsl` -> text. */
  readonly files: ReadonlyMap<string, string>;
  readonly weights: readonly WeightRecipe[];
  /** One for each entry; `describeMemory` prints it. */
  readonly memory: readonly MemoryPlan[];
}

/**
 * @throws EspalierError: ESP0601 (no kernel for an operator), ESP0602 and ESP0604 (a tensor too large for the limits), ESP0603 (an
 * operator with too many operands).
 */
export function generate(
  modules: readonly { readonly batch: number; readonly module: Module }[],
  options: GenerateOptions,
): Generated {
  const limits: Limits = { ...BASELINE, ...(typeof options.limits === 'object' ? options.limits : {}) };
  const kernels = new Kernels();
  const weights = new Weights(options.weights);
  const entries: Entry[] = [];
  const memory: MemoryPlan[] = [];
  for (const { batch, module } of modules) {
    const made = new EntryBuilder(module, batch, options, limits, kernels, weights).build();
    entries.push(made.entry);
    memory.push(made.plan);
  }
  const recipes = weights.recipes();
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
      peakBytes: weightBytes + Math.max(0, ...entries.map(entryBytes)),
    },
  };
  return { program, files: kernels.files, weights: recipes, memory };
}

function entryBytes(e: Entry): number {
  const specs = [...e.inputs, ...e.outputs].reduce((sum, t) => sum + sizeOf(t.shape) * 4, 0);
  return specs + e.slabs.reduce((a, b) => a + b, 0);
}

/** Kernels by their text: two groups that come to the same WGSL share one. */
class Kernels {
  readonly list: Kernel[] = [];
  readonly files = new Map<string, string>();
  private readonly byText = new Map<string, number>();
  private readonly names = new Set<string>();

  add(k: BuiltKernel): number {
    const text = k.variants.map((v) => `${v.name}\n${v.wgsl}`).join('\n');
    const known = this.byText.get(text);
    if (known !== undefined) return known;
    const base = k.name.length > 80 ? k.name.slice(0, 80) : k.name;
    let name = base;
    for (let i = 2; this.names.has(name); i++) name = `${base}_${i}`;
    this.names.add(name);
    const variants = k.variants.map((v) => {
      const file = `${name}.${v.name}.wgsl`;
      this.files.set(file, v.wgsl);
      return { name: v.name, requires: v.requires, file, rank: v.rank };
    });
    const bindings = k.bindings.entries().map(([, slot]) => slot.access);
    this.list.push({ name, archetype: k.archetype, bindings, variants });
    this.byText.set(text, this.list.length - 1);
    return this.list.length - 1;
  }
}

/** Elements are four bytes in every buffer; f16 tensors are held as f32. */
function storageOf(t: TensorType): StorageType {
  return elementOf(scalarOf(t.dtype));
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
    const groups = this.fused();
    const scheduled = groups.map((g) => this.schedule(g));
    const { plan, tenantOf } = this.planned(groups);
    const dispatches = groups.flatMap((g, i) => scheduled[i]!.map((d) => this.dispatch(g, d, plan, tenantOf)));
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
      const bytes = sizeOf(type.shape) * 4;
      if (bytes > limit) throw new EspalierError([diagnostic('ESP0604', { name, bytes, limit })]);
    }
  }

  private fused(): Group[] {
    try {
      return fuse(this.func, { maxBuffers: this.limits.maxStorageBuffersPerShaderStage });
    } catch (error) {
      if (!(error instanceof BufferLimit)) throw error;
      const args = { operator: error.value.op, needs: error.needs, limit: error.limit };
      throw new EspalierError([diagnostic('ESP0603', args, placeOf(error.value))]);
    }
  }

  private schedule(group: Group): ScheduledDispatch[] {
    try {
      const context = { place: (v: Value) => this.place(v), weights: this.options.weights };
      return scheduleGroup(group, context, this.limits);
    } catch (error) {
      if (!(error instanceof CannotCut)) throw error;
      const args = { operator: group.anchor.op, bytes: error.bytes, limit: error.limit };
      throw new EspalierError([diagnostic('ESP0602', args, placeOf(group.anchor))]);
    }
  }

  private place(v: Value): Place {
    if (v.op === 'param') return 'weight';
    if (v.op === 'input') return 'input';
    return this.outputs.has(v) ? 'output' : 'arena';
  }

  private planned(groups: readonly Group[]): { plan: MemoryPlan; tenantOf: Map<Value, number> } {
    const tenantOf = new Map<Value, number>();
    const tenants: Tenant[] = [];
    const last = new Map<Value, number>();
    groups.forEach((g, i) => {
      for (const v of g.reads) last.set(v, i);
    });
    groups.forEach((g, i) => {
      for (const v of g.lse ? [g.result, g.lse] : [g.result]) {
        if (this.outputs.has(v)) continue;
        tenantOf.set(v, tenants.length);
        tenants.push({
          name: `${labelOf([g.anchor, ...g.path])} (${v.op})`,
          shape: v.type.shape,
          bytes: padded(sizeOf(v.type.shape) * 4),
          first: i,
          last: last.get(v) ?? i,
        });
      }
    });
    try {
      const { maxBufferSize, minStorageBufferOffsetAlignment } = this.limits;
      return {
        plan: planMemory(tenants, { maxSlab: maxBufferSize, alignment: minStorageBufferOffsetAlignment }),
        tenantOf,
      };
    } catch (error) {
      if (!(error instanceof TensorTooLarge)) throw error;
      throw new EspalierError([
        diagnostic('ESP0604', { name: error.tenant.name, bytes: error.tenant.bytes, limit: error.limit }),
      ]);
    }
  }

  private dispatch(g: Group, d: ScheduledDispatch, plan: MemoryPlan, tenantOf: ReadonlyMap<Value, number>): Dispatch {
    const bindings = d.ranges.map((r) => this.reference(g, d.kernel, r, plan, tenantOf));
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
    range: Range,
    plan: MemoryPlan,
    tenantOf: ReadonlyMap<Value, number>,
  ): BufferRef {
    const start = range.first * 4;
    const bytes = range.count * 4;
    if (range.key === 'tiles') {
      const packed = kernel.packed!;
      const entry = this.weights.tiles(this.module.params.get(packed.param)!, packed);
      return { kind: 'weight', name: entry.name, offset: 0, bytes: entry.bytes };
    }
    const v = range.key === 'out' ? g.result : range.key === 'lse' ? g.lse! : kernel.values.get(range.key)!;
    if (range.key !== 'out' && v.op === 'param') {
      const entry = this.weights.rows(this.module.params.get(v.attrs.name)!);
      return { kind: 'weight', name: entry.name, offset: start, bytes: Math.min(padded(bytes), entry.bytes - start) };
    }
    if (range.key !== 'out' && v.op === 'input') {
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
