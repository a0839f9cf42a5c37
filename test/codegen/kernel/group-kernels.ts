/**
 * The kernels of a model, one for each group of operators, and one kernel run by itself in the simulator beside the interpreter. The only file of
 * these tests that knows how the compiler goes from a spec to kernels.
 */
import { workgroupsAt } from '../../../runtime/program/grid.js';
import type { Spec } from '../../../src/api/analyse.js';
import { analyseModel } from '../../../src/api/analyse.js';
import { nodeHost } from '../../../src/api/index.js';
import { placeOver } from '../../../src/codegen/buffers/in-place.js';
import { type PackedWeight, WeightLayouts } from '../../../src/codegen/buffers/weight-matrix.js';
import { Weights } from '../../../src/codegen/buffers/weights.js';
import { Schedules } from '../../../src/codegen/groups/alike.js';
import { fuse } from '../../../src/codegen/groups/fuse.js';
import type { Group } from '../../../src/codegen/groups/group.js';
import { lower } from '../../../src/codegen/groups/lower.js';
import { printKernel } from '../../../src/codegen/kernel/print.js';
import { kernelAt } from '../../../src/codegen/kernel/samples.js';
import { type Simulation, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { BoundWindow } from '../../../src/codegen/kernel/types.js';
import type { BuiltKernel, BuiltVariant, Held, KernelContext } from '../../../src/codegen/kernel.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import { isBatch, shapeAt } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { input, postorder, rewriteValues, rootsOf, withInputs } from '../../../src/ir/graph.js';
import { costOf } from '../../../src/ir/ops/cost.js';
import { sizeOf } from '../../../src/ir/ops/shapes.js';
import { fromHalf, toHalf } from '../../../src/ir/run/half.js';
import { interpretValues } from '../../../src/ir/run/interpret.js';
import { valuesAt } from '../../../src/ir/run/samples.js';
import type { Module, Param, Tensor, Value } from '../../../src/ir/types.js';
import { type AdapterMode, optimize } from '../../../src/passes/index.js';
import { compiled, random, randomTensor } from '../harness.js';
import { memory } from './run.js';

/** What a spec compiles to. */
export interface Model {
  readonly module: Module;
  /** Texts of all variants of all its kernels, as `compile` writes them. */
  readonly texts: ReadonlySet<string>;
  readonly kernels: readonly GroupKernel[];
}

/** A kernel, and a group of operators that it computes. */
export interface GroupKernel {
  readonly group: Group;
  readonly kernel: BuiltKernel;
  readonly context: KernelContext;
  /** Results that are written over an operand. */
  readonly over: ReadonlyMap<Value, Value>;
}

export async function modelOf(spec: Spec, adapters: AdapterMode, weights: 'f32' | 'f16'): Promise<Model> {
  const { elaborated } = await analyseModel(spec, { host: nodeHost() });
  const { module } = optimize(elaborated.module, { adapters });
  const texts = new Set(compiled(module, { weights, keepPrograms: false }).files.values());
  return { module, texts, kernels: kernelsOf(module, weights) };
}

/** The distinct kernels of a module. A kernel that is cut, because a tensor is larger than a binding, is refused: none of the examples' is. */
export function kernelsOf(module: Module, weights: 'f32' | 'f16'): GroupKernel[] {
  const func = lower(module.funcs.get('infer')!, { binding: BASELINE.maxStorageBufferBindingSize, weights });
  const outputs = new Set(rootsOf(func));
  const layouts = new WeightLayouts(weights);
  layouts.add(func);
  const context: KernelContext = {
    place: (v) => (v.op === 'param' ? 'weight' : v.op === 'input' ? 'input' : outputs.has(v) ? 'output' : 'arena'),
    packed: (matrix) => layouts.of(matrix),
    limits: BASELINE,
    // As many as programs are generated for unless they are asked for more: tiles are chosen for the largest pass.
    reach: { samples: 1, maxWorkgroups: BASELINE.maxComputeWorkgroupsPerDimension },
  };
  const schedules = new Schedules(context, BASELINE);
  const known = new Map<BuiltKernel['variants'], GroupKernel>();
  const groups = fuse(func, { maxBuffers: BASELINE.maxStorageBuffersPerShaderStage });
  const list = groups.map((group) => ({ group, parts: schedules.of(group) }));
  const { scheduled, over } = placeOver(list, context.place, BASELINE);
  for (const { group, parts } of scheduled) {
    const { kernel } = parts[0]!;
    if (parts.length > 1) throw new Error(`${kernel.name} is cut into ${parts.length}`);
    // Groups that are alike share what was built.
    if (!known.has(kernel.variants)) known.set(kernel.variants, { group, kernel, context, over });
  }
  return [...known.values()];
}

/** The weight that a kernel reads packed. */
export function packedOf({ holds }: BuiltKernel): PackedWeight | undefined {
  const held = [...holds.values()].find((h) => h.kind === 'packed');
  return held?.kind === 'packed' ? held.weight : undefined;
}

export const textOf = (variant: BuiltVariant): string => printKernel(variant.lowered);

/** Multiplications with an addition of a group's product or attention for one sample; of other groups, half of what its anchor computes. */
export const multiplyAdds = ({ anchor }: Group): number => costOf(anchor).flops / 2;

/** Values that one buffer holds have one name. */
const nameOf = (v: Value): string => (v.op === 'param' || v.op === 'input' ? `${v.op} ${v.attrs.name}` : `v${v.id}`);

/** The values that a group computes, made of others: `leaf` gives the image of what it reads, `rule` that of what it computes. */
export function rewriteGroup(
  group: Group,
  leaf: (v: Value) => Value,
  rule: (v: Value, inputs: readonly Value[]) => Value = withInputs,
): (v: Value) => Value {
  const read = new Set(group.reads);
  return rewriteValues(
    group.stores,
    (v, inputs) => (read.has(v) ? leaf(v) : rule(v, inputs)),
    (v) => (read.has(v) ? [] : v.inputs),
  );
}

/** Random numbers for all that a group reads, and what it makes of them in f64, for so many samples. */
export class Case {
  readonly wanted: readonly Tensor[];
  private readonly inputs = new Map<string, Tensor>();
  /** Differences count beside this: where larger numbers cancel on the way, f32 leaves their rounding errors. */
  private readonly scale: number;

  constructor(
    private readonly of: GroupKernel,
    seed: number,
    private readonly samples = 1,
  ) {
    const next = random(seed);
    const { group } = of;
    const leaves = new Map<string, Value>();
    // Numbers that halves can hold, where kernels read halves.
    const halves = packedOf(of.kernel)?.storage === 'f16' ? packedOf(of.kernel)?.param : undefined;
    const stored = (t: Tensor, v: Value): Tensor =>
      v.op === 'param' && v.attrs.name === halves
        ? { ...t, data: Float32Array.from(t.data, (x) => fromHalf(toHalf(x))) }
        : t;
    const image = rewriteGroup(group, (v) => {
      const name = nameOf(v);
      const known = leaves.get(name) ?? input(name, v.type);
      leaves.set(name, known);
      const shape = shapeAt(v.type.shape, samples);
      if (!this.inputs.has(name)) this.inputs.set(name, stored(randomTensor(shape, next, v.type.dtype), v));
      return known;
    });
    const open = group.stores.map(image);
    const roots = open.map(valuesAt(open, samples));
    const all = postorder(roots, (v) => v.inputs);
    const tensors = interpretValues(all, { inputs: this.inputs });
    this.wanted = roots.map((r, i) => inMemory(tensors[all.indexOf(r)]!, open[i]!.type.shape));
    const most = (list: readonly Tensor[]): number =>
      list.reduce((m, { data }) => {
        for (let i = 0; i < data.length; i++) m = Math.max(m, Number.isFinite(data[i]!) ? Math.abs(data[i]!) : 0);
        return m;
      }, 1e-30);
    this.scale = Math.max(0.1 * most(tensors), most(this.wanted));
  }

  /** Runs a variant. `difference`: the largest, over the largest number. Each element of a result has to be written once. */
  run(variant: BuiltVariant, order: 'forward' | 'reverse' = 'forward'): Simulation & { readonly difference: number } {
    const { kernel } = this.of;
    const lowered = kernelAt(variant.lowered, this.samples);
    const workgroups = workgroupsAt(variant.workgroups, this.samples);
    const data = new Map([...kernel.holds].map(([buffer, held]) => [buffer, this.bytesOf(held)]));
    const isResult = (w: BoundWindow): boolean => kernel.holds.get(w.buffer)!.kind === 'result';
    const buffers = lowered.windows.map((w) => ({ data: viewOf(w, data.get(w.buffer)!) }));
    const results = lowered.windows.filter(isResult).map((w) => w.name);
    const simulation = simulate(lowered, buffers, workgroups, { results, order });
    const found = [...kernel.holds].flatMap(([buffer, held]) => {
      return held.kind === 'result' ? [differenceOf(data.get(buffer)!, this.wanted[held.at]!)] : [];
    });
    if (found.length !== this.wanted.length) throw new Error(`${kernel.name} writes ${found.length} results`);
    // Math.max gives NaN for NaN, which is what memory held before.
    return { ...simulation, difference: Math.max(...found) / this.scale };
  }

  private bytesOf(held: Held): ArrayBuffer {
    if (held.kind === 'result') {
      const v = this.of.group.stores[held.at]!;
      const before = this.of.over.get(v);
      if (before) return this.bytesOf({ kind: 'value', value: before });
      return memory(sizeOf(shapeAt(v.type.shape, this.samples)) * 4);
    }
    if (held.kind === 'value') {
      const { type, data } = inMemory(this.inputs.get(nameOf(held.value))!, held.value.type.shape);
      const buffer = memory(data.length * 4);
      new ARRAYS[type.dtype](buffer).set(data);
      return buffer;
    }
    const { weight } = held;
    const tensor = this.inputs.get(`param ${weight.param}`)!;
    const weights = new Weights({ params: new Map() });
    const param: Param = { name: weight.param, type: tensor.type, role: 'frozen' };
    weights.packed(param, weight);
    return weights.recipes()[0]!.pack(tensor).buffer as ArrayBuffer;
  }
}

/** The elements as they lie in memory: the batch, wherever it stands in the shape, outermost. */
function inMemory(t: Tensor, shape: readonly number[]): Tensor {
  const axis = shape.findIndex(isBatch);
  if (axis <= 0) return t;
  const perm = [axis, ...shape.map((_, i) => i).filter((i) => i !== axis)];
  const x = input('x', t.type);
  return interpretValues([build.transpose(x, perm)], { inputs: new Map([['x', t]]) })[0]!;
}

const ARRAYS = { f32: Float32Array, f16: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array } as const;

/** What a window shows of a buffer, with what pads it. */
function viewOf(w: BoundWindow, buffer: ArrayBuffer) {
  const words = buffer.byteLength / 4 - w.first;
  return new ARRAYS[w.item.scalar](buffer, w.first * 4, words);
}

function differenceOf(found: ArrayBuffer, wanted: Tensor): number {
  const elements = new ARRAYS[wanted.type.dtype](found);
  let worst = 0;
  for (let i = 0; i < wanted.data.length; i++) {
    const d = Math.abs(elements[i]! - wanted.data[i]!);
    // Not a number is no small difference.
    if (!(d <= worst)) worst = d;
    if (Number.isNaN(d)) return d;
  }
  return worst;
}
