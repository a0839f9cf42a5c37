/** What a campaign and its workers say to each other, and the limits that every case is held to. */
import type { Outcome } from './case.js';

/** The file descriptor on which a worker writes its lines. */
export const RESULTS = 3;

/** Cases [from, to) of a seed, or one that is written out. */
export type Task =
  | { readonly seed: number; readonly from: number; readonly to: number; readonly only?: string }
  | { readonly case: string };

export interface Ended {
  readonly index: number;
  readonly kind: string;
  readonly outcome: Outcome;
  /** Processor time. */
  readonly ms: number;
  /** By how many MiB the case raised the worker's peak. */
  readonly memory: number;
}

/** Beyond these a case is a finding, whatever came of it. */
export const LIMITS = {
  /** Processor time of one case. A case that waits for nothing is a hang too, after four times as long. */
  seconds: 5,
  /** MiB that one case may add to the worker's peak. */
  memory: 768,
  /** MiB of the worker's heap; V8 ends a process that needs more. */
  heap: 1024,
};
export type Limits = typeof LIMITS;
