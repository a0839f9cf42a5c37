/**
 * Shows the model the images that criteria are calibrated with, before anything is pruned: in f64 where that is quick or there is no GPU, otherwise by the
 * portable kernels of the model on this machine's GPU. Images are read a few at a time, and of what layers read only what criteria gather is kept.
 */
import { RuntimeError } from '../../runtime/errors.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { Elaborated } from '../dsl/elaborated.js';
import { rootsOf, topological } from '../ir/graph.js';
import { costOf } from '../ir/ops/cost.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { showPath } from '../ir/path.js';
import type { Calibration as Images, PruneJob } from '../ir/prune.js';
import { interpret } from '../ir/run/interpret.js';
import type { Module, Tensor } from '../ir/types.js';
import { asWritten } from '../passes/index.js';
import { Calibration, type Statistics } from '../prune/calibration.js';
import { runPortable } from './golden/on-gpu.js';
import { type Rows, rowsOf, sliceRows } from './golden/rows.js';
import type { Host, ImageRequest, Progress } from './host.js';
import { version } from './version.js';

type Params = (name: string) => Tensor;

export interface CalibrationRequest {
  readonly host: Host;
  /** Of the spec: the folders of images are relative to it. */
  readonly path: string;
  readonly elaborated: Elaborated;
  readonly params: Params;
  readonly progress?: Progress | undefined;
}

/** The interpreter does about 1 GFLOP a second: up to these in all, it is quicker than compiling kernels. */
const QUICK_FLOPS = 6e9;
/** Images that are read, and in memory, at a time. */
const AT_ONCE = 16;

/**
 * What criteria ask of what their layers read. Statements with the same images share one run.
 * @throws EspalierError ESP0807 (no image reaches a layer), ESP0808 (the model takes no images), and what the folder's reader says, at the statement
 */
export async function calibrate(request: CalibrationRequest): Promise<Statistics> {
  const jobs = request.elaborated.prune.filter((job) => job.gathers && job.calibration);
  const runs = new Map<string, PruneJob[]>();
  for (const job of jobs) {
    const key = JSON.stringify([job.calibration!.location, job.calibration!.images]);
    runs.set(key, [...(runs.get(key) ?? []), job]);
  }
  const found: Calibration[] = [];
  for (const some of runs.values()) found.push(await shown(request, some));
  return (target, name) => found.map((c) => c.statistics(target, name)).find((t) => t !== undefined);
}

async function shown(request: CalibrationRequest, jobs: readonly PruneJob[]): Promise<Calibration> {
  const { host, path, elaborated, progress } = request;
  const images = jobs[0]!.calibration!;
  const at = { primary: { span: images.span, text: 'these images' } };
  const start = () => new Calibration(asWritten(elaborated.module), jobs);
  const calibration = start();
  if (calibration.unreached.length > 0) {
    const sites = calibration.unreached.map((t) => showPath(t.site));
    throw new EspalierError([diagnostic('ESP0807', { sites }, at)]);
  }
  const { name, input } = inputOf(request, images);
  let unread: unknown;
  const groups = async function* () {
    try {
      yield* grouped(host.images!(host.resolve(path, images.location), input), name, input);
    } catch (error) {
      unread = error;
      throw error;
    }
  };
  const work = progressing(progress, images.images);
  const params = unpruned(elaborated, request.params);
  const flops = topological(rootsOf(calibration.module.funcs.get('infer')!)).reduce((n, v) => n + costOf(v).flops, 0);
  return saidAt(images, async () => {
    const quick = flops * images.images <= QUICK_FLOPS;
    if (!quick && host.openGpu) {
      try {
        const onGpu = start();
        const options = { name: elaborated.name, compiler: version, weights: 'f32', samples: 1 } as const;
        await runPortable({ host, module: onGpu.module, params, options }, async (run) => {
          for await (const rows of groups()) {
            onGpu.take(await run(rows));
            work(rowsOf(rows));
          }
        });
        return onGpu;
      } catch (error) {
        // Without a GPU that does it, or kernels for it, it takes longer.
        if (error === unread || !(error instanceof RuntimeError || error instanceof EspalierError)) throw error;
      }
    }
    for await (const rows of groups()) {
      for (const one of await interpretEach(quick ? undefined : host, calibration.module, rows, params))
        calibration.take(one);
      work(rowsOf(rows));
    }
    return calibration;
  });
}

/** The one input, of images. */
function inputOf({ host, elaborated }: CalibrationRequest, images: Images): { name: string; input: ImageRequest } {
  const [first, ...more] = elaborated.inputs;
  const [, channels, height, width] = first?.type.shape ?? [];
  const { preprocess } = elaborated;
  const why = !host.images
    ? 'there are no files of images here'
    : !preprocess || more.length > 0
      ? `${elaborated.name} does not take images`
      : undefined;
  if (why !== undefined) {
    const at = { primary: { span: images.span, text: 'these images' } };
    throw new EspalierError([diagnostic('ESP0808', { why }, at)]);
  }
  const size = { channels: channels!, height: height!, width: width! };
  return { name: first!.name, input: { most: images.images, preprocess: preprocess!, input: size } };
}

/** What the reader of the folder refuses is said where the spec names it. */
async function saidAt<T>({ span }: Images, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    const placed = (d: Diagnostic) => (d.primary ? d : { ...d, primary: { span, text: 'these images' } });
    throw new EspalierError(error.diagnostics.map(placed));
  }
}

/** Some images at a time, as rows of the input. */
async function* grouped(images: AsyncIterable<Float32Array>, name: string, { input }: ImageRequest) {
  const { channels, height, width } = input;
  let some: Float32Array[] = [];
  const rows = (): Rows => {
    const shape = [some.length, channels, height, width];
    const data = new Float32Array(sizeOf(shape));
    for (const [i, image] of some.entries()) data.set(image, i * image.length);
    some = [];
    return new Map([[name, { type: { dtype: 'f32', shape }, data }]]);
  };
  for await (const image of images) {
    some.push(image);
    if (some.length === AT_ONCE) yield rows();
  }
  if (some.length > 0) yield rows();
}

function progressing(progress: Progress | undefined, most: number): (images: number) => void {
  let seen = 0;
  progress?.('calibrating', 0);
  return (images) => {
    seen += images;
    progress?.('calibrating', Math.min(1, seen / most));
  };
}

/** Every parameter as it is, and masks that prune nothing. */
function unpruned({ module, prune }: Elaborated, params: Params): Params {
  const masks = new Set(prune.flatMap((job) => job.targets.map((t) => t.mask)));
  return (name) => {
    if (!masks.has(name)) return params(name);
    const { type } = module.params.get(name)!;
    return { type, data: new Float32Array(sizeOf(type.shape)).fill(1) };
  };
}

/** Each image by itself; on a host's threads, if one is given. */
async function interpretEach(
  host: Host | undefined,
  module: Module,
  rows: Rows,
  params: Params,
): Promise<readonly Rows[]> {
  const count = rowsOf(rows);
  const jobs = Array.from({ length: count }, (_, i) => ({ module, inputs: sliceRows(rows, i, i + 1), params }));
  if (host?.interpretAll && count > 1) return host.interpretAll(jobs, () => {});
  return jobs.map((job) => interpret(module, 'infer', job));
}
