/**
 * Checks that a `program.json` is one: its form by the schema, then that all its references hold, so that nothing later meets an index out of
 * range.
 */
import * as v from 'valibot';
import { ProgramFileError } from '../errors.js';
import {
  type BufferRef,
  type Dispatch,
  type Entry,
  type Golden,
  type Kernel,
  PROGRAM,
  type Program,
  type StorageType,
  type TensorSpec,
  type Unsealed,
  VERSION,
} from './program.js';

export const FILE = 'program.json';
export const GOLDEN_FILE = 'golden.safetensors';
export const BYTES: Readonly<Record<StorageType, number>> = { f32: 4, f16: 2, i32: 4, u32: 4 };

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Bytes of a tensor of so many samples: WebGPU copies multiples of 4. */
export const byteSize = ({ dtype, shape }: TensorSpec, samples: number): number =>
  Math.ceil((elements(shape) * samples * BYTES[dtype]) / 4) * 4;

/** Buffers are multiples of 16 bytes, so that each can be bound as an array of vectors of four. */
export function roundUp(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

const bad = (why: string, cause?: unknown) => new ProgramFileError(FILE, why, cause);

/** Throws ProgramFileError (ESP0707) that names what is wrong. */
export function parseProgram(text: string): Program {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad('is not JSON', error);
  }
  return checkProgram(json);
}

/** A copy of what was given, which nobody else holds. Throws ProgramFileError (ESP0707) that names what is wrong. */
export function checkProgram(json: unknown): Program {
  const { format, version } = (json ?? {}) as { format?: unknown; version?: unknown };
  if (format !== 'espalier.program') throw bad('is not an Espalier program');
  if (version !== VERSION) {
    const said =
      typeof version === 'number' || typeof version === 'string' ? `version ${version}` : 'no version number';
    throw bad(`has ${said}; this runtime reads version ${VERSION}`);
  }
  const parsed = v.safeParse(PROGRAM, json, { abortEarly: true });
  if (!parsed.success) throw bad(problemOf(parsed.issues[0]));
  const program: Program = parsed.output;

  unique('the weight', program.weights);
  unique('the file', program.files);
  if (program.entries.length > 1) throw bad('has several entries, of which this runtime would run one');
  const listed = new Set(program.files.map((f) => f.name));
  const unlisted = filesReadBy(program).find((file) => !listed.has(file));
  if (unlisted !== undefined) throw bad(`names a file \`${unlisted}\` that its list of files lacks`);
  if (new Set(program.weightFiles).size < program.weightFiles.length) throw bad('names a file of weights twice');
  for (const { name, variants } of program.kernels) {
    if (Object.keys(variants.at(-1)!.requires).length > 0) throw bad(`kernel \`${name}\` has no portable variant`);
  }
  const weights = new Map(program.weights.map((w) => [w.name, w.bytes]));
  for (const entry of program.entries) checkEntry(program, entry, weights);
  if (program.golden) checkGolden(program.golden, program.entries[0]!);
  return program;
}

/** Names of all files that a session may come to read. */
export function filesReadBy({ kernels, weightFiles, golden }: Unsealed): string[] {
  const texts = new Set(kernels.flatMap((k) => k.variants.map((variant) => variant.file)));
  return [...texts, ...weightFiles, ...(golden ? [GOLDEN_FILE] : [])];
}

/** One issue of the schema in words: `at entries.0.samples: expected >=1, found 0`. */
function problemOf(issue: v.InferIssue<typeof PROGRAM>): string {
  const { expected, received, message } = issue;
  const found = received.length > 80 ? `${received.slice(0, 80)}...` : received;
  if (expected === 'never') return `is malformed: it has the unknown field \`${v.getDotPath(issue)}\``;
  return `is malformed at \`${v.getDotPath(issue)}\`: expected ${expected ?? message}, found ${found}`;
}

function unique(what: string, named: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of named) {
    if (seen.has(name)) throw bad(`names ${what} \`${name}\` twice`);
    seen.add(name);
  }
}

function checkGolden({ inputs, outputs }: Golden, entry: Entry): void {
  if (inputs.length !== entry.inputs.length || outputs.length !== entry.outputs.length) {
    throw bad('its golden input has other inputs or outputs than the entries');
  }
  unique(
    'golden tensor',
    [...inputs, ...outputs].map((name) => ({ name })),
  );
}

function checkEntry(program: Program, entry: Entry, weights: ReadonlyMap<string, number>): void {
  const wrong = (why: string) => bad(`entry \`${entry.name}\`: ${why}`);
  unique('the input', entry.inputs);
  unique('the output', entry.outputs);
  for (const tensor of [...entry.inputs, ...entry.outputs]) {
    if (!Number.isSafeInteger(byteSize(tensor, entry.samples)))
      throw wrong(`\`${tensor.name}\` is larger than anything`);
  }
  for (const [i, slab] of entry.slabs.entries()) {
    if (!Number.isSafeInteger(slab.bytes * entry.samples)) throw wrong(`slab ${i} is larger than anything`);
    // What lies in it for several samples begins where bindings can only if each sample's share does.
    if (slab.samples && slab.bytes % 256 !== 0)
      throw wrong(`slab ${i} has ${slab.bytes} bytes for each sample, no multiple of 256`);
  }
  const size = (ref: BufferRef): number | undefined => {
    if (ref.kind === 'weight') return weights.get(ref.name);
    if (ref.kind === 'arena') return entry.slabs[ref.slab]?.bytes;
    const tensor = (ref.kind === 'input' ? entry.inputs : entry.outputs)[ref.index];
    return tensor && byteSize(tensor, 1);
  };
  for (const [i, dispatch] of entry.dispatches.entries()) {
    const kernel = program.kernels[dispatch.kernel];
    const at = `dispatch ${i} (${dispatch.label})`;
    if (!kernel) throw wrong(`${at} names kernel ${dispatch.kernel} of ${program.kernels.length}`);
    const problem = misfit(kernel, dispatch, size);
    if (problem !== undefined) throw wrong(`${at} ${problem}`);
  }
}

/** What stands between a dispatch and its kernel. */
function misfit(
  kernel: Kernel,
  { bindings, workgroups }: Dispatch,
  size: (ref: BufferRef) => number | undefined,
): string | undefined {
  if (bindings.length !== kernel.bindings.length || workgroups.length !== kernel.variants.length) {
    return `does not fit kernel \`${kernel.name}\``;
  }
  for (const [i, ref] of bindings.entries()) {
    const whole = size(ref);
    if (whole === undefined) return `binds ${/^[aeiou]/.test(ref.kind) ? 'an' : 'a'} ${ref.kind} that is not there`;
    // A tensor's last bytes may be rounded up to what a binding needs; buffers are made that large.
    if (ref.offset + ref.bytes > roundUp(whole) || ref.offset % 256 !== 0) {
      return `binds bytes ${ref.offset}..${ref.offset + ref.bytes} of the ${whole} of its ${ref.kind}`;
    }
    if (ref.kind === 'weight' && kernel.bindings[i] !== 'read') return `writes to the weight \`${ref.name}\``;
  }
  return undefined;
}
