/** Runs a generated program in the simulator: every dispatch, by the variant asked for, over buffers laid out as on a GPU. */

import { expect } from 'vitest';
import { byteSize, shapeOf } from '../../../runtime/program/check.js';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import { type BufferRef, type Dispatch, type Entry, holdsSamples } from '../../../runtime/program/program.js';
import { SUBGROUP_SIZES } from '../../../src/codegen/contract/schedules.js';
import type { Generated, GenerateOptions } from '../../../src/codegen/generate.js';
import { kernelAt } from '../../../src/codegen/kernel/samples.js';
import type { Stats } from '../../../src/codegen/kernel/simulate/machine.js';
import { type Fault, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { BoundWindow, LoweredKernel } from '../../../src/codegen/kernel/types.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { eachStmt } from '../../../src/codegen/kernel/walk.js';
import { sizeOf } from '../../../src/ir/ops/shapes.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor, Value } from '../../../src/ir/types.js';
import { type Arguments, compiled, differences, type Model, samplesOf } from '../harness.js';

export interface Simulated {
  readonly results: readonly Tensor[];
  readonly faults: readonly (Fault & { readonly kernel: string })[];
  readonly stats: Readonly<Stats>;
}

const ARRAYS = { f32: Float32Array, f16: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array } as const;

/** NaN as f32 and a large number as an integer: what is not written shows. */
const NEVER = 0x7fc0_1234;

export function memory(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(Math.ceil(bytes / 16) * 16);
  new Uint32Array(buffer).fill(NEVER);
  return buffer;
}

/** Which variants run: those for a subgroup size, those through workgroup memory, or the last; a kernel without such a one runs its last. */
export type Which = number | 'tile' | 'portable';

/**
 * Runs every dispatch of the program.
 * @param cut There are kernels that run in parts. Where there are none, each has to write every element of what it writes to once
 */
export function simulateProgram(
  g: Generated,
  args: Arguments,
  which: Which,
  order?: 'forward' | 'reverse',
  cut = false,
): Simulated {
  return simulateCall(g, g.program.entries[0]!, weightMemory(g, args.data), args, which, order, cut);
}

/** What a session holds: weights and states as they start. Some lie in others. */
export function weightMemory(g: Generated, data: Arguments['data']): Map<string, Uint8Array<ArrayBuffer>> {
  const sizeIn = (bytes: number): number => Math.ceil(bytes / 16) * 16;
  const own = new Map(
    g.weights.flatMap(({ entry: { name, bytes, start, within } }) =>
      within ? [] : [[name, start === 'file' ? memory(bytes) : new ArrayBuffer(sizeIn(bytes))] as const],
    ),
  );
  return new Map(
    g.weights.map(({ entry: { name, bytes, start, within }, param, pack }) => {
      const place = new Uint8Array(own.get(within?.weight ?? name)!, within?.offset ?? 0, sizeIn(bytes));
      if (start === 'file') place.set(pack(data.get(param)!));
      return [name, place] as const;
    }),
  );
}

/** One call of an entry, which changes the memory of what it updates. */
export function simulateCall(
  g: Generated,
  entry: Entry,
  weights: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  args: Pick<Arguments, 'arguments'>,
  which: Which,
  order?: 'forward' | 'reverse',
  cut = false,
): Simulated {
  const samples = samplesOf(entry, args);
  const slabs = entry.slabs.map((slab) => memory(slab.bytes * (slab.samples ? samples : 1)));
  const inputs = entry.inputs.map((spec) => {
    const buffer = memory(byteSize(spec, samples));
    new ARRAYS[spec.dtype](buffer).set(args.arguments.get(spec.name)!.data as ArrayLike<number>);
    return buffer;
  });
  const outputs = entry.outputs.map((spec) => memory(byteSize(spec, samples)));
  const updates = entry.updates.map((u) => (u.copied ? memory(weights.get(u.weight)!.byteLength) : undefined));
  const alone = (ref: Exclude<BufferRef, { kind: 'weight' }>): ArrayBuffer => {
    if (ref.kind === 'update') return updates[ref.index]!;
    if (ref.kind === 'arena') return slabs[ref.slab]!;
    return ref.kind === 'input' ? inputs[ref.index]! : outputs[ref.index]!;
  };
  const place = (ref: BufferRef): Uint8Array<ArrayBuffer> =>
    ref.kind === 'weight' ? weights.get(ref.name)! : new Uint8Array(alone(ref));
  const takeEffect = (done: number): void => {
    for (const [i, { weight, after = entry.dispatches.length }] of entry.updates.entries()) {
      if (!updates[i] || after !== done) continue;
      const { within, shape, bytes } = g.weights.find((w) => w.entry.name === weight)!.entry;
      weights.get(weight)!.set(new Uint8Array(updates[i], 0, within ? 4 * sizeOf(shape) : bytes));
    }
  };
  const faults: (Fault & { kernel: string })[] = [];
  const stats: Stats = { loads: 0, stores: 0, sharedLoads: 0, sharedStores: 0, operations: 0 };
  for (const [done, d] of entry.dispatches.entries()) {
    takeEffect(done);
    const { file, at } = variantOf(g, d, which);
    const bindings = d.bindings.map((ref) => refAt(entry, ref, samples));
    const lowered = boundAs(kernelAt(g.variants.get(file)!.lowered, samples), bindings);
    const buffers = lowered.windows.map((w, i) => {
      const ref = bindings[i]!;
      return { data: windowOf(w, place(ref), ref) };
    });
    const results = cut ? [] : written(lowered);
    const run = simulate(lowered, buffers, workgroupsAt(d.workgroups[at]!, samples), {
      results,
      ...(order ? { order } : {}),
    });
    for (const fault of run.faults) faults.push({ ...fault, kernel: file });
    for (const key of Object.keys(stats) as (keyof Stats)[]) stats[key] += run.stats[key];
  }
  takeEffect(entry.dispatches.length);
  const results = entry.outputs.map((spec, i) => {
    const shape = shapeOf(spec, samples);
    return tensor(shape, new ARRAYS[spec.dtype](outputs[i]!, 0, sizeOf(shape)), spec.dtype);
  });
  return { results, faults, stats };
}

/** Names of the windows that a kernel writes to. */
function written({ main, functions, windows }: LoweredKernel): string[] {
  const names = new Set<string>();
  for (const body of [main, ...functions.map((f) => f.body)]) {
    eachStmt(body, (s) => {
      if (s.kind === 'write') names.add(s.buffer);
    });
  }
  return windows.map((w) => w.name).filter((name) => names.has(name));
}

/** Where a reference lies for a number of samples. */
function refAt(entry: Entry, ref: BufferRef, samples: number): BufferRef {
  const times = holdsSamples(entry, ref) ? samples : 1;
  return { ...ref, offset: ref.offset * times, bytes: ref.bytes * times };
}

function variantOf(g: Generated, d: Dispatch, which: Which): { file: string; at: number } {
  const { variants } = g.program.kernels[d.kernel]!;
  const own = variants.findIndex((v) => (typeof which === 'number' ? v.requires.subgroupSize : v.name) === which);
  const at = own >= 0 ? own : variants.length - 1;
  return { file: variants[at]!.file, at };
}

/** Dispatches that share a kernel's text may bind more or less of a tensor. */
function boundAs(kernel: LoweredKernel, bindings: readonly BufferRef[]): LoweredKernel {
  const windows = kernel.windows.map((w, i) => {
    const elements = (bindings[i]!.bytes / 4 / w.item.lanes) * w.elements;
    const { open } = kernel.buffers.find((b) => b.name === w.buffer)!;
    return { ...w, count: open ? elements : Math.min(w.count, elements) };
  });
  return { ...kernel, windows };
}

/** The bound part of a buffer, as the kernel declares it, with what pads it. */
function windowOf(w: BoundWindow, place: Uint8Array<ArrayBuffer>, ref: BufferRef) {
  return new ARRAYS[w.item.scalar](
    place.buffer,
    place.byteOffset + ref.offset,
    Math.ceil(w.count / w.elements) * w.item.lanes,
  );
}

/** What the verifier cannot prove of the kernels of a program for so many samples, each in every variant. */
export function unproved(g: Generated, samples: number): string[] {
  const seen = new Set<string>();
  const found: string[] = [];
  for (const d of g.program.entries.flatMap((e) => e.dispatches)) {
    g.program.kernels[d.kernel]!.variants.forEach(({ file }, i) => {
      if (seen.has(file)) return;
      seen.add(file);
      const workgroups = workgroupsAt(d.workgroups[i]!, samples);
      for (const p of verifyKernel(kernelAt(g.variants.get(file)!.program, samples), { workgroups }))
        found.push(`${p.rule}: ${file}: ${p.what} (${p.where})`);
    });
  }
  return found;
}

/**
 * Compiles results, verifies them, runs them by the portable variants and by those for every subgroup size, and compares each with the interpreter: the same
 * numbers, and nothing that WGSL leaves undefined.
 * @param proved Which problems of the verifier count. Default: all
 * @param expected Instead of what the interpreter gives
 */
export function expectRight(
  m: Model,
  results: readonly Value[],
  {
    tolerance,
    proved = /./,
    expected: given,
    ...options
  }: Partial<GenerateOptions> & {
    readonly tolerance: number;
    readonly proved?: RegExp;
    readonly expected?: readonly Tensor[];
  },
): Generated {
  const module = m.module(...results);
  const g = compiled(module, { samples: m.samples, ...options });
  expect(unproved(g, samplesOf(g.program.entries[0]!, m)).filter((p) => proved.test(p))).toEqual([]);
  const expected = given ?? m.expected(module);
  for (const by of ['portable', 'tile', ...SUBGROUP_SIZES] as const) {
    const run = simulateProgram(g, m, by, by === 'portable' ? 'reverse' : 'forward', options.limits !== undefined);
    expect(
      run.faults.map((f) => `${f.kernel}: ${f.what}`),
      String(by),
    ).toEqual([]);
    for (const [i, d] of differences(module, m, run.results, expected).entries())
      expect(d, `${results[i]!.op}, ${by}: result ${i} differs by ${d}`).toBeLessThan(tolerance);
  }
  return g;
}
