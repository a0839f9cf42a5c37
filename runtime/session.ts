/** A loaded program: what a person holds. `load` makes one; the same code runs in browsers and in Node. */
import { adapterOf } from './adapter.js';
import { wholeWords } from './bytes.js';
import { type ClassScore, topClasses } from './classes.js';
import { Engine } from './engine.js';
import type { Timing } from './entry.js';
import { InputError } from './errors.js';
import { colourOf } from './images/colour/rule.js';
import { captureImage, type ImageInput, type Pixels, requireColour } from './images/image.js';
import type { Picture } from './images/picture.js';
import type { Progress } from './memory.js';
import { fileWeight, openParameter, type Parameters, replacements } from './parameters.js';
import { BYTES, checkProgram, elements, FILE, parseProgram, shapeOf } from './program/check.js';
import { intactFiles, requireSealed, unsealed } from './program/digest.js';
import { filesOf, type ProgramFiles, readText, type Source } from './program/files.js';
import { type Entry, entryNamed, INFER, type Program, type Unsealed } from './program/program.js';
import { passesOf, type TensorData, tensorBytes, typed, typedOutput } from './tensors.js';

export interface LoadOptions {
  /** Use this device, which stays the caller's: `dispose` does not destroy it. */
  readonly device?: GPUDevice;
  /** Request the device from this adapter. Default: `navigator.gpu`'s, or, in Node, that of npm `webgpu`. */
  readonly adapter?: GPUAdapter;
  /** Run the golden input at load (default true). */
  readonly golden?: boolean;
  /** Use each kernel's portable variant only (default false). */
  readonly portable?: boolean;
  /** Measure each dispatch, where the device has `timestamp-query`; a run then takes one pass a dispatch. */
  readonly timings?: boolean;
  /** The most items of one pass, if fewer than the program allows: memory is for the largest pass. A whole number of at least 1, or InputError. */
  readonly samples?: number;
  /** Called while weights are uploaded. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called once when the session is disposed of; for whoever made the adapter. */
  readonly onDispose?: () => void;
}

export interface Result {
  /** Outputs by name; shape [items, ...] as in `shapes`, or without items what is one for all of them. f16 is widened to f32. */
  readonly outputs: Readonly<Record<string, TensorData>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The five likeliest classes of the first item, best first, if the program has labels for its outputs, and more than one: one alone names a number. */
  readonly classes?: readonly ClassScore[];
}

export interface ImageRun {
  readonly image: ImageInput;
}
export interface ImagesRun {
  readonly images: readonly ImageInput[];
}
/** Whole tensors by input name, [items, ...]; any number of items. */
export interface TensorsRun {
  readonly tensors: Readonly<Record<string, TensorData>>;
}

/** Whether this page (or process) has WebGPU at all; `load` may still find no adapter. */
export function isSupported(): boolean {
  return globalThis.navigator?.gpu !== undefined;
}

/**
 * Loads a compiled program: checks it, uploads its weights, compiles its kernels, and runs its golden input.
 * Throws a RuntimeError: no adapter (ESP0701), limits (ESP0702), memory (ESP0704), a kernel (ESP0705), the golden input (ESP0706), files (ESP0707).
 */
export function load(source: Source, options: LoadOptions = {}): Promise<Session> {
  return opened(options, async () => {
    const given = filesOf(source);
    const program = await requireSealed(
      typeof source === 'object' && 'program' in source
        ? checkProgram(source.program)
        : parseProgram(await readText(given, FILE)),
    );
    return [program, await intactFiles(program, given)];
  });
}

/**
 * Loads a program that this process is still making: its files may not exist before they are read, so that there is nothing to compare them with.
 * Throws what `load` throws.
 */
export function loadUnsealed(program: Unsealed, files: ProgramFiles, options: LoadOptions = {}): Promise<Session> {
  return opened(options, async () => [unsealed(program), files]);
}

async function opened(
  options: LoadOptions,
  source: () => Promise<[program: Program, files: ProgramFiles]>,
): Promise<Session> {
  try {
    const { samples = 1 } = options;
    if (!Number.isInteger(samples) || samples < 1)
      throw new InputError(
        `\`samples\` is ${samples}`,
        'give the most items of one pass: a whole number of at least 1',
      );
    const [program, files] = await source();
    // Dawn's instance has to be referenced as long as its device is in use, and not longer, or the process would not end.
    let gpu: GPU | undefined;
    const adapter = async () => {
      if (options.adapter) return options.adapter;
      gpu = await anyGpu();
      return adapterOf(gpu);
    };
    const engine = await Engine.create(program, files, adapter, options);
    return new LoadedSession(engine, () => {
      gpu = undefined;
      options.onDispose?.();
    });
  } catch (error) {
    options.onDispose?.();
    throw error;
  }
}

export interface Session {
  readonly program: Program;
  /** The variant in use of each kernel, in the program's order. */
  readonly variants: readonly { readonly kernel: string; readonly variant: string }[];
  /** True if the chosen variants failed the golden input and the portable ones run instead. */
  readonly usesFallback: boolean;
  /** Times of the last pass by dispatch; undefined unless asked for and offered. */
  readonly timings: readonly Timing[] | undefined;

  /**
   * One image, or whole tensors of any number of items, as they are when `run` is called: what is done to them afterwards changes nothing.
   * Throws InputError (ESP0708), DeviceLostError (ESP0703), DisposedError (ESP0709).
   */
  run(input: ImageRun | TensorsRun): Promise<Result>;
  /** Many images, in as few passes as the program allows. One result for each image. */
  run(input: ImagesRun): Promise<Result[]>;
  /**
   * Calls an entry of the program: `call('step', { gradient })`. Tensors are whole, by input name. What the entry updates is kept for the calls that
   * follow. Entries that give or change something of all items together take them in one pass; others in as many as it takes.
   * Throws InputError (ESP0708) for an entry or input that is not there, missing, of another size or of more items than a pass takes, DeviceLostError
   * (ESP0703), DisposedError (ESP0709).
   */
  call(entry: string, tensors?: TensorsRun['tensors']): Promise<Result>;
  /** A state, or a weight that can be replaced, as it is after the calls before. Throws InputError (ESP0708) for another name. */
  read(parameter: string): Promise<TensorData>;
  /**
   * Puts other numbers in the place of states, or of parameters that the entry `prepare` reads (a program compiled with `prepare = load`): whole
   * tensors by name, or the bytes of a safetensors file of them, f32. What is prepared from them is computed again before the promise resolves. All are
   * judged before any is replaced.
   * Throws InputError (ESP0708) for a name that cannot be replaced and for another size or type, ProgramFileError (ESP0707) for a file that is none.
   */
  replace(parameters: Parameters): Promise<void>;
  /**
   * Puts other bytes in the place of weights that files hold, by the weights' names and in their layouts, for whoever packs them himself. They are not
   * compared with digests. All are judged before any is written.
   * Throws InputError (ESP0708) for a weight that is not there, or that no file holds, and for another number of bytes.
   */
  overwrite(weights: ReadonlyMap<string, Uint8Array>): Promise<void>;
  /** Runs one item of whatever the buffers hold, so that the first real run finds everything compiled. An entry that changes states is not run. */
  warmup(): Promise<void>;
  /** Frees everything; the device too, unless it was given. Runs that wait or are under way fail with DisposedError. Safe to call twice. */
  dispose(): void;
}

class LoadedSession implements Session {
  private readonly engine: Engine;
  private atEnd: (() => void) | undefined;

  constructor(engine: Engine, atEnd: () => void) {
    this.engine = engine;
    this.atEnd = atEnd;
  }

  get program(): Program {
    return this.engine.program;
  }

  get usesFallback(): boolean {
    return this.engine.fellBack;
  }

  get timings(): readonly Timing[] | undefined {
    return this.engine.timings;
  }

  get variants(): Session['variants'] {
    const { kernels } = this.engine;
    return this.program.kernels.map((k, i) => ({ kernel: k.name, variant: k.variants[kernels[i]!.variant]!.name }));
  }

  run(input: ImageRun | TensorsRun): Promise<Result>;
  run(input: ImagesRun): Promise<Result[]>;
  async run(input: ImageRun | ImagesRun | TensorsRun): Promise<Result | Result[]> {
    // Taken and judged now: the caller may change it while earlier runs are under way.
    const work = this.captured(input);
    return this.engine.inTurn(work);
  }

  warmup(): Promise<void> {
    return this.engine.inTurn(async () => {
      const entry = this.entry(INFER);
      if (entry.updates.length === 0) await this.engine.execute(entry, 1, () => {});
    });
  }

  async call(name: string, tensors: TensorsRun['tensors'] = {}): Promise<Result> {
    const entry = this.entry(name);
    const { parts, items } = this.capturedTensors(entry, tensors);
    return this.engine.inTurn(() => this.runTensors(entry, parts, items));
  }

  async read(parameter: string): Promise<TensorData> {
    const weight = openParameter(this.program, parameter);
    return this.engine.inTurn(async () =>
      typed(weight.dtype, await this.engine.bytesOf(weight), elements(weight.shape)),
    );
  }

  async replace(parameters: Parameters): Promise<void> {
    // Copied and judged now, and done in its turn. Whether it is refused, the turn says.
    const parts = replacements(this.program, parameters);
    parts.catch(() => {});
    return this.engine.inTurn(async () => this.engine.replace(await parts));
  }

  async overwrite(weights: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const parts = [...weights].map(([name, bytes]) => ({ weight: fileWeight(this.program, name, bytes), bytes }));
    return this.engine.inTurn(() => this.engine.replace(parts));
  }

  dispose(): void {
    this.engine.dispose();
    this.atEnd?.();
    this.atEnd = undefined;
  }

  private entry(name: string): Entry {
    const found = entryNamed(this.program, name);
    const names = this.program.entries.map((e) => e.name).join(', ');
    if (!found) throw new InputError(`the program has no entry \`${name}\``, `its entries are: ${names}`);
    return found;
  }

  /** What is to be done, on copies of what it is to be done with. */
  private captured(input: Partial<ImageRun & ImagesRun & TensorsRun> | undefined): () => Promise<Result | Result[]> {
    const { tensors, images, image } = input ?? {};
    if (tensors) {
      const entry = this.entry(INFER);
      const { parts, items } = this.capturedTensors(entry, tensors);
      return () => this.runTensors(entry, parts, items);
    }
    if (Array.isArray(images)) {
      const all = this.capturedImages(images);
      return () => this.runImages(all);
    }
    if (!image)
      throw new InputError('there is nothing to run', 'give { image }, { images: [...] } or { tensors: {...} }');
    const one = this.capturedImages([image]);
    return async () => (await this.runImages(one))[0]!;
  }

  private capturedImages(images: readonly ImageInput[]): (Pixels | Picture)[] {
    const [input, ...others] = this.entry(INFER).inputs;
    if (!this.program.preprocess)
      throw new InputError('the program has no `preprocess`, so it takes no images', 'give `tensors`');
    if (others.length > 0 || input?.dtype !== 'f32' || input.shape.length !== 4)
      throw new InputError('the program takes something else than one image', 'give `tensors`');
    const colour = colourOf(this.program.preprocess);
    return images.map((image) => {
      const captured = captureImage(image);
      requireColour(captured, colour);
      return captured;
    });
  }

  private async runImages(images: readonly (Pixels | Picture)[]): Promise<Result[]> {
    const entry = this.entry(INFER);
    const { inputs, outputs } = entry;
    const [, channels = 0, height = 0, width = 0] = inputs[0]!.shape;
    const results: Result[] = [];
    // One result for each image: what an entry gives for several together would be none of one's.
    const most = isWhole(entry) ? 1 : this.engine.most(entry);
    for (const { start, count } of passesOf(images.length, most)) {
      const pixels: Pixels[] = [];
      for (const image of images.slice(start, start + count)) pixels.push(await this.engine.pixelsOf(image));
      const raw = await this.engine.execute(entry, count, ([buffer], encoder) => {
        for (const [index, image] of pixels.entries()) {
          this.engine.preprocessor.encode(encoder, image, { buffer: buffer!, index, channels, height, width });
        }
      });
      const all = raw.map((bytes, i) => typedOutput(outputs[i]!, bytes, count));
      for (let i = 0; i < count; i++) {
        const item = all.map((data, o) =>
          data.slice(i * elements(outputs[o]!.shape), (i + 1) * elements(outputs[o]!.shape)),
        );
        results.push(this.result(entry, item, 1));
      }
    }
    return results;
  }

  /** Bytes of each input, in order, and how many items they are. */
  private capturedTensors(entry: Entry, tensors: TensorsRun['tensors']): { parts: Uint8Array[]; items: number } {
    const { inputs } = entry;
    const unknown = Object.keys(tensors).find((name) => !inputs.some((t) => t.name === name));
    const names = inputs.map((t) => t.name).join(', ') || 'none';
    const what = entry.name === INFER ? 'the program' : `the entry \`${entry.name}\``;
    if (unknown !== undefined) throw new InputError(`${what} has no input \`${unknown}\``, `its inputs are: ${names}`);
    const parts = inputs.map((spec) => {
      const data = Object.hasOwn(tensors, spec.name) ? tensors[spec.name] : undefined;
      if (!data) throw new InputError(`the input \`${spec.name}\` is missing`, `the inputs are: ${names}`);
      return tensorBytes(spec, data);
    });
    const counts = inputs.flatMap(({ name, dtype, shape, samples }, i) => {
      const length = parts[i]!.length / BYTES[dtype];
      const perItem = elements(shape);
      if (!samples) {
        if (length === perItem) return [];
        throw new InputError(`\`${name}\` has ${length} elements, not ${perItem} ([${shape}])`);
      }
      if (length === 0 || length % perItem !== 0) {
        throw new InputError(
          `\`${name}\` has ${length} elements, not a multiple of ${perItem} ([${shape}])`,
          length === 0 ? 'was its buffer transferred?' : '',
        );
      }
      return length / perItem;
    });
    const items = counts[0] ?? 1;
    if (counts.some((c) => c !== items))
      throw new InputError(`inputs differ in their number of items: ${counts.join(', ')}`);
    const most = this.engine.most(entry);
    if (isWhole(entry) && items > most)
      throw new InputError(
        `${what} takes ${most} items at a time, given ${items}: what it computes is of all of them together`,
        'give fewer, load with larger `samples`, or compile with a larger `batch`',
      );
    return { parts, items };
  }

  private async runTensors(entry: Entry, parts: readonly Uint8Array[], items: number): Promise<Result> {
    const { outputs } = entry;
    const whole: TensorData[][] = outputs.map(() => []);
    for (const { start, count } of passesOf(items, this.engine.most(entry))) {
      const raw = await this.engine.execute(entry, count, (inputs) => {
        parts.forEach((data, i) => {
          const stride = data.length / items;
          const part = entry.inputs[i]!.samples ? data.subarray(start * stride, (start + count) * stride) : data;
          this.engine.device.queue.writeBuffer(inputs[i]!, 0, wholeWords(part));
        });
      });
      raw.forEach((data, i) => {
        whole[i]!.push(typedOutput(outputs[i]!, data, count));
      });
    }
    return this.result(entry, whole.map(joined), items);
  }

  private result({ name, outputs }: Entry, data: readonly TensorData[], items: number): Result {
    const labels = name === INFER ? this.program.labels : undefined;
    const named = Object.fromEntries(outputs.map((t, i) => [t.name, data[i]!]));
    const shapes = Object.fromEntries(outputs.map((t) => [t.name, shapeOf(t, items)]));
    const logits = data[0];
    const perItem = elements(outputs[0]?.shape ?? []);
    const { several = false } = this.program;
    const classes =
      labels && logits && perItem === labels.length && (several || labels.length > 1)
        ? topClasses(logits.subarray(0, perItem), labels, 5, several)
        : undefined;
    return { outputs: named, shapes, ...(classes ? { classes } : {}) };
  }
}

/** Whether a call gives or changes something that is of all items together, so that it cannot be done in parts. */
const isWhole = ({ outputs, updates }: Entry): boolean => updates.length > 0 || outputs.some((t) => !t.samples);

function joined(parts: readonly TensorData[]): TensorData {
  const [first] = parts;
  if (!first || parts.length === 1) return first!;
  const all = new (first.constructor as Float32ArrayConstructor)(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** WebGPU of the page, or of npm `webgpu` (Dawn) in Node; undefined where there is neither. */
async function anyGpu(): Promise<GPU | undefined> {
  if (globalThis.navigator?.gpu) return navigator.gpu;
  if (globalThis.process?.versions?.node === undefined) return undefined;
  // Not a literal: a bundler for the web must not try to resolve it.
  const library: string = 'webgpu';
  try {
    const { create, globals } = (await import(library)) as typeof import('webgpu');
    Object.assign(globalThis, globals);
    return create([]);
  } catch {
    return undefined;
  }
}
