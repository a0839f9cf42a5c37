/** A program's golden input and output, and how far an output is from what it has to be. */

import { ProgramFileError } from '../errors.js';
import { type TensorData, typedOutput } from '../tensors.js';
import { BYTES, countOf, GOLDEN_FILE } from './check.js';
import type { ProgramFiles } from './files.js';
import { entryNamed, INFER, type Program, type TensorSpec } from './program.js';
import { readSafetensors } from './safetensors.js';

/** Elements of every row, one tensor after another in the order of an entry's inputs and outputs. */
export interface GoldenTensors {
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly TensorData[];
}

/** Throws ProgramFileError (ESP0707) if the file is missing, damaged, or lacks a tensor or some of its rows. */
export async function readGolden(program: Program, files: ProgramFiles): Promise<GoldenTensors> {
  const { rows, inputs, outputs } = program.golden!;
  const entry = entryNamed(program, INFER)!;
  const file = await files.open(GOLDEN_FILE);
  try {
    const tensors = await readSafetensors(GOLDEN_FILE, file);
    const read = async (name: string, spec: TensorSpec): Promise<Uint8Array> => {
      const { dtype } = spec;
      const place = tensors.get(name);
      if (!place) throw new ProgramFileError(GOLDEN_FILE, `lacks \`${name}\``);
      const bytes = countOf(spec, rows) * BYTES[dtype];
      if (place.dtype !== dtype.toUpperCase() || place.end - place.start !== bytes) {
        throw new ProgramFileError(GOLDEN_FILE, `\`${name}\` is not ${bytes} bytes of ${dtype}`);
      }
      return file.read(place.start, place.end);
    };
    const ins = await inSteps(inputs, (name, i) => read(name, entry.inputs[i]!));
    const outs = await inSteps(outputs, async (name, i) => {
      const spec = entry.outputs[i]!;
      // Not `slice`: that of a Node Buffer copies nothing.
      const bytes = new Uint8Array(await read(name, spec)).buffer;
      return typedOutput(spec, bytes, rows);
    });
    return { inputs: ins, outputs: outs };
  } finally {
    await file.close?.();
  }
}

async function inSteps<T>(names: readonly string[], read: (name: string, at: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (const [i, name] of names.entries()) all.push(await read(name, i));
  return all;
}

/** Largest |difference| over the largest |expected|; NaN if anything is not a number. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < actual.length; i++) {
    const d = Math.abs(actual[i]! - expected[i % expected.length]!);
    if (!Number.isFinite(d)) return Number.NaN;
    if (d > difference) difference = d;
  }
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  // All expected values zero: the difference itself is the error.
  return difference / (largest || 1);
}
