/**
 * From decoded pixels to the program's input, on the GPU: the steps that resample.ts plans, as dispatches over 8-bit RGBA in u32 words, and
 * a last one that turns to gray, normalizes and writes f32 [channels, height, width] into the input buffer.
 */
import { InputError } from '../errors.js';
import type { PreprocessStep } from '../program/program.js';
import { type Pixels, rgbaRows } from './image.js';
import { FINISH, RESAMPLE, THREADS } from './preprocess.generated.js';
import { type Box, type Plan, planSteps, type ResizeStage, taps } from './resample.js';

/** Where to write: item `index` of a batch in an f32 buffer of [batch, channels, height, width]. */
export interface Target {
  readonly buffer: GPUBuffer;
  readonly index: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** An image of 8-bit RGBA on the GPU: some of the rows and columns of a larger one. */
interface Plane {
  readonly buffer: GPUBuffer;
  readonly width: number;
  readonly height: number;
}

/** Rows are uploaded and resized horizontally in bands of at most this many bytes. */
const BAND = 48 << 20;
/** Bytes of buffers kept for later images. */
const POOL = 256 << 20;
/** Workgroups along x, and threads. */
const ACROSS = 32768;
const ROW = ACROSS * THREADS;

export class Preprocessor {
  private readonly device: GPUDevice;
  private readonly steps: readonly PreprocessStep[];
  private readonly resample: GPUComputePipeline;
  private readonly finish: GPUComputePipeline;
  /** Buffers to use again. */
  private readonly pool: GPUBuffer[] = [];
  private taken: GPUBuffer[] = [];

  private constructor(
    device: GPUDevice,
    steps: readonly PreprocessStep[],
    resample: GPUComputePipeline,
    finish: GPUComputePipeline,
  ) {
    this.device = device;
    this.steps = steps;
    this.resample = resample;
    this.finish = finish;
  }

  static async create(device: GPUDevice, steps: readonly PreprocessStep[]): Promise<Preprocessor> {
    const compile = (label: string, { code }: { readonly code: string }) =>
      device.createComputePipelineAsync({
        label,
        layout: 'auto',
        compute: { module: device.createShaderModule({ label, code }) },
      });
    const [resample, finish] = await Promise.all([compile('resample', RESAMPLE), compile('finish', FINISH)]);
    return new Preprocessor(device, steps, resample, finish);
  }

  /**
   * Uploads an image and records its steps. An image too large for one band is partly submitted at once, before `encoder`.
   * Throws InputError (ESP0708) if the steps do not end in the target's size, or an image between them exceeds the device's buffers.
   */
  encode(encoder: GPUCommandEncoder, image: Pixels, target: Target): void {
    const plan = planSteps(this.steps, image.width, image.height);
    const { window, width, height } = plan;
    if (width !== target.width || height !== target.height) {
      throw new InputError(
        `preprocessing a ${image.width}x${image.height} image gives ${width}x${height}, the program takes ${target.width}x${target.height}`,
        'end `preprocess` with a crop or a pad, or resize to both sides',
      );
    }
    const [first, ...rest] = plan.stages;
    if (!first) {
      const rows = clip(window.y, window.height, image.height);
      const plane = this.upload(image, rows.from, rows.to);
      this.encodeFinish(encoder, plane, { ...window, y: window.y - rows.from }, plan, target, image.channels > 1);
      return;
    }
    let plane = this.encodeFirst(encoder, image, first);
    for (const stage of rest) plane = this.encodeStage(encoder, plane, stage);
    this.encodeFinish(encoder, plane, window, plan, target, image.channels > 1);
  }

  /** The buffers of the images encoded so far may be used again: call it once what was encoded is submitted. */
  release(): void {
    this.pool.push(...this.taken);
    this.taken = [];
    // Photographs come in many sizes; the ones kept longest go first.
    let kept = this.pool.reduce((sum, buffer) => sum + buffer.size, 0);
    while (kept > POOL) {
      const oldest = this.pool.shift()!;
      kept -= oldest.size;
      oldest.destroy();
    }
  }

  destroy(): void {
    for (const buffer of [...this.pool, ...this.taken]) buffer.destroy();
    this.pool.length = 0;
    this.taken = [];
  }

  /** The first resize reads the uploaded image, of which only the rows that matter are uploaded. */
  private encodeFirst(encoder: GPUCommandEncoder, image: Pixels, stage: ResizeStage): Plane {
    const { from, keep } = stage;
    const down = taps(from.height, stage.height, stage.filter, keep.y, keep.height);
    // Rows past the image's edge are zeros and need no upload.
    const rows = clip(from.y + down.from, down.to - down.from, image.height);
    const between = this.plane(keep.width, down.to - down.from);
    const bandRows = Math.max(1, Math.floor(BAND / (image.width * 4)));
    const single = rows.to - rows.from <= bandRows;
    for (let at = rows.from; at < rows.to; at += bandRows) {
      const end = Math.min(rows.to, at + bandRows);
      const band = this.upload(image, at, end);
      const own = single ? encoder : this.device.createCommandEncoder();
      // This band's rows, counted in the rows of `between`; zeros beside the image are written with its first and last band.
      const low = at === rows.from ? 0 : at - from.y - down.from;
      const high = end === rows.to ? between.height : end - from.y - down.from;
      this.encodeAxis(own, {
        source: band,
        target: between,
        table: taps(from.width, stage.width, stage.filter, keep.x, keep.width),
        along: { apart: 1, origin: from.x, pixels: band.width },
        across: { apart: band.width, origin: from.y + down.from + low - at, pixels: band.height },
        lines: high - low,
        base: low * keep.width,
        gray: stage.gray,
      });
      if (!single) {
        this.device.queue.submit([own.finish()]);
        // The next band's upload is ordered after this submission, so its buffer can be the same.
        this.pool.push(...this.taken.splice(this.taken.indexOf(band.buffer), 1));
      }
    }
    return this.encodeVertical(encoder, between, down.from, stage, down);
  }

  private encodeStage(encoder: GPUCommandEncoder, plane: Plane, stage: ResizeStage): Plane {
    const { from, keep } = stage;
    const down = taps(from.height, stage.height, stage.filter, keep.y, keep.height);
    const between = this.plane(keep.width, down.to - down.from);
    this.encodeAxis(encoder, {
      source: plane,
      target: between,
      table: taps(from.width, stage.width, stage.filter, keep.x, keep.width),
      along: { apart: 1, origin: from.x, pixels: plane.width },
      across: { apart: plane.width, origin: from.y + down.from, pixels: plane.height },
      lines: between.height,
      base: 0,
      gray: stage.gray,
    });
    return this.encodeVertical(encoder, between, down.from, stage, down);
  }

  private encodeVertical(
    encoder: GPUCommandEncoder,
    between: Plane,
    skipped: number,
    { keep }: ResizeStage,
    table: ReturnType<typeof taps>,
  ): Plane {
    const result = this.plane(keep.width, keep.height);
    this.encodeAxis(encoder, {
      source: between,
      target: result,
      table,
      along: { apart: between.width, origin: -skipped, pixels: between.height },
      across: { apart: 1, origin: 0, pixels: between.width },
      lines: keep.width,
      base: 0,
      gray: false,
    });
    return result;
  }

  private encodeAxis(encoder: GPUCommandEncoder, pass: AxisPass): void {
    const { along, across, table } = pass;
    // Rows of the target follow one another, so it is enough to say which of the two axes lies along them.
    const [x, y] = [table.table.length / (table.most + 1), pass.lines];
    const params = words(RESAMPLE.params, {
      row: ROW,
      count: x * y,
      base: pass.base,
      gray: pass.gray ? 1 : 0,
      taps: table.most,
      along: x,
      along_step: along.apart === 1 ? 1 : y,
      along_apart: along.apart,
      along_pixels: along.pixels,
      along_origin: along.origin,
      across: y,
      across_step: along.apart === 1 ? x : 1,
      across_apart: across.apart,
      across_pixels: across.pixels,
      across_origin: across.origin,
    });
    const buffers = [pass.source.buffer, this.filled(table.table), pass.target.buffer, this.filled(params)];
    this.record(encoder, this.resample, buffers, x * y);
  }

  private encodeFinish(
    encoder: GPUCommandEncoder,
    plane: Plane,
    window: Box,
    plan: Plan,
    target: Target,
    color: boolean,
  ): void {
    const { channels } = target;
    if (channels !== 1 && channels !== 3)
      throw new InputError(`images have 1 or 3 channels, the program takes ${channels}`);
    if (channels === 1 && color && !plan.gray && !plan.stages.some((s) => s.gray)) {
      throw new InputError(
        'the image has colors, the program takes one channel',
        'put `grayscale` into its `preprocess`',
      );
    }
    const count = target.width * target.height;
    const bits = (values: readonly number[], c: number, otherwise: number): number =>
      new Int32Array(Float32Array.of(values[c] ?? values[0] ?? otherwise).buffer)[0]!;
    const params = words(FINISH.params, {
      row: ROW,
      count,
      base: target.index * channels * count,
      gray: plan.gray ? 1 : 0,
      channels,
      result_width: target.width,
      window_width: window.width,
      window_height: window.height,
      x_origin: window.x,
      y_origin: window.y,
      width: plane.width,
      height: plane.height,
      mean_red: bits(plan.mean, 0, 0),
      mean_green: bits(plan.mean, 1, 0),
      mean_blue: bits(plan.mean, 2, 0),
      deviation_red: bits(plan.std, 0, 1),
      deviation_green: bits(plan.std, 1, 1),
      deviation_blue: bits(plan.std, 2, 1),
    });
    this.record(encoder, this.finish, [plane.buffer, target.buffer, this.filled(params)], count);
  }

  private record(
    encoder: GPUCommandEncoder,
    pipeline: GPUComputePipeline,
    buffers: readonly GPUBuffer[],
    invocations: number,
  ): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    pass.setBindGroup(0, this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    const groups = Math.ceil(invocations / THREADS);
    pass.dispatchWorkgroups(Math.min(groups, ACROSS), Math.ceil(groups / ACROSS));
    pass.end();
  }

  private upload(image: Pixels, from: number, to: number): Plane {
    const plane = this.plane(image.width, to - from);
    this.device.queue.writeBuffer(plane.buffer, 0, rgbaRows(image, from, to));
    return plane;
  }

  private plane(width: number, height: number): Plane {
    return { buffer: this.take(width * height * 4), width, height };
  }

  private filled(numbers: Int32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.take(numbers.byteLength);
    this.device.queue.writeBuffer(buffer, 0, numbers);
    return buffer;
  }

  /** A buffer of at least so many bytes, from the pool if one of that size class is free. */
  private take(bytes: number): GPUBuffer {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    if (bytes > Math.min(maxStorageBufferBindingSize, maxBufferSize)) {
      throw new InputError(
        `the image needs ${bytes} bytes at once while it is preprocessed, more than the device binds`,
        'give a smaller image',
      );
    }
    // Classes are powers of two, so that images of changing sizes reuse buffers; above 1 MiB that would waste too much.
    const size = bytes > 1 << 20 ? Math.ceil(bytes / 65536) * 65536 : Math.max(256, 2 ** Math.ceil(Math.log2(bytes)));
    const at = this.pool.findIndex((b) => b.size >= size && b.size <= 4 * size);
    const buffer =
      at >= 0
        ? this.pool.splice(at, 1)[0]!
        : this.device.createBuffer({
            label: 'preprocess',
            size,
            usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
          });
    this.taken.push(buffer);
    return buffer;
  }
}

/** An axis of a source: how far its pixels lie apart, how many there are, what is added to a position; positions outside then are zeros. */
interface Axis {
  readonly apart: number;
  readonly pixels: number;
  readonly origin: number;
}

/** One direction of a resize: along the axis that is resized, and across it. */
interface AxisPass {
  readonly source: Plane;
  readonly target: Plane;
  readonly table: ReturnType<typeof taps>;
  readonly along: Axis;
  readonly across: Axis;
  /** Lines of the result, each along the axis that is resized. */
  readonly lines: number;
  /** The pixel of the target where the result begins. */
  readonly base: number;
  readonly gray: boolean;
}

/** A kernel's parameters, in its order. */
function words<N extends string>(params: readonly N[], values: { readonly [K in N]: number }): Int32Array<ArrayBuffer> {
  return Int32Array.from(params, (name) => values[name]);
}

/** The part of [at, at + size) that lies in [0, extent); one row at least. */
function clip(at: number, size: number, extent: number): { from: number; to: number } {
  const from = Math.min(Math.max(at, 0), extent - 1);
  return { from, to: Math.max(from + 1, Math.min(at + size, extent)) };
}
