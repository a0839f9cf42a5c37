/** The program's buffers: one for each weight, the arena's slabs, and each entry's inputs, outputs and read-back. */
import { wholeWords } from './bytes.js';
import { byteSize, roundUp } from './check.js';
import { guarded } from './device.js';
import { ProgramFileError } from './errors.js';
import type { ProgramFiles } from './files.js';
import type { BufferRef, Program } from './program.js';
import { readSafetensors } from './safetensors.js';

export interface EntryBuffers {
  readonly inputs: readonly GPUBuffer[];
  readonly outputs: readonly GPUBuffer[];
  /** A buffer for each output that can be mapped: together they could be more than one holds. */
  readonly readback: readonly GPUBuffer[];
}

export interface Memory {
  readonly weights: ReadonlyMap<string, GPUBuffer>;
  readonly slabs: readonly GPUBuffer[];
  readonly entries: readonly EntryBuffers[];
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

/** Makes all buffers and uploads the weights. Throws ProgramFileError (ESP0707) for weight files that do not fit the program. */
export async function allocate(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  onProgress?: (progress: Progress) => void,
): Promise<Memory> {
  const all: GPUBuffer[] = [];
  const destroy = () => {
    for (const b of all.splice(0)) b.destroy();
  };
  try {
    const made = await guarded(device, "while making the program's buffers", () => makeBuffers(device, program, all));
    await uploadWeights(device, program, files, made.weights, onProgress);
    return { ...made, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

function makeBuffers(device: GPUDevice, program: Program, all: GPUBuffer[]): Omit<Memory, 'destroy'> {
  const buffer = (label: string, bytes: number, usage: number): GPUBuffer => {
    const made = device.createBuffer({ label, size: roundUp(bytes), usage });
    all.push(made);
    return made;
  };
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  const weights = new Map(program.weights.map((w) => [w.name, buffer(w.name, w.bytes, STORAGE | COPY_DST)]));
  // One entry runs at a time, so all of them share the slabs.
  const slabCount = Math.max(0, ...program.entries.map((e) => e.slabs.length));
  const slabs = Array.from({ length: slabCount }, (_, i) =>
    buffer(`slab ${i}`, Math.max(...program.entries.map((e) => e.slabs[i] ?? 0)), STORAGE),
  );
  const entries = program.entries.map(
    ({ inputs, outputs }): EntryBuffers => ({
      inputs: inputs.map((t) => buffer(t.name, byteSize(t), STORAGE | COPY_DST)),
      outputs: outputs.map((t) => buffer(t.name, byteSize(t), STORAGE | COPY_SRC)),
      readback: outputs.map((t) => buffer(`${t.name}, read back`, byteSize(t), MAP_READ | COPY_DST)),
    }),
  );
  return { weights, slabs, entries };
}

async function uploadWeights(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  buffers: ReadonlyMap<string, GPUBuffer>,
  onProgress?: (progress: Progress) => void,
): Promise<void> {
  const wanted = new Map(program.weights.map((w) => [w.name, w]));
  const total = program.weights.reduce((sum, w) => sum + w.bytes, 0);
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

/** The buffer that a reference points into. */
export function resolve(memory: Memory, entry: number, ref: BufferRef): GPUBuffer {
  const io = memory.entries[entry]!;
  if (ref.kind === 'weight') return memory.weights.get(ref.name)!;
  if (ref.kind === 'arena') return memory.slabs[ref.slab]!;
  return ref.kind === 'input' ? io.inputs[ref.index]! : io.outputs[ref.index]!;
}
