/** Tensors of a loaded program that a caller may look at and replace: states, and parameters that others are prepared from. */
import { copied, kindOf } from './bytes.js';
import { InputError } from './errors.js';
import { BYTES, elements } from './program/check.js';
import { entryNamed, PREPARE, type Program, type WeightEntry } from './program/program.js';
import { readSafetensors } from './program/safetensors.js';
import { type TensorData, tensorBytes } from './tensors.js';

/** Whole tensors by parameter, or the bytes of a safetensors file of them. */
export type Parameters = Readonly<Record<string, TensorData>> | Uint8Array;

/**
 * The one tensor that holds a parameter as it is, row by row, where nothing reads another copy that is not prepared from it.
 * Throws InputError (ESP0708) for a parameter that is not there or fixed.
 */
export function openParameter(program: Program, name: string): WeightEntry {
  const held = program.weights.filter((w) => w.parameter === name);
  if (held.length === 0) throw new InputError(`the program has no parameter \`${name}\``);
  const plain = held.find((w) => w.start !== 'prepare' && w.layout === 'rows');
  const prepared = entryNamed(program, PREPARE) !== undefined;
  const names = [plain?.name, plain?.within?.weight];
  const changes = program.entries.some((e) => e.updates.some((u) => names.includes(u.weight)));
  if (plain && (prepared || changes) && held.every((w) => w === plain || w.start === 'prepare')) return plain;
  throw new InputError(`\`${name}\` is fixed in this program`, 'compile it with `prepare = load`');
}

/** A weight that files hold, by its name. Throws InputError (ESP0708) where there is none, or it has another number of bytes. */
export function fileWeight(program: Program, name: string, bytes: Uint8Array): WeightEntry {
  const weight = program.weights.find((w) => w.name === name);
  if (weight?.start !== 'file') throw new InputError(`the program has no weight \`${name}\` that a file holds`);
  if (weight.bytes !== bytes.length) throw new InputError(`\`${name}\` has ${weight.bytes} bytes, not ${bytes.length}`);
  return weight;
}

/** What is to be written where, on copies. Throws InputError (ESP0708), and ProgramFileError (ESP0707) for a file that is none. */
export async function replacements(
  program: Program,
  given: Parameters,
): Promise<{ readonly weight: WeightEntry; readonly bytes: Uint8Array }[]> {
  const tensors =
    kindOf(given) === 'Uint8Array'
      ? await tensorsIn(given as Uint8Array)
      : Object.entries(given as Exclude<Parameters, Uint8Array>);
  return tensors.map(([name, data]) => {
    const weight = openParameter(program, name);
    const bytes = tensorBytes({ name, dtype: weight.dtype }, data);
    const count = bytes.length / BYTES[weight.dtype];
    const wanted = elements(weight.shape);
    if (count !== wanted) throw new InputError(`\`${name}\` has ${count} elements, not ${wanted} ([${weight.shape}])`);
    return { weight, bytes };
  });
}

async function tensorsIn(bytes: Uint8Array): Promise<[name: string, data: Float32Array][]> {
  const whole = copied(bytes);
  const read = async (from: number, to: number) => whole.subarray(from, to);
  const found = await readSafetensors('the file of parameters', { size: whole.length, read });
  return [...found].map(([name, { dtype, start, end }]) => {
    if (dtype !== 'F32' || (end - start) % 4 !== 0) throw new InputError(`\`${name}\` is ${dtype}`, 'give F32');
    return [name, new Float32Array(whole.slice(start, end).buffer)];
  });
}
