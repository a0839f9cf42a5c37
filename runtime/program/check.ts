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
  entryNamed,
  type Golden,
  INFER,
  type Kernel,
  PREPARE,
  PROGRAM,
  type Program,
  type StorageType,
  type TensorSpec,
  type Unsealed,
  VERSION,
  type WeightEntry,
} from './program.js';

export const FILE = 'program.json';
export const GOLDEN_FILE = 'golden.safetensors';
export const BYTES: Readonly<Record<StorageType, number>> = { f32: 4, f16: 2, i32: 4, u32: 4 };

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
/** Bytes of a tensor of so many samples: WebGPU copies multiples of 4. */
export const byteSize = (spec: TensorSpec, samples: number): number =>
  Math.ceil((countOf(spec, samples) * BYTES[spec.dtype]) / 4) * 4;

/** Elements of a tensor in a call of so many samples. */
export const countOf = ({ shape, samples: each }: TensorSpec, samples: number): number =>
  elements(shape) * (each ? samples : 1);

/** The shape of a tensor in a call of so many samples. */
export const shapeOf = ({ shape, samples: each }: TensorSpec, samples: number): number[] =>
  shape.map((d, axis) => (each && axis === 0 ? d * samples : d));

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
  unique('the entry', program.entries);
  const listed = new Set(program.files.map((f) => f.name));
  const unlisted = filesReadBy(program).find((file) => !listed.has(file));
  if (unlisted !== undefined) throw bad(`names a file \`${unlisted}\` that its list of files lacks`);
  if (new Set(program.weightFiles).size < program.weightFiles.length) throw bad('names a file of weights twice');
  for (const { name, variants } of program.kernels) {
    if (Object.keys(variants.at(-1)!.requires).length > 0) throw bad(`kernel \`${name}\` has no portable variant`);
  }
  const weights = new Map(program.weights.map((w) => [w.name, w]));
  for (const weight of program.weights) checkWithin(weight, weights);
  for (const entry of program.entries) checkEntry(program, entry, weights);
  checkPrepare(program);
  if (program.golden) checkGolden(program.golden, entryNamed(program, INFER));
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

function checkWithin({ name, bytes, within }: WeightEntry, weights: ReadonlyMap<string, WeightEntry>): void {
  if (!within) return;
  const whole = weights.get(within.weight);
  if (!whole || whole.within) throw bad(`the weight \`${name}\` lies in \`${within.weight}\`, which has no buffer`);
  if (within.offset % 256 !== 0 || within.offset + roundUp(bytes) > roundUp(whole.bytes))
    throw bad(`the weight \`${name}\` lies outside of \`${within.weight}\`, or where no binding can begin`);
}

/** What `prepare` is to write, it has to be there to write, and it takes nothing, since a load calls it. */
function checkPrepare(program: Program): void {
  const prepare = entryNamed(program, PREPARE);
  const written = new Set(prepare?.updates.map((u) => u.weight));
  const open = program.weights.find((w) => w.start === 'prepare' && !written.has(w.name));
  if (open) throw bad(`the weight \`${open.name}\` starts as \`prepare\` writes it, which does not`);
  if (prepare && prepare.inputs.length > 0) throw bad('its entry `prepare` has inputs');
}

/** Golden rows are samples, of which there is one where a tensor holds none, and running them changes nothing. */
function checkGolden({ inputs, outputs, rows }: Golden, entry: Entry | undefined): void {
  if (!entry) throw bad(`has a golden input and no entry \`${INFER}\``);
  if (inputs.length !== entry.inputs.length || outputs.length !== entry.outputs.length) {
    throw bad('its golden input has other inputs or outputs than the entries');
  }
  if (entry.updates.length > 0) throw bad(`has a golden input, and running \`${INFER}\` changes states`);
  const single = [...entry.inputs, ...entry.outputs].find((t) => !t.samples);
  if (single && rows > 1) throw bad(`has ${rows} golden rows, and \`${single.name}\` is one for all`);
  unique(
    'golden tensor',
    [...inputs, ...outputs].map((name) => ({ name })),
  );
}

function checkEntry(program: Program, entry: Entry, weights: ReadonlyMap<string, WeightEntry>): void {
  const wrong = (why: string) => bad(`entry \`${entry.name}\`: ${why}`);
  unique('the input', entry.inputs);
  unique('the output', entry.outputs);
  for (const tensor of [...entry.inputs, ...entry.outputs]) {
    if (tensor.samples && tensor.shape.length === 0) throw wrong(`\`${tensor.name}\` holds samples and has no axis`);
    if (!Number.isSafeInteger(byteSize(tensor, entry.samples)))
      throw wrong(`\`${tensor.name}\` is larger than anything`);
  }
  for (const [i, slab] of entry.slabs.entries()) {
    if (!Number.isSafeInteger(slab.bytes * entry.samples)) throw wrong(`slab ${i} is larger than anything`);
    // What lies in it for several samples begins where bindings can only if each sample's share does.
    if (slab.samples && slab.bytes % 256 !== 0)
      throw wrong(`slab ${i} has ${slab.bytes} bytes for each sample, no multiple of 256`);
  }
  const changed = new Map(entry.updates.map((u) => [u.weight, u]));
  if (changed.size < entry.updates.length) throw wrong('updates a weight twice');
  const unknown = entry.updates.find((u) => !weights.has(u.weight));
  if (unknown) throw wrong(`updates the weight \`${unknown.weight}\`, which is not there`);
  const early = entry.updates.find((u) => u.after !== undefined && (!u.copied || u.after > entry.dispatches.length));
  if (early) throw wrong(`updates the weight \`${early.weight}\` after ${early.after} dispatches`);
  // A buffer has one kind of binding in a dispatch: beside what is written in it, what is only read is bound as if it were.
  const shared = new Set(entry.updates.flatMap((u) => weights.get(u.weight)!.within?.weight ?? []));
  const writable = (name: string): boolean =>
    changed.get(name)?.copied === false || shared.has(weights.get(name)!.within?.weight ?? '');
  const size = (ref: BufferRef): number | undefined => {
    if (ref.kind === 'weight') return weights.get(ref.name)?.bytes;
    if (ref.kind === 'update') {
      const update = entry.updates[ref.index];
      return update?.copied ? weights.get(update.weight)?.bytes : undefined;
    }
    if (ref.kind === 'arena') return entry.slabs[ref.slab]?.bytes;
    const tensor = (ref.kind === 'input' ? entry.inputs : entry.outputs)[ref.index];
    return tensor && byteSize(tensor, 1);
  };
  for (const [i, dispatch] of entry.dispatches.entries()) {
    const kernel = program.kernels[dispatch.kernel];
    const at = `dispatch ${i} (${dispatch.label})`;
    if (!kernel) throw wrong(`${at} names kernel ${dispatch.kernel} of ${program.kernels.length}`);
    const problem = misfit(kernel, dispatch, size, writable);
    if (problem !== undefined) throw wrong(`${at} ${problem}`);
  }
}

/** What stands between a dispatch and its kernel. */
function misfit(
  kernel: Kernel,
  { bindings, workgroups }: Dispatch,
  size: (ref: BufferRef) => number | undefined,
  writable: (weight: string) => boolean,
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
    if (ref.kind === 'weight' && kernel.bindings[i] !== 'read' && !writable(ref.name))
      return `writes to the weight \`${ref.name}\`, which its entry does not update in place`;
  }
  return undefined;
}
