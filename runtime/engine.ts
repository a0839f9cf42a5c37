/** What runs inside a session: compiled kernels, buffers and bind groups on a device, one forward pass at a time, and the golden check. */
import { byteSize } from './check.js';
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
import type { ProgramFiles } from './files.js';
import { fillRows, type GoldenTensors, readGolden, relativeError } from './golden.js';
import type { Pixels } from './image.js';
import { type CompiledKernel, compileKernels, Layouts } from './kernels.js';
import { allocate, type Memory, type Progress } from './memory.js';
import { type Picture, readPicture } from './picture.js';
import { Preprocessor } from './preprocess.js';
import type { Program } from './program.js';
import { typedOutput } from './tensors.js';

export interface EngineOptions {
  /** Use this device, which stays the caller's. Otherwise one is requested from `adapter`. */
  readonly device?: GPUDevice;
  readonly golden?: boolean;
  readonly portable?: boolean;
  readonly timings?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

export class Engine {
  readonly program: Program;
  readonly preprocessor: Preprocessor;
  readonly device: GPUDevice;
  kernels: readonly CompiledKernel[];
  entries: readonly RunnableEntry[] = [];
  /** True if the chosen variants failed the golden input and the portable ones run instead. */
  fellBack = false;
  timings: readonly Timing[] | undefined;
  private readonly files: ProgramFiles;
  private readonly facts: DeviceFacts;
  private readonly layouts: Layouts;
  private readonly memory: Memory;
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
    [kernels, memory, preprocessor]: readonly [readonly CompiledKernel[], Memory, Preprocessor],
  ) {
    this.program = program;
    this.files = files;
    this.device = device;
    this.options = options;
    this.facts = deviceFacts(device);
    this.layouts = layouts;
    this.kernels = kernels;
    this.memory = memory;
    this.preprocessor = preprocessor;
    this.signal = lostSignal(device);
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
        allocate(device, program, files, options.onProgress),
        Preprocessor.create(device, program.preprocess ?? []),
      );
      engine = new Engine(program, files, device, options, layouts, parts);
      await engine.bind();
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
    for (const entry of this.entries) entry.destroy();
    this.preprocessor.destroy();
    this.memory.destroy();
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

  /** Fills the inputs, submits one forward pass, and reads its outputs as raw bytes. Only inside `inTurn`. */
  async execute(runnable: RunnableEntry, fill: (encoder: GPUCommandEncoder) => void): Promise<ArrayBuffer[]> {
    const { device } = this;
    this.requireAlive();
    const submit = () => {
      const encoder = device.createCommandEncoder();
      try {
        fill(encoder);
        runnable.encode(encoder);
        device.queue.submit([encoder.finish()]);
      } finally {
        this.preprocessor.release();
      }
    };
    const work = guarded(device, 'while running the program', submit).then(async () => {
      // Mapping what `dispose` destroyed would be an error that the device reports to its owner.
      this.requireAlive();
      const outputs = await runnable.read();
      this.requireAlive();
      this.timings = await runnable.readTimings();
      return outputs;
    });
    return this.attempt(work);
  }

  /** RGBA of a picture that the page decodes. Only inside `inTurn`. Throws InputError (ESP0708) for what it decodes otherwise than Node. */
  async pixelsOf(image: Pixels | Picture): Promise<Pixels> {
    if ('data' in image) return image;
    this.requireAlive();
    return { ...(await this.attempt(readPicture(this.device, image))), channels: 4 };
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

  /** Makes the bind groups for the kernels in use. */
  private async bind(): Promise<void> {
    const { device, program, memory, layouts, kernels } = this;
    for (const entry of this.entries) entry.destroy();
    this.entries = await guarded(device, 'while binding the program', () =>
      program.entries.map(
        (_, i) => new RunnableEntry(device, program, i, kernels, memory, layouts, this.options.timings ?? false),
      ),
    );
  }

  private async check(golden: GoldenTensors): Promise<void> {
    const first = await this.goldenError(golden);
    if (!first) return;
    const { program } = this;
    if (this.kernels.every(({ variant }, i) => variant === program.kernels[i]!.variants.length - 1)) throw first;
    this.kernels = await compileKernels(this.device, program, this.files, this.facts, this.layouts, true);
    await this.bind();
    const second = await this.goldenError(golden);
    if (second) throw second;
    this.fellBack = true;
  }

  /**
   * The first entry that is wrong on the golden rows. Every entry has kernels of its own, so each runs once: what its first real run
   * costs, which also gets its kernels compiled by drivers that wait for a dispatch. Large batches take that time at load.
   */
  private async goldenError(golden: GoldenTensors): Promise<GoldenMismatchError | undefined> {
    const { tolerance } = this.program.golden!;
    for (const runnable of this.entries) {
      const { batch, inputs, outputs: specs } = runnable.entry;
      const outputs = await this.inTurn(() =>
        this.execute(runnable, () => {
          golden.inputs.forEach((rows, i) => {
            fillRows(this.device.queue, runnable.inputs[i]!, byteSize(inputs[i]!), rows);
          });
        }),
      );
      for (const [i, expected] of golden.outputs.entries()) {
        const spec = specs[i]!;
        const error = relativeError(typedOutput(spec, outputs[i]!), expected);
        if (!(error <= tolerance)) return new GoldenMismatchError(spec.name, batch, error, tolerance);
      }
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
  memory: Promise<Memory>,
  preprocessor: Promise<Preprocessor>,
): Promise<[readonly CompiledKernel[], Memory, Preprocessor]> {
  const settled = await Promise.allSettled([kernels, memory, preprocessor]);
  const failed = settled.find((s) => s.status === 'rejected');
  if (failed) {
    if (settled[1].status === 'fulfilled') settled[1].value.destroy();
    throw failed.reason;
  }
  return Promise.all([kernels, memory, preprocessor]);
}
