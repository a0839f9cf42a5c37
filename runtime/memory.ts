/** A program's buffers: its weights, and what a pass takes, by its samples: the arena's slabs, inputs, outputs and read-back. */
import { wholeWords } from './bytes.js';
import { guarded } from './device.js';
import { ProgramFileError } from './errors.js';
import { byteSize, roundUp } from './program/check.js';
import type { ProgramFiles } from './program/files.js';
import { type BufferRef, type Entry, holdsSamples, type Program } from './program/program.js';
import { readSafetensors } from './program/safetensors.js';

/** A program's weights and states, for as long as it is loaded. */
export interface Weights {
  readonly buffers: ReadonlyMap<string, GPUBuffer>;
  destroy(): void;
}

/** What passes of up to `samples` samples take. */
export interface PassBuffers {
  readonly samples: number;
  readonly slabs: readonly GPUBuffer[];
  readonly inputs: readonly GPUBuffer[];
  readonly outputs: readonly GPUBuffer[];
  /** What states become that are not written in place, in the order of the entry's updates. */
  readonly updates: readonly (GPUBuffer | undefined)[];
  /** A buffer for each output that can be mapped: together they could be more than one holds. */
  readonly readback: readonly GPUBuffer[];
  /** How many samples a pass has, which every kernel can ask for. */
  readonly run: GPUBuffer;
  destroy(): void;
}

export interface Progress {
  readonly loaded: number;
  readonly total: number;
}

/** Bytes read from a file and handed to the queue at a time. */
const PIECE = 8 << 20;
/** The queue keeps a copy of what it has not yet written; it is waited for after this many bytes. */
const IN_FLIGHT = 64 << 20;

/** Makes buffers, all of which are destroyed together, also where one cannot be made. */
function inOne<T>(
  device: GPUDevice,
  make: (buffer: (label: string, bytes: number, usage: number) => GPUBuffer) => T,
): T & { destroy(): void } {
  const all: GPUBuffer[] = [];
  const destroy = () => {
    for (const b of all.splice(0)) b.destroy();
  };
  try {
    const made = make((label, bytes, usage) => {
      const buffer = device.createBuffer({ label, size: roundUp(bytes), usage });
      all.push(buffer);
      return buffer;
    });
    return { ...made, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** Makes a buffer for each weight and state and uploads what files hold of them; the rest is 0. Throws ProgramFileError (ESP0707) for weight files that do not fit the program. */
export async function loadWeights(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  onProgress?: (progress: Progress) => void,
): Promise<Weights> {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const weights = await guarded(device, "while making the program's buffers", () =>
    inOne(device, (buffer) => ({
      buffers: new Map(program.weights.map((w) => [w.name, buffer(w.name, w.bytes, STORAGE | COPY_DST | COPY_SRC)])),
    })),
  );
  try {
    await uploadWeights(device, program, files, weights.buffers, onProgress);
    return weights;
  } catch (error) {
    weights.destroy();
    throw error;
  }
}

/** Throws OutOfMemoryError (ESP0704). */
export function passBuffers(
  device: GPUDevice,
  { slabs, inputs, outputs, updates }: Entry,
  samples: number,
  weights: Pick<Weights, 'buffers'>,
): Promise<PassBuffers> {
  const { STORAGE, UNIFORM, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  return guarded(device, `while making room for passes of ${samples}`, () =>
    inOne(device, (buffer) => ({
      samples,
      slabs: slabs.map((x, i) => buffer(`slab ${i}`, x.samples ? x.bytes * samples : x.bytes, STORAGE)),
      inputs: inputs.map((t) => buffer(t.name, byteSize(t, samples), STORAGE | COPY_DST)),
      outputs: outputs.map((t) => buffer(t.name, byteSize(t, samples), STORAGE | COPY_SRC)),
      updates: updates.map(({ weight, copied }) =>
        copied ? buffer(`${weight}, updated`, weights.buffers.get(weight)!.size, STORAGE | COPY_SRC) : undefined,
      ),
      readback: outputs.map((t) => buffer(`${t.name}, read back`, byteSize(t, samples), MAP_READ | COPY_DST)),
      run: buffer('samples', 4, UNIFORM | COPY_DST),
    })),
  );
}

async function uploadWeights(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  buffers: ReadonlyMap<string, GPUBuffer>,
  onProgress?: (progress: Progress) => void,
): Promise<void> {
  const wanted = new Map(program.weights.flatMap((w) => (w.start === 'file' ? [[w.name, w] as const] : [])));
  const total = [...wanted.values()].reduce((sum, w) => sum + w.bytes, 0);
  let loaded = 0;
  let inFlight = 0;
  for (const name of program.weightFiles) {
    const file = await files.open(name);
    try {
      for (const [key, { start, end }] of await readSafetensors(name, file)) {
        const weight = wanted.get(key);
        if (!weight) continue;
        wanted.delete(key);
        if (end - start > weight.bytes || end - start <= weight.bytes - 4) {
          throw new ProgramFileError(name, `\`${key}\` has ${end - start} bytes, program.json says ${weight.bytes}`);
        }
        const target = buffers.get(key)!;
        for (let at = start; at < end; at += PIECE) {
          const piece = await file.read(at, Math.min(end, at + PIECE));
          device.queue.writeBuffer(target, at - start, wholeWords(piece));
          inFlight += piece.length;
          loaded += piece.length;
          if (inFlight >= IN_FLIGHT) {
            await device.queue.onSubmittedWorkDone();
            inFlight = 0;
            onProgress?.({ loaded, total });
          }
        }
      }
    } finally {
      await file.close?.();
    }
  }
  const missing = [...wanted.keys()];
  if (missing.length > 0) {
    const shown = missing.slice(0, 5).join(', ') + (missing.length > 5 ? `, and ${missing.length - 5} more` : '');
    throw new ProgramFileError(program.weightFiles.join(', ') || 'weights', `lacks ${shown}`);
  }
  onProgress?.({ loaded: total, total });
}

/** The part of a buffer that a reference names. */
export function resolve(entry: Entry, weights: Weights, pass: PassBuffers, ref: BufferRef): GPUBufferBinding {
  const times = holdsSamples(entry, ref) ? pass.samples : 1;
  const buffer = bufferOf(weights, pass, ref);
  const offset = ref.offset * times;
  // Buffers are multiples of 16 bytes, and so is what lies in a slab.
  return { buffer, offset, size: Math.min(Math.ceil((ref.bytes * times) / 4) * 4, buffer.size - offset) };
}

function bufferOf(weights: Weights, pass: PassBuffers, ref: BufferRef): GPUBuffer {
  if (ref.kind === 'weight') return weights.buffers.get(ref.name)!;
  if (ref.kind === 'arena') return pass.slabs[ref.slab]!;
  if (ref.kind === 'update') return pass.updates[ref.index]!;
  return ref.kind === 'input' ? pass.inputs[ref.index]! : pass.outputs[ref.index]!;
}
