/** What the compiler asks of the machine it runs on. Node's is in `node/host.ts`; a page brings its own. */
import type { OpenCheckpoint } from '../formats/checkpoint.js';

export interface Host {
  /** The text of a spec; undefined if there is no such file. Throws an `EspalierError` if it cannot be read as text. */
  readText(path: string): string | undefined;
  /** `location` as written in the file at `from`, as a path for the other methods. */
  resolve(from: string, location: string): string;
  /** Opens weights without reading them. Throws an `EspalierError`, also if nothing is there. */
  openCheckpoint(path: string): Promise<OpenCheckpoint>;
  /** Limits of the GPU here, by WebGPU name: what `limits = device` compiles for. */
  deviceLimits(): Promise<Readonly<Record<string, number>>>;
}
