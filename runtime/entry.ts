/** One entry of a program with memory for a number of samples: its bind groups, made once, and the commands of a call. */

import type { CompiledKernel, Layouts } from './kernels.js';
import { type PassBuffers, resolve, type Weights } from './memory.js';
import { byteSize } from './program/check.js';
import { workgroupsAt } from './program/grid.js';
import type { Entry, Program, Workgroups } from './program/program.js';

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: Workgroups;
}

/** What one dispatch took; `microseconds` by the GPU's own clock. */
export interface Timing {
  readonly label: string;
  readonly kernel: string;
  readonly variant: string;
  readonly microseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Timestamps in one query set, WebGPU's maximum; a dispatch takes two. */
const QUERIES = 4096;

export class RunnableEntry {
  readonly entry: Entry;
  readonly buffers: PassBuffers;
  private readonly program: Program;
  private readonly kernels: readonly CompiledKernel[];
  private readonly steps: readonly Step[];
  /** Dispatches up to `end`, from where the stage before ended, and the updates that are copied then. */
  private readonly stages: readonly { readonly end: number; readonly updates: readonly number[] }[];
  private readonly run: GPUBindGroup;
  private readonly queue: GPUQueue;
  private readonly weights: Weights;
  private clock: { sets: GPUQuerySet[]; resolved: GPUBuffer; readable: GPUBuffer } | undefined;

  constructor(
    device: GPUDevice,
    program: Program,
    entry: Entry,
    kernels: readonly CompiledKernel[],
    memory: { readonly weights: Weights; readonly buffers: PassBuffers },
    layouts: Layouts,
    timings: boolean,
  ) {
    this.entry = entry;
    this.buffers = memory.buffers;
    this.weights = memory.weights;
    this.program = program;
    this.kernels = kernels;
    this.queue = device.queue;
    this.run = device.createBindGroup({
      layout: layouts.run,
      entries: [{ binding: 0, resource: { buffer: memory.buffers.run } }],
    });
    this.steps = entry.dispatches.map(({ kernel, bindings, workgroups }) => {
      const { pipeline, variant } = kernels[kernel]!;
      const group = device.createBindGroup({
        layout: layouts.of(program.kernels[kernel]!.bindings).group,
        entries: bindings.map((ref, binding) => ({
          binding,
          resource: resolve(entry, memory.weights, memory.buffers, ref),
        })),
      });
      return { pipeline, group, workgroups: workgroups[variant]! };
    });
    const ends = entry.updates.map((u) => u.after ?? this.steps.length);
    this.stages = [...new Set([...ends, this.steps.length])]
      .sort((a, b) => a - b)
      .map((end) => ({ end, updates: ends.flatMap((at, i) => (at === end ? [i] : [])) }));
    if (timings && device.features.has('timestamp-query')) this.clock = makeClock(device, this.steps.length);
  }

  /** Records a call with some samples, what it does to states, and the copies to the read-back buffers. It is to be submitted before another is recorded. */
  encode(encoder: GPUCommandEncoder, samples: number): void {
    this.queue.writeBuffer(this.buffers.run, 0, new Uint32Array([samples]));
    const { outputs, readback, updates } = this.buffers;
    let begin = 0;
    for (const stage of this.stages) {
      if (this.clock) this.encodeTimed(encoder, this.clock, samples, begin, stage.end);
      else {
        const pass = encoder.beginComputePass();
        pass.setBindGroup(1, this.run);
        for (const step of this.steps.slice(begin, stage.end)) dispatch(pass, step, samples);
        pass.end();
      }
      for (const i of stage.updates) {
        const from = updates[i];
        if (!from) continue;
        const { buffer, offset, elements } = this.weights.places.get(this.entry.updates[i]!.weight)!;
        encoder.copyBufferToBuffer(from, 0, buffer, offset, elements);
      }
      begin = stage.end;
    }
    if (this.clock) this.encodeClock(encoder, this.clock);
    this.entry.outputs.forEach((t, i) => {
      encoder.copyBufferToBuffer(outputs[i]!, 0, readback[i]!, 0, byteSize(t, samples));
    });
  }

  /** Waits for the submitted pass and copies its outputs out, as raw bytes in the order of the entry's outputs. */
  async read(samples: number): Promise<ArrayBuffer[]> {
    const { readback } = this.buffers;
    await Promise.all(readback.map((buffer) => buffer.mapAsync(GPUMapMode.READ)));
    return this.entry.outputs.map((t, i) => {
      const bytes = readback[i]!.getMappedRange(0, byteSize(t, samples)).slice(0);
      readback[i]!.unmap();
      return bytes;
    });
  }

  /** Times of the pass that was read last; undefined without a clock. */
  async readTimings(samples: number): Promise<Timing[] | undefined> {
    if (!this.clock) return undefined;
    await this.clock.readable.mapAsync(GPUMapMode.READ);
    const ticks = new BigUint64Array(this.clock.readable.getMappedRange().slice(0));
    this.clock.readable.unmap();
    return this.entry.dispatches.map(({ label, kernel, flops, bytes }, i) => ({
      label,
      kernel: this.program.kernels[kernel]!.name,
      variant: this.program.kernels[kernel]!.variants[this.kernels[kernel]!.variant]!.name,
      microseconds: Number(ticks[2 * i + 1]! - ticks[2 * i]!) / 1000,
      flops: flops * samples,
      bytes: bytes * samples,
    }));
  }

  /** Frees its memory too. */
  destroy(): void {
    this.buffers.destroy();
    for (const set of this.clock?.sets ?? []) set.destroy();
    this.clock?.resolved.destroy();
    this.clock?.readable.destroy();
    this.clock = undefined;
  }

  /** A timestamp can only be written at a pass's edge, so each dispatch gets a pass of its own. */
  private encodeTimed(
    encoder: GPUCommandEncoder,
    clock: NonNullable<typeof this.clock>,
    samples: number,
    begin: number,
    end: number,
  ): void {
    for (let i = begin; i < end; i++) {
      const at = (2 * i) % QUERIES;
      const querySet = clock.sets[Math.floor((2 * i) / QUERIES)]!;
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
      });
      pass.setBindGroup(1, this.run);
      dispatch(pass, this.steps[i]!, samples);
      pass.end();
    }
  }

  private encodeClock(encoder: GPUCommandEncoder, clock: NonNullable<typeof this.clock>): void {
    clock.sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, set.count, clock.resolved, i * QUERIES * 8);
    });
    encoder.copyBufferToBuffer(clock.resolved, 0, clock.readable, 0, clock.readable.size);
  }
}

function dispatch(pass: GPUComputePassEncoder, { pipeline, group, workgroups }: Step, samples: number): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...workgroupsAt(workgroups, samples));
}

function makeClock(
  device: GPUDevice,
  steps: number,
): { sets: GPUQuerySet[]; resolved: GPUBuffer; readable: GPUBuffer } {
  const sets: GPUQuerySet[] = [];
  for (let left = 2 * steps; left > 0; left -= QUERIES) {
    sets.push(device.createQuerySet({ type: 'timestamp', count: Math.min(left, QUERIES) }));
  }
  const size = Math.max(16, 16 * steps);
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  return {
    sets,
    resolved: device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC }),
    readable: device.createBuffer({ size, usage: COPY_DST | MAP_READ }),
  };
}
