/** What runs inside a session: compiled kernels, buffers and bind groups on a device, one pass of an entry at a time, and the golden check. */
import { wholeWords } from './bytes.js';
import {
  checkLimits,
  type DeviceFacts,
  deviceFacts,
  guarded,
  type LostSignal,
  lostSignal,
  requestDevice,
} from './device.js';
import { RunnableEntry, type Timing } from './entry.js';
import { DeviceLostError, DisposedError, GoldenMismatchError, InputError } from './errors.js';
import { colourOf } from './images/colour/rule.js';
import type { Pixels } from './images/image.js';
import { type Picture, readPicture } from './images/picture.js';
import { Preprocessor } from './images/preprocess.js';
import { type CompiledKernel, compileKernels, Layouts } from './kernels.js';
import { loadWeights, type Progress, passBuffers, type Weights } from './memory.js';
import type { ProgramFiles } from './program/files.js';
import { type GoldenTensors, readGolden, relativeError } from './program/golden.js';
import {
  type Entry,
  entryNamed,
  INFER,
  PREPARE,
  type Program,
  slabSizes,
  type WeightEntry,
} from './program/program.js';
import { SharedSlabs } from './slabs.js';
import { typedOutput } from './tensors.js';

export interface EngineOptions {
  /** Use this device, which stays the caller's. Otherwise one is requested from `adapter`. */
  readonly device?: GPUDevice;
  readonly golden?: boolean;
  readonly portable?: boolean;
  readonly timings?: boolean;
  readonly samples?: number;
  readonly onProgress?: (progress: Progress) => void;
}

export class Engine {
  readonly program: Program;
  readonly preprocessor: Preprocessor;
  readonly device: GPUDevice;
  kernels: readonly CompiledKernel[];
  /** Each with memory for its largest pass so far. */
  private readonly runnables = new Map<Entry, RunnableEntry>();
  private readonly slabs: SharedSlabs;
  /** True if the chosen variants failed the golden input and the portable ones run instead. */
  fellBack = false;
  timings: readonly Timing[] | undefined;
  private readonly files: ProgramFiles;
  private readonly facts: DeviceFacts;
  private readonly layouts: Layouts;
  private readonly weights: Weights;
  private readonly options: EngineOptions;
  private readonly signal: LostSignal;
  private disposed = false;
  /** Passes go one after another, since they share buffers. */
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    program: Program,
    files: ProgramFiles,
    device: GPUDevice,
    options: EngineOptions,
    layouts: Layouts,
    [kernels, weights, preprocessor]: readonly [readonly CompiledKernel[], Weights, Preprocessor],
  ) {
    this.program = program;
    this.files = files;
    this.device = device;
    this.options = options;
    this.facts = deviceFacts(device);
    this.layouts = layouts;
    this.kernels = kernels;
    this.weights = weights;
    this.preprocessor = preprocessor;
    this.signal = lostSignal(device);
    this.slabs = new SharedSlabs(device);
  }

  /** Uploads, compiles and checks; leaves nothing behind if it fails. Throws what `load` documents. */
  static async create(
    program: Program,
    files: ProgramFiles,
    adapter: () => Promise<GPUAdapter>,
    options: EngineOptions,
  ): Promise<Engine> {
    const device = options.device ?? (await requestDevice(await adapter(), program, options.timings ?? false));
    let engine: Engine | undefined;
    try {
      const facts = deviceFacts(device);
      checkLimits(program, facts);
      const layouts = new Layouts(device);
      // The golden tensors come first: a folder that lacks them is refused before a gigabyte is uploaded.
      const golden = program.golden && options.golden !== false ? await readGolden(program, files) : undefined;
      const parts = await together(
        compileKernels(device, program, files, facts, layouts, options.portable ?? false),
        loadWeights(device, program, files, options.onProgress),
        Preprocessor.create(device, program.preprocess ?? []),
      );
      engine = new Engine(program, files, device, options, layouts, parts);
      await engine.inTurn(() => engine!.prepare());
      if (golden) await engine.check(golden);
      return engine;
    } catch (error) {
      if (engine) engine.dispose();
      else if (!options.device) device.destroy();
      throw error;
    }
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.giveBack();
    this.preprocessor.destroy();
    this.weights.destroy();
    if (!this.options.device) this.device.destroy();
  }

  /** Runs `body` after everything asked for before. Throws DisposedError (ESP0709) or DeviceLostError (ESP0703). */
  inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(() => {
      this.requireAlive();
      const lost = this.signal.reason();
      if (lost) throw lost;
      return body();
    });
    this.queue = turn.catch(() => {});
    return turn;
  }

  /** The most samples of one pass. */
  most({ samples }: Entry): number {
    return Math.min(samples, this.options.samples ?? samples);
  }

  /** Computes the weights that start so, and gives back the memory that it took. Only inside `inTurn`. */
  async prepare(): Promise<void> {
    const entry = entryNamed(this.program, PREPARE);
    if (!entry) return;
    await this.execute(entry, 1, () => {});
    await this.attempt(this.device.queue.onSubmittedWorkDone());
    this.giveBack();
  }

  /** Puts bytes in the place of weights or states, and computes anew what is prepared. Only inside `inTurn`. */
  async replace(parts: readonly { readonly weight: WeightEntry; readonly bytes: Uint8Array }[]): Promise<void> {
    this.requireAlive();
    for (const { weight, bytes } of parts) {
      const { buffer, offset } = this.weights.places.get(weight.name)!;
      this.device.queue.writeBuffer(buffer, offset, wholeWords(bytes));
    }
    await this.prepare();
  }

  /** The bytes of a weight or state as they are now, in its layout. Only inside `inTurn`. */
  async bytesOf(weight: WeightEntry): Promise<ArrayBuffer> {
    const { device } = this;
    this.requireAlive();
    const { buffer, offset, size } = this.weights.places.get(weight.name)!;
    const read = guarded(device, `while reading \`${weight.parameter}\``, () => {
      const target = device.createBuffer({
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, target, 0, size);
      device.queue.submit([encoder.finish()]);
      return target;
    }).then(async (target) => {
      try {
        await target.mapAsync(GPUMapMode.READ);
        return target.getMappedRange().slice(0);
      } finally {
        target.destroy();
      }
    });
    return this.attempt(read);
  }

  /**
   * Fills the inputs, submits one pass of an entry with some samples, and reads its outputs as raw bytes. Only inside `inTurn`. Memory is made for as
   * many samples as the largest pass has had, so that who looks at one picture does not pay for more.
   */
  async execute(
    entry: Entry,
    samples: number,
    fill: (inputs: readonly GPUBuffer[], encoder: GPUCommandEncoder) => void,
  ): Promise<ArrayBuffer[]> {
    const { device } = this;
    this.requireAlive();
    const runnable = await this.attempt(this.roomFor(entry, samples));
    this.requireAlive();
    const submit = () => {
      const encoder = device.createCommandEncoder();
      try {
        fill(runnable.buffers.inputs, encoder);
        runnable.encode(encoder, samples);
        device.queue.submit([encoder.finish()]);
      } finally {
        this.preprocessor.release();
      }
    };
    const work = guarded(device, 'while running the program', submit).then(async () => {
      // Mapping what `dispose` destroyed would be an error that the device reports to its owner.
      this.requireAlive();
      const outputs = await runnable.read(samples);
      this.requireAlive();
      this.timings = await runnable.readTimings(samples);
      return outputs;
    });
    return this.attempt(work);
  }

  /** RGBA of a picture that the page decodes. Only inside `inTurn`. Throws InputError (ESP0708) for what it decodes otherwise than Node. */
  async pixelsOf(image: Pixels | Picture): Promise<Pixels> {
    if ('data' in image) return image;
    this.requireAlive();
    return { ...(await this.attempt(readPicture(this.device, image, colourOf(this.program.preprocess)))), channels: 4 };
  }

  /** What `work` gives, or, if the device was lost or disposed of under it, that. */
  private async attempt<T>(work: Promise<T>): Promise<T> {
    try {
      return await this.signal.race(work);
    } catch (error) {
      if (this.disposed) throw new DisposedError();
      if (error instanceof DeviceLostError || error instanceof InputError) throw error;
      // A lost device also makes everything else fail; the loss is what happened.
      throw (await this.lostSoon()) ?? error;
    }
  }

  private requireAlive(): void {
    if (this.disposed) throw new DisposedError();
  }

  /** The entry with memory for at least so many samples. What it had for fewer is freed first. Throws OutOfMemoryError (ESP0704). */
  private async roomFor(entry: Entry, samples: number): Promise<RunnableEntry> {
    const held = this.runnables.get(entry);
    if (held && held.buffers.samples >= samples) return held;
    this.forget(entry);
    const { device, program, kernels, weights, layouts } = this;
    const sizes = slabSizes(entry, samples);
    if (!this.slabs.fits(sizes)) {
      // All are bound to what makes room.
      for (const other of this.runnables.keys()) this.forget(other);
      await this.slabs.grow(sizes);
      if (this.disposed) this.slabs.destroy();
      this.requireAlive();
    }
    const buffers = await passBuffers(device, entry, samples, weights, this.slabs.of(sizes));
    try {
      this.requireAlive();
      const made = await guarded(
        device,
        'while binding the program',
        () =>
          new RunnableEntry(
            device,
            program,
            entry,
            kernels,
            { weights, buffers },
            layouts,
            this.options.timings ?? false,
          ),
      );
      // Not in between: what `dispose` does not know of, it does not free.
      this.requireAlive();
      this.runnables.set(entry, made);
      return made;
    } catch (error) {
      buffers.destroy();
      throw error;
    }
  }

  private forget(entry: Entry): void {
    this.runnables.get(entry)?.destroy();
    this.runnables.delete(entry);
  }

  /** All memory of passes, of every entry. */
  private giveBack(): void {
    for (const entry of this.runnables.keys()) this.forget(entry);
    this.slabs.destroy();
  }

  private async check(golden: GoldenTensors): Promise<void> {
    const first = await this.goldenError(golden);
    if (!first) return;
    const { program } = this;
    if (this.kernels.every(({ variant }, i) => variant === program.kernels[i]!.variants.length - 1)) throw first;
    this.kernels = await compileKernels(this.device, program, this.files, this.facts, this.layouts, true);
    this.giveBack();
    // What the chosen kernels prepared may be as wrong as what they inferred.
    await this.inTurn(() => this.prepare());
    const second = await this.goldenError(golden);
    if (second) throw second;
    this.fellBack = true;
  }

  /**
   * What is wrong with the golden rows: with the first by itself, which is what a first real run costs and gets kernels compiled by drivers that
   * wait for a dispatch, and, where passes may have several, with all of them together. The memory for these is given back.
   */
  private async goldenError(golden: GoldenTensors): Promise<GoldenMismatchError | undefined> {
    const { rows } = this.program.golden!;
    const entry = entryNamed(this.program, INFER)!;
    for (const count of new Set([1, Math.min(rows, this.most(entry))])) {
      const found = await this.inTurn(() => this.goldenRun(entry, golden, count));
      if (found) return found;
    }
    if (rows > 1) this.giveBack();
    return undefined;
  }

  /** The same for the first `count` rows in one pass. */
  private async goldenRun(
    entry: Entry,
    golden: GoldenTensors,
    count: number,
  ): Promise<GoldenMismatchError | undefined> {
    const { tolerance, rows } = this.program.golden!;
    const outputs = await this.execute(entry, count, (inputs) => {
      golden.inputs.forEach((all, i) => {
        const part = entry.inputs[i]!.samples ? all.subarray(0, (all.length / rows) * count) : all;
        this.device.queue.writeBuffer(inputs[i]!, 0, wholeWords(part));
      });
    });
    for (const [i, expected] of golden.outputs.entries()) {
      const spec = entry.outputs[i]!;
      const found = typedOutput(spec, outputs[i]!, count);
      const error = relativeError(found, expected.subarray(0, found.length));
      if (!(error <= tolerance)) return new GoldenMismatchError(spec.name, count, error, tolerance);
    }
    return undefined;
  }

  /** The loss of the device, if it turns out within a moment. */
  private async lostSoon(): Promise<DeviceLostError | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const moment = new Promise((done) => {
      timer = setTimeout(done, 20);
    });
    await Promise.race([this.device.lost, moment]);
    clearTimeout(timer);
    return this.signal.reason();
  }
}

/** All three, or the first failure once the others have ended too: nothing of a failed load goes on in the background. */
async function together(
  kernels: Promise<readonly CompiledKernel[]>,
  weights: Promise<Weights>,
  preprocessor: Promise<Preprocessor>,
): Promise<[readonly CompiledKernel[], Weights, Preprocessor]> {
  const settled = await Promise.allSettled([kernels, weights, preprocessor]);
  const failed = settled.find((s) => s.status === 'rejected');
  if (failed) {
    if (settled[1].status === 'fulfilled') settled[1].value.destroy();
    throw failed.reason;
  }
  return Promise.all([kernels, weights, preprocessor]);
}
