/** What the page and its worker say to one another: the compiler, training and the model are in the worker, so that the page stays alive. */
import type { MemoryRunPlan, TrainEvent } from '../../../src/api/browser/index.js';

/** RGBA, rows from the top. */
export interface Picture {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

export interface Example extends Picture {
  readonly label: string;
}

export type Asked =
  /** `goOn`: with the run that was stopped. */
  | {
      readonly kind: 'train';
      readonly spec: string;
      readonly classes: readonly string[];
      readonly examples: readonly Example[];
      readonly goOn: boolean;
    }
  | { readonly kind: 'stop' }
  /** What the model makes of a picture, before and after; the answer has the same number. */
  | { readonly kind: 'try'; readonly picture: Picture; readonly number: number };

export type Told =
  | { readonly kind: 'ready'; readonly device: string }
  | { readonly kind: 'doing'; readonly what: string; readonly fraction?: number }
  | ({ readonly kind: 'began' } & MemoryRunPlan)
  | { readonly kind: 'event'; readonly event: TrainEvent }
  /** How a run ended: stopped, or at its end; with an adapter file if an epoch of it did, and a spec that takes it. */
  | {
      readonly kind: 'ended';
      readonly stopped: boolean;
      readonly adapter?: { readonly file: Uint8Array<ArrayBuffer>; readonly spec: string };
      /** An event a line, as a run's metrics.jsonl. */
      readonly metrics: string;
    }
  /** Probabilities by class. */
  | {
      readonly kind: 'guess';
      readonly number: number;
      readonly before: readonly number[];
      readonly after?: readonly number[];
    }
  /** `steps`: of the run so far that can be gone on from. `training`: it does go on; only a picture could not be tried. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly steps: number; readonly training: boolean };

/** Something that went wrong, for a person. */
export interface Failure {
  readonly message: string;
  /** What to do; empty if there is nothing to say. */
  readonly help: string;
  /** The place in the spec, drawn with characters. */
  readonly source?: string;
  /** No GPU, so that nothing can be done at all. */
  readonly fatal?: boolean;
}
