/** A loaded program: what a person holds. `load` makes one; the same code runs in browsers and in Node. */
import { wholeWords } from './bytes.js';
import { type ClassScore, topClasses } from './classes.js';
import { Engine } from './engine.js';
import type { Timing } from './entry.js';
import { InputError, NoAdapterError } from './errors.js';
import { captureImage, type ImageInput, type Pixels } from './images/image.js';
import type { Picture } from './images/picture.js';
import type { Progress } from './memory.js';
import { BYTES, checkProgram, elements, FILE, parseProgram } from './program/check.js';
import { intactFiles, requireSealed, unsealed } from './program/digest.js';
import { filesOf, type ProgramFiles, readText, type Source } from './program/files.js';
import type { Program, TensorSpec, Unsealed } from './program/program.js';
import { passesOf, type TensorData, tensorBytes, typedOutput } from './tensors.js';

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
  /** Outputs by name; shape [items, ...] as in `shapes`. f16 is widened to f32. */
  readonly outputs: Readonly<Record<string, TensorData>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The five likeliest classes of the first item, best first, if the program has labels. */
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
  /** Runs one item of whatever the buffers hold, so that the first real run finds everything compiled. */
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
      await this.engine.execute(1, () => {});
    });
  }

  dispose(): void {
    this.engine.dispose();
    this.atEnd?.();
    this.atEnd = undefined;
  }

  /** What is to be done, on copies of what it is to be done with. */
  private captured(input: Partial<ImageRun & ImagesRun & TensorsRun> | undefined): () => Promise<Result | Result[]> {
    const { tensors, images, image } = input ?? {};
    if (tensors) {
      const { parts, items } = this.capturedTensors(tensors);
      return () => this.runTensors(parts, items);
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
    const [input, ...others] = this.engine.entry.inputs;
    if (!this.program.preprocess)
      throw new InputError('the program has no `preprocess`, so it takes no images', 'give `tensors`');
    if (others.length > 0 || input?.dtype !== 'f32' || input.shape.length !== 4)
      throw new InputError('the program takes something else than one image', 'give `tensors`');
    return images.map(captureImage);
  }

  private async runImages(images: readonly (Pixels | Picture)[]): Promise<Result[]> {
    const { inputs, outputs } = this.engine.entry;
    const [, channels = 0, height = 0, width = 0] = inputs[0]!.shape;
    const results: Result[] = [];
    for (const { start, count } of passesOf(images.length, this.engine.samples)) {
      const pixels: Pixels[] = [];
      for (const image of images.slice(start, start + count)) pixels.push(await this.engine.pixelsOf(image));
      const raw = await this.engine.execute(count, ([buffer], encoder) => {
        for (const [index, image] of pixels.entries()) {
          this.engine.preprocessor.encode(encoder, image, { buffer: buffer!, index, channels, height, width });
        }
      });
      const all = raw.map((bytes, i) => typedOutput(outputs[i]!, bytes, count));
      for (let i = 0; i < count; i++) {
        const item = all.map((data, o) =>
          data.slice(i * elements(outputs[o]!.shape), (i + 1) * elements(outputs[o]!.shape)),
        );
        results.push(this.result(item, 1));
      }
    }
    return results;
  }

  /** Bytes of each input, in order, and how many items they are. */
  private capturedTensors(tensors: TensorsRun['tensors']): { parts: Uint8Array[]; items: number } {
    const { inputs } = this.engine.entry;
    const unknown = Object.keys(tensors).find((name) => !inputs.some((t) => t.name === name));
    const names = inputs.map((t) => t.name).join(', ');
    if (unknown !== undefined)
      throw new InputError(`the program has no input \`${unknown}\``, `its inputs are: ${names}`);
    const parts = inputs.map((spec) => {
      const data = Object.hasOwn(tensors, spec.name) ? tensors[spec.name] : undefined;
      if (!data) throw new InputError(`the input \`${spec.name}\` is missing`, `the inputs are: ${names}`);
      return tensorBytes(spec, data);
    });
    const counts = inputs.map(({ name, dtype, shape }, i) => {
      const length = parts[i]!.length / BYTES[dtype];
      const perItem = elements(shape);
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
    return { parts, items };
  }

  private async runTensors(parts: readonly Uint8Array[], items: number): Promise<Result> {
    const { outputs } = this.engine.entry;
    const whole: TensorData[][] = outputs.map(() => []);
    for (const { start, count } of passesOf(items, this.engine.samples)) {
      const raw = await this.engine.execute(count, (inputs) => {
        parts.forEach((data, i) => {
          const stride = data.length / items;
          const part = data.subarray(start * stride, (start + count) * stride);
          this.engine.device.queue.writeBuffer(inputs[i]!, 0, wholeWords(part));
        });
      });
      raw.forEach((data, i) => {
        whole[i]!.push(typedOutput(outputs[i]!, data, count));
      });
    }
    return this.result(whole.map(joined), items);
  }

  private result(data: readonly TensorData[], items: number): Result {
    const { labels } = this.program;
    const { outputs } = this.engine.entry;
    const named = Object.fromEntries(outputs.map((t, i) => [t.name, data[i]!]));
    const shapes = Object.fromEntries(outputs.map((t) => [t.name, itemsShape(t, items)]));
    const logits = data[0];
    const perItem = elements(outputs[0]?.shape ?? []);
    const classes =
      labels && logits && perItem === labels.length ? topClasses(logits.subarray(0, perItem), labels) : undefined;
    return { outputs: named, shapes, ...(classes ? { classes } : {}) };
  }
}

/** The shape of a tensor of so many items. */
const itemsShape = ({ shape: [first = 1, ...rest] }: TensorSpec, items: number): number[] => [first * items, ...rest];

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

async function adapterOf(gpu: GPU | undefined): Promise<GPUAdapter> {
  if (!gpu) {
    throw new NoAdapterError(
      'there is no WebGPU here',
      'use a recent Chrome, Edge, Safari or Firefox; in Node: npm install webgpu',
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new NoAdapterError(
      'WebGPU offers no adapter',
      'update the graphics driver, or switch on hardware acceleration in the browser; in Node: npx espalier doctor',
    );
  }
  return adapter;
}
