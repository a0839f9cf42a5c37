/**
 * Samples made in threads: each decodes, resizes and changes pictures, and hands over 8-bit pixels. Resizing as Pillow does is JavaScript, so that
 * sharp's own threads, which decode, would leave most of the work to the thread that feeds the GPU.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../../diagnostics/types.js';
import { EspalierError } from '../../diagnostics/types.js';
import { startThread } from '../../formats/node/thread.js';
import { makeLoader, recipeOf } from '../loader.js';
import {
  isRandom,
  type Recipe,
  type Sample,
  type SampleJob,
  type SampleKey,
  saidOf,
  samplesHere,
  type Workshop,
} from '../sample.js';
import type { Dataset, Loader, LoaderOptions, Pictures, Raster } from '../types.js';

/** What a thread is asked: a sample of a file, or of pixels. */
export interface ThreadJob {
  readonly picture: string | Raster;
  readonly key: SampleKey;
}

export type ThreadAnswer =
  | { readonly sample: Sample }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly error: unknown };

export interface ThreadOptions {
  /**
   * How many threads make samples; 0 makes them in this one. Default: as many as there are cores but one, four at most, once this one has made samples
   * for about as long as a thread takes to start; 0 for pictures in memory that are neither resized nor changed at random.
   */
  readonly threads?: number;
}

/** Milliseconds of work that are done before the first thread starts, which takes about as long: a small set of small pictures needs none. */
const PATIENCE = 250;

/** A loader whose samples threads make; `close` ends them. @throws EspalierError as `makeLoader` */
export function openLoader(dataset: Dataset, options: LoaderOptions & ThreadOptions): Loader {
  const { threads = usefulThreads(dataset, options) } = options;
  if (threads === 0 || dataset.pictures.input || options.tiles) return makeLoader(dataset, options);
  const patience = options.threads === undefined ? PATIENCE : 0;
  const workshop = new ThreadWorkshop(dataset.pictures, recipeOf(options), threads, patience);
  return makeLoader(dataset, options, workshop);
}

function usefulThreads({ pictures }: Dataset, options: LoaderOptions): number {
  const simple = !options.preprocess.some((s) => s.step === 'resize') && !isRandom(recipeOf(options));
  if (!pictures.file && simple) return 0;
  return Math.min(4, Math.max(1, availableParallelism() - 1));
}

interface Waiting {
  readonly job: ThreadJob;
  readonly resolve: (sample: Sample) => void;
  readonly reject: (error: unknown) => void;
}

const closed = (): Error => new Error('the loader was closed');

/** With pixels that lie by themselves: what is sent to a thread is copied with all of its buffer, which may hold a whole data set. */
const alone = (raster: Raster): Raster => ({ ...raster, data: raster.data.slice() });

/** Threads start with the first sample after so many milliseconds of making them here; each has one job at a time. */
class ThreadWorkshop implements Workshop {
  private readonly pictures: Pictures;
  private readonly recipe: Recipe;
  private readonly most: number;
  private readonly waiting: Waiting[] = [];
  private readonly workers: Worker[] = [];
  private readonly idle: Worker[] = [];
  private readonly busy = new Map<Worker, Waiting>();
  private readonly here: Workshop;
  /** Milliseconds that this thread still works before others start. */
  private patience: number;
  /** The end of what this thread makes, one sample after another, so that its time is known. */
  private turn: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(pictures: Pictures, recipe: Recipe, most: number, patience: number) {
    this.pictures = pictures;
    this.recipe = recipe;
    this.most = most;
    this.here = samplesHere(pictures, recipe);
    this.patience = patience;
  }

  async sample(job: SampleJob): Promise<Sample> {
    if (this.patience > 0) {
      const before = this.turn;
      const made = before.then(() => (this.patience > 0 ? this.timed(job) : undefined));
      this.turn = made.then(
        () => {},
        () => {},
      );
      const sample = await made;
      if (this.closed) throw closed();
      if (sample) return sample;
    }
    return this.elsewhere(job);
  }

  /** The sample, made by this thread. */
  private async timed(job: SampleJob): Promise<Sample> {
    if (this.closed) throw closed();
    const began = performance.now();
    try {
      return await saidOf(this.nameOf(job), () => this.here.sample(job));
    } finally {
      this.patience -= performance.now() - began;
    }
  }

  /** What messages call the picture, as `sample-worker.ts` does. */
  private nameOf({ place, key }: SampleJob): string {
    return this.pictures.file?.(place) ?? `item ${key.item}`;
  }

  private async elsewhere({ place, key }: SampleJob): Promise<Sample> {
    const picture = this.pictures.file ? this.pictures.file(place) : alone(await this.pictures.read(place));
    if (this.closed) throw closed();
    return new Promise((resolve, reject) => {
      this.waiting.push({ job: { picture, key }, resolve, reject });
      this.next();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const { reject } of [...this.waiting.splice(0), ...this.busy.values()]) reject(closed());
    this.busy.clear();
    await Promise.all(this.workers.splice(0).map((worker) => worker.terminate()));
  }

  private next(): void {
    if (this.closed || this.waiting.length === 0) return;
    const worker = this.idle.pop() ?? this.start();
    if (!worker) return;
    const job = this.waiting.shift()!;
    this.busy.set(worker, job);
    // A thread without work does not keep the process from ending.
    worker.ref();
    worker.postMessage(job.job);
  }

  private start(): Worker | undefined {
    if (this.workers.length >= this.most) return undefined;
    const worker = startThread(import.meta.url, 'sample-worker', this.recipe);
    this.workers.push(worker);
    worker.on('message', (answer: ThreadAnswer) => this.settle(worker, answer));
    worker.on('error', (error) => {
      this.workers.splice(this.workers.indexOf(worker), 1);
      const job = this.busy.get(worker);
      this.busy.delete(worker);
      job?.reject(error);
      this.next();
    });
    return worker;
  }

  private settle(worker: Worker, answer: ThreadAnswer): void {
    const job = this.busy.get(worker);
    if (!job) return;
    this.busy.delete(worker);
    worker.unref();
    this.idle.push(worker);
    if ('sample' in answer) job.resolve(answer.sample);
    else job.reject('error' in answer ? answer.error : new EspalierError(answer.diagnostics));
    this.next();
  }
}
