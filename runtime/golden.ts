/** A program's golden input and output, and how far an output is from what it has to be. */
import { ProgramFileError } from './errors.js';
import type { ProgramFiles } from './files.js';
import type { Golden } from './program.js';
import { readSafetensors } from './safetensors.js';

export const GOLDEN_FILE = 'golden.safetensors';

export interface GoldenTensors {
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Float32Array[];
}

/** Throws ProgramFileError (ESP0707) if the file is missing, damaged, or lacks a tensor. */
export async function readGolden(golden: Golden, files: ProgramFiles): Promise<GoldenTensors> {
  const file = await files.open(GOLDEN_FILE);
  try {
    const tensors = await readSafetensors(GOLDEN_FILE, file);
    const read = async (name: string): Promise<Uint8Array> => {
      const place = tensors.get(name);
      if (!place) throw new ProgramFileError(GOLDEN_FILE, `lacks \`${name}\``);
      return file.read(place.start, place.end);
    };
    const outputs: Float32Array[] = [];
    for (const name of golden.outputs) {
      if (tensors.get(name)?.dtype !== 'F32')
        throw new ProgramFileError(GOLDEN_FILE, `\`${name}\` is not there as F32`);
      outputs.push(new Float32Array((await read(name)).slice().buffer));
    }
    const inputs: Uint8Array[] = [];
    for (const name of golden.inputs) inputs.push(await read(name));
    return { inputs, outputs };
  } finally {
    await file.close?.();
  }
}

/** Largest |difference| over the largest |expected|; NaN if anything is not a number, or the lengths differ. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (!Number.isFinite(d)) return Number.NaN;
    if (d > difference) difference = d;
    if (Math.abs(expected[i]!) > largest) largest = Math.abs(expected[i]!);
  }
  // All expected values zero: the difference itself is the error.
  return difference / (largest || 1);
}
