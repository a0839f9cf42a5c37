/** Checks that a `program.json` is one and that its references hold, so that nothing later meets an index out of range. */
import { ProgramFileError } from './errors.js';
import type { BufferRef, Entry, Golden, Program, StorageType, TensorSpec } from './program.js';

export const FILE = 'program.json';
export const BYTES: Readonly<Record<StorageType, number>> = { f32: 4, f16: 2, i32: 4, u32: 4 };

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Bytes of a tensor's buffer: WebGPU copies multiples of 4. */
export const byteSize = ({ dtype, shape }: TensorSpec): number => Math.ceil((elements(shape) * BYTES[dtype]) / 4) * 4;

export function parseProgram(text: string): Program {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ProgramFileError(FILE, 'is not JSON', error);
  }
  return checkProgram(json);
}

/** Throws ProgramFileError (ESP0707) that names what is wrong. */
export function checkProgram(json: unknown): Program {
  const bad = (why: string) => new ProgramFileError(FILE, why);
  const program = json as Program;
  if (program?.format !== 'espalier.program') throw bad('is not an Espalier program');
  if (program.version !== 2) {
    throw bad(`has version ${String(program.version)}; this runtime reads version 2`);
  }
  try {
    const weights = new Map(program.weights.map((w) => [w.name, w.bytes]));
    if (!sizes(weights.values())) throw bad('a weight has no size');
    for (const kernel of program.kernels) {
      const last = kernel.variants.at(-1);
      if (!last || Object.keys(last.requires).length > 0)
        throw bad(`kernel \`${kernel.name}\` has no portable variant`);
    }
    // A folder that came from elsewhere must not make the session read outside it.
    const files = [...program.weightFiles, ...program.kernels.flatMap((k) => k.variants.map((v) => v.file))];
    const outside = files.find((file) => !/^[\w@+-][\w.@+-]*(\/[\w@+-][\w.@+-]*)*$/.test(file));
    if (outside !== undefined) throw bad(`names a file \`${outside}\``);
    if (program.entries.length === 0) throw bad('has no entry');
    for (const entry of program.entries) checkEntry(program, entry, weights);
    if (new Set(program.entries.map(withoutBatch)).size > 1) throw bad('its entries differ in more than their batch');
    const { golden } = program;
    if (golden) checkGolden(golden, program.entries[0]!);
  } catch (error) {
    if (error instanceof ProgramFileError) throw error;
    throw new ProgramFileError(FILE, `is malformed: ${(error as Error).message}`, error);
  }
  return program;
}

/** What a row of each input and output is: sessions split what they are given over entries. */
function withoutBatch({ inputs, outputs }: Entry): string {
  return JSON.stringify([inputs, outputs].map((all) => all.map((t) => [t.name, t.dtype, t.shape.slice(1)])));
}

function checkGolden({ rows, inputs, outputs, tolerance }: Golden, entry: Entry): void {
  const bad = (why: string) => new ProgramFileError(FILE, `its golden input ${why}`);
  if (!sizes([rows]) || rows === 0) throw bad('has no rows');
  if (typeof tolerance !== 'number') throw bad('has no tolerance');
  if (inputs.length !== entry.inputs.length || outputs.length !== entry.outputs.length) {
    throw bad('has other inputs or outputs than the entries');
  }
}

function checkEntry(program: Program, entry: Entry, weights: ReadonlyMap<string, number>): void {
  const bad = (why: string) => new ProgramFileError(FILE, `entry \`${entry.name}\`: ${why}`);
  for (const tensor of [...entry.inputs, ...entry.outputs]) {
    if (!(tensor.dtype in BYTES) || !sizes(tensor.shape)) throw bad(`\`${tensor.name}\` has no type or shape`);
    if (tensor.shape[0] !== entry.batch) throw bad(`\`${tensor.name}\` does not begin with the batch, ${entry.batch}`);
  }
  if (!sizes(entry.slabs)) throw bad('a slab has no size');
  const size = (ref: BufferRef): number | undefined => {
    if (ref.kind === 'weight') return weights.get(ref.name);
    if (ref.kind === 'arena') return entry.slabs[ref.slab];
    const tensor = (ref.kind === 'input' ? entry.inputs : entry.outputs)[ref.index];
    return tensor && byteSize(tensor);
  };
  entry.dispatches.forEach((dispatch, i) => {
    const kernel = program.kernels[dispatch.kernel];
    const at = `dispatch ${i} (${dispatch.label})`;
    if (!kernel) throw bad(`${at} names kernel ${dispatch.kernel} of ${program.kernels.length}`);
    if (dispatch.bindings.length !== kernel.bindings.length || dispatch.workgroups.length !== kernel.variants.length) {
      throw bad(`${at} does not fit kernel \`${kernel.name}\``);
    }
    for (const ref of dispatch.bindings) {
      const whole = size(ref);
      // A tensor's last bytes may be rounded up to what a binding needs; buffers are made that large.
      const fits = whole !== undefined && sizes([ref.offset, ref.bytes]) && ref.offset + ref.bytes <= roundUp(whole);
      if (!fits || ref.offset % 256 !== 0) {
        throw bad(`${at} binds bytes ${ref.offset}..${ref.offset + ref.bytes} of a ${ref.kind} of ${whole ?? 0}`);
      }
    }
  });
}

function sizes(numbers: Iterable<unknown>): boolean {
  return [...numbers].every((n) => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0);
}

/** Buffers are multiples of 16 bytes, so that each can be bound as an array of vec4f. */
export function roundUp(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}
