/** What the compiler asks of the machine it runs on. Node's is in `node/host.ts`; a page brings its own. */
import type { PreprocessStep } from '../../runtime/program/program.js';
import type { Parsed } from '../dsl/parse.js';
import type { OpenCheckpoint } from '../formats/checkpoint.js';
import type { Module, Tensor } from '../ir/types.js';

/** A GPU of this machine; its device is made, once, by whoever asked. */
export interface HostGpu {
  readonly adapter: GPUAdapter;
  /** As its driver names it. */
  readonly description: string;
  /** To be called when the device is gone. */
  release(): void;
}

/** Hears what is being done: a phrase, and how far it is in [0, 1] where that is known. */
export type Progress = (what: string, fraction?: number) => void;

/** Which images, and how they become the input of a model. */
export interface ImageRequest {
  readonly most: number;
  readonly preprocess: readonly PreprocessStep[];
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
}

/** One run of a module's `infer` in f64. */
export interface InterpretJob {
  readonly module: Module;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly params: (name: string) => Tensor;
}

export interface Host {
  /** The text of a spec; undefined if there is no such file. Throws an `EspalierError` if it cannot be read as text. */
  readText(path: string): string | undefined;
  /** Reads a spec's text; a host without the method takes `.peft` alone. Never throws for bad input. */
  parse?(path: string, text: string): Parsed;
  /** `location` as written in the file at `from`, as a path for the other methods. */
  resolve(from: string, location: string): string;
  /** Opens weights without reading them. Throws an `EspalierError`, also if nothing is there. */
  openCheckpoint(path: string): Promise<OpenCheckpoint>;
  /**
   * Images of a folder and of the folders in it, at most so many, spread evenly over it in the order of their names: each as the model takes it, f32
   * [channels, height, width]. A host without the method has no images. Throws an `EspalierError` where there are none, or one cannot be read.
   */
  images?(path: string, request: ImageRequest): AsyncIterable<Float32Array>;
  /** Limits of the GPU here, by WebGPU name: what `limits = device` compiles for. */
  deviceLimits(): Promise<Readonly<Record<string, number>>>;
  /**
   * A GPU to run large models on; a host without the method has none. Throws a `RuntimeError` where there is none.
   */
  openGpu?(): Promise<HostGpu>;
  /** Interprets jobs side by side; a host without the method has them run one after another on this thread. */
  interpretAll?(jobs: readonly InterpretJob[], done: (jobs: number) => void): Promise<ReadonlyMap<string, Tensor>[]>;
}
