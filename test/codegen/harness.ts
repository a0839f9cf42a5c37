/** Runs a generated program on Dawn, with nothing between it and the driver, and compares it with the interpreter. */
import { expect } from 'vitest';
import { deviceFacts, legalVariants } from '../../runtime/device.js';
import { Layouts } from '../../runtime/kernels.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import { byteSize, shapeOf } from '../../runtime/program/check.js';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { type BufferRef, type Entry, holdsSamples } from '../../runtime/program/program.js';
import { type Generated, type GenerateOptions, generate } from '../../src/codegen/generate.js';
import { shapeAt } from '../../src/ir/batch.js';
import { input, make, paramRef, rootsOf, topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpret, interpretValues } from '../../src/ir/run/interpret.js';
import { samplesOf as argumentSamples, funcAt } from '../../src/ir/run/samples.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, Module, OpAttrs, OpName, Param, Tensor, Value } from '../../src/ir/types.js';

export interface Runner {
  readonly open: OpenDevice;
  readonly layouts: Layouts;
  readonly pipelines: Map<string, GPUComputePipeline>;
}

/** The driver, or why it cannot be used here. */
export async function openRunner(driver: string): Promise<Runner | string> {
  try {
    const open = await openDevice({ driver });
    return { open, layouts: new Layouts(open.device), pipelines: new Map() };
  } catch (error) {
    return (error as Error).message;
  }
}

/** Deterministic numbers in -1..1 (mulberry32). */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) / 4294967296) * 2 - 1;
  };
}

export function randomTensor(shape: readonly number[], next: () => number, dtype: DType = 'f32'): Tensor {
  const n = sizeOf(shape);
  if (dtype === 'bool')
    return tensor(
      shape,
      Uint8Array.from({ length: n }, () => (next() > 0 ? 1 : 0)),
      dtype,
    );
  if (dtype === 'i32')
    return tensor(
      shape,
      Int32Array.from({ length: n }, () => Math.floor(next() * 10)),
      dtype,
    );
  if (dtype === 'u32')
    return tensor(
      shape,
      Uint32Array.from({ length: n }, () => Math.floor(next() * 5 + 5)),
      dtype,
    );
  return tensor(shape, Float32Array.from({ length: n }, next), dtype);
}

/** Collects parameters and inputs while a test builds its graph. */
export class Model {
  readonly params = new Map<string, Param>();
  readonly data = new Map<string, Tensor>();
  readonly inputs: Value[] = [];
  readonly arguments = new Map<string, Tensor>();
  private readonly next: () => number;

  /** @param samples how many there are of what holds the batch */
  constructor(
    seed = 1,
    readonly samples = 1,
  ) {
    this.next = random(seed);
  }

  input(shape: readonly number[], dtype: DType = 'f32', data?: Tensor): Value {
    const name = `x${this.inputs.length}`;
    const v = input(name, { dtype, shape });
    this.inputs.push(v);
    this.arguments.set(name, data ?? randomTensor(shapeAt(shape, this.samples), this.next, dtype));
    return v;
  }

  param(shape: readonly number[], data?: Tensor): Value {
    const name = `p${this.params.size}`;
    const param: Param = { name, type: { dtype: data?.type.dtype ?? 'f32', shape }, role: 'frozen' };
    this.params.set(name, param);
    this.data.set(name, data ?? randomTensor(shape, this.next));
    return paramRef(param);
  }

  op<O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O]): Value {
    return make(op, inputs, attrs, { site: `test.${op}` });
  }

  module(...results: readonly Value[]): Module {
    const infer = {
      name: 'infer',
      inputs: this.inputs,
      results: results.map((value, i) => ({ name: `y${i}`, value })),
      updates: [],
    };
    return { name: 'test', adapters: new Map(), params: this.params, funcs: new Map([['infer', infer]]) };
  }

  expected(module: Module): Tensor[] {
    const out = interpret(module, 'infer', { inputs: this.arguments, params: (name) => this.data.get(name)! });
    return [...out.values()];
  }
}

export const OPTIONS: GenerateOptions = { name: 'test', compiler: 'test', weights: 'f32', keepPrograms: true };

export function compiled(module: Module, options: Partial<GenerateOptions> = {}): Generated {
  return generate(module, { ...OPTIONS, ...options });
}

/** Which variant of each kernel runs: the best legal one, or the portable one. */
export type Choice = 'best' | 'portable';

/** How many samples a program's arguments are. */
export function samplesOf({ inputs }: Entry, args: Pick<Arguments, 'arguments'>): number {
  const first = inputs.find((t) => t.samples);
  return first ? args.arguments.get(first.name)!.data.length / sizeOf(first.shape) : 1;
}

/** What a program computes with: parameters' elements and arguments, by name. */
export type Arguments = Pick<Model, 'data' | 'arguments'>;

export async function execute(run: Runner, g: Generated, model: Arguments, choice: Choice): Promise<Tensor[]> {
  const { device } = run.open;
  const facts = deviceFacts(device);
  const entry = g.program.entries[0]!;
  const samples = samplesOf(entry, model);
  const made: GPUBuffer[] = [];
  const buffer = (size: number, usage: number): GPUBuffer => {
    const b = device.createBuffer({ size: Math.ceil(size / 16) * 16, usage });
    made.push(b);
    return b;
  };
  const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const weights = new Map<string, GPUBuffer>();
  for (const w of g.weights) {
    const bytes = w.pack(model.data.get(w.param)!);
    expect(bytes.byteLength, w.entry.name).toBe(w.entry.bytes);
    const b = buffer(bytes.byteLength, STORAGE);
    device.queue.writeBuffer(b, 0, bytes as Uint8Array<ArrayBuffer>);
    weights.set(w.entry.name, b);
  }
  const slabs = entry.slabs.map((slab) => buffer(slab.bytes * (slab.samples ? samples : 1), STORAGE));
  const inputs = entry.inputs.map((spec) => {
    const b = buffer(byteSize(spec, samples), STORAGE);
    const data = model.arguments.get(spec.name)!.data;
    const array = { f32: Float32Array, f16: Float32Array, i32: Int32Array, u32: Uint32Array }[spec.dtype];
    device.queue.writeBuffer(b, 0, array.from(data) as Float32Array<ArrayBuffer>);
    return b;
  });
  const outputs = entry.outputs.map((spec) => buffer(byteSize(spec, samples), STORAGE));
  const uniform = buffer(16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  device.queue.writeBuffer(uniform, 0, new Uint32Array([samples]));
  const place = (ref: BufferRef): GPUBuffer => {
    if (ref.kind === 'update') throw new Error('a session calls entries that update states');
    if (ref.kind === 'weight') return weights.get(ref.name)!;
    if (ref.kind === 'arena') return slabs[ref.slab]!;
    return ref.kind === 'input' ? inputs[ref.index]! : outputs[ref.index]!;
  };
  device.pushErrorScope('validation');
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setBindGroup(
    1,
    device.createBindGroup({ layout: run.layouts.run, entries: [{ binding: 0, resource: { buffer: uniform } }] }),
  );
  for (const d of entry.dispatches) {
    const kernel = g.program.kernels[d.kernel]!;
    const variant = choice === 'portable' ? kernel.variants.length - 1 : legalVariants(kernel.variants, facts)[0]!;
    const code = g.files.get(kernel.variants[variant]!.file)!;
    const layout = run.layouts.of(kernel.bindings);
    let pipeline = run.pipelines.get(code);
    if (!pipeline) {
      const module = device.createShaderModule({ code });
      const info = await module.getCompilationInfo();
      const errors = info.messages.filter((m) => m.type === 'error');
      if (errors.length > 0) {
        throw new Error(`${kernel.name}: ${errors.map((m) => `${m.lineNum}: ${m.message}`).join('; ')}\n${code}`);
      }
      pipeline = device.createComputePipeline({ layout: layout.pipeline, compute: { module, entryPoint: 'main' } });
      run.pipelines.set(code, pipeline);
    }
    const group = device.createBindGroup({
      layout: layout.group,
      entries: d.bindings.map((ref, binding) => {
        const times = holdsSamples(entry, ref) ? samples : 1;
        return {
          binding,
          resource: { buffer: place(ref), offset: ref.offset * times, size: Math.max(4, ref.bytes * times) },
        };
      }),
    });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...workgroupsAt(d.workgroups[variant]!, samples));
  }
  pass.end();
  const reads = entry.outputs.map((spec, i) => {
    const size = byteSize(spec, samples);
    const b = buffer(size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    encoder.copyBufferToBuffer(outputs[i]!, 0, b, 0, size);
    return b;
  });
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error) throw new Error(error.message);
  const results: Tensor[] = [];
  for (const [i, spec] of entry.outputs.entries()) {
    const b = reads[i]!;
    await b.mapAsync(GPUMapMode.READ);
    const bytes = b.getMappedRange().slice(0, byteSize(spec, samples));
    const array = { f32: Float32Array, f16: Float32Array, i32: Int32Array, u32: Uint32Array }[spec.dtype];
    results.push(tensor(shapeOf(spec, samples), new array(bytes), spec.dtype));
  }
  for (const b of made) b.destroy();
  return results;
}

/** Largest |difference| over the largest |expected|; exact for integers. */
export function difference(actual: Tensor, expected: Tensor): number {
  let largest = 1e-30;
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) largest = Math.max(largest, Math.abs(expected.data[i]!));
  for (let i = 0; i < expected.data.length; i++) {
    const d = Math.abs(actual.data[i]! - expected.data[i]!);
    if (!(d <= worst)) worst = d;
  }
  return worst / largest;
}

/** The largest finite magnitude in some tensors. */
function largestOf(tensors: readonly Tensor[]): number {
  let most = 0;
  for (const { data } of tensors) {
    for (const x of data) if (Number.isFinite(x)) most = Math.max(most, Math.abs(Number(x)));
  }
  return most;
}

/**
 * The largest difference between results, over the largest wanted number. Where larger numbers cancel, f32 leaves their rounding errors: it is
 * over a tenth of the largest number on the way at least.
 */
export function differences(
  module: Module,
  args: Arguments,
  found: readonly Tensor[],
  wanted: readonly Tensor[],
): number[] {
  const infer = module.funcs.get('infer')!;
  const samples = argumentSamples(infer, (name) => args.arguments.get(name)?.type.shape);
  const values = topological(rootsOf(funcAt(infer, samples)));
  const onTheWay = interpretValues(values, { inputs: args.arguments, params: (name) => args.data.get(name)! });
  const scale = Math.max(0.1 * largestOf(onTheWay), largestOf(wanted), 1e-30);
  return wanted.map((e, i) => {
    expect(found[i]!.type.shape).toEqual(e.type.shape);
    let worst = 0;
    for (let j = 0; j < e.data.length; j++) {
      const d = Math.abs(found[i]!.data[j]! - e.data[j]!);
      if (!(d <= worst)) worst = d;
    }
    return worst / scale;
  });
}

/** Compiles, runs and compares with the interpreter. */
export async function agrees(
  run: Runner,
  model: Model,
  results: readonly Value[],
  options: Partial<GenerateOptions> & {
    tolerance?: number;
    choices?: readonly Choice[];
    /** Instead of what the interpreter gives. */
    expected?: readonly Tensor[];
  } = {},
): Promise<Generated> {
  const { tolerance = 1e-5, choices = ['best', 'portable'], expected: given, ...rest } = options;
  const module = model.module(...results);
  const g = compiled(module, { samples: model.samples, ...rest });
  const expected = given ?? model.expected(module);
  for (const choice of choices) {
    const actual = await execute(run, g, model, choice);
    expected.forEach((e, i) => {
      expect(actual[i]!.type.shape).toEqual(e.type.shape);
      const d = difference(actual[i]!, e);
      expect(d, `${results[i]!.op} (${choice}): result ${i} differs by ${d}\n${[...g.files.values()][0]}`).toBeLessThan(
        tolerance,
      );
    });
  }
  return g;
}

export function entryOf(g: Generated): Entry {
  return g.program.entries[0]!;
}
