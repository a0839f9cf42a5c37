/** A program's buffers: its weights, and what a pass takes, by its samples: the arena's slabs, inputs, outputs and read-back. */
import { wholeWords } from './bytes.js';
import { guarded } from './device.js';
import { ProgramFileError } from './errors.js';
import { BYTES, byteSize, elements, roundUp } from './program/check.js';
import type { ProgramFiles } from './program/files.js';
import { type BufferRef, type Entry, holdsSamples, type Program, type WeightEntry } from './program/program.js';
import { readSafetensors } from './program/safetensors.js';

/** Where a weight or state lies. */
export interface WeightPlace {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  /** Bytes, a multiple of 16. */
  readonly size: number;
  /** Bytes of its elements alone, where it lies in another, in which what pads it is 0. */
  readonly elements: number;
}

/** A program's weights and states, for as long as it is loaded. */
export interface Weights {
  readonly places: ReadonlyMap<string, WeightPlace>;
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

/** Makes a buffer for each weight and state that does not lie in another, and uploads what files hold of them; the rest is 0. Throws ProgramFileError (ESP0707) for weight files that do not fit the program. */
export async function loadWeights(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  onProgress?: (progress: Progress) => void,
): Promise<Weights> {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const weights = await guarded(device, "while making the program's buffers", () =>
    inOne(device, (buffer) => {
      const own = new Map(
        program.weights.flatMap(({ name, bytes, within }) =>
          within ? [] : [[name, buffer(name, bytes, STORAGE | COPY_DST | COPY_SRC)] as const],
        ),
      );
      const placeOf = ({ name, bytes, within, shape, dtype }: WeightEntry): WeightPlace => ({
        buffer: own.get(within?.weight ?? name)!,
        offset: within?.offset ?? 0,
        size: roundUp(bytes),
        elements: within ? elements(shape) * BYTES[dtype] : roundUp(bytes),
      });
      return { places: new Map(program.weights.map((w) => [w.name, placeOf(w)])) };
    }),
  );
  try {
    await uploadWeights(device, program, files, weights, onProgress);
    return weights;
  } catch (error) {
    weights.destroy();
    throw error;
  }
}

/** @param slabs Stay the caller's. Throws OutOfMemoryError (ESP0704). */
export function passBuffers(
  device: GPUDevice,
  { inputs, outputs, updates }: Entry,
  samples: number,
  weights: Pick<Weights, 'places'>,
  slabs: readonly GPUBuffer[],
): Promise<PassBuffers> {
  const { STORAGE, UNIFORM, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  return guarded(device, `while making room for passes of ${samples}`, () =>
    inOne(device, (buffer) => ({
      samples,
      slabs,
      inputs: inputs.map((t) => buffer(t.name, byteSize(t, samples), STORAGE | COPY_DST)),
      outputs: outputs.map((t) => buffer(t.name, byteSize(t, samples), STORAGE | COPY_SRC)),
      updates: updates.map(({ weight, copied }) =>
        copied ? buffer(`${weight}, updated`, weights.places.get(weight)!.size, STORAGE | COPY_SRC) : undefined,
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
  { places }: Pick<Weights, 'places'>,
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
        const target = places.get(key)!;
        for (let at = start; at < end; at += PIECE) {
          const piece = await file.read(at, Math.min(end, at + PIECE));
          device.queue.writeBuffer(target.buffer, target.offset + at - start, wholeWords(piece));
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
  const whole = ref.kind === 'weight' ? weights.places.get(ref.name)! : alone(bufferOf(pass, ref));
  const { buffer } = whole;
  const offset = ref.offset * times;
  // Buffers are multiples of 16 bytes, and so is what lies in a slab.
  const size = Math.min(Math.ceil((ref.bytes * times) / 4) * 4, whole.size - offset);
  return { buffer, offset: whole.offset + offset, size };
}

const alone = (buffer: GPUBuffer): Omit<WeightPlace, 'elements'> => ({ buffer, offset: 0, size: buffer.size });

function bufferOf(pass: PassBuffers, ref: Exclude<BufferRef, { kind: 'weight' }>): GPUBuffer {
  if (ref.kind === 'arena') return pass.slabs[ref.slab]!;
  if (ref.kind === 'update') return pass.updates[ref.index]!;
  return ref.kind === 'input' ? pass.inputs[ref.index]! : pass.outputs[ref.index]!;
}
